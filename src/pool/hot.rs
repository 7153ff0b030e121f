//! The hot tier: what one lane parks, in stacks. Takes and gives without atomic read-modify-writes, locks or allocations.

use super::counts::{Event, LaneCounts, Tier};
use super::range::Slot;
use super::warm::Magazine;
use super::{CLASSES, Class, Full, Lease, Need, Pool};
use std::fmt;
use std::sync::Arc;

/// One lane's way into the pool.
pub struct Hot {
    pool: Pool,
    counts: Arc<LaneCounts>,
    stacks: [Vec<Lease>; CLASSES],
    /// How many of each stack were not used since the last maintenance: its lowest height.
    unused: [usize; CLASSES],
    pub(super) parked_bytes: usize,
    /// The last call of the others for memory that was answered.
    answered: usize,
}

impl fmt::Debug for Hot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hot").field("parked_bytes", &self.parked_bytes).finish_non_exhaustive()
    }
}

impl Hot {
    pub(super) fn new(pool: Pool) -> Self {
        Self {
            counts: pool.0.join(),
            stacks: Default::default(),
            unused: [0; CLASSES],
            parked_bytes: 0,
            answered: pool.0.calls(),
            pool,
        }
    }

    /// The pool behind it.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// A buffer of this class. What lies in it is left over from its last use.
    ///
    /// # Errors
    /// The pool has no room for this need. What this lane and the lower tiers park was counted as room; what other
    /// lanes park becomes room once they release something or end their tide.
    pub fn acquire(&mut self, class: Class, need: Need) -> Result<Lease, Full> {
        if self.pool.0.is_within(need)
            && let Some(lease) = self.pop(class)
        {
            self.counts.hit(class);
            return Ok(lease);
        }
        self.acquire_elsewhere(class, need)
    }

    #[cold]
    fn acquire_elsewhere(&mut self, class: Class, need: Need) -> Result<Lease, Full> {
        let pool = self.pool.clone();
        let shared = &pool.0;
        let reclaimable = self.parked_bytes + shared.warm.bytes() + shared.cold.bytes();
        let lowest = shared.held_bytes().saturating_sub(reclaimable);
        let mut may_fit = lowest.saturating_add(class.bytes()) <= shared.options.limits.allowed_bytes(need);
        while may_fit {
            if shared.is_within(need)
                && let Some(lease) = self.acquire_parked(class)
            {
                return Ok(lease);
            }
            if let Some(slot) = shared.fresh(class, need) {
                shared.tally.add(class, Event::Miss, 1);
                let mut lease = Lease::new(slot, pool);
                lease.scramble();
                return Ok(lease);
            }
            may_fit = shared.reclaim() || self.reclaim();
        }
        shared.call();
        self.answered = shared.calls();
        Err(shared.refuse(class))
    }

    /// From whichever tier has one.
    fn acquire_parked(&mut self, class: Class) -> Option<Lease> {
        if let Some(lease) = self.pop(class) {
            self.counts.hit(class);
            return Some(lease);
        }
        let shared = &self.pool.0;
        let (tier, slot) = if let Some(mut magazine) = shared.warm.take(class) {
            let slot = magazine.pop()?;
            shared.tally.add(class, Event::Promoted(Tier::Warm), magazine.len() + 1);
            while let Some(slot) = magazine.pop() {
                self.push(Lease::new(slot, self.pool.clone()));
            }
            (Tier::Warm, slot)
        } else {
            let slot = shared.cold.take(class)?;
            shared.tally.add(class, Event::Promoted(Tier::Cold), 1);
            (Tier::Cold, slot)
        };
        self.pool.0.tally.add(class, Event::Hit(tier), 1);
        Some(Lease::new(slot, self.pool.clone()))
    }

    /// Gives a buffer back for the next one who asks.
    pub fn release(&mut self, mut lease: Lease) {
        if !lease.is_from(&self.pool) {
            return;
        }
        lease.scramble();
        self.push(lease);
        while self.parked_bytes > self.pool.0.hot_bytes() && self.demote(self.largest()) {}
        self.answer();
    }

    /// A tide is over: trims what is due by tides.
    pub fn end_tide(&mut self) {
        self.answer();
        self.pool.0.tick();
    }

    /// From time to time, tide or not: what was left unused since the last time goes one tier down.
    pub fn maintain(&mut self) {
        self.answer();
        self.pool.0.tick();
        for class in Class::ALL {
            let mut unused = self.unused[class.index()];
            while let count @ 1.. = self.demote_some(class, unused) {
                unused -= count;
            }
            self.unused[class.index()] = self.stacks[class.index()].len();
        }
    }

    /// Lets go of everything if somebody found no room meanwhile.
    fn answer(&mut self) {
        let calls = self.pool.0.calls();
        if calls != self.answered {
            self.answered = calls;
            self.let_go();
        }
    }

    fn let_go(&mut self) {
        Class::ALL.into_iter().for_each(|class| while self.demote(class) {});
    }

    fn push(&mut self, lease: Lease) {
        let class = lease.class();
        let stack = &mut self.stacks[class.index()];
        stack.push(lease);
        self.parked_bytes += class.bytes();
        self.counts.set_parked(class, stack.len());
    }

    fn pop(&mut self, class: Class) -> Option<Lease> {
        let stack = &mut self.stacks[class.index()];
        let lease = stack.pop()?;
        self.note(class, 1);
        Some(lease)
    }

    /// The stack has lost so many.
    fn note(&mut self, class: Class, lost: usize) {
        let height = self.stacks[class.index()].len();
        let unused = &mut self.unused[class.index()];
        *unused = height.min(*unused);
        self.parked_bytes -= lost * class.bytes();
        self.counts.set_parked(class, height);
    }

    /// The class that parks the most bytes.
    fn largest(&self) -> Class {
        let bytes = |class: &Class| self.stacks[class.index()].len() * class.bytes();
        Class::ALL.into_iter().max_by_key(bytes).unwrap_or(Class::SMALLEST)
    }

    /// Sends a magazine of a class down, the longest unused first; false when there is none.
    fn demote(&mut self, class: Class) -> bool {
        self.demote_some(class, usize::MAX) > 0
    }

    fn demote_some(&mut self, class: Class, at_most: usize) -> usize {
        let (magazine, count) = self.magazine(class, at_most);
        if count > 0 {
            self.pool.0.park(magazine);
        }
        count
    }

    fn magazine(&mut self, class: Class, at_most: usize) -> (Magazine, usize) {
        let stack = &mut self.stacks[class.index()];
        let count = stack.len().min(at_most).min(Magazine::capacity(class));
        let mut magazine = Magazine::new(class);
        stack.drain(..count).map(Lease::into_slot).for_each(|slot: Slot| magazine.push(slot));
        self.note(class, count);
        self.pool.0.tally.add(class, Event::Demoted(Tier::Hot), count);
        (magazine, count)
    }

    /// Gives a magazine back to the system, of the class that parks the most; false when nothing is parked.
    fn reclaim(&mut self) -> bool {
        let (mut magazine, count) = self.magazine(self.largest(), usize::MAX);
        while let Some(slot) = magazine.pop() {
            self.pool.0.give_back(slot);
        }
        count > 0
    }
}

impl Drop for Hot {
    fn drop(&mut self) {
        self.let_go();
        self.pool.0.leave(&self.counts);
    }
}
