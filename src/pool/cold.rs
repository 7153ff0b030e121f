//! The cold tier: what goes back to the system next, oldest first. Off the common path, hence a lock.

use super::range::Slot;
use super::sync::{Mutex, lock};
use super::{CLASSES, Class};
use std::collections::VecDeque;

/// Buffers of one class that are parked without growing.
const SLOTS: usize = 128;

/// The cold tier of a process.
pub(super) struct Cold {
    max_bytes: usize,
    parked: Mutex<Parked>,
}

#[derive(Default)]
struct Parked {
    /// For each class, with the number of their arrival.
    slots: [VecDeque<(u64, Slot)>; CLASSES],
    arrivals: u64,
    bytes: usize,
}

impl Cold {
    pub(super) fn new(max_bytes: usize) -> Self {
        // Room for what comes and goes: parking must not allocate.
        let slots = std::array::from_fn(|_| VecDeque::with_capacity(SLOTS));
        Self { max_bytes, parked: Mutex::new(Parked { slots, ..Parked::default() }) }
    }

    pub(super) fn bytes(&self) -> usize {
        lock(&self.parked).bytes
    }

    /// Buffers of a class that lie here.
    pub(super) fn parked(&self, class: Class) -> usize {
        lock(&self.parked).slots[class.index()].len()
    }

    pub(super) fn put(&self, slot: Slot) {
        let mut parked = lock(&self.parked);
        let class = slot.class();
        let arrival = parked.arrivals;
        parked.arrivals += 1;
        parked.bytes += class.bytes();
        parked.slots[class.index()].push_back((arrival, slot));
    }

    /// The newest of a class, for use.
    pub(super) fn take(&self, class: Class) -> Option<Slot> {
        let mut parked = lock(&self.parked);
        let (_, slot) = parked.slots[class.index()].pop_back()?;
        parked.bytes -= class.bytes();
        Some(slot)
    }

    /// The oldest of all.
    pub(super) fn oldest(&self) -> Option<Slot> {
        self.oldest_above(0)
    }

    /// The oldest of all, while more lies here than the share.
    pub(super) fn excess(&self) -> Option<Slot> {
        self.oldest_above(self.max_bytes)
    }

    fn oldest_above(&self, bytes: usize) -> Option<Slot> {
        let mut parked = lock(&self.parked);
        if parked.bytes <= bytes {
            return None;
        }
        let arrival = |slots: &VecDeque<(u64, Slot)>| slots.front().map_or(u64::MAX, |(arrival, _)| *arrival);
        let (_, slot) = parked.slots.iter_mut().min_by_key(|slots| arrival(slots))?.pop_front()?;
        parked.bytes -= slot.class().bytes();
        Some(slot)
    }
}
