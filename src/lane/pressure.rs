//! What a lane does when memory is short: tides come early, nothing more is read, tasks that found no room stand still.
//!
//! A task that found no room is stopped at the broker and begins again at its own position, so nothing is lost and
//! nothing comes twice. It waits for a release, by whichever lane; only if no lane has anything to release it is
//! *held*, and an operator is told.
//!
//! No lane ever waits for memory while another waits for it: reading stops for all only as long as a commit will
//! release something, and whoever found no room tries again now and then.

use super::{Holding, Lane, Stop};
use crate::broker::{Broker, Slot};
use crate::budget::{Mib, Step, Voice};
use crate::clock::Clock;
use crate::config::WhenFull;
use crate::error::ErrorKind;
use crate::pool::Full;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// A task without memory tries again after this, then after twice as long, and so on.
const TRY_AFTER: Duration = Duration::from_millis(20);
const TRY_AFTER_MAX: Duration = Duration::from_secs(5);
/// A release of this part of the pool is worth a try at once.
const WORTH_A_TRY: usize = 64;
/// Nobody must have had anything to release for so long until a task is called held.
const BARREN: Duration = Duration::from_secs(1);

/// Pressure as one lane feels it.
#[derive(Debug)]
pub(super) struct Pressure {
    voice: Voice,
    step: Step,
    starved: BTreeMap<Slot, Starved>,
    /// Since when no lane has had anything to release.
    barren_since: Option<Duration>,
    maintain_at: Duration,
}

/// A task that found no room.
#[derive(Debug)]
struct Starved {
    since: Duration,
    at: At,
    /// The first offset that found no room.
    position: i64,
    lent_bytes: usize,
    tries: u32,
    /// Its windows found no room to close: the next record is not what it waits for.
    was_blocked: bool,
    /// Why an operator has to do something, once that is so.
    held_because: Option<String>,
}

/// Where a task without room stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// The broker still has to be told that nothing is read.
    Stopping,
    /// Nothing is read; the next try is due at this time.
    Rest(Duration),
    /// Reading again: has not merged anything yet.
    Trying,
}

/// Whether a partition goes on, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing<'a> {
    /// It does.
    Goes,
    /// Not until a commit has released memory.
    Waits,
    /// Not before something changes, and why.
    Held(&'a str),
}

impl Pressure {
    pub(super) fn new(voice: Voice, now: Duration) -> Self {
        let starved = BTreeMap::new();
        Self { voice, step: Step::Normal, starved, barren_since: None, maintain_at: now }
    }

    /// True if nothing of this slot is merged for now.
    pub(super) fn stops(&self, slot: Slot) -> bool {
        self.starved.get(&slot).is_some_and(|task| task.at != At::Trying)
    }

    /// True if commits should not wait for their interval.
    pub(super) fn hurries(&self) -> bool {
        self.step >= Step::Reserve
    }

    /// The partition is gone, or begins anew.
    pub(super) fn forget(&mut self, slot: Slot) {
        if self.starved.remove(&slot).is_some() {
            self.count_held();
        }
    }

    fn count_held(&mut self) {
        let held = self.starved.values().filter(|task| task.held_because.is_some()).count();
        self.voice.say_held(held as u64);
    }
}

impl Starved {
    /// Nothing for a while, longer each time.
    fn rest(&self, now: Duration) -> At {
        let patience = TRY_AFTER * (1 << self.tries.min(12));
        At::Rest(now + patience.min(TRY_AFTER_MAX))
    }
}

