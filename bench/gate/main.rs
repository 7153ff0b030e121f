//! One step of the data path in a process of its own, on made-up records that are always the same: callgrind counts
//! instructions from the entry of [`collected`] to its exit. No broker, no clock, and a hash with a fixed seed.

use anyhow::{Context, bail};
use std::hint::black_box;
use std::path::Path;
use tidemill::aggregate::{At, Layout};
use tidemill::broker::{RecordBatch, TopicPartition};
use tidemill::config::{self, Config};
use tidemill::decode::{Decoder, Value};
use tidemill::encode::Encoder;
use tidemill::pool::{Limits, Pool};
use tidemill::window::bounds::Bounds;
use tidemill::window::keys::Keys;
use tidemill::window::panes::{PaneContext, Panes};

// The sources as they are, without what they do not need: librdkafka alone takes longer to build than all of this.
#[path = "../../src"]
#[allow(dead_code, unused_imports, reason = "a part of the whole")]
mod tidemill {
    pub mod aggregate;
    pub mod broker;
    pub mod checkpoint;
    pub mod clock;
    pub mod config;
    pub mod decode;
    pub mod encode;
    pub mod error;
    pub mod fate;
    pub mod pool;
    pub mod task;
    pub mod window;
}
#[allow(unused_imports, reason = "what the sources call their crate")]
use tidemill::{aggregate, broker, checkpoint, clock, decode, encode, error, fate, pool, task, window};

const RECORDS: u64 = 20_000;
const KEYS: u64 = 2_000;
const FROM_MS: i64 = 1_700_000_000_000;
const PIPELINE: &str = "
name: gate
kafka: { brokers: none, group: gate }
source: { topics: [in], format: json, time: { field: time, format: unix_ms } }
window: { tumbling: 10s, grace: 2s }
aggregate: { n: count, sum: { sum: value }, least: { min: value }, most: { max: value } }
sink: { topic: out }
";

fn main() -> anyhow::Result<()> {
    let config = configured()?;
    let batch = recorded();
    let units = match std::env::args().nth(1).as_deref() {
        Some("decode") => decode_all(&config, &batch)?,
        Some("merge") => merge_all(&config, &batch),
        Some("close") => close_all(&config, &batch),
        other => bail!("no step is called {other:?}"),
    };
    // For the counter: instructions are told for each of these, and only compared under the same features.
    println!("{units} {}", features().join(","));
    Ok(())
}

/// What the counter counts.
#[inline(never)]
fn collected(work: &mut dyn FnMut()) {
    work();
}

/// Runs `work` once to warm up, and once to be counted.
fn twice(mut work: impl FnMut()) {
    work();
    collected(&mut work);
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
    });
    if read != 2 * RECORDS {
        bail!("{read} of {} records were read", 2 * RECORDS);
    }
    Ok(RECORDS)
}

/// **merge**: for each record.
fn merge_all(config: &Config, batch: &RecordBatch) -> u64 {
    let mut state = State::new(config);
    twice(|| {
        state.drop_all();
        state.merge(batch);
    });
    RECORDS
}

/// **close**, **encode**, and **release**: for each result.
fn close_all(config: &Config, batch: &RecordBatch) -> u64 {
    let mut state = State::new(config);
    state.merge(batch);
    state.close();
    state.merge(batch);
    let mut results = 0;
    collected(&mut || results = state.close());
    results
}

/// The open windows of one partition, and what it takes to close them.
struct State {
    context: PaneContext,
    panes: Panes,
    encoder: Encoder,
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
            out: Vec::new(),
        }
    }

    fn merge(&mut self, batch: &RecordBatch) {
        for record in batch.iter() {
            let at = At { time_ms: record.timestamp_ms, offset: record.offset };
            let value = |index: usize| if index == 0 { Value::Missing } else { Value::Number(record.offset as f64) };
            let key = record.key.unwrap_or_default();
            let code = self.context.keys.code(key).unwrap_or_default();
            // The pool has no limit.
            let _ = self.panes.add(&mut self.context, None, (code, key), at, value);
        }
    }

    fn drop_all(&mut self) {
        self.panes.release_all(&mut self.context);
    }

    fn close(&mut self) -> u64 {
        let from = TopicPartition { topic: "in".into(), partition: 0 };
        let mut results = 0;
        while let Ok(Some((end_ms, table))) = self.panes.close_next(&mut self.context) {
            for row in table.rows(&self.context.layout) {
                self.out.clear();
                self.encoder.encode(&from, end_ms, &self.context.layout, &row, &mut self.out);
                black_box(&self.out);
                results += 1;
            }
            self.context.release(table);
        }
        results
    }
}

fn configured() -> anyhow::Result<Config> {
    let loaded = config::parse("gate", PIPELINE, Path::new(""), &|_| None);
    let loaded = loaded.map_err(|complaints| anyhow::anyhow!("{complaints:?}")).context("the pipeline")?;
    Ok(loaded.config)
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

/// SplitMix64 of one number.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What the processor, as the counter imitates it, offers to code that looks.
fn features() -> Vec<&'static str> {
    #[allow(unused_mut, reason = "only x86-64 is asked")]
    let mut found = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        macro_rules! ask {
            ($($feature:tt)*) => { $(if is_x86_feature_detected!($feature) { found.push($feature); })* };
        }
        ask!("sse3" "ssse3" "sse4.1" "sse4.2" "popcnt" "avx" "avx2" "bmi1" "bmi2" "fma" "aes" "pclmulqdq" "avx512f" "avx512vbmi2");
    }
    found
}
