//! The world's source records: bursts over time, in and outside of transactions, some of which are aborted.

use super::plan::HUGE_BYTES;
use super::world::World;
use crate::support::generate;
use tidemill::broker::{Broker, Headers, Outgoing, Outlet};
use tidemill::sim::{ClientOptions, SimClient};

/// A producer of source records with transactions of its own.
#[derive(Default)]
pub struct Writer {
    pub client: Option<SimClient>,
    pub topic: usize,
    pub is_open: bool,
}

impl World {
    /// A burst of records.
    pub fn write(&mut self) {
        let source = self.random.between(0, self.plan.sources.len() as i64 - 1) as usize;
        let (topic, partitions) = self.plan.sources[source];
        let burst = if self.plan.rides { 1 } else { self.random.pick(&[1, 1, 3, 12]) };
        let in_transaction = (self.random.chance(80) && !self.plan.rides) || self.writer.is_open;
        for _ in 0..burst {
            let partition = self.random.between(0, i64::from(partitions) - 1) as i32;
            let partition = if self.cluster.bounds(topic, partition).is_some() { partition } else { 0 };
            self.write_one(source, topic, partition, in_transaction);
        }
        if in_transaction && self.random.chance(600) {
            self.end_writing();
        }
    }

    fn write_one(&mut self, source: usize, topic: &'static str, partition: i32, in_transaction: bool) {
        let window = self.plan.pipeline.window;
        let by = self.random.pick(&[0, 1, window.every_ms, window.every_ms, 2 * window.size_ms]);
        self.clock_ms += if self.plan.rides { 0 } else { self.random.between(0, by) };
        let mut record = generate::record(&self.random, &self.plan.pipeline, 0, self.clock_ms);
        if self.plan.rides && self.random.chance(700) {
            self.clock.set_wall_ms(self.clock_ms);
            record.now_ms = self.clock_ms;
            let guard_ms = self.clock_ms + self.plan.guard_step_ms() - 1;
            let guard_ms = guard_ms - guard_ms.rem_euclid(self.plan.guard_step_ms());
            let ahead_ms = self.plan.pipeline.max_ahead_ms.unwrap_or(0);
            record.kafka_timestamp_ms = guard_ms + ahead_ms + self.random.between(0, 1);
            self.clock_ms += self.random.between(0, 2 * self.plan.guard_step_ms());
        } else if self.plan.limits && self.random.chance(20) {
            record.value = Some(vec![b'x'; HUGE_BYTES]);
        }
        if self.random.chance(300) {
            self.clock.set_wall_ms(record.now_ms);
        }
        self.note();
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        if in_transaction && (!self.writer.is_open || self.writer.topic == source) {
            let writer = self.writer.client.get_or_insert_with(|| {
                let mut options = ClientOptions::new("writers", "writer", &[], topic);
                options.message_bytes_max = 10_000_000;
                self.cluster.client(options)
            });
            if !self.writer.is_open {
                self.writer.topic = source;
                self.writer.is_open = writer.renew_producer(false).is_ok() && writer.begin().is_ok();
            }
            let timestamp_ms = record.kafka_timestamp_ms.max(1);
            let headers = Headers::default();
            let outlet = Outlet::Sink;
            let _ = writer.produce(&Outgoing { outlet, partition, timestamp_ms, key, value, headers, token: 0 });
            let _ = writer.serve(&mut Vec::new());
        } else {
            let headers: [(&[u8], Option<&[u8]>); 2] = [(b"trace", Some(b"1")), (b"none", None)];
            let headers = if self.random.chance(100) { &headers[..] } else { &[] };
            self.cluster.append(topic, partition, record.kafka_timestamp_ms, key, value, headers);
        }
        self.note();
    }

    pub fn end_writing(&mut self) {
        if let Some(mut writer) = self.writer.client.take_if(|_| self.writer.is_open) {
            let commits = self.random.chance(600);
            let _ = if commits { writer.commit() } else { writer.abort() };
            self.writer.is_open = false;
            tracing::debug!(commits, "a writer's transaction ends");
            self.note();
        }
    }
}
