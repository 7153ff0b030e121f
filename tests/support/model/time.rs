//! Event times: from the Kafka timestamp or from a field, in one of the declared formats, to Unix milliseconds.
//!
//! Everything that is not such a time is `None`; why is none of its business.

use super::json::Json;
use super::number::Decimal;
use tidemill::config::{TimeFormat, TimeSource};

/// 9999-12-31T23:59:59.999Z.
const LAST_MS: i128 = 253_402_300_799_999;

/// The event time of a record; `None` is `bad_time`.
pub fn event_time_ms(source: &TimeSource, value: &Json, kafka_timestamp_ms: i64) -> Option<i64> {
    let time_ms = match source {
        TimeSource::Kafka => i128::from(kafka_timestamp_ms),
        TimeSource::Field { path, format } => field_ms(*format, value.at(path)?)?,
    };
    (0..=LAST_MS).contains(&time_ms).then_some(time_ms as i64)
}

fn field_ms(format: TimeFormat, field: &Json) -> Option<i128> {
    match (format, field) {
        (TimeFormat::UnixS, Json::Number(text)) => Some(Decimal::read(text).whole()? * 1000),
        (TimeFormat::UnixMs, Json::Number(text)) => Decimal::read(text).whole(),
        (TimeFormat::UnixUs, Json::Number(text)) => Some(Decimal::read(text).whole()?.div_euclid(1000)),
        (TimeFormat::UnixNs, Json::Number(text)) => Some(Decimal::read(text).whole()?.div_euclid(1_000_000)),
        (TimeFormat::Rfc3339, Json::Text(points)) => {
            rfc3339_ms(&points.iter().map(|&point| char::from_u32(point)).collect::<Option<String>>()?)
        }
        _ => None,
    }
}

/// `YYYY-MM-DDThh:mm:ss[.fraction](Z|±hh:mm)`, `T` and `Z` in either case.
fn rfc3339_ms(text: &str) -> Option<i128> {
    let text = text.is_ascii().then(|| text.to_ascii_uppercase())?;
    let (date_time, zone) = text.split_at_checked(19)?;
    let [year, month, day, hour, minute, second] = fields(date_time, "0000-00-00T00:00:00")?[..] else { return None };
    let (fraction, zone) = zone.split_at(zone.find(['Z', '+', '-'])?);
    let zone_minutes = match zone.split_at(1) {
        ("Z", "") => 0,
        (sign, rest) => {
            let [hours, minutes] = fields(rest, "00:00")?[..] else { return None };
            (hours < 24 && minutes < 60 && sign != "Z").then_some(())?;
            if sign == "-" { -(hours * 60 + minutes) } else { hours * 60 + minutes }
        }
    };
    let fraction_ms = match fraction.strip_prefix('.') {
        None if fraction.is_empty() => 0,
        Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{digits}00")[..3].parse::<i128>().ok()?
        }
        _ => return None,
    };
    ((1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day)).then_some(())?;
    (hour < 24 && minute < 60 && second <= 60).then_some(())?;
    let days: i128 = (0..year).map(|year| (1..=12).map(|month| days_in(year, month)).sum::<i128>()).sum::<i128>()
        + (1..month).map(|month| days_in(year, month)).sum::<i128>()
        + (day - 1)
        - 719_528; // from 0000-01-01 to 1970-01-01
    let minutes = days * 1440 + hour * 60 + minute - zone_minutes;
    // A leap second is the last of a day in UTC; Unix time gives it the number of the second after it.
    (second < 60 || minutes.rem_euclid(1440) == 1439).then_some(())?;
    Some((minutes * 60 + second) * 1000 + fraction_ms)
}

/// The numbers in `text`, which has a digit wherever `like` has one, and else the same bytes.
fn fields(text: &str, like: &str) -> Option<Vec<i128>> {
    let fits = |(byte, like): (u8, u8)| if like == b'0' { byte.is_ascii_digit() } else { byte == like };
    (text.len() == like.len() && text.bytes().zip(like.bytes()).all(fits)).then_some(())?;
    text.split(['-', 'T', ':']).map(|digits| digits.parse().ok()).collect()
}

fn days_in(year: i128, month: i128) -> i128 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i128::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
