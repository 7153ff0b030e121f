//! The ladder under pressure: how far memory is filled, in four steps, seen by all lanes.
//!
//! Looks at the pool and at the resident size a few times a second, says each change once, and frees nothing itself:
//! whoever holds memory asks for the step.
//!
//! Use counts up to 90 % without the reserve, the last 10 % are the reserve. A step is entered at once and left one at
//! a time, when use has been five points below its mark for a second: a window that closes and the next that fills must
//! not make it swing.
//!
//! Misses count only when more than half is in use. Before that every buffer is a first one: warming up is no
//! pressure, and neither is a restore.

mod census;
mod marks;

pub use census::Voice;

use super::{Mib, Resident};
use crate::pool::Pool;
use census::Census;
use marks::Reading;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long misses are counted, and between two looks at the resident size.
const WINDOW: Duration = Duration::from_secs(1);
/// How long it must be calm before a step is left.
const CALM: Duration = Duration::from_secs(1);
/// Between two warnings that the process is larger than its budget.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// How far the pressure has gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// No pressure.
    #[default]
    Normal,
    /// Recent results stop growing and shrink; what is parked cold goes back to the system.
    SharedViews,
    /// The reserve serves; tides come early.
    Reserve,
    /// Finish what must be finished, read nothing more.
    BackPressure,
}

impl Step {
    /// All steps, from the lowest.
    pub const ALL: [Self; 4] = [Self::Normal, Self::SharedViews, Self::Reserve, Self::BackPressure];

    /// The word for it in metrics and log lines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::SharedViews => "shared_views",
            Self::Reserve => "reserve",
            Self::BackPressure => "back_pressure",
        }
    }

    fn below(self) -> Self {
        Self::ALL[(self as usize).saturating_sub(1)]
    }
}

/// The ladder of the process; clones are handles of the same.
#[derive(Clone, Debug)]
pub struct Ladder(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    pool: Pool,
    budget_bytes: Option<u64>,
    step: AtomicU8,
    entered: [AtomicU64; Step::ALL.len()],
    look_at_ms: AtomicU64,
    /// A merge has found the pool full since the last look.
    was_full: AtomicBool,
    census: Census,
    watch: Mutex<Watch>,
}

/// What one look leaves to the next.
#[derive(Debug, Default)]
struct Watch {
    /// Since when misses are counted, and what was counted then.
    window: Duration,
    acquired: u64,
    missed: u64,
    missed_permille: u64,
    resident_bytes: u64,
    /// Since when the step could be left.
    calm: Option<Duration>,
    warn_at: Duration,
}

impl Ladder {
    /// On the lowest step. Without a budget the resident size is not looked at.
    pub fn new(pool: Pool, budget_bytes: Option<u64>) -> Self {
        Self(Arc::new(Shared {
            pool,
            budget_bytes,
            step: AtomicU8::new(0),
            entered: Default::default(),
            look_at_ms: AtomicU64::new(0),
            was_full: AtomicBool::new(false),
            census: Census::default(),
            watch: Mutex::default(),
        }))
    }

    /// The step as of the last look.
    pub fn step(&self) -> Step {
        Step::ALL[usize::from(self.0.step.load(Ordering::Relaxed)) % Step::ALL.len()]
    }

    /// How often a step was entered, from below or from above.
    pub fn entered(&self, step: Step) -> u64 {
        self.0.entered[step as usize].load(Ordering::Relaxed)
    }

    /// A merge found no room: at the next look that is step 3.
    pub fn say_full(&self) {
        self.0.was_full.store(true, Ordering::Relaxed);
    }

    /// A lane's own voice in the census.
    pub fn join(&self) -> Voice {
        Voice::new(self.clone())
    }

    /// True if a commit of some lane will give memory back. Without that, waiting changes nothing.
    pub fn may_release(&self) -> bool {
        self.0.census.releasing() > 0
    }

    /// Tasks of the process that stand still because no memory is left for them.
    pub fn held(&self) -> u64 {
        self.0.census.held()
    }

