//! What the lanes of a process share: the ceiling, the areas, the warm and the cold tier. Every path here is the uncommon one.

use super::area::Area;
use super::cold::Cold;
use super::counts::{ClassCounts, Event, LaneCounts, PoolCounts, Tally, Tier};
use super::range::Slot;
use super::sync::{AtomicUsize, Mutex, Ordering, lock};
use super::warm::{Magazine, Warm};
use super::{CLASSES, Class, Full, Limits, Need, PoolOptions};
use std::sync::{Arc, atomic};

/// One for each pool.
pub(super) struct Shared {
    pub(super) options: PoolOptions,
    /// Bytes taken from the system: lent or parked. Never above the ceiling, not even for a moment.
    held_bytes: AtomicUsize,
    pub(super) areas: [Area; CLASSES],
    pub(super) warm: Warm,
    pub(super) cold: Cold,
    pub(super) tally: Tally,
    lanes: Mutex<Vec<Arc<LaneCounts>>>,
    /// Bytes that each lane may park.
    hot_bytes: atomic::AtomicUsize,
    /// How often a lane found no room while others had parked some.
    calls: atomic::AtomicUsize,
    ticks: atomic::AtomicUsize,
}

impl Shared {
    pub(super) fn new(options: PoolOptions) -> Self {
        let PoolOptions { limits: Limits { ceiling_bytes, .. }, shares, .. } = options;
        let zero = || atomic::AtomicUsize::new(0);
        Self {
            options,
            held_bytes: AtomicUsize::new(0),
            areas: Class::ALL.map(|class| Area::new(class, ceiling_bytes)),
            warm: Warm::new(shares.of(ceiling_bytes, shares.warm)),
            cold: Cold::new(shares.of(ceiling_bytes, shares.cold)),
            tally: Tally::new(),
            lanes: Mutex::new(Vec::new()),
            hot_bytes: zero(),
            calls: zero(),
            ticks: zero(),
        }
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.held_bytes.load(Ordering::Relaxed)
    }

    /// Whether what is held leaves this need what it is due: a parked buffer may then be lent for it.
    pub(super) fn is_within(&self, need: Need) -> bool {
        self.held_bytes() <= self.options.limits.allowed_bytes(need)
    }