impl<B: Broker, C: Clock> Lane<B, C> {
    /// Whether a partition goes on.
    pub fn standing(&self, slot: Slot) -> Standing<'_> {
        match self.pressure.starved.get(&slot) {
            None => Standing::Goes,
            Some(task) => task.held_because.as_deref().map_or(Standing::Waits, Standing::Held),
        }
    }

    /// True if nothing more may be read until a commit has released memory.
    pub(super) fn is_pressed(&self) -> bool {
        self.pressure.step == Step::BackPressure && self.options.ladder.may_release()
    }

    /// Looks how far memory is filled, and does what the ladder asks for.
    pub(super) fn feel_pressure(&mut self) -> Result<(), Stop> {
        let now = self.clock.monotonic();
        let releasing = self.is_waiting();
        self.pressure.voice.say_releasing(releasing);
        self.pressure.step = self.options.ladder.look(now);
        if self.pressure.step >= Step::SharedViews {
            self.options.pool.empty_cold();
            self.options.recent.shrink();
        } else {
            self.options.recent.grow();
        }
        if now >= self.pressure.maintain_at {
            self.pressure.maintain_at = now + self.config.memory.pool.maintain;
            self.context.panes.hot.maintain();
        }
        if self.options.ladder.may_release() {
            self.pressure.barren_since = None;
        } else {
            self.pressure.barren_since.get_or_insert(now);
        }
        let blocked = |(slot, holding): (&Slot, &Holding)| holding.task().filter(|it| it.is_blocked()).map(|_| *slot);
        let blocked: Vec<_> = self.holdings.iter().filter_map(blocked).collect();
        for slot in blocked {
            if !self.pressure.starved.contains_key(&slot) {
                self.starve(slot);
            }
        }
        let slots: Vec<_> = self.pressure.starved.keys().copied().collect();
        slots.into_iter().try_for_each(|slot| self.tend(slot, now))
    }

    /// A task found no room for its next record.
    pub(super) fn starve(&mut self, slot: Slot) {
        let now = self.clock.monotonic();
        self.options.ladder.say_full();
        let lent_bytes = self.options.pool.lent_bytes();
        let Some(task) = self.holdings.get(&slot).and_then(Holding::task) else { return };
        let position = task.position();
        let starved = self.pressure.starved.entry(slot).or_insert_with(|| {
            tracing::debug!(partition = %task.partition, position, "no memory for the next record: it waits");
            let was_blocked = task.is_blocked();
            Starved { since: now, at: At::Stopping, position, lent_bytes, tries: 0, was_blocked, held_because: None }
        });
        (starved.at, starved.lent_bytes) = (At::Stopping, lent_bytes);
        // It has come forward since the last try: that was worth it.
        if starved.position != position {
            (starved.position, starved.tries) = (position, 0);
        }
    }

    /// Stopping ⇒ Rest ⇒ Trying ⇒ gone, or Stopping again.
    fn tend(&mut self, slot: Slot, now: Duration) -> Result<(), Stop> {
        let Some(position) = self.holdings.get(&slot).and_then(Holding::task).map(|task| task.position()) else {
            self.pressure.forget(slot);
            return Ok(());
        };
        let is_busy = self.is_pressed() || self.membership.is_busy();
        let lent_bytes = self.options.pool.lent_bytes();
        let worth = self.options.pool.limits().ceiling_bytes / WORTH_A_TRY;
        let Some(starved) = self.pressure.starved.get_mut(&slot) else { return Ok(()) };
        let told = match starved.at {
            At::Stopping => self.broker.pause(slot).map(|()| starved.rest(now)),
            At::Rest(until) if !is_busy && (now >= until || lent_bytes + worth <= starved.lent_bytes) => {
                starved.tries += 1;
                starved.lent_bytes = lent_bytes;
                let task = self.holdings.get_mut(&slot).and_then(Holding::task_mut);
                match task.map_or(Ok(()), |task| task.retry_close(&mut self.context)) {
                    Ok(()) => self.broker.seek(slot, position).map(|()| At::Trying),
                    Err(Full) => Ok(starved.rest(now)),
                }
            }
            At::Trying if position != starved.position || starved.was_blocked => return self.go_on(slot, now),
            at => Ok(at),
        };
        match told {
            Ok(at) => starved.at = at,
            Err(error) if error.kind == ErrorKind::Retry => {}
            Err(error) => return Err(self.stop("stopping a partition", &error)),
        }
        self.judge_hold(slot, now)
    }

    /// Trying ⇒ gone: there was room for the next record.
    fn go_on(&mut self, slot: Slot, now: Duration) -> Result<(), Stop> {
        let Some(starved) = self.pressure.starved.remove(&slot) else { return Ok(()) };
        self.pressure.count_held();
        let Some(task) = self.holdings.get_mut(&slot).and_then(Holding::task_mut) else { return Ok(()) };
        let waited = now.saturating_sub(starved.since);
        task.discount_silence(waited);
        if starved.held_because.is_some() {
            tracing::info!(partition = %task.partition, ?waited, "memory came back: the partition goes on");
        }
        Ok(())
    }

    /// Calls a task held if nobody will release what it waits for.
    fn judge_hold(&mut self, slot: Slot, now: Duration) -> Result<(), Stop> {
        let barren = self.pressure.barren_since.is_some_and(|since| now >= since + BARREN);
        let (Some(starved), Some(task)) =
            (self.pressure.starved.get_mut(&slot), self.holdings.get(&slot).and_then(Holding::task))
        else {
            return Ok(());
        };
        let waited = now.saturating_sub(starved.since);
        // Others may release and fill again without end: whoever gets nothing of it for so long must not go unseen.
        if starved.held_because.is_some() || waited < BARREN || !(barren || waited >= self.config.commit.timeout) {
            return Ok(());
        }
        let why = NoMemory {
            lent_bytes: self.options.pool.lent_bytes(),
            pool_bytes: self.options.pool.limits().ceiling_bytes,
            budget_bytes: self.options.ladder.budget_bytes(),
        };
        if self.config.memory.when_full == WhenFull::Stop && !self.closing {
            return Err(Stop(format!("{}: {why}", task.partition)));
        }
        tracing::error!(partition = %task.partition, position = starved.position, "held: {why}");
        starved.held_because = Some(why.to_string());
        self.pressure.count_held();
        Ok(())
    }
}

/// Why a partition is held, and what helps.
struct NoMemory {
    lent_bytes: usize,
    pool_bytes: usize,
    budget_bytes: Option<u64>,
}

impl fmt::Display for NoMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no memory is left for its next record, and no commit will release any: open windows hold {} of the \
             pool's {}",
            Mib(self.lent_bytes as u64),
            Mib(self.pool_bytes as u64)
        )?;
        if let Some(bytes) = self.budget_bytes {
            write!(f, " (memory.budget {})", Mib(bytes))?;
        }
        f.write_str(
            ". Nothing is lost: restart with a larger `memory.budget`; `tidemill plan FILE --connect` says how large",
        )
    }
}
