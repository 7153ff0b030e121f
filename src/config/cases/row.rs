//! One row of what is expected, or of what was seen: names and single values, compared exactly.
//!
//! Results are read by the reader of the test file (JSON is YAML), so that like is compared with like.

use super::Place;
use crate::config::complaint::Complaints;
use crate::config::node::{self, Kind, Scalar};
use std::fmt::Write;

/// Names and values, in the order in which they are written.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// Where it stands; the first place of all for one that was seen.
    pub place: Place,
    /// Its members.
    pub cells: Vec<Cell>,
}

/// One member of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Value,
}

/// A single value.
#[derive(Clone, Debug)]
pub enum Value {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it is written.
    Number(String),
    /// Text.
    Text(String),
    /// A time, Unix ms.
    Time(i64),
}

impl PartialEq for Value {
    /// Numbers are equal if they are the same number, to the last digit.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Number(a), Self::Number(b)) => a == b || decimal(a).is_some_and(|a| Some(a) == decimal(b)),
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Time(a), Self::Time(b)) => a == b,
            _ => false,
        }
    }
}

/// How times are written in a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// The start of the case, Unix ms.
    pub start_ms: i64,
    /// Whether they are written as offsets from it.
    pub offsets: bool,
}

impl Row {
    /// The members of a JSON object with single values only; `None` for anything else.
    pub fn of_json(text: &str) -> Option<Self> {
        let mut out = Complaints::new("", text, &super::GENRE);
        let node::Value::Map(entries) = node::parse(text, &mut out).root?.value else { return None };
        let cells = entries.into_iter().map(|entry| match entry.node.value {
            node::Value::Scalar(scalar) => Some(Cell { name: entry.key, value: Value::of(&scalar) }),
            _ => None,
        });
        Some(Self { place: Place::default(), cells: cells.collect::<Option<_>>()? })
    }

    /// The value of a member.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.cells.iter().find(|cell| cell.name == name).map(|cell| &cell.value)
    }

    /// Adds a member.
    pub fn push(&mut self, name: &str, value: Value) {
        self.cells.push(Cell { name: name.to_owned(), value });
    }

    /// As it is written in a test file.
    pub fn text(&self, style: Style) -> String {
        let cells: Vec<_> = self.cells.iter().map(|cell| cell.text(style)).collect();
        format!("{{ {} }}", cells.join(", "))
    }
}

impl Cell {
    /// As it is written in a row.
    pub fn text(&self, style: Style) -> String {
        format!("{}: {}", self.name, self.value.text(style))
    }
}

impl Value {
    pub(super) fn of(scalar: &Scalar) -> Self {
        match scalar.kind() {
            Kind::Null => Self::Null,
            Kind::Bool => Self::Bool(scalar.written.eq_ignore_ascii_case("true")),
            Kind::Integer | Kind::Float => Self::Number(scalar.written.clone()),
            Kind::Text | Kind::Substituted => Self::Text(scalar.written.clone()),
        }
    }

    /// As it is written in a row.
    pub fn text(&self, style: Style) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Number(text) => text.clone(),
            Self::Text(text) if is_plain(text) => text.clone(),
            Self::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
            Self::Time(ms) => style.time(*ms),
        }
    }
}

impl Style {
    /// A time as it is written in the case.
    pub fn time(self, ms: i64) -> String {
        if !self.offsets {
            return jiff::Timestamp::from_millisecond(ms).map_or_else(|_| format!("{ms}ms"), |at| at.to_string());
        }
        let offset = ms.saturating_sub(self.start_ms);
        let mut left = offset.unsigned_abs();
        let mut text = String::from(if offset < 0 { "-" } else { "" });
        for (unit, ms) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
            if left >= ms {
                let space = if text.is_empty() || text == "-" { "" } else { " " };
                // Writing into memory cannot fail.
                let _ = write!(text, "{space}{}{unit}", left / ms);
                left %= ms;
            }
        }
        if offset == 0 { "0s".to_owned() } else { text }
    }
}

/// Whether text means itself without quotes, in every version of YAML and inside of braces.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let first = |c: char| c.is_alphabetic() || matches!(c, '/' | '_' | '.');
    let rest = |c: char| c.is_alphanumeric() || matches!(c, '/' | '_' | '.' | '-' | '+');
    text.starts_with(first)
        && text.chars().all(rest)
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
        && text.parse::<f64>().is_err()
}

/// Sign, digits without zeros at either end, and the power of ten of the last digit.
fn decimal(text: &str) -> Option<(bool, String, i64)> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i64 = exponent.parse().ok()?;
    let unsigned = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let significant = digits.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        return Some((false, String::new(), 0));
    }
    let zeros = digits.len() - digits.trim_end_matches('0').len();
    let power = exponent.checked_sub(fraction.len() as i64)?.checked_add(zeros as i64)?;
    Some((mantissa.starts_with('-'), significant.to_owned(), power))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: Style = Style { start_ms: 1_767_225_600_000, offsets: true };

    #[test]
    fn numbers_are_equal_if_they_are_the_same_to_the_last_digit() {
        let number = |text: &str| Value::Number(text.to_owned());
        for (a, b) in [("2", "2.0"), ("1e3", "1000"), ("-0", "0"), ("0.10", "1E-1"), ("+5", "5"), (".5", "0.5")] {
            assert_eq!(number(a), number(b), "{a} {b}");
        }
        for (a, b) in
            [("2", "-2"), ("9007199254740993", "9007199254740992"), ("0.1", "0.10000000000000001"), ("1", "10")]
        {
            assert_ne!(number(a), number(b), "{a} {b}");
        }
        assert_ne!(number("1"), Value::Text("1".to_owned()));
    }

    #[test]
    fn a_result_is_read_as_a_row_and_written_as_the_case_writes_it() {
        let row = Row::of_json(r#"{"key":"a\"b","n":3,"mean":0.6666666666666666,"last":null,"flag":true,"text":"1"}"#);
        let mut row = row.unwrap();
        row.push("at", Value::Time(STYLE.start_ms - 5_400_000));
        let expected =
            r#"{ key: "a\"b", n: 3, mean: 0.6666666666666666, last: null, flag: true, text: "1", at: -1h 30m }"#;
        assert_eq!(row.text(STYLE), expected);
        assert_eq!(Style { offsets: false, ..STYLE }.time(STYLE.start_ms), "2026-01-01T00:00:00Z");
        assert!(Row::of_json("[1]").is_none() && Row::of_json(r#"{"a":{"b":1}}"#).is_none());
    }

    #[test]
    fn text_is_quoted_where_it_would_be_something_else() {
        for (text, plain) in
            [("UA", true), ("/home", true), ("NO", false), ("19", false), ("a b", false), ("", false), ("inf", false)]
        {
            assert_eq!(is_plain(text), plain, "{text}");
        }
    }
}
