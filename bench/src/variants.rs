//! Variants of W1, each against transport alone on the same topic: compression, keys, hopping windows, more aggregates,
//! larger records; and the flights, which have little in common with it.

use crate::answer::{Answer, grouped, megabytes};
use crate::apache::{Apache, pin_self, unpin_self};
use crate::expected::{TUMBLING, Windows};
use crate::flights::{self, A_YEAR, HOURS};
use crate::load::load;
use crate::measure::{Facts, Measured, measure};
use crate::plot::Bars;
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

/// The four, of the flights' delays.
const DELAYS: &str = "  count: count\n  sum: {sum: dep_delay}\n  min: {min: dep_delay}\n  max: {max: dep_delay}\n";
const FLIGHTS: &str = "flights by carrier";

/// What to measure.
#[derive(Args)]
pub struct Arguments {
    /// Records of 200 bytes; of larger ones as many as have the same size together
    #[arg(long, default_value = "6.3M", value_parser = quantity)]
    records: u64,
    /// Only these variants, by name; a table of some would replace that of all
    #[arg(long, value_delimiter = ',', conflicts_with = "write")]
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
    /// Its records; the flights are as they are.
    shape: Option<Shape>,
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
            all.push(case.run(&mut apache, arguments)?);
        }
    }
    if arguments.only.is_empty() || arguments.only.iter().any(|name| name == FLIGHTS) {
        all.push(replay(&mut apache, arguments)?);
    }
    Ok(Answer::new("variants", &all, section(&all))?.plot("variants", "Variants as bars", bars(&all)))
}

fn bars(variants: &[Variant]) -> String {
    let cpu = |system| {
        let of =
            |variant: &Variant| variant.runs.iter().find(|run| run.system == system).map(|run| run.cpu_ns_per_record);
        variants.iter().map(|variant| of(variant).unwrap_or_default()).collect()
    };
    let panels =
        vec![("CPU ns a record, tidemill", cpu(System::Tidemill)), ("transport alone", cpu(System::Transport))];
    let variants = variants.iter().map(|variant| variant.name.clone()).collect();
    Bars { title: "W1 with one thing changed, and the flights", variants, panels }.svg()
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
        // What the next one is held against: queues and batches grow with the budget.
        Case { budget: "2GiB", ..case("2 GiB", base.clone()) },
        Case { budget: "2GiB", ..case("1M keys, 2 GiB", Shape { keys: 1_000_000, ..base.clone() }) },
        Case { windows: HOPPING, ..case("hopping 10 s / 1 s", Shape { keys: 10_000, ..base.clone() }) },
        Case { aggregates: format!("{FOUR}{TWELVE}"), ..case("12 aggregates", base) },
        case("1 KB values", large),
    ]
}

const SOURCE: &str = "variant";

impl Case {
    fn run(self, apache: &mut Apache, arguments: &Arguments) -> anyhow::Result<Variant> {
        unpin_self()?;
        let expected = load(apache, SOURCE, &self.shape, self.windows)?;
        let job = Job {
            windows: self.windows,
            aggregates: self.aggregates,
            extra: within(self.budget),
            ..Job::new("", SOURCE, arguments.core)
        };
        let runs = runs(apache, arguments, self.name, &job, &expected)?;
        Ok(Variant { name: self.name.into(), shape: Some(self.shape), windows: self.windows, runs })
    }
}

/// As many years of flights as have about as many records as the other variants.
fn replay(apache: &mut Apache, arguments: &Arguments) -> anyhow::Result<Variant> {
    unpin_self()?;
    let flights = flights::load(apache, SOURCE, 4, arguments.records.div_ceil(A_YEAR))?;
    let job =
        Job { windows: HOURS, time: "scheduled", aggregates: DELAYS.into(), ..Job::new("", SOURCE, arguments.core) };
    let runs = runs(apache, arguments, FLIGHTS, &job, &flights)?;
    Ok(Variant { name: FLIGHTS.into(), shape: None, windows: HOURS, runs })
}

/// Every system on the topic, which is deleted afterwards; each has a group and a sink of its own.
fn runs(
    apache: &mut Apache,
    arguments: &Arguments,
    variant: &str,
    job: &Job,
    facts: &dyn Facts,
) -> anyhow::Result<Vec<Measured>> {
    pin_self(arguments.broker_core)?;
    let mut runs = Vec::new();
    for system in &arguments.systems {
        let name = format!("variant-{}-{}", word(variant), system.word());
        let job = Job { sink: format!("{name}-results"), name, ..job.clone() };
        let measured = measure(apache, *system, &job, facts)?;
        eprintln!("{variant:20} {}", measured.line());
        runs.push(measured);
    }
    apache.delete(&job.source)?;
    Ok(runs)
}

/// A name that a topic can have.
fn word(name: &str) -> String {
    name.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-")
}
