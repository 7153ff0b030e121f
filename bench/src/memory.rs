//! The experiment of docs/memory.md: the merge path with each strategy of memory alone, with all of them, and against a
//! naive variant that allocates for each record and each window.
//!
//! Each variant runs in a fresh process, in rounds that take turns, and the medians of the rounds are told.

mod tell;

use crate::report::root;
use crate::subject;
use anyhow::ensure;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::process::Command;

/// Records of a window; `bench/subject/memory/feed.rs` makes them.
const WINDOW_RECORDS: u64 = 50_000;

/// Measures what each strategy of memory gains on the merge path; writes docs/memory.md's table and plot
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Rounds; each measures every variant once
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Windows in each measurement, of 50,000 records each
    #[arg(long, default_value_t = 40)]
    windows: u64,
    /// Numbers of keys to measure with
    #[arg(long, value_delimiter = ',', default_value = "1000,100000")]
    keys: Vec<u64>,
    /// Prints the table, and writes nothing
    #[arg(long)]
    dry: bool,
}

/// What is measured: its name for `bench/subject/memory.rs`, and for people.
type Variant = (&'static str, &'static str);

const DECODE: Variant = ("decode", "decoding alone");
const NAIVE: Variant = ("naive", "naive");
const NONE: Variant = ("none", "no strategy");
const VARIANTS: [Variant; 8] = [
    DECODE,
    NAIVE,
    NONE,
    ("pools", "pools"),
    ("dense", "declared keys"),
    ("batched", "batched release"),
    ("views", "views"),
    ("all", "all four"),
];

/// What one variant did in one round.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Measured {
    /// Records merged for each second of processor time.
    records_per_s: f64,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
    /// By Rust; there is no C on this path.
    allocations_per_record: f64,
    allocated_bytes_per_record: f64,
    /// Most that was ever resident, in bytes.
    peak_resident_bytes: f64,
    /// Pages touched for the first time, for each thousand records.
    faults_per_1000_records: f64,
    emitted: Emitted,
}

/// Results that came out, and the bytes of their values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Emitted {
    results: u64,
    bytes: u64,
}

/// Medians of one variant with one number of keys.
#[derive(Clone, Copy, Debug, Serialize)]
struct Outcome {
    keys: u64,
    #[serde(serialize_with = "name")]
    variant: Variant,
    median: Measured,
    /// Slowest and fastest round.
    records_per_s: (f64, f64),
}

/// Measures everything, and tells it.
///
/// # Errors
/// A variant fails, or what it emits is not what the others emit; a file cannot be written.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let subject = subject::build(root())?;
    let mut outcomes = Vec::new();
    for &keys in &args.keys {
        let mut rounds = Vec::new();
        for round in 0..args.rounds {
            rounds.push(measure_all(&subject, keys, args.windows, round)?);
        }
        outcomes.extend(VARIANTS.iter().map(|variant| outcome(keys, *variant, &rounds)));
    }
    tell::tell(&outcomes, args)
}

fn name<S: serde::Serializer>(variant: &Variant, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(variant.1)
}

/// One round; each begins with another variant, so that none is always the first.
fn measure_all(subject: &Path, keys: u64, windows: u64, round: usize) -> anyhow::Result<Vec<(Variant, Measured)>> {
    let mut measured = Vec::new();
    for index in 0..VARIANTS.len() {
        let variant = VARIANTS[(round + index) % VARIANTS.len()];
        measured.push((variant, measure(subject, variant, keys, windows)?));
    }
    let mut emitted = measured.iter().filter(|(variant, _)| *variant != DECODE).map(|(_, measured)| measured.emitted);
    let first = emitted.next();
    ensure!(emitted.all(|other| Some(other) == first), "results differ: {measured:?}");
    Ok(measured)
}

/// One variant, in a process of its own.
fn measure(subject: &Path, variant: Variant, keys: u64, windows: u64) -> anyhow::Result<Measured> {
    let mut child = Command::new(subject);
    child.args(["memory", variant.0, &keys.to_string(), &windows.to_string()]);
    Ok(serde_json::from_str(&subject::said(&mut child, root())?)?)
}

fn outcome(keys: u64, variant: Variant, rounds: &[Vec<(Variant, Measured)>]) -> Outcome {
    let of = || rounds.iter().flatten().filter(|(other, _)| *other == variant).map(|(_, measured)| *measured);
    let median = |number: fn(&Measured) -> f64| crate::stats::median(&of().map(|it| number(&it)).collect::<Vec<_>>());
    let rates = of().map(|measured| measured.records_per_s);
    Outcome {
        keys,
        variant,
        median: Measured {
            records_per_s: median(|it| it.records_per_s),
            p50_us: median(|it| it.p50_us),
            p99_us: median(|it| it.p99_us),
            p999_us: median(|it| it.p999_us),
            allocations_per_record: median(|it| it.allocations_per_record),
            allocated_bytes_per_record: median(|it| it.allocated_bytes_per_record),
            peak_resident_bytes: median(|it| it.peak_resident_bytes),
            faults_per_1000_records: median(|it| it.faults_per_1000_records),
            emitted: of().map(|measured| measured.emitted).next().unwrap_or_default(),
        },
        records_per_s: (rates.clone().fold(f64::MAX, f64::min), rates.fold(0.0, f64::max)),
    }
}
