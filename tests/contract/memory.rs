//! The in-memory broker under the contract, in virtual time.

use crate::harness::{Harness, Rec, Spec, T0};
use std::time::Duration;
use tidemill::clock::ManualClock;
use tidemill::sim::{ClientOptions, Cluster, Isolation, SimClient};

pub struct Memory {
    clock: ManualClock,
    cluster: Cluster,
    names: u32,
}

impl Memory {
    pub fn new() -> Self {
        let clock = ManualClock::at(T0 + 1_000_000);
        Self { cluster: Cluster::virtual_time(&clock), clock, names: 0 }
    }
}

impl Harness for Memory {
    type Client = SimClient;

    fn fresh(&mut self, stem: &str) -> String {
        self.names += 1;
        format!("{stem}-{}", self.names)
    }

    fn create_topic(&mut self, name: &str, partitions: i32) {
        self.cluster.create_topic(name, partitions);
    }

    fn limit_message_bytes(&mut self, topic: &str, bytes: usize) {
        self.cluster.set_max_message_bytes(topic, bytes);
    }

    fn append(&mut self, topic: &str, partition: i32, record: &Rec) -> i64 {
        let headers: Vec<_> = record.headers.iter().map(|(name, value)| (&name[..], value.as_deref())).collect();
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        self.cluster.append(topic, partition, record.timestamp_ms, key, value, &headers).expect("the partition exists")
    }

    fn delete_records(&mut self, topic: &str, partition: i32, before: i64) {
        self.cluster.delete_records(topic, partition, before);
    }

    fn read_committed(&mut self, topic: &str, partition: i32) -> Vec<(i64, Rec)> {
        let stored = self.cluster.read(topic, partition, Isolation::Committed);
        let record = |stored: tidemill::sim::Stored| {
            let tidemill::sim::Stored { offset, timestamp_ms, key, value, headers } = stored;
            (offset, Rec { timestamp_ms, key, value, headers })
        };
        stored.into_iter().map(record).collect()
    }

    fn client(&mut self, spec: &Spec) -> SimClient {
        let topics: Vec<_> = spec.topics.iter().map(String::as_str).collect();
        let mut options = ClientOptions::new(&spec.group, &spec.transactional_id, &topics, &spec.sink);
        options.session_timeout = spec.session_timeout;
        options.max_poll_interval = spec.session_timeout;
        options.transaction_timeout = spec.transaction_timeout;
        self.cluster.client(options)
    }

    fn pass(&mut self, time: Duration) {
        self.clock.advance(time);
    }

    fn poll_timeout(&self) -> Duration {
        Duration::ZERO
    }
}
