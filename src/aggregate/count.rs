//! `count`: records, or records in which a field is not null. One word.

use super::{set, word, write_integer};

pub(super) const IDENTITY: [u64; 1] = [0];

#[inline]
pub(super) fn add(words: &mut [u64], seen: bool) {
    set(words, 0, word(words, 0) + u64::from(seen));
}

pub(super) fn merge(words: &mut [u64], other: &[u64]) {
    set(words, 0, word(words, 0) + word(other, 0));
}

pub(super) fn write(words: &[u64], out: &mut Vec<u8>) {
    write_integer(i64::try_from(word(words, 0)).unwrap_or(i64::MAX), out);
}
