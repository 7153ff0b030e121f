//! `sum`: a double, compensated after Neumaier (ZAMM 54, 1974). Two words: sum and compensation.
//!
//! Once the running sum is not finite it never is again, so the end tells of the way.

use super::{NULL, double, set, write_double};

pub(super) const IDENTITY: [u64; 2] = [0, 0];

#[inline]
pub(super) fn add(words: &mut [u64], number: f64) {
    let sum = double(words, 0);
    let total = sum + number;
    let lost = if sum.abs() >= number.abs() { (sum - total) + number } else { (number - total) + sum };
    set(words, 0, total.to_bits());
    set(words, 1, (double(words, 1) + lost).to_bits());
}

pub(super) fn merge(words: &mut [u64], other: &[u64]) {
    add(words, double(other, 0));
    set(words, 1, (double(words, 1) + double(other, 1)).to_bits());
}

/// Sum plus compensation, if everything on the way was finite.
pub(super) fn total(words: &[u64]) -> Option<f64> {
    let total = double(words, 0) + double(words, 1);
    (double(words, 0).is_finite() && total.is_finite()).then_some(total)
}

pub(super) fn write(words: &[u64], out: &mut Vec<u8>) -> bool {
    let total = total(words);
    match total {
        Some(total) => write_double(total, out),
        None => out.extend_from_slice(NULL),
    }
    total.is_some()
}
