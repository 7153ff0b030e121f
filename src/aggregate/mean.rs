//! `mean`: the compensated sum divided by the count. Three words: those of the sum, and the count.

use super::{NULL, set, sum, word, write_double};

pub(super) const IDENTITY: [u64; 3] = [0, 0, 0];

#[inline]
pub(super) fn add(words: &mut [u64], number: f64) {
    sum::add(words, number);
    set(words, 2, word(words, 2) + 1);
}

pub(super) fn merge(words: &mut [u64], other: &[u64]) {
    sum::merge(words, other);
    set(words, 2, word(words, 2) + word(other, 2));
}

pub(super) fn write(words: &[u64], out: &mut Vec<u8>) -> bool {
    let count = word(words, 2);
    if count == 0 {
        out.extend_from_slice(NULL);
        return true;
    }
    let total = sum::total(words);
    match total {
        Some(total) => write_double(total / count as f64, out),
        None => out.extend_from_slice(NULL),
    }
    total.is_some()
}
