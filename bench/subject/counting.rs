//! The allocator: tidemill's own, and it counts what a thread asks for. It never fails on its own account.

use mimalloc::MiMalloc;
use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

/// What a thread has asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Allocations; one that grows or shrinks counts again.
    pub(crate) allocations: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
}

thread_local! {
    static ASKED: Cell<Asked> = const { Cell::new(Asked { allocations: 0, bytes: 0 }) };
}

/// What this thread has asked for since it began.
pub(crate) fn asked() -> Asked {
    ASKED.get()
}

impl Asked {
    /// What was asked for since `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        Self { allocations: self.allocations - before.allocations, bytes: self.bytes - before.bytes }
    }
}

/// The allocator.
#[derive(Debug)]
pub(crate) struct Counting;

// SAFETY: every call goes to mimalloc with the same arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: as above.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: as above.
        unsafe { MiMalloc.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { MiMalloc.dealloc(pointer, layout) }
    }
}

#[inline]
fn note(bytes: usize) {
    let Asked { allocations, bytes: before } = ASKED.get();
    ASKED.set(Asked { allocations: allocations + 1, bytes: before + bytes as u64 });
}
