//! `min` and `max`. One word; the identity is the infinity on the far side, which no record can hold.

use super::{NULL, double, set, write_double};

pub(super) const MIN_IDENTITY: [u64; 1] = [f64::INFINITY.to_bits()];
pub(super) const MAX_IDENTITY: [u64; 1] = [f64::NEG_INFINITY.to_bits()];

#[inline]
pub(super) fn add_min(words: &mut [u64], number: f64) {
    if number < double(words, 0) {
        set(words, 0, number.to_bits());
    }
}

#[inline]
pub(super) fn add_max(words: &mut [u64], number: f64) {
    if number > double(words, 0) {
        set(words, 0, number.to_bits());
    }
}

pub(super) fn merge_min(words: &mut [u64], other: &[u64]) {
    add_min(words, double(other, 0));
}

pub(super) fn merge_max(words: &mut [u64], other: &[u64]) {
    add_max(words, double(other, 0));
}

pub(super) fn write(words: &[u64], out: &mut Vec<u8>) {
    let extreme = double(words, 0);
    if extreme.is_finite() {
        write_double(extreme, out);
    } else {
        out.extend_from_slice(NULL);
    }
}
