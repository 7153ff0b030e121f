//! The experiment of docs/memory.md: the merge path with each strategy of memory alone, with all of them, and against a
//! naive variant that allocates for each record and each window.
//!
//! Each variant runs in a fresh process, in rounds that take turns, and the medians of the rounds are told.

mod child;
mod feed;
mod naive;
mod ours;
mod tell;

use anyhow::{Context, ensure};
use child::Measured;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::process::Command;
use tidemill::broker::RecordBatch;

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
    /// Measures one variant in this process and prints it as JSON
    #[arg(long, hide = true)]
    child: Option<Variant>,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Variant {
    /// Decoding alone: the floor under all the others.
    Decode,
    Naive,
    /// tidemill's tables with every strategy off.
    None,
    Pools,
    Dense,
    Batched,
    Views,
    All,
}

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

impl Variant {
    /// The strategies of tidemill's path; `None` if it is another path.
    fn strategies(self) -> Option<Strategies> {
        let off = Strategies::default();
        Some(match self {
            Self::Decode | Self::Naive => return None,
            Self::None => off,
            Self::Pools => Strategies { pools: true, ..off },
            Self::Dense => Strategies { dense: true, ..off },
            Self::Batched => Strategies { batched: true, ..off },
            Self::Views => Strategies { views: true, ..off },
            Self::All => Strategies { pools: true, dense: true, batched: true, views: true },
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Decode => "decoding alone",
            Self::Naive => "naive",
            Self::None => "no strategy",
            Self::Pools => "pools",
            Self::Dense => "declared keys",
            Self::Batched => "batched release",
            Self::Views => "views",
            Self::All => "all four",
        }
    }
}

/// A merge path under measurement.
trait Subject {
    /// Merges a batch, and emits what it closes.
    fn step(&mut self, batch: &RecordBatch) -> anyhow::Result<()>;

    /// What came out since the start.
    fn emitted(&self) -> Emitted;
}

/// Results that came out, and the bytes of their values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Emitted {
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

/// Medians of one variant with one number of keys.
#[derive(Clone, Copy, Debug, Serialize)]
struct Outcome {
    keys: u64,
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
    let single = args.keys.first().copied().context("no keys")?;
    if let Some(variant) = args.child {
        println!("{}", serde_json::to_string(&child::measure(variant, single, args.windows)?)?);
        return Ok(());
    }
    let mut outcomes = Vec::new();
    for &keys in &args.keys {
        let mut rounds = Vec::new();
        for round in 0..args.rounds {
            rounds.push(measure_all(keys, args.windows, round)?);
        }
        outcomes.extend(Variant::value_variants().iter().map(|variant| outcome(keys, *variant, &rounds)));
    }
    tell::tell(&outcomes, args)
}

/// One round; each begins with another variant, so that none is always the first.
fn measure_all(keys: u64, windows: u64, round: usize) -> anyhow::Result<Vec<(Variant, Measured)>> {
    let mut variants = Variant::value_variants().to_vec();
    let count = variants.len();
    variants.rotate_left(round % count);
    let measured: Vec<_> = variants
        .into_iter()
        .map(|variant| Ok((variant, measure_apart(variant, keys, windows)?)))
        .collect::<anyhow::Result<_>>()?;
    let emitted =
        measured.iter().filter(|(variant, _)| *variant != Variant::Decode).map(|(_, measured)| measured.emitted);
    let emitted: Vec<_> = emitted.collect();
    ensure!(emitted.iter().all(|other| Some(other) == emitted.first()), "results differ: {measured:?}");
    Ok(measured)
}

/// One variant, in a process of its own.
fn measure_apart(variant: Variant, keys: u64, windows: u64) -> anyhow::Result<Measured> {
    let value = variant.to_possible_value().context("every variant has a name")?;
    let mut child = Command::new(std::env::current_exe()?);
    child.args(["memory", "--child", value.get_name(), "--keys", &keys.to_string(), "--windows", &windows.to_string()]);
    let output = child.output()?;
    ensure!(output.status.success(), "{child:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variant_emits_the_same_results() {
        let emitted = |variant: Variant| child::measure(variant, 100, 2).unwrap().emitted;
        let expected = emitted(Variant::Naive);
        assert_eq!(expected.results, 200);
        for variant in [Variant::None, Variant::All] {
            assert_eq!(emitted(variant), expected, "{variant:?}");
        }
    }
}
