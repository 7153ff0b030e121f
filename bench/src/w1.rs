//! W1: tumbling windows of 10 s over 100,000 keys, exactly once from Kafka into Kafka, one core for the system.

use crate::answer::{Answer, grouped, megabytes};
use crate::apache::{Apache, KAFKA, pin_self};
use crate::expected::{TUMBLING, Windows};
use crate::load::load;
use crate::measure::{Measured, measure};
use crate::plot::Bars;
use crate::report::table;
use crate::shape::Shape;
use crate::system::{Job, System};
use clap::Args;
use serde::Serialize;

/// What to measure.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    pub(crate) shape: Shape,
    /// Who reads the topic, one after another
    #[arg(long, value_enum, value_delimiter = ',', default_value = "transport,tidemill,naive,flink,streams")]
    pub(crate) systems: Vec<System>,
    /// The core of the broker and of the bench
    #[arg(long, default_value_t = 0)]
    pub(crate) broker_core: usize,
    /// The core of the system under test
    #[arg(long, default_value_t = 1)]
    pub(crate) core: usize,
}

#[derive(Serialize)]
struct Results<'a> {
    shape: &'a Shape,
    windows: Windows,
    kafka: &'static str,
    librdkafka: String,
    runs: &'a [Measured],
}

/// Measures all systems on the same topic.
///
/// # Errors
/// A system fails, or its results are not those that the records call for.
pub fn run(arguments: &Arguments) -> anyhow::Result<Answer> {
    const SOURCE: &str = "events";
    for system in &arguments.systems {
        system.prepare()?;
    }
    let mut apache = Apache::start(arguments.broker_core)?;
    let expected = load(&apache, SOURCE, &arguments.shape, TUMBLING)?;
    pin_self(arguments.broker_core)?;
    let mut runs = Vec::new();
    for system in &arguments.systems {
        let job = Job::new(&format!("w1-{}", system.word()), SOURCE, arguments.core);
        let measured = measure(&mut apache, *system, &job, &expected)?;
        eprintln!("{}", measured.line());
        runs.push(measured);
    }
    let librdkafka = tidemill::kafka::version();
    let results = Results { shape: &arguments.shape, windows: TUMBLING, kafka: KAFKA, librdkafka, runs: &runs };
    let name = if arguments.shape.zipf { "w1-zipf" } else { "w1" };
    Ok(Answer::new(name, &results, section(&results))?.plot(name, "W1 as bars", bars(&runs)))
}

fn section(results: &Results<'_>) -> String {
    let ours = results.runs.iter().find(|run| run.system == System::Tidemill).map(|run| run.cpu_ns_per_record);
    let row = |run: &Measured| {
        [
            run.system.name().to_owned(),
            grouped(run.records_per_s),
            grouped(run.cpu_ns_per_record),
            ours.map_or(String::new(), |ours| format!("{:.2}", run.cpu_ns_per_record / ours)),
            megabytes(run.peak_bytes),
            if run.system.writes() { grouped(run.results as f64) } else { "–".into() },
        ]
    };
    let head = ["", "records/s", "CPU ns/record", "× tidemill", "peak resident MB", "results, all checked"];
    let rows: Vec<_> = results.runs.iter().map(row).collect();
    let Shape { records, keys, value_bytes, partitions, codec, .. } = results.shape;
    let measured = results.runs.first().map_or(0, |run| run.records);
    format!(
        "{}\n{} records of {value_bytes} bytes, {} keys{}, {partitions} partitions, compression {codec}; measured over the \
         last {} that close windows.",
        table(head, &rows),
        grouped(*records as f64),
        grouped(*keys as f64),
        if results.shape.zipf { " by Zipf's law" } else { "" },
        grouped(measured as f64),
    )
}

fn bars(runs: &[Measured]) -> String {
    let panel = |number: fn(&Measured) -> f64| runs.iter().map(number).collect();
    Bars {
        title: "W1: 10 s windows, 100,000 keys, exactly once, one core",
        variants: runs.iter().map(|run| run.system.name().to_owned()).collect(),
        panels: vec![
            ("CPU ns a record (less is better)", panel(|run| run.cpu_ns_per_record)),
            ("records a second (more is better)", panel(|run| run.records_per_s)),
            ("peak resident MB (less is better)", panel(|run| run.peak_bytes as f64 / 1e6)),
        ],
    }
    .svg()
}
