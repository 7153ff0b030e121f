//! Reading: records as they were written, ends, seeks, pauses, partitions that come and go.

use crate::kafka::{Kafka, unique};
use crate::lane::{Lane, PATIENCE, assigned, load, options, starts};
use std::time::{Duration, Instant};
use tidemill::broker::{Broker, Ends, Event, RecordBatch};

#[test]
fn ten_thousand_records_come_in_order_with_keys_and_headers() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("in", 2);
    load(kafka, &topic, 0, 5_000);
    load(kafka, &topic, 1, 5_000);
    let mut lane = Lane::new(options(kafka, &topic, "none", &unique("group")));
    lane.begin_at_zero(2);
    let mut headers = 0;
    lane.until("10,000 records", |lane| {
        headers += lane
            .batch
            .iter()
            .filter(|record| {
                let all: Vec<_> = record.headers.iter().collect();
                if record.offset % 7 == 6 {
                    assert_eq!(all, [(&b"h"[..], Some(&b"1"[..])), (&b"h"[..], None)]);
                }
                assert_eq!(record.timestamp_ms, 1_000 + record.offset);
                !all.is_empty()
            })
            .count();
        lane.batch.clear();
        lane.seen.len() >= 10_000
    });
    for slot in 0..2 {
        let of_slot = lane.seen.iter().filter(|seen| seen.0 == slot).collect::<Vec<_>>();
        assert_eq!(of_slot.len(), 5_000);
        for (index, (_, offset, key, value)) in of_slot.into_iter().enumerate() {
            assert_eq!(*offset, index as i64);
            let expected = (index % 10 != 9).then(|| format!("k{index}").into_bytes());
            assert_eq!((key, value), (&expected, &Some(format!("v{index}").into_bytes())));
        }
    }
    assert_eq!(headers, 2 * 714);
    lane.until("ends", |lane| (0..2).all(|slot| lane.events.contains(&Event::End { slot, offset: 5_000 })));
    lane.broker.close(PATIENCE);
}

#[test]
fn a_full_batch_stops_the_drain_and_nothing_is_lost() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("in", 1);
    load(kafka, &topic, 0, 1_000);
    let mut lane = Lane::new(options(kafka, &topic, "none", &unique("group")));
    lane.batch = RecordBatch::new(1 << 20, 7);
    lane.begin_at_zero(1);
    lane.until("all records", |lane| {
        assert!(lane.batch.len() <= 7);
        lane.seen.len() >= 1_000
    });
    assert!(lane.seen.iter().enumerate().all(|(index, seen)| seen.1 == index as i64));
}

#[test]
fn a_seek_goes_where_it_says_and_ends_a_pause() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("in", 2);
    load(kafka, &topic, 0, 100);
    load(kafka, &topic, 1, 100);
    let mut lane = Lane::new(options(kafka, &topic, "none", &unique("group")));
    lane.begin_at_zero(2);
    lane.until("200 records", |lane| lane.seen.len() >= 200);
    lane.seen.clear();
    lane.broker.pause(0).unwrap();
    load(kafka, &topic, 0, 5);
    load(kafka, &topic, 1, 5);
    let until = Instant::now() + Duration::from_millis(300);
    lane.until("time", |_| Instant::now() >= until);
    assert!(lane.seen.iter().all(|seen| seen.0 == 1), "a paused partition spoke: {:?}", lane.seen);
    lane.seen.clear();
    lane.events.clear();
    for (offset, count) in [(100, 5), (0, 105), (50, 55), (104, 1)] {
        let since = Instant::now();
        lane.broker.seek(0, offset).unwrap();
        lane.until("records after a seek", |lane| lane.seen.iter().filter(|seen| seen.0 == 0).count() >= count);
        let offsets = lane.seen.iter().filter(|seen| seen.0 == 0).map(|seen| seen.1).collect::<Vec<_>>();
        assert_eq!(offsets, (offset..105).collect::<Vec<_>>());
        lane.until("end", |lane| lane.events.contains(&Event::End { slot: 0, offset: 105 }));
        println!("seek to {offset}: {:?}", since.elapsed());
        lane.seen.clear();
        lane.events.clear();
    }
}

#[test]
fn an_offset_beyond_the_log_is_out_of_range_and_a_seek_heals_it() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("in", 1);
    load(kafka, &topic, 0, 10);
    let mut lane = Lane::new(options(kafka, &topic, "none", &unique("group")));
    let all = lane.assigned(1);
    lane.broker.assign(&starts(&all, 4_711)).unwrap();
    lane.until("refusal", |lane| lane.events.contains(&Event::OutOfRange { slot: 0, offset: 4_711 }));
    lane.broker.seek(0, 3).unwrap();
    lane.until("records", |lane| lane.seen.len() >= 7);
    assert_eq!(lane.seen[0].1, 3);
}

