//! One source partition: its watermark, its open windows, its position, and what waits for the next commit.
//!
//! Knows nothing of transactions, topics of results or other partitions. Records are judged one after another, in
//! offset order, as if each were finished before the next began; batches are nobody's business here.

mod closed;
mod context;
mod ends;
mod guard;
mod point;
mod rejected;
mod shelf;
mod silence;
mod unmerged;
mod unread;

pub use closed::{Closed, ClosedBy};
pub use context::TaskContext;
pub use rejected::{Rejected, RejectedRecord};
pub use unmerged::Unmerged;

use crate::aggregate::At;
use crate::broker::{Committed, Record, Slot, TopicId, TopicPartition};
use crate::checkpoint::Checkpoint;
use crate::clock::Clock;
use crate::fate::{Fate, FateCounts, Reason};
use crate::pool::{Full, Hot};
use crate::window::panes::Panes;
use closed::{Due, Mark};
use ends::Lag;
use guard::{Guard, Verdict};
use rejected::Lateness;
use silence::Silence;
use std::collections::VecDeque;
use std::fmt;
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
    /// Late records that no topic was configured for.
    pub dropped_late: u64,
    /// Dead letters that no topic was configured for.
    pub dropped_dead: u64,
    /// The last of either: its offset, and why.
    pub dropped_last: Option<(i64, Reason)>,
    topic_id: TopicId,
    state: State,
    began_at: i64,
    position: i64,
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
            dropped_late: 0,
            dropped_dead: 0,
            dropped_last: None,
            topic_id,
            state: State::Live,
            began_at: offset,
            position: offset,
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

    /// What it is doing.
    pub fn state(&self) -> State {
        self.state
    }

    /// First offset that was to be read.
    pub fn began_at(&self) -> i64 {
        self.began_at
    }

    /// Next offset to read.
    pub fn position(&self) -> i64 {
        self.position
    }

    /// The watermark in Unix ms.
    pub fn watermark_ms(&self) -> Option<i64> {
        self.watermark_ms
    }

    /// The open windows.
    pub fn panes(&self) -> &Panes {
        &self.panes
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

    /// Brings nearer what these records will need. Decides nothing.
    pub fn foresee<'r>(&self, context: &TaskContext, records: impl Iterator<Item = Record<'r>> + Clone) {
        let codes = records.filter_map(|record| context.panes.keys.code(record.key?));
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
            context.panes.release(closed.table);
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
            self.silence.restart(clock.monotonic(), self.watermark_ms);
        }
    }

    fn judge(&mut self, context: &mut TaskContext, record: &Record<'_>, clock: &impl Clock) -> Result<(), Full> {
        let key = context.read_key(record);
        let TaskContext { panes, decoder, pipeline, keep_dead, keep_late, .. } = context;
        let key = match key {
            Ok(key) => key,
            Err(unread) => {
                return self.reject(
                    &mut panes.hot,
                    *keep_dead,
                    record,
                    unread.reason(),
                    format_args!("{unread}"),
                    None,
                );
            }
        };
        let bounds = panes.bounds;
        let decoded = match decoder.decode(record.timestamp_ms, record.value.unwrap_or_default()) {
            Ok(decoded) => decoded,
            Err(reject) => {
                let detail = format_args!("{}", reject.detail);
                return self.reject(&mut panes.hot, *keep_dead, record, reject.reason, detail, None);
            }
        };
        let time_ms = decoded.time_ms;
        let verdict = self.guard.judge(time_ms, || clock.now_ms());
        if let Verdict::Future(ahead_ms) = verdict {
            let detail = format_args!("event time {time_ms} is {ahead_ms} ms ahead of the clock");
            return self.reject(&mut panes.hot, *keep_dead, record, Reason::Future, detail, None);
        }
        if let Some(bad) = decoded.bad_field {
            let name = pipeline.aggregates.get(bad.aggregate).map_or("", |aggregate| &aggregate.name);
            let detail = format_args!("aggregate {name}: {}", bad.detail);
            return self.reject(&mut panes.hot, *keep_dead, record, Reason::BadField, detail, None);
        }
        let pane_start_ms = bounds.pane_start(time_ms);
        let last_end_ms = bounds.last_end(pane_start_ms);
        if let Some(watermark_ms) = self.watermark_ms
            && bounds.is_closed(self.watermark_ms, last_end_ms)
        {
            let late = Lateness { watermark_ms, window_end_ms: last_end_ms };
            let detail = format_args!("event time {time_ms}, its last window closed at {last_end_ms} plus grace");
            return self.reject(&mut panes.hot, *keep_late, record, Reason::Late, detail, Some(late));
        }
        let at = At { time_ms, offset: record.offset };
        self.panes.add(panes, self.watermark_ms, key, at, |index| decoded.value(index))?;
        if let Verdict::AcceptAndStep(guard_ms) = verdict {
            self.guard.step(record.offset, guard_ms);
        }
        let partly_late = bounds.is_closed(self.watermark_ms, bounds.first_end(pane_start_ms));
        self.counts.read += 1;
        self.counts.merged += 1;
        self.counts.partly_late += u64::from(partly_late);
        self.merged_in_batch = true;
        if self.watermark_ms.is_none_or(|watermark_ms| time_ms > watermark_ms) {
            self.raise(context, time_ms, ClosedBy::Watermark, record.offset);
        }
        Ok(())
    }

    /// Adds a record that was judged before to those of its windows that are still open, and nothing else.
    fn restore(
        &mut self,
        context: &mut TaskContext,
        record: &Record<'_>,
        same_rules: bool,
        clock: &impl Clock,
    ) -> Result<(), Full> {
        let Ok(key) = context.read_key(record) else { return Ok(()) };
        let TaskContext { panes, decoder, .. } = context;
        let Ok(decoded) = decoder.decode(record.timestamp_ms, record.value.unwrap_or_default()) else { return Ok(()) };
        let verdict = if same_rules {
            match self.guard.judge_again(record.offset, decoded.time_ms) {
                true => Verdict::Accept,
                false => return Ok(()),
            }
        } else {
            self.guard.judge(decoded.time_ms, || clock.now_ms())
        };
        let last_end_ms = panes.bounds.last_end(panes.bounds.pane_start(decoded.time_ms));
        if matches!(verdict, Verdict::Future(_))
            || decoded.bad_field.is_some()
            || panes.bounds.is_closed(self.watermark_ms, last_end_ms)
        {
            return Ok(());
        }
        let at = At { time_ms: decoded.time_ms, offset: record.offset };
        self.panes.add(panes, self.watermark_ms, key, at, |index| decoded.value(index))?;
        if let Verdict::AcceptAndStep(guard_ms) = verdict {
            self.guard.step(record.offset, guard_ms);
        }
        Ok(())
    }

    fn reject(
        &mut self,
        hot: &mut Hot,
        keep: bool,
        record: &Record<'_>,
        reason: Reason,
        detail: fmt::Arguments<'_>,
        late: Option<Lateness>,
    ) -> Result<(), Full> {
        let fate = reason.fate();
        match fate {
            Fate::Ignored | Fate::Merged => {}
            Fate::Late | Fate::Dead if keep => self.rejected.push(hot, record, reason, detail, late)?,
            Fate::Late | Fate::Dead => {
                self.dropped_late += u64::from(fate == Fate::Late);
                self.dropped_dead += u64::from(fate == Fate::Dead);
                self.dropped_last = Some((record.offset, reason));
            }
        }
        self.counts.read += 1;
        self.counts.refuse(reason);
        Ok(())
    }

    /// Raises the watermark, and closes what is due then; `offset` is where the stream stood.
    fn raise(&mut self, context: &mut TaskContext, watermark_ms: i64, by: ClosedBy, offset: i64) {
        let before = self.watermark_ms.replace(watermark_ms);
        self.close(context, Due { by, offset, watermark_ms: before });
    }

    /// Closes every window that is due, in order of end, as far as there is memory for it.
    fn close(&mut self, context: &mut TaskContext, mut due: Due) {
        let bounds = context.panes.bounds;
        self.due = None;
        while self.panes.next_end_ms().is_some_and(|end_ms| bounds.is_closed(self.watermark_ms, end_ms)) {
            match self.panes.close_next(&mut context.panes) {
                Ok(Some((end_ms, table))) => {
                    let replay_from = self.panes.first_offset().unwrap_or(due.offset).min(due.offset);
                    let mark = Mark { offset: due.offset, replay_from, guard: self.guard.mark() };
                    self.closed.push_back(Closed { end_ms, table, by: due.by, truncated: Vec::new(), mark });
                    due.watermark_ms = Some(end_ms + bounds.grace_ms());
                }
                Ok(None) => break,
                Err(Full) => {
                    self.due = Some(due);
                    break;
                }
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
