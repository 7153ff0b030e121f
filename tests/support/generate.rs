//! Random pipelines and records from a seed: the same seed, the same test, on every machine.
//!
//! They aim at edges: exact ends, ties, one byte too many, and everything that must become a dead letter. Nothing here
//! decides what is right.

#![allow(dead_code, unreachable_pub)] // each test program uses a part of it

mod members;

use std::cell::Cell;
use std::sync::Arc;
use tidemill::config::{Aggregate, AggregateKind, Idle, Pipeline, StartAt, TimeFormat, TimeSource, Window};

/// SplitMix64: small, good enough, and the same for ever.
#[derive(Clone, Debug)]
pub struct Random(Cell<u64>);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(Cell::new(seed))
    }

    pub fn next(&self) -> u64 {
        let mut z = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(z);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `low` to `high`, both included.
    pub fn between(&self, low: i64, high: i64) -> i64 {
        low + (self.next() % (high - low + 1) as u64) as i64
    }

    /// True `permille` times in a thousand.
    pub fn chance(&self, permille: i64) -> bool {
        self.between(1, 1000) <= permille
    }

    pub fn pick<T: Clone>(&self, choices: &[T]) -> T {
        choices[self.between(0, choices.len() as i64 - 1) as usize].clone()
    }
}

/// Runs `test` with `count` seeds, or with the one in `TIDEMILL_SEED`; a failing one is printed with the command that runs
/// it again.
pub fn for_each_seed(count: u64, mut test: impl FnMut(u64)) {
    struct Tell(u64);
    impl Drop for Tell {
        fn drop(&mut self) {
            if std::thread::panicking() {
                let thread = std::thread::current();
                let test = thread.name().unwrap_or_default();
                eprintln!("once more: TIDEMILL_SEED={} cargo test --test {} {test}", self.0, env!("CARGO_CRATE_NAME"));
            }
        }
    }
    let one = std::env::var("TIDEMILL_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    for seed in one.map_or(0..count, |seed| seed..seed + 1) {
        let _tell = Tell(seed);
        test(seed);
    }
}

/// One record of a partition, and what the wall clock says when it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub offset: i64,
    pub kafka_timestamp_ms: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub now_ms: i64,
}

/// Removes whatever can go while `fails` still holds, which is true of `items`.
pub fn smallest<T: Clone>(items: &[T], mut fails: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let mut items = items.to_vec();
    let mut chunk = items.len().div_ceil(2);
    while chunk > 0 {
        let mut at = 0;
        while at < items.len() {
            let mut fewer = items.clone();
            fewer.drain(at..(at + chunk).min(items.len()));
            if fails(&fewer) { items = fewer } else { at += chunk }
        }
        chunk /= 2;
    }
    items
}

const KEYS: [&[u8]; 7] = [b"a", b"b", b"key", "ä\"\n".as_bytes(), b"", b"\xff\x00", b"\0"];
/// No path is the beginning of another.
const PATHS: [&str; 5] = ["x", "y", "a.b", "a.c", "ö.deep.er"];
const LAST_MS: i64 = 253_402_300_799_999;

/// A pipeline with small, odd windows; bounded so that a record lies in a dozen of them at most.
pub fn pipeline(random: &Random) -> Pipeline {
    use TimeFormat::{Rfc3339, UnixMs, UnixNs, UnixS, UnixUs};
    let format = random.pick(&[UnixS, UnixMs, UnixMs, UnixUs, UnixNs, Rfc3339]);
    let path = random.pick(&["t", "time.at"]).to_owned();
    let time = if random.chance(150) { TimeSource::Kafka } else { TimeSource::Field { path, format } };
    let scale = if format == UnixS { 1000 } else { random.pick(&[1, 1, 1000]) };
    let size_ms = random.pick(&[1, 2, 7, 10, 12, 60]) * scale;
    let narrowest = (size_ms / 12).max(1);
    let every_ms = if random.chance(500) { size_ms } else { random.between(narrowest, size_ms) };
    let offset_ms = if random.chance(400) { 0 } else { random.between(-3 * size_ms, 3 * size_ms) };
    let grace_ms = random.pick(&[0, 0, 1, size_ms / 2, size_ms, 3 * size_ms]);
    let keys: Vec<Box<[u8]>> = KEYS[..5].iter().map(|&key| key.into()).collect();
    Pipeline {
        start: StartAt::Earliest,
        time,
        max_record_bytes: random.pick(&[350, 900 * 1024, 900 * 1024]),
        max_key_bytes: random.pick(&[3, 16, 16 * 1024, 16 * 1024]),
        max_ahead_ms: random.pick(&[None, None, Some(1), Some(size_ms), Some(10 * size_ms), Some(300_000)]),
        keys: random.chance(200).then(|| Arc::new(keys)),
        window: Window { size_ms, every_ms, offset_ms, grace_ms, idle: Idle::Off },
        aggregates: aggregates(random),
    }
}

