//! The naive model: tidemill's semantics record by record with plain maps, for tests to compare the real tasks with.
//!
//! It follows the documented rules from top to bottom, keeps every record of every open window, and knows nothing of
//! batches, budgets or brokers. It shares no code with the program, only the types of the checked configuration.

#![allow(dead_code, unreachable_pub)] // each test program uses a part of it

pub mod aggregates;
pub mod json;
pub mod murmur2;
pub mod number;
pub mod result;
pub mod time;

use aggregates::Merged;
use json::Json;
use result::ModelWindow;
use std::collections::BTreeMap;
use std::rc::Rc;
use tidemill::config::{Aggregate, AggregateKind, Pipeline, TimeSource};

/// What became of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// A tombstone.
    Ignored,
    /// A dead letter, with its reason.
    Dead(&'static str),
    /// Every window of the record was closed.
    Late {
        /// `W` before the record.
        watermark_ms: i64,
        /// The end of the last of its windows.
        window_end_ms: i64,
    },
    /// Added to at least one open window.
    Merged {
        /// At least one other of its windows was closed.
        partly_late: bool,
    },
}

impl Fate {
    /// The documented reason; `None` for a merged record.
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Fate::Ignored => Some("tombstone"),
            Fate::Dead(reason) => Some(reason),
            Fate::Late { .. } => Some("late"),
            Fate::Merged { .. } => None,
        }
    }
}

/// How the model learns whether a record is from the future.
#[derive(Clone, Copy, Debug)]
pub enum GuardClock {
    /// It judges by this wall clock in Unix ms, held still as documented.
    Now(i64),
    /// It was committed about this record: `true`, dead-lettered as `future`; `false`, not.
    Told(bool),
}

/// An open window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenWindow {
    pub key: Vec<u8>,
    pub start_ms: i64,
    pub end_ms: i64,
    /// The lowest offset of a record in it.
    pub lowest_offset: i64,
}

/// The state of one source partition.
pub struct ModelTask {
    pipeline: Pipeline,
    watermark_ms: Option<i64>,
    guard_ms: Option<i64>,
    /// By (end, key): all records of the window, in offset order.
    open: BTreeMap<(i64, Vec<u8>), Vec<Rc<Merged>>>,
    closed: Vec<ModelWindow>,
}

impl ModelTask {
    pub fn new(pipeline: &Pipeline) -> Self {
        let pipeline = pipeline.clone();
        Self { pipeline, watermark_ms: None, guard_ms: None, open: BTreeMap::new(), closed: Vec::new() }
    }

    /// Judges the next record of the partition; offsets must rise.
    pub fn record(
        &mut self,
        offset: i64,
        kafka_timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        clock: GuardClock,
    ) -> Fate {
        let Some(value) = value else { return Fate::Ignored };
        match self.judge(offset, kafka_timestamp_ms, key, value, clock) {
            Err(reason) => Fate::Dead(reason),
            Ok((key, guard_ms, record)) => self.merge(key, guard_ms, record),
        }
    }

