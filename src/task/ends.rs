//! Questions about the end of the partition: whether it is silent, and for people, how far behind the task is.
//!
//! One question at a time, because the answers do not say which was asked.

use super::silence::Horizon;
use super::{ClosedBy, State, Task, TaskContext};
use crate::broker::Ends;
use std::time::Duration;

/// How often the end of a partition is asked for, to show the lag.
const LAG_EVERY: Duration = Duration::from_secs(5);

/// What is known about the end of the partition, for people.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lag {
    ends: Option<Ends>,
    due_at: Duration,
    asked: bool,
}

impl Lag {
    /// Nothing is known; the first question is due now.
    pub(super) fn new(now: Duration) -> Self {
        Self { ends: None, due_at: now, asked: false }
    }
}

impl Task {
    /// When the broker is to be asked whether the partition is silent.
    pub fn silence_due_at(&self, context: &TaskContext) -> Option<Duration> {
        self.horizon(context).and_then(|horizon| self.silence.due_at(horizon))
    }

    /// Since when nothing has been merged (monotonic), as far as it can be vouched for.
    pub fn quiet_since(&self) -> Duration {
        self.silence.quiet_since()
    }

    /// Records between the position and the last stable offset, as far as the broker has said.
    pub fn lag_records(&self) -> Option<i64> {
        self.lag.ends.map(|ends| (ends.last_stable - self.position).max(0))
    }

    /// True if the broker is to be asked about the end of the partition now; it counts as asked. One question at a
    /// time: the answers do not say which was asked.
    pub fn ask_ends(&mut self, context: &TaskContext, now: Duration) -> bool {
        if self.lag.asked && now < self.lag.due_at {
            return false;
        }
        self.lag.asked = false;
        self.ask_silence(context, now) || self.ask_lag(now)
    }

    /// The same while nothing of the partition is read: only how much waits can be asked then.
    pub fn ask_lag(&mut self, now: Duration) -> bool {
        let asks = now >= self.lag.due_at && !self.silence.is_asked();
        if asks {
            (self.lag.asked, self.lag.due_at) = (true, now + LAG_EVERY);
        }
        asks
    }

    /// Takes the answer to [`Self::ask_ends`]; closes windows if it confirms a silence.
    pub fn answer_ends(&mut self, context: &mut TaskContext, ends: Option<Ends>, now: Duration) {
        self.lag.ends = ends.or(self.lag.ends);
        if !std::mem::take(&mut self.lag.asked) {
            self.answer_silence(context, ends, now);
        }
    }

    /// Takes an answer while nothing of the partition is read: it says how much waits, and confirms no silence.
    pub fn answer_lag(&mut self, ends: Option<Ends>, now: Duration) {
        self.lag.ends = ends.or(self.lag.ends);
        if !std::mem::take(&mut self.lag.asked) {
            self.silence.answer(now, None, self.position, None, self.watermark_ms);
        }
    }

    /// True if the broker is to be asked whether the partition is silent; it counts as asked.
    pub fn ask_silence(&mut self, context: &TaskContext, now: Duration) -> bool {
        let horizon = self.horizon(context);
        horizon.is_some_and(|horizon| self.silence.ask(now, horizon, self.watermark_ms))
    }

    /// Takes the answer to [`Self::ask_silence`].
    pub fn answer_silence(&mut self, context: &mut TaskContext, ends: Option<Ends>, now: Duration) {
        let horizon = self.horizon(context);
        if let Some(raised_ms) = self.silence.answer(now, ends, self.position, horizon, self.watermark_ms) {
            let raised_ms = self.watermark_ms.map_or(raised_ms, |watermark_ms| watermark_ms.max(raised_ms));
            self.raise(context, raised_ms, ClosedBy::Idle, self.position);
            self.date_closed(now);
        }
    }

    /// Watermark that closes the oldest open window, in Unix ms; `None` while nothing is open.
    pub fn due_ms(&self, context: &TaskContext) -> Option<i64> {
        self.panes.next_end_ms().map(|end_ms| end_ms + context.panes.bounds.grace_ms())
    }

    fn horizon(&self, context: &TaskContext) -> Option<Horizon> {
        if self.state != State::Live || self.is_blocked() {
            return None;
        }
        let bounds = &context.panes.bounds;
        Some(Horizon {
            next_close_ms: self.panes.next_end_ms()? + bounds.grace_ms(),
            last_close_ms: self.panes.last_end_ms(bounds)? + bounds.grace_ms(),
        })
    }
}
