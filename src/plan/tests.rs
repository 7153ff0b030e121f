//! Plans from given numbers, as text and as JSON; samples of made-up and of real streams.

use super::*;
use crate::broker::{Headers, Record};
use crate::config;
use crate::partitioner;
use std::collections::{HashMap, HashSet};
use std::path::Path;

fn config(window: &str, more: &str) -> Config {
    let source = if more.contains("source:") { "" } else { "source: { topics: [in] }\n" };
    let aggregate =
        if more.contains("aggregate:") { "" } else { "aggregate: { n: count, total: { sum: v }, top: { max: v } }\n" };
    let text = format!(
        "name: p\nkafka: {{ brokers: b }}\nwindow: {{ {window} }}\nsink: {{ topic: out }}\n{source}{aggregate}{more}"
    );
    match config::parse("p.yaml", &text, Path::new("."), &|_| None) {
        Ok(loaded) => loaded.config,
        Err(complaints) => panic!("{}", complaints.iter().map(ToString::to_string).collect::<String>()),
    }
}

/// `window; more of the file; keys, records/s, partitions, skew; MiB` → the plan, on two cores.
fn plan(window: &str, more: &str, (keys, rate, partitions, skew): (u64, f64, usize, f64), mib: u64) -> Plan {
    let given = Given { keys, rate, key_bytes: 16.0, value_bytes: 200.0, partitions, skew };
    let place = Place { cores: 2, budget_bytes: mib << 20, budget_from: None, retention_ms: None };
    judge(&config(window, more), Load::given(&given), place)
}

fn shown(plan: &Plan) -> String {
    let text = plan.to_string();
    for line in text.lines().filter(|line| !line.starts_with('e') && !line.starts_with(" =")) {
        assert!(line.chars().count() <= 100, "{line}");
    }
    text
}

#[test]
fn a_plan_that_fits_says_what_it_takes() {
    let plan = plan("tumbling: 1m, grace: 10s", "", (100_000, 50_000.0, 8, 1.0), 256);
    assert!(plan.is_possible());
    insta::assert_snapshot!(shown(&plan));
}

#[test]
fn hopping_windows_are_counted_in_panes() {
    let plan = plan("hopping: { size: 1h, every: 5m }, grace: 2m", "", (20_000, 1_000.0, 4, 0.0), 512);
    assert_eq!((plan.state.open, plan.state.panes), (13, 13));
    insta::assert_snapshot!(shown(&plan));
}

#[test]
fn windows_that_do_not_fit_are_refused_with_what_helps() {
    let plan = plan("tumbling: 1h, grace: 6h", "", (1_000_000, 20_000.0, 8, 0.0), 256);
    insta::assert_snapshot!(shown(&plan));
}

#[test]
fn each_way_out_is_one() {
    let (window, numbers) = ("tumbling: 1h, grace: 6h", (1_000_000, 20_000.0, 8, 0.0));
    let refused = plan(window, "", numbers, 256);
    let ways = &refused.problems[0].ways;
    assert!(ways.len() >= 3, "{ways:?}");
    let enough = refused.enough_bytes.unwrap() >> 20;
    assert!(ways[0].contains(&format!("{enough}MiB")), "{ways:?}");
    assert!(plan(window, "", numbers, enough).is_possible());
    assert!(!plan(window, "", numbers, enough - 1).is_possible());
    for way in ways.iter().filter_map(|way| way.strip_prefix("window: { ")) {
        let changed = way.trim_end_matches(" }");
        let window = match changed.starts_with("grace") {
            true => format!("tumbling: 1h, {changed}"),
            false => format!("{changed}, grace: 6h"),
        };
        assert!(plan(&window, "", numbers, 256).is_possible(), "{way}");
    }
}

#[test]
fn what_cannot_be_says_why_in_one_word_for_machines() {
    let kinds = |plan: &Plan| plan.problems.iter().map(|problem| problem.kind).collect::<Vec<_>>();
    let small = plan("tumbling: 1m, grace: 0s", "", (10, 10.0, 4, 0.0), 16);
    assert_eq!(kinds(&small), ["budget"]);
    assert!(!small.shares.is_empty(), "the figures are those of a budget that suffices");
    let hot = plan("tumbling: 1s, grace: 0s", "", (1000, 1e7, 4, 0.0), 512);
    assert_eq!(kinds(&hot), ["speed"]);
    assert!(hot.problems[0].ways[0].ends_with("partitions of the source"), "{hot}");
    let one = plan("tumbling: 1s, grace: 0s", "", (1, 1e7, 4, 0.0), 512);
    assert!(one.problems[0].ways[0].starts_with("another key"), "{one}");
    let burst = plan("tumbling: 1h, grace: 0s", "commit: { timeout: 1s }", (4_000_000, 50_000.0, 1, 0.0), 4096);
    assert_eq!(kinds(&burst), ["commit_timeout"]);
    let mut place = small.place.clone();
    (place.budget_bytes, place.retention_ms) = (512 << 20, Some(60_000));
    let kept = judge(&config("tumbling: 1m, grace: 1s", ""), small.load.clone(), place);
    assert_eq!(kinds(&kept), ["retention"]);
}

#[test]
fn a_plan_for_machines_has_every_number() {
    let plan = plan("tumbling: 1m, grace: 10s", "", (100_000, 50_000.0, 8, 1.0), 256);
    insta::assert_snapshot!(format!("{:#}", plan.json()));
}

