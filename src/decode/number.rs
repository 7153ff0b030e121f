//! The text of JSON numbers → doubles, correctly rounded, or exact whole numbers.
//!
//! Only [`read`] checks the grammar. Everything else takes text that it has accepted; where it has not, the answer is
//! some number, not a panic.

use super::words::{self, byte};

/// A number beyond the largest double. Underflow is no such thing: it is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutOfRange;

/// What a number is, if it is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    /// Exactly.
    Is(i128),
    /// Whole, above 10^30.
    Huge,
    /// Whole, below -10^30.
    HugeNegative,
    /// It has a fraction.
    Not,
}

/// A number of at most 19 digits: `±digits × 10^scale`. It is taken apart while it is read, so that nearly no text is
/// looked at twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Short {
    digits: u64,
    /// `i32::MAX` if it is not short: only its text says what it is.
    scale: i32,
    negative: bool,
}

/// Digits in a row, as many as fit, and how many there are.
#[derive(Default)]
struct Run {
    digits: u64,
    length: u32,
}

/// `10^n` that are exact as doubles.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];
/// Digits of which a double can depend on each; those after them count only as "more than nothing".
const MAX_DIGITS: usize = 770;
/// Above this length text is cut to its significant digits first: std stops counting at exponents of five digits, which
/// only text with thousands of zeros can reach.
const STD: usize = 64;

/// A number taken apart: `digits × 10^(exponent − length of fraction)`.
struct Decimal<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

/// Text in a fixed place: a long number must not cost an allocation.
struct Text<'a> {
    buffer: &'a mut [u8],
    length: usize,
}

/// Reads the number at `at`: the offset after it, and what it says in `short`. After a leading zero it ends.
///
/// # Errors
/// Where there should be a digit.
#[inline(never)] // where most numbers are read, there is no register left for this
pub(super) fn read(bytes: &[u8], at: u32, short: &mut Short) -> Result<u32, u32> {
    scan::<true>(bytes, at, short)
}

/// The same for a number that nobody asks.
///
/// # Errors
/// As above.
#[inline(never)]
pub(super) fn skip(bytes: &[u8], at: u32) -> Result<u32, u32> {
    scan::<false>(bytes, at, &mut { Short::NOT })
}

#[inline(always)]
fn scan<const READ: bool>(bytes: &[u8], at: u32, short: &mut Short) -> Result<u32, u32> {
    let negative = byte(bytes, at) == b'-';
    let mut at = at + u32::from(negative);
    let mut run = Run::default();
    if byte(bytes, at) == b'0' {
        at += 1;
    } else {
        at = run.read::<READ>(bytes, at)?;
    }
    let mut scale = 0;
    if byte(bytes, at) == b'.' {
        let end = run.read::<READ>(bytes, at + 1)?;
        (scale, at) = (at as i32 + 1 - end as i32, end);
    }
    if byte(bytes, at) | 0x20 == b'e' {
        let power;
        (at, power) = exponent_of(bytes, at + 1)?;
        scale = scale.saturating_add(power);
    }
    *short = Short { digits: run.digits, scale: if run.length <= 19 { scale } else { i32::MAX }, negative };
    Ok(at)
}

/// Sign and digits of an exponent; `i32::MAX` for one of nine digits or more.
#[inline(never)] // rare
fn exponent_of(bytes: &[u8], at: u32) -> Result<(u32, i32), u32> {
    let sign = byte(bytes, at);
    let mut run = Run::default();
    let end = run.read::<true>(bytes, at + u32::from(matches!(sign, b'+' | b'-')))?;
    let power = i32::try_from(run.digits).ok().filter(|_| run.length < 9);
    Ok((end, power.map_or(i32::MAX, |power| if sign == b'-' { -power } else { power })))
}

/// The nearest double; ties to even. `short` is what [`read`] has said of the same text.
#[inline]
pub(super) fn to_f64(short: &Short, text: &[u8]) -> Result<f64, OutOfRange> {
    match short.exact() {
        Some(number) => Ok(number),
        None => round(text),
    }
}

fn round(text: &[u8]) -> Result<f64, OutOfRange> {
    let decimal = Decimal::of(text);
    let number = if text.len() <= STD { parse(text) } else { decimal.significant() };
    if number.is_finite() { Ok(number) } else { Err(OutOfRange) }
}

/// The number if it is whole, by decimal arithmetic on its text.
pub(super) fn whole(text: &[u8]) -> Whole {
    let decimal = Decimal::of(text);
    // Without zeros at either end the digits decide alone.
    let significant = decimal.digits().rev().skip_while(|&digit| digit == b'0').count();
    let zeros = decimal.whole.len() + decimal.fraction.len() - significant;
    let exponent = decimal.scale().saturating_add(to_i64(zeros));
    let mut digits = decimal.digits().take(significant).skip_while(|&digit| digit == b'0').peekable();
    if digits.peek().is_none() {
        return Whole::Is(0);
    }
    if exponent < 0 {
        return Whole::Not;
    }
    let mut number: i128 = 0;
    for digit in digits.chain(std::iter::repeat_n(b'0', usize::try_from(exponent).unwrap_or(usize::MAX))) {
        number = number * 10 + i128::from(digit - b'0');
        if number > 10_i128.pow(30) {
            return if decimal.negative { Whole::HugeNegative } else { Whole::Huge };
        }
    }
    Whole::Is(if decimal.negative { -number } else { number })
}

