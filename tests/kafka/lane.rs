//! What the tests of this folder share: a lane's broker with a small loop around it, and records to feed it.

use crate::kafka::{Kafka, unique};
use std::time::{Duration, Instant};
use tidemill::broker::{Broker, CommitOffset, Committed, Event, Headers, Outgoing, Outlet, RecordBatch, Start};
use tidemill::broker::{TopicPartition, write_header};
use tidemill::budget::Settings;
use tidemill::error::{BrokerError, ErrorKind};
use tidemill::kafka::{KafkaBroker, Loader, Options, Reader};

/// Longest wait for anything that must come.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A record that has been read: slot, offset, key, value.
pub type Seen = (u32, i64, Option<Vec<u8>>, Option<Vec<u8>>);

/// A broker and what came out of it.
pub struct Lane {
    pub broker: KafkaBroker,
    pub batch: RecordBatch,
    pub seen: Vec<Seen>,
    pub events: Vec<Event>,
}

pub fn options(kafka: &Kafka, topic: &str, sink: &str, group: &str) -> Options {
    Options {
        kafka: kafka.config(group),
        topics: vec![topic.to_owned()],
        sink: sink.to_owned(),
        late: None,
        dead_letter: None,
        transactional_id: unique(group),
        instance: None,
        commit_timeout: Duration::from_secs(10),
        settings: Settings::default(),
        compression: "lz4".into(),
        reports: None,
    }
}

impl Lane {
    pub fn new(options: Options) -> Self {
        let broker = KafkaBroker::connect(options).unwrap();
        Self { broker, batch: RecordBatch::new(1 << 20, 1000), seen: Vec::new(), events: Vec::new() }
    }

    /// Polls once and keeps what came.
    pub fn step(&mut self) {
        self.batch.clear();
        self.broker.poll(&mut self.batch, &mut self.events, Duration::from_millis(50)).unwrap();
        self.seen.extend(self.batch.iter().map(|record| {
            let copy = |bytes: &[u8]| bytes.to_vec();
            (record.slot, record.offset, record.key.map(copy), record.value.map(copy))
        }));
    }

    /// Polls until `done`, and says what is there if it never comes.
    pub fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < deadline, "no {what}: {} records, {:?}", self.seen.len(), self.events);
            self.step();
        }
    }

    /// Waits for an assignment of `count` partitions in all; answers nothing.
    pub fn assigned(&mut self, count: usize) -> Vec<TopicPartition> {
        self.until("assignment", |lane| assigned(&lane.events).len() >= count);
        let mut all = assigned(&self.events);
        self.events.retain(|event| !matches!(event, Event::Assigned(_)));
        all.sort();
        all
    }

    /// Waits for `count` partitions and starts all of them at 0; slot = number of the partition.
    pub fn begin_at_zero(&mut self, count: usize) -> Vec<TopicPartition> {
        let all = self.assigned(count);
        self.broker.assign(&starts(&all, 0)).unwrap();
        all
    }

    /// Makes a producer.
    pub fn producer(&mut self) {
        insist("producer", || self.broker.renew_producer(false)).unwrap();
    }

    pub fn produce(&mut self, partition: i32, key: &[u8], value: &[u8], token: u64) {
        self.broker.produce(&outgoing(partition, Some(key), Some(value), token)).unwrap();
    }

    /// Commits offsets and whatever was produced.
    pub fn commit(&mut self, offsets: &[CommitOffset]) -> Result<(), BrokerError> {
        insist("offsets", || self.broker.send_offsets(offsets))?;
        insist("commit", || self.broker.commit())
    }
}

/// Makes a call until it is not "retry", or patience ends.
pub fn insist<T>(what: &str, mut call: impl FnMut() -> Result<T, BrokerError>) -> Result<T, BrokerError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match call() {
            Err(error) if error.kind == ErrorKind::Retry => {
                assert!(Instant::now() < deadline, "no end of retries for {what}: {error}");
            }
            other => return other,
        }
    }
}

pub fn assigned(events: &[Event]) -> Vec<TopicPartition> {
    let names = events.iter().filter_map(|event| match event {
        Event::Assigned(names) => Some(names.clone()),
        _ => None,
    });
    names.flatten().collect()
}

pub fn starts(partitions: &[TopicPartition], offset: i64) -> Vec<Start> {
    let start = |name: &TopicPartition| Start { partition: name.clone(), slot: name.partition as u32, offset };
    partitions.iter().map(start).collect()
}

pub fn outgoing<'a>(partition: i32, key: Option<&'a [u8]>, value: Option<&'a [u8]>, token: u64) -> Outgoing<'a> {
    let headers = Headers::default();
    Outgoing { outlet: Outlet::Sink, partition, timestamp_ms: 1_000, key, value, headers, token }
}

pub fn position(partition: &TopicPartition, offset: i64, metadata: &str) -> CommitOffset {
    let committed = Committed { offset, metadata: metadata.into() };
    CommitOffset { partition: partition.clone(), committed }
}

/// Writes `count` records `k<i>` → `v<i>` to one partition; every 10th has a null key, every 7th headers.
pub fn load(kafka: &Kafka, topic: &str, partition: i32, count: usize) {
    let mut loader = Loader::open(&kafka.config(""), topic).unwrap();
    let mut bytes = Vec::new();
    write_header(&mut bytes, b"h", Some(b"1"));
    write_header(&mut bytes, b"h", None);
    for index in 0..count {
        let (key, value) = (format!("k{index}"), format!("v{index}"));
        let key = (index % 10 != 9).then_some(key.as_bytes());
        let headers = if index % 7 == 6 { Headers(&bytes) } else { Headers::default() };
        loader.send(partition, 1_000 + index as i64, key, Some(value.as_bytes()), headers).unwrap();
    }
    loader.flush(PATIENCE).unwrap();
}

/// All committed values of a topic, by partition, up to its end.
pub fn values(kafka: &Kafka, topic: &str, partitions: i32) -> Vec<Vec<String>> {
    let mut reader = Reader::open(&kafka.config(""), topic, 0..partitions).unwrap();
    let (mut batch, mut events) = (RecordBatch::new(1 << 20, 1000), Vec::new());
    let mut all = vec![Vec::new(); partitions as usize];
    let deadline = Instant::now() + PATIENCE;
    let ends = |events: &[Event]| events.iter().filter(|event| matches!(event, Event::End { .. })).count();
    while ends(&events) < partitions as usize {
        assert!(Instant::now() < deadline, "no end of {topic}: {events:?}");
        batch.clear();
        reader.poll(&mut batch, &mut events, Duration::from_millis(50)).unwrap();
        for record in batch.iter() {
            let value = String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned();
            all[record.slot as usize].push(value);
        }
    }
    all
}
