//! Records of the real topic → what a plan must know of them. Judges them as a task would, and keeps none.
//!
//! Asks no broker: whoever reads hands the records over, partition by partition in offset order.

use super::keys::Keys;
use super::load::{Load, MeanMax, Origin, Rows, Sampled};
use super::sketch::{self, Distinct, Sketch};
use crate::broker::{Record, Slot};
use crate::config::Pipeline;
use crate::decode::{Decoder, Value};
use crate::window::bounds::Bounds;
use foldhash::quality::FixedState;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Panes whose keys are counted, the latest.
const PANES_MAX: usize = 4096;
/// What one of them takes.
const PANE_BYTES: usize = 4096;
/// Windows that are put together from panes.
const WINDOWS_MAX: usize = 256;

/// A sample of a source, growing record by record.
pub struct Sample {
    pipeline: Arc<Pipeline>,
    decoder: Decoder,
    bounds: Bounds,
    /// Hashes of the declared keys.
    declared: Option<HashSet<u64, FixedState>>,
    now_ms: i64,
    keys: Sketch,
    partitions: BTreeMap<Slot, Partition>,
    /// Rows by pane, at most so many.
    panes: BTreeMap<i64, Distinct>,
    panes_max: usize,
    records: u64,
    late: u64,
    dead: u64,
    value_bytes: u64,
    texts: u64,
    text_bytes: u64,
    disorder_ms: i64,
}

/// One partition's part of it.
struct Partition {
    merged: u64,
    /// Watermark after the first merged record.
    first_ms: i64,
    watermark_ms: i64,
}

impl Partition {
    /// Event time that went by.
    fn span_ms(&self) -> i64 {
        self.watermark_ms - self.first_ms
    }
}

impl Sample {
    /// An empty sample; `now_ms` is what `source.max_ahead` is measured against.
    pub fn new(pipeline: &Arc<Pipeline>, now_ms: i64) -> Self {
        Self {
            decoder: Decoder::new(pipeline),
            bounds: Bounds::new(&pipeline.window),
            declared: pipeline.keys.as_ref().map(|keys| keys.iter().map(|key| sketch::hash(&**key)).collect()),
            pipeline: pipeline.clone(),
            now_ms,
            keys: Sketch::new(),
            partitions: BTreeMap::new(),
            panes: BTreeMap::new(),
            panes_max: PANES_MAX,
            records: 0,
            late: 0,
            dead: 0,
            value_bytes: 0,
            texts: 0,
            text_bytes: 0,
            disorder_ms: 0,
        }
    }

    /// Counts the keys of panes in no more than so many bytes; all else takes 6 MiB at most, and 18 bytes for each
    /// declared key.
    pub fn within(mut self, bytes: usize) -> Self {
        self.panes_max = (bytes / PANE_BYTES).clamp(1, PANES_MAX);
        self
    }

    /// Records so far.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Those of them that would be dead letters.
    pub fn dead(&self) -> u64 {
        self.dead
    }

    /// Adds the next record of its partition.
    pub fn add(&mut self, record: &Record<'_>) {
        self.records += 1;
        self.value_bytes += record.value.map_or(0, <[u8]>::len) as u64;
        let Some(value) = record.value else { return };
        let key = record.key.filter(|key| self.is_welcome(key, value));
        let decoded = self.decoder.decode(record.timestamp_ms, value);
        let (Some(key), Ok(decoded)) = (key, decoded) else {
            self.dead += 1;
            return;
        };
        let time_ms = decoded.time_ms;
        let ahead_ms = self.pipeline.max_ahead_ms.unwrap_or(i64::MAX);
        if decoded.bad_field.is_some() || time_ms.saturating_sub(self.now_ms) > ahead_ms {
            self.dead += 1;
            return;
        }
        for value in decoded.values() {
            if let Value::Scalar(text) = value {
                self.texts += 1;
                self.text_bytes += text.len() as u64;
            }
        }
        self.merge(record.slot, key, time_ms);
    }

    fn is_welcome(&self, key: &[u8], value: &[u8]) -> bool {
        key.len() <= self.pipeline.max_key_bytes
            && value.len() <= self.pipeline.max_record_bytes
            && self.declared.as_ref().is_none_or(|keys| keys.contains(&sketch::hash(key)))
    }

