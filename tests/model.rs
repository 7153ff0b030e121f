//! Holds the naive model to the documented semantics: case by case, and on the flights of 2013.
//!
//! Nothing of the program runs here: what the model is compared with is the document and facts found independently.

mod support {
    pub mod generate;
    pub mod model;
}

use std::collections::BTreeMap;
use std::sync::Arc;
use support::generate::{self, Random};
use support::model::json::Json;
use support::model::number::{Decimal, shown};
use support::model::result::{ModelWindow, read_result};
use support::model::{Fate, GuardClock, ModelTask, murmur2};
use tidemill::config::{Aggregate, AggregateKind, Idle, Pipeline, StartAt, TimeFormat, TimeSource, Window};

const BAD_TIME: Fate = Fate::Dead("bad_time");
const MALFORMED: Fate = Fate::Dead("malformed");
const MERGED: Fate = Fate::Merged { partly_late: false };
const OUT_OF_RANGE: Fate = Fate::Dead("number_out_of_range");
const NOT_FUTURE: GuardClock = GuardClock::Told(false);

/// Windows of `[size, every, offset, grace]`, time in member `t` in Unix ms, a plain count named `n`.
fn pipeline([size_ms, every_ms, offset_ms, grace_ms]: [i64; 4]) -> Pipeline {
    Pipeline {
        start: StartAt::Earliest,
        time: TimeSource::Field { path: "t".to_owned(), format: TimeFormat::UnixMs },
        max_record_bytes: 900 * 1024,
        max_key_bytes: 16 * 1024,
        max_ahead_ms: None,
        keys: None,
        window: Window { size_ms, every_ms, offset_ms, grace_ms, idle: Idle::Off },
        aggregates: vec![Aggregate { name: "n".to_owned(), kind: AggregateKind::Count, path: None }],
    }
}

/// The same with further aggregates, each named `kind` and reading `path`.
fn with(mut pipeline: Pipeline, aggregates: &[(&str, &str)]) -> Pipeline {
    pipeline.aggregates.extend(aggregates.iter().map(|&(name, path)| Aggregate {
        name: name.to_owned(),
        path: Some(path.to_owned()),
        kind: match name {
            "count" => AggregateKind::Count,
            "sum" => AggregateKind::Sum,
            "min" => AggregateKind::Min,
            "max" => AggregateKind::Max,
            "mean" => AggregateKind::Mean,
            "first" => AggregateKind::First,
            _ => AggregateKind::Last,
        },
    }));
    pipeline
}

fn with_time(format: TimeFormat) -> Pipeline {
    Pipeline { time: TimeSource::Field { path: "t".to_owned(), format }, ..pipeline([10, 10, 0, 0]) }
}

/// The fate of one record with key `k` at a fresh task.
fn fate(pipeline: &Pipeline, value: impl AsRef<[u8]>) -> Fate {
    ModelTask::new(pipeline).record(0, 0, Some(b"k"), Some(value.as_ref()), NOT_FUTURE)
}

/// The fates of records with key `k` at one task, offsets from 0, and the task.
fn fates<V: AsRef<[u8]>>(pipeline: &Pipeline, values: impl IntoIterator<Item = V>) -> (Vec<Fate>, ModelTask) {
    let mut task = ModelTask::new(pipeline);
    let record = |(offset, value): (i64, V)| task.record(offset, 0, Some(b"k"), Some(value.as_ref()), NOT_FUTURE);
    ((0..).zip(values).map(record).collect(), task)
}

