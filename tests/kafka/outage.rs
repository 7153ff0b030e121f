//! Brokers that stop, hang and come back; every test has a broker of its own.

use crate::kafka::{Kafka, unique};
use crate::lane::{Lane, PATIENCE, insist, load, options, position, values};
use std::time::{Duration, Instant};
use tidemill::broker::{Broker, Event};
use tidemill::error::ErrorKind;

/// Bound of a close, and what a loaded machine may add to it.
const CLOSE: Duration = Duration::from_secs(2);
const SLACK: Duration = Duration::from_secs(2);

#[test]
fn a_lane_goes_on_after_its_broker_restarts() {
    let kafka = Kafka::start();
    let (topic, sink) = (kafka.topic("in", 1), kafka.topic("out", 1));
    load(&kafka, &topic, 0, 10);
    let mut lane = Lane::new(options(&kafka, &topic, &sink, &unique("group")));
    let all = lane.begin_at_zero(1);
    lane.producer();
    lane.until("records", |lane| lane.seen.len() >= 10);
    lane.broker.begin().unwrap();
    lane.produce(0, b"k", b"one", 1);
    lane.commit(&[position(&all[0], 10, "")]).unwrap();

    kafka.stop(true);
    lane.events.clear();
    lane.until("trouble", |lane| lane.events.iter().any(|event| matches!(event, Event::Trouble(_))));
    assert_eq!(lane.broker.committed(&all).unwrap_err().kind, ErrorKind::Retry);
    kafka.resume_after_stop();
    load(&kafka, &topic, 0, 5);
    // The group may have been lost with the broker: then its partitions come again.
    lane.until("more records", |lane| {
        for event in std::mem::take(&mut lane.events) {
            match event {
                Event::Assigned(names) => lane.broker.assign(&crate::lane::starts(&names, 10)).unwrap(),
                Event::Revoked(names) | Event::Lost(names) => lane.broker.unassign(&names).unwrap(),
                _ => {}
            }
        }
        lane.seen.iter().any(|seen| seen.1 == 14)
    });
    lane.producer();
    lane.broker.begin().unwrap();
    lane.produce(0, b"k", b"two", 1);
    lane.until("membership", |lane| {
        insist("offsets", || lane.broker.send_offsets(&[position(&all[0], 15, "")])).is_ok()
    });
    insist("commit", || lane.broker.commit()).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(values(&kafka, &sink, 1), [["one", "two"]]);
}

#[test]
fn close_keeps_its_deadline_whatever_the_broker_does() {
    for hang in [false, true] {
        let kafka = Kafka::start();
        let (topic, sink) = (kafka.topic("in", 1), kafka.topic("out", 1));
        load(&kafka, &topic, 0, 10);
        let mut lane = Lane::new(options(&kafka, &topic, &sink, &unique("group")));
        lane.begin_at_zero(1);
        lane.producer();
        lane.until("records", |lane| lane.seen.len() >= 10);
        lane.broker.begin().unwrap();
        lane.produce(0, b"k", b"v", 1);
        if hang {
            kafka.pause()
        } else {
            kafka.stop(true)
        }
        let since = Instant::now();
        let commit = lane.broker.commit();
        println!("hang {hang}: one call of commit took {:?}: {commit:?}", since.elapsed());
        assert!(since.elapsed() < Duration::from_millis(500));
        let since = Instant::now();
        lane.broker.renew_producer(false).unwrap_err();
        println!("hang {hang}: a new producer took {:?}", since.elapsed());
        assert!(since.elapsed() < Duration::from_secs(1));
        let since = Instant::now();
        lane.broker.close(CLOSE);
        println!("hang {hang}: close took {:?}", since.elapsed());
        assert!(since.elapsed() < CLOSE + SLACK, "{:?}", since.elapsed());
        if hang {
            kafka.go_on();
        }
    }
}

#[test]
fn an_unanswered_revoke_does_not_hold_a_close() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("in", 2);
    let group = unique("group");
    let mut first = Lane::new(options(kafka, &topic, "none", &group));
    first.begin_at_zero(2);
    let mut second = Lane::new(options(kafka, &topic, "none", &group));
    first.until("revoke", |lane| {
        second.step();
        lane.events.iter().any(|event| matches!(event, Event::Revoked(_)))
    });
    let since = Instant::now();
    first.broker.close(PATIENCE);
    println!("close with a revoke pending: {:?}", since.elapsed());
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    second.assigned(2);
}

#[test]
fn a_broker_that_hangs_during_a_commit_leaves_it_unknown_and_a_new_producer_tells_the_truth() {
    let kafka = Kafka::start();
    let (topic, sink) = (kafka.topic("in", 1), kafka.topic("out", 1));
    let mut lane = Lane::new(options(&kafka, &topic, &sink, &unique("group")));
    let all = lane.begin_at_zero(1);
    lane.producer();
    lane.broker.begin().unwrap();
    lane.produce(0, b"k", b"v", 1);
    insist("offsets", || lane.broker.send_offsets(&[position(&all[0], 3, "mine")])).unwrap();
    kafka.pause();
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(1) {
        assert_eq!(lane.broker.commit().unwrap_err().kind, ErrorKind::Retry);
    }
    lane.broker.renew_producer(false).unwrap_err();
    kafka.go_on();
    lane.producer();
    let committed = insist("committed", || lane.broker.committed(&all)).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let visible = values(&kafka, &sink, 1);
    println!("after the outage: {committed:?}, {visible:?}");
    assert_eq!(committed[0].is_some(), visible[0].len() == 1, "position and results are one");
    lane.broker.begin().unwrap();
    lane.commit(&[position(&all[0], 4, "mine")]).unwrap();
}
