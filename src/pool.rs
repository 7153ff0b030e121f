//! Buffers in three tiers: hot (one lane, no atomics), warm (the process, in magazines), cold (given back to the system).
//!
//! A pool lends buffers of a few size classes, up to a ceiling that it never passes. Knows nothing of what lies in them.
//! Tables, indexes and records that wait for a commit live in such buffers; little objects do not.
//!
//! Use promotes, idleness demotes:
//!
//! ```text
//! acquire ← hot ← warm ← cold ← fresh     release → hot;  a lease that is dropped → warm
//! maintain: hot → warm    every `warm_every` tides or maintenances: warm → cold    every `cold_every`: cold → the system
//! ```

mod area;
mod arena;
mod class;
mod cold;
mod counts;
mod hot;
mod lease;
mod limits;
mod queue;
mod range;
mod shared;
mod sync;
mod warm;

#[cfg(all(test, loom))]
mod loomed;

#[cfg(all(test, not(loom)))]
mod tests;

pub use arena::{Arena, PIECE_WORDS_MAX, Spot};
pub use class::Class;
pub use counts::{ClassCounts, PoolCounts, Tier};
pub use hot::Hot;
pub use lease::Lease;
pub use limits::{Full, Limits, Need, PoolOptions, Shares, Trim};

use shared::Shared;
use std::{fmt, io};
use sync::Arc;

const CLASSES: usize = Class::ALL.len();

/// The process's pool; clones are handles of the same.
#[derive(Clone)]
pub struct Pool(Arc<Shared>);

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("limits", &self.limits()).field("held_bytes", &self.held_bytes()).finish()
    }
}

impl Pool {
    /// An empty pool with the default shares and trims.
    pub fn new(limits: Limits) -> Self {
        Self::with(PoolOptions::new(limits))
    }

    /// An empty pool.
    pub fn with(options: PoolOptions) -> Self {
        Self(Arc::new(Shared::new(options)))
    }

    /// Reserves the addresses of all classes now (no memory) and makes the queues of the warm tier, instead of each at
    /// its first use.
    ///
    /// # Errors
    /// The system refuses (`ulimit -v`, strict overcommit); at its first use, the class would have answered [`Full`].
    pub fn reserve_addresses(&self) -> io::Result<()> {
        self.0.warm.prepare();
        self.0.areas.iter().try_for_each(|area| area.reserve().map(drop))
    }

    /// What it may hold.
    pub fn limits(&self) -> Limits {
        self.0.options.limits
    }

    /// Bytes taken from the system: lent or parked. Resident memory may be less, never more.
    pub fn held_bytes(&self) -> usize {
        self.0.held_bytes()
    }

    /// Bytes lent; 0 when everything is home.
    pub fn lent_bytes(&self) -> usize {
        self.held_bytes().saturating_sub(self.0.parked_bytes())
    }

    /// Bytes that could be lent for this need now, parked ones included (also what other lanes park).
    pub fn room_bytes(&self, need: Need) -> usize {
        self.limits().allowed_bytes(need).saturating_sub(self.lent_bytes())
    }

    /// What it did and what it holds. Exact while nobody uses it; else each number for itself.
    pub fn counts(&self) -> PoolCounts {
        self.0.counts()
    }

    /// Gives back all that lies in the cold tier; returns its bytes.
    pub fn empty_cold(&self) -> usize {
        self.0.empty_cold()
    }

    /// Whether every buffer is home, as it must be once the lanes have ended.
    ///
    /// # Errors
    /// Which buffers are not, for people.
    pub fn all_home(&self) -> Result<(), String> {
        let counts = self.counts();
        let away = Class::ALL.into_iter().filter_map(|class| {
            let lent = counts.classes[class.index()].lent;
            (lent > 0).then(|| format!("{lent} of {class}"))
        });
        let away: Vec<_> = away.collect();
        if away.is_empty() { Ok(()) } else { Err(format!("buffers still lent: {}", away.join(", "))) }
    }

    /// The hot tier of one lane.
    pub fn hot(&self) -> Hot {
        Hot::new(self.clone())
    }
}