    /// Fresh memory.
    pub(super) fn fresh(&self, class: Class, need: Need) -> Option<Slot> {
        let (bytes, allowed) = (class.bytes(), self.options.limits.allowed_bytes(need));
        let more = |held: usize| held.checked_add(bytes).filter(|&held| held <= allowed);
        self.held_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        let slot = self.areas[class.index()].take();
        if slot.is_none() {
            self.held_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        slot
    }

    /// Back to the system, counted only when it is there.
    pub(super) fn give_back(&self, slot: Slot) {
        let class = slot.class();
        self.areas[class.index()].give_back(slot);
        self.held_bytes.fetch_sub(class.bytes(), Ordering::Relaxed);
        self.tally.add(class, Event::Trimmed, 1);
    }

    /// Takes in a lease that was dropped away from its lane.
    pub(super) fn come_home(&self, slot: Slot) {
        let mut magazine = Magazine::new(slot.class());
        magazine.push(slot);
        self.park(magazine);
    }

    /// Into the warm tier, or as far down as there is room.
    pub(super) fn park(&self, magazine: Magazine) {
        for left in self.warm.put(magazine).into_iter().flatten() {
            self.chill(left);
        }
    }

    fn chill(&self, mut magazine: Magazine) {
        while let Some(slot) = magazine.pop() {
            self.cold.put(slot);
        }
        while let Some(slot) = self.cold.excess() {
            self.give_back(slot);
        }
    }

    /// Gives one parked buffer or magazine back to the system: cold before warm, the largest first. False when nothing
    /// is parked here.
    pub(super) fn reclaim(&self) -> bool {
        if let Some(slot) = self.cold.oldest() {
            self.give_back(slot);
            return true;
        }
        let Some(mut magazine) = Class::ALL.into_iter().rev().find_map(|class| self.warm.take(class)) else {
            return false;
        };
        self.tally.add(magazine.class(), Event::Demoted(Tier::Warm), magazine.len());
        while let Some(slot) = magazine.pop() {
            self.give_back(slot);
        }
        true
    }

    /// A tide or a maintenance of some lane is over.
    pub(super) fn tick(&self) {
        let tick = self.ticks.fetch_add(1, atomic::Ordering::Relaxed) + 1;
        let trim = self.options.trim;
        let is_due = |every: usize| every > 0 && tick.is_multiple_of(every);
        if is_due(trim.cold_every) {
            self.empty_cold();
        }
        if is_due(trim.warm_every * lock(&self.lanes).len().max(1)) {
            Class::ALL.into_iter().for_each(|class| self.trim_warm(class));
        }
    }

    /// Gives back all that lies in the cold tier; returns its bytes.
    pub(super) fn empty_cold(&self) -> usize {
        let mut bytes = 0;
        while let Some(slot) = self.cold.oldest() {
            bytes += slot.class().bytes();
            self.give_back(slot);
        }
        bytes
    }

    fn trim_warm(&self, class: Class) {
        let mut unused = self.warm.unused(class);
        while unused > 0
            && let Some(magazine) = self.warm.take(class)
        {
            unused = unused.saturating_sub(magazine.len());
            self.tally.add(class, Event::Demoted(Tier::Warm), magazine.len());
            self.chill(magazine);
        }
    }

    pub(super) fn join(&self) -> Arc<LaneCounts> {
        let counts = Arc::new(LaneCounts::default());
        let mut lanes = lock(&self.lanes);
        lanes.push(counts.clone());
        self.share(lanes.len());
        counts
    }

    pub(super) fn leave(&self, counts: &Arc<LaneCounts>) {
        let mut lanes = lock(&self.lanes);
        lanes.retain(|lane| !Arc::ptr_eq(lane, counts));
        self.share(lanes.len());
        for class in Class::ALL {
            self.tally.add(class, Event::Hit(Tier::Hot), usize::try_from(counts.hits(class)).unwrap_or(0));
        }
    }

    fn share(&self, lanes: usize) {
        let all = self.options.shares.of(self.options.limits.ceiling_bytes, self.options.shares.hot);
        self.hot_bytes.store(all / lanes.max(1), atomic::Ordering::Relaxed);
    }

    /// Bytes that each lane may park.
    pub(super) fn hot_bytes(&self) -> usize {
        self.hot_bytes.load(atomic::Ordering::Relaxed)
    }

    /// Changes when lanes should let go of what they park.
    pub(super) fn calls(&self) -> usize {
        self.calls.load(atomic::Ordering::Relaxed)
    }

    /// Asks the lanes to let go of what they park, if they park anything.
    pub(super) fn call(&self) {
        if lock(&self.lanes).iter().any(|lane| lane.parked_bytes() > 0) {
            self.calls.fetch_add(1, atomic::Ordering::Relaxed);
        }
    }

    /// Bytes that lie in any tier.
    pub(super) fn parked_bytes(&self) -> usize {
        let hot: usize = lock(&self.lanes).iter().map(|lane| lane.parked_bytes()).sum();
        hot + self.warm.bytes() + self.cold.bytes()
    }

    pub(super) fn counts(&self) -> PoolCounts {
        PoolCounts { classes: Class::ALL.map(|class| self.class_counts(class)) }
    }

    fn class_counts(&self, class: Class) -> ClassCounts {
        let lanes = lock(&self.lanes);
        let mut counts = self.tally.read(class);
        counts.hits[0] += lanes.iter().map(|lane| lane.hits(class)).sum::<u64>();
        let hot = lanes.iter().map(|lane| lane.parked(class)).sum();
        counts.parked = [hot, self.warm.parked(class), self.cold.parked(class)];
        counts.lent = self.areas[class.index()].held().saturating_sub(counts.parked.iter().sum());
        counts
    }

    pub(super) fn refuse(&self, class: Class) -> Full {
        self.tally.add(class, Event::Refused, 1);
        Full
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The ranges take what is parked with them; where slots are allocations, each goes for itself.
        if cfg!(any(miri, loom)) {
            while self.reclaim() {}
        }
    }
}