    fn merge(&mut self, slot: Slot, key: &[u8], time_ms: i64) {
        let fresh = Partition { merged: 0, first_ms: time_ms, watermark_ms: time_ms };
        let partition = self.partitions.entry(slot).or_insert(fresh);
        let pane_ms = self.bounds.pane_start(time_ms);
        if self.bounds.is_closed(Some(partition.watermark_ms), self.bounds.last_end(pane_ms)) {
            self.late += 1;
            return;
        }
        partition.merged += 1;
        self.disorder_ms = self.disorder_ms.max(partition.watermark_ms - time_ms);
        partition.watermark_ms = partition.watermark_ms.max(time_ms);
        self.keys.add(sketch::hash(key), key.len());
        self.panes.entry(pane_ms).or_insert_with(Distinct::of_window).add(sketch::hash((slot, key)));
        if self.panes.len() > self.panes_max {
            self.panes.pop_first();
        }
    }

    /// What it says of a source with so many partitions; `None` if nothing could be merged, or all of it has one
    /// event time.
    pub fn load(&self, partitions: usize) -> Option<Load> {
        let span_ms = self.partitions.values().map(Partition::span_ms).max().filter(|span_ms| *span_ms > 0)?;
        // One time, or one record, tells no rate: such a partition has what it has in the time of the others.
        let rates: Vec<_> = self
            .partitions
            .values()
            .map(|partition| (partition.merged, Some(partition.span_ms()).filter(|own_ms| *own_ms > 0)))
            .map(|(merged, own_ms)| merged as f64 * 1000.0 / own_ms.unwrap_or(span_ms) as f64)
            .collect();
        let rate = rates.iter().sum::<f64>();
        let share = |count: u64| count as f64 / self.records.max(1) as f64;
        let mean = |sum: u64, count: u64| sum as f64 / count.max(1) as f64;
        let origin = Origin::Sampled(Sampled {
            records: self.records,
            span_ms,
            late: share(self.late),
            dead: share(self.dead),
            disorder_ms: self.disorder_ms,
        });
        Some(Load {
            origin,
            keys: Keys::Seen(self.keys.finish()),
            rate,
            key_bytes: self.keys.key_bytes(),
            value_bytes: mean(self.value_bytes, self.records),
            text_bytes: mean(self.text_bytes, self.texts),
            partitions: partitions.max(1),
            hottest_partition: rates.iter().copied().fold(0.0, f64::max) / rate,
            rows: self.rows(),
        })
    }

    /// Rows of panes and windows that every partition has seen from their start to their end.
    fn rows(&self) -> Option<Rows> {
        let window = &self.pipeline.window;
        let pane_ms = window.pane_ms();
        let from_ms = self.partitions.values().map(|partition| partition.first_ms).max()?;
        let to_ms = self.partitions.values().map(|partition| partition.watermark_ms).min()?;
        let whole: Vec<_> =
            self.panes.iter().filter(|(start_ms, _)| **start_ms >= from_ms && **start_ms + pane_ms <= to_ms).collect();
        let pane = mean_max(whole.iter().map(|(_, pane)| pane.estimate()))?;
        if self.bounds.is_tumbling() {
            return Some(Rows { windows: whole.len(), window: pane, pane });
        }
        let first_ms = **whole.first().map(|(start_ms, _)| start_ms)?;
        let ends = whole.iter().map(|(start_ms, _)| self.bounds.first_end(**start_ms));
        let mut ends: Vec<_> = ends.filter(|end_ms| end_ms - window.size_ms >= first_ms && *end_ms <= to_ms).collect();
        ends.dedup();
        let latest = ends.iter().rev().take(WINDOWS_MAX);
        let rows: Vec<_> = latest
            .map(|end_ms| {
                let panes = self.panes.range(end_ms - window.size_ms..*end_ms).map(|(_, pane)| pane);
                Distinct::union(panes).estimate()
            })
            .collect();
        Some(Rows { windows: rows.len(), window: mean_max(rows.into_iter())?, pane })
    }
}

fn mean_max(numbers: impl Iterator<Item = f64>) -> Option<MeanMax> {
    let (mut count, mut sum, mut max) = (0.0, 0.0, 0.0_f64);
    for number in numbers {
        count += 1.0;
        sum += number;
        max = max.max(number);
    }
    (count > 0.0).then_some(MeanMax { mean: sum / count, max })
}
