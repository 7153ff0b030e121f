//! The bytes of one value → its event time and the fields that aggregates read, or the reason why not.
//!
//! Judges rows 5, 6, 7 and 9 of "One record, one fate" and nothing else: it knows no clock, no window, no key.
//! It never changes its input, never recurses, and in steady state never allocates.

mod detail;
mod json;
mod number;
mod paths;
mod shapes;
mod string;
#[cfg(test)]
mod tests;
mod time;
mod trail;
mod words;

use crate::config::{AggregateKind, Pipeline, TimeFormat, TimeSource};
use crate::fate::Reason;
use detail::What;
use json::{Found, Frame, Kind};
use number::OutOfRange;
use paths::Paths;
use shapes::Shapes;
use time::BadTime;
use trail::Trail;

pub use detail::Detail;

/// Largest scalar that `first` and `last` keep: bytes of the decoded string, or of the number's text.
pub const MAX_SCALAR_BYTES: usize = 256;

/// Kafka's own limit. Below it, offsets are 32 bits wide and do not overflow.
const SIZE_END: usize = 1 << 31;

/// Reads values; built once from the pipeline, and recycles its scratch from record to record.
#[derive(Debug)]
pub struct Decoder {
    paths: Paths,
    /// What the last records looked like.
    shapes: Shapes,
    trail: Trail,
    time: Time,
    /// One for each aggregate, in order.
    readings: Vec<Reading>,
    /// The containers around the place that is being read.
    stack: Vec<Frame>,
    /// What was found for each path.
    found: Vec<Found>,
    /// The answer, one for each aggregate.
    held: Vec<Held>,
    /// Scalars whose text had to be written anew.
    rewritten: Vec<u8>,
}

/// What one value says.
#[derive(Clone, Copy, Debug)]
pub struct Decoded<'a> {
    /// Event time in Unix milliseconds: from 1970 to the end of year 9999.
    pub time_ms: i64,
    /// The first aggregate, in the order of the configuration, that cannot take its field. Counts only once the time
    /// has been judged: row 9 comes after row 8.
    pub bad_field: Option<BadField>,
    value: &'a [u8],
    held: &'a [Held],
    rewritten: &'a [u8],
}

/// What an aggregate gets from one record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// The field is missing or null, cannot be taken, or there is none to read (plain `count`).
    Missing,
    /// For `count: field`: something that is not null.
    Present,
    /// For `sum`, `min`, `max`, `mean`: finite.
    Number(f64),
    /// For `first` and `last`: JSON text ready to print.
    Scalar(&'a [u8]),
}

/// A field that its aggregate cannot take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadField {
    /// Index of the aggregate.
    pub aggregate: usize,
    /// What was found, and where.
    pub detail: Detail,
}

/// A value that cannot be merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Malformed, number out of range, or bad time.
    pub reason: Reason,
    /// What was found, and where.
    pub detail: Detail,
}

/// Where the time comes from, with its path resolved.
#[derive(Clone, Copy, Debug)]
enum Time {
    Kafka,
    Field(usize, TimeFormat),
}

/// How an aggregate reads: the number is an index into `found`, or for `Same` into `held`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Nothing,
    Presence(usize),
    Number(usize),
    Scalar(usize),
    Same(usize),
}

/// A [`Value`] before it borrows: ranges are of the value, or of what was written anew.
#[derive(Clone, Copy, Debug)]
enum Held {
    Missing,
    Present,
    Number(f64),
    Text(u32, u32),
    Rewritten(usize, usize),
}

