//! What `/metrics` shows: one registry, names in the order of the eight verbs, every series there from the start.
//!
//! Lanes count in plain numbers of their own ([`LaneCounts`]) and hand over what they have now and then, so that no
//! record touches an atomic. Labels come from closed sets only, except topic and partition of what this process owns.

mod counts;
mod histogram;
mod memory;
mod process;

pub use counts::{CloseReason, LaneCounts, OutletCounts, TransactionResult};
pub use histogram::Durations;
pub use process::{peak_resident_bytes, resident_bytes};

use crate::broker::{Outlet, TopicPartition};
use crate::budget::Memory;
use crate::fate::{Fate, Reason};
use crate::status::{PartitionState, PartitionStatus};
use histogram::DurationHistogram;
use prometheus::core::Collector;
use prometheus::{Encoder, GaugeVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};

/// Label of a partition's series.
const PARTITION: [&str; 2] = ["topic", "partition"];

/// All metrics of the process.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    poll_records: IntCounter,
    poll_bytes: IntCounter,
    poll_gaps: IntCounter,
    poll_lag: IntGaugeVec,
    poll_state: IntGaugeVec,
    poll_restored: GaugeVec,
    merge_records: IntCounterVec,
    merge_partly_late: IntCounter,
    merge_watermark: GaugeVec,
    close_windows: IntCounterVec,
    close_sums_not_finite: IntCounter,
    close_open_panes: IntGaugeVec,
    produce_records: IntCounterVec,
    produce_dropped: IntCounterVec,
    commit_transactions: IntCounterVec,
    commit_duration: DurationHistogram,
}

