//! Event times as values write them → Unix milliseconds from 1970 to the end of year 9999.
//!
//! Everything is whole numbers: no double, no clock, no time zone but the offset in the text.

use super::number::{self, OutOfRange, Short, Whole};
use super::string;
use crate::config::TimeFormat;

/// 9999-12-31T23:59:59.999Z.
const LAST_MS: i128 = 253_402_300_799_999;

/// Why there is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadTime {
    /// Missing or null.
    Missing,
    /// Not RFC 3339, or a day or second that does not exist.
    Format,
    /// A fraction of the declared unit.
    NotWhole,
    /// Before 1970.
    BeforeEpoch,
    /// After the year 9999.
    TooLate,
}

/// Refuses milliseconds outside of 1970 to 9999.
pub(super) fn in_range(ms: i128) -> Result<i64, BadTime> {
    match ms {
        ..0 => Err(BadTime::BeforeEpoch),
        0..=LAST_MS => i64::try_from(ms).map_err(|_| BadTime::TooLate),
        _ => Err(BadTime::TooLate),
    }
}

/// What nearly all times look like: milliseconds of a whole number of up to 19 digits, if they are in range.
#[inline]
pub(super) fn short(number: i64, format: TimeFormat) -> Option<i64> {
    let ms = match format {
        TimeFormat::UnixS => number.checked_mul(1000)?,
        TimeFormat::UnixMs => number,
        TimeFormat::UnixUs => number.div_euclid(1000),
        TimeFormat::UnixNs => number.div_euclid(1_000_000),
        TimeFormat::Rfc3339 => return None,
    };
    (0..=LAST_MS as i64).contains(&ms).then_some(ms)
}

/// The time in the text of a JSON number.
pub(super) fn unix(text: &[u8], format: TimeFormat) -> Result<Result<i64, BadTime>, OutOfRange> {
    Ok(match number::whole(text) {
        Whole::Is(number) => in_range(match format {
            TimeFormat::UnixS => number.saturating_mul(1000),
            TimeFormat::UnixMs | TimeFormat::Rfc3339 => number,
            TimeFormat::UnixUs => number.div_euclid(1000),
            TimeFormat::UnixNs => number.div_euclid(1_000_000),
        }),
        // Only these can be beyond a double: the others are short, or their fraction is checked here too.
        Whole::Huge => number::to_f64(&Short::NOT, text).map(|_| Err(BadTime::TooLate))?,
        Whole::HugeNegative => number::to_f64(&Short::NOT, text).map(|_| Err(BadTime::BeforeEpoch))?,
        Whole::Not => number::to_f64(&Short::NOT, text).map(|_| Err(BadTime::NotWhole))?,
    })
}

/// The time in the inside of a JSON string, in the form of RFC 3339.
pub(super) fn rfc3339(inside: &[u8], escaped: bool) -> Result<i64, BadTime> {
    let ms = if escaped {
        Text { bytes: string::ascii(inside) }.date_time()
    } else {
        Text { bytes: inside.iter().copied() }.date_time()
    };
    in_range(i128::from(ms.ok_or(BadTime::Format)?))
}

struct Text<I> {
    bytes: I,
}

impl<I: Iterator<Item = u8>> Text<I> {
    fn date_time(&mut self) -> Option<i64> {
        let year = self.number(4)?;
        self.one_of(b"-")?;
        let month = self.number(2)?;
        self.one_of(b"-")?;
        let day = self.number(2)?;
        self.one_of(b"Tt")?;
        let hour = self.number(2)?;
        self.one_of(b":")?;
        let minute = self.number(2)?;
        self.one_of(b":")?;
        let second = self.number(2)?;
        let (ms, after) = self.fraction()?;
        let offset_minutes = self.offset(after)?;
        let valid = (1..=12).contains(&month)
            && (1..=days_in_month(year, month)).contains(&day)
            && hour <= 23
            && minute <= 59
            && second <= 60;
        let minutes = (days_since_1970(year, month, day) * 24 + hour) * 60 + minute - offset_minutes;
        let leap_second_is_last_of_the_day = second < 60 || minutes.rem_euclid(24 * 60) == 24 * 60 - 1;
        let ended = self.bytes.next().is_none();
        (valid && leap_second_is_last_of_the_day && ended).then_some((minutes * 60 + second) * 1000 + ms)
    }

    fn one_of(&mut self, wanted: &[u8]) -> Option<u8> {
        self.bytes.next().filter(|byte| wanted.contains(byte))
    }

    fn number(&mut self, digits: usize) -> Option<i64> {
        (0..digits).try_fold(0, |number, _| Some(number * 10 + digit(self.bytes.next()?)?))
    }

    /// Milliseconds of a fraction of any length, and the byte after it.
    fn fraction(&mut self) -> Option<(i64, u8)> {
        let mut byte = self.bytes.next()?;
        if byte != b'.' {
            return Some((0, byte));
        }
        let (mut ms, mut unit_ms, mut any) = (0, 100, false);
        loop {
            byte = self.bytes.next()?;
            match digit(byte) {
                Some(digit) => (ms, unit_ms, any) = (ms + digit * unit_ms, unit_ms / 10, true),
                None => return any.then_some((ms, byte)),
            }
        }
    }

    /// Minutes that local time is ahead of UTC.
    fn offset(&mut self, first: u8) -> Option<i64> {
        let sign = match first {
            b'Z' | b'z' => return Some(0),
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let hours = self.number(2).filter(|&hours| hours <= 23)?;
        self.one_of(b":")?;
        let minutes = self.number(2).filter(|&minutes| minutes <= 59)?;
        Some(sign * (hours * 60 + minutes))
    }
}

fn digit(byte: u8) -> Option<i64> {
    byte.is_ascii_digit().then(|| i64::from(byte - b'0'))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days of the Gregorian calendar; years begin in March, so that the leap day is their last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}