fn aggregates(random: &Random) -> Vec<Aggregate> {
    use AggregateKind::{Count, First, Last, Max, Mean, Min, Sum};
    let count = random.between(1, 6);
    let aggregate = |number| {
        let kind = random.pick(&[Count, Sum, Sum, Min, Max, Mean, First, Last]);
        let path = (kind != Count || random.chance(500)).then(|| random.pick(&PATHS).to_owned());
        Aggregate { name: format!("{kind:?}_{number}").to_lowercase(), kind, path }
    };
    (0..count).map(aggregate).collect()
}

/// `count` records of one partition for this pipeline, in offset order.
pub fn records(random: &Random, pipeline: &Pipeline, count: usize) -> Vec<Record> {
    let window = &pipeline.window;
    let reach_ms = window.size_ms + window.grace_ms;
    // Near zero starts are negative; near the last year times run out.
    let mut clock_ms = match random.between(1, 8) {
        1 => 0,
        2 => LAST_MS - 100 * reach_ms,
        _ => 1_700_000_000_000,
    };
    let mut offset = random.pick(&[0, 0, 1000, 1 << 50]);
    let mut records = Vec::with_capacity(count);
    for _ in 0..count {
        clock_ms += random.between(0, random.pick(&[0, 1, window.every_ms, window.every_ms, 2 * window.size_ms]));
        records.push(record(random, pipeline, offset, clock_ms));
        offset += if random.chance(50) { random.between(2, 5) } else { 1 };
    }
    records
}

/// One record, when the stream has come to `clock_ms`.
pub fn record(random: &Random, pipeline: &Pipeline, offset: i64, clock_ms: i64) -> Record {
    let reach_ms = pipeline.window.size_ms + pipeline.window.grace_ms;
    let ahead_ms = pipeline.max_ahead_ms.unwrap_or(0);
    let time_ms = time(random, pipeline, clock_ms);
    // The wall is usually near the stream, sometimes behind by just the allowed lead, and may run back.
    let behind_ms = random.pick(&[0, 0, ahead_ms, ahead_ms + 1]) + random.between(0, reach_ms);
    Record {
        offset,
        kafka_timestamp_ms: if random.chance(10) { -1 } else { time_ms },
        key: key(random, pipeline),
        value: (!random.chance(20)).then(|| members::value(random, pipeline, time_ms)),
        now_ms: (clock_ms - behind_ms).max(0),
    }
}

/// A time around `clock_ms`: disordered, tied, or at the very edge of a window or of its grace.
fn time(random: &Random, pipeline: &Pipeline, clock_ms: i64) -> i64 {
    let window = &pipeline.window;
    let reach_ms = window.size_ms + window.grace_ms;
    let ahead_ms = pipeline.max_ahead_ms.unwrap_or(0);
    let near_ms = clock_ms - random.between(0, random.pick(&[0, 1, window.size_ms, reach_ms, 2 * reach_ms]));
    let start_ms = near_ms - (near_ms - window.offset_ms).rem_euclid(window.every_ms);
    let far = if pipeline.max_ahead_ms.is_some() { 30 } else { 1 }; // without a guard, everything is late afterwards
    match random.between(1, 1000) {
        n if n <= far => clock_ms + ahead_ms + random.pick(&[1, reach_ms, 10_i64.pow(12)]),
        n if n <= 60 => clock_ms + ahead_ms,
        n if n <= 70 => -random.between(1, reach_ms),
        n if n <= 300 => start_ms + random.pick(&[0, -1, window.size_ms, window.size_ms - 1]),
        n if n <= 450 => start_ms + reach_ms + random.pick(&[0, -1]),
        _ => near_ms,
    }
}

fn key(random: &Random, pipeline: &Pipeline) -> Option<Vec<u8>> {
    match random.between(1, 100) {
        1..=3 => None,
        4..=6 => Some(vec![b'k'; pipeline.max_key_bytes]),
        7..=9 => Some(vec![b'k'; pipeline.max_key_bytes + 1]),
        _ => Some(random.pick(&KEYS).to_vec()),
    }
}
