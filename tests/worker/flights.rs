//! The flights of 2013 on a real broker: the facts that an independent program found, and every window by the model.

use crate::judge::Truth;
use crate::process::{PATIENCE, until};
use crate::stage::{PARTITIONS, Setup, Stage};
use crate::support::kafka::Kafka;
use crate::support::model::json::Json;
use crate::support::model::murmur2;
use std::sync::OnceLock;
use std::time::Instant;
use tidemill::broker::Headers;
use tidemill::kafka::Loader;

/// One departure.
pub struct Flight {
    pub seen_ms: i64,
    pub carrier: String,
    pub tail: Option<String>,
    pub json: String,
}

/// All departures in the order in which they left.
pub fn flights() -> &'static [Flight] {
    static FLIGHTS: OnceLock<Vec<Flight>> = OnceLock::new();
    FLIGHTS.get_or_init(|| {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/data/flights-2013.jsonl.zst");
        let text = String::from_utf8(zstd::decode_all(std::fs::File::open(path).unwrap()).unwrap()).unwrap();
        text.lines().map(flight).collect()
    })
}

fn flight(line: &str) -> Flight {
    let json = Json::read(line.as_bytes()).unwrap();
    let text = |name: &str| json.at(name).map(|value| value.text().trim_matches('"').to_owned());
    let seen_ms = text("seen").unwrap().parse().unwrap();
    Flight { seen_ms, carrier: text("carrier").unwrap(), tail: text("tail"), json: line.to_owned() }
}

/// The pipeline of config/flights.yaml on other topics.
pub fn setup(window: &str) -> Setup {
    Setup {
        source: "time: { field: scheduled, format: unix_ms }".into(),
        window: window.into(),
        aggregate: "flights: count, total_delay: { sum: dep_delay }, mean_delay: { mean: dep_delay }, \
                    worst_delay: { max: dep_delay }"
            .into(),
        ..Setup::default()
    }
}

/// Writes flights with the time at which they were seen; without a key they go to the partition of an empty one.
pub fn load(stage: &Stage<'_>, flights: &[Flight], key: impl Fn(&Flight) -> Option<&str>) {
    let mut loader = stage.loader();
    flights.iter().for_each(|flight| send(&mut loader, flight, key(flight)));
    loader.flush(PATIENCE).unwrap();
}

/// Queues one flight.
pub fn send(loader: &mut Loader, flight: &Flight, key: Option<&str>) {
    let key = key.map(str::as_bytes);
    let partition = murmur2::partition(key.unwrap_or_default(), PARTITIONS);
    loader.send(partition, flight.seen_ms, key, Some(flight.json.as_bytes()), Headers::default()).unwrap();
}

/// What the facts name: merged, late, dead, windows, and how many of those silence closed, if they say so.
type Facts = ([usize; 4], Option<usize>);

fn facts_are_met(hint: &str, window: &str, key: impl Fn(&Flight) -> Option<&str>, facts: Facts) -> Truth {
    let stage = Stage::new(Kafka::shared(), hint, setup(&format!("{window}, idle: {{ after: 2s, then: close }}")));
    let since = Instant::now();
    load(&stage, flights(), key);
    let loaded = since.elapsed();
    let mut worker = stage.worker("a");
    worker.until_live(4);
    let ready = worker.started.elapsed();
    let (facts, by_silence) = facts;
    let windows = facts[3];
    let closed = |reason: &str| worker.sum("tidemill_close_windows_total", &[reason]) as usize;
    let written = || worker.sum("tidemill_produce_records_total", &[r#"outlet="sink""#]) as usize;
    until("all windows are written", || written() >= windows);
    let took = worker.started.elapsed();
    let fate = |fate: &str| worker.sum("tidemill_merge_records_total", &[&format!("fate=\"{fate}\"")]) as usize;
    let found = [fate("merged"), fate("late"), fate("dead"), closed("watermark") + closed("idle")];
    assert_eq!(found, facts, "what /metrics says of merged, late, dead, windows");
    assert!(by_silence.is_none_or(|windows| windows == closed("idle")), "{} closed by silence", closed("idle"));
    assert_eq!(worker.sum("tidemill_poll_records_total", &[]) as usize, flights().len());
    assert_eq!(worker.page("/livez").unwrap().0, 200);
    assert_eq!(worker.page("/readyz").unwrap().0, 200);
    let memory = worker.sum("process_resident_memory_bytes", &[]) / 1e6;
    let (code, left) = worker.stop();
    assert_eq!(code, Some(0));
    println!(
        "{hint}: loaded in {loaded:?}; live after {ready:?}, all windows after {took:?}, {memory:.0} MB; left in {left:?}"
    );

    let truth = Truth::of(&stage, true);
    let expected = [truth.merged, truth.late(), truth.dead(), truth.windows()];
    assert_eq!(expected, facts, "what the model says");
    assert_eq!(truth.read, flights().len());
    truth.hold(&stage);
    truth
}

#[test]
fn flights_by_carrier_and_hour_meet_the_facts() {
    let facts = ([322_792, 13_984, 0, 59_603], Some(8));
    let truth = facts_are_met("carrier", "tumbling: 1h, grace: 1h", |flight| Some(&flight.carrier), facts);
    let number = |text: &str| text.parse::<f64>().ok();
    let total: f64 = truth.all_windows().filter_map(|window| number(window.value("total_delay"))).sum();
    let worst = truth.all_windows().filter_map(|window| number(window.value("worst_delay"))).fold(0.0, f64::max);
    assert_eq!((total, worst), (2_015_999.0, 437.0));
}

#[test]
fn flights_by_aircraft_meet_the_facts_and_those_without_one_are_dead_letters() {
    let window = "tumbling: 1h, grace: 1h";
    let truth =
        facts_are_met("tail", window, |flight| flight.tail.as_deref(), ([320_228, 14_036, 2_512, 319_959], None));
    assert_eq!(truth.partly_late, 0);
}

#[test]
fn flights_in_overlapping_windows_meet_the_facts() {
    let window = "hopping: { size: 6h, every: 1h }, grace: 1h";
    let truth = facts_are_met("hopping", window, |flight| Some(&flight.carrier), ([336_669, 107, 0, 96_854], None));
    let counts = truth.all_windows().map(|window| window.value("flights").parse::<u64>().unwrap());
    assert_eq!((counts.sum::<u64>(), truth.partly_late), (1_999_305, 13_877));
}
