//! The cost of scale: CPU time a record and memory a key, over numbers of partitions, lanes and keys.

use crate::answer::{Answer, grouped, megabytes};
use crate::apache::{Apache, pin_self, unpin_self};
use crate::expected::TUMBLING;
use crate::load::load;
use crate::measure::{Measured, measure};
use crate::plot::{Line, Lines, Scale};
use crate::report::table;
use crate::shape::{Shape, quantity};
use crate::system::{Job, System, within};
use clap::Args;
use serde::Serialize;

/// What to measure.
#[derive(Args)]
pub struct Arguments {
    /// Records of each run
    #[arg(long, default_value = "3.3M", value_parser = quantity)]
    records: u64,
    /// Numbers of partitions
    #[arg(long, value_delimiter = ',', default_value = "1,2,4,8,64,512")]
    partitions: Vec<i32>,
    /// Numbers of lanes
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    lanes: Vec<u32>,
    /// Numbers of keys
    #[arg(long, value_delimiter = ',', value_parser = quantity, default_value = "1k,10k,100k,1M,10M")]
    keys: Vec<u64>,
    /// The core of the broker and of the bench
    #[arg(long, default_value_t = 0)]
    broker_core: usize,
    /// The core of the worker
    #[arg(long, default_value_t = 1)]
    core: usize,
}

/// One run.
#[derive(Debug, Serialize)]
struct Point {
    /// Partitions of the source.
    partitions: i32,
    /// Lanes of the worker, on one core.
    lanes: u32,
    /// Different keys.
    keys: u64,
    /// Different keys in a window: fewer, where a window has not enough records for all.
    keys_per_window: u64,
    /// What was measured.
    measured: Measured,
}

/// Measures each partition count with each number of lanes, and each number of keys.
///
/// # Errors
/// The worker fails, or its results are not those that the records call for.
pub fn run(arguments: &Arguments) -> anyhow::Result<Answer> {
    System::Tidemill.prepare()?;
    let mut apache = Apache::start(arguments.broker_core)?;
    let mut all = Vec::new();
    for partitions in &arguments.partitions {
        all.extend(points(&mut apache, arguments, *partitions, &arguments.lanes, 100_000)?);
    }
    for keys in arguments.keys.iter().filter(|keys| **keys != 100_000) {
        all.extend(points(&mut apache, arguments, 4, &[1], *keys)?);
    }
    let answer = Answer::new("scale", &all, section(&all))?;
    let answer = answer.plot("scale-partitions", "CPU time a record over partitions", over_partitions(&all));
    Ok(answer.plot("scale-keys", "CPU time a record and memory a key over keys", over_keys(&all)))
}

fn section(points: &[Point]) -> String {
    let least = points.iter().filter(|point| is_over_keys(point)).min_by_key(|point| point.keys);
    let row = |point: &Point| {
        let more = |least: &Point| {
            let bytes = point.measured.peak_bytes.saturating_sub(least.measured.peak_bytes);
            format!("{:.0}", bytes as f64 / (point.keys_per_window - least.keys_per_window) as f64)
        };
        let per_key = least.filter(|least| is_over_keys(point) && point.keys > least.keys).map(more);
        [
            grouped(f64::from(point.partitions)),
            point.lanes.to_string(),
            grouped(point.keys as f64),
            grouped(point.keys_per_window as f64),
            grouped(point.measured.cpu_ns_per_record),
            megabytes(point.measured.peak_bytes),
            per_key.unwrap_or_default(),
        ]
    };
    let head = [
        "partitions",
        "lanes",
        "keys",
        "keys in a window",
        "CPU ns/record",
        "peak resident MB",
        "bytes for each further key of a window",
    ];
    table(head, &points.iter().map(row).collect::<Vec<_>>())
}

fn is_over_keys(point: &Point) -> bool {
    point.partitions == 4 && point.lanes == 1
}

fn over_partitions(points: &[Point]) -> String {
    let line = |lanes| {
        let points = points.iter().filter(|point| point.keys == 100_000 && point.lanes == lanes);
        let points = points.map(|point| (f64::from(point.partitions), point.measured.cpu_ns_per_record)).collect();
        Line { name: format!("{lanes} lane{}", if lanes == 1 { "" } else { "s" }), points }
    };
    let mut lanes: Vec<_> = points.iter().map(|point| point.lanes).collect();
    lanes.sort_unstable();
    lanes.dedup();
    let (x, y) = (("partitions", Scale::Log), ("CPU ns a record", Scale::Linear));
    Lines { title: "100,000 keys on one core", x, y, lines: lanes.into_iter().map(line).collect() }.svg()
}

fn over_keys(points: &[Point]) -> String {
    let line = |name: &str, number: fn(&Point) -> f64| {
        let mut points: Vec<_> =
            points.iter().filter(|point| is_over_keys(point)).map(|point| (point.keys as f64, number(point))).collect();
        points.sort_by(|one, two| one.0.total_cmp(&two.0));
        Line { name: name.into(), points }
    };
    let lines = vec![
        line("CPU ns a record", |point| point.measured.cpu_ns_per_record),
        line("peak resident MB", |point| point.measured.peak_bytes as f64 / 1e6),
    ];
    let (x, y) = (("keys", Scale::Log), ("ns, MB", Scale::Log));
    Lines { title: "4 partitions, one lane", x, y, lines }.svg()
}

/// One topic, and the worker on it with each number of lanes.
fn points(
    apache: &mut Apache,
    arguments: &Arguments,
    partitions: i32,
    lanes: &[u32],
    keys: u64,
) -> anyhow::Result<Vec<Point>> {
    const SOURCE: &str = "scale";
    let shape = Shape {
        records: arguments.records,
        keys,
        zipf: false,
        value_bytes: 200,
        partitions,
        codec: "none".into(),
        event_rate: 100_000,
    };
    unpin_self()?;
    let expected = load(apache, SOURCE, &shape, TUMBLING)?;
    pin_self(arguments.broker_core)?;
    let mut all = Vec::new();
    for lanes in lanes.iter().copied().filter(|lanes| *lanes as i32 <= partitions) {
        let job = Job {
            extra: format!("{}lanes: {lanes}\n", within("8GiB")),
            ..Job::new(&format!("scale-{partitions}-{lanes}-{keys}"), SOURCE, arguments.core)
        };
        let measured = measure(apache, System::Tidemill, &job, &expected)?;
        eprintln!("{partitions:4} partitions {lanes} lanes {keys:9} keys {}", measured.line());
        all.push(Point { partitions, lanes, keys, keys_per_window: expected.keys_per_window(), measured });
    }
    apache.delete(SOURCE)?;
    Ok(all)
}
