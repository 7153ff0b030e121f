//! One step of the data path, on made-up records that are always the same: callgrind counts instructions from the entry
//! of [`collected`] to its exit. No broker, no clock, and a hash with a fixed seed.

use crate::aggregate::{At, Layout};
use crate::broker::{RecordBatch, TopicPartition};
use crate::config::Config;
use crate::decode::{Decoder, Value};
use crate::encode::{Encoder, Frame};
use crate::pool::{Limits, Pool};
use crate::window::bounds::Bounds;
use crate::window::keys::Keys;
use crate::window::panes::{PaneContext, Panes};
use crate::{configured, mix};
use anyhow::bail;
use std::hint::black_box;

const RECORDS: u64 = 20_000;
const KEYS: u64 = 2_000;
/// Records that a lane looks ahead.
const AHEAD: usize = 32;
const FROM_MS: i64 = 1_700_000_000_000;
const PIPELINE: &str = "
name: gate
kafka: { brokers: none, group: gate }
source: { topics: [in], format: json, time: { field: time, format: unix_ms } }
window: { tumbling: 10s, grace: 2s }
aggregate: { n: count, sum: { sum: value }, least: { min: value }, most: { max: value } }
sink: { topic: out }
";

/// Does one step, and says for how many records or results.
pub(crate) fn run(step: &str) -> anyhow::Result<u64> {
    let config = configured("gate", PIPELINE)?;
    let batch = recorded();
    match step {
        "decode" => decode_all(&config, &batch),
        "merge" => merge_all(&config, &batch),
        "close" => close_all(&config, &batch),
        other => bail!("no step is called {other}"),
    }
}

/// What the counter counts.
#[inline(never)]
fn collected(work: &mut dyn FnMut()) {
    work();
}

/// Runs `work` once to warm up, and once to be counted.
fn twice(mut work: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<()> {
    work()?;
    let mut outcome = Ok(());
    collected(&mut || outcome = work());
    outcome
}

/// **decode**: for each record.
fn decode_all(config: &Config, batch: &RecordBatch) -> anyhow::Result<u64> {
    let mut decoder = Decoder::new(&config.pipeline);
    let mut read = 0;
    twice(|| {
        for record in batch.iter() {
            let decoded = decoder.decode(record.timestamp_ms, record.value.unwrap_or_default());
            read += u64::from(decoded.is_ok_and(|decoded| black_box(decoded.value(1)) != Value::Missing));
        }
        Ok(())
    })?;
    if read != 2 * RECORDS {
        bail!("{read} of {} records were read", 2 * RECORDS);
    }
    Ok(RECORDS)
}

/// **merge**: for each record.
fn merge_all(config: &Config, batch: &RecordBatch) -> anyhow::Result<u64> {
    let mut state = State::new(config);
    twice(|| {
        state.panes.release_all(&mut state.context);
        state.merge(batch)
    })?;
    Ok(RECORDS)
}

/// **close**, **encode**, and **release**: for each result.
fn close_all(config: &Config, batch: &RecordBatch) -> anyhow::Result<u64> {
    let mut state = State::new(config);
    let mut results = 0;
    state.merge(batch)?;
    state.close()?;
    state.merge(batch)?;
    let mut outcome = Ok(());
    collected(&mut || outcome = state.close().map(|closed| results = closed));
    outcome.map(|()| results)
}

/// The open windows of one partition, and what it takes to close them.
struct State {
    context: PaneContext,
    panes: Panes,
    encoder: Encoder,
    frame: Frame,
    out: Vec<u8>,
}

impl State {
    fn new(config: &Config) -> Self {
        let hot = Pool::new(Limits::UNBOUNDED).hot();
        let layout = Layout::new(&config.pipeline.aggregates);
        Self {
            context: PaneContext::new(Bounds::new(&config.pipeline.window), layout, Keys::new(1, None), hot),
            panes: Panes::default(),
            encoder: Encoder::new(config),
            frame: Frame::default(),
            out: Vec::new(),
        }
    }

    fn merge(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        let mut codes = [0; AHEAD];
        for (index, record) in batch.iter().enumerate() {
            if index.is_multiple_of(AHEAD) {
                for (code, record) in codes.iter_mut().zip(batch.from(index)) {
                    *code = self.context.keys.code(record.key.unwrap_or_default()).unwrap_or_default();
                }
                codes.iter().for_each(|code| self.panes.prefetch_place(*code));
                codes.iter().for_each(|code| self.panes.prefetch_row(*code));
            }
            let key = record.key.unwrap_or_default();
            let code = codes.get(index % AHEAD).copied().unwrap_or_default();
            let at = At { time_ms: record.timestamp_ms, offset: record.offset };
            let value = |index: usize| if index == 0 { Value::Missing } else { Value::Number(record.offset as f64) };
            self.panes.add(&mut self.context, None, (code, key), at, value)?;
        }
        Ok(())
    }

    fn close(&mut self) -> anyhow::Result<u64> {
        let from = TopicPartition { topic: "in".into(), partition: 0 };
        let mut results = 0;
        while let Some((end_ms, table)) = self.panes.close_next(&mut self.context)? {
            self.encoder.write_frame(&from, end_ms, &mut self.frame);
            for row in table.rows(&self.context.layout) {
                self.out.clear();
                self.encoder.encode(&self.frame, &self.context.layout, &row, &mut self.out);
                black_box(&self.out);
                results += 1;
            }
            self.context.release(table);
        }
        Ok(results)
    }
}

/// Values of 200 bytes as devices send them: members in one order, whole numbers and fractions, now and then an escape
/// or another order.
fn recorded() -> RecordBatch {
    let mut batch = RecordBatch::new(1 << 23, RECORDS as usize);
    for offset in 0..RECORDS {
        let random = mix(offset);
        let time_ms = FROM_MS + offset as i64 * 2 + (random >> 40) as i64 % 50;
        let key = format!("device-{:05}", random % KEYS);
        let number = match random % 4 {
            0 => format!("{}", random >> 44),
            1 => format!("{:.1}", (random >> 40) as f64 / 16.0),
            _ => format!("{:.3}", (random >> 48) as f64 / 8.0),
        };
        let place = if random % 64 == 1 { "caf\\u00e9 \\\"bar\\\"" } else { "hall seven, north" };
        let time = format!("\"time\":{time_ms}");
        let rest = format!(
            "\"device\":\"{key}\",\"value\":{number},\"place\":\"{place}\",\"ok\":true,\"tags\":[\"a\",\"bc\",null]"
        );
        let mut value = if random % 100 == 2 { format!("{{{rest},{time}") } else { format!("{{{time},{rest}") };
        let padding = 200_usize.saturating_sub(value.len() + 11);
        value += &format!(",\"note\":\"{:x<padding$}\"}}", "");
        batch.push(0, offset as i64, time_ms, Some(key.as_bytes()), Some(value.as_bytes()), |_| ());
    }
    batch
}
