//! A buffer on loan: it comes home when it is dropped, whoever drops it.

use super::{Class, Pool};
use std::sync::atomic::Ordering;

/// A buffer on loan, as words. Dropping it gives it back to the process; [`super::Hot::release`] gives it back to the
/// lane, which costs less.
#[derive(Debug)]
pub struct Lease {
    class: Class,
    words: Box<[u64]>,
    home: Pool,
}

impl Lease {
    pub(super) fn new(class: Class, home: Pool) -> Self {
        Self { class, words: vec![0; class.bytes() / size_of::<u64>()].into(), home }
    }

    /// Its size class.
    pub fn class(&self) -> Class {
        self.class
    }

    /// The buffer.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// The buffer, to be written.
    pub fn words_mut(&mut self) -> &mut [u64] {
        &mut self.words
    }

    /// The same buffer as bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: any word is eight bytes, and the borrow is the same.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), size_of_val::<[u64]>(&self.words)) }
    }

    /// The same buffer as bytes, to be written.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: any eight bytes are a word, and the borrow is the same.
        unsafe { std::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast(), size_of_val::<[u64]>(&self.words)) }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let bytes = self.class.bytes();
        self.home.0.lent_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.home.0.held_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}
