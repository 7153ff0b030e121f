//! What became of the spans of transactions: counted where they are handed over and where they leave.

use super::family::{Family, Kind, each};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What became of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpanResult {
    /// The receiver took it.
    Exported,
    /// Too many were waiting.
    Dropped,
    /// The receiver could not be reached, or refused it.
    Failed,
}

impl SpanResult {
    /// All results.
    pub const ALL: [Self; 3] = [Self::Exported, Self::Dropped, Self::Failed];

    /// The word for it in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exported => "exported",
            Self::Dropped => "dropped",
            Self::Failed => "failed",
        }
    }
}

/// Counts of spans; clones are handles of the same. Nobody touches them more than once for each transaction.
#[derive(Clone, Debug, Default)]
pub struct SpanCounts(Arc<[AtomicU64; 3]>);

impl SpanCounts {
    /// So many more had this result.
    pub fn add(&self, result: SpanResult, spans: u64) {
        if let Some(count) = self.0.get(result as usize) {
            count.fetch_add(spans, Ordering::Relaxed);
        }
    }

    /// How many had this result.
    pub fn of(&self, result: SpanResult) -> u64 {
        self.0.get(result as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }
}

pub(super) const FAMILIES: &[Family<SpanCounts>] = &[Family {
    name: "tidemill_commit_spans_total",
    help: "Spans of transactions by what became of them: taken by the receiver, dropped because too many waited, or \
           failed because the receiver was away or refused them. Zero unless `traces` is set.",
    kind: Kind::Counter,
    labels: &["result"],
    read: |counts| each(SpanResult::ALL, SpanResult::as_str, |result| counts.of(result) as f64),
}];
