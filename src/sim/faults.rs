//! Faults: scripted for one call, or drawn from a seed so that a run repeats exactly.
//!
//! Says what goes wrong, never how: the client carries it out.

use super::rng::Rng;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The calls of [`crate::broker::Broker`] that can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // Named as the calls are.
pub enum Call {
    Poll,
    Serve,
    Assign,
    Unassign,
    Pause,
    Seek,
    AskEnds,
    Committed,
    Earliest,
    TopicId,
    Partitions,
    RenewProducer,
    Begin,
    Produce,
    SendOffsets,
    Commit,
    Abort,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Any call: the client is dead from here on, and every call answers fatal, "crashed".
    Crash {
        /// The call was carried out first.
        after: bool,
    },
    /// Any call that may say so: nothing happened, try again.
    Retry,
    /// A producer's call: the transaction must be aborted.
    Abort,
    /// A producer's call: the producer is lost, its transaction stays open.
    Fatal,
    /// A producer's call: another producer has taken the transactional id, and the transaction is aborted.
    Fenced,
    /// Produce: the queue is full.
    Full,
    /// Commit or abort: every answer is a retry, whatever happened.
    AnswerLost {
        /// It was carried out.
        happened: bool,
    },
    /// Commit or abort: carried out at once, and answered with this many retries first.
    AnswerSlow {
        /// Retries before the answer.
        retries: u32,
    },
    /// Commit: no answer comes, and it is carried out after this time, unless the producer is fenced by then.
    InFlight {
        /// On the way for so long.
        after: Duration,
    },
    /// Poll or serve: the group has put this member out, as after an expired session.
    Lost,
    /// Poll or serve: the group takes some of this member's partitions back, for no good reason.
    Rebalance,
    /// Poll: one partition is read again from this many offsets before its position.
    Redeliver {
        /// Offsets to go back.
        back: u32,
    },
    /// Poll: an end is reported before it is reached (stale metadata); the offset in it is the true position.
    StaleEnd,
    /// Poll: no more than this many records come.
    Short {
        /// Records at most.
        records: u32,
    },
    /// Ask for ends: nobody answers (`None`).
    Unanswered,
}

/// How often what goes wrong, each in parts of a million calls that could show it. All zero unless set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// The same seed and the same calls give the same faults.
    pub seed: u64,
    /// [`Fault::Crash`], half of them after the call.
    pub crash: u32,
    /// [`Fault::Retry`].
    pub retry: u32,
    /// [`Fault::Abort`].
    pub abort: u32,
    /// [`Fault::Fatal`].
    pub fatal: u32,
    /// [`Fault::Fenced`].
    pub fenced: u32,
    /// [`Fault::Full`].
    pub full: u32,
    /// [`Fault::AnswerLost`], half of them carried out.
    pub answer_lost: u32,
    /// [`Fault::AnswerSlow`].
    pub answer_slow: u32,
    /// [`Fault::InFlight`].
    pub in_flight: u32,
    /// [`Fault::Lost`].
    pub lost: u32,
    /// [`Fault::Rebalance`].
    pub rebalance: u32,
    /// [`Fault::Redeliver`].
    pub redeliver: u32,
    /// [`Fault::StaleEnd`].
    pub stale_end: u32,
    /// [`Fault::Short`].
    pub short: u32,
    /// [`Fault::Unanswered`].
    pub unanswered: u32,
}

impl Faults {
    /// A harsh mixture for simulations: several of everything in each thousand calls.
    pub fn storm(seed: u64) -> Self {
        Self {
            seed,
            crash: 1_000,
            retry: 20_000,
            abort: 3_000,
            fatal: 2_000,
            fenced: 1_000,
            full: 5_000,
            answer_lost: 10_000,
            answer_slow: 20_000,
            in_flight: 10_000,
            lost: 2_000,
            rebalance: 5_000,
            redeliver: 3_000,
            stale_end: 10_000,
            short: 200_000,
            unanswered: 50_000,
        }
    }
}

/// Decides for one client; clones decide together, so that a test can keep one while a lane owns the client.
#[derive(Clone, Debug)]
pub struct Injector(Arc<Mutex<Decider>>);

#[derive(Debug)]
struct Decider {
    faults: Faults,
    rng: Rng,
    script: VecDeque<(Call, Fault)>,
    injected: u64,
}

impl Injector {
    /// Draws by these rates.
    pub fn new(faults: Faults) -> Self {
        let rng = Rng::new(faults.seed);
        Self(Arc::new(Mutex::new(Decider { faults, rng, script: VecDeque::new(), injected: 0 })))
    }

    /// The next call of this kind that has no older fault waiting goes wrong in this way.
    pub fn fail_next(&self, call: Call, fault: Fault) {
        self.decider().script.push_back((call, fault));
    }

    /// From here on nothing goes wrong by chance; scripted faults stay.
    pub fn calm(&self) {
        self.set(Faults::default());
    }

