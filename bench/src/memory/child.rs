//! One variant, measured in a process of its own: what it allocates, holds and faults in is nobody else's.

use super::feed::{Feed, STEP_RECORDS, WINDOW_STEPS};
use super::naive::Naive;
use super::ours::Ours;
use super::{Emitted, Subject, Variant};
use crate::counting;
use crate::stats::Durations;
use anyhow::ensure;
use serde::{Deserialize, Serialize};
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};
use tidemill::broker::RecordBatch;
use tidemill::config::{self, Config};
use tidemill::decode::Decoder;

const PIPELINE: &str = "
name: memory
kafka: { brokers: none, group: memory }
source: { topics: [in], format: json, time: { field: time, format: unix_ms }, max_ahead: off }
window: { tumbling: 50s, grace: 2s }
aggregate: { n: count, sum: { sum: value }, least: { min: value }, most: { max: value } }
sink: { topic: out }
";

/// Steps before anything is measured: pools fill, capacities are found.
const WARM_UP_STEPS: u64 = 6 * WINDOW_STEPS;

/// What one variant did in one round.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Measured {
    /// Records merged for each second that was spent in steps.
    pub(super) records_per_s: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) p999_us: f64,
    /// By Rust; there is no C on this path.
    pub(super) allocations_per_record: f64,
    pub(super) allocated_bytes_per_record: f64,
    /// Most that was ever resident, the bench's own part included, in bytes.
    pub(super) peak_resident_bytes: f64,
    /// Pages touched for the first time, for each thousand records.
    pub(super) faults_per_1000_records: f64,
    /// What came out while measuring; the same for all that close windows.
    pub(super) emitted: Emitted,
}

/// Measures `variant` over so many windows.
pub(super) fn measure(variant: Variant, keys: u64, windows: u64) -> anyhow::Result<Measured> {
    let config = configured()?;
    let mut subject: Box<dyn Subject> = match variant.strategies() {
        Some(strategies) => Box::new(Ours::new(&config, keys, strategies)),
        None if variant == Variant::Naive => Box::new(Naive::new(&config.pipeline)),
        None => Box::new(Decode(Decoder::new(&config.pipeline))),
    };
    let mut feed = Feed::new(keys);
    let mut batch = RecordBatch::new(1 << 20, STEP_RECORDS as usize);
    for _ in 0..WARM_UP_STEPS {
        feed.fill(&mut batch);
        subject.step(&batch)?;
    }
    let (before, emitted_before, faults_before) = (counting::asked(), subject.emitted(), usage().ru_minflt);
    let (mut steps, mut spent) = (Durations::new()?, Duration::ZERO);
    let own = counting::asked().since(before);
    for _ in 0..windows * WINDOW_STEPS {
        feed.fill(&mut batch);
        let began = Instant::now();
        subject.step(&batch)?;
        let step = began.elapsed();
        spent += step;
        steps.record(u64::try_from(step.as_nanos()).unwrap_or(u64::MAX));
    }
    let asked = counting::asked().since(before).since(own);
    let usage = usage();
    let emitted = subject.emitted().since(emitted_before);
    ensure!(variant == Variant::Decode || emitted.results > 0, "no window closed");
    let percentiles = steps.percentiles();
    let records = (windows * WINDOW_STEPS * STEP_RECORDS) as f64;
    Ok(Measured {
        records_per_s: records / spent.as_secs_f64(),
        p50_us: percentiles.p50_us,
        p99_us: percentiles.p99_us,
        p999_us: percentiles.p999_us,
        allocations_per_record: asked.allocations as f64 / records,
        allocated_bytes_per_record: asked.bytes as f64 / records,
        peak_resident_bytes: usage.ru_maxrss as f64 * 1024.0,
        faults_per_1000_records: (usage.ru_minflt - faults_before) as f64 / records * 1000.0,
        emitted,
    })
}

fn configured() -> anyhow::Result<Config> {
    let loaded = config::parse("memory", PIPELINE, Path::new(""), &|_| None);
    loaded.map(|loaded| loaded.config).map_err(|complaints| anyhow::anyhow!("{complaints:?}"))
}

/// What the system says of this process.
fn usage() -> libc::rusage {
    // SAFETY: all bytes zero are a valid `rusage`, and the call writes nothing but it.
    unsafe {
        let mut usage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    }
}

/// Decoding alone: what no strategy can save.
struct Decode(Decoder);

impl Subject for Decode {
    fn step(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        for record in batch.iter() {
            let decoded = self.0.decode(record.timestamp_ms, record.value.unwrap_or_default());
            ensure!(decoded.is_ok_and(|decoded| black_box(decoded.time_ms) > 0), "a record was not read");
        }
        Ok(())
    }

    fn emitted(&self) -> Emitted {
        Emitted::default()
    }
}
