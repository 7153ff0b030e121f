//! A buffer on loan: it comes home when it is dropped, whoever drops it.

use super::range::Slot;
use super::sync::Arc;
use super::{Class, Pool};
use std::mem::ManuallyDrop;
use std::{ptr, slice};

/// A buffer on loan, as words. Dropping it gives it back to the process; [`super::Hot::release`] gives it back to the
/// lane, which costs less.
#[derive(Debug)]
pub struct Lease {
    slot: Slot,
    home: Pool,
}

impl Lease {
    pub(super) fn new(slot: Slot, home: Pool) -> Self {
        Self { slot, home }
    }

    /// Without its handle, for a tier of the pool that it came from.
    pub(super) fn into_slot(self) -> Slot {
        let lease = ManuallyDrop::new(self);
        // SAFETY: each field is moved out once, and the rest is never dropped.
        let (slot, home) = unsafe { (ptr::read(&lease.slot), ptr::read(&lease.home)) };
        drop(home);
        slot
    }

    pub(super) fn is_from(&self, pool: &Pool) -> bool {
        Arc::ptr_eq(&self.home.0, &pool.0)
    }

    /// Its size class.
    pub fn class(&self) -> Class {
        self.slot.class()
    }

    /// The buffer.
    pub fn words(&self) -> &[u64] {
        // SAFETY: the handle keeps the pool, and so the range, alive.
        unsafe { self.slot.words() }
    }

    /// The buffer, to be written.
    pub fn words_mut(&mut self) -> &mut [u64] {
        // SAFETY: as above.
        unsafe { self.slot.words_mut() }
    }

    /// The same buffer as bytes.
    pub fn bytes(&self) -> &[u8] {
        let words = self.words();
        // SAFETY: any word is eight bytes, and the borrow is the same.
        unsafe { slice::from_raw_parts(words.as_ptr().cast(), size_of_val(words)) }
    }

    /// The same buffer as bytes, to be written.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let words = self.words_mut();
        // SAFETY: any eight bytes are a word, and the borrow is the same.
        unsafe { slice::from_raw_parts_mut(words.as_mut_ptr().cast(), size_of_val(words)) }
    }

    /// In debug builds, writes over what it holds, so that a use after release, or of memory that is taken for zeroed,
    /// shows. All of a small buffer; of a large one the ends, where headers and the last rows lie, and a word of every
    /// page: writing all 4 MiB would take longer than most tests.
    pub(super) fn scramble(&mut self) {
        const NOISE: u64 = 0xdead_5eed_dead_5eed;
        const PAGE_WORDS: usize = 512;
        if !cfg!(debug_assertions) {
            return;
        }
        let words = self.words_mut();
        let middle = PAGE_WORDS..words.len().saturating_sub(PAGE_WORDS).max(PAGE_WORDS);
        if words.len() <= 8 * PAGE_WORDS {
            words.fill(NOISE);
            return;
        }
        words[..middle.start].fill(NOISE);
        words[middle.end..].fill(NOISE);
        words[middle].iter_mut().step_by(PAGE_WORDS).for_each(|word| *word = NOISE);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.scramble();
        // SAFETY: a slot needs no drop, and this one is not used again.
        let slot = unsafe { ptr::read(&self.slot) };
        self.home.0.come_home(slot);
    }
}
