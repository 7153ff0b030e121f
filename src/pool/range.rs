//! A range of addresses, and slots of it. The only place that asks the system for memory; knows no limits.
//!
//! A slot that was emptied costs nothing until it is written again. Under Miri and loom every slot is an allocation of
//! its own, so that an access beyond it, or after it was given back, is found.

use super::Class;
use std::ptr::NonNull;
use std::slice;

/// A buffer that somebody holds: never two for the same addresses.
#[derive(Debug)]
pub(super) struct Slot {
    words: NonNull<u64>,
    class: Class,
    number: u32,
}

// SAFETY: a slot owns its addresses alone, like a Box.
unsafe impl Send for Slot {}
// SAFETY: as above; it is written through `&mut` only.
unsafe impl Sync for Slot {}

impl Slot {
    pub(super) fn class(&self) -> Class {
        self.class
    }

    /// The buffer as words.
    ///
    /// # Safety
    /// The range that it comes from must outlive the borrow.
    pub(super) unsafe fn words(&self) -> &[u64] {
        // SAFETY: the slot owns so many initialised words, in a range that lives: the caller's promise.
        unsafe { slice::from_raw_parts(self.words.as_ptr(), self.class.bytes() / size_of::<u64>()) }
    }

    /// The buffer as words, to be written.
    ///
    /// # Safety
    /// As [`Self::words`].
    pub(super) unsafe fn words_mut(&mut self) -> &mut [u64] {
        // SAFETY: as in `words`; `&mut self` makes the borrow the only one.
        unsafe { slice::from_raw_parts_mut(self.words.as_ptr(), self.class.bytes() / size_of::<u64>()) }
    }
}

#[cfg(any(miri, loom))]
pub(super) use heap::{Range, machine_bytes};
#[cfg(not(any(miri, loom)))]
pub(super) use map::{Range, machine_bytes};

#[cfg(not(any(miri, loom)))]
mod map {
    use super::{Class, NonNull, Slot};
    use std::{io, ptr};

    /// What the machine has, in bytes: nobody needs more addresses.
    pub(in super::super) fn machine_bytes() -> usize {
        // SAFETY: asks for a number.
        let [pages, page] = [libc::_SC_PHYS_PAGES, libc::_SC_PAGESIZE].map(|name| unsafe { libc::sysconf(name) });
        usize::try_from(pages).unwrap_or(1 << 20).saturating_mul(usize::try_from(page).unwrap_or(4096))
    }

    /// Private, anonymous memory of this process.
    #[derive(Debug)]
    pub(in super::super) struct Range {
        mapped: NonNull<u8>,
        mapped_bytes: usize,
        /// The first slot: aligned to its size.
        first: NonNull<u8>,
        class: Class,
    }

    // SAFETY: it hands out addresses and never follows them.
    unsafe impl Send for Range {}
    // SAFETY: as above.
    unsafe impl Sync for Range {}

    impl Range {
        pub(in super::super) fn reserve(class: Class, slots: usize) -> io::Result<Self> {
            let mapped_bytes = (slots + 1) * class.bytes();
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            // SAFETY: a new mapping, wherever the system likes; it touches nothing that exists.
            let mapped = unsafe { libc::mmap(ptr::null_mut(), mapped_bytes, protection, flags, -1, 0) };
            if mapped == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            let mapped = NonNull::new(mapped.cast::<u8>()).ok_or_else(io::Error::last_os_error)?;
            // SAFETY: one slot more was mapped than is used, so that the first aligned address lies inside.
            let first = unsafe { mapped.add(mapped.align_offset(class.bytes())) };
            // A huge page below a small buffer would keep its neighbours resident that are not held. The largest class
            // holds two whole ones, and 2 faults are cheaper than 1024.
            let huge = if class == Class::LARGEST { libc::MADV_HUGEPAGE } else { libc::MADV_NOHUGEPAGE };
            // SAFETY: the range just mapped; a refusal (a kernel without huge pages) changes nothing that matters.
            unsafe { libc::madvise(mapped.as_ptr().cast(), mapped_bytes, huge) };
            Ok(Self { mapped, mapped_bytes, first, class })
        }

        /// The slot of this number, below the count reserved. Nobody else may hold it.
        pub(in super::super) fn slot(&self, number: u32) -> Option<Slot> {
            // SAFETY: the number lies below the count, so the slot lies in the range.
            let words = unsafe { self.first.add(number as usize * self.class.bytes()) }.cast();
            Some(Slot { words, class: self.class, number })
        }

        /// Gives its memory back; the number may be handed out again.
        pub(in super::super) fn empty(&self, slot: Slot) -> u32 {
            let (start, bytes) = (slot.words.as_ptr().cast(), self.class.bytes());
            // SAFETY: whole pages of this range, which nobody holds but the slot that ends here.
            unsafe { libc::madvise(start, bytes, libc::MADV_DONTNEED) };
            slot.number
        }
    }

    impl Drop for Range {
        fn drop(&mut self) {
            // SAFETY: what was mapped; every slot that is lent keeps the range alive.
            unsafe { libc::munmap(self.mapped.as_ptr().cast(), self.mapped_bytes) };
        }
    }
}

#[cfg(any(miri, loom))]
mod heap {
    use super::{Class, NonNull, Slot};
    use std::alloc::{Layout, alloc_zeroed, dealloc};
    use std::io;

    pub(in super::super) const fn machine_bytes() -> usize {
        1 << 30
    }

    #[derive(Debug)]
    pub(in super::super) struct Range(Class, Layout);

    impl Range {
        pub(in super::super) fn reserve(class: Class, _slots: usize) -> io::Result<Self> {
            let layout = Layout::from_size_align(class.bytes(), 4096).map_err(io::Error::other)?;
            Ok(Self(class, layout))
        }

        pub(in super::super) fn slot(&self, number: u32) -> Option<Slot> {
            // SAFETY: the size is not 0.
            let words = NonNull::new(unsafe { alloc_zeroed(self.1) })?.cast();
            Some(Slot { words, class: self.0, number })
        }

        pub(in super::super) fn empty(&self, slot: Slot) -> u32 {
            // SAFETY: allocated above with the same layout, and held by nobody else.
            unsafe { dealloc(slot.words.as_ptr().cast(), self.1) };
            slot.number
        }
    }
}
