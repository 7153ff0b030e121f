//! Latency: from the instant at which the record that closes a window was due until a read_committed consumer has the
//! window's first and last key. Open loop: a system that is slow does not slow the records down.

use crate::answer::{Answer, grouped};
use crate::apache::{Apache, pin_self};
use crate::expected::TUMBLING;
use crate::feed::{Fed, Place, feed};
use crate::measure::SINK_PARTITIONS;
use crate::plot::Bars;
use crate::process::Pinned;
use crate::report::table;
use crate::shape::{Shape, quantity};
use crate::stats::{Durations, Percentiles};
use crate::system::{Job, System};
use anyhow::{Context, ensure};
use clap::Args;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tidemill::broker::{Event, RecordBatch};
use tidemill::kafka::Reader;

/// Results that are still on their way when the records end.
const TAIL: Duration = Duration::from_secs(3);
/// A generator that is further behind than this at the end was not keeping up, nor is a worker whose last windows took
/// longer than `LAG_MAX`.
const BEHIND_MAX: Duration = Duration::from_millis(100);
const LAG_MAX: Duration = Duration::from_secs(1);
/// With few keys event time runs ten times faster, so that a rate closes enough windows for a p99.
const QUICK: (u64, u64) = (1_000, 10_000);

/// What to measure.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    shape: Shape,
    /// Seconds that each rate is held
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Records per second that are sustained; found by trying unless given
    #[arg(long, value_parser = quantity)]
    sustained: Option<u64>,
    /// The core of the broker, the generator and the reader
    #[arg(long, default_value_t = 0)]
    broker_core: usize,
    /// The core of the worker
    #[arg(long, default_value_t = 1)]
    core: usize,
}

/// One rate, held for some time.
#[derive(Clone, Debug, Serialize)]
struct Held {
    /// Records per second.
    rate: u64,
    /// Part of the sustained rate.
    load: f64,
    /// Different keys.
    keys: u64,
    /// The worker's commit interval.
    commit_ms: u64,
    /// Windows seen, one for each partition.
    windows: usize,
    /// Due to the first key visible.
    first: Percentiles,
    /// Due to the last key visible.
    last: Percentiles,
    /// How far the generator was behind its schedule at the end, milliseconds.
    behind_ms: f64,
    /// Whether neither generator nor worker fell behind.
    sustained: bool,
}

/// Results of the question.
#[derive(Debug, Serialize)]
struct Results {
    /// The highest rate that generator, broker and worker held, records per second.
    sustained: u64,
    /// The loads.
    held: Vec<Held>,
}

/// Finds the sustained rate, then holds 50 %, 80 % and 95 % of it; and 80 % with 1,000 keys and quick commits.
///
/// # Errors
/// The worker fails, or no rate is sustained.
pub fn run(arguments: &Arguments) -> anyhow::Result<Answer> {
    // A window is told by the partition of its results, which is that of its records only where there are as many.
    ensure!(arguments.shape.partitions == SINK_PARTITIONS, "latency needs {SINK_PARTITIONS} partitions");
    System::Tidemill.prepare()?;
    let mut apache = Apache::start(arguments.broker_core)?;
    pin_self(arguments.broker_core)?;
    let time = Duration::from_secs(arguments.seconds);
    let hold = |apache: &mut Apache, load: Load| {
        let held = hold(apache, &arguments.shape, load, arguments.core)?;
        eprintln!("{held:?}");
        anyhow::Ok(held)
    };
    let (keys, event_rate) = (arguments.shape.keys, arguments.shape.event_rate);
    let sustained = match arguments.sustained {
        Some(rate) => rate,
        None => {
            let mut rate = ceiling(&mut apache, &arguments.shape)?;
            // A quarter of the time refuses most rates; one that passes has to hold for all of it.
            let mut holds = |rate, time| {
                let load = Load { rate, load: 1.0, keys, event_rate, commit_ms: 100, time };
                anyhow::Ok(hold(&mut apache, load)?.sustained)
            };
            while !(holds(rate, time / 4)? && holds(rate, time)?) {
                rate = rate * 9 / 10;
                ensure!(rate > 1000, "no rate is sustained");
            }
            rate
        }
    };
    let (quick_keys, quick_rate) = QUICK;
    let loads = [
        (0.5, keys, event_rate, 100),
        (0.8, keys, event_rate, 100),
        (0.95, keys, event_rate, 100),
        (0.8, quick_keys, quick_rate, 10),
    ];
    let mut all = Vec::new();
    for (load, keys, event_rate, commit_ms) in loads {
        let rate = (sustained as f64 * load) as u64;
        all.push(hold(&mut apache, Load { rate, load, keys, event_rate, commit_ms, time })?);
    }
    let results = Results { sustained, held: all };
    Ok(Answer::new("latency", &results, section(&results))?.plot("latency", "Latency as bars", bars(&results)))
}

