//! The slots of one size class: which are in use, and which were given back. Does not remember who holds them.

use super::Class;
use super::range::{Range, Slot, machine_bytes};
use super::sync::{Mutex, lock};
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Fresh memory for buffers of one class.
#[derive(Debug)]
pub(super) struct Area {
    class: Class,
    slots_max: usize,
    range: OnceLock<Range>,
    /// Slots taken and not given back.
    held: AtomicUsize,
    free: Mutex<Free>,
}

#[derive(Debug, Default)]
struct Free {
    /// Slots from this number on were never used.
    unused_from: usize,
    given_back: Vec<u32>,
}

impl Area {
    /// An area for `bytes` at most. Nothing is reserved before its first use.
    pub(super) fn new(class: Class, bytes: usize) -> Self {
        let slots_max = (bytes.min(machine_bytes()) / class.bytes()).min(u32::MAX as usize);
        // Room for what comes and goes: giving back must not allocate.
        let given_back = Vec::with_capacity(slots_max.min(1024));
        let free = Mutex::new(Free { given_back, ..Free::default() });
        Self { class, slots_max, range: OnceLock::new(), held: AtomicUsize::new(0), free }
    }

    /// Slots taken and not given back.
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Reserves the addresses, unless they are.
    pub(super) fn reserve(&self) -> io::Result<&Range> {
        let _alone = lock(&self.free);
        if let Some(range) = self.range.get() {
            return Ok(range);
        }
        let range = Range::reserve(self.class, self.slots_max)?;
        Ok(self.range.get_or_init(|| range))
    }

    /// A slot of fresh memory; `None` when there are no more, or the system refuses.
    pub(super) fn take(&self) -> Option<Slot> {
        let range = match self.range.get() {
            Some(range) => range,
            None => self.reserve().ok()?,
        };
        let number = self.number()?;
        let slot = range.slot(number);
        if slot.is_some() {
            self.held.fetch_add(1, Ordering::Relaxed);
        } else {
            lock(&self.free).given_back.push(number);
        }
        slot
    }

    fn number(&self) -> Option<u32> {
        let mut free = lock(&self.free);
        if let Some(number) = free.given_back.pop() {
            return Some(number);
        }
        let number = u32::try_from(free.unused_from).ok().filter(|_| free.unused_from < self.slots_max)?;
        free.unused_from += 1;
        Some(number)
    }

    /// Gives a slot back to the system.
    pub(super) fn give_back(&self, slot: Slot) {
        let Some(range) = self.range.get() else { return };
        // Emptied outside the lock, and before anybody can take the number again.
        let number = range.empty(slot);
        lock(&self.free).given_back.push(number);
        self.held.fetch_sub(1, Ordering::Relaxed);
    }
}
