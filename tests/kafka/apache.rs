//! Apache Kafka under the contract, in real time.

use crate::harness::{Harness, Rec, Spec};
use crate::kafka::{Kafka, unique};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tidemill::broker::{Event, Headers, RecordBatch, TopicPartition, write_header};
use tidemill::budget::Settings;
use tidemill::config::Protocol;
use tidemill::kafka::{Admin, KafkaBroker, Loader, NewTopic, Options, Reader};

/// The broker that all tests share; every test has topics, groups and ids of its own.
pub struct Apache {
    kafka: &'static Kafka,
    admin: Admin,
    loaders: HashMap<String, Loader>,
    protocol: Protocol,
}

/// Longest wait for what the harness itself asks for.
const PATIENCE: Duration = Duration::from_secs(30);

/// The markers of a commit that was answered are there by then.
const MARKERS: Duration = Duration::from_millis(500);

impl Apache {
    pub fn new(protocol: Protocol) -> Self {
        let kafka = Kafka::shared();
        Self { kafka, admin: kafka.admin(""), loaders: HashMap::new(), protocol }
    }

    fn partition(topic: &str, partition: i32) -> TopicPartition {
        TopicPartition { topic: topic.into(), partition }
    }

    fn ends(&mut self, topic: &str, partition: i32) -> tidemill::broker::Ends {
        self.admin.logs(&[Self::partition(topic, partition)]).expect("the log answers")[0].ends
    }
}

impl Harness for Apache {
    type Client = KafkaBroker;

    fn fresh(&mut self, stem: &str) -> String {
        unique(stem)
    }

    fn create_topic(&mut self, name: &str, partitions: i32) {
        let config = vec![("retention.ms".into(), "-1".into())];
        let topic = NewTopic { name: name.into(), partitions, replication: 1, config };
        self.admin.create_topics(&[topic]).expect("the topic is created");
    }

    fn limit_message_bytes(&mut self, topic: &str, bytes: usize) {
        self.admin.set_topic_config(topic, "max.message.bytes", &bytes.to_string()).expect("the limit is set");
        // The controller has it now; the log follows at the broker's next look.
        std::thread::sleep(MARKERS);
    }

    fn append(&mut self, topic: &str, partition: i32, record: &Rec) -> i64 {
        let config = self.kafka.config("");
        let open = || Loader::open(&config, topic).expect("a loader");
        let loader = self.loaders.entry(topic.into()).or_insert_with(open);
        let mut headers = Vec::new();
        for (name, value) in &record.headers {
            write_header(&mut headers, name, value.as_deref());
        }
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        loader.send(partition, record.timestamp_ms, key, value, Headers(&headers)).expect("the record is taken");
        loader.flush(PATIENCE).expect("the record is written");
        self.ends(topic, partition).high_watermark - 1
    }

    fn delete_records(&mut self, topic: &str, partition: i32, before: i64) {
        self.admin.delete_records(&[(Self::partition(topic, partition), before)]).expect("the records are deleted");
    }

    fn read_committed(&mut self, topic: &str, partition: i32) -> Vec<(i64, Rec)> {
        // A commit is answered once it is decided; its markers follow. A transaction that is open stays so.
        let deadline = Instant::now() + MARKERS;
        let mut ends = self.ends(topic, partition);
        while ends.last_stable < ends.high_watermark && Instant::now() < deadline {
            ends = self.ends(topic, partition);
        }
        let end = ends.last_stable;
        let mut reader = Reader::open(&self.kafka.config(""), topic, [partition]).expect("a reader");
        let (mut batch, mut events) = (RecordBatch::new(1 << 20, 1_000), Vec::new());
        let deadline = Instant::now() + PATIENCE;
        let ended = |event: &Event| matches!(event, Event::End { offset, .. } if *offset >= end);
        while !events.iter().any(ended) {
            assert!(Instant::now() < deadline, "no end of {topic}[{partition}]: {events:?}");
            reader.poll(&mut batch, &mut events, Duration::from_millis(50)).expect("poll");
        }
        let read = batch.iter().filter(|record| record.offset < end).map(|record| {
            let copy = |bytes: &[u8]| bytes.to_vec();
            let headers = record.headers.iter().map(|(name, value)| (copy(name), value.map(copy))).collect();
            let (key, value) = (record.key.map(copy), record.value.map(copy));
            (record.offset, Rec { timestamp_ms: record.timestamp_ms, key, value, headers })
        });
        read.collect()
    }

    fn client(&mut self, spec: &Spec) -> KafkaBroker {
        let mut kafka = self.kafka.config(&spec.group);
        kafka.protocol = self.protocol;
        let session = spec.session_timeout.as_millis().to_string();
        for (name, value) in [
            ("session.timeout.ms", session.as_str()),
            ("max.poll.interval.ms", session.as_str()),
            ("heartbeat.interval.ms", "300"),
            ("topic.metadata.refresh.interval.ms", "500"),
        ] {
            kafka.consumer_properties.insert(name.into(), value.into());
        }
        let options = Options {
            kafka,
            topics: spec.topics.clone(),
            sink: spec.sink.clone(),
            late: None,
            dead_letter: None,
            transactional_id: spec.transactional_id.clone(),
            instance: None,
            commit_timeout: spec.transaction_timeout,
            settings: Settings::default(),
            compression: "lz4".into(),
            reports: None,
        };
        KafkaBroker::connect(options).expect("a client")
    }

    fn pass(&mut self, time: Duration) {
        std::thread::sleep(time);
    }

    fn poll_timeout(&self) -> Duration {
        Duration::from_millis(10)
    }
}
