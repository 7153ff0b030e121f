//! What a read_committed reader sees of a lane, and what the model says that it must see.

#![allow(dead_code, unreachable_pub)] // each test program uses a part of it

use crate::support::generate::Record;
use crate::support::model::json::Json;
use crate::support::model::result::{ModelWindow, read_result};
use crate::support::model::{Fate, GuardClock, ModelTask, murmur2};
use crate::support::rig::{DEAD, EVENTS, LATE, Rig, SINK, header};
use std::collections::BTreeMap;
use tidemill::broker::write_header;
use tidemill::config::Pipeline;
use tidemill::sim::Stored;

/// Partitions of each outlet.
pub const OUTLETS: i32 = 3;

/// Outlet, its partition, source partition.
pub type Place = (&'static str, usize, i32);

/// All outputs by place, in order; their offsets are 0, for transaction markers take some.
pub type Seen = BTreeMap<Place, Vec<Stored>>;

/// A lane whose source holds one stream for each partition; their records are numbered from 0.
pub fn rig(pipeline: &Pipeline, streams: &mut [Vec<Record>], wall_ms: i64) -> Rig {
    let rig = Rig::new(pipeline, (streams.len() as i32, OUTLETS), wall_ms);
    for (source, stream) in (0..).zip(streams) {
        for record in stream {
            let (key, value) = (record.key.as_deref(), record.value.as_deref());
            let offset = rig.cluster.append(EVENTS, source, record.kafka_timestamp_ms, key, value, &[]);
            record.offset = offset.unwrap();
        }
    }
    rig
}

/// Everything that a read_committed reader sees.
pub fn seen(rig: &Rig) -> Seen {
    let mut seen = Seen::new();
    for topic in [SINK, LATE, DEAD] {
        for (partition, records) in rig.read(topic).into_iter().enumerate() {
            for record in records {
                let source = match header(&record, "tidemill.partition") {
                    Some(source) => source.parse().unwrap(),
                    None => source_of(record.value.as_deref().unwrap()),
                };
                seen.entry((topic, partition, source)).or_default().push(Stored { offset: 0, ..record });
            }
        }
    }
    seen
}

fn source_of(value: &[u8]) -> i32 {
    let Some(Json::Number(source)) = Json::read(value).unwrap().at("partition").cloned() else { panic!("{value:?}") };
    source.parse().unwrap()
}

/// Holds what is seen to the model. Windows of one end may come in any order; records over `limit` bytes (key, value
/// and headers) must have lost their value, and no others.
pub fn compare(pipeline: &Pipeline, streams: &[Vec<Record>], wall_ms: i64, limit: usize, seen: &Seen) {
    let mut expected = Expected::default();
    for (source, records) in (0..).zip(streams) {
        expected.add(pipeline, source, records, wall_ms);
    }
    let mut windows: BTreeMap<Place, Vec<(i64, ModelWindow)>> = BTreeMap::new();
    let mut rejected: BTreeMap<Place, Vec<Rejected>> = BTreeMap::new();
    for (&place, outputs) in seen {
        for output in outputs {
            if place.0 == SINK {
                let window = read_result(pipeline, output.value.as_deref().unwrap()).unwrap();
                assert_eq!(output.key.as_deref(), Some(&*window.key));
                assert!(output.headers.is_empty());
                windows.entry(place).or_default().push((output.timestamp_ms, window));
            } else {
                let offset: usize = header(output, "tidemill.offset").unwrap().parse().unwrap();
                compare_copy(pipeline, &streams[place.2 as usize][offset], limit, output);
                let late = number(output, "tidemill.watermark").zip(number(output, "tidemill.window_end"));
                let reason = header(output, "tidemill.reason").unwrap();
                rejected.entry(place).or_default().push((offset as i64, output.timestamp_ms, reason, late));
            }
        }
    }
    for windows in windows.values_mut() {
        assert!(windows.is_sorted_by_key(|(_, window)| window.end_ms), "results come in order of their end");
        windows.sort_by(|(_, a), (_, b)| (a.end_ms, &a.key).cmp(&(b.end_ms, &b.key)));
    }
    assert_eq!(windows, expected.windows);
    assert_eq!(rejected, expected.rejected);
}

/// Key, value and size of a late record or a dead letter.
fn compare_copy(pipeline: &Pipeline, record: &Record, limit: usize, output: &Stored) {
    let long = record.key.as_ref().filter(|key| key.len() > pipeline.max_key_bytes);
    let key = match long {
        Some(key) => key.get(..1024).or(Some(key)),
        None => record.key.as_deref(),
    };
    assert_eq!(output.key.as_deref(), key);
    assert_eq!(number(output, "tidemill.key_length"), long.map(|key| key.len() as i64));
    let value = record.value.as_deref().unwrap();
    let whole = key.map_or(0, <[u8]>::len) + value.len() + headers_bytes(output, "tidemill.truncated");
    let truncated = (whole > limit).then_some(value.len() as i64);
    assert_eq!(number(output, "tidemill.truncated"), truncated, "{whole} bytes, limit {limit}");
    assert_eq!(output.value.as_deref(), Some(value).filter(|_| truncated.is_none()));
}

/// Bytes of all headers but one.
pub fn headers_bytes(output: &Stored, without: &str) -> usize {
    let mut bytes = Vec::new();
    for (name, value) in output.headers.iter().filter(|(name, _)| name != without.as_bytes()) {
        write_header(&mut bytes, name, value.as_deref());
    }
    bytes.len()
}

fn number(output: &Stored, name: &str) -> Option<i64> {
    header(output, name).map(|text| {
        let number = text.parse::<i64>().unwrap();
        assert_eq!(number.to_string(), text, "{name} is plain decimal");
        number
    })
}

/// Offset, timestamp, reason, watermark and window end of a late record or a dead letter.
type Rejected = (i64, i64, String, Option<(i64, i64)>);

#[derive(Default)]
struct Expected {
    windows: BTreeMap<Place, Vec<(i64, ModelWindow)>>,
    rejected: BTreeMap<Place, Vec<Rejected>>,
}

impl Expected {
    /// Everything that comes of one source partition, which falls silent in the end.
    fn add(&mut self, pipeline: &Pipeline, source: i32, records: &[Record], wall_ms: i64) {
        let mut model = ModelTask::new(pipeline);
        let place = |key: Option<&[u8]>| key.map_or(source % OUTLETS, |key| murmur2::partition(key, OUTLETS)) as usize;
        for record in records {
            let (key, value) = (record.key.as_deref(), record.value.as_deref());
            let time_ms = record.kafka_timestamp_ms;
            let fate = model.record(record.offset, time_ms, key, value, GuardClock::Now(wall_ms));
            let (topic, late) = match fate {
                Fate::Late { watermark_ms, window_end_ms } => (LATE, Some((watermark_ms, window_end_ms))),
                Fate::Dead(_) => (DEAD, None),
                _ => continue,
            };
            // A record without a timestamp (-1) has no original one to keep.
            let timestamp_ms = if time_ms < 0 { wall_ms } else { time_ms.min(wall_ms) }.max(1);
            let reason = fate.reason().unwrap().to_owned();
            let rejected = (record.offset, timestamp_ms, reason, late);
            self.rejected.entry((topic, place(key), source)).or_default().push(rejected);
        }
        if let Some(last_ms) = model.last_close() {
            model.raise(last_ms);
        }
        for window in model.closed() {
            let timestamp_ms = (window.end_ms - 1).min(wall_ms).max(1);
            let place = (SINK, place(Some(&window.key)), source);
            self.windows.entry(place).or_default().push((timestamp_ms, window));
        }
    }
}
