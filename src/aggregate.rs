//! Aggregates and their one law: each is a merge.
//!
//! `merge(a, b)` is associative with an identity, and `add(a, x) = merge(a, of(x))`; property tests hold every
//! aggregate to that. An accumulator is some words of a row (`u64`, doubles by their bits), so that rows lie side by
//! side without pointers; texts of `first` and `last` lie in the table's text arena, and their words say where.
//!
//! One file for each aggregate, all alike: `IDENTITY`, `add`, `merge`, `write`.

mod count;
mod extreme;
mod mean;
mod pick;
mod sum;

use crate::config::{Aggregate, AggregateKind};
use crate::decode::Value;
use crate::pool::Arena;

/// Where a record stands in event time and in its partition: the order of `first` and `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// Event time in Unix milliseconds.
    pub time_ms: i64,
    /// Offset in the source partition.
    pub offset: i64,
}

/// How a row of accumulators is laid out; fixed when the configuration is read.
#[derive(Clone, Debug)]
pub struct Layout {
    columns: Vec<Column>,
    identity: Vec<u64>,
    has_texts: bool,
}

#[derive(Clone, Copy, Debug)]
struct Column {
    kind: AggregateKind,
    /// Whether a field is read: `count` alone counts records.
    of_field: bool,
    /// First word in the row.
    at: usize,
}

impl Column {
    fn words<'r>(&self, row: &'r [u64]) -> &'r [u64] {
        row.get(self.at..).unwrap_or_default()
    }

    fn words_mut<'r>(&self, row: &'r mut [u64]) -> &'r mut [u64] {
        row.get_mut(self.at..).unwrap_or_default()
    }
}

impl Layout {
    /// The layout for these aggregates, in their order.
    pub fn new(aggregates: &[Aggregate]) -> Self {
        let mut identity = Vec::new();
        let columns = aggregates
            .iter()
            .map(|aggregate| {
                let column = Column { kind: aggregate.kind, of_field: aggregate.path.is_some(), at: identity.len() };
                identity.extend_from_slice(match aggregate.kind {
                    AggregateKind::Count => &count::IDENTITY,
                    AggregateKind::Sum => &sum::IDENTITY,
                    AggregateKind::Min => &extreme::MIN_IDENTITY,
                    AggregateKind::Max => &extreme::MAX_IDENTITY,
                    AggregateKind::Mean => &mean::IDENTITY,
                    AggregateKind::First | AggregateKind::Last => &pick::IDENTITY,
                });
                column
            })
            .collect();
        let has_texts = aggregates.iter().any(|it| matches!(it.kind, AggregateKind::First | AggregateKind::Last));
        Self { columns, identity, has_texts }
    }

    /// A row to which nothing has been added.
    pub fn identity(&self) -> &[u64] {
        &self.identity
    }

    /// True if some aggregate keeps texts.
    pub fn has_texts(&self) -> bool {
        self.has_texts
    }

    /// The most words of texts that adding this record can take.
    pub fn text_words<'v>(&self, value: impl Fn(usize) -> Value<'v>) -> usize {
        let words = |index| match value(index) {
            Value::Scalar(text) => pick::text_words_max(text.len()),
            _ => 0,
        };
        (0..self.columns.len()).map(words).sum()
    }

    /// The most words of texts that merging this row into another can take.
    pub fn text_words_of(&self, row: &[u64]) -> usize {
        let picks = self.columns.iter().filter(|it| matches!(it.kind, AggregateKind::First | AggregateKind::Last));
        picks.map(|column| pick::text_words_max(pick::text_bytes(column.words(row)))).sum()
    }

    /// Number of aggregates.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// True without aggregates, which no checked configuration has.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// Adds one record to a row; `value(i)` is what the `i`-th aggregate reads.
    #[inline]
    pub fn add<'v>(&self, row: &mut [u64], texts: &mut Arena, at: At, value: impl Fn(usize) -> Value<'v>) {
        for (index, column) in self.columns.iter().enumerate() {
            let words = column.words_mut(row);
            match (column.kind, value(index)) {
                (AggregateKind::Count, read) => count::add(words, !column.of_field || read != Value::Missing),
                (AggregateKind::Sum, Value::Number(number)) => sum::add(words, number),
                (AggregateKind::Min, Value::Number(number)) => extreme::add_min(words, number),
                (AggregateKind::Max, Value::Number(number)) => extreme::add_max(words, number),
                (AggregateKind::Mean, Value::Number(number)) => mean::add(words, number),
                (AggregateKind::First, Value::Scalar(text)) => pick::add(pick::Order::First, words, texts, at, text),
                (AggregateKind::Last, Value::Scalar(text)) => pick::add(pick::Order::Last, words, texts, at, text),
                _ => {}
            }
        }
    }

    /// Merges `other` into `row`; panes of a window are merged by ascending start.
    pub fn merge(&self, row: &mut [u64], texts: &mut Arena, other: &[u64], other_texts: &Arena) {
        for column in &self.columns {
            let (words, other) = (column.words_mut(row), column.words(other));
            match column.kind {
                AggregateKind::Count => count::merge(words, other),
                AggregateKind::Sum => sum::merge(words, other),
                AggregateKind::Min => extreme::merge_min(words, other),
                AggregateKind::Max => extreme::merge_max(words, other),
                AggregateKind::Mean => mean::merge(words, other),
                AggregateKind::First => pick::merge(pick::Order::First, words, texts, other, other_texts),
                AggregateKind::Last => pick::merge(pick::Order::Last, words, texts, other, other_texts),
            }
        }
    }

    /// Writes the `index`-th aggregate of a row as JSON; false if a sum was not finite on the way (written as null).
    pub fn write(&self, index: usize, row: &[u64], texts: &Arena, out: &mut Vec<u8>) -> bool {
        let Some(column) = self.columns.get(index) else { return true };
        let words = column.words(row);
        match column.kind {
            AggregateKind::Count => count::write(words, out),
            AggregateKind::Sum => return sum::write(words, out),
            AggregateKind::Min | AggregateKind::Max => extreme::write(words, out),
            AggregateKind::Mean => return mean::write(words, out),
            AggregateKind::First | AggregateKind::Last => pick::write(words, texts, out),
        }
        true
    }
}

const NULL: &[u8] = b"null";

fn word(words: &[u64], index: usize) -> u64 {
    words.get(index).copied().unwrap_or_default()
}

fn double(words: &[u64], index: usize) -> f64 {
    f64::from_bits(word(words, index))
}

fn set(words: &mut [u64], index: usize, to: u64) {
    if let Some(word) = words.get_mut(index) {
        *word = to;
    }
}

/// Writes a finite double as the shortest text that reads back the same; a whole number below 2^53 without fraction
/// or exponent, and −0 as 0.
pub fn write_double(number: f64, out: &mut Vec<u8>) {
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    if number.abs() < WHOLE_MAX && number.trunc() == number {
        write_integer(number as i64, out);
    } else {
        let mut buffer = ryu::Buffer::new();
        let text = buffer.format_finite(number);
        out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
    }
}

/// Writes an integer in decimal.
pub fn write_integer(number: i64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        at -= 1;
        if let Some(digit) = digits.get_mut(at) {
            *digit = b'0' + (rest % 10) as u8;
        }
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

#[cfg(test)]
mod tests;
