//! Values: JSON objects written in all the ways that the grammar allows, and some that it does not.

use super::{PATHS, Random};
use std::collections::BTreeMap;
use tidemill::config::{AggregateKind, Pipeline, TimeFormat, TimeSource};

/// A value with this event time, as far as its format can say it; sometimes spoilt.
pub fn value(random: &Random, pipeline: &Pipeline, time_ms: i64) -> Vec<u8> {
    let mut members: Vec<(String, String)> = Vec::new();
    if let TimeSource::Field { path, format } = &pipeline.time {
        twice(random, &mut members, path, |random| match random.between(1, 1000) {
            1..=10 => Some(junk(random)),
            11..=15 => None,
            _ => Some(time(random, *format, time_ms)),
        });
    }
    for path in PATHS {
        let numeric = pipeline.aggregates.iter().any(|aggregate| {
            use AggregateKind::{Count, First, Last};
            aggregate.path.as_deref() == Some(path) && !matches!(aggregate.kind, Count | First | Last)
        });
        twice(random, &mut members, path, |random| match random.between(1, 1000) {
            1..=100 => None,
            101..=200 => Some("null".to_owned()),
            201..=215 => Some(junk(random)),
            216..=240 => Some(long(random)),
            n if numeric || n < 600 => Some(number(random)),
            _ => Some(scalar(random)),
        });
    }
    if random.chance(200) {
        members.push(("unread".to_owned(), junk(random)));
    }
    let text = object(random, &members);
    spoil(random, pipeline, text)
}

/// Adds a member, and sometimes another of the same name before it or after it.
fn twice(
    random: &Random,
    members: &mut Vec<(String, String)>,
    path: &str,
    mut make: impl FnMut(&Random) -> Option<String>,
) {
    if random.chance(30) {
        members.push((path.to_owned(), junk(random)));
    }
    let times = if random.chance(30) { 2 } else { 1 };
    let texts: Vec<String> = (0..times).filter_map(|_| make(random)).collect();
    members.extend(texts.into_iter().map(|text| (path.to_owned(), text)));
}

/// One object of all members; those whose paths begin alike share an object, duplicates keep their order.
fn object(random: &Random, members: &[(String, String)]) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut inner: BTreeMap<&str, Vec<(String, String)>> = BTreeMap::new();
    for (path, text) in members {
        match path.split_once('.') {
            None => parts.push(format!("{}{}:{}{text}", name(random, path), space(random), space(random))),
            Some((first, rest)) => inner.entry(first).or_default().push((rest.to_owned(), text.clone())),
        }
    }
    for (first, members) in inner {
        let part = format!("{}:{}", name(random, first), object(random, &members));
        // Objects may come anywhere: no other member here has this name, unless it is put before them.
        let at = random.between(0, parts.len() as i64) as usize;
        parts.insert(at, part);
        if random.chance(20) {
            parts.insert(0, format!("{}:{}", name(random, first), junk(random)));
        }
    }
    let comma = format!("{},{}", space(random), space(random));
    format!("{{{}{}{}}}", space(random), parts.join(&comma), space(random))
}

fn space(random: &Random) -> &'static str {
    if random.chance(950) { "" } else { random.pick(&[" ", "\n", "\t", "\r\n"]) }
}

/// A member name, sometimes with its first character escaped.
fn name(random: &Random, name: &str) -> String {
    let first = name.chars().next().filter(|_| random.chance(30));
    first.map_or(format!("\"{name}\""), |c| format!("\"\\u{:04x}{}\"", u32::from(c), &name[c.len_utf8()..]))
}

fn time(random: &Random, format: TimeFormat, time_ms: i64) -> String {
    let finer =
        |random: &Random, digits: usize| format!("{:0digits$}", random.pick(&[0, 0, 1, 10_i64.pow(digits as u32) - 1]));
    match format {
        TimeFormat::UnixS => whole(random, (time_ms.div_euclid(1000)).to_string()),
        TimeFormat::UnixMs => whole(random, time_ms.to_string()),
        TimeFormat::UnixUs => whole(random, format!("{time_ms}{}", finer(random, 3))),
        TimeFormat::UnixNs => whole(random, format!("{time_ms}{}", finer(random, 6))),
        TimeFormat::Rfc3339 => {
            let zone_minutes = random.pick(&[0, 0, 0, -300, 330, 1439, -1439]);
            let zone = match zone_minutes {
                0 => random.pick(&["Z", "z", "+00:00", "-00:00"]).to_owned(),
                _ => format!(
                    "{}{:02}:{:02}",
                    if zone_minutes < 0 { '-' } else { '+' },
                    i64::abs(zone_minutes) / 60,
                    i64::abs(zone_minutes) % 60
                ),
            };
            let local_ms = time_ms + zone_minutes * 60_000;
            let (year, month, day) = date(local_ms.div_euclid(86_400_000));
            let of_day = local_ms.rem_euclid(86_400_000);
            let (seconds, ms) = (of_day / 1000, of_day % 1000);
            let fraction = match (ms, random.pick(&[0, 0, 1])) {
                (0, 0) => String::new(),
                (_, 0) => format!(".{ms:03}"),
                _ => format!(".{ms:03}{}", finer(random, 4)),
            };
            let t = random.pick(&["T", "T", "T", "t"]);
            let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
            format!("\"{year:04}-{month:02}-{day:02}{t}{hour:02}:{minute:02}:{second:02}{fraction}{zone}\"")
        }
    }
}

