//! The allocator of the whole process, C included: what it says of the heap, and its giving back what is free.
//!
//! It knows reserved and committed bytes by pages, arenas and size classes, and no call stacks: see
//! `docs/decisions/0007-mimalloc-and-what-it-can-say.md`.

use std::ffi::CStr;

/// Gives free memory back to the system: what has been free for a second, or `all` of it.
pub fn give_back(all: bool) {
    // SAFETY: may be called by any thread at any time; touches only what is free.
    unsafe { libmimalloc_sys::mi_collect(all) };
}

/// The statistics of mimalloc as one JSON object; costs nothing until it is asked.
pub fn statistics() -> Option<String> {
    // SAFETY: a null buffer asks the function to allocate one, which it returns ended by a zero, or null.
    let text = unsafe { libmimalloc_sys::mi_stats_get_json(0, std::ptr::null_mut()) };
    if text.is_null() {
        return None;
    }
    // SAFETY: not null, so it is a string that ends with a zero, and ours until it is freed below.
    let copy = unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned();
    // SAFETY: it came from the allocator that frees it, and nobody points to it any more.
    unsafe { libmimalloc_sys::mi_free(text.cast()) };
    Some(copy)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_allocator_speaks_json() {
        let text = super::statistics().unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(value.get("process").is_some(), "{text}");
    }
}