fn bars(results: &Results) -> String {
    let all = &results.held;
    let variants = all.iter().map(|held| format!("{:.0} %, {} keys", held.load * 100.0, grouped(held.keys as f64)));
    let panel = |us: fn(&Held) -> f64| all.iter().map(|held| us(held) / 1000.0).collect();
    Bars {
        title: "From due to the last key of a window visible",
        variants: variants.collect(),
        panels: vec![("median, ms", panel(|held| held.last.p50_us)), ("p99, ms", panel(|held| held.last.p99_us))],
    }
    .svg()
}

fn section(results: &Results) -> String {
    let ms = |us: f64| format!("{:.0}", us / 1000.0);
    let row = |held: &Held| {
        let Percentiles { p50_us, p99_us, p999_us } = held.last;
        [
            format!("{:.0} %", held.load * 100.0),
            grouped(held.rate as f64),
            grouped(held.keys as f64),
            format!("{} ms", held.commit_ms),
            grouped(held.windows as f64),
            ms(held.first.p50_us),
            ms(held.first.p99_us),
            ms(p50_us),
            ms(p99_us),
            ms(p999_us),
        ]
    };
    let head = [
        "load",
        "records/s",
        "keys",
        "commits every",
        "windows",
        "first p50",
        "first p99",
        "last p50",
        "last p99",
        "last p99.9",
    ];
    format!(
        "{}\nMilliseconds from due to visible; of fewer than 1,000 windows the p99.9 is the slowest, of fewer than 100 the p99. \
         Sustained by generator and broker on one core and the worker on the \
         other: {} records/s.",
        table(head, &results.held.iter().map(row).collect::<Vec<_>>()),
        grouped(results.sustained as f64)
    )
}

#[derive(Clone, Copy)]
struct Load {
    rate: u64,
    load: f64,
    keys: u64,
    event_rate: u64,
    commit_ms: u64,
    time: Duration,
}

/// What generator and broker manage on their core with nobody reading, records per second.
fn ceiling(apache: &mut Apache, shape: &Shape) -> anyhow::Result<u64> {
    const TOPIC: &str = "ceiling";
    apache.topic(TOPIC, shape.partitions, &shape.codec)?;
    // A rate that nobody reaches: all records are due at once.
    let (begun, at_once) = (Instant::now(), (100_000_000, Duration::from_millis(20)));
    let fed = feed(apache, TOPIC, shape, TUMBLING, at_once)?;
    apache.delete(TOPIC)?;
    Ok((fed.records as f64 / begun.elapsed().as_secs_f64()) as u64)
}

fn hold(apache: &mut Apache, shape: &Shape, load: Load, core: usize) -> anyhow::Result<Held> {
    let shape = Shape { keys: load.keys, event_rate: load.event_rate, ..shape.clone() };
    let name = format!("latency-{}-{}-{}", load.rate, load.keys, load.time.as_secs());
    let job = Job { commit_ms: Some(load.commit_ms), ..Job::new(&name, &format!("{name}-source"), core) };
    apache.topic(&job.source, shape.partitions, &shape.codec)?;
    apache.topic(&job.sink, SINK_PARTITIONS, "producer")?;
    let mut worker = System::Tidemill.start(apache, &job)?;
    let held = watch(apache, &shape, load, &job, &mut worker).with_context(|| worker.last_lines())?;
    worker.stop()?;
    apache.delete(&job.source)?;
    apache.delete(&job.sink)?;
    Ok(held)
}

