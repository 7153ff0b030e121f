//! The tide: one commit of everything that waits, as a state machine that is advanced step by step.
//!
//! ```text
//! Fencing ─→ Idle ─→ Producing ─→ Sending ─→ Committing ─→ (released) ─→ Idle
//!    ↑          ↑         └──────────┴── Aborting     │
//!    └──────────┼──────────────────────────┘          │
//!               └─ Verifying ←─ Fencing ←─────────────┴── whatever is fatal or unknown at the deadline
//! ```
//!
//! What a call says decides alone: retry makes the same call again, abort aborts and keeps everything for the next
//! tide and another producer, fatal drops the producer, fences it, and reads what is committed: that tells the truth.

use super::fencing::Fencing;
use super::span::Open;
use super::{Holding, Lane, POSITIONS_EVERY, Stop};
use crate::broker::{Broker, CommitOffset, Slot};
use crate::clock::Clock;
use crate::error::{BrokerError, ErrorKind};
use crate::metrics::TransactionResult::{Aborted, Committed, Unknown};
use crate::pool::Spot;
use std::time::Duration;

/// So many aborts or lost producers in a row stop the worker: a loop must become visible.
const FAILURES_MAX: u32 = 20;
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// Where the lane's transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// A new producer takes the transactional id; then the attempt's outcome is looked up, if it could be either.
    Fencing { verify: bool },
    /// Reads the committed positions to learn what became of the attempt.
    Verifying,
    /// No transaction.
    Idle,
    /// Begun; results, late records and dead letters go out.
    Producing,
    /// All are queued; the positions go out.
    Sending,
    /// Everything is sent; the outcome may be unknown from here on.
    Committing,
    /// On the way back.
    Aborting,
}

/// The current or next transaction.
#[derive(Debug)]
pub(super) struct Tide {
    pub(super) phase: Phase,
    pub(super) parts: Vec<Part>,
    /// What is committed with each part, in their order; those beyond the last part are memory for later.
    pub(super) offsets: Vec<CommitOffset>,
    pub(super) cursor: Cursor,
    /// Every record in a batch of its own, to find the one that a topic refuses for good.
    pub(super) isolate: bool,
    pub(super) began: Duration,
    /// Records queued so far; the next token.
    pub(super) tokens: u64,
    /// Bytes of result values in them.
    pub(super) bytes: u64,
    /// Where traces are on.
    pub(super) span: Option<Open>,
    /// Where the next split burst goes on: every partition gets its turn.
    pub(super) first_slot: Slot,
    deadline: Duration,
    pub(super) not_before: Duration,
    pub(super) positions_at: Duration,
    failures: u32,
    fencing: Fencing,
    /// Whether a producer was ever made.
    fresh: bool,
}

/// One partition's share of a transaction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) slot: Slot,
    /// How many of the waiting windows.
    pub(super) windows: usize,
    /// How many of the waiting late records and dead letters.
    pub(super) rejected: usize,
}

/// The next record to be produced: windows of a part first, row by row, then its rejected records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) part: usize,
    pub(super) window: usize,
    pub(super) row: usize,
    /// Where that row lies.
    pub(super) spot: Spot,
    pub(super) rejected: usize,
}

impl Tide {
    pub(super) fn new(now: Duration) -> Self {
        Self {
            phase: Phase::Fencing { verify: false },
            parts: Vec::new(),
            offsets: Vec::new(),
            cursor: Cursor::default(),
            isolate: false,
            began: now,
            tokens: 0,
            bytes: 0,
            span: None,
            first_slot: 0,
            deadline: now,
            not_before: now,
            positions_at: now,
            failures: 0,
            fencing: Fencing::default(),
            fresh: true,
        }
    }

    pub(super) fn is_first_fencing(&self) -> bool {
        self.fresh
    }

    /// Changes whenever the transaction gets on.
    pub(super) fn progress(&self) -> (Phase, u64) {
        (self.phase, self.tokens)
    }

    /// True if the transaction has taken all the time it may.
    pub(super) fn is_overdue(&self, now: Duration) -> bool {
        now >= self.deadline
    }

    /// True if something is under way: what it commits must stand still.
    pub(super) fn is_running(&self) -> bool {
        self.phase != Phase::Idle
    }

    /// True where a task may go away: nothing more of it is sent. (What was sent is settled before the next owner reads.)
    pub(super) fn may_lose_tasks(&self) -> bool {
        !matches!(self.phase, Phase::Producing | Phase::Sending)
    }

    /// What made the last transaction fail will not make the next one fail: each record is truncated once at most, so
    /// that a burst of many that a topic refuses is no loop, however few of them each attempt finds.
    pub(super) fn forget_failures(&mut self) {
        self.failures = 0;
    }