impl Decoder {
    /// A decoder for the time and the aggregates of `pipeline`.
    pub fn new(pipeline: &Pipeline) -> Self {
        let aggregates = || pipeline.aggregates.iter().map(|aggregate| aggregate.path.as_deref());
        let time_path = match &pipeline.time {
            TimeSource::Kafka => None,
            TimeSource::Field { path, .. } => Some(path.as_str()),
        };
        let paths = Paths::new(aggregates().chain([time_path]).flatten());
        let time = match &pipeline.time {
            TimeSource::Kafka => Time::Kafka,
            TimeSource::Field { path, format } => Time::Field(paths.slot(path), *format),
        };
        let mut readings = Vec::new();
        for aggregate in &pipeline.aggregates {
            let slot = aggregate.path.as_deref().map(|path| paths.slot(path));
            let reading = slot.map_or(Reading::Nothing, |slot| match aggregate.kind {
                AggregateKind::Count => Reading::Presence(slot),
                AggregateKind::Sum | AggregateKind::Min | AggregateKind::Max | AggregateKind::Mean => {
                    Reading::Number(slot)
                }
                AggregateKind::First | AggregateKind::Last => Reading::Scalar(slot),
            });
            let earlier = readings.iter().position(|&other| other == reading);
            readings.push(earlier.map_or(reading, Reading::Same));
        }
        let found = vec![Found::MISSING; paths.slots()];
        let held = Vec::with_capacity(readings.len());
        let stack = Vec::with_capacity(json::MAX_DEPTH);
        let (shapes, trail) = (Shapes::new(), Trail::new());
        Self { paths, shapes, trail, time, readings, stack, found, held, rewritten: Vec::new() }
    }

    /// Reads one value. `kafka_timestamp_ms` is the event time if the pipeline says so.
    ///
    /// # Errors
    /// The first [`Reason`] that applies, wherever in the value it stands.
    pub fn decode<'a>(&'a mut self, kafka_timestamp_ms: i64, value: &'a [u8]) -> Result<Decoded<'a>, Reject> {
        if value.len() >= SIZE_END {
            return Err(Reject { reason: Reason::Malformed, detail: Detail::new(What::TooLarge, None) });
        }
        if !self.shapes.read(value, &mut self.found) {
            self.read_any(value).map_err(|detail| Reject { reason: Reason::Malformed, detail })?;
        }
        let time = match self.time {
            Time::Kafka => time::in_range(i128::from(kafka_timestamp_ms)).map_err(|bad| bad_time(bad, None)),
            Time::Field(slot, format) => {
                let found = at(&self.found, slot);
                match found.whole().and_then(|number| time::short(number, format)) {
                    Some(time_ms) => Ok(time_ms),
                    None => field_time(found, format, value),
                }
            }
        };
        if let Err(reject) = time
            && reject.reason == Reason::NumberOutOfRange
        {
            return Err(reject);
        }
        let bad_field = self.read_fields(value)?;
        let (held, rewritten) = (&self.held, &self.rewritten);
        Ok(Decoded { time_ms: time?, bad_field, value, held, rewritten })
    }

    /// Reads a value of a shape that is not known, and learns it.
    fn read_any(&mut self, value: &[u8]) -> Result<(), Detail> {
        let learns = self.shapes.learns();
        let trail = learns.then(|| self.trail.begin());
        json::read(value, &self.paths, &mut self.stack, &mut self.found, trail)?;
        if learns {
            self.shapes.learn(value, &self.trail);
        }
        Ok(())
    }

    /// Fills `held`; the only error is a number out of range.
    fn read_fields(&mut self, value: &[u8]) -> Result<Option<BadField>, Reject> {
        self.held.clear();
        self.rewritten.clear();
        let mut bad_field = None;
        for (aggregate, &reading) in self.readings.iter().enumerate() {
            let refuse = |detail| {
                bad_field.get_or_insert(BadField { aggregate, detail });
                Held::Missing
            };
            let held = match reading {
                Reading::Nothing => Held::Missing,
                Reading::Same(earlier) => self.held.get(earlier).copied().unwrap_or(Held::Missing),
                Reading::Presence(slot) => presence(at(&self.found, slot)),
                Reading::Number(slot) => match at(&self.found, slot).exact() {
                    Some(number) => Held::Number(number),
                    None => number(at(&self.found, slot), value)?.unwrap_or_else(refuse),
                },
                Reading::Scalar(slot) => {
                    scalar(at(&self.found, slot), value, &mut self.rewritten).unwrap_or_else(refuse)
                }
            };
            self.held.push(held);
        }
        Ok(bad_field)
    }
}