#[test]
fn a_position_that_was_deleted_is_out_of_range() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("in", 1);
    load(kafka, &topic, 0, 10);
    let group = unique("group");
    let mut lane = Lane::new(options(kafka, &topic, "none", &group));
    let all = lane.assigned(1);
    kafka.admin(&group).delete_records(&[(all[0].clone(), 5)]).unwrap();
    assert_eq!(crate::lane::insist("earliest", || lane.broker.earliest(&all[0])).unwrap(), 5);
    lane.broker.assign(&starts(&all, 2)).unwrap();
    lane.until("refusal", |lane| lane.events.contains(&Event::OutOfRange { slot: 0, offset: 2 }));
    assert!(lane.seen.is_empty());
}

#[test]
fn ends_are_answered_for_what_is_owned_and_for_what_is_not() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("in", 2);
    load(kafka, &topic, 1, 10);
    let mut lane = Lane::new(options(kafka, &topic, "none", &unique("group")));
    lane.begin_at_zero(2);
    for slot in [0, 1, 9] {
        lane.broker.ask_ends(slot);
    }
    for (slot, end) in [(0, Some(0)), (1, Some(10)), (9, None)] {
        let ends = end.map(|end| Ends { last_stable: end, high_watermark: end });
        lane.until("ends", |lane| lane.events.contains(&Event::Ends { slot, ends }));
    }
}

#[test]
fn partitions_move_between_two_lanes_and_flow_again_when_they_come_back() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("in", 4);
    for partition in 0..4 {
        load(kafka, &topic, partition, 10);
    }
    let group = unique("group");
    let mut first = Lane::new(options(kafka, &topic, "none", &group));
    first.begin_at_zero(4);
    first.until("all records", |lane| lane.seen.len() >= 40);
    first.seen.clear();

    let mut second = Lane::new(options(kafka, &topic, "none", &group));
    let mut revoked = Vec::new();
    first.until("revoke", |lane| {
        second.step();
        let asked = lane.events.iter().find_map(|event| match event {
            Event::Revoked(names) => Some(names.clone()),
            _ => None,
        });
        revoked = asked.unwrap_or_default();
        !revoked.is_empty()
    });
    assert_eq!(revoked.len(), 2);
    first.broker.unassign(&revoked).unwrap();
    second.until("assignment", |lane| {
        first.step();
        assigned(&lane.events).len() == 2
    });
    let mut gained = assigned(&second.events);
    gained.sort();
    revoked.sort();
    assert_eq!(gained, revoked);
    second.broker.assign(&starts(&gained, 0)).unwrap();
    second.until("their records", |lane| lane.seen.len() >= 20);
    for partition in 0..4 {
        load(kafka, &topic, partition, 1);
    }
    first.until("new records", |lane| lane.seen.len() >= 2);
    assert!(first.seen.iter().all(|seen| !revoked.iter().any(|name| name.partition as u32 == seen.0)));

    first.seen.clear();
    second.broker.close(PATIENCE);
    let back = first.assigned(2);
    assert_eq!(back, revoked);
    first.broker.assign(&starts(&back, 10)).unwrap();
    first.until("records of what came back", |lane| lane.seen.len() >= 2);
    assert!(first.seen.iter().all(|seen| seen.1 == 10));
}

#[test]
fn partitions_let_go_and_taken_at_once_are_not_silent() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("in", 1);
    load(kafka, &topic, 0, 10);
    let mut lane = Lane::new(options(kafka, &topic, "none", &unique("group")));
    let all = lane.begin_at_zero(1);
    lane.until("records", |lane| lane.seen.len() >= 10);
    for _ in 0..5 {
        lane.seen.clear();
        lane.broker.unassign(&all).unwrap();
        lane.broker.assign(&starts(&all, 5)).unwrap();
        lane.until("records again", |lane| lane.seen.len() >= 5);
        assert_eq!(lane.seen.iter().map(|seen| seen.1).collect::<Vec<_>>(), [5, 6, 7, 8, 9]);
    }
}

#[test]
fn a_regular_expression_finds_topics_and_not_our_own_outputs() {
    let kafka = Kafka::shared();
    let prefix = unique("many");
    let (one, two, own) = (kafka.topic(&prefix, 1), kafka.topic(&prefix, 1), kafka.topic(&prefix, 1));
    let mut options = options(kafka, &format!("^{prefix}.*"), &own, &unique("group"));
    options.late = Some("some.other".into());
    let mut lane = Lane::new(options);
    let names = lane.assigned(2).into_iter().map(|name| name.topic.to_string()).collect::<Vec<_>>();
    assert_eq!(names, [one, two]);
}