/// The proleptic Gregorian date of a day counted from 1970-01-01 (Howard Hinnant, "chrono-compatible algorithms").
fn date(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let (era, day_of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

/// An integer, in one of its many spellings; rarely a fraction too many.
fn whole(random: &Random, digits: String) -> String {
    match random.between(1, 100) {
        1..=3 => format!("{digits}.0"),
        4..=6 => format!("{digits}000e-3"),
        7..=9 => format!("{digits}.00E+0"),
        10 => format!("{digits}.5"),
        _ => digits,
    }
}

fn number(random: &Random) -> String {
    let small = random.between(-1000, 1000);
    match random.between(1, 1000) {
        1..=5 => random.pick(&["1e999", "-1e309", "1.7976931348623159e308"]).to_owned(),
        6..=20 => random.pick(&["1e308", "-1e308", "1.7976931348623157e308"]).to_owned(),
        21..=60 => random.pick(&["-0", "0.0", "-0.0", "1e-400", "5e-324", "1e-320", "0e999999"]).to_owned(),
        61..=100 => random.pick(&["1e16", "-1e16", "9007199254740993", "123456789012345678901234567890"]).to_owned(),
        101..=400 => format!("{small}.{}", random.between(0, 99_999)),
        401..=450 => format!("{small}e{}", random.between(-30, 30)),
        _ => small.to_string(),
    }
}

fn scalar(random: &Random) -> String {
    let texts = [
        "true",
        "false",
        r#""""#,
        r#""plain""#,
        r#""ä€😀""#,
        r#""\"\\\/\b\f\n\r\t""#,
        r#""\u0000\u001f\u007f""#,
        r#""\ud83d\ude00""#,
        r#""\ud800""#,
        r#""\uDC00\uD800""#,
        r#""\ud800\ud83d\ude00x""#,
        r#""\ud800\n""#,
        r#""1""#,
    ];
    random.pick(&texts).to_owned()
}

/// A scalar of 255 to 258 bytes, or just as many written otherwise.
fn long(random: &Random) -> String {
    let length = random.between(255, 258) as usize;
    match random.between(1, 5) {
        1 => "7".repeat(length),
        2 => format!("0.{}", "3".repeat(length - 2)),
        3 => format!("\"{}\"", r"\u0061".repeat(length)),
        4 => format!("\"{}{}\"", "a".repeat(length - 255), r"\udead".repeat(85)),
        _ => format!("\"{}\"", "b".repeat(length)),
    }
}

/// Any JSON at all.
fn junk(random: &Random) -> String {
    match random.between(1, 6) {
        1 => scalar(random),
        2 => number(random),
        3 => random
            .pick(&["{}", "[]", "[1,[2,{}],null]", r#"{"x":{"x":1e999},"":0}"#, r#"{"deep":{"er":1},"b":2}"#])
            .to_owned(),
        4 => random
            .pick(&["null", "1e999", "\"2013-01-01T00:00:00\"", "\"2013-02-29T00:00:00Z\"", "5.5", "-1"])
            .to_owned(),
        5 => long(random),
        _ => {
            // With the root, and up to two objects on the way: about 128 levels.
            let depth = random.between(123, 129) as usize;
            format!("{}{}", "[".repeat(depth), "]".repeat(depth))
        }
    }
}

/// Mostly leaves the text alone; else breaks its grammar, or its size is brought to the very limit.
fn spoil(random: &Random, pipeline: &Pipeline, text: String) -> Vec<u8> {
    let mut bytes = text.into_bytes();
    match random.between(1, 1000) {
        1..=10 => bytes.truncate(random.between(0, bytes.len() as i64 - 1) as usize),
        11..=20 => {
            let at = random.between(0, bytes.len() as i64 - 1) as usize;
            bytes[at] = random.next() as u8;
        }
        21..=25 => bytes.extend_from_slice(random.pick(&[&b"{}"[..], b",", b"\0", b"\xa0", b"//", b"x"])),
        26..=28 => bytes.splice(0..0, *b"\xef\xbb\xbf").for_each(drop),
        29..=32 => {
            bytes =
                random.pick(&[&b""[..], b" ", b"[]", b"null", b"1", b"\"t\"", b"{\"t\":1,}", b"\xed\xa0\x80"]).to_vec()
        }
        33..=50 if bytes.len() < pipeline.max_record_bytes && pipeline.max_record_bytes < 1000 => {
            bytes.resize(pipeline.max_record_bytes + random.between(0, 1) as usize, b' ');
        }
        _ => {}
    }
    bytes
}
