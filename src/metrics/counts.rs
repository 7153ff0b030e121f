//! What one lane counts between two visits to [`super::Metrics`]: plain numbers, no atomics, no locks.

use super::Durations;
use crate::broker::Outlet;
use crate::fate::FateCounts;

/// Counts of one lane since it last handed them over, in the order of the verbs.
#[derive(Clone, Debug, Default)]
pub struct LaneCounts {
    /// Bytes of keys, values and headers of the records in `fates.read`.
    pub read_bytes: u64,
    /// Offsets that the source does not have and that were stepped over.
    pub offset_gaps: u64,
    /// Records by fate and reason.
    pub fates: FateCounts,
    /// Windows closed because records raised the watermark.
    pub closed_by_watermark: u64,
    /// Windows closed because silence raised it.
    pub closed_by_idle: u64,
    /// Sums and means that came out as null because they left the range of a double.
    pub sums_not_finite: u64,
    /// Records in committed transactions; count them at release, so that an aborted attempt counts nothing.
    pub produced: OutletCounts,
    /// Late and dead records without a topic to go to.
    pub dropped: OutletCounts,
    /// Transactions committed.
    pub committed: u64,
    /// Transactions aborted.
    pub aborted: u64,
    /// Transactions whose outcome was unknown when the producer was dropped.
    pub unknown: u64,
    /// From the beginning of a transaction to the answer of its commit, for committed ones.
    pub commit_durations: Durations,
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
        self.read_bytes += other.read_bytes;
        self.offset_gaps += other.offset_gaps;
        self.fates.add(&other.fates);
        self.closed_by_watermark += other.closed_by_watermark;
        self.closed_by_idle += other.closed_by_idle;
        self.sums_not_finite += other.sums_not_finite;
        for outlet in [Outlet::Sink, Outlet::Late, Outlet::DeadLetter] {
            self.produced.add(outlet, other.produced.of(outlet));
            self.dropped.add(outlet, other.dropped.of(outlet));
        }
        self.committed += other.committed;
        self.aborted += other.aborted;
        self.unknown += other.unknown;
        self.commit_durations.add(&other.commit_durations);
    }

    /// Windows closed for this reason.
    pub const fn windows_closed(&self, reason: CloseReason) -> u64 {
        match reason {
            CloseReason::Watermark => self.closed_by_watermark,
            CloseReason::Idle => self.closed_by_idle,
        }
    }

    /// Transactions with this result.
    pub const fn transactions(&self, result: TransactionResult) -> u64 {
        match result {
            TransactionResult::Committed => self.committed,
            TransactionResult::Aborted => self.aborted,
            TransactionResult::Unknown => self.unknown,
        }
    }
}
