//! What the allocator says of the heap: how much it has reserved and committed, by pages, arenas and size classes.
//!
//! Of the whole process, C included. It costs nothing until it is asked, and knows no call stacks: see
//! `docs/decisions/0007-mimalloc-and-what-it-can-say.md`.

use std::ffi::CStr;

/// The statistics of mimalloc as one JSON object.
pub(super) fn statistics() -> Option<String> {
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