    /// Rules 2 to 9: the reason for a dead letter, or the key, the guard clock if the record is merged, and the record.
    fn judge<'a>(
        &self,
        offset: i64,
        kafka_timestamp_ms: i64,
        key: Option<&'a [u8]>,
        value: &[u8],
        clock: GuardClock,
    ) -> Result<(&'a [u8], Option<i64>, Merged), &'static str> {
        let pipeline = &self.pipeline;
        let key = key.ok_or("null_key")?;
        if key.len() > pipeline.max_key_bytes || value.len() > pipeline.max_record_bytes {
            return Err("too_large");
        }
        if pipeline.keys.as_ref().is_some_and(|keys| !keys.iter().any(|declared| **declared == *key)) {
            return Err("unknown_key");
        }
        let value = Json::read(value).filter(|value| matches!(value, Json::Object(_))).ok_or("malformed")?;
        if self.numbers_read(&value).into_iter().any(|number| aggregates::double(number).is_none()) {
            return Err("number_out_of_range");
        }
        let time_ms = time::event_time_ms(&pipeline.time, &value, kafka_timestamp_ms).ok_or("bad_time")?;
        let guard_ms = self.guard(time_ms, clock).ok_or("future")?;
        let fields =
            pipeline.aggregates.iter().map(|aggregate| aggregate.path.as_ref().and_then(|path| value.at(path)));
        let fields: Vec<Option<&Json>> = fields.collect();
        let mut pairs = pipeline.aggregates.iter().zip(&fields);
        if pairs.any(|(aggregate, field)| field.is_some_and(|field| !takes(aggregate.kind, field))) {
            return Err("bad_field");
        }
        let fields = fields.into_iter().map(Option::<&Json>::cloned).collect();
        Ok((key, guard_ms, Merged { offset, time_ms, fields }))
    }

    /// The numbers at the time's path and at those of numeric aggregates.
    fn numbers_read<'a>(&self, value: &'a Json) -> Vec<&'a Json> {
        let time = match &self.pipeline.time {
            TimeSource::Kafka => None,
            TimeSource::Field { path, .. } => Some(path),
        };
        let numeric = self.pipeline.aggregates.iter().filter(|aggregate| is_numeric(aggregate.kind));
        let paths = time.into_iter().chain(numeric.filter_map(|aggregate| aggregate.path.as_ref()));
        paths.filter_map(|path| value.at(path)).filter(|field| matches!(field, Json::Number(_))).collect()
    }

    /// Rule 8. `None`: from the future. Else the guard clock as it stands once the record is merged.
    fn guard(&self, time_ms: i64, clock: GuardClock) -> Option<Option<i64>> {
        let window = &self.pipeline.window;
        let Some(max_ahead_ms) = self.pipeline.max_ahead_ms else {
            assert!(!matches!(clock, GuardClock::Told(true)), "a dead letter `future` although max_ahead is off");
            return Some(None);
        };
        let accepts = |guard_ms: i64| time_ms <= guard_ms + max_ahead_ms;
        match clock {
            GuardClock::Told(future) => (!future).then_some(None),
            GuardClock::Now(_) if self.guard_ms.is_some_and(accepts) => Some(self.guard_ms),
            GuardClock::Now(now_ms) => {
                let step_ms = up(max_ahead_ms, 4).max(up(window.size_ms + window.grace_ms, 40));
                let now_ms = up(now_ms, step_ms) * step_ms;
                accepts(now_ms).then_some(Some(now_ms))
            }
        }
    }

    /// Rules 10 and 11.
    fn merge(&mut self, key: &[u8], guard_ms: Option<i64>, record: Merged) -> Fate {
        let window = self.pipeline.window;
        let last_start_ms = floor(record.time_ms - window.offset_ms, window.every_ms) + window.offset_ms;
        let mut ends_ms = Vec::new();
        let mut start_ms = last_start_ms;
        while record.time_ms < start_ms + window.size_ms {
            ends_ms.push(start_ms + window.size_ms);
            start_ms -= window.every_ms;
        }
        let record = Rc::new(record);
        let mut merged = 0;
        for &end_ms in &ends_ms {
            if !self.is_closed(end_ms) {
                self.open.entry((end_ms, key.to_vec())).or_default().push(record.clone());
                merged += 1;
            }
        }
        match self.watermark_ms {
            Some(watermark_ms) if merged == 0 => {
                Fate::Late { watermark_ms, window_end_ms: last_start_ms + window.size_ms }
            }
            _ => {
                self.guard_ms = guard_ms.or(self.guard_ms);
                self.raise(record.time_ms);
                Fate::Merged { partly_late: merged < ends_ms.len() }
            }
        }
    }

    /// `W = max(W, watermark_ms)`, by a merged record or by silence, and closes what is due.
    pub fn raise(&mut self, watermark_ms: i64) {
        self.watermark_ms = self.watermark_ms.max(Some(watermark_ms));
        while let Some(entry) = self.open.first_entry()
            && is_due(self.watermark_ms, entry.key().0, self.pipeline.window.grace_ms)
        {
            let ((end_ms, key), records) = entry.remove_entry();
            let records: Vec<&Merged> = records.iter().map(Rc::as_ref).collect();
            let named = |(index, aggregate): (usize, &Aggregate)| {
                (aggregate.name.clone(), aggregates::value(&self.pipeline, index, &records))
            };
            let values = self.pipeline.aggregates.iter().enumerate().map(named).collect();
            self.closed.push(ModelWindow { key, start_ms: end_ms - self.pipeline.window.size_ms, end_ms, values });
        }
    }

    fn is_closed(&self, end_ms: i64) -> bool {
        is_due(self.watermark_ms, end_ms, self.pipeline.window.grace_ms)
    }

    /// `W`; absent before the first merged record.
    pub fn watermark(&self) -> Option<i64> {
        self.watermark_ms
    }

    /// `G`, if the model judges by a wall clock; absent before its first step.
    pub fn guard_clock(&self) -> Option<i64> {
        self.guard_ms
    }

    /// `L`: the largest `end + grace` of the open windows.
    pub fn last_close(&self) -> Option<i64> {
        self.open.last_key_value().map(|((end_ms, _), _)| end_ms + self.pipeline.window.grace_ms)
    }

    /// Takes the windows that have closed since the last call, in order of end, then key.
    pub fn closed(&mut self) -> Vec<ModelWindow> {
        std::mem::take(&mut self.closed)
    }

    /// The open windows in order of end, then key.
    pub fn open(&self) -> Vec<OpenWindow> {
        let window = |((end_ms, key), records): (&(i64, Vec<u8>), &Vec<Rc<Merged>>)| OpenWindow {
            key: key.clone(),
            start_ms: end_ms - self.pipeline.window.size_ms,
            end_ms: *end_ms,
            lowest_offset: records.iter().map(|record| record.offset).min().unwrap_or_default(),
        };
        self.open.iter().map(window).collect()
    }

    /// Where a replay must begin: the lowest offset of a record in an open window; `None` if no window is open.
    pub fn replay_from(&self) -> Option<i64> {
        self.open.values().flatten().map(|record| record.offset).min()
    }
}