    /// From here on things go wrong at these rates; the seed is not begun anew.
    pub fn set(&self, faults: Faults) {
        self.decider().faults = faults;
    }

    /// Number of faults so far.
    pub fn injected(&self) -> u64 {
        self.decider().injected
    }

    pub(super) fn draw(&self, call: Call) -> Option<Fault> {
        let mut decider = self.decider();
        let scripted = decider.script.iter().position(|(at, _)| *at == call);
        let fault = match scripted.and_then(|index| decider.script.remove(index)) {
            Some((_, fault)) => Some(fault),
            None if decider.faults == Faults::default() => None,
            None => decider.chance(call),
        };
        decider.injected += u64::from(fault.is_some());
        fault
    }

    /// A number below `bound` from the same seed, for what a fault leaves open.
    pub(super) fn below(&self, bound: u64) -> u64 {
        self.decider().rng.below(bound)
    }

    fn decider(&self) -> MutexGuard<'_, Decider> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Decider {
    fn chance(&mut self, call: Call) -> Option<Fault> {
        let rates = self.faults.clone();
        let parameter = self.rng.next_u64();
        let coin = parameter & 1 == 1;
        let small = (parameter >> 8) as u32 % 8;
        let crash = (rates.crash, Fault::Crash { after: coin });
        let retry = (rates.retry, Fault::Retry);
        let abort = (rates.abort, Fault::Abort);
        let fatal = (rates.fatal, Fault::Fatal);
        let fenced = (rates.fenced, Fault::Fenced);
        let lost = (rates.lost, Fault::Lost);
        let rebalance = (rates.rebalance, Fault::Rebalance);
        let answer_lost = (rates.answer_lost, Fault::AnswerLost { happened: coin });
        let answer_slow = (rates.answer_slow, Fault::AnswerSlow { retries: 1 + small });
        let mut roll = self.rng.below(1_000_000) as u32;
        let mut pick = |menu: &[(u32, Fault)]| {
            for &(rate, fault) in menu {
                match roll.checked_sub(rate) {
                    Some(rest) => roll = rest,
                    None => return Some(fault),
                }
            }
            None
        };
        match call {
            Call::Poll => pick(&[
                crash,
                lost,
                rebalance,
                (rates.redeliver, Fault::Redeliver { back: 1 + small }),
                (rates.stale_end, Fault::StaleEnd),
                (rates.short, Fault::Short { records: small }),
            ]),
            Call::Serve => pick(&[crash, lost, rebalance]),
            Call::Assign | Call::Unassign => pick(&[crash]),
            Call::AskEnds => pick(&[crash, (rates.unanswered, Fault::Unanswered)]),
            Call::Pause
            | Call::Seek
            | Call::Committed
            | Call::Earliest
            | Call::TopicId
            | Call::Partitions
            | Call::RenewProducer => pick(&[crash, retry]),
            Call::Begin | Call::SendOffsets => pick(&[crash, retry, abort, fatal, fenced]),
            Call::Produce => pick(&[crash, abort, fatal, fenced, (rates.full, Fault::Full)]),
            Call::Commit => pick(&[
                crash,
                retry,
                abort,
                fatal,
                fenced,
                answer_lost,
                answer_slow,
                (rates.in_flight, Fault::InFlight { after: Duration::from_millis(u64::from(small) * 300) }),
            ]),
            Call::Abort => pick(&[crash, retry, fatal, fenced, answer_lost, answer_slow]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_faults() {
        let draw = |seed| {
            let injector = Injector::new(Faults::storm(seed));
            (0..5_000).map(|_| injector.draw(Call::Commit)).collect::<Vec<_>>()
        };
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
        assert!(draw(3).contains(&Some(Fault::AnswerLost { happened: true })));
        assert!(draw(3).contains(&Some(Fault::AnswerLost { happened: false })));
    }

    #[test]
    fn rates_can_change_on_the_way() {
        let injector = Injector::new(Faults::default());
        let mut drawn = Vec::new();
        for retry in [0, 1_000_000, 0] {
            injector.set(Faults { retry, ..Faults::default() });
            drawn.push(injector.draw(Call::Begin));
        }
        assert_eq!(drawn, [None, Some(Fault::Retry), None]);
    }

    #[test]
    fn scripted_faults_come_in_order_once_each_and_only_at_their_call() {
        let injector = Injector::new(Faults::default());
        injector.fail_next(Call::Commit, Fault::Retry);
        injector.fail_next(Call::Begin, Fault::Fatal);
        injector.fail_next(Call::Commit, Fault::Abort);
        let calls = [Call::Begin, Call::Commit, Call::Commit, Call::Commit];
        let drawn = calls.map(|call| injector.draw(call));
        assert_eq!(drawn, [Some(Fault::Fatal), Some(Fault::Retry), Some(Fault::Abort), None]);
        assert_eq!(injector.injected(), 3);
    }
}
