//! A closed window, from its close to the commit that makes it visible.

use super::Task;
use super::guard::GuardMark;
use crate::window::table::Table;
use std::time::Duration;

/// A closed window with its rows.
#[derive(Debug)]
pub struct Closed {
    /// Window end in Unix ms.
    pub end_ms: i64,
    /// Its rows.
    pub table: Table,
    /// Why it closed.
    pub by: ClosedBy,
    /// When it closed, on the monotonic clock; known at the end of the batch.
    pub at: Option<Duration>,
    /// Rows that go out without their value, because a topic refused them for good.
    pub truncated: Vec<usize>,
    pub(super) mark: Mark,
}

/// Why a window closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClosedBy {
    /// A record raised the watermark.
    Watermark,
    /// Silence did.
    Idle,
}

/// Windows that are due and found no memory to close.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    pub(super) by: ClosedBy,
    /// Offset of the record that raised the watermark over them; the position if silence did.
    pub(super) offset: i64,
    /// The watermark as far as it has closed windows: all that a commit may say.
    pub(super) watermark_ms: Option<i64>,
}

/// Where the stream stood when a window closed: what a commit that ends with it has to say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    /// Offset of the record that closed it; the position if silence did.
    pub(super) offset: i64,
    /// Lowest offset of a record in a window that was still open then.
    pub(super) replay_from: i64,
    pub(super) guard: GuardMark,
}

impl Closed {
    /// Offset of the record that closed it; the position if silence did.
    pub fn offset(&self) -> i64 {
        self.mark.offset
    }
}

impl Task {
    /// What has just closed did so now.
    pub(super) fn date_closed(&mut self, now: Duration) {
        let fresh = self.closed.iter_mut().rev().take_while(|closed| closed.at.is_none());
        fresh.for_each(|closed| closed.at = Some(now));
    }
}