    /// How often a task began to.
    pub fn holds(&self) -> u64 {
        self.0.census.holds()
    }

    /// What is watched.
    pub fn pool(&self) -> &Pool {
        &self.0.pool
    }

    /// The budget, if there is one, in bytes.
    pub fn budget_bytes(&self) -> Option<u64> {
        self.0.budget_bytes
    }

    /// Looks if it is time to; cheap enough for every step of a lane. `now` is monotonic.
    pub fn look(&self, now: Duration) -> Step {
        if (now.as_millis() as u64) < self.0.look_at_ms.load(Ordering::Relaxed) {
            return self.step();
        }
        // Another lane is looking, or has died while it was.
        let Ok(mut watch) = self.0.watch.try_lock() else { return self.step() };
        self.0.look_at_ms.store((now + LOOK_EVERY).as_millis() as u64, Ordering::Relaxed);
        if now >= watch.window + WINDOW {
            let counts = self.0.pool.counts();
            watch.count(now, counts.acquired(), counts.misses());
            if let Some(budget_bytes) = self.0.budget_bytes {
                watch.resident_bytes = Resident::look().map_or(0, |resident| resident.now_bytes);
                watch.warn(now, budget_bytes);
            }
        }
        let reading = Reading {
            limits: self.0.pool.limits(),
            lent_bytes: self.0.pool.lent_bytes(),
            missed_permille: watch.missed_permille,
            was_full: self.0.was_full.swap(false, Ordering::Relaxed),
            budget_bytes: self.0.budget_bytes.unwrap_or(u64::MAX),
            resident_bytes: watch.resident_bytes,
        };
        self.judge(&mut watch, &reading, now)
    }

    fn judge(&self, watch: &mut Watch, reading: &Reading, now: Duration) -> Step {
        let step = self.step();
        let (wanted, why) = reading.asks_for();
        if wanted > step {
            watch.calm = None;
            return self.enter(wanted, why, reading);
        }
        if !reading.lets_go_of(step) {
            watch.calm = None;
        } else if now >= *watch.calm.get_or_insert(now) + CALM {
            watch.calm = Some(now);
            return self.enter(step.below(), "the pressure has fallen", reading);
        }
        step
    }

    fn enter(&self, step: Step, why: &str, reading: &Reading) -> Step {
        let from = self.step();
        self.0.step.store(step as u8, Ordering::Relaxed);
        self.0.entered[step as usize].fetch_add(1, Ordering::Relaxed);
        tracing::info!(from = from.as_str(), to = step.as_str(), used = %percent(reading.used_permille()),
            lent = %Mib(reading.lent_bytes as u64), of = %Mib(reading.limits.ceiling_bytes as u64),
            misses = %percent(reading.missed_permille), resident = %Mib(reading.resident_bytes),
            "memory: step {} of 3, because {why}", step as u8);
        step
    }
}

impl Watch {
    /// Ends the window in which misses are counted and begins the next; `acquired` and `missed` are totals.
    fn count(&mut self, now: Duration, acquired: u64, missed: u64) {
        let (asked, missing) = (acquired.saturating_sub(self.acquired), missed.saturating_sub(self.missed));
        self.missed_permille = (missing * 1000).checked_div(asked).unwrap_or(0);
        (self.window, self.acquired, self.missed) = (now, acquired, missed);
    }

    fn warn(&mut self, now: Duration, budget_bytes: u64) {
        if self.resident_bytes <= budget_bytes || now < self.warn_at {
            return;
        }
        self.warn_at = now + WARN_EVERY;
        tracing::warn!(resident = %Mib(self.resident_bytes), budget = %Mib(budget_bytes),
            over = %Mib(self.resident_bytes - budget_bytes),
            "resident memory is beyond memory.budget; what is accounted for is not: see docs/operations.md");
    }
}

/// `81.5 %`
fn percent(permille: u64) -> String {
    format!("{}.{} %", permille / 10, permille % 10)
}

#[cfg(test)]
mod tests;
