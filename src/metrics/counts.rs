//! What one lane counts between two visits to [`super::Metrics`]: plain numbers, no atomics, no locks.

use super::histogram::{BatchSizes, Durations};
use crate::broker::Outlet;
use crate::fate::FateCounts;

/// Counts of one lane since it last handed them over, in the order of the verbs.
#[derive(Clone, Debug, Default)]
pub struct LaneCounts {
    /// Offsets that the source does not have and that were stepped over.
    pub offset_gaps: u64,
    /// Records read again to rebuild open windows; not in `fates`.
    pub restored_records: u64,
    /// From the assignment of a partition to its first new record, where there was something to restore.
    pub restores: Durations,
    /// Records by fate and reason.
    pub fates: FateCounts,
    /// Records that one poll brought, polls that brought none left out.
    pub batches: BatchSizes,
    /// Windows closed because records raised the watermark.
    pub closed_by_watermark: u64,
    /// Windows closed because silence raised it.
    pub closed_by_idle: u64,
    /// Sums and means that came out as null because they left the range of a double.
    pub sums_not_finite: u64,
    /// Bytes of result values, attempts that came to nothing included.
    pub encoded_bytes: u64,
    /// Records in committed transactions; count them at release, so that an aborted attempt counts nothing.
    pub produced: OutletCounts,
    /// Late and dead records without a topic to go to.
    pub dropped: OutletCounts,
    /// Transactions committed: from the beginning of each to the answer of its commit.
    pub committed: Durations,
    /// Transactions aborted: from the beginning of each to the answer of the abort, or to the loss of the producer.
    pub aborted: Durations,
    /// Transactions whose outcome was unknown when the producer was dropped: from the beginning of each to then.
    pub unknown: Durations,
    /// From the close of each window end to the commit that made it visible.
    pub close_latency: Durations,
    /// Minutes of partitions, by whether the partition was available.
    pub minutes: Minutes,
}

/// Whole minutes of partitions, each counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Minutes {
    /// The partition was live all the time, and no closed window waited longer than a minute for its commit.
    pub available: u64,
    /// All others.
    pub unavailable: u64,
}

/// A number for each outlet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutletCounts {
    /// Results.
    pub sink: u64,
    /// Late records.
    pub late: u64,
    /// Dead letters.
    pub dead_letter: u64,
}

impl OutletCounts {
    /// The number of this outlet.
    pub const fn of(&self, outlet: Outlet) -> u64 {
        match outlet {
            Outlet::Sink => self.sink,
            Outlet::Late => self.late,
            Outlet::DeadLetter => self.dead_letter,
        }
    }

    /// What was added since it was `before`.
    pub const fn since(&self, before: Self) -> Self {
        Self {
            sink: self.sink - before.sink,
            late: self.late - before.late,
            dead_letter: self.dead_letter - before.dead_letter,
        }
    }

    /// Adds to the number of this outlet.
    pub const fn add(&mut self, outlet: Outlet, records: u64) {
        match outlet {
            Outlet::Sink => self.sink += records,
            Outlet::Late => self.late += records,
            Outlet::DeadLetter => self.dead_letter += records,
        }
    }
}

/// What raised the watermark over a window's end and grace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// A record.
    Watermark,
    /// Silence.
    Idle,
}

impl CloseReason {
    /// All reasons.
    pub const ALL: [Self; 2] = [Self::Watermark, Self::Idle];

    /// The word for it in metrics and summaries.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Watermark => "watermark",
            Self::Idle => "idle",
        }
    }
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransactionResult {
    /// Visible.
    Committed,
    /// Never visible.
    Aborted,
    /// One of the two: nobody answered in time.
    Unknown,
}

impl TransactionResult {
    /// All results.
    pub const ALL: [Self; 3] = [Self::Committed, Self::Aborted, Self::Unknown];

    /// The word for it in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::Aborted => "aborted",
            Self::Unknown => "unknown",
        }
    }
}

impl LaneCounts {
    /// Adds the counts of `other`.
    pub fn add(&mut self, other: &Self) {
        self.offset_gaps += other.offset_gaps;
        self.restored_records += other.restored_records;
        self.restores.add(&other.restores);
        self.fates.add(&other.fates);
        self.batches.add(&other.batches);
        self.closed_by_watermark += other.closed_by_watermark;
        self.closed_by_idle += other.closed_by_idle;
        self.sums_not_finite += other.sums_not_finite;
        self.encoded_bytes += other.encoded_bytes;
        for outlet in [Outlet::Sink, Outlet::Late, Outlet::DeadLetter] {
            self.produced.add(outlet, other.produced.of(outlet));
            self.dropped.add(outlet, other.dropped.of(outlet));
        }
        self.committed.add(&other.committed);
        self.aborted.add(&other.aborted);
        self.unknown.add(&other.unknown);
        self.close_latency.add(&other.close_latency);
        self.minutes.available += other.minutes.available;
        self.minutes.unavailable += other.minutes.unavailable;
    }

    /// Windows closed for this reason.
    pub const fn windows_closed(&self, reason: CloseReason) -> u64 {
        match reason {
            CloseReason::Watermark => self.closed_by_watermark,
            CloseReason::Idle => self.closed_by_idle,
        }
    }

    /// How long the transactions with this result took.
    pub const fn transactions(&self, result: TransactionResult) -> &Durations {
        match result {
            TransactionResult::Committed => &self.committed,
            TransactionResult::Aborted => &self.aborted,
            TransactionResult::Unknown => &self.unknown,
        }
    }
}