    /// See [`Fencing::forget`].
    pub(super) fn forget_fencing(&mut self) {
        self.fencing.forget();
    }
}

impl<B: Broker, C: Clock> Lane<B, C> {
    /// **commit**: advances the transaction as far as it goes without waiting.
    pub(super) fn commit(&mut self) -> Result<(), Stop> {
        if self.tide.is_running() && self.is_revoke_overdue() {
            self.abandon_tide("the time for a last commit before giving partitions back is over");
        }
        loop {
            let before = self.tide.phase;
            match before {
                Phase::Idle | Phase::Producing => return Ok(()),
                Phase::Fencing { verify } => self.fence(verify)?,
                Phase::Verifying => self.verify()?,
                Phase::Sending => self.send_offsets()?,
                Phase::Committing => self.end_transaction()?,
                Phase::Aborting => self.abort()?,
            }
            if self.tide.phase == before {
                return Ok(());
            }
        }
    }

    /// Idle ⇒ Producing, if something is due.
    pub(super) fn begin_tide(&mut self) -> Result<(), Stop> {
        let now = self.clock.monotonic();
        if self.tide_due_at().is_none_or(|due_at| now < due_at) {
            return Ok(());
        }
        self.gather();
        self.tide.positions_at = now + POSITIONS_EVERY;
        if self.tide.parts.is_empty() {
            return Ok(());
        }
        match self.broker.begin() {
            Ok(()) => {
                self.tide.cursor = Cursor::default();
                (self.tide.tokens, self.tide.bytes) = (0, 0);
                self.tide.began = now;
                self.tide.deadline = now + self.config.commit.timeout;
                self.tide.phase = Phase::Producing;
                self.open_span(now);
                Ok(())
            }
            Err(error) if error.kind == ErrorKind::Retry => Ok(()),
            Err(error) => self.lose_producer("beginning a transaction", &error, false),
        }
    }

    /// Something went wrong that leaves the transaction decided as "not": keep everything for the next one.
    pub(super) fn abandon_tide(&mut self, why: &str) {
        if matches!(self.tide.phase, Phase::Producing | Phase::Sending) {
            tracing::warn!(lane = self.options.lane, why, "transaction is aborted");
            self.blame(format_args!("{why}"));
            self.tide.phase = Phase::Aborting;
        }
    }

    /// The producer is lost: another one takes the transactional id.
    pub(super) fn lose_producer(&mut self, doing: &str, error: &BrokerError, verify: bool) -> Result<(), Stop> {
        tracing::warn!(lane = self.options.lane, doing, %error, verify, "producer is replaced");
        self.blame(format_args!("{doing}: {error}"));
        self.learn_refusals()?;
        self.ended(if verify { Unknown } else { Aborted });
        // A transaction that took too long was fenced by its own timeout.
        let now = self.clock.monotonic();
        if error.fenced && !self.tide.is_overdue(now) && self.tide.fencing.is_duel(now) {
            return Err(Stop(format!(
                "lane {}: fenced twice without a rebalance ({error}): another worker uses the same transactional \
                     id. Give each worker its own `kafka.instance`, or leave it unset",
                self.options.lane
            )));
        }
        self.tide.phase = Phase::Fencing { verify };
        self.fail(doing, error)
    }

    /// Finds out what each partition has to commit now, in turns.
    fn gather(&mut self) {
        self.tide.parts.clear();
        let first = self.tide.first_slot;
        for holding in self.holdings.range(first..).chain(self.holdings.range(..first)) {
            let Some(task) = holding.1.task().filter(|task| self.has_news(task)) else { continue };
            let part = Part { slot: task.slot, windows: task.closed.len(), rejected: task.rejected.len() };
            match self.tide.offsets.get_mut(self.tide.parts.len()) {
                Some(offset) => {
                    offset.partition.clone_from(&task.partition);
                    task.write_commit_point(&self.context, &mut offset.committed);
                }
                None => self.tide.offsets.push(CommitOffset {
                    partition: task.partition.clone(),
                    committed: task.commit_point(&self.context),
                }),
            }
            self.tide.parts.push(part);
        }
    }

    /// Fencing ⇒ Verifying | Idle.
    fn fence(&mut self, verify: bool) -> Result<(), Stop> {
        if self.clock.monotonic() < self.tide.not_before {
            return Ok(());
        }
        match self.broker.renew_producer(self.tide.isolate) {
            Ok(()) => {
                self.tide.fresh = false;
                self.tide.phase = if verify { Phase::Verifying } else { Phase::Idle };
                Ok(())
            }
            Err(error) => self.retry_or_lose("taking the transactional id", error, verify),
        }
    }

