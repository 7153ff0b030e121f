//! One source partition: its watermark, its open windows, its position, and what waits for the next commit.
//!
//! Knows nothing of transactions, topics of results or other partitions. Records are judged one after another, in
//! offset order, as if each were finished before the next began; batches are nobody's business here.

mod closed;
mod context;
mod ends;
mod foreseen;
mod guard;
mod judge;
mod point;
mod rejected;
mod seen;
mod shelf;
mod silence;
mod unmerged;
mod unread;

pub use closed::{Closed, ClosedBy};
pub use context::TaskContext;
pub use foreseen::AHEAD;
pub use rejected::{Rejected, RejectedRecord};
pub use unmerged::Unmerged;

use crate::broker::{Committed, Record, Slot, TopicId, TopicPartition};
use crate::checkpoint::Checkpoint;
use crate::clock::Clock;
use crate::fate::{FateCounts, Reason};
use crate::pool::Full;
use crate::window::panes::Panes;
use closed::Due;
use ends::Lag;
use guard::Guard;
use silence::Silence;
use std::collections::VecDeque;
use std::time::Duration;

/// The state of one source partition.
#[derive(Debug)]
pub struct Task {
    /// The partition.
    pub partition: TopicPartition,
    /// The lane's number for it.
    pub slot: Slot,
    /// Records judged since the task began, restored ones not counted.
    pub counts: FateCounts,
    /// What the group holds for this partition, as far as this task knows.
    pub committed: Option<Committed>,
    /// Late records and dead letters that wait for the next commit.
    pub rejected: Rejected,
    /// Closed windows that wait for the next commit, in order of end.
    pub closed: VecDeque<Closed>,
    /// Offsets that were never delivered (transaction markers, aborted or compacted records).
    pub gap_offsets: u64,
    /// Records read again to rebuild the open windows.
    pub restored_records: u64,
    /// How long that took, once it is over.
    pub restored_in: Option<Duration>,
    /// Late records since the task began.
    pub late_records: u64,
    /// Late records that no topic was configured for.
    pub dropped_late: u64,
    /// Dead letters that no topic was configured for.
    pub dropped_dead: u64,
    /// The last of either: its offset, and why.
    pub dropped_last: Option<(i64, Reason)>,
    topic_id: TopicId,
    state: State,
    began_at: i64,
    /// When the task began, on the monotonic clock.
    began: Duration,
    position: i64,
    /// Kafka timestamps of the first and the last record read, in Unix ms; −1 where there is none.
    read_ms: Option<(i64, i64)>,
    watermark_ms: Option<i64>,
    panes: Panes,
    guard: Guard,
    silence: Silence,
    /// What raised the watermark over windows that found no memory to close.
    due: Option<Due>,
    /// Whether a record was merged since [`Self::end_batch`].
    merged_in_batch: bool,
    lag: Lag,
}

/// What a task is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Rebuilding open windows: records below `until` have been judged before.
    Restoring {
        /// The committed offset.
        until: i64,
        /// Whether the rules are those under which the records were judged.
        same_rules: bool,
    },
    /// Judging records for the first time.
    Live,
}

impl Task {
    /// A task that begins at `offset` without any past.
    pub fn clean(
        context: &TaskContext,
        slot: Slot,
        partition: TopicPartition,
        topic_id: TopicId,
        offset: i64,
        now: Duration,
    ) -> Self {
        let idle = context.pipeline.window.idle;
        Self {
            partition,
            slot,
            counts: FateCounts::default(),
            committed: None,
            rejected: Rejected::default(),
            closed: VecDeque::new(),
            gap_offsets: 0,
            restored_records: 0,
            restored_in: None,
            late_records: 0,
            dropped_late: 0,
            dropped_dead: 0,
            dropped_last: None,
            topic_id,
            state: State::Live,
            began_at: offset,
            began: now,
            position: offset,
            read_ms: None,
            watermark_ms: None,
            panes: Panes::default(),
            guard: Guard::new(&context.pipeline, Vec::new()),
            silence: Silence::new(idle, now, None),
            due: None,
            merged_in_batch: false,
            lag: Lag::new(now),
        }
    }

    /// A task that goes on from a commit: reading begins at [`Self::position`], and until the committed offset it only
    /// rebuilds what was open.
    pub fn resumed(
        context: &TaskContext,
        slot: Slot,
        partition: TopicPartition,
        committed: Committed,
        checkpoint: Checkpoint,
        now: Duration,
    ) -> Self {
        let same_rules = checkpoint.digest == context.digest;
        let until = committed.offset;
        let replay_from = checkpoint.replay_from.min(until);
        let mut task = Self::clean(context, slot, partition, checkpoint.topic_id, replay_from, now);
        task.watermark_ms = checkpoint.watermark_ms;
        task.guard = Guard::resumed(&context.pipeline, checkpoint.guard, replay_from, same_rules);
        task.silence.restart(now, checkpoint.watermark_ms);
        task.committed = Some(committed);
        if replay_from < until {
            task.state = State::Restoring { until, same_rules };
        }
        task
    }

