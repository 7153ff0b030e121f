//! The bytes of a value by the word and by the block, which is what makes names, numbers and strings cheap to read.
//! It never judges.

/// Bytes in a block.
const BLOCK: usize = 16;

/// Eight bytes from `at`, the first in the lowest place; zeros stand for bytes beyond the end.
#[inline(always)]
pub(super) fn word(bytes: &[u8], at: u32) -> u64 {
    match chunk(bytes, at) {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => last_word(bytes, at),
    }
}

/// The byte at `at`; 0, which no grammar takes, beyond the end.
#[inline(always)]
pub(super) fn byte(bytes: &[u8], at: u32) -> u8 {
    bytes.get(at as usize).copied().unwrap_or(0)
}

/// One comparison is enough, because 32 bits cannot overflow a `usize`.
#[inline(always)]
fn chunk<const LENGTH: usize>(bytes: &[u8], at: u32) -> Option<&[u8; LENGTH]> {
    bytes.get(at as usize..at as usize + LENGTH)?.first_chunk()
}

/// The same where fewer than eight bytes are left.
#[inline(never)] // rare: it would only take room among what is not
fn last_word(bytes: &[u8], at: u32) -> u64 {
    let left = bytes.len().saturating_sub(at as usize);
    match bytes.last_chunk() {
        Some(_) if left == 0 => 0,
        Some(chunk) => u64::from_le_bytes(*chunk) >> (8 * (8 - left)),
        None => bytes.iter().skip(at as usize).rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    }
}

const ONES: u64 = u64::MAX / 255;

/// How many digits `word` begins with.
#[inline(always)]
pub(super) fn digits(word: u64) -> u32 {
    let values = word ^ (ONES * b'0' as u64);
    // A carry can mark a byte falsely, but only above one that is marked rightly, and only the lowest mark is used.
    let marks = (values.wrapping_add(ONES * (0x80 - 10)) | values) & (ONES * 0x80);
    marks.trailing_zeros() / 8
}

/// The number that the first `count` digits of `word` write, eight at most.
#[inline(always)]
pub(super) fn number(word: u64, count: u32) -> u64 {
    // To the upper end, so that zeros stand before the digits; then pairs, fours, all eight.
    let values = (word ^ (ONES * b'0' as u64)).checked_shl(64 - 8 * count).unwrap_or(0);
    let pairs = values.wrapping_mul(10).wrapping_add(values >> 8);
    let low = (pairs & 0xff_0000_00ff).wrapping_mul(100 + (1_000_000 << 32));
    let high = (pairs >> 16 & 0xff_0000_00ff).wrapping_mul(1 + (10_000 << 32));
    low.wrapping_add(high) >> 32
}

/// Offset of the first quote, backslash or control character from `at`; the length if there is none. `high` becomes true
/// if there is more than ASCII before it, and perhaps if there is shortly after it.
#[inline(always)]
pub(super) fn plain(bytes: &[u8], mut at: u32, high: &mut bool) -> u32 {
    let mut highs = 0;
    let end = loop {
        let Some(block) = chunk(bytes, at) else {
            return last_plain(bytes, at, high, highs);
        };
        let (marks, high) = look(block);
        highs |= high;
        if marks != 0 {
            break at + marks.trailing_zeros();
        }
        at += BLOCK as u32;
    };
    *high |= highs != 0;
    end
}

/// The same where less than a block is left.
#[inline(never)]
fn last_plain(bytes: &[u8], at: u32, high: &mut bool, highs: u32) -> u32 {
    let left = bytes.len().saturating_sub(at as usize);
    if let Some(block) = bytes.last_chunk()
        && left > 0
    {
        let (marks, more) = look(block);
        *high |= highs | more != 0;
        // What has been seen before falls out below; above the end there is one mark more.
        return at + (marks >> (BLOCK - left) | 1 << left).trailing_zeros();
    }
    let rest = bytes.get(at as usize..).unwrap_or_default();
    *high |= highs != 0 || !rest.is_ascii();
    at + rest.iter().position(|&byte| is_special(byte)).unwrap_or(rest.len()) as u32
}

fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Two bits for each byte of a block: special, and not ASCII.
#[cfg(target_arch = "x86_64")]
#[inline]
fn look(block: &[u8; BLOCK]) -> (u32, u32) {
    // SAFETY: SSE2 is part of x86-64.
    unsafe { look_with_sse2(block) }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn look(block: &[u8; BLOCK]) -> (u32, u32) {
    look_at_each(block)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse2")]
#[inline]
fn look_with_sse2(block: &[u8; BLOCK]) -> (u32, u32) {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8,
    };
    let block = u128::from_le_bytes(*block);
    let block = _mm_set_epi64x((block >> 64) as i64, block as i64);
    let quotes = _mm_cmpeq_epi8(block, _mm_set1_epi8(b'"' as i8));
    let backslashes = _mm_cmpeq_epi8(block, _mm_set1_epi8(b'\\' as i8));
    let controls = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1f)), block);
    let special = _mm_or_si128(_mm_or_si128(quotes, backslashes), controls);
    (_mm_movemask_epi8(special) as u32, _mm_movemask_epi8(block) as u32)
}

#[cfg(any(test, not(target_arch = "x86_64")))]
fn look_at_each(block: &[u8; BLOCK]) -> (u32, u32) {
    let mask = |is: fn(u8) -> bool| (0..).zip(block).fold(0, |mask, (bit, &byte)| mask | u32::from(is(byte)) << bit);
    (mask(is_special), mask(|byte| !byte.is_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5000))]

        #[test]
        fn blocks_and_words_see_what_a_look_at_each_byte_sees(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), b'0'..=b'9', Just(b'x')], 0..40),
            at in 0_u32..42,
        ) {
            let rest = bytes.get(at as usize..).unwrap_or_default();
            let mut eight = [0; 8];
            rest.iter().zip(&mut eight).for_each(|(&byte, place)| *place = byte);
            prop_assert_eq!(word(&bytes, at), u64::from_le_bytes(eight));
            prop_assert_eq!(byte(&bytes, at), eight[0]);

            let count = eight.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let written = eight[..count].iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
            prop_assert_eq!(digits(word(&bytes, at)), count as u32);
            prop_assert_eq!(number(word(&bytes, at), count as u32), written);

            let length = rest.iter().take_while(|&&byte| !is_special(byte)).count();
            let mut high = false;
            prop_assert_eq!(plain(&bytes, at, &mut high), at + length as u32);
            prop_assert!(high || rest[..length].is_ascii());
            prop_assert!(!high || !bytes.is_ascii());
            if let Some(block) = rest.first_chunk() {
                prop_assert_eq!(look(block), look_at_each(block));
            }
        }
    }
}