    /// Verifying ⇒ Idle: what is committed tells whether the attempt is visible.
    fn verify(&mut self) -> Result<(), Stop> {
        let owned: Vec<_> = self
            .tide
            .parts
            .iter()
            .enumerate()
            .filter_map(|(index, part)| Some((index, part.slot, self.holdings.get(&part.slot)?.task()?)))
            .map(|(index, slot, task)| (index, slot, task.partition.clone(), task.committed.clone()))
            .collect();
        let partitions: Vec<_> = owned.iter().map(|(_, _, partition, _)| partition.clone()).collect();
        let committed = match self.broker.committed(&partitions) {
            Ok(committed) => committed,
            Err(error) => return self.retry_or_lose("reading what is committed", error, true),
        };
        let mut visible = Vec::new();
        for ((index, slot, partition, before), now) in owned.into_iter().zip(committed) {
            if now.as_ref() == self.tide.offsets.get(index).map(|attempted| &attempted.committed) {
                visible.push(index);
            } else if now != before {
                self.take_again(slot, &format!("neither our last commit nor the attempted one stands for {partition}"));
            }
        }
        let (asked, visible_for) = (partitions.len(), visible.len());
        tracing::info!(lane = self.options.lane, asked, visible_for, "transaction of unknown outcome is settled");
        self.finish_parts(visible);
        self.tide.phase = Phase::Idle;
        Ok(())
    }

    /// Sending ⇒ Committing.
    fn send_offsets(&mut self) -> Result<(), Stop> {
        if self.tide.parts.iter().any(|part| self.holdings.get(&part.slot).and_then(Holding::task).is_none()) {
            self.abandon_tide("a partition is gone");
            return Ok(());
        }
        let offsets = self.tide.offsets.get(..self.tide.parts.len()).unwrap_or_default();
        match self.broker.send_offsets(offsets) {
            Ok(()) => {
                self.mark("positions sent");
                self.tide.phase = Phase::Committing;
                Ok(())
            }
            Err(error) => self.failed("sending positions", error, false),
        }
    }

    /// Committing ⇒ Idle, released.
    fn end_transaction(&mut self) -> Result<(), Stop> {
        match self.broker.commit() {
            Ok(()) => {
                self.ended(Committed);
                self.tide.failures = 0;
                self.tide.fencing.committed();
                self.trouble = None;
                self.finish_parts(0..self.tide.parts.len());
                self.context.panes.hot.end_tide();
                let isolated = std::mem::replace(&mut self.tide.isolate, false);
                self.tide.phase = if isolated { Phase::Fencing { verify: false } } else { Phase::Idle };
                Ok(())
            }
            Err(error) => self.failed("committing", error, true),
        }
    }

    /// Aborting ⇒ Fencing: the producer is spent.
    fn abort(&mut self) -> Result<(), Stop> {
        self.learn_refusals()?;
        match self.broker.abort() {
            Ok(()) => {
                self.ended(Aborted);
                self.tide.phase = Phase::Fencing { verify: false };
                Ok(())
            }
            Err(error) => self.retry_or_lose("aborting", error, false),
        }
    }

    /// A call inside the transaction failed. `verify`: its outcome may be either, if nobody says.
    pub(super) fn failed(&mut self, doing: &str, error: BrokerError, verify: bool) -> Result<(), Stop> {
        if error.kind == ErrorKind::Abort {
            tracing::warn!(lane = self.options.lane, doing, %error, "transaction is aborted");
            self.blame(format_args!("{doing}: {error}"));
            self.tide.phase = Phase::Aborting;
            return self.fail(doing, &error);
        }
        self.retry_or_lose(doing, error, verify)
    }

    fn retry_or_lose(&mut self, doing: &str, error: BrokerError, verify: bool) -> Result<(), Stop> {
        self.trouble = Some(format!("{doing}: {error}"));
        let fencing = matches!(self.tide.phase, Phase::Fencing { .. } | Phase::Verifying);
        if error.kind == ErrorKind::Retry && (fencing || !self.tide.is_overdue(self.clock.monotonic())) {
            return Ok(());
        }
        self.lose_producer(doing, &error, verify)
    }

    /// Counts a failure and waits a little longer each time.
    fn fail(&mut self, doing: &str, error: &BrokerError) -> Result<(), Stop> {
        self.tide.failures += 1;
        if self.tide.failures >= FAILURES_MAX {
            return Err(Stop(format!(
                "lane {}: {FAILURES_MAX} transactions in a row failed, the last while {doing}: {error}. Nothing is \
                 lost: uncommitted records are read again after a restart",
                self.options.lane
            )));
        }
        let backoff = Duration::from_millis(5 << self.tide.failures.min(10)).min(BACKOFF_MAX);
        self.tide.not_before = self.clock.monotonic() + backoff;
        Ok(())
    }

    fn is_revoke_overdue(&self) -> bool {
        self.membership.is_revoke_overdue(self.clock.monotonic())
    }
}
