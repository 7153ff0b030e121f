//! Claims about reading: order, positions, ends.

use crate::driver::{Driver, at, until};
use crate::harness::{Harness, Rec, Spec, T0};
use tidemill::broker::{Broker, Ends, Event, Outlet};

/// A topic with this many partitions, and a client that reads it.
fn reader<H: Harness>(h: &mut H, partitions: i32) -> (String, Driver<H>) {
    let (topic, sink) = (h.fresh("source"), h.fresh("sink"));
    h.create_topic(&topic, partitions);
    h.create_topic(&sink, 1);
    let spec = Spec::new(&h.fresh("group"), &h.fresh("id"), &[&topic], &sink);
    let driver = Driver::without_producer(h, &spec);
    (topic, driver)
}

fn fill<H: Harness>(h: &mut H, topic: &str, partition: i32, count: usize) {
    for n in 0..count {
        assert_eq!(h.append(topic, partition, &Rec::new("key", &format!("value {n}"))), n as i64);
    }
}

fn ends<H: Harness>(h: &mut H, driver: &mut Driver<H>) -> Option<Ends> {
    driver.broker.ask_ends(driver.slot());
    match driver.poll_event(h, "an answer about the ends", |event| matches!(event, Event::Ends { .. })) {
        Event::Ends { ends, .. } => ends,
        other => panic!("{other:?}"),
    }
}

pub fn records_come_in_offset_order_as_they_were_written<H: Harness>(h: &mut H) {
    let (topic, mut driver) = reader(h, 1);
    let plain = Rec::new("key", "value");
    let bytes = |text: &str| Some(text.as_bytes().to_vec());
    let written = [
        plain.clone(),
        Rec { key: None, ..plain.clone() },
        Rec { key: bytes(""), ..plain.clone() },
        Rec { value: None, ..plain.clone() },
        Rec { value: bytes(""), ..plain.clone() },
        Rec { timestamp_ms: T0 - 1_000_000, ..plain.clone() },
        Rec { timestamp_ms: 1, ..plain.clone() },
        Rec { key: Some(vec![0, 255, 10]), value: Some(vec![0; 5_000]), ..plain.clone() },
        Rec {
            headers: vec![(b"a".to_vec(), bytes("1")), (b"a".to_vec(), bytes("")), (b"b".to_vec(), None)],
            ..plain.clone()
        },
    ];
    for record in &written {
        h.append(&topic, 0, record);
    }
    driver.poll_records(h, written.len());
    for (offset, (seen, record)) in (0i64..).zip(driver.seen.iter().zip(&written)) {
        assert_eq!((seen.1, &seen.2), (offset, record));
    }
}

pub fn a_long_partition_is_read_to_its_end_without_gap_or_repetition<H: Harness>(h: &mut H) {
    let (topic, mut driver) = reader(h, 1);
    fill(h, &topic, 0, 2_500);
    driver.poll_records(h, 2_500);
    driver.poll_on(h);
    assert_eq!(driver.offsets(), (0..2_500).collect::<Vec<_>>());
}

pub fn several_partitions_are_read_each_in_its_order<H: Harness>(h: &mut H) {
    let (topic, mut driver) = reader(h, 3);
    for partition in 0..3 {
        fill(h, &topic, partition, 100);
    }
    driver.poll_records(h, 300);
    assert_eq!(driver.slots.len(), 3);
    for (slot, _) in &driver.slots {
        let offsets: Vec<_> =
            driver.seen.iter().filter(|(from, ..)| from == slot).map(|(_, offset, _)| *offset).collect();
        assert_eq!(offsets, (0..100).collect::<Vec<_>>());
    }
}

pub fn reading_begins_at_the_offset_given_at_assign<H: Harness>(h: &mut H) {
    let (topic, mut driver) = reader(h, 1);
    fill(h, &topic, 0, 5);
    driver.start = Some(3);
    driver.poll_records(h, 2);
    assert_eq!(driver.offsets(), [3, 4]);
}

pub fn the_end_is_reported_once_for_each_catch_up<H: Harness>(h: &mut H) {
    let (topic, mut driver) = reader(h, 1);
    let reported = |driver: &Driver<H>| {
        let end = |event: &Event| if let Event::End { offset, .. } = event { Some(*offset) } else { None };
        driver.events.iter().filter_map(end).collect::<Vec<_>>()
    };
    fill(h, &topic, 0, 2);
    driver.poll_end(h, 2);
    driver.poll_on(h);
    assert_eq!(reported(&driver).iter().filter(|&&offset| offset == 2).count(), 1);
    h.append(&topic, 0, &Rec::new("key", "more"));
    driver.poll_end(h, 3);
    driver.poll_on(h);
    assert_eq!(reported(&driver).iter().filter(|&&offset| offset == 3).count(), 1);
    assert_eq!(driver.offsets(), [0, 1, 2], "and what it covers was delivered before");
}

pub fn the_end_is_reported_again_after_a_seek<H: Harness>(h: &mut H) {
    let (topic, mut driver) = reader(h, 1);
    fill(h, &topic, 0, 2);
    driver.poll_end(h, 2);
    let slot = driver.slot();
    driver.repeat(h, "seek", |broker| broker.seek(slot, 2)).expect("seek");
    driver.poll_end(h, 2);
    assert_eq!(driver.offsets(), [0, 1]);
}

