//! One variant of the experiment of memory: what it allocates, holds and faults in is nobody else's in this process.

mod feed;
mod naive;
mod ours;

use crate::broker::RecordBatch;
use crate::decode::Decoder;
use crate::stats::Durations;
use crate::{configured, counting};
use anyhow::{bail, ensure};
use feed::{Feed, STEP_RECORDS, WINDOW_STEPS};
use naive::Naive;
use ours::Ours;
use serde::Serialize;
use std::hint::black_box;
use std::time::Duration;

const PIPELINE: &str = "
name: memory
kafka: { brokers: none, group: memory }
source: { topics: [in], format: json, time: { field: time, format: unix_ms }, max_ahead: off }
window: { tumbling: 50s, grace: 2s }
aggregate: { n: count, sum: { sum: value }, least: { min: value }, most: { max: value } }
sink: { topic: out }
";

/// Steps before anything is measured: pools fill, capacities are found.
const WARM_UP_STEPS: u64 = 12 * WINDOW_STEPS;

/// Which strategies are on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Strategies {
    /// Released memory is parked and used again; else every pane takes fresh memory.
    pools: bool,
    /// Keys are declared: rows are found by their number, not by an index.
    dense: bool,
    /// Closed windows are released together, after the commit; else each as soon as it is encoded.
    batched: bool,
    /// Results are encoded from the rows where they lie, into recycled bytes; else rows are copied out.
    views: bool,
}

/// A merge path under measurement.
trait Subject {
    /// Merges a batch, and emits what it closes.
    fn step(&mut self, batch: &RecordBatch) -> anyhow::Result<()>;

    /// What came out since the start.
    fn emitted(&self) -> Emitted;
}

/// Results that came out, and the bytes of their values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Emitted {
    results: u64,
    bytes: u64,
}

impl Emitted {
    fn add(&mut self, value: &[u8]) {
        self.results += 1;
        self.bytes += value.len() as u64;
    }

    fn since(self, before: Self) -> Self {
        Self { results: self.results - before.results, bytes: self.bytes - before.bytes }
    }
}

/// What one variant did in one round.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Measured {
    /// Records merged for each second of processor time.
    pub(crate) records_per_s: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    /// By Rust; there is no C on this path.
    pub(crate) allocations_per_record: f64,
    pub(crate) allocated_bytes_per_record: f64,
    /// Most that was ever resident, the bench's own part included, in bytes.
    pub(crate) peak_resident_bytes: f64,
    /// Pages touched for the first time, for each thousand records.
    pub(crate) faults_per_1000_records: f64,
    /// What came out while measuring; the same for all that close windows.
    pub(crate) emitted: Emitted,
}

/// Measures `variant` over so many windows.
///
/// # Errors
/// No variant has this name; a record was not merged, or no window closed.
pub(crate) fn measure(variant: &str, keys: u64, windows: u64) -> anyhow::Result<Measured> {
    let config = configured("memory", PIPELINE)?;
    let off = Strategies::default();
    let ours = |strategies| -> Box<dyn Subject> { Box::new(Ours::new(&config, keys, strategies)) };
    let mut subject: Box<dyn Subject> = match variant {
        "decode" => Box::new(Decode(Decoder::new(&config.pipeline))),
        "naive" => Box::new(Naive::new(&config.pipeline)),
        "none" => ours(off),
        "pools" => ours(Strategies { pools: true, ..off }),
        "dense" => ours(Strategies { dense: true, ..off }),
        "batched" => ours(Strategies { batched: true, ..off }),
        "views" => ours(Strategies { views: true, ..off }),
        "all" => ours(Strategies { pools: true, dense: true, batched: true, views: true }),
        other => bail!("no variant is called {other}"),
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
        let began = busy();
        subject.step(&batch)?;
        let step = busy().saturating_sub(began);
        spent += step;
        steps.record(u64::try_from(step.as_nanos()).unwrap_or(u64::MAX));
    }
    let asked = counting::asked().since(before).since(own);
    let usage = usage();
    let emitted = subject.emitted().since(emitted_before);
    ensure!(variant == "decode" || emitted.results > 0, "no window closed");
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

/// Time that this thread has been on a processor, in the kernel too: nothing here waits, and whoever else is busy on the
/// machine is not counted.
fn busy() -> Duration {
    // SAFETY: all bytes zero are a valid `timespec`, and the call writes nothing but it.
    let time = unsafe {
        let mut time = std::mem::zeroed::<libc::timespec>();
        libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time);
        time
    };
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
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
