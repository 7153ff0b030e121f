//! What is asked of the memory: the records, the pipeline that takes them, and what must come out.
//!
//! Every load is a formula, so that what must come out is known without a model that would hold it all.

use super::sum::Sum;
use crate::process::PATIENCE;
use crate::stage::{Setup, Stage};
use crate::support::kafka::Kafka;
use tidemill::broker::Headers;
use tidemill::config;
use tidemill::kafka::{Loader, NewTopic};

pub const PARTITIONS: i32 = 2;
/// Long after everything else: closes every window but its own.
const LAST_MS: i64 = 1_000_000_000;

/// A codec of Kafka, as `compression.type` has it.
pub const CODECS: [&str; 4] = ["gzip", "snappy", "lz4", "zstd"];

/// One row of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// So many keys, one record each, in one window.
    Keys(u64),
    /// So many records of one key, in a hundred windows.
    HotKey(u64),
    /// So many records of a megabyte.
    Large(u64),
    /// So many windows open at once, three keys each.
    Windows(u64),
    /// A hundred windows of so many keys, and a broker that stands still for some seconds in between.
    StalledBroker(u64),
    /// The same, and a topic of results that takes nothing for some seconds.
    BlockedSink(u64),
    /// So many records of a megabyte of one letter, in one batch of this codec.
    Bomb { codec: &'static str, records: u64 },
}

impl Load {
    /// For people and for names of topics.
    pub fn name(self) -> String {
        match self {
            Self::Keys(count) => format!("{count}-keys"),
            Self::HotKey(count) => format!("hot-key-{count}"),
            Self::Large(count) => format!("{count}-large"),
            Self::Windows(count) => format!("{count}-windows"),
            Self::StalledBroker(count) => format!("stalled-broker-{count}"),
            Self::BlockedSink(count) => format!("blocked-sink-{count}"),
            Self::Bomb { codec, records } => format!("{codec}-bomb-{records}"),
        }
    }

    /// The pipeline under this budget.
    pub fn setup(self, budget_mib: u64) -> Setup {
        let grace = if matches!(self, Self::Windows(_)) { "48h" } else { "5s" };
        let size = if matches!(self, Self::Windows(_)) { "1s" } else { "10s" };
        Setup {
            partitions: PARTITIONS,
            source: "time: { field: t, format: unix_ms }, max_ahead: off, max_record: 1MiB".into(),
            window: format!("tumbling: {size}, grace: {grace}, idle: off"),
            aggregate: "n: count".into(),
            kafka: vec!["consumer_properties: { session.timeout.ms: 6000, heartbeat.interval.ms: 500 }".into()],
            rest: format!("memory: {{ budget: {budget_mib}MiB }}\nlanes: 1\ncommit: {{ timeout: 5s }}\n"),
            ..Setup::default()
        }
    }

    /// What `plan` is told of it: distinct keys, and records a second of event time.
    pub fn told(self) -> (u64, u64) {
        match self {
            // Keys are drawn by chance, says the plan: only with many more records than keys is every key in a window.
            Self::Keys(count) => (count, count),
            Self::StalledBroker(count) | Self::BlockedSink(count) => (count, count / 10),
            Self::HotKey(count) => (1, count / 1_000),
            Self::Windows(_) => (3, 3),
            Self::Large(count) | Self::Bomb { records: count, .. } => (7, count),
        }
    }

    /// Calls `each` with key, time and size of the padding of every record; equal every time.
    fn records(self, mut each: impl FnMut(&[u8], i64, usize)) {
        const MEGABYTE: usize = 1_000_000;
        match self {
            Self::Keys(count) => (0..count).for_each(|n| each(format!("key-{n:09}").as_bytes(), 1_000, 0)),
            Self::HotKey(count) => {
                (0..count).for_each(|n| each(b"hot", (n * 100 / count) as i64 * 10_000, 0));
            }
            Self::StalledBroker(count) | Self::BlockedSink(count) => (0..100).for_each(|window| {
                (0..count).for_each(|n| each(format!("key-{n:09}").as_bytes(), window * 10_000, 0));
            }),
            Self::Large(count) | Self::Bomb { records: count, .. } => {
                (0..count).for_each(|n| each(format!("large-{}", n % 7).as_bytes(), 1_000 + n as i64, MEGABYTE));
            }
            Self::Windows(count) => (0..count).for_each(|n| {
                for key in ["a", "b", "c"] {
                    each(key.as_bytes(), n as i64 * 1_000, 0);
                }
            }),
        }
    }

    /// Creates the topics and writes the records.
    pub fn write(self, stage: &Stage<'_>) {
        let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut settings = vec![own("retention.ms", "-1"), own("max.message.bytes", "100000000")];
        if let Self::Bomb { codec, .. } = self {
            settings.push(own("compression.type", codec));
        }
        let names = [&stage.source, &stage.sink, &stage.late, &stage.dead];
        let topic = |name: &String| NewTopic {
            name: name.clone(),
            partitions: PARTITIONS,
            replication: 1,
            config: settings.clone(),
        };
        stage.kafka.admin("").create_topics(&names.map(topic)).unwrap();
        let mut loader = Loader::open(&self.writer(stage.kafka), &stage.source).unwrap();
        let mut text = Vec::new();
        self.records(|key, time_ms, padding| {
            value(&mut text, time_ms, padding);
            loader.send(-1, time_ms + 1, Some(key), Some(&text), Headers::default()).unwrap();
        });
        // Behind everything else, wherever that went.
        loader.flush(8 * PATIENCE).unwrap();
        for partition in 0..PARTITIONS {
            value(&mut text, LAST_MS, 0);
            loader.send(partition, LAST_MS, Some(b"last"), Some(&text), Headers::default()).unwrap();
        }
        loader.flush(PATIENCE).unwrap();
    }

    /// Batches as they usually are, but for a bomb, which is one.
    fn writer(self, kafka: &Kafka) -> config::Kafka {
        let mut config = kafka.config("");
        let bomb = [("batch.size", "90000000"), ("linger.ms", "200"), ("socket.timeout.ms", "120000")];
        // A record of a megabyte is a batch of its own; else a batch is as large as that of a Java producer.
        let mut properties = vec![("message.max.bytes", "95000000"), ("batch.size", "16384")];
        if matches!(self, Self::Bomb { .. }) {
            properties.extend(bomb);
        }
        config.producer_properties = properties.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        config
    }

    /// What must come out.
    pub fn expected(self) -> Sum {
        let mut sum = Sum::default();
        match self {
            // One record each: nothing has to be counted.
            Self::Keys(count) => (0..count).for_each(|n| sum.add(format!("key-{n:09}").as_bytes(), 0, 1)),
            _ => {
                let size_ms = if matches!(self, Self::Windows(_)) { 1_000 } else { 10_000 };
                let mut counts = std::collections::BTreeMap::<(Vec<u8>, i64), u64>::new();
                self.records(|key, time_ms, _| {
                    *counts.entry((key.to_vec(), time_ms - time_ms % size_ms)).or_default() += 1;
                });
                counts.iter().for_each(|((key, start_ms), count)| sum.add(key, *start_ms, *count));
            }
        }
        sum
    }
}

fn value(text: &mut Vec<u8>, time_ms: i64, padding: usize) {
    text.clear();
    text.extend_from_slice(format!("{{\"t\":{time_ms},\"pad\":\"").as_bytes());
    text.resize(text.len() + padding, b'x');
    text.extend_from_slice(b"\"}");
}