fn watch(apache: &Apache, shape: &Shape, load: Load, job: &Job, worker: &mut Pinned) -> anyhow::Result<Held> {
    apache.until_member(&job.name, worker)?;
    let stop = AtomicBool::new(false);
    let (fed, seen) = std::thread::scope(|scope| {
        let reading = scope.spawn(|| seen(apache, &job.sink, &stop));
        let fed = feed(apache, &job.source, shape, TUMBLING, (load.rate, load.time));
        std::thread::sleep(TAIL);
        stop.store(true, Ordering::Relaxed);
        (fed, reading.join())
    });
    let fed = fed?;
    let seen = seen.map_err(|_| anyhow::anyhow!("the reader has panicked"))??;
    judge(load, &fed, &seen)
}

/// First and last sight of each window.
fn judge(load: Load, fed: &Fed, seen: &HashMap<Place, (Instant, Instant)>) -> anyhow::Result<Held> {
    let (mut first, mut last) = (Durations::new()?, Durations::new()?);
    let mut latest = Duration::ZERO;
    let mut windows: Vec<_> = fed.due.iter().collect();
    windows.sort_by_key(|(_, due)| **due);
    let missing = windows.iter().filter(|(place, _)| !seen.contains_key(place)).count();
    let tail = windows.len() * 9 / 10;
    for (number, (place, due)) in windows.iter().enumerate() {
        let Some((from, to)) = seen.get(place) else { continue };
        first.record(from.saturating_duration_since(**due).as_nanos() as u64);
        let took = to.saturating_duration_since(**due);
        last.record(took.as_nanos() as u64);
        if number >= tail {
            latest = latest.max(took);
        }
    }
    Ok(Held {
        rate: load.rate,
        load: load.load,
        keys: load.keys,
        commit_ms: load.commit_ms,
        windows: windows.len() - missing,
        first: first.percentiles(),
        last: last.percentiles(),
        behind_ms: fed.behind.as_secs_f64() * 1000.0,
        sustained: !windows.is_empty() && missing == 0 && fed.behind < BEHIND_MAX && latest < LAG_MAX,
    })
}

/// Reads results as they become visible, until `stop`.
pub(crate) fn seen(
    apache: &Apache,
    sink: &str,
    stop: &AtomicBool,
) -> anyhow::Result<HashMap<Place, (Instant, Instant)>> {
    let mut reader = Reader::open(&apache.config(""), sink, 0..SINK_PARTITIONS)?;
    let (mut batch, mut events) = (RecordBatch::new(1 << 20, 4096), Vec::<Event>::new());
    let mut seen = HashMap::<Place, (Instant, Instant)>::new();
    while !stop.load(Ordering::Relaxed) {
        batch.clear();
        events.clear();
        reader.poll(&mut batch, &mut events, Duration::from_millis(20))?;
        let now = Instant::now();
        for record in batch.iter() {
            let end = window_end(record.value.unwrap_or_default()).context("not a result")?;
            seen.entry((record.slot as i32, end)).or_insert((now, now)).1 = now;
        }
    }
    Ok(seen)
}

/// Only this member: parsing all of every result would keep the reader, and with it the broker's core, busy.
fn window_end(value: &[u8]) -> Option<i64> {
    const MEMBER: &[u8] = b"\"window_end\":";
    let at = value.windows(MEMBER.len()).position(|window| window == MEMBER)? + MEMBER.len();
    let digits = value.get(at..)?.iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_window_is_found_in_a_result() {
        assert_eq!(window_end(br#"{"key":"k","window_start":1,"window_end":20,"count":3}"#), Some(20));
        assert_eq!(window_end(b"{}"), None);
    }

    #[test]
    fn latency_counts_from_the_instant_that_was_due() {
        let begun = Instant::now();
        let after = |ms| begun + Duration::from_millis(ms);
        let fed = Fed { due: [((0, 10), after(5)), ((1, 10), after(7))].into(), behind: Duration::ZERO, records: 0 };
        let load = Load { rate: 1, load: 1.0, keys: 1, event_rate: 1, commit_ms: 10, time: Duration::ZERO };
        let seen = HashMap::from([((0, 10), (after(9), after(25)))]);
        let held = judge(load, &fed, &seen).unwrap();
        assert_eq!((held.windows, held.sustained), (1, false), "a window is missing");
        assert!((held.first.p50_us - 4_000.0).abs() < 10.0 && (held.last.p99_us - 20_000.0).abs() < 20.0, "{held:?}");
    }
}
