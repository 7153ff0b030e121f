//! What the worker asks and settles beside the lanes: topics, groups, positions, the start of a new group.

use crate::kafka::{Kafka, unique};
use crate::lane::{Lane, PATIENCE, insist, load, options, position, values};
use std::time::Duration;
use tidemill::broker::{Broker, TopicPartition};
use tidemill::error::ErrorKind;
use tidemill::kafka::{self as client, NewTopic};

fn at(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: topic.into(), partition }
}

#[test]
fn topics_and_their_settings_are_told() {
    let kafka = Kafka::shared();
    let mut admin = kafka.admin("");
    let name = unique("settings");
    assert_eq!(admin.topic(&name).unwrap(), None);
    let config = vec![("retention.ms".into(), "-1".into()), ("cleanup.policy".into(), "compact".into())];
    let topic = NewTopic { name: name.clone(), partitions: 3, replication: 1, config };
    admin.create_topics(std::slice::from_ref(&topic)).unwrap();
    admin.create_topics(&[topic]).expect("a topic that is there already is no error");
    let told = admin.topic(&name).unwrap().unwrap();
    assert_eq!((told.name.as_str(), told.partitions), (name.as_str(), 3));
    assert_ne!(told.id.0, [0; 16]);
    let settings = admin.topic_config(&name).unwrap();
    assert_eq!((settings["retention.ms"].as_str(), settings["cleanup.policy"].as_str()), ("-1", "compact"));
    assert_eq!(admin.topic_config("no-such-topic").unwrap_err().kind, ErrorKind::Fatal);
    let impossible = NewTopic { name: "in valid".into(), partitions: 1, replication: 1, config: Vec::new() };
    assert_eq!(admin.create_topics(&[impossible]).unwrap_err().kind, ErrorKind::Fatal);
}

#[test]
fn source_partitions_are_counted_without_our_own_topics() {
    let kafka = Kafka::shared();
    let prefix = unique("source");
    let (one, two, own) = (kafka.topic(&prefix, 1), kafka.topic(&prefix, 2), kafka.topic(&prefix, 3));
    let mut admin = kafka.admin("");
    let mut find =
        |pattern: &str| client::source_partitions(&mut admin, &[pattern.to_owned()], std::slice::from_ref(&own));
    assert_eq!(find(&format!("^{prefix}-.*")).unwrap(), [at(&one, 0), at(&two, 0), at(&two, 1)]);
    assert_eq!(find(&one).unwrap(), [at(&one, 0)]);
    assert_eq!(find("missing").unwrap_err().kind, ErrorKind::Retry);
    assert_eq!(find("^(").unwrap_err().kind, ErrorKind::Fatal);
    let both = [one.clone(), format!("^{one}$")];
    assert_eq!(client::source_partitions(&mut admin, &both, &[]).unwrap(), [at(&one, 0)]);
}

#[test]
fn positions_are_set_and_erased_only_while_the_group_is_empty() {
    let kafka = Kafka::shared();
    let (topic, group) = (kafka.topic("in", 2), unique("group"));
    let mut admin = kafka.admin(&group);
    let all = [at(&topic, 0), at(&topic, 1)];
    assert_eq!(admin.positions(&all).unwrap(), [None, None]);
    assert_eq!(admin.group().unwrap().members, []);
    admin.set_positions(&[position(&at(&topic, 0), 5, "meta"), position(&at(&topic, 1), 6, "")]).unwrap();
    admin.delete_positions(&[at(&topic, 1)]).unwrap();
    let expected = [Some(position(&all[0], 5, "meta").committed), None];
    assert_eq!(admin.positions(&all).unwrap(), expected);

    let mut lane = Lane::new(options(kafka, &topic, "none", &group));
    lane.begin_at_zero(2);
    lane.until("a stable group", |_| admin.group().unwrap().state == "Stable");
    let told = admin.group().unwrap();
    assert_eq!((told.members.len(), told.members[0].partitions.len()), (1, 2), "{told:?}");
    let error = admin.set_positions(&[position(&at(&topic, 0), 0, "")]).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Abort, "{error}");
    let error = admin.delete_positions(&[at(&topic, 0)]).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Abort, "{error}");
    assert_eq!(admin.positions(&all).unwrap(), expected);
    lane.broker.close(PATIENCE);
    assert_eq!(admin.group().unwrap().members, []);
}

