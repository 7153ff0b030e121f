//! One pipeline with topics, a group and a file of its own.

use crate::process::{PATIENCE, Worker};
use crate::read_back;
use crate::support::kafka::{Kafka, unique};
use std::path::PathBuf;
use tempfile::TempDir;
use tidemill::broker::{Headers, TopicPartition};
use tidemill::config::{self, Config};
use tidemill::kafka::{Loader, NewTopic};

/// Partitions of every topic, unless a test says otherwise.
pub const PARTITIONS: i32 = 4;

/// What a test changes of the usual pipeline; each text stands in the file as it is here.
#[derive(Clone)]
pub struct Setup {
    pub partitions: i32,
    pub brokers: Option<String>,
    /// Further keys of `kafka`, one on each line.
    pub kafka: Vec<String>,
    pub source: String,
    pub window: String,
    pub aggregate: String,
    /// Further sections.
    pub rest: String,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            partitions: PARTITIONS,
            brokers: None,
            kafka: Vec::new(),
            source: "time: { field: t, format: unix_ms }, max_ahead: off".into(),
            window: "tumbling: 10s, grace: 5s, idle: off".into(),
            aggregate: "n: count, total: { sum: v }, lowest: { min: v }, last: { last: v }".into(),
            rest: String::new(),
        }
    }
}

/// The pipeline on its broker.
pub struct Stage<'a> {
    pub kafka: &'a Kafka,
    pub setup: Setup,
    pub group: String,
    pub source: String,
    pub sink: String,
    pub late: String,
    pub dead: String,
    folder: TempDir,
}

impl<'a> Stage<'a> {
    /// Creates the topics.
    pub fn new(kafka: &'a Kafka, hint: &str, setup: Setup) -> Self {
        let stage = Self::without_topics(kafka, hint, setup);
        stage.create(&[&stage.source, &stage.sink, &stage.late, &stage.dead]);
        stage
    }

    /// Creates no topics.
    pub fn without_topics(kafka: &'a Kafka, hint: &str, setup: Setup) -> Self {
        let group = unique(hint);
        let named = |what: &str| format!("{group}-{what}");
        let [source, sink, late, dead] = ["in", "out", "late", "dead"].map(named);
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        Self { kafka, setup, group, source, sink, late, dead, folder }
    }

    /// Creates topics that keep old records for ever.
    pub fn create(&self, names: &[&str]) {
        let keep = ["retention.ms", "segment.ms"].map(|name| (name.to_owned(), "-1".to_owned()));
        let config = vec![keep[0].clone(), (keep[1].0.clone(), i64::MAX.to_string())];
        let topic = |name: &&str| NewTopic {
            name: (*name).to_owned(),
            partitions: self.setup.partitions,
            replication: 1,
            config: config.clone(),
        };
        self.kafka.admin("").create_topics(&names.iter().map(topic).collect::<Vec<_>>()).unwrap();
    }

    /// The text of the pipeline for a worker in this place of the deployment.
    pub fn text(&self, instance: &str) -> String {
        let Self { group, source, sink, late, dead, .. } = self;
        let Setup { source: more, window, aggregate, rest, .. } = &self.setup;
        let brokers = self.setup.brokers.clone().unwrap_or_else(|| self.kafka.brokers());
        let kafka: String = self.setup.kafka.iter().map(|line| format!("  {line}\n")).collect();
        let topics = if more.contains("topics:") { String::new() } else { format!("topics: [{source}], ") };
        format!(
            "name: {group}\nkafka:\n  brokers: {brokers}\n  instance: {instance}\n{kafka}\
             source: {{ {topics}{more} }}\nwindow: {{ {window} }}\naggregate: {{ {aggregate} }}\n\
             sink: {{ topic: {sink} }}\nlate: {{ topic: {late} }}\ndead_letter: {{ topic: {dead} }}\n\
             http: {{ listen: 127.0.0.1:0 }}\n{rest}\n"
        )
    }

    /// The same in a file.
    pub fn file(&self, instance: &str) -> PathBuf {
        let path = self.folder.path().join(format!("{instance}.yaml"));
        std::fs::write(&path, self.text(instance)).unwrap();
        path
    }

    /// Starts a worker in this place of the deployment.
    pub fn worker(&self, instance: &str) -> Worker {
        Worker::start(&format!("worker {instance} of {}", self.group), &self.file(instance))
    }

    /// The pipeline as tidemill reads it.
    pub fn config(&self) -> Config {
        let text = self.text("config");
        config::parse("pipeline", &text, self.folder.path(), &|_| None).unwrap_or_else(|all| panic!("{all:?}")).config
    }

    /// A partition of the source.
    pub fn partition(&self, partition: i32) -> TopicPartition {
        TopicPartition { topic: self.source.as_str().into(), partition }
    }

    /// True if a topic holds so many committed records; asked anew each time.
    pub fn has(&self, topic: &str, count: usize) -> bool {
        read_back::count(self.kafka, topic, self.setup.partitions, count) >= count
    }

    /// A writer to the source.
    pub fn loader(&self) -> Loader {
        Loader::open(&self.kafka.config(""), &self.source).unwrap()
    }

    /// Writes records with these keys and values to the partitions of their keys.
    pub fn load<K: AsRef<[u8]>, V: AsRef<[u8]>>(&self, records: impl IntoIterator<Item = (K, V)>) {
        let mut loader = self.loader();
        for (key, value) in records {
            let (key, value) = (Some(key.as_ref()), Some(value.as_ref()));
            loader.send(-1, 1_000, key, value, Headers::default()).unwrap();
        }
        loader.flush(PATIENCE).unwrap();
    }
}

/// A key whose records go to this partition.
pub fn key_of(partition: i32, partitions: i32) -> Vec<u8> {
    let keys = (0..).map(|number| format!("last-{number}").into_bytes());
    keys.into_iter().find(|key| crate::support::model::murmur2::partition(key, partitions) == partition).unwrap()
}
