//! Variants of W1, each against transport alone on the same topic: compression, keys, hopping windows, more aggregates,
//! larger records.

use crate::answer::{Answer, grouped, megabytes};
use crate::apache::{Apache, pin_self, unpin_self};
use crate::expected::{TUMBLING, Windows};
use crate::load::load;
use crate::measure::{Measured, measure};
use crate::report::table;
use crate::shape::{Shape, quantity};
use crate::system::{FOUR, Job, System, within};
use clap::Args;
use serde::Serialize;

const HOPPING: Windows = Windows { size_ms: 10_000, every_ms: 1_000, grace_ms: 2_000 };
/// The four that are checked, and eight more of two fields.
const TWELVE: &str = "  mean: {mean: amount}\n  with_amount: {count: amount}\n  first: {first: amount}\n  \
    last: {last: amount}\n  price: {sum: price}\n  cheapest: {min: price}\n  dearest: {max: price}\n  \
    typical: {mean: price}\n";

/// What to measure.
#[derive(Args)]
pub struct Arguments {
    /// Records of 200 bytes; of larger ones as many as have the same size together
    #[arg(long, default_value = "6.3M", value_parser = quantity)]
    records: u64,
    /// Only these variants, by name
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Who reads the topics
    #[arg(long, value_enum, value_delimiter = ',', default_value = "transport,tidemill")]
    systems: Vec<System>,
    /// The core of the broker and of the bench
    #[arg(long, default_value_t = 0)]
    broker_core: usize,
    /// The core of the system
    #[arg(long, default_value_t = 1)]
    core: usize,
}

/// A variant and its runs.
#[derive(Debug, Serialize)]
struct Variant {
    /// Its name.
    name: String,
    /// Its records.
    shape: Shape,
    /// Its windows.
    windows: Windows,
    /// One run for each system.
    runs: Vec<Measured>,
}

/// Measures every variant on a topic of its own, which is deleted afterwards.
///
/// # Errors
/// A system fails, or its results are not those that the records call for.
pub fn run(arguments: &Arguments) -> anyhow::Result<Answer> {
    for system in &arguments.systems {
        system.prepare()?;
    }
    let mut apache = Apache::start(arguments.broker_core)?;
    let mut all = Vec::new();
    for case in cases(arguments.records) {
        if arguments.only.is_empty() || arguments.only.iter().any(|name| name == case.name) {
            all.push(case.run(&mut apache, &arguments.systems, arguments)?);
        }
    }
    Answer::new("variants", &all, section(&all))
}

fn section(variants: &[Variant]) -> String {
    let of = |variant: &Variant, system| variant.runs.iter().find(|run| run.system == system).cloned();
    let base = variants.iter().find(|variant| variant.name == "base").and_then(|base| of(base, System::Tidemill));
    let row = |variant: &Variant| {
        let (ours, transport) = (of(variant, System::Tidemill), of(variant, System::Transport));
        let ratio = |other: &Option<Measured>| match (&ours, other) {
            (Some(ours), Some(other)) => format!("{:.2}", ours.cpu_ns_per_record / other.cpu_ns_per_record),
            _ => "–".into(),
        };
        let cpu = |run: &Option<Measured>| run.as_ref().map_or("–".into(), |run| grouped(run.cpu_ns_per_record));
        [
            variant.name.clone(),
            ours.as_ref().map_or("–".into(), |run| grouped(run.records_per_s)),
            cpu(&ours),
            ratio(&base),
            cpu(&transport),
            ratio(&transport),
            ours.as_ref().map_or("–".into(), |run| megabytes(run.peak_bytes)),
        ]
    };
    let head = ["", "records/s", "CPU ns/record", "× base", "transport alone", "× transport", "peak resident MB"];
    table(head, &variants.iter().map(row).collect::<Vec<_>>())
}

struct Case {
    name: &'static str,
    shape: Shape,
    windows: Windows,
    aggregates: String,
    budget: &'static str,
}

fn cases(records: u64) -> Vec<Case> {
    let base = Shape {
        records,
        keys: 100_000,
        zipf: false,
        value_bytes: 200,
        partitions: 4,
        codec: "none".into(),
        event_rate: 100_000,
    };
    let case = |name, shape| Case { name, shape, windows: TUMBLING, aggregates: FOUR.into(), budget: "256MiB" };
    let large = Shape { value_bytes: 1_000, records: records / 4, event_rate: 25_000, ..base.clone() };
    vec![
        case("base", base.clone()),
        case("lz4", Shape { codec: "lz4".into(), ..base.clone() }),
        case("zstd", Shape { codec: "zstd".into(), ..base.clone() }),
        case("zipf", Shape { zipf: true, ..base.clone() }),
        case("1k keys", Shape { keys: 1_000, ..base.clone() }),
        Case { budget: "2GiB", ..case("1M keys", Shape { keys: 1_000_000, ..base.clone() }) },
        Case { windows: HOPPING, ..case("hopping 10 s / 1 s", Shape { keys: 10_000, ..base.clone() }) },
        Case { aggregates: format!("{FOUR}{TWELVE}"), ..case("12 aggregates", base) },
        case("1 KB values", large),
    ]
}

impl Case {
    fn run(self, apache: &mut Apache, systems: &[System], arguments: &Arguments) -> anyhow::Result<Variant> {
        const SOURCE: &str = "variant";
        unpin_self()?;
        let expected = load(apache, SOURCE, &self.shape, self.windows)?;
        pin_self(arguments.broker_core)?;
        let mut runs = Vec::new();
        for system in systems {
            let job = Job {
                windows: self.windows,
                aggregates: self.aggregates.clone(),
                extra: within(self.budget),
                ..Job::new(&format!("variant-{}-{}", word(self.name), system.word()), SOURCE, arguments.core)
            };
            let measured = measure(apache, *system, &job, &self.shape, &expected)?;
            eprintln!("{:20} {}", self.name, measured.line());
            runs.push(measured);
        }
        apache.delete(SOURCE)?;
        Ok(Variant { name: self.name.into(), shape: self.shape, windows: self.windows, runs })
    }
}

/// A name that a topic can have.
fn word(name: &str) -> String {
    name.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-")
}