impl<'a> Decoded<'a> {
    /// What the aggregate with this index gets; `Missing` beyond the last.
    pub fn value(&self, aggregate: usize) -> Value<'a> {
        self.held.get(aggregate).map_or(Value::Missing, |&held| self.show(held))
    }

    /// What each aggregate gets, in order.
    pub fn values(&self) -> impl ExactSizeIterator<Item = Value<'a>> + use<'a> {
        let decoded = *self;
        decoded.held.iter().map(move |&held| decoded.show(held))
    }

    fn show(&self, held: Held) -> Value<'a> {
        match held {
            Held::Missing => Value::Missing,
            Held::Present => Value::Present,
            Held::Number(number) => Value::Number(number),
            Held::Text(start, end) => Value::Scalar(self.value.get(start as usize..end as usize).unwrap_or_default()),
            Held::Rewritten(start, end) => Value::Scalar(self.rewritten.get(start..end).unwrap_or_default()),
        }
    }
}

fn at(found: &[Found], slot: usize) -> &Found {
    found.get(slot).unwrap_or(&Found::MISSING)
}

#[inline(never)] // rare
fn field_time(found: &Found, format: TimeFormat, value: &[u8]) -> Result<i64, Reject> {
    let at = found.start;
    match (found.kind, format) {
        (Kind::Missing, _) => Err(bad_time(BadTime::Missing, None)),
        (Kind::Null, _) => Err(bad_time(BadTime::Missing, Some(at))),
        (Kind::String { escaped }, TimeFormat::Rfc3339) => {
            time::rfc3339(found.inside(value), escaped).map_err(|bad| bad_time(bad, Some(at)))
        }
        (Kind::Number, TimeFormat::UnixS | TimeFormat::UnixMs | TimeFormat::UnixUs | TimeFormat::UnixNs) => {
            time::unix(found.text(value), format)
                .map_err(|OutOfRange| out_of_range(at))?
                .map_err(|bad| bad_time(bad, Some(at)))
        }
        (Kind::Number, TimeFormat::Rfc3339) if number::to_f64(&found.short, found.text(value)).is_err() => {
            Err(out_of_range(at))
        }
        (kind, _) => {
            Err(Reject { reason: Reason::BadTime, detail: Detail::new(What::NotATime(kind, format), Some(at)) })
        }
    }
}

fn presence(found: &Found) -> Held {
    match found.kind {
        Kind::Missing | Kind::Null => Held::Missing,
        _ => Held::Present,
    }
}

fn number(found: &Found, value: &[u8]) -> Result<Result<Held, Detail>, Reject> {
    match found.kind {
        Kind::Missing | Kind::Null => Ok(Ok(Held::Missing)),
        Kind::Number => match number::to_f64(&found.short, found.text(value)) {
            Ok(number) => Ok(Ok(Held::Number(number))),
            Err(OutOfRange) => Err(out_of_range(found.start)),
        },
        other => Ok(Err(Detail::new(What::NotANumber(other), Some(found.start)))),
    }
}

fn scalar(found: &Found, value: &[u8], rewritten: &mut Vec<u8>) -> Result<Held, Detail> {
    let too_long = Detail::new(What::TooLong(found.kind), Some(found.start));
    match found.kind {
        Kind::Missing | Kind::Null => Ok(Held::Missing),
        Kind::Object | Kind::Array => Err(Detail::new(What::NotAScalar(found.kind), Some(found.start))),
        Kind::Number if found.text(value).len() > MAX_SCALAR_BYTES => Err(too_long),
        Kind::String { escaped: false } if found.inside(value).len() > MAX_SCALAR_BYTES => Err(too_long),
        Kind::String { escaped: true } => {
            let start = rewritten.len();
            string::rewrite(found.inside(value), MAX_SCALAR_BYTES, rewritten).map_err(|string::TooLong| too_long)?;
            Ok(Held::Rewritten(start, rewritten.len()))
        }
        Kind::Bool | Kind::Number | Kind::String { escaped: false } => Ok(Held::Text(found.start, found.end)),
    }
}

fn out_of_range(at: u32) -> Reject {
    Reject { reason: Reason::NumberOutOfRange, detail: Detail::new(What::NumberOutOfRange, Some(at)) }
}

fn bad_time(bad: BadTime, at: Option<u32>) -> Reject {
    Reject { reason: Reason::BadTime, detail: Detail::new(What::BadTime(bad), at) }
}
