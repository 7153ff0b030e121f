//! The fate of one record, and the windows that it closes: docs/guarantees.md, "One record, one fate", in its order.

use super::closed::{Closed, ClosedBy, Due, Mark};
use super::guard::Verdict;
use super::rejected::Lateness;
use super::{Task, TaskContext};
use crate::aggregate::At;
use crate::broker::Record;
use crate::clock::Clock;
use crate::fate::{Fate, Reason};
use crate::pool::{Full, Hot};
use std::fmt;

impl Task {
    /// Decides the fate of a record that nobody has judged before.
    pub(super) fn judge(
        &mut self,
        context: &mut TaskContext,
        record: &Record<'_>,
        clock: &impl Clock,
    ) -> Result<(), Full> {
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
            let behind_ms = watermark_ms.abs_diff(time_ms);
            let late = Lateness { watermark_ms, window_end_ms: last_end_ms };
            let detail = format_args!("event time {time_ms}, its last window closed at {last_end_ms} plus grace");
            self.reject(&mut panes.hot, *keep_late, record, Reason::Late, detail, Some(late))?;
            self.counts.behind.observe(behind_ms);
            self.late_records += 1;
            return Ok(());
        }
        let at = At { time_ms, offset: record.offset };
        self.panes.add(panes, self.watermark_ms, key, at, |index| decoded.value(index))?;
        if let Verdict::AcceptAndStep(guard_ms) = verdict {
            self.guard.step(record.offset, guard_ms);
        }
        let partly_late = bounds.is_closed(self.watermark_ms, bounds.first_end(pane_start_ms));
        self.counts.read += 1;
        self.counts.read_bytes += record.bytes();
        self.counts.merged += 1;
        self.counts.partly_late += u64::from(partly_late);
        self.merged_in_batch = true;
        match self.watermark_ms {
            Some(watermark_ms) if time_ms < watermark_ms => self.counts.behind.observe(watermark_ms.abs_diff(time_ms)),
            Some(watermark_ms) if time_ms == watermark_ms => {}
            _ => self.raise(context, time_ms, ClosedBy::Watermark, record.offset),
        }
        Ok(())
    }

    /// Adds a record that was judged before to those of its windows that are still open, and nothing else.
    pub(super) fn restore(
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
        self.counts.read_bytes += record.bytes();
        self.counts.refuse(reason, record.bytes());
        Ok(())
    }

    /// Raises the watermark, and closes what is due then; `offset` is where the stream stood.
    pub(super) fn raise(&mut self, context: &mut TaskContext, watermark_ms: i64, by: ClosedBy, offset: i64) {
        let before = self.watermark_ms.replace(watermark_ms);
        self.close(context, Due { by, offset, watermark_ms: before });
    }

    /// Closes every window that is due, in order of end, as far as there is memory for it.
    pub(super) fn close(&mut self, context: &mut TaskContext, mut due: Due) {
        let bounds = context.panes.bounds;
        self.due = None;
        while self.panes.next_end_ms().is_some_and(|end_ms| bounds.is_closed(self.watermark_ms, end_ms)) {
            match self.panes.close_next(&mut context.panes) {
                Ok(Some((end_ms, table))) => {
                    let replay_from = self.panes.first_offset().unwrap_or(due.offset).min(due.offset);
                    let mark = Mark { offset: due.offset, replay_from, guard: self.guard.mark() };
                    self.closed.push_back(Closed { end_ms, table, by: due.by, at: None, truncated: Vec::new(), mark });
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