impl Short {
    /// Of a number whose text has to be asked, or of what is no number.
    pub(super) const NOT: Self = Self { digits: 0, scale: i32::MAX, negative: false };

    /// The double, if it is easy: one exact operation on two exact doubles rounds correctly (Clinger).
    #[inline]
    pub(super) fn exact(&self) -> Option<f64> {
        let power = POWERS.get(self.scale.unsigned_abs() as usize)?;
        if self.digits > 1 << 53 {
            return None;
        }
        let digits = self.digits as f64;
        let number = if self.scale < 0 { digits / power } else { digits * power };
        Some(if self.negative { -number } else { number })
    }

    /// The number if it is written without fraction and exponent.
    #[inline]
    pub(super) fn whole(&self) -> Option<i64> {
        let digits = i64::try_from(self.digits).ok().filter(|_| self.scale == 0)?;
        Some(if self.negative { -digits } else { digits })
    }
}

impl Run {
    /// Goes on at `at`, where there must be a digit; the offset after the last.
    #[inline(always)]
    fn read<const READ: bool>(&mut self, bytes: &[u8], mut at: u32) -> Result<u32, u32> {
        const POWERS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];
        let start = at;
        loop {
            let word = words::word(bytes, at);
            let length = words::digits(word);
            if READ {
                let power = POWERS.get(length as usize).copied().unwrap_or(1);
                self.digits = self.digits.wrapping_mul(power).wrapping_add(words::number(word, length));
            }
            at += length;
            if length < 8 {
                break;
            }
        }
        self.length += at - start;
        if at > start { Ok(at) } else { Err(at) }
    }
}

impl<'a> Decimal<'a> {
    fn of(text: &'a [u8]) -> Self {
        let (negative, text) = text.strip_prefix(b"-").map_or((false, text), |rest| (true, rest));
        let (whole, rest) = split_digits(text);
        let (fraction, rest) = rest.strip_prefix(b".").map_or((&[][..], rest), split_digits);
        let exponent = rest.strip_prefix(b"e").or_else(|| rest.strip_prefix(b"E")).map_or(0, exponent);
        Self { negative, whole, fraction, exponent }
    }

    fn digits(&self) -> impl DoubleEndedIterator<Item = u8> + use<'a> {
        self.whole.iter().chain(self.fraction).copied()
    }

    /// The power of ten of the last digit.
    fn scale(&self) -> i64 {
        self.exponent.saturating_sub(to_i64(self.fraction.len()))
    }

    /// Long text: only the digits that matter, and 1 for all the rest.
    fn significant(&self) -> f64 {
        let zeros = self.digits().take_while(|&digit| digit == b'0').count();
        let total = self.whole.len() + self.fraction.len() - zeros;
        let kept = total.min(MAX_DIGITS);
        let mut buffer = [0; MAX_DIGITS + 32];
        let mut text = Text { buffer: &mut buffer, length: 0 };
        if self.negative {
            text.push(b'-');
        }
        self.digits().skip(zeros).take(kept).for_each(|digit| text.push(digit));
        let mut dropped = total - kept;
        if self.digits().skip(zeros + kept).any(|digit| digit != b'0') {
            text.push(b'1');
            dropped -= 1;
        }
        if total == 0 {
            text.push(b'0');
        }
        let exponent = self.scale().saturating_add(to_i64(dropped)).clamp(-9999, 9999);
        text.push(b'e');
        if exponent < 0 {
            text.push(b'-');
        }
        for power in [1000, 100, 10, 1] {
            text.push(b'0' + (exponent.unsigned_abs() / power % 10) as u8);
        }
        parse(text.bytes())
    }
}

impl Text<'_> {
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.buffer.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }

    fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }
}

fn parse(text: &[u8]) -> f64 {
    str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or(0.0)
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    text.split_at_checked(length).unwrap_or((text, &[]))
}

/// Saturates far beyond what the length of a value could make up for.
fn exponent(text: &[u8]) -> i64 {
    const FAR: i64 = 1 << 50;
    let (negative, digits) = match text.split_first() {
        Some((b'-', digits)) => (true, digits),
        Some((b'+', digits)) => (false, digits),
        _ => (false, text),
    };
    let exponent = split_digits(digits).0.iter().fold(0, |sum, digit| (sum * 10 + i64::from(digit - b'0')).min(FAR));
    if negative { -exponent } else { exponent }
}

fn to_i64(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
