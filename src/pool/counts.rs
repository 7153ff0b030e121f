//! What a pool counts, by class and tier. Statistics only: nothing is decided by them but how much is parked.

use super::{CLASSES, Class};
use std::array;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Where a buffer lies while nobody uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tier {
    /// With one lane.
    Hot,
    /// Between lanes.
    Warm,
    /// Next to be given back.
    Cold,
}

impl Tier {
    /// All tiers, the first to be asked first.
    pub const ALL: [Self; 3] = [Self::Hot, Self::Warm, Self::Cold];

    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        ["hot", "warm", "cold"][self as usize]
    }
}

/// What a pool did since its start, and what it holds now, for each of [`Class::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolCounts {
    /// In the order of [`Class::ALL`].
    pub classes: [ClassCounts; CLASSES],
}

/// [`PoolCounts`] of one class, in buffers. Arrays are indexed by [`Tier`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassCounts {
    /// Acquisitions that this tier served.
    pub hits: [u64; 3],
    /// Acquisitions that took fresh memory.
    pub misses: u64,
    /// Acquisitions that found no room.
    pub refused: u64,
    /// Went up to the hot tier from this one.
    pub promoted: [u64; 3],
    /// Went down from this tier, one or more.
    pub demoted: [u64; 3],
    /// Given back to the system.
    pub trimmed: u64,
    /// Lent now.
    pub lent: usize,
    /// Parked in this tier now.
    pub parked: [usize; 3],
}

impl ClassCounts {
    /// Buffers that were lent, from wherever.
    pub fn acquired(&self) -> u64 {
        self.hits.iter().sum::<u64>() + self.misses
    }
}

impl PoolCounts {
    /// Buffers that were lent since the start, of all classes.
    pub fn acquired(&self) -> u64 {
        self.classes.iter().map(ClassCounts::acquired).sum()
    }

    /// Those of them that took fresh memory.
    pub fn misses(&self) -> u64 {
        self.classes.iter().map(|class| class.misses).sum()
    }
}

/// What one lane writes, without a read-modify-write; others read it.
#[derive(Debug, Default)]
pub(super) struct LaneCounts {
    hits: [AtomicU64; CLASSES],
    parked: [AtomicUsize; CLASSES],
}

impl LaneCounts {
    /// Only the lane itself calls this.
    pub(super) fn hit(&self, class: Class) {
        let hits = &self.hits[class.index()];
        hits.store(hits.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Only the lane itself calls this.
    pub(super) fn set_parked(&self, class: Class, buffers: usize) {
        self.parked[class.index()].store(buffers, Ordering::Relaxed);
    }

    pub(super) fn hits(&self, class: Class) -> u64 {
        self.hits[class.index()].load(Ordering::Relaxed)
    }

    pub(super) fn parked(&self, class: Class) -> usize {
        self.parked[class.index()].load(Ordering::Relaxed)
    }

    pub(super) fn parked_bytes(&self) -> usize {
        Class::ALL.into_iter().map(|class| self.parked(class) * class.bytes()).sum()
    }
}

/// What everybody counts off the common path.
#[derive(Debug)]
pub(super) struct Tally([[AtomicU64; EVENTS]; CLASSES]);

const EVENTS: usize = 12;

/// What can happen to a buffer off the common path.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    Hit(Tier),
    Promoted(Tier),
    Demoted(Tier),
    Miss,
    Refused,
    Trimmed,
}

impl Event {
    const fn index(self) -> usize {
        match self {
            Self::Hit(tier) => tier as usize,
            Self::Promoted(tier) => 3 + tier as usize,
            Self::Demoted(tier) => 6 + tier as usize,
            Self::Miss => 9,
            Self::Refused => 10,
            Self::Trimmed => 11,
        }
    }
}

impl Tally {
    pub(super) fn new() -> Self {
        Self(array::from_fn(|_| array::from_fn(|_| AtomicU64::new(0))))
    }

    pub(super) fn add(&self, class: Class, event: Event, count: usize) {
        self.0[class.index()][event.index()].fetch_add(count as u64, Ordering::Relaxed);
    }

    /// What happened; nothing of what is held.
    pub(super) fn read(&self, class: Class) -> ClassCounts {
        let count = |event: Event| self.0[class.index()][event.index()].load(Ordering::Relaxed);
        ClassCounts {
            hits: Tier::ALL.map(|tier| count(Event::Hit(tier))),
            misses: count(Event::Miss),
            refused: count(Event::Refused),
            promoted: Tier::ALL.map(|tier| count(Event::Promoted(tier))),
            demoted: Tier::ALL.map(|tier| count(Event::Demoted(tier))),
            trimmed: count(Event::Trimmed),
            ..ClassCounts::default()
        }
    }
}
