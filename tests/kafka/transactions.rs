//! Transactions: what becomes visible, what does not, and who is fenced.

use crate::kafka::{Kafka, unique};
use crate::lane::{Lane, insist, load, options, outgoing, position, values};
use std::time::{Duration, Instant};
use tidemill::broker::{Broker, Committed, Event, Outlet, ProduceError};
use tidemill::error::ErrorKind;

#[test]
fn a_commit_makes_records_and_positions_visible_together_and_an_abort_neither() {
    let kafka = Kafka::shared();
    let (topic, sink) = (kafka.topic("in", 1), kafka.topic("out", 2));
    load(kafka, &topic, 0, 10);
    let mut lane = Lane::new(options(kafka, &topic, &sink, &unique("group")));
    let all = lane.begin_at_zero(1);
    lane.producer();
    assert_eq!(insist("committed", || lane.broker.committed(&all)).unwrap(), [None]);
    assert_eq!(insist("partitions", || lane.broker.partitions(Outlet::Sink)).unwrap(), 2);

    lane.broker.begin().unwrap();
    lane.produce(1, b"k", b"one", 1);
    let metadata = "m".repeat(1_000);
    lane.commit(&[position(&all[0], 7, &metadata)]).unwrap();

    lane.broker.begin().unwrap();
    lane.produce(0, b"k", b"two", 2);
    insist("offsets", || lane.broker.send_offsets(&[position(&all[0], 9, "")])).unwrap();
    insist("abort", || lane.broker.abort()).unwrap();

    lane.producer();
    lane.broker.begin().unwrap();
    lane.broker.produce(&outgoing(0, None, Some(b"three"), 3)).unwrap();
    insist("commit", || lane.broker.commit()).unwrap();

    assert_eq!(values(kafka, &sink, 2), [vec!["three"], vec!["one"]]);
    let committed = insist("committed", || lane.broker.committed(&all)).unwrap();
    assert_eq!(committed, [Some(Committed { offset: 7, metadata })]);
}

#[test]
fn transactions_back_to_back_take_milliseconds() {
    let kafka = Kafka::shared();
    let (topic, sink) = (kafka.topic("in", 1), kafka.topic("out", 1));
    let mut lane = Lane::new(options(kafka, &topic, &sink, &unique("group")));
    let all = lane.begin_at_zero(1);
    lane.producer();
    let mut fastest = Duration::MAX;
    for round in 0..20 {
        let since = Instant::now();
        lane.broker.begin().unwrap();
        for index in 0..100 {
            lane.produce(0, b"k", b"v", index);
        }
        lane.commit(&[position(&all[0], round, "")]).unwrap();
        fastest = fastest.min(since.elapsed());
    }
    println!("the fastest of 20 transactions of 100 records: {fastest:?}");
    assert!(fastest < Duration::from_millis(60), "{fastest:?}: commits wait for a poll or a back-off");
    let since = Instant::now();
    lane.broker.begin().unwrap();
    for index in 0..20_000 {
        while lane.broker.produce(&outgoing(0, Some(b"k"), Some(&[7; 200]), index)) == Err(ProduceError::Full) {
            lane.broker.serve(&mut lane.events).unwrap();
        }
    }
    // librdkafka loses a producer that aborts before its first partition has joined the transaction (its issue 4849).
    lane.until("time", |_| since.elapsed() > Duration::from_millis(200));
    insist("abort", || lane.broker.abort()).unwrap();
    println!("an abort of 20,000 records: {:?}", since.elapsed());
    assert_eq!(values(kafka, &sink, 1)[0].len(), 2_000);
}

#[test]
fn a_second_producer_with_the_same_id_fences_the_first_and_settles_its_transaction() {
    let kafka = Kafka::shared();
    let (topic, sink) = (kafka.topic("in", 1), kafka.topic("out", 1));
    let mut options = options(kafka, &topic, &sink, &unique("group"));
    let mut first = Lane::new(options.clone());
    first.producer();
    first.broker.begin().unwrap();
    first.produce(0, b"k", b"never", 1);
    std::thread::sleep(Duration::from_millis(100));
    first.step();

    options.kafka.group = unique("group");
    let mut second = Lane::new(options);
    second.producer();
    second.broker.begin().unwrap();
    second.produce(0, b"k", b"seen", 1);
    insist("commit", || second.broker.commit()).unwrap();

    let error = insist("commit", || first.broker.commit()).unwrap_err();
    assert_eq!((error.kind, error.fenced), (ErrorKind::Fatal, true), "{error}");
    assert_eq!(values(kafka, &sink, 1), [["seen"]]);

    first.producer();
    first.broker.begin().unwrap();
    first.produce(0, b"k", b"again", 1);
    insist("commit", || first.broker.commit()).unwrap();
    assert_eq!(values(kafka, &sink, 1), [["seen", "again"]]);
}

#[test]
fn an_open_transaction_holds_back_the_end_of_its_partition() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("in", 1);
    let group = unique("group");
    let mut writer = Lane::new(options(kafka, "^nothing$", &topic, &unique("group")));
    writer.producer();
    writer.broker.begin().unwrap();
    writer.produce(0, b"k", b"v", 1);
    let mut reader = Lane::new(options(kafka, &topic, "none", &group));
    reader.begin_at_zero(1);
    let held = |events: &[Event]| {
        events.iter().any(|event| match event {
            Event::Ends { ends: Some(ends), .. } => ends.last_stable == 0 && ends.high_watermark == 1,
            _ => false,
        })
    };
    reader.until("open transaction", |lane| {
        writer.step();
        lane.broker.ask_ends(0);
        held(&lane.events)
    });
    assert!(reader.seen.is_empty());
    insist("commit", || writer.broker.commit()).unwrap();
    // One record and the marker of the commit.
    reader.until("end", |lane| lane.events.contains(&Event::End { slot: 0, offset: 2 }));
    assert_eq!(reader.seen.len(), 1);
}

#[test]
fn a_record_over_the_topics_limit_is_named_after_the_commit_fails() {
    let kafka = Kafka::shared();
    let (topic, sink) = (kafka.topic("in", 1), unique("out"));
    let small = tidemill::kafka::NewTopic {
        name: sink.clone(),
        partitions: 1,
        replication: 1,
        config: vec![("max.message.bytes".into(), "2000".into())],
    };
    kafka.admin("").create_topics(&[small]).unwrap();
    let mut options = options(kafka, &topic, &sink, &unique("group"));
    options.compression = "none".into();
    let mut lane = Lane::new(options);
    insist("producer", || lane.broker.renew_producer(true)).unwrap();
    lane.broker.begin().unwrap();
    lane.produce(0, b"k", b"small", 1);
    lane.produce(0, b"k", &[7; 5_000], 2);
    let error = insist("commit", || lane.broker.commit()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Abort, "{error}");
    let mut refused = Vec::new();
    lane.broker.refused(&mut refused);
    assert_eq!(refused.iter().map(|(token, _)| *token).collect::<Vec<_>>(), [2], "{refused:?}");
    insist("abort", || lane.broker.abort()).unwrap();
    lane.producer();
    lane.broker.begin().unwrap();
    lane.produce(0, b"k", b"small", 1);
    insist("commit", || lane.broker.commit()).unwrap();
    assert_eq!(values(kafka, &sink, 1), [["small"]]);

    lane.broker.begin().unwrap();
    let giant = lane.broker.produce(&outgoing(0, Some(b"k"), Some(&vec![0; 2 << 20]), 3));
    assert!(matches!(giant, Err(ProduceError::Refused(_))), "{giant:?}");
    insist("abort", || lane.broker.abort()).unwrap();
}