/// The one test for both "emit it" and "the record is late".
fn is_due(watermark_ms: Option<i64>, end_ms: i64, grace_ms: i64) -> bool {
    watermark_ms.is_some_and(|watermark_ms| watermark_ms >= end_ms + grace_ms)
}

fn is_numeric(kind: AggregateKind) -> bool {
    use AggregateKind::{Max, Mean, Min, Sum};
    matches!(kind, Sum | Min | Max | Mean)
}

/// Rule 9: whether an aggregate can take this field, which is not null.
fn takes(kind: AggregateKind, field: &Json) -> bool {
    let utf8_bytes = |point: u32| char::from_u32(point).map_or(3, char::len_utf8);
    match (kind, field) {
        (AggregateKind::Count, _) => true,
        (AggregateKind::First | AggregateKind::Last, Json::Number(text)) => text.len() <= 256,
        (AggregateKind::First | AggregateKind::Last, Json::Text(points)) => {
            points.iter().map(|&point| utf8_bytes(point)).sum::<usize>() <= 256
        }
        (AggregateKind::First | AggregateKind::Last, field) => !matches!(field, Json::Array(_) | Json::Object(_)),
        (_, field) => matches!(field, Json::Number(_)),
    }
}

/// The largest multiple of `step` that is at most `ms`.
fn floor(ms: i64, step: i64) -> i64 {
    ms.div_euclid(step) * step
}

/// `a / b`, rounded up.
fn up(a: i64, b: i64) -> i64 {
    -(-a).div_euclid(b)
}
