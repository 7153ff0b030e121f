//! The merge as one writes it first: a fresh allocation for each record, each merge, each result and each window.
//!
//! Decoding, hashing, aggregates and numbers in text are tidemill's own, so that only the use of memory differs.

use super::{Emitted, Subject};
use crate::aggregate::{At, Layout, write_integer};
use crate::broker::{Record, RecordBatch};
use crate::config::Pipeline;
use crate::decode::Decoder;
use crate::pool::Arena;
use crate::window::bounds::Bounds;
use foldhash::quality::FixedState;
use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::io::Write;

type Rows = HashMap<Vec<u8>, Vec<u64>, FixedState>;

pub(super) struct Naive {
    bounds: Bounds,
    layout: Layout,
    names: Vec<String>,
    decoder: Decoder,
    /// By start.
    windows: BTreeMap<i64, Rows>,
    watermark_ms: i64,
    emitted: Emitted,
}

impl Naive {
    pub(super) fn new(pipeline: &Pipeline) -> Self {
        Self {
            bounds: Bounds::new(&pipeline.window),
            layout: Layout::new(&pipeline.aggregates),
            names: pipeline.aggregates.iter().map(|aggregate| aggregate.name.clone()).collect(),
            decoder: Decoder::new(pipeline),
            windows: BTreeMap::new(),
            watermark_ms: i64::MIN,
            emitted: Emitted::default(),
        }
    }

    fn merge(&mut self, record: &Record<'_>) {
        let key = record.key.unwrap_or_default().to_vec();
        let value = record.value.unwrap_or_default().to_vec();
        let Ok(decoded) = self.decoder.decode(record.timestamp_ms, &value) else { return };
        let start_ms = self.bounds.pane_start(decoded.time_ms);
        let at = At { time_ms: decoded.time_ms, offset: record.offset };
        let mut one = self.layout.identity().to_vec();
        self.layout.add(&mut one, &mut Arena::default(), at, |index| decoded.value(index));
        let rows = self.windows.entry(start_ms).or_default();
        let merged = rows.get(&key).map(|row| {
            let mut merged = row.clone();
            self.layout.merge(&mut merged, &mut Arena::default(), &one, &Arena::default());
            merged
        });
        rows.insert(key, merged.unwrap_or(one));
        self.watermark_ms = self.watermark_ms.max(decoded.time_ms);
    }

    fn emit(&mut self, start_ms: i64, rows: &Rows) {
        let end_ms = self.bounds.last_end(start_ms);
        for (key, row) in rows {
            let mut value = Vec::new();
            // Writing into memory cannot fail.
            let _ = write!(value, "{{\"key\":\"{}\",\"window_start\":{start_ms},\"window_end\":", key.escape_ascii());
            write_integer(end_ms, &mut value);
            for (index, name) in self.names.iter().enumerate() {
                let _ = write!(value, ",\"{name}\":");
                self.layout.write(index, row, &Arena::default(), &mut value);
            }
            value.push(b'}');
            self.emitted.add(&value);
            black_box(value);
        }
    }
}

impl Subject for Naive {
    fn step(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        for record in batch.iter() {
            self.merge(&record);
        }
        while let Some(window) = self.windows.first_entry()
            && self.bounds.is_closed(Some(self.watermark_ms), self.bounds.last_end(*window.key()))
        {
            let (start_ms, rows) = window.remove_entry();
            self.emit(start_ms, &rows);
        }
        Ok(())
    }

    fn emitted(&self) -> Emitted {
        self.emitted
    }
}
