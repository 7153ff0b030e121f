//! One source partition as its lane sees it: state, watermark, position, open windows.

use crate::broker::TopicPartition;
use std::time::Duration;

/// What a task is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PartitionState {
    /// Reading again what its open windows hold.
    Restoring,
    /// Merging new records.
    Live,
    /// Standing still until an operator decides.
    Held,
    /// Standing still until memory or the sink has room; ready all the same.
    Paused,
}

impl PartitionState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Restoring, Self::Live, Self::Held, Self::Paused];

    /// The word for it in metrics and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Restoring => "restoring",
            Self::Live => "live",
            Self::Held => "held",
            Self::Paused => "paused",
        }
    }
}

/// One source partition that this process owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionStatus {
    /// The partition.
    pub partition: TopicPartition,
    /// What its task is doing.
    pub state: PartitionState,
    /// The watermark in Unix ms; absent before the first record.
    pub watermark_ms: Option<i64>,
    /// Next offset to read.
    pub position: i64,
    /// Records up to the last stable offset, if the broker has said.
    pub lag: Option<i64>,
    /// Offsets of the restore, half-open: where it began and where it ends; absent when there was none.
    pub restore: Option<(i64, i64)>,
    /// Why it is held or paused, for people; reads on from "held because".
    pub held_because: Option<String>,
    /// Panes (slices of event time) that are open, or closed and not committed yet.
    pub open_panes: u64,
    /// Rows (keys) of those panes.
    pub rows: u64,
    /// Windows closed and not committed.
    pub closed_windows: u64,
    /// Records that were late since the assignment.
    pub late_records: u64,
    /// Results, late records and dead letters that are held until the commit that makes them visible.
    pub deferred_records: u64,
    /// Bytes of the buffers that hold them.
    pub deferred_bytes: u64,
    /// Watermark that closes the oldest open window, in Unix ms; absent while nothing is open.
    pub due_ms: Option<i64>,
    /// Age of the last record read while more wait behind it, in ms; 0 while none do; absent until that is known.
    pub lag_ms: Option<i64>,
    /// How long until retention may delete a record that is still needed, in ms; absent without a limit.
    pub headroom_ms: Option<i64>,
    /// Number of the lane that owns it.
    pub lane: usize,
    /// The windows that are open; absent when none is.
    pub open: Option<OpenWindows>,
    /// Since when nothing has been merged, on the monotonic clock of the process.
    pub quiet_since: Duration,
}

/// The open windows of a partition, by their ends in Unix ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenWindows {
    /// End of the one that closes next.
    pub next_end_ms: i64,
    /// End of the one that closes last.
    pub last_end_ms: i64,
    /// How many there are; those that nothing has come for are none.
    pub windows: u64,
    /// Of them by the wall clock at their end or past it.
    pub ended: u64,
    /// Of these past their grace, too.
    pub overdue: u64,
}

impl PartitionStatus {
    /// A partition of which nothing is known but its state.
    pub fn new(partition: TopicPartition, state: PartitionState) -> Self {
        Self {
            partition,
            state,
            watermark_ms: None,
            position: 0,
            lag: None,
            restore: None,
            held_because: None,
            open_panes: 0,
            rows: 0,
            closed_windows: 0,
            late_records: 0,
            deferred_records: 0,
            deferred_bytes: 0,
            due_ms: None,
            lag_ms: None,
            headroom_ms: None,
            lane: 0,
            open: None,
            quiet_since: Duration::ZERO,
        }
    }

    /// How much of the restore is done, from 0 to 1; 1 when there is nothing to restore.
    pub fn restored_ratio(&self) -> f64 {
        match (self.state, self.restore) {
            (PartitionState::Restoring, Some((from, to))) if to > from => {
                ((self.position - from) as f64 / (to - from) as f64).clamp(0.0, 1.0)
            }
            (PartitionState::Restoring, _) => 0.0,
            _ => 1.0,
        }
    }
}
