//! Silence: how long a task has been quiet, when to ask the broker about it, and what it raises the watermark to.
//!
//! The watermark is raised only when the raise closes a window, and only after the leader has said, in an answer to a
//! question asked late enough, that nothing lies behind our position. No answer, or another one: the quiet starts anew.

use crate::broker::Ends;
use crate::config::Idle;
use std::time::Duration;

/// Longest wait for an answer about the end of a partition.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// The quiet of one task, on the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Silence {
    idle: Idle,
    quiet_since: Duration,
    /// The watermark when the quiet began.
    watermark_ms: Option<i64>,
    asked_at: Option<Duration>,
    /// Questions whose answers no longer count and are still to come.
    stale: u32,
}

/// The open windows of a task, as far as silence is concerned; `end + grace` in Unix milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Horizon {
    /// What closes the next window.
    pub(super) next_close_ms: i64,
    /// What closes the last one (`L`).
    pub(super) last_close_ms: i64,
}

impl Silence {
    /// Quiet begins now.
    pub(super) fn new(idle: Idle, now: Duration, watermark_ms: Option<i64>) -> Self {
        Self { idle, quiet_since: now, watermark_ms, asked_at: None, stale: 0 }
    }

    /// A record was merged, or the quiet cannot be vouched for: it begins anew.
    pub(super) fn restart(&mut self, now: Duration, watermark_ms: Option<i64>) {
        let stale = self.stale + u32::from(self.asked_at.is_some());
        *self = Self { stale, ..Self::new(self.idle, now, watermark_ms) };
    }

    /// The task could not read for so long: that was not quiet.
    pub(super) fn discount(&mut self, blocked: Duration) {
        self.quiet_since += blocked;
    }

    /// When the quiet began.
    pub(super) fn quiet_since(&self) -> Duration {
        self.quiet_since
    }

    /// When the quiet is long enough for a raise that closes the next window; `None` if it never is.
    pub(super) fn due_at(&self, horizon: Horizon) -> Option<Duration> {
        let quiet_ms = match self.idle {
            Idle::Off => return None,
            Idle::Close { after_ms } => after_ms,
            Idle::Advance { after_ms } => after_ms + (horizon.next_close_ms - self.watermark_ms?).max(0),
        };
        Some(self.quiet_since + Duration::from_millis(quiet_ms.max(0) as u64))
    }

    /// True while an answer is awaited.
    pub(super) fn is_asked(&self) -> bool {
        self.asked_at.is_some() || self.stale > 0
    }

    /// True if the broker is to be asked now; it counts as asked. A question without an answer restarts the quiet.
    pub(super) fn ask(&mut self, now: Duration, horizon: Horizon, watermark_ms: Option<i64>) -> bool {
        match self.asked_at {
            Some(asked_at) if now >= asked_at + ANSWER_MAX => {
                self.restart(now, watermark_ms);
                false
            }
            Some(_) => false,
            None => {
                let due = self.due_at(horizon).is_some_and(|due_at| now >= due_at);
                if due {
                    self.asked_at = Some(now);
                }
                due
            }
        }
    }

    /// Takes the answer to [`Self::ask`]: what the watermark is raised to, if the quiet is confirmed.
    pub(super) fn answer(
        &mut self,
        now: Duration,
        ends: Option<Ends>,
        position: i64,
        horizon: Option<Horizon>,
        watermark_ms: Option<i64>,
    ) -> Option<i64> {
        if self.stale > 0 {
            self.stale -= 1;
            return None;
        }
        self.asked_at.take()?;
        let confirmed = ends.is_some_and(|ends| ends.last_stable == position && ends.high_watermark == position);
        let horizon = match horizon {
            Some(horizon) if confirmed => horizon,
            _ => {
                self.restart(now, watermark_ms);
                return None;
            }
        };
        match self.idle {
            Idle::Off => None,
            Idle::Close { .. } => Some(horizon.last_close_ms),
            Idle::Advance { after_ms } => {
                let quiet_ms = i64::try_from(now.saturating_sub(self.quiet_since).as_millis()).unwrap_or(i64::MAX);
                let raised_ms = self.watermark_ms?.saturating_add(quiet_ms.saturating_sub(after_ms));
                Some(raised_ms.min(horizon.last_close_ms))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HORIZON: Horizon = Horizon { next_close_ms: 1_500, last_close_ms: 1_800 };

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn ends(last_stable: i64, high_watermark: i64) -> Option<Ends> {
        Some(Ends { last_stable, high_watermark })
    }

    #[test]
    fn advance_follows_the_clock_and_never_passes_the_last_close() {
        let mut silence = Silence::new(Idle::Advance { after_ms: 100 }, at(0), Some(1_000));
        assert_eq!(silence.due_at(HORIZON), Some(at(600)));
        assert!(!silence.ask(at(599), HORIZON, Some(1_000)));
        assert!(silence.ask(at(600), HORIZON, Some(1_000)));
        assert!(!silence.ask(at(601), HORIZON, Some(1_000)), "asked once");
        assert_eq!(silence.answer(at(650), ends(7, 7), 7, Some(HORIZON), Some(1_000)), Some(1_550));
        assert!(silence.ask(at(5_000), HORIZON, Some(1_550)));
        assert_eq!(silence.answer(at(5_000), ends(7, 7), 7, Some(HORIZON), Some(1_550)), Some(1_800));
    }

    #[test]
    fn an_answer_that_does_not_confirm_starts_the_quiet_anew() {
        for answer in [None, ends(7, 9), ends(6, 7), ends(8, 8)] {
            let mut silence = Silence::new(Idle::Close { after_ms: 100 }, at(0), Some(1_000));
            assert!(silence.ask(at(100), HORIZON, Some(1_000)));
            assert_eq!(silence.answer(at(150), answer, 7, Some(HORIZON), Some(1_000)), None);
            assert_eq!(silence.due_at(HORIZON), Some(at(250)));
        }
    }

    #[test]
    fn an_answer_to_nobodys_question_is_ignored() {
        let mut silence = Silence::new(Idle::Close { after_ms: 100 }, at(0), Some(1_000));
        assert_eq!(silence.answer(at(500), ends(7, 7), 7, Some(HORIZON), Some(1_000)), None);
        assert!(silence.ask(at(500), HORIZON, Some(1_000)));
        silence.restart(at(501), Some(1_000));
        assert_eq!(silence.answer(at(502), ends(7, 7), 7, Some(HORIZON), Some(1_000)), None);
        assert_eq!(silence.due_at(HORIZON), Some(at(601)));
    }

    #[test]
    fn off_is_never_due() {
        assert_eq!(Silence::new(Idle::Off, at(0), Some(0)).due_at(HORIZON), None);
    }
}