    /// Decides the fate of one record.
    ///
    /// # Errors
    /// It was delivered before, or there is no memory for it, or none to close what was due before it: it was not judged,
    /// and can be merged again.
    pub fn merge(
        &mut self,
        context: &mut TaskContext,
        record: &Record<'_>,
        clock: &impl Clock,
    ) -> Result<(), Unmerged> {
        if record.offset < self.position {
            return Err(Unmerged::Redelivered { offset: record.offset, position: self.position });
        }
        self.retry_close(context)?;
        self.gap_offsets += (record.offset - self.position) as u64;
        self.position = record.offset;
        self.reach(record.offset, clock);
        self.read_ms.get_or_insert((record.timestamp_ms, record.timestamp_ms)).1 = record.timestamp_ms;
        match self.state {
            State::Restoring { same_rules, .. } => {
                self.restore(context, record, same_rules, clock)?;
                self.restored_records += 1;
            }
            State::Live => self.judge(context, record, clock)?,
        }
        self.position += 1;
        self.reach(self.position, clock);
        Ok(())
    }

    /// Brings nearer what its records will need of those that the context foresees. Decides nothing.
    pub fn foresee(&self, context: &TaskContext) {
        let codes = context.foreseen().filter(|(slot, _)| *slot == self.slot).map(|(_, code)| code);
        codes.clone().for_each(|code| self.panes.prefetch_place(code));
        codes.for_each(|code| self.panes.prefetch_row(code));
    }

    /// True if windows are due that found no memory to close: until they have, no record is judged.
    pub fn is_blocked(&self) -> bool {
        self.due.is_some()
    }

    /// Closes what was due before and found no memory.
    ///
    /// # Errors
    /// There still is none.
    pub fn retry_close(&mut self, context: &mut TaskContext) -> Result<(), Full> {
        match self.due {
            None => Ok(()),
            Some(due) => {
                self.close(context, due);
                if self.due.is_none() { Ok(()) } else { Err(Full) }
            }
        }
    }

    /// Everything below `offset` has been delivered; nothing more is there for now.
    pub fn reach_end(&mut self, offset: i64, clock: &impl Clock) {
        if offset > self.position {
            self.gap_offsets += (offset - self.position) as u64;
            self.position = offset;
        }
        self.reach(self.position, clock);
    }

    /// A batch is over: quiet begins anew if something was merged.
    pub fn end_batch(&mut self, now: Duration) {
        self.date_closed(now);
        if std::mem::take(&mut self.merged_in_batch) {
            self.silence.restart(now, self.watermark_ms);
        }
    }

    /// The lane could not read for so long: that was not silence.
    pub fn discount_silence(&mut self, blocked: Duration) {
        self.silence.discount(blocked);
    }

    /// True if results, late records or dead letters wait for a commit.
    pub fn is_waiting(&self) -> bool {
        !self.closed.is_empty() || !self.rejected.is_empty()
    }

    /// When the first window that waits for a commit closed, on the monotonic clock.
    pub fn waits_since(&self) -> Option<Duration> {
        self.closed.front().and_then(|closed| closed.at)
    }

    /// A commit has made this visible: the first `windows` and `rejected` that waited, and this position. Returns what
    /// was committed before, as memory for the next.
    pub fn release(
        &mut self,
        context: &mut TaskContext,
        windows: usize,
        rejected: usize,
        committed: Committed,
    ) -> Option<Committed> {
        for closed in self.closed.drain(..windows.min(self.closed.len())) {
            if let Some(table) = context.recent.keep(&self.partition, closed.end_ms, closed.table) {
                context.panes.release(table);
            }
        }
        self.rejected.release(&mut context.panes.hot, rejected);
        if let Some(replay_from) = Checkpoint::replay_from(&committed.metadata) {
            self.guard.prune(replay_from);
        }
        self.committed.replace(committed)
    }

    /// Gives all memory back; the task goes away.
    pub fn drop_state(mut self, context: &mut TaskContext) {
        self.panes.release_all(&mut context.panes);
        self.rejected.release_all(&mut context.panes.hot);
        for closed in self.closed.drain(..) {
            context.panes.release(closed.table);
        }
    }

    /// Restoring ends at the committed offset.
    fn reach(&mut self, offset: i64, clock: &impl Clock) {
        if let State::Restoring { until, .. } = self.state
            && offset >= until
        {
            self.state = State::Live;
            let now = clock.monotonic();
            self.restored_in = Some(now.saturating_sub(self.began));
            self.silence.restart(now, self.watermark_ms);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