pub fn a_seek_goes_back_and_forward<H: Harness>(h: &mut H) {
    let (topic, mut driver) = reader(h, 1);
    fill(h, &topic, 0, 5);
    driver.poll_records(h, 5);
    let slot = driver.slot();
    driver.repeat(h, "seek", |broker| broker.seek(slot, 1)).expect("seek");
    driver.poll_records(h, 9);
    driver.repeat(h, "seek", |broker| broker.seek(slot, 4)).expect("seek");
    driver.poll_records(h, 10);
    assert_eq!(driver.offsets(), [0, 1, 2, 3, 4, 1, 2, 3, 4, 4]);
}

pub fn nothing_comes_from_a_paused_partition_until_a_seek<H: Harness>(h: &mut H) {
    let (topic, mut driver) = reader(h, 1);
    fill(h, &topic, 0, 2);
    driver.poll_records(h, 2);
    let slot = driver.slot();
    driver.repeat(h, "pause", |broker| broker.pause(slot)).expect("pause");
    h.append(&topic, 0, &Rec::new("key", "while paused"));
    driver.poll_on(h);
    assert_eq!(driver.offsets(), [0, 1]);
    driver.repeat(h, "seek", |broker| broker.seek(slot, 2)).expect("seek");
    driver.poll_records(h, 3);
    assert_eq!(driver.offsets(), [0, 1, 2]);
}

pub fn nothing_comes_after_unassign<H: Harness>(h: &mut H) {
    let (topic, mut driver) = reader(h, 1);
    fill(h, &topic, 0, 2);
    driver.poll_records(h, 2);
    driver.give_back(&[at(&topic, 0)]);
    h.append(&topic, 0, &Rec::new("key", "for somebody else"));
    driver.poll_on(h);
    assert_eq!(driver.offsets(), [0, 1]);
}

pub fn a_deleted_position_is_out_of_range_and_a_seek_goes_on<H: Harness>(h: &mut H) {
    let (topic, mut driver) = reader(h, 1);
    fill(h, &topic, 0, 5);
    h.delete_records(&topic, 0, 3);
    driver.start = Some(1);
    let event = driver.poll_event(h, "the position is out of range", |event| matches!(event, Event::OutOfRange { .. }));
    let slot = driver.slot();
    assert_eq!(event, Event::OutOfRange { slot, offset: 1 });
    driver.poll_on(h);
    assert_eq!(driver.offsets(), [0i64; 0], "the partition stands still");
    let reports = driver.events.iter().filter(|event| matches!(event, Event::OutOfRange { .. })).count();
    assert_eq!(reports, 1, "it is said once");
    driver.repeat(h, "seek", |broker| broker.seek(slot, 3)).expect("seek");
    driver.poll_records(h, 2);
    assert_eq!(driver.offsets(), [3, 4]);
}

pub fn a_position_beyond_the_end_is_out_of_range<H: Harness>(h: &mut H) {
    let (topic, mut driver) = reader(h, 1);
    fill(h, &topic, 0, 2);
    driver.start = Some(7);
    driver.poll_event(h, "the position is out of range", |event| matches!(event, Event::OutOfRange { offset: 7, .. }));
    assert_eq!(driver.offsets(), [0i64; 0]);
}

pub fn earliest_follows_retention<H: Harness>(h: &mut H) {
    let (topic, mut driver) = reader(h, 1);
    fill(h, &topic, 0, 5);
    let partition = at(&topic, 0);
    let mut earliest =
        |h: &mut H| driver.repeat(h, "earliest", |broker| broker.earliest(&partition)).expect("earliest");
    assert_eq!(earliest(h), 0);
    h.delete_records(&topic, 0, 3);
    assert_eq!(earliest(h), 3);
}

pub fn an_answer_about_the_ends_is_younger_than_its_question<H: Harness>(h: &mut H) {
    let (topic, mut driver) = reader(h, 1);
    driver.poll_end(h, 0);
    for count in 1..4 {
        h.append(&topic, 0, &Rec::new("key", "value"));
        assert_eq!(ends(h, &mut driver), Some(Ends { last_stable: count, high_watermark: count }));
    }
    driver.poll_on(h);
    let answers = driver.events.iter().filter(|event| matches!(event, Event::Ends { .. })).count();
    assert_eq!(answers, 3, "one answer for each question");
}

pub fn the_identity_of_a_topic_is_its_own<H: Harness>(h: &mut H) {
    let (topic, mut driver) = reader(h, 1);
    let other = h.fresh("other");
    h.create_topic(&other, 1);
    let mut id =
        |h: &mut H, topic: &str| driver.repeat(h, "topic_id", |broker| broker.topic_id(topic)).expect("topic_id");
    let first = id(h, &topic);
    assert_eq!(id(h, &topic), first);
    assert_ne!(id(h, &other), first);
}

pub fn partitions_of_the_sink_are_counted<H: Harness>(h: &mut H) {
    let (topic, sink) = (h.fresh("source"), h.fresh("sink"));
    h.create_topic(&topic, 1);
    let spec = Spec::new(&h.fresh("group"), &h.fresh("id"), &[&topic], &sink);
    let mut driver = Driver::without_producer(h, &spec);
    driver.broker.partitions(Outlet::Sink).expect_err("a topic that is missing may yet be created");
    h.create_topic(&sink, 5);
    let count = until(h, "the sink is found", |_| driver.broker.partitions(Outlet::Sink).ok());
    assert_eq!(count, 5);
}
