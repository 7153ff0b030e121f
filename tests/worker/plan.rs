//! Plan against reality: keys and peak memory of three pipelines, as `tidemill plan --connect` predicts them and as a
//! worker on a real broker then has them.

use crate::flights::{self, Flight, flights};
use crate::process::{PATIENCE, until};
use crate::stage::{PARTITIONS, Setup, Stage};
use crate::support::generate::Random;
use crate::support::kafka::Kafka;
use crate::support::model::murmur2;
use serde_json::Value;
use std::collections::HashSet;
use std::process::Command;
use tidemill::broker::Headers;

const BUDGET: &str = "memory: { budget: 192MiB }\nlanes: 2\n";
/// Allowed difference of memory, in percent of what is measured.
const MEMORY_PERCENT: f64 = 20.0;
const KEYS_PERCENT: f64 = 3.0;

fn plan(stage: &Stage<'_>) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidemill"));
    let output = command.arg("plan").arg(stage.file("a")).args(["--connect", "--json"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The middle of three peaks: how full queues are at the worst moment is chance.
fn usual_peak(stage: &Stage<'_>, records: usize) -> f64 {
    let mut peaks = [0; 3].map(|_| {
        let peak = peak(stage, records);
        let mut again = Command::new(env!("CARGO_BIN_EXE_tidemill"));
        let output = again.arg("state").arg(stage.file("a")).args(["--reset", "all=earliest"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        peak
    });
    peaks.sort_by(f64::total_cmp);
    peaks[1]
}

/// Starts a worker, waits until it has read so many records and has nothing left to say, and returns its peak in bytes.
fn peak(stage: &Stage<'_>, records: usize) -> f64 {
    let worker = stage.worker("a");
    worker.until_live(PARTITIONS as usize);
    until("all is read", || worker.sum("tidemill_poll_records_total", &[]) as usize >= records);
    until("all that is closed is committed", || {
        let written = worker.sum("tidemill_produce_records_total", &[r#"outlet="sink""#]);
        written == worker.sum("tidemill_close_windows_total", &[])
    });
    let peak = worker.peak_bytes().unwrap() as f64;
    worker.stop_well();
    peak
}

/// Keys and memory as predicted and as they are. What this build of the binary has without any work is taken from a
/// worker that has none: a plan knows that of the released one.
fn hold(hint: &str, stage: &Stage<'_>, keys: usize, records: usize) {
    let plan = plan(stage);
    let number = |pointer: &str| plan.pointer(pointer).and_then(Value::as_f64).unwrap();
    let idle = Stage::new(stage.kafka, &format!("{hint}-idle"), stage.setup.clone());
    let at_rest = peak(&idle, 0);
    let fixed: f64 = [0, 1].iter().map(|holder| number(&format!("/memory/holders/{holder}/expected_bytes"))).sum();
    let told = number("/memory/expected_peak_bytes");
    let predicted = told - fixed + at_rest;
    let measured = usual_peak(stage, records);
    let off = |found: f64, expected: f64| 100.0 * (found / expected - 1.0);
    let (memory, distinct) = (off(predicted, measured), off(number("/load/keys"), keys as f64));
    let mib = |bytes: f64| bytes / f64::from(1 << 20);
    println!(
        "{hint}: {keys} keys, predicted {distinct:+.1} %; peak {:.1} MiB, predicted {:.1} MiB ({memory:+.1} %); at rest \
         {:.1} MiB, by the plan {:.1} MiB; with that {:.1} MiB ({:+.1} %)",
        mib(measured),
        mib(predicted),
        mib(at_rest),
        mib(fixed),
        mib(told),
        off(told, measured)
    );
    assert!(distinct.abs() <= KEYS_PERCENT, "{hint}: keys {distinct:+.1} %: {plan:#}");
    assert!(memory.abs() <= MEMORY_PERCENT, "{hint}: memory {memory:+.1} %: {plan:#}");
}

fn of_flights(hint: &str, window: &str, key: impl Fn(&Flight) -> Option<&str>) {
    let setup = Setup { rest: BUDGET.into(), ..flights::setup(&format!("{window}, idle: off")) };
    let stage = Stage::new(Kafka::shared(), hint, setup);
    flights::load(&stage, flights(), &key);
    let keys: HashSet<_> = flights().iter().filter_map(&key).collect();
    hold(hint, &stage, keys.len(), flights().len());
}

#[test]
fn the_memory_of_flights_by_carrier_is_as_planned() {
    of_flights("plan-carrier", "tumbling: 1d, grace: 1d", |flight| Some(&flight.carrier));
}

#[test]
fn the_memory_of_flights_by_aircraft_is_as_planned() {
    of_flights("plan-tail", "tumbling: 1d, grace: 1d", |flight| flight.tail.as_deref());
}

#[test]
fn the_memory_of_a_million_keys_of_zipf_is_as_planned() {
    const RECORDS: usize = 1_500_000;
    let seed = 20_131;
    println!("TIDEMILL_SEED={seed}");
    let random = Random::new(seed);
    let setup = Setup {
        source: "max_ahead: off".into(),
        window: "tumbling: 10s, grace: 0s, idle: off".into(),
        aggregate: "n: count, total: { sum: v }, lowest: { min: v }, highest: { max: v }".into(),
        rest: BUDGET.into(),
        ..Setup::default()
    };
    let stage = Stage::new(Kafka::shared(), "plan-zipf", setup);
    let mut loader = stage.loader();
    let mut keys = HashSet::new();
    // The harmonic sum is about ln(n) + γ; 50,000 records are a second.
    let sum = 1_000_000_f64.ln() + 0.577_2;
    for number in 0..RECORDS {
        let share = random.between(0, 1 << 40) as f64 / (1_u64 << 40) as f64;
        let rank = ((share * sum - 0.577_2).exp().round() as u32).clamp(1, 1_000_000);
        keys.insert(rank);
        let (key, value) = (format!("key-{rank}"), format!(r#"{{"v":{}}}"#, number % 1000));
        let partition = murmur2::partition(key.as_bytes(), PARTITIONS);
        let time_ms = 1_700_000_000_000 + number as i64 / 50;
        loader.send(partition, time_ms, Some(key.as_bytes()), Some(value.as_bytes()), Headers::default()).unwrap();
    }
    loader.flush(PATIENCE).unwrap();
    hold("plan-zipf", &stage, keys.len(), RECORDS);
}
