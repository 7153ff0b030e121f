//! The flights of 2013 through a whole lane on the in-memory broker, against numbers that an independent program found.
//!
//! Nothing of the model runs here but its murmur2.

mod support {
    pub mod model;
    pub mod rig;
}

use std::time::Duration;
use support::model::murmur2;
use support::rig::{EVENTS, LATE, Rig, SINK};
use tidemill::config::{Aggregate, AggregateKind, Idle, Pipeline, StartAt, TimeFormat, TimeSource, Window};
use tidemill::fate::{Fate, Reason};

const HOUR_MS: i64 = 3_600_000;

/// What is seen of a run: records by fate, windows by reason, and what their values add up to.
#[derive(Debug, Default, PartialEq)]
struct Facts {
    merged: u64,
    partly_late: u64,
    late: u64,
    null_key: u64,
    dead: u64,
    by_watermark: u64,
    by_idle: u64,
    results: u64,
    count: u64,
    sum: f64,
    max: f64,
}

/// All flights keyed by the member `key`, in 4 partitions, windows of `size` every `every` with an hour of grace.
fn flights(key: &str, size_ms: i64, every_ms: i64) -> Facts {
    let aggregate =
        |name: &str, kind, path: Option<&str>| Aggregate { name: name.to_owned(), kind, path: path.map(str::to_owned) };
    let pipeline = Pipeline {
        start: StartAt::Earliest,
        time: TimeSource::Field { path: "scheduled".to_owned(), format: TimeFormat::UnixMs },
        max_record_bytes: 900 << 10,
        max_key_bytes: 16 << 10,
        max_ahead_ms: Some(300_000),
        keys: None,
        window: Window { size_ms, every_ms, offset_ms: 0, grace_ms: HOUR_MS, idle: Idle::Close { after_ms: 2000 } },
        aggregates: vec![
            aggregate("flights", AggregateKind::Count, None),
            aggregate("delay", AggregateKind::Sum, Some("dep_delay")),
            aggregate("worst", AggregateKind::Max, Some("dep_delay")),
        ],
    };
    let mut rig = Rig::new(&pipeline, (4, 4), 1_700_000_000_000);
    let file = std::fs::File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/data/flights-2013.jsonl.zst")).unwrap();
    let text = String::from_utf8(zstd::decode_all(file).unwrap()).unwrap();
    let mut read = 0;
    for line in text.lines() {
        let flight: serde_json::Value = serde_json::from_str(line).unwrap();
        let key = flight[key].as_str().map(str::as_bytes);
        let partition = murmur2::partition(key.unwrap_or_default(), 4);
        rig.cluster.append(EVENTS, partition, flight["seen"].as_i64().unwrap(), key, Some(line.as_bytes()), &[]);
        read += 1;
    }
    rig.start(8192, |_, _| ());
    rig.run(Duration::from_secs(10)).unwrap();
    let fates = rig.counts.fates;
    assert!(fates.balanced());
    assert_eq!(fates.read, read);
    let mut facts = Facts {
        merged: fates.merged,
        partly_late: fates.partly_late,
        late: rig.read(LATE).iter().map(|records| records.len() as u64).sum(),
        null_key: fates.reason(Reason::NullKey),
        dead: fates.fate(Fate::Dead),
        by_watermark: rig.counts.closed_by_watermark,
        by_idle: rig.counts.closed_by_idle,
        max: f64::MIN,
        ..Facts::default()
    };
    assert_eq!(fates.fate(Fate::Late), facts.late);
    for result in rig.read(SINK).iter().flatten() {
        let value: serde_json::Value = serde_json::from_slice(result.value.as_ref().unwrap()).unwrap();
        assert_eq!(value["key"].as_str().map(str::as_bytes), result.key.as_deref());
        facts.results += 1;
        facts.count += value["flights"].as_u64().unwrap();
        facts.sum += value["delay"].as_f64().unwrap();
        facts.max = facts.max.max(value["worst"].as_f64().unwrap_or(f64::MIN));
    }
    facts
}

#[test]
fn by_carrier_in_hours() {
    let expected = Facts {
        merged: 322_792,
        late: 13_984,
        by_watermark: 59_595,
        by_idle: 8,
        results: 59_603,
        count: 322_792,
        sum: 2_015_999.0,
        max: 437.0,
        ..Facts::default()
    };
    assert_eq!(flights("carrier", HOUR_MS, HOUR_MS), expected);
}

#[test]
fn by_tail_in_hours() {
    let facts = flights("tail", HOUR_MS, HOUR_MS);
    assert_eq!((facts.merged, facts.late, facts.dead, facts.null_key), (320_228, 14_036, 2_512, 2_512));
    assert_eq!((facts.results, facts.by_watermark + facts.by_idle, facts.count), (319_959, 319_959, 320_228));
}

#[test]
fn by_carrier_in_six_hours_every_hour() {
    let facts = flights("carrier", 6 * HOUR_MS, HOUR_MS);
    assert_eq!((facts.merged, facts.partly_late, facts.late, facts.dead), (336_669, 13_877, 107, 0));
    assert_eq!((facts.results, facts.by_watermark + facts.by_idle, facts.count), (96_854, 96_854, 1_999_305));
}