#[test]
fn a_worker_that_starts_with_too_many_declared_keys_is_warned() {
    let keys: String = (0..200_000).map(|number| format!("k{number},")).collect();
    let config = config("tumbling: 1m, grace: 1h", &format!("source: {{ topics: [in], keys: [{keys}] }}\n"));
    let budget = |mib: u64| Budget::of(&config, mib << 20, Lanes::Exactly(1)).unwrap();
    let problem = check(&config, &budget(64), 4).unwrap_err();
    let enough = problem.ways[0].strip_prefix("memory: { budget: ").unwrap().trim_end_matches("MiB }");
    let enough = enough.parse().unwrap();
    assert!(check(&config, &budget(enough), 4).is_ok() && check(&config, &budget(enough - 1), 4).is_err());
}

/// Loads of streams of `(key, event time)`, dealt out to 4 partitions by their keys.
fn sampled<'k>(config: &Config, stream: impl Iterator<Item = (&'k [u8], i64)>) -> (Load, usize) {
    let mut sample = Sample::new(&config.pipeline, i64::MAX / 2);
    let mut keys = HashSet::new();
    for (offset, (key, time_ms)) in stream.enumerate() {
        keys.insert(key.to_vec());
        let slot = partitioner::partition(Some(key), 0, 4).unsigned_abs();
        let offset = offset as i64;
        let headers = Headers::default();
        let value = Some(&b"{}"[..]);
        sample.add(&Record { slot, offset, timestamp_ms: time_ms, key: Some(key), value, headers });
    }
    (sample.load(4).unwrap(), keys.len())
}

#[test]
fn one_time_tells_no_rate() {
    let config = config("tumbling: 1m, grace: 0s", "");
    let mut sample = Sample::new(&config.pipeline, i64::MAX / 2);
    let mut add = |slot, offset, timestamp_ms| {
        let (key, value) = (Some(&b"k"[..]), Some(&b"{}"[..]));
        sample.add(&Record { slot, offset, timestamp_ms, key, value, headers: Headers::default() });
        sample.load(2)
    };
    assert!((0..1000).all(|offset| add(0, offset, 5_000).is_none()), "a thousand records, and all at one time");
    assert_eq!(add(1, 0, 1_000), None);
    let load = add(1, 1, 11_000).unwrap();
    assert_eq!((load.rate, load.hottest_partition), (100.2, 100.0 / 100.2));
}

/// By counting every key.
fn entropy(keys: &[String]) -> f64 {
    let mut counts = HashMap::<_, f64>::new();
    keys.iter().for_each(|key| *counts.entry(key).or_default() += 1.0);
    let bits = counts.values().map(|count| count / keys.len() as f64).map(|share| -share * share.log2());
    bits.sum::<f64>() / (counts.len() as f64).log2()
}

#[track_caller]
fn near(found: f64, expected: f64, percent: f64) {
    assert!((found - expected).abs() <= expected * percent / 100.0, "{found}, and not about {expected}");
}

#[derive(serde::Deserialize)]
struct Flight<'f> {
    scheduled: i64,
    carrier: &'f str,
    tail: Option<&'f str>,
}

#[test]
fn keys_of_flights_are_counted_within_three_percent() {
    let file = std::fs::File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/data/flights-2013.jsonl.zst")).unwrap();
    let text = String::from_utf8(zstd::decode_all(file).unwrap()).unwrap();
    let flights: Vec<Flight<'_>> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let config = config("tumbling: 1d, grace: 1d", "");
    for (by_tail, known) in [(false, 16), (true, 4043)] {
        let keyed = flights.iter().filter_map(|flight| {
            let key = if by_tail { flight.tail? } else { flight.carrier };
            Some((key.as_bytes(), flight.scheduled))
        });
        let (load, distinct) = sampled(&config, keyed);
        assert_eq!(distinct, known);
        near(load.keys.distinct(), known as f64, 3.0);
        let rows = load.rows.unwrap();
        assert!((360..=365).contains(&rows.windows), "{rows:?}");
        assert!(rows.window.mean <= rows.window.max, "{rows:?}");
        // A year has 31.5 million seconds.
        near(load.rate, flights.len() as f64 / 31_536_000.0, 3.0);
    }
}

#[test]
fn a_million_keys_of_zipf_are_counted_within_three_percent_and_their_law_is_found() {
    let law = Keys::Zipf { keys: 1_000_000, exponent: 1.0 };
    // Ranks by the inverse of the harmonic sum, ln(n) + γ, in an order that a full-period generator gives.
    let scale = (1_000_000_f64).ln() + 0.577;
    let mut state = 1_u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let ranks: Vec<_> = (0..1_000_000).map(|_| ((random() * scale - 0.577).exp().round() as u64).max(1)).collect();
    let keys: Vec<_> = ranks.iter().map(|rank| format!("key-{rank}")).collect();
    let config = config("tumbling: 10s, grace: 0s", "");
    let stream = keys.iter().enumerate().map(|(index, key)| (key.as_bytes(), index as i64 / 50));
    let (load, distinct) = sampled(&config, stream);
    near(load.keys.distinct(), distinct as f64, 3.0);
    near(load.rate, 50_000.0, 1.0);
    near(load.keys.entropy(), entropy(&keys), 1.0);
    near(load.keys.among(500_000.0), law.among(500_000.0), 6.0);
    near(load.keys.hottest(), law.hottest(), 30.0);
    let first: HashSet<_> = keys[..500_000].iter().collect();
    let rows = load.rows.unwrap();
    assert_eq!(rows.windows, 1, "the second of them is not whole");
    near(rows.window.max, first.len() as f64, 3.0);
}