#[test]
fn a_new_group_is_pinned_once_to_the_ends() {
    let kafka = Kafka::shared();
    let (topic, group) = (kafka.topic("in", 2), unique("group"));
    load(kafka, &topic, 1, 10);
    let mut admin = kafka.admin(&group);
    let all = [at(&topic, 0), at(&topic, 1)];
    let metadata = |name: &TopicPartition, offset: i64| format!("{}@{offset}", name.partition);
    assert!(client::pin_start(&mut admin, &all, metadata).unwrap());
    load(kafka, &topic, 1, 10);
    assert!(!client::pin_start(&mut admin, &all, metadata).unwrap(), "the group has begun");
    let mut lane = Lane::new(options(kafka, &topic, "none", &group));
    let committed = insist("committed", || lane.broker.committed(&all)).unwrap();
    let expected = [position(&all[0], 0, "0@0").committed, position(&all[1], 10, "1@10").committed];
    assert_eq!(committed, expected.map(Some));

    // A member that has not committed yet must do so first.
    let other = unique("group");
    let mut lane = Lane::new(options(kafka, &topic, "none", &other));
    lane.begin_at_zero(2);
    let mut admin = kafka.admin(&other);
    lane.until("membership", |_| !admin.group().unwrap().members.is_empty());
    assert_eq!(client::pin_start(&mut admin, &all, metadata).unwrap_err().kind, ErrorKind::Retry);
}

#[test]
fn an_abandoned_transaction_ends_when_its_id_is_initialised() {
    let kafka = Kafka::shared();
    let sink = kafka.topic("out", 1);
    let options = options(kafka, "^nothing$", &sink, &unique("group"));
    let ids = [options.transactional_id.clone(), unique("never-used")];
    let mut lane = Lane::new(options);
    lane.producer();
    lane.broker.begin().unwrap();
    lane.produce(0, b"k", b"v", 1);
    let mut admin = kafka.admin("");
    lane.until("an open transaction", |_| admin.logs(&[at(&sink, 0)]).unwrap()[0].ends.high_watermark == 1);
    drop(lane);
    assert_eq!(admin.logs(&[at(&sink, 0)]).unwrap()[0].ends.last_stable, 0);
    client::init_transactional_ids(&kafka.config(""), &ids, PATIENCE).unwrap();
    assert_eq!(admin.logs(&[at(&sink, 0)]).unwrap()[0].ends.last_stable, 2);
    assert!(values(kafka, &sink, 1)[0].is_empty());
}

#[test]
fn properties_that_librdkafka_refuses_are_named_before_anything_connects() {
    let kafka = Kafka::shared();
    let with = |name: &str, value: &str| {
        let mut options = options(kafka, "in", "out", "group");
        options.kafka.properties.insert(name.into(), value.into());
        client::KafkaBroker::connect(options).map(drop).unwrap_err()
    };
    for (name, value) in [("no.such.property", "x"), ("socket.timeout.ms", "0"), ("acks", "0")] {
        let error = with(name, value);
        assert_eq!(error.kind, ErrorKind::Fatal);
        assert!(error.message.contains(name), "{error}");
    }
    assert!(!with("security.protocol", "hunter2").message.contains("hunter2"));
}

#[test]
fn nobody_there_is_an_answer_within_the_timeout() {
    let mut config = Kafka::shared().config("group");
    config.brokers = "127.0.0.1:1".into();
    let mut admin = client::Admin::connect(&config, Duration::from_millis(500)).unwrap();
    let since = std::time::Instant::now();
    assert_eq!(admin.topics().unwrap_err().kind, ErrorKind::Retry);
    assert_eq!(admin.topic("x").unwrap_err().kind, ErrorKind::Retry);
    assert_eq!(admin.positions(&[at("x", 0)]).unwrap_err().kind, ErrorKind::Retry);
    drop(admin);
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
}
