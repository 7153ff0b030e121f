//! The guard clock: the one verdict that depends on the wall clock, made repeatable.
//!
//! A record with `t ≤ guard + max_ahead` is accepted without a look at the clock. Otherwise `now`, rounded up to a
//! multiple of the step, decides; if the record is then merged, the guard steps there, at this offset. The steps since
//! `replay_from` are committed, so that a replay repeats every verdict (docs/guarantees.md, "The guard clock").

use crate::checkpoint::GuardStep;
use crate::config::Pipeline;

/// What the model check found for an honest and a hostile stream is 42 at most.
const STEPS_MAX: usize = 48;

/// The guard clock of one task.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    /// `None`: no guard.
    max_ahead_ms: Option<i64>,
    step_ms: i64,
    steps: Vec<GuardStep>,
    /// How many steps were pruned before the first of `steps`.
    pruned: usize,
    /// Whether a record was refused since the last step: then the next step may not be merged into it.
    refused_since: bool,
}

/// What the guard says of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Go on to the next rule.
    Accept,
    /// Go on to the next rule; if the record is merged, the guard steps to this time (Unix ms).
    AcceptAndStep(i64),
    /// Dead letter: it is ahead by so many ms.
    Future(i64),
}

/// The guard as it stood at one point of the stream, for a commit that reaches only so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GuardMark {
    steps: usize,
    guard_ms: i64,
}

impl Guard {
    /// The guard of a task that begins with these committed steps (none: it has never seen a record).
    pub(super) fn new(pipeline: &Pipeline, steps: Vec<GuardStep>) -> Self {
        let span_ms = pipeline.window.size_ms + pipeline.window.grace_ms;
        let step_ms =
            pipeline.max_ahead_ms.map_or(1, |ahead_ms| ceil_div(ahead_ms, 4).max(ceil_div(span_ms, 40)).max(1));
        Self { max_ahead_ms: pipeline.max_ahead_ms, step_ms, steps, pruned: 0, refused_since: false }
    }

    /// The guard of a task that replays. Under other rules verdicts are judged anew, by the last step alone.
    pub(super) fn resumed(pipeline: &Pipeline, mut steps: Vec<GuardStep>, replay_from: i64, same_rules: bool) -> Self {
        if !same_rules {
            steps.drain(..steps.len().saturating_sub(1));
            steps.iter_mut().for_each(|step| step.offset = replay_from);
        }
        Self::new(pipeline, steps)
    }

    /// Judges a live record; `now_ms` is called only if the guard cannot decide alone.
    #[inline]
    pub(super) fn judge(&mut self, time_ms: i64, now_ms: impl FnOnce() -> i64) -> Verdict {
        let Some(max_ahead_ms) = self.max_ahead_ms else { return Verdict::Accept };
        if self.steps.last().is_some_and(|step| time_ms <= step.guard_ms + max_ahead_ms) {
            return Verdict::Accept;
        }
        let now_ms = now_ms();
        let guard_ms = ceil_div(now_ms, self.step_ms) * self.step_ms;
        if time_ms <= guard_ms + max_ahead_ms {
            Verdict::AcceptAndStep(guard_ms)
        } else {
            self.refused_since = true;
            Verdict::Future(time_ms - now_ms)
        }
    }

    /// Repeats the verdict on a record that was judged before the commit: true if it was accepted.
    pub(super) fn judge_again(&mut self, offset: i64, time_ms: i64) -> bool {
        let Some(max_ahead_ms) = self.max_ahead_ms else { return true };
        let in_force = self.steps.partition_point(|step| step.offset <= offset);
        let guard_ms = in_force.checked_sub(1).and_then(|index| self.steps.get(index)).map(|step| step.guard_ms);
        let accepted = guard_ms.is_some_and(|guard_ms| time_ms <= guard_ms + max_ahead_ms);
        if !accepted && in_force == self.steps.len() {
            self.refused_since = true;
        }
        accepted
    }

    /// The record that [`Verdict::AcceptAndStep`] was said of has been merged.
    pub(super) fn step(&mut self, offset: i64, guard_ms: i64) {
        match self.steps.last_mut() {
            Some(last) if !self.refused_since => last.guard_ms = guard_ms,
            _ => self.steps.push(GuardStep { offset, guard_ms }),
        }
        self.refused_since = false;
    }