impl Metrics {
    /// An own registry with every series at zero.
    ///
    /// # Errors
    /// A name or label that Prometheus refuses, which tests rule out.
    pub fn new() -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| IntCounter::new(name, help);
        let counters = |name: &str, help: &str, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let gauges = |name: &str, help: &str, labels: &[&str]| IntGaugeVec::new(Opts::new(name, help), labels);
        let reals = |name: &str, help: &str| GaugeVec::new(Opts::new(name, help), &PARTITION);
        let metrics = Self {
            registry: Registry::new(),
            poll_records: counter("tidemill_poll_records_total", "Records read from the source, restores left out.")?,
            poll_bytes: counter("tidemill_poll_bytes_total", "Bytes of their keys, values and headers.")?,
            poll_gaps: counter(
                "tidemill_poll_offset_gaps_total",
                "Offsets that the source does not have (control records, aborted records, compaction) and that were \
                 stepped over.",
            )?,
            poll_lag: gauges(
                "tidemill_poll_lag_records",
                "Offsets between the position and the last stable offset, by partition; absent until the broker has \
                 said.",
                &PARTITION,
            )?,
            poll_state: gauges(
                "tidemill_poll_partition_state",
                "1 for the state that the partition is in, 0 for the others.",
                &["topic", "partition", "state"],
            )?,
            poll_restored: reals(
                "tidemill_poll_restored_ratio",
                "Share of the partition's restore that is done, from 0 to 1; 1 when there is nothing to restore.",
            )?,
            merge_records: counters(
                "tidemill_merge_records_total",
                "Records judged, by fate and reason. Their sum is tidemill_poll_records_total at every commit.",
                &["fate", "reason"],
            )?,
            merge_partly_late: counter(
                "tidemill_merge_partly_late_records_total",
                "Merged records that were too late for some of their windows.",
            )?,
            merge_watermark: reals(
                "tidemill_merge_watermark_timestamp_seconds",
                "Watermark of the partition in Unix seconds; absent before its first record.",
            )?,
            close_windows: counters(
                "tidemill_close_windows_total",
                "Windows closed, by what raised the watermark over their end and grace.",
                &["reason"],
            )?,
            close_sums_not_finite: counter(
                "tidemill_close_sums_not_finite_total",
                "Sums and means that left the range of a double and came out as null.",
            )?,
            close_open_panes: gauges(
                "tidemill_close_open_panes",
                "Panes (slices of event time) that are open, or closed and not committed yet, by partition.",
                &PARTITION,
            )?,
            produce_records: counters(
                "tidemill_produce_records_total",
                "Records in committed transactions, by outlet.",
                &["outlet"],
            )?,
            produce_dropped: counters(
                "tidemill_produce_dropped_records_total",
                "Records that had to be dropped because no topic is configured for them, by outlet.",
                &["outlet"],
            )?,
            commit_transactions: counters(
                "tidemill_commit_transactions_total",
                "Transactions by result; unknown ones are settled from the committed positions.",
                &["result"],
            )?,
            commit_duration: DurationHistogram::new(
                "tidemill_commit_duration_seconds",
                "From the beginning of a transaction to the answer of its commit, committed ones only.",
            )?,
        };
        metrics.register()?;
        metrics.show_all();
        Ok(metrics)
    }

    /// Adds what a lane has counted since it last called; the lane then starts from zero
    /// (`metrics.add(&std::mem::take(&mut counts))`).
    pub fn add(&self, counts: &LaneCounts) {
        self.poll_records.inc_by(counts.fates.read);
        self.poll_bytes.inc_by(counts.read_bytes);
        self.poll_gaps.inc_by(counts.offset_gaps);
        for reason in Reason::ALL {
            let labels = [reason.fate().as_str(), reason.as_str()];
            self.merge_records.with_label_values(&labels).inc_by(counts.fates.reason(reason));
        }
        let merged = Fate::Merged.as_str();
        self.merge_records.with_label_values(&[merged, merged]).inc_by(counts.fates.merged);
        self.merge_partly_late.inc_by(counts.fates.partly_late);
        for reason in CloseReason::ALL {
            self.close_windows.with_label_values(&[reason.as_str()]).inc_by(counts.windows_closed(reason));
        }
        self.close_sums_not_finite.inc_by(counts.sums_not_finite);
        for outlet in OUTLETS {
            self.produce_records.with_label_values(&[outlet_name(outlet)]).inc_by(counts.produced.of(outlet));
            if outlet != Outlet::Sink {
                self.produce_dropped.with_label_values(&[outlet_name(outlet)]).inc_by(counts.dropped.of(outlet));
            }
        }
        for result in TransactionResult::ALL {
            self.commit_transactions.with_label_values(&[result.as_str()]).inc_by(counts.transactions(result));
        }
        self.commit_duration.add(&counts.commit_durations);
    }

    /// Shows budget, ladder and pool of the process from here on.
    ///
    /// # Errors
    /// They are shown already.
    pub fn show_memory(&self, memory: &Memory) -> Result<(), prometheus::Error> {
        memory::register(&self.registry, memory)
    }

    /// Shows a partition that this process owns as its lane sees it now.
    pub fn partition(&self, status: &PartitionStatus) {
        let number = status.partition.partition.to_string();
        let labels = [&*status.partition.topic, number.as_str()];
        for state in PartitionState::ALL {
            let series = self.poll_state.with_label_values(&[labels[0], labels[1], state.as_str()]);
            series.set(i64::from(state == status.state));
        }
        self.poll_restored.with_label_values(&labels).set(status.restored_ratio());
        self.close_open_panes.with_label_values(&labels).set(i64::try_from(status.open_panes).unwrap_or(i64::MAX));
        match status.lag {
            Some(lag) => self.poll_lag.with_label_values(&labels).set(lag),
            None => forget(self.poll_lag.remove_label_values(&labels)),
        }
        match status.watermark_ms {
            Some(ms) => self.merge_watermark.with_label_values(&labels).set(ms as f64 / 1000.0),
            None => forget(self.merge_watermark.remove_label_values(&labels)),
        }
    }

    /// Removes the series of a partition that is no longer ours.
    pub fn drop_partition(&self, partition: &TopicPartition) {
        let number = partition.partition.to_string();
        let labels = [&*partition.topic, number.as_str()];
        for state in PartitionState::ALL {
            forget(self.poll_state.remove_label_values(&[labels[0], labels[1], state.as_str()]));
        }
        forget(self.poll_restored.remove_label_values(&labels));
        forget(self.poll_lag.remove_label_values(&labels));
        forget(self.merge_watermark.remove_label_values(&labels));
        forget(self.close_open_panes.remove_label_values(&labels));
    }

    /// The text that Prometheus scrapes.
    ///
    /// # Errors
    /// A metric that cannot be written as text, which tests rule out.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        let mut text = Vec::with_capacity(16 << 10);
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    fn register(&self) -> Result<(), prometheus::Error> {
        let all: [Box<dyn Collector>; 16] = [
            Box::new(self.poll_records.clone()),
            Box::new(self.poll_bytes.clone()),
            Box::new(self.poll_gaps.clone()),
            Box::new(self.poll_lag.clone()),
            Box::new(self.poll_state.clone()),
            Box::new(self.poll_restored.clone()),
            Box::new(self.merge_records.clone()),
            Box::new(self.merge_partly_late.clone()),
            Box::new(self.merge_watermark.clone()),
            Box::new(self.close_windows.clone()),
            Box::new(self.close_sums_not_finite.clone()),
            Box::new(self.close_open_panes.clone()),
            Box::new(self.produce_records.clone()),
            Box::new(self.produce_dropped.clone()),
            Box::new(self.commit_transactions.clone()),
            Box::new(self.commit_duration.clone()),
        ];
        all.into_iter().try_for_each(|collector| self.registry.register(collector))?;
        process::register(&self.registry)
    }

    /// A series that is not there cannot be told from one that is zero: touches every label combination.
    fn show_all(&self) {
        self.add(&LaneCounts::default());
    }
}

const OUTLETS: [Outlet; 3] = [Outlet::Sink, Outlet::Late, Outlet::DeadLetter];

const fn outlet_name(outlet: Outlet) -> &'static str {
    match outlet {
        Outlet::Sink => "sink",
        Outlet::Late => "late",
        Outlet::DeadLetter => "dead_letter",
    }
}

/// Removing a series that was never there is no error.
fn forget(removed: Result<(), prometheus::Error>) {
    drop(removed);
}

#[cfg(test)]
mod tests;