/// The same with only a time in each.
fn fates_at(pipeline: &Pipeline, times: &[i64]) -> (Vec<Fate>, ModelTask) {
    fates(pipeline, times.iter().map(|time| format!(r#"{{"t":{time}}}"#)))
}

/// Every window, after silence has closed the last.
fn finish(mut task: ModelTask) -> Vec<ModelWindow> {
    if let Some(last) = task.last_close() {
        task.raise(last);
    }
    assert!(task.open().is_empty() && task.last_close().is_none() && task.replay_from().is_none());
    task.closed()
}

/// The only window's values of one aggregate over one field `x`.
fn value(name: &str, values: &[&str]) -> String {
    let pipeline = with(pipeline([10, 10, 0, 0]), &[(name, "x")]);
    let (fates, task) = fates(&pipeline, values);
    assert!(fates.iter().all(|fate| *fate == MERGED), "{fates:?}");
    finish(task)[0].value(name).to_owned()
}

fn nested(levels: usize) -> String {
    // The root object is level 1.
    format!(r#"{{"t":1,"deep":{}{}}}"#, "[".repeat(levels - 1), "]".repeat(levels - 1))
}

#[test]
fn the_first_rule_that_applies_decides() {
    let strict = Pipeline {
        max_key_bytes: 3,
        max_record_bytes: 40,
        max_ahead_ms: Some(1000),
        keys: Some(Arc::new(vec![b"k".as_slice().into(), b"".as_slice().into(), b"big!".as_slice().into()])),
        ..with(pipeline([10, 10, 0, 0]), &[("sum", "x")])
    };
    let long = format!(r#"{{"t":1{}}}"#, " ".repeat(33));
    let too_long = format!(r#"{{"t":1{}}}"#, " ".repeat(34));
    let none: Option<&str> = None;
    for (key, value, expected) in [
        (None, none, Fate::Ignored),
        (Some("big!"), None, Fate::Ignored),
        (None, Some("junk"), Fate::Dead("null_key")),
        (None, Some(&too_long), Fate::Dead("null_key")),
        (Some("big!"), Some(r#"{"t":1}"#), Fate::Dead("too_large")),
        (Some("k"), Some(&long), MERGED),
        (Some("k"), Some(&too_long), Fate::Dead("too_large")),
        (Some("else"), Some("junk"), Fate::Dead("too_large")),
        (Some("els"), Some("junk"), Fate::Dead("unknown_key")),
        (Some(""), Some(r#"{"t":1}"#), MERGED),
        (Some("k"), Some(r#"{"t":1e999,"x":1"#), MALFORMED),
        (Some("k"), Some(r#"{"t":-1,"x":1e999}"#), OUT_OF_RANGE),
        (Some("k"), Some(r#"{"t":1e999,"x":true}"#), OUT_OF_RANGE),
        (Some("k"), Some(r#"{"t":-1,"x":true}"#), BAD_TIME),
        (Some("k"), Some(r#"{"t":9000,"x":true}"#), Fate::Dead("future")),
        (Some("k"), Some(r#"{"t":1,"x":true}"#), Fate::Dead("bad_field")),
    ] {
        let fate = ModelTask::new(&strict).record(
            0,
            0,
            key.map(str::as_bytes),
            value.map(str::as_bytes),
            GuardClock::Now(1000),
        );
        assert_eq!(fate, expected, "key {key:?} value {value:?}");
    }
}

#[test]
fn a_value_is_one_json_object() {
    let pipeline = pipeline([10, 10, 0, 0]);
    for good in [
        " \t\r\n{ \"t\" : 1 , \"a\" : [ ] , \"o\" : { } , \"l\" : [ 1 , -0.5e+3 , true , false , null ] } \n",
        r#"{"t":1,"s":"\"\\\/\b\f\n\r\t\u00e4\uD83D\ude00"}"#,
        r#"{"t":1,"high":"\ud800","low":"\udc00","turned":"\udc00\ud800","high then a":"\ud800\u0061"}"#,
        "{\"t\":1,\"\":\"\u{7f}\u{1f600}\"}",
        r#"{"t":1,"unread":1e999999}"#,
        &nested(128),
    ] {
        assert_eq!(fate(&pipeline, good), MERGED, "{good}");
    }
    for bad in [
        "",
        " ",
        "null",
        "1",
        r#""t""#,
        r#"[{"t":1}]"#,
        "{",
        r#"{"t":1"#,
        r#"{"t":1}}"#,
        r#"{"t":1} {}"#,
        r#"{"t":1,}"#,
        r#"{,"t":1}"#,
        r#"{"t" 1}"#,
        r#"{t:1}"#,
        r#"{"t":}"#,
        r#"{"t":1 "u":2}"#,
        r#"{"t":01}"#,
        r#"{"t":1.}"#,
        r#"{"t":.1}"#,
        r#"{"t":+1}"#,
        r#"{"t":-}"#,
        r#"{"t":1e}"#,
        r#"{"t":1e+}"#,
        r#"{"t":0x1}"#,
        r#"{"t":NaN}"#,
        r#"{"t":1,"a":[1,]}"#,
        r#"{"t":1,"a":[1 2]}"#,
        r#"{"t":1,"a":tru}"#,
        r#"{"t":1,"a":"\x"}"#,
        r#"{"t":1,"a":"\u12g4"}"#,
        r#"{"t":1,"a":"\ud800\u12"}"#,
        r#"{"t":1,"a":"\u+123"}"#,
        r#"{"t":1,"a":"}"#,
        "{\"t\":1,\"a\":\"\n\"}",
        "{\"t\":1,\"a\":\"\0\"}",
        "\u{feff}{\"t\":1}",
        "{\"t\":1}\0",
        "\u{a0}{\"t\":1}",
        "{\"t\":1,\u{b}\"a\":1}",
        "{'t':1}",
        r#"{"t":1}//"#,
        &nested(129),
        &nested(100_000),
    ] {
        assert_eq!(fate(&pipeline, bad), MALFORMED, "{bad:.80}");
    }
    for not_utf8 in
        [&b"{\"t\":1,\"a\":\"\xff\"}"[..], b"{\"t\":1,\"a\":\"\xed\xa0\x80\"}", b"{\"t\":1,\"a\":\"\xc0\x80\"}"]
    {
        assert_eq!(fate(&pipeline, not_utf8), MALFORMED, "{not_utf8:x?}");
    }
}

#[test]
fn the_grammar_is_that_of_another_reader() {
    let (mut good, mut bad) = (0, 0);
    generate::for_each_seed(100, |seed| {
        let random = Random::new(seed);
        let pipeline = generate::pipeline(&random);
        let values = generate::records(&random, &pipeline, 300).into_iter().filter_map(|record| record.value);
        // The other reader has another limit to its depth.
        for value in values.filter(|value| !value.windows(100).any(|run| run.iter().all(|byte| *byte == b'['))) {
            let text = std::str::from_utf8(&value);
            let expected = text.is_ok_and(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok());
            *(if expected { &mut good } else { &mut bad }) += 1;
            assert_eq!(Json::read(&value).is_some(), expected, "{}", String::from_utf8_lossy(&value));
        }
    });
    assert!(std::env::var("TIDEMILL_SEED").is_ok() || (good > 1000 && bad > 300), "{good} good, {bad} bad");
}

#[test]
fn of_a_member_named_twice_the_last_counts() {
    let pipeline = with(pipeline([10, 10, 0, 0]), &[("sum", "a.b")]);
    for (value, expected) in [
        (r#"{"t":"no","t":1}"#, Ok("0")),
        (r#"{"t":1,"t":"no"}"#, Err(BAD_TIME)),
        (r#"{"t":1e999,"t":1}"#, Ok("0")),
        (r#"{"t":1,"\u0074":1e999}"#, Err(OUT_OF_RANGE)),
        (r#"{"t":1,"a":{"b":1,"b":2}}"#, Ok("2")),
        (r#"{"t":1,"a":{"b":1e999,"b":2}}"#, Ok("2")),
        (r#"{"t":1,"a":{"b":true},"a":{"b":3}}"#, Ok("3")),
        (r#"{"t":1,"a":{"b":1},"a":{}}"#, Ok("0")),
        (r#"{"t":1,"a":{"b":1},"a":7}"#, Ok("0")),
        (r#"{"t":1,"a":{"b":1},"a":[{"b":1}]}"#, Ok("0")),
        (r#"{"t":1,"a":{"b":1},"a":null}"#, Ok("0")),
        (r#"{"t":1,"a.b":1}"#, Ok("0")),
        (r#"{"t":1,"a":{"b":null}}"#, Ok("0")),
        (r#"{"t":1,"a":{"b":1,"b":[]}}"#, Err(Fate::Dead("bad_field"))),
    ] {
        let (fates, task) = fates(&pipeline, [value]);
        match expected {
            Err(fate) => assert_eq!(fates, [fate], "{value}"),
            Ok(sum) => assert_eq!((finish(task)[0].value("sum"), &fates[..]), (sum, &[MERGED][..]), "{value}"),
        }
    }
}

#[test]
fn only_numbers_that_are_read_must_fit_a_double() {
    let long_zeros = format!("0.{}1e200001", "0".repeat(200_000)); // 1
    let long_tail = format!("1{}e-200000", "0".repeat(200_000)); // 1
    for (kind, text, expected) in [
        ("sum", "1.7976931348623157e308", MERGED),
        ("sum", "1.7976931348623158e308", MERGED),
        ("sum", "1.7976931348623159e308", OUT_OF_RANGE),
        ("min", "-1e309", OUT_OF_RANGE),
        ("max", "1e99999999999999999999999999999999999999999999", OUT_OF_RANGE),
        ("mean", "1e-99999999999999999999999999999999999999999999", MERGED),
        ("sum", "0e170141183460469231731687303715884105727", MERGED),
        ("sum", "1e170141183460469231731687303715884105727", OUT_OF_RANGE),
        ("sum", &long_zeros, MERGED),
        ("sum", &long_tail, MERGED),
        ("count", "1e999", MERGED),
        ("first", "1e999", MERGED),
        ("last", "-1e999", MERGED),
    ] {
        let pipeline = with(pipeline([10, 10, 0, 0]), &[(kind, "x")]);
        assert_eq!(fate(&pipeline, format!(r#"{{"t":1,"x":{text}}}"#)), expected, "{kind} {text:.60}");
    }
    let both = with(pipeline([10, 10, 0, 0]), &[("first", "x"), ("min", "x")]);
    assert_eq!(fate(&both, r#"{"t":1,"x":1e999}"#), OUT_OF_RANGE);
    assert_eq!(fate(&with_time(TimeFormat::Rfc3339), r#"{"t":1e999}"#), OUT_OF_RANGE);
    assert_eq!(shown(Decimal::read("-0.0").double().unwrap()), "0");
}

#[test]
fn times_are_exact_and_floored_to_milliseconds() {
    use TimeFormat::{Rfc3339, UnixMs, UnixNs, UnixS, UnixUs};
    let zeros = format!("0.{}1e200001", "0".repeat(200_000));
    for (format, text, expected) in [
        (UnixMs, "0", Some(0)),
        (UnixMs, "-0", Some(0)),
        (UnixMs, "-0.0e5", Some(0)),
        (UnixMs, "5.0", Some(5)),
        (UnixMs, "5.5", None),
        (UnixMs, "1.7e12", Some(1_700_000_000_000)),
        (UnixMs, "17000000000000e-1", Some(1_700_000_000_000)),
        (UnixMs, "1e-1", None),
        (UnixMs, "1e-400", None),
        (UnixMs, "0e-400", Some(0)),
        (UnixMs, &zeros, Some(1)),
        (UnixMs, "-1", None),
        (UnixMs, "253402300799999", Some(253_402_300_799_999)),
        (UnixMs, "253402300800000", None),
        (UnixMs, "1e300", None),
        (UnixMs, r#""5""#, None),
        (UnixMs, "null", None),
        (UnixMs, "true", None),
        (UnixMs, "[5]", None),
        (UnixMs, "{}", None),
        (UnixS, "1.5", None),
        (UnixS, "15e-1", None),
        (UnixS, "2", Some(2000)),
        (UnixS, "253402300799", Some(253_402_300_799_000)),
        (UnixS, "253402300800", None),
        (UnixUs, "1999", Some(1)),
        (UnixUs, "-1", None),
        (UnixUs, "9007199254740993999", None),
        (UnixUs, "253402300799999999", Some(253_402_300_799_999)),
        (UnixNs, "1700000000000999999", Some(1_700_000_000_000)),
        (UnixNs, "1700000000003999999", Some(1_700_000_000_003)), // a double would round it up
        (UnixNs, "-1", None),
        (UnixNs, "253402300799999999999", Some(253_402_300_799_999)),
        (UnixNs, "253402300800000000000", None),
        (Rfc3339, r#""1970-01-01T00:00:00Z""#, Some(0)),
        (Rfc3339, r#""1970-01-01t00:00:00z""#, Some(0)),
        (Rfc3339, r#""1969-12-31T23:59:59.999Z""#, None),
        (Rfc3339, r#""1969-12-31T23:00:00-01:30""#, Some(1_800_000)),
        (Rfc3339, r#""1970-01-01T00:00:00+00:01""#, None),
        (Rfc3339, r#""2013-01-01T10:15:00-00:00""#, Some(1_357_035_300_000)),
        (Rfc3339, r#""2013-01-01T05:15:00-05:00""#, Some(1_357_035_300_000)),
        (Rfc3339, r#""2013-01-01T10:15:00.0019999Z""#, Some(1_357_035_300_001)),
        (Rfc3339, r#""2013-01-01T10:15:00.1Z""#, Some(1_357_035_300_100)),
        (Rfc3339, r#""2000-02-29T00:00:00Z""#, Some(951_782_400_000)),
        (Rfc3339, r#""2016-12-31T23:59:60Z""#, Some(1_483_228_800_000)),
        (Rfc3339, r#""2017-01-01T08:59:60+09:00""#, Some(1_483_228_800_000)),
        (Rfc3339, r#""2016-12-31T22:59:60Z""#, None),
        (Rfc3339, r#""2100-02-29T00:00:00Z""#, None),
        (Rfc3339, r#""2013-04-31T00:00:00Z""#, None),
        (Rfc3339, r#""2013-13-01T00:00:00Z""#, None),
        (Rfc3339, r#""2013-00-01T00:00:00Z""#, None),
        (Rfc3339, r#""2013-01-00T00:00:00Z""#, None),
        (Rfc3339, r#""2013-01-01T24:00:00Z""#, None),
        (Rfc3339, r#""2013-01-01T00:60:00Z""#, None),
        (Rfc3339, r#""2013-01-01T00:00:61Z""#, None),
        (Rfc3339, r#""2013-01-01T00:00:00""#, None),
        (Rfc3339, r#""2013-01-01T00:00:00.Z""#, None),
        (Rfc3339, r#""2013-01-01T00:00:00,5Z""#, None),
        (Rfc3339, r#""2013-01-01 00:00:00Z""#, None),
        (Rfc3339, r#""2013-01-01T00:00:00+24:00""#, None),
        (Rfc3339, r#""2013-01-01T00:00:00+0100""#, None),
        (Rfc3339, r#""2013-01-01T00:00:00ZZ""#, None),
        (Rfc3339, r#""2013-01-01T00:00:00Z ""#, None),
        (Rfc3339, r#""2013-1-01T00:00:00Z""#, None),
        (Rfc3339, r#""9999-12-31T23:59:59.999999Z""#, Some(253_402_300_799_999)),
        (Rfc3339, r#""9999-12-31T23:59:59-00:01""#, None),
        (Rfc3339, r#""2013-01-01T00:00:00\ud800""#, None),
        (Rfc3339, "1357035300000", None),
    ] {
        let pipeline = with_time(format);
        let (fates, task) = fates(&pipeline, [format!(r#"{{"t":{text}}}"#)]);
        let expected_fate = if expected.is_some() { MERGED } else { BAD_TIME };
        assert_eq!((fates[0], task.watermark()), (expected_fate, expected), "{format:?} {text:.60}");
    }
    assert_eq!(fate(&pipeline([10, 10, 0, 0]), "{}"), BAD_TIME);
    let kafka = Pipeline { time: TimeSource::Kafka, ..pipeline([10, 10, 0, 0]) };
    for (timestamp, expected) in [(0, MERGED), (-1, BAD_TIME), (-2, BAD_TIME), (253_402_300_800_000, BAD_TIME)] {
        let fate = ModelTask::new(&kafka).record(0, timestamp, Some(b""), Some(b"{}"), NOT_FUTURE);
        assert_eq!(fate, expected, "{timestamp}");
    }
}

#[test]
fn a_window_closes_exactly_at_end_plus_grace() {
    // (time of the second record, then of the third, at grace 5): is the third, of window [0, 10), late?
    for (second, third, late) in [(14, 9, false), (15, 9, true), (15, 10, false), (24, 10, false), (25, 19, true)] {
        let (fates, task) = fates_at(&pipeline([10, 10, 0, 5]), &[0, second, third]);
        let end = third / 10 * 10 + 10;
        let expected = if late { Fate::Late { watermark_ms: second, window_end_ms: end } } else { MERGED };
        assert_eq!(fates, [MERGED, MERGED, expected], "{second} {third}");
        assert_eq!(task.watermark(), Some(second));
    }
    let mut task = fates_at(&pipeline([10, 10, 0, 0]), &[0, 9]).1;
    assert!(task.closed().is_empty());
    task.record(2, 0, Some(b"other"), Some(br#"{"t":10}"#), NOT_FUTURE);
    assert_eq!(task.closed().len(), 1);
    assert_eq!(task.closed().len(), 0);
    assert_eq!((task.open().len(), task.replay_from(), task.last_close()), (1, Some(2), Some(20)));
}

#[test]
fn open_panes_know_where_a_replay_must_begin() {
    let (_, task) = fates_at(&pipeline([10, 10, 0, 100]), &[12, 3, 13, 4, 25]);
    let open = task.open();
    let places = open.iter().map(|window| (window.start_ms, window.end_ms, window.lowest_offset)).collect::<Vec<_>>();
    assert_eq!((places, task.replay_from()), (vec![(0, 10, 1), (10, 20, 0), (20, 30, 4)], Some(0)));
    assert!(open.iter().all(|window| window.key == b"k"));
}

#[test]
fn starts_are_floored_towards_minus_infinity() {
    for (offset, time, start) in
        [(0, 0, 0), (0, 9, 0), (0, 10, 10), (3, 2, -7), (3, 3, 3), (-3, 6, -3), (-3, 7, 7), (25, 0, -5)]
    {
        let windows = finish(fates_at(&pipeline([10, 10, offset, 0]), &[time]).1);
        assert_eq!((windows[0].start_ms, windows[0].end_ms), (start, start + 10), "{offset} {time}");
    }
    let hopping = finish(fates_at(&pipeline([10, 4, 1, 0]), &[1]).1);
    assert_eq!(hopping.iter().map(|window| window.start_ms).collect::<Vec<_>>(), [-7, -3, 1]);
}

#[test]
fn a_hopping_record_is_late_only_if_all_its_windows_are_closed() {
    // Windows of 10 every 5: 4 lies in [-5, 5) and [0, 10).
    let (fates, task) = fates_at(&pipeline([10, 5, 0, 0]), &[7, 4, 10, 4, 9]);
    let partly = Fate::Merged { partly_late: true };
    let late = Fate::Late { watermark_ms: 10, window_end_ms: 10 };
    assert_eq!(fates, [MERGED, partly, MERGED, late, partly]);
    let windows: Vec<_> =
        finish(task).into_iter().map(|window| (window.start_ms, window.values[0].1.clone())).collect();
    assert_eq!(windows, [(0, "2".to_owned()), (5, "3".to_owned()), (10, "1".to_owned())]);
}

#[test]
fn only_merged_records_and_silence_move_the_watermark() {
    let pipeline = with(pipeline([10, 10, 0, 0]), &[("sum", "x")]);
    let (_, mut task) = fates(&pipeline, [r#"{"t":5,"x":true}"#, r#"{"t":"x"}"#, "junk"]);
    assert_eq!(task.watermark(), None);
    task.record(3, 0, Some(b"k"), Some(br#"{"t":5}"#), NOT_FUTURE);
    task.record(4, 99, Some(b"k"), None, NOT_FUTURE);
    task.record(5, 0, Some(b"k"), Some(br#"{"t":99}"#), GuardClock::Told(false));
    assert_eq!(task.watermark(), Some(99));
    task.raise(50);
    assert_eq!((task.watermark(), task.closed().len()), (Some(99), 1));
    task.raise(110);
    assert_eq!((task.watermark(), task.closed().len()), (Some(110), 1));
}

#[test]
fn the_guard_clock_steps_only_with_merged_records() {
    // q = max(100 / 4, (200 + 40) / 40) = 25.
    let pipeline = Pipeline { max_ahead_ms: Some(100), ..with(pipeline([200, 200, 0, 40]), &[("sum", "x")]) };
    let mut task = ModelTask::new(&pipeline);
    let future = Fate::Dead("future");
    for (now, value, expected, guard) in [
        (1001, r#"{"t":1126}"#, future, None),
        (1001, r#"{"t":1125,"x":""}"#, Fate::Dead("bad_field"), None),
        (1001, r#"{"t":1125}"#, MERGED, Some(1025)), // 1001 is rounded up to 1025
        (0, r#"{"t":1125}"#, MERGED, Some(1025)),    // not judged by a clock that ran back
        (0, r#"{"t":1126}"#, future, Some(1025)),
        (1050, r#"{"t":1151}"#, future, Some(1025)), // a multiple stays
        (1050, r#"{"t":1150}"#, MERGED, Some(1050)),
        (9000, r#"{"t":1}"#, Fate::Late { watermark_ms: 1150, window_end_ms: 200 }, Some(1050)),
        (9000, r#"{"t":1151}"#, MERGED, Some(9000)),
    ] {
        let fate = task.record(0, 0, Some(b"k"), Some(value.as_bytes()), GuardClock::Now(now));
        assert_eq!((fate, task.guard_clock()), (expected, guard), "{now} {value}");
    }
    assert_eq!(task.record(0, 0, Some(b"k"), Some(br#"{"t":1}"#), GuardClock::Told(true)), future);
    // q = max(8 / 4, 401 / 40) rounded up: 11.
    let wide = Pipeline { max_ahead_ms: Some(8), ..self::pipeline([201, 201, 0, 200]) };
    let mut wide = ModelTask::new(&wide);
    assert_eq!(wide.record(0, 0, Some(b"k"), Some(br#"{"t":30}"#), GuardClock::Now(12)), MERGED);
    assert_eq!(wide.guard_clock(), Some(22));
    let junk = task.record(0, 0, Some(b"k"), Some(b"junk"), GuardClock::Told(true));
    assert_eq!(junk, MALFORMED);
}

#[test]
fn an_aggregate_takes_what_is_documented() {
    let text = |length: usize| format!("\"{}\"", "a".repeat(length));
    let surrogates = |count: usize| format!("\"a{}\"", r"\ud800".repeat(count));
    let bad = Fate::Dead("bad_field");
    for (kinds, field, expected) in [
        (&["sum", "min", "max", "mean"][..], "true".to_owned(), bad),
        (&["sum", "min", "max", "mean"], r#""1""#.to_owned(), bad),
        (&["sum", "min", "max", "mean", "first", "last"], "[]".to_owned(), bad),
        (&["sum", "min", "max", "mean", "first", "last"], "{}".to_owned(), bad),
        (&["sum", "min", "max", "mean", "first", "last", "count"], "null".to_owned(), MERGED),
        (&["sum", "min", "max", "mean", "first", "last", "count"], "-1.5e3".to_owned(), MERGED),
        (&["count"], "[{}]".to_owned(), MERGED),
        (&["first", "last"], "false".to_owned(), MERGED),
        (&["first", "last", "count"], text(256), MERGED),
        (&["first", "last"], text(257), bad),
        (&["count"], text(257), MERGED),
        (&["first", "last"], format!("\"{}\"", r"\u0061".repeat(256)), MERGED),
        (&["first", "last"], format!("\"{}\"", "ä".repeat(128)), MERGED),
        (&["first", "last"], format!("\"{}a\"", "ä".repeat(128)), bad),
        (&["first", "last"], surrogates(85), MERGED), // 1 + 85 · 3 = 256
        (&["first", "last"], format!("\"aa{}\"", r"\ud800".repeat(85)), bad),
        (&["first", "last"], "1".repeat(256), MERGED),
        (&["first", "last"], "1".repeat(257), bad),
        (&["sum", "min"], format!("1{}e-256", "0".repeat(256)), MERGED),
    ] {
        for kind in kinds {
            let pipeline = with(pipeline([10, 10, 0, 0]), &[(kind, "x")]);
            assert_eq!(fate(&pipeline, format!(r#"{{"t":1,"x":{field}}}"#)), expected, "{kind} {field}");
        }
    }
}

#[test]
fn aggregates_compute_what_is_documented() {
    let numbers = [r#"{"t":1,"x":3}"#, r#"{"t":1}"#, r#"{"t":1,"x":null}"#, r#"{"t":1,"x":-1.5}"#];
    let nothing = [r#"{"t":1}"#, r#"{"t":1,"x":null}"#];
    for (kind, of_numbers, of_nothing) in [
        ("count", "2", "0"),
        ("sum", "1.5", "0"),
        ("min", "-1.5", "null"),
        ("max", "3", "null"),
        ("mean", "0.75", "null"),
        ("first", "3", "null"),
        ("last", "-1.5", "null"),
    ] {
        assert_eq!(
            (value(kind, &numbers), value(kind, &nothing)),
            (of_numbers.to_owned(), of_nothing.to_owned()),
            "{kind}"
        );
    }
    let (_, task) = fates(&pipeline([10, 10, 0, 0]), numbers);
    assert_eq!(finish(task)[0].value("n"), "4");
    // Compensated: plain addition gives 0 here, and 0.6000000000000001 there.
    assert_eq!(
        value("sum", &[r#"{"t":1,"x":1}"#, r#"{"t":1,"x":1e100}"#, r#"{"t":1,"x":1}"#, r#"{"t":1,"x":-1e100}"#]),
        "2"
    );
    assert_eq!(value("sum", &[r#"{"t":1,"x":0.1}"#, r#"{"t":1,"x":0.2}"#, r#"{"t":1,"x":0.3}"#]), "0.6");
    let overflow = [r#"{"t":1,"x":1e308}"#, r#"{"t":1,"x":1e308}"#, r#"{"t":1,"x":-1e308}"#];
    assert_eq!((value("sum", &overflow), value("mean", &overflow)), ("null".to_owned(), "null".to_owned()));
    assert_eq!((value("max", &overflow), value("min", &overflow)), ("1e308".to_owned(), "-1e308".to_owned()));
    assert_eq!(value("sum", &[r#"{"t":1,"x":-0.0}"#]), "0");
    assert_eq!(value("min", &[r#"{"t":1,"x":-0.0}"#]), "0");
}

#[test]
fn a_sum_is_made_of_panes_in_order_of_their_start() {
    // Windows of 10 every 5, panes of 5. In offset order 1e308 twice would overflow; pane by pane it does not.
    let pipeline = with(pipeline([10, 5, 0, 100]), &[("sum", "x")]);
    let values = [r#"{"t":5,"x":1e308}"#, r#"{"t":1,"x":1e308}"#, r#"{"t":5,"x":-1e308}"#, r#"{"t":6,"x":1}"#];
    let sums: Vec<_> = finish(fates(&pipeline, values).1).iter().map(|window| window.value("sum").to_owned()).collect();
    assert_eq!(sums, ["1e308", "1e308", "1"]);
    // Panes are shifted like windows: the same with all times and the offset moved by 2.
    let shifted = with(self::pipeline([10, 5, 2, 100]), &[("sum", "x")]);
    let values = [r#"{"t":7,"x":1e308}"#, r#"{"t":6,"x":1e308}"#, r#"{"t":7,"x":-1e308}"#, r#"{"t":8,"x":1}"#];
    let sums: Vec<_> = finish(fates(&shifted, values).1).iter().map(|window| window.value("sum").to_owned()).collect();
    assert_eq!(sums, ["1e308", "1e308", "1"]);
    let (_, one_pane) = fates(&with(self::pipeline([10, 10, 2, 100]), &[("sum", "x")]), values);
    assert_eq!(finish(one_pane)[0].value("sum"), "null");
}

#[test]
fn first_and_last_go_by_event_time_and_then_by_offset() {
    let ties =
        [r#"{"t":5,"x":"a"}"#, r#"{"t":3,"x":"b"}"#, r#"{"t":3,"x":"c"}"#, r#"{"t":5,"x":"d"}"#, r#"{"t":4,"x":"e"}"#];
    assert_eq!((value("first", &ties), value("last", &ties)), (r#""b""#.to_owned(), r#""d""#.to_owned()));
    let nulls = [r#"{"t":1,"x":null}"#, r#"{"t":2,"x":1}"#, r#"{"t":3}"#];
    assert_eq!((value("first", &nulls), value("last", &nulls)), ("1".to_owned(), "1".to_owned()));
    for (written, text) in [
        ("1.50e+01", "1.50e+01"),
        ("-0", "-0"),
        ("1e999", "1e999"),
        ("false", "false"),
        (r#""\u0061\/\"\n\ud83d\ude00""#, "\"a/\\\"\\u000a\u{1f600}\""),
        (r#""\udc00\uD800x""#, r#""\udc00\ud800x""#),
    ] {
        assert_eq!(value("last", &[&format!(r#"{{"t":1,"x":{written}}}"#)]), text);
    }
}

#[test]
fn doubles_are_shown_in_their_shortest_text() {
    for (double, text) in [
        (0.0, "0"),
        (-0.0, "0"),
        (5.0, "5"),
        (-1e15, "-1000000000000000"),
        (9_007_199_254_740_991.0, "9007199254740991"),
        (0.1, "0.1"),
        (1e-7, "1e-7"),
        (1e300, "1e300"),
        (9_007_199_254_740_992.0, "9007199254740992.0"),
    ] {
        assert_eq!(shown(double), text);
    }
}

#[test]
fn a_result_is_read_strictly() {
    let pipeline = with(pipeline([10, 10, 0, 0]), &[("sum", "x"), ("last", "x")]);
    let row = |key: &[u8], n: &str, sum: &str, last: &str| ModelWindow {
        key: key.to_vec(),
        start_ms: -10,
        end_ms: 0,
        values: [("n", n), ("sum", sum), ("last", last)]
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .to_vec(),
    };
    let ends = |rest: &str| format!(r#"{{"key":"k","window_start":-10,"window_end":0,{rest}}}"#);
    for (value, expected) in [
        (ends(r#""n":1,"sum":0,"last":null"#), row(b"k", "1", "0", "null")),
        (ends(r#""n":1,"sum":1.0e16,"last":"\u0061""#), row(b"k", "1", "1e16", "\"a\"")),
        (ends(r#""n":1,"sum":10000000000000000,"last":1.0"#), row(b"k", "1", "1e16", "1.0")),
        (
            r#"{"key_base64":"//4=","topic":"a","partition":3,"window_start":-10,"window_end":0,"n":1,"sum":null,"last":true}"#
                .to_owned(),
            row(b"\xff\xfe", "1", "null", "true"),
        ),
    ] {
        assert_eq!(read_result(&pipeline, value.as_bytes()), Ok(expected), "{value}");
    }
    for wrong in [
        ends(r#""n":1,"sum":1.0,"last":null"#),
        ends(r#""n":1,"sum":-0,"last":null"#),
        ends(r#""n":1,"sum":1e2,"last":null"#),
        ends(r#""n":1,"sum":0.10000000000000001,"last":null"#),
        ends(r#""n":1.0,"sum":1,"last":null"#),
        ends(r#""n":1,"sum":"1","last":null"#),
        ends(r#""n":1,"sum":1,"last":[]"#),
        ends(r#""sum":1,"n":1,"last":null"#),
        ends(r#""n":1,"sum":1"#),
        ends(r#""n":1,"n":1,"sum":1,"last":null"#),
        ends(r#""n":1,"sum":1,"last":null,"more":1"#),
        r#"{"key":"k","key_base64":"/w==","window_start":-10,"window_end":0,"n":1,"sum":1,"last":null}"#.to_owned(),
        r#"{"window_start":-10,"window_end":0,"n":1,"sum":1,"last":null}"#.to_owned(),
        r#"{"key_base64":"aw==","window_start":-10,"window_end":0,"n":1,"sum":1,"last":null}"#.to_owned(),
        r#"{"key_base64":"/w","window_start":-10,"window_end":0,"n":1,"sum":1,"last":null}"#.to_owned(),
        r#"{"key":null,"window_start":-10,"window_end":0,"n":1,"sum":1,"last":null}"#.to_owned(),
    ] {
        assert!(read_result(&pipeline, wrong.as_bytes()).is_err(), "{wrong}");
    }
    let (near, far) = (row(b"k", "1", "1.0000000001", "1"), row(b"k", "1", "1.1", "1"));
    let exact = row(b"k", "1", "1", "1");
    assert!(exact.is_close_to(&near, &pipeline, 1e-9) && !exact.is_close_to(&far, &pipeline, 1e-9));
    assert!(!exact.is_close_to(&row(b"k", "1", "1", "1.0000000001"), &pipeline, 1e-9));
    assert!(!exact.is_close_to(&row(b"k", "1", "null", "1"), &pipeline, 1e-9));
}

#[test]
fn murmur2_is_that_of_the_java_client() {
    // The vectors of UtilsTest.testMurmur2 in Apache Kafka.
    for (text, hash) in [
        ("21", -973_932_308_i32),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ("abc", 479_470_107),
    ] {
        assert_eq!(murmur2::murmur2(text.as_bytes()) as i32, hash, "{text}");
        assert!((0..7).contains(&murmur2::partition(text.as_bytes(), 7)));
    }
}

/// What the flights come to in 4 partitions.
#[derive(Debug, Default, PartialEq)]
struct Facts {
    fates: BTreeMap<&'static str, u64>,
    windows_by_watermark: usize,
    windows_at_the_end: usize,
    count: u64,
    sum: f64,
    max: f64,
}

/// Flights keyed by the member `key`, in windows of `[size, every, offset, grace]`, all closed at the end.
fn flights(key: &str, window: [i64; 4]) -> Facts {
    let mut pipeline = with(pipeline(window), &[("sum", "dep_delay"), ("max", "dep_delay")]);
    pipeline.time = TimeSource::Field { path: "scheduled".to_owned(), format: TimeFormat::UnixMs };
    let mut tasks: Vec<ModelTask> = (0..4).map(|_| ModelTask::new(&pipeline)).collect();
    let file = std::fs::File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/data/flights-2013.jsonl.zst")).unwrap();
    let text = String::from_utf8(zstd::decode_all(file).unwrap()).unwrap();
    let mut facts = Facts::default();
    for (offset, line) in (0..).zip(text.lines()) {
        let flight = Json::read(line.as_bytes()).unwrap();
        let Some(Json::Number(seen)) = flight.at("seen") else { panic!("{line}") };
        let key = flight.at(key).map(|key| key.text().trim_matches('"').to_owned());
        let key = key.as_ref().map(String::as_bytes);
        let task = &mut tasks[murmur2::partition(key.unwrap_or_default(), 4) as usize];
        let fate = task.record(offset, seen.parse().unwrap(), key, Some(line.as_bytes()), NOT_FUTURE);
        *facts.fates.entry(fate.reason().unwrap_or("merged")).or_default() += 1;
        if fate == (Fate::Merged { partly_late: true }) {
            *facts.fates.entry("partly_late").or_default() += 1;
        }
    }
    for mut task in tasks {
        let by_watermark = task.closed();
        let at_the_end = finish(task);
        facts.windows_by_watermark += by_watermark.len();
        facts.windows_at_the_end += at_the_end.len();
        for window in by_watermark.iter().chain(&at_the_end) {
            facts.count += window.value("n").parse::<u64>().unwrap();
            facts.sum += window.value("sum").parse::<f64>().unwrap();
            facts.max = facts.max.max(window.value("max").parse().unwrap_or(facts.max));
        }
    }
    facts
}

const HOUR_MS: i64 = 3_600_000;

#[test]
fn flights_by_carrier_in_hours_come_to_the_known_facts() {
    let facts = flights("carrier", [HOUR_MS, HOUR_MS, 0, HOUR_MS]);
    assert_eq!(facts.fates, BTreeMap::from([("merged", 322_792), ("late", 13_984)]));
    assert_eq!((facts.windows_by_watermark, facts.windows_at_the_end), (59_595, 8));
    assert_eq!((facts.count, facts.sum, facts.max), (322_792, 2_015_999.0, 437.0));
}

#[test]
fn flights_by_tail_in_hours_come_to_the_known_facts() {
    let facts = flights("tail", [HOUR_MS, HOUR_MS, 0, HOUR_MS]);
    assert_eq!(facts.fates, BTreeMap::from([("merged", 320_228), ("late", 14_036), ("null_key", 2_512)]));
    assert_eq!(facts.windows_by_watermark + facts.windows_at_the_end, 319_959);
}

#[test]
fn flights_by_carrier_in_six_hours_every_hour_come_to_the_known_facts() {
    let facts = flights("carrier", [6 * HOUR_MS, HOUR_MS, 0, HOUR_MS]);
    assert_eq!(facts.fates, BTreeMap::from([("merged", 336_669), ("partly_late", 13_877), ("late", 107)]));
    assert_eq!(facts.windows_by_watermark + facts.windows_at_the_end, 96_854);
    assert_eq!(facts.count, 1_999_305);
}

/// What one generated partition comes to: fates by name, and all windows.
fn generated(seed: u64) -> (Pipeline, Vec<(Fate, i64)>, Vec<ModelWindow>) {
    let random = Random::new(seed);
    let pipeline = generate::pipeline(&random);
    let mut task = ModelTask::new(&pipeline);
    let mut fates = Vec::new();
    let mut windows = Vec::new();
    for record in generate::records(&random, &pipeline, 300) {
        let clock = GuardClock::Now(record.now_ms);
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        fates.push((task.record(record.offset, record.kafka_timestamp_ms, key, value, clock), record.offset));
        windows.extend(task.closed());
    }
    windows.extend(finish(task));
    (pipeline, fates, windows)
}

#[test]
fn generated_streams_meet_every_fate_and_keep_the_laws() {
    let mut met: BTreeMap<&str, u64> = BTreeMap::new();
    generate::for_each_seed(300, |seed| {
        let (pipeline, fates, windows) = generated(seed);
        assert_eq!(generated(seed), (pipeline.clone(), fates.clone(), windows.clone()));
        for (fate, _) in &fates {
            let partly = matches!(fate, Fate::Merged { partly_late: true }).then_some("partly_late");
            let name = fate.reason().or(partly).unwrap_or("merged");
            *met.entry(name).or_default() += 1;
        }
        assert!(windows.is_sorted_by_key(|window| window.end_ms));
        let places: std::collections::BTreeSet<_> =
            windows.iter().map(|window| (&window.key, window.start_ms)).collect();
        assert_eq!(places.len(), windows.len(), "each window once");
        let merged = fates.iter().filter(|(fate, _)| matches!(fate, Fate::Merged { .. })).count() as u64;
        let counts = pipeline.aggregates.iter().filter(|aggregate| aggregate.path.is_none());
        for count in counts.filter(|_| pipeline.window.every_ms == pipeline.window.size_ms) {
            let counted: u64 = windows.iter().map(|window| window.value(&count.name).parse::<u64>().unwrap()).sum();
            assert_eq!(counted, merged);
        }
    });
    println!("{met:#?}");
    let dead = "null_key too_large unknown_key malformed number_out_of_range bad_time future bad_field";
    for name in dead.split(' ').chain(["tombstone", "late", "merged", "partly_late"]) {
        assert!(
            std::env::var("TIDEMILL_SEED").is_ok() || met.get(name).is_some_and(|&met| met >= 100),
            "{name}: {met:#?}"
        );
    }
}

#[test]
fn the_smallest_failing_stream_is_found() {
    let fails = |items: &[i32]| items.contains(&3) && items.contains(&70);
    assert_eq!(generate::smallest(&(0..100).collect::<Vec<_>>(), fails), [3, 70]);
}