    /// The guard as it stands now.
    pub(super) fn mark(&self) -> GuardMark {
        GuardMark { steps: self.pruned + self.steps.len(), guard_ms: self.steps.last().map_or(0, |step| step.guard_ms) }
    }

    /// The steps that a replay from `replay_from` needs, as they stood at `mark`.
    pub(super) fn steps_since(&self, replay_from: i64, mark: GuardMark) -> impl Iterator<Item = GuardStep> + Clone {
        let known = self.steps.get(..mark.steps.saturating_sub(self.pruned)).unwrap_or(&self.steps);
        let in_force = known.partition_point(|step| step.offset <= replay_from).saturating_sub(1);
        let steps = known.get(in_force..).unwrap_or_default();
        debug_assert!(steps.len() <= STEPS_MAX, "{} guard steps", steps.len());
        steps.iter().enumerate().map(move |(index, step)| GuardStep {
            offset: if index == 0 { step.offset.max(replay_from) } else { step.offset },
            guard_ms: if index + 1 == steps.len() { mark.guard_ms } else { step.guard_ms },
        })
    }

    /// Forgets the steps before the one in force at `replay_from`, which is committed.
    pub(super) fn prune(&mut self, replay_from: i64) {
        let keep = self.steps.partition_point(|step| step.offset <= replay_from).saturating_sub(1);
        self.steps.drain(..keep);
        self.pruned += keep;
    }
}

fn ceil_div(number: i64, by: i64) -> i64 {
    -(-number).div_euclid(by)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(max_ahead_ms: i64, span_ms: i64) -> Guard {
        let mut pipeline = crate::task::tests::pipeline();
        pipeline.max_ahead_ms = Some(max_ahead_ms);
        pipeline.window.size_ms = span_ms;
        pipeline.window.grace_ms = 0;
        Guard::new(&pipeline, Vec::new())
    }

    #[test]
    fn the_step_is_a_quarter_of_the_lead_or_a_fortieth_of_the_window_rounded_up() {
        for (ahead, span, step) in [(100, 40, 25), (101, 40, 26), (4, 400, 10), (4, 401, 11), (0, 1, 1)] {
            assert_eq!(guard(ahead, span).step_ms, step, "{ahead} {span}");
        }
    }

    #[test]
    fn steps_without_a_refusal_between_them_are_one() {
        let mut guard = guard(100, 40);
        for (offset, now) in [(5, 1000), (6, 2000), (7, 3000)] {
            assert_eq!(guard.judge(now + 50, || now), Verdict::AcceptAndStep(now));
            guard.step(offset, now);
        }
        assert_eq!(guard.steps, [GuardStep { offset: 5, guard_ms: 3000 }]);
        assert_eq!(guard.judge(3126, || 3000), Verdict::Future(126));
        assert_eq!(guard.judge(3125, || 3001), Verdict::AcceptAndStep(3025));
        assert_eq!(guard.judge(3150, || 3026), Verdict::AcceptAndStep(3050));
        guard.step(9, 3050);
        assert_eq!(guard.steps.len(), 2);
    }

    #[test]
    fn a_replay_repeats_every_verdict_also_from_a_mark() {
        let mut guard = guard(100, 40);
        guard.step(5, 1000);
        assert!(matches!(guard.judge(2000, || 1000), Verdict::Future(_)));
        let mark = guard.mark();
        guard.step(7, 2000);
        guard.step(8, 3000);
        let mut again = guard.clone();
        again.steps = guard.steps_since(6, guard.mark()).collect();
        assert!(again.judge_again(6, 1100) && !again.judge_again(6, 1101) && again.judge_again(7, 3100));
        assert!(guard.steps_since(6, mark).eq([GuardStep { offset: 6, guard_ms: 1000 }]));
        guard.prune(8);
        assert_eq!(guard.steps, [GuardStep { offset: 7, guard_ms: 3000 }]);
        assert!(guard.steps_since(9, guard.mark()).eq([GuardStep { offset: 9, guard_ms: 3000 }]));
    }
}
