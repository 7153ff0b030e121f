//! A global allocator that counts what a thread asks for while it is told to count.
//!
//! It counts for each thread apart, so that tests beside each other do not disturb each other. It never fails, and hands
//! everything to the system's allocator.

#![allow(dead_code, unreachable_pub)] // each program uses a part of it

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

/// What a thread has asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Allocations; one that grows or shrinks counts again.
    pub allocations: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Asked {
    const ZERO: Self = Self { allocations: 0, bytes: 0 };
}

thread_local! {
    static COUNTS: Cell<bool> = const { Cell::new(false) };
    static ASKED: Cell<Asked> = const { Cell::new(Asked::ZERO) };
    static TRACES: Cell<bool> = const { Cell::new(false) };
    static PLACES: RefCell<BTreeMap<String, u64>> = const { RefCell::new(BTreeMap::new()) };
}

/// The allocator: `#[global_allocator] static ALLOCATOR: Counting = Counting;`.
pub struct Counting;

// SAFETY: every call goes to the system's allocator with the same arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[inline]
fn note(bytes: usize) {
    if COUNTS.get() {
        let asked = ASKED.get();
        ASKED.set(Asked { allocations: asked.allocations + 1, bytes: asked.bytes + bytes as u64 });
        if TRACES.get() {
            pause(place);
        }
    }
}

/// What this thread asks for while `run` runs, beside its answer.
pub fn count<T>(run: impl FnOnce() -> T) -> (T, Asked) {
    let before = ASKED.get();
    let counted = COUNTS.replace(true);
    let answer = run();
    COUNTS.set(counted);
    let after = ASKED.get();
    let asked = Asked { allocations: after.allocations - before.allocations, bytes: after.bytes - before.bytes };
    (answer, asked)
}

/// Does not count what `run` asks for.
pub fn pause<T>(run: impl FnOnce() -> T) -> T {
    let counted = COUNTS.replace(false);
    let answer = run();
    COUNTS.set(counted);
    answer
}

/// From here on this thread also remembers where it asked; slow.
pub fn trace() {
    TRACES.set(true);
}

/// The places that asked, the busiest first, each with how often.
pub fn places() -> Vec<(u64, String)> {
    let mut places: Vec<_> = PLACES.take().into_iter().map(|(place, times)| (times, place)).collect();
    places.sort_by(|a, b| b.cmp(a));
    places
}

/// The innermost lines of this crate that are on the stack.
fn place() {
    let stack = Backtrace::force_capture().to_string();
    let ours = stack.lines().filter(|line| line.trim().starts_with("at ./src")).take(4);
    let place = ours.map(|line| format!("    {}\n", line.trim())).collect();
    PLACES.with_borrow_mut(|places| *places.entry(place).or_insert(0) += 1);
}
