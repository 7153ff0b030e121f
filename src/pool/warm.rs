//! The warm tier: what lanes exchange, a lock-free queue of magazines for each class. Never holds more than its share.

use super::queue::Queue;
use super::range::Slot;
use super::sync::{AtomicUsize, Ordering};
use super::{CLASSES, Class};
use std::array;
use std::sync::OnceLock;

/// Buffers of one class that change hands at once: at most [`Magazine::SLOTS`], and 256 KiB unless one is larger.
#[derive(Debug)]
pub(super) struct Magazine {
    class: Class,
    slots: [Option<Slot>; Self::SLOTS],
    len: usize,
}

impl Magazine {
    const SLOTS: usize = 16;

    pub(super) fn new(class: Class) -> Self {
        Self { class, slots: [const { None }; Self::SLOTS], len: 0 }
    }

    /// How many buffers of a class change hands at once.
    pub(super) fn capacity(class: Class) -> usize {
        ((256 << 10) / class.bytes()).clamp(1, Self::SLOTS)
    }

    pub(super) fn class(&self) -> Class {
        self.class
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn bytes(&self) -> usize {
        self.len * self.class.bytes()
    }

    pub(super) fn is_full(&self) -> bool {
        self.len >= Self::capacity(self.class)
    }

    /// Adds a buffer of its class; only while it is not full.
    pub(super) fn push(&mut self, slot: Slot) {
        debug_assert!(slot.class() == self.class && !self.is_full());
        self.slots[self.len] = Some(slot);
        self.len += 1;
    }

    pub(super) fn pop(&mut self) -> Option<Slot> {
        self.len = self.len.checked_sub(1)?;
        self.slots[self.len].take()
    }
}

/// The warm tier of a process.
pub(super) struct Warm {
    max_bytes: usize,
    bytes: AtomicUsize,
    shelves: [Shelf; CLASSES],
}

/// The buffers of one class.
struct Shelf {
    /// Made at the first use: most pools of tests never need one.
    queue: OnceLock<Queue<Magazine>>,
    parked: AtomicUsize,
    /// The fewest that lay here since the last trim.
    lowest: AtomicUsize,
}

impl Warm {
    pub(super) fn new(max_bytes: usize) -> Self {
        let zero = || AtomicUsize::new(0);
        let shelf = || Shelf { queue: OnceLock::new(), parked: zero(), lowest: zero() };
        Self { max_bytes, bytes: zero(), shelves: array::from_fn(|_| shelf()) }
    }

    /// Makes the queues that the first use of each would make.
    pub(super) fn prepare(&self) {
        for class in Class::ALL {
            let _ = self.queue(class);
        }
    }

    fn queue(&self, class: Class) -> &Queue<Magazine> {
        // Room for the whole share in full magazines, within reason; loom cannot look at many cells.
        let full = self.max_bytes / (Magazine::capacity(class) * class.bytes());
        let cells = if cfg!(loom) { 2 } else { full.clamp(32, 512) };
        self.shelves[class.index()].queue.get_or_init(|| Queue::new(cells))
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Buffers of a class that lie here.
    pub(super) fn parked(&self, class: Class) -> usize {
        self.shelves[class.index()].parked.load(Ordering::Relaxed)
    }

    /// Parks a magazine; hands back what finds no room. Fills up one that lies here first, so that single buffers do not
    /// use up the queue.
    pub(super) fn put(&self, mut magazine: Magazine) -> [Option<Magazine>; 2] {
        let class = magazine.class;
        let bytes = magazine.bytes();
        if self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > self.max_bytes {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            return [Some(magazine), None];
        }
        let queue = self.queue(class);
        self.shelves[class.index()].parked.fetch_add(magazine.len, Ordering::Relaxed);
        let mut other = if magazine.is_full() { None } else { queue.pop() };
        if let Some(other) = &mut other {
            while !other.is_full()
                && let Some(slot) = magazine.pop()
            {
                other.push(slot);
            }
        }
        [other, Some(magazine).filter(|magazine| magazine.len > 0)].map(|part| {
            let left = queue.push(part?).err()?;
            self.leave(&left);
            Some(left)
        })
    }

    /// The oldest magazine of a class.
    pub(super) fn take(&self, class: Class) -> Option<Magazine> {
        let magazine = self.shelves[class.index()].queue.get()?.pop()?;
        self.leave(&magazine);
        Some(magazine)
    }

    /// How many buffers of a class nobody would have missed since the last call: the fewest that lay here meanwhile.
    pub(super) fn unused(&self, class: Class) -> usize {
        let shelf = &self.shelves[class.index()];
        shelf.lowest.swap(shelf.parked.load(Ordering::Relaxed), Ordering::Relaxed)
    }

    fn leave(&self, magazine: &Magazine) {
        let shelf = &self.shelves[magazine.class.index()];
        let before = shelf.parked.fetch_sub(magazine.len, Ordering::Relaxed);
        shelf.lowest.fetch_min(before.saturating_sub(magazine.len), Ordering::Relaxed);
        self.bytes.fetch_sub(magazine.bytes(), Ordering::Relaxed);
    }
}
