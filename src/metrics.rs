//! What `/metrics` shows: one table for each part of the process, names in the order of the eight verbs.
//!
//! Lanes count in plain numbers of their own ([`LaneCounts`]) and hand over what they have now and then, so that no
//! record touches an atomic; a scrape reads what is there. Labels come from closed sets, so that every series exists
//! from the start, except those of the partitions that this process owns and of its lanes.

mod clients;
mod counts;
mod family;
mod histogram;
mod lanes;
mod memory;
mod partitions;
mod process;
mod readiness;
mod spans;

pub use clients::{BrokerState, ClientReports, ClientRole, ClientStatistics, Clients};
pub use counts::{CloseReason, LaneCounts, Minutes, OutletCounts, TransactionResult};
pub use histogram::{BatchSizes, Durations};
pub use process::{peak_resident_bytes, resident_bytes};
pub use spans::{SpanCounts, SpanResult};

use crate::broker::TopicPartition;
use crate::budget::Memory;
use crate::clock::Clock;
use crate::config::Window;
use crate::status::{PartitionStatus, Status};
use partitions::Owned;
use process::{Build, Process};
use prometheus::{Encoder, Registry, TextEncoder};
use readiness::Readiness;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// All metrics of the process; clones are handles of the same.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    lanes: Arc<Mutex<LaneCounts>>,
    partitions: Arc<Mutex<BTreeMap<TopicPartition, Owned>>>,
    clients: Clients,
    spans: SpanCounts,
}

impl Metrics {
    /// A registry of its own with every series at zero.
    ///
    /// # Errors
    /// A name or label that Prometheus refuses, which tests rule out.
    pub fn new() -> Result<Self, prometheus::Error> {
        Self::with(Registry::new(), "")
    }

    /// The same for a process that runs this pipeline: every series is labelled with its name.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of(pipeline: &str, librdkafka: &str) -> Result<Self, prometheus::Error> {
        let labels = HashMap::from([("pipeline".to_owned(), pipeline.to_owned())]);
        Self::with(Registry::new_custom(None, Some(labels))?, librdkafka)
    }

    fn with(registry: Registry, librdkafka: &str) -> Result<Self, prometheus::Error> {
        let (clients, spans) = (Clients::default(), SpanCounts::default());
        let metrics = Self { registry, lanes: Arc::default(), partitions: Arc::default(), clients, spans };
        let Self { registry, lanes, partitions, clients, spans } = &metrics;
        let librdkafka = librdkafka.to_owned();
        family::register(registry, process::BUILD, move || Some(Build { librdkafka: librdkafka.clone() }))?;
        family::register(registry, process::FAMILIES, Process::look)?;
        let lanes = lanes.clone();
        family::register(registry, lanes::FAMILIES, move || Some(lock(&lanes).clone()))?;
        let partitions = partitions.clone();
        family::register(registry, partitions::FAMILIES, move || Some(lock(&partitions).values().cloned().collect()))?;
        let seen = clients.clone();
        family::register(registry, clients::CONSUMERS, move || Some(seen.look()))?;
        let seen = clients.clone();
        family::register(registry, clients::PRODUCERS, move || Some(seen.look()))?;
        let spans = spans.clone();
        family::register(registry, spans::FAMILIES, move || Some(spans.clone()))?;
        Ok(metrics)
    }

    /// Shows from here on whether the process is ready and its lanes step; `clock` is the one that lanes write into
    /// `status`, and a step may take `step_max`.
    ///
    /// # Errors
    /// It was shown before.
    pub fn show_status(
        &self,
        status: &Status,
        clock: impl Clock + Send + Sync + 'static,
        step_max: Duration,
    ) -> Result<(), prometheus::Error> {
        let status = status.clone();
        let look = move || Some(Readiness { status: status.clone(), now: clock.monotonic(), step_max });
        family::register(&self.registry, readiness::FAMILIES, look)
    }

    /// Where the lanes' clients report to.
    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// Where spans of transactions are counted.
    pub fn spans(&self) -> &SpanCounts {
        &self.spans
    }

    /// Adds what a lane has counted since it last called; the lane then starts from zero
    /// (`metrics.add(&std::mem::take(&mut counts))`).
    pub fn add(&self, counts: &LaneCounts) {
        lock(&self.lanes).add(counts);
    }

    /// A copy of everything counted so far, all lanes together.
    pub fn totals(&self) -> LaneCounts {
        lock(&self.lanes).clone()
    }

    /// Shows budget, ladder and pool of the process from here on.
    ///
    /// # Errors
    /// They are shown already.
    pub fn show_memory(&self, memory: &Memory) -> Result<(), prometheus::Error> {
        memory::register(&self.registry, memory)
    }

    /// Shows a partition that this process owns as its lane sees it at `now` (monotonic, the clock of `quiet_since`).
    pub fn partition(&self, status: &PartitionStatus, window: &Window, now: Duration) {
        lock(&self.partitions).insert(status.partition.clone(), Owned::new(status, window, now));
    }

    /// Removes the series of a partition that is no longer ours.
    pub fn drop_partition(&self, partition: &TopicPartition) {
        lock(&self.partitions).remove(partition);
    }

    /// The text that Prometheus scrapes.
    ///
    /// # Errors
    /// A metric that cannot be written as text, which tests rule out.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        let mut text = Vec::with_capacity(64 << 10);
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// A thread that panicked while it added has added a part or nothing: what is there can be read.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
