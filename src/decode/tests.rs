//! What every value must become. One function touches the decoder; the rest are tables of text.

mod fields;
mod grammar;
mod properties;
mod shapes;
mod times;

use super::{Decoder, Reject, Value};
use crate::config::{Aggregate, AggregateKind, Idle, Pipeline, StartAt, TimeFormat, TimeSource, Window};

/// A decoder for a time like `unix_ms t` (or `kafka`) and aggregates like `sum:a.b count last:c`.
fn decoder(time: &str, aggregates: &str) -> Decoder {
    let time = match time.split_once(' ') {
        None => TimeSource::Kafka,
        Some((format, path)) => TimeSource::Field { path: path.to_owned(), format: time_format(format) },
    };
    let aggregates = aggregates.split_whitespace().map(aggregate).collect();
    Decoder::new(&Pipeline {
        start: StartAt::Earliest,
        time,
        max_record_bytes: 1 << 20,
        max_key_bytes: 1 << 14,
        max_ahead_ms: None,
        keys: None,
        window: Window { size_ms: 1, every_ms: 1, offset_ms: 0, grace_ms: 0, idle: Idle::Off },
        aggregates,
    })
}

fn time_format(name: &str) -> TimeFormat {
    match name {
        "unix_s" => TimeFormat::UnixS,
        "unix_ms" => TimeFormat::UnixMs,
        "unix_us" => TimeFormat::UnixUs,
        "unix_ns" => TimeFormat::UnixNs,
        "rfc3339" => TimeFormat::Rfc3339,
        other => panic!("no such format: {other}"),
    }
}

fn aggregate(text: &str) -> Aggregate {
    let (kind, path) = text.split_once(':').map_or((text, None), |(kind, path)| (kind, Some(path.to_owned())));
    let kind = match kind {
        "count" => AggregateKind::Count,
        "sum" => AggregateKind::Sum,
        "min" => AggregateKind::Min,
        "max" => AggregateKind::Max,
        "mean" => AggregateKind::Mean,
        "first" => AggregateKind::First,
        "last" => AggregateKind::Last,
        other => panic!("no such aggregate: {other}"),
    };
    Aggregate { name: text.to_owned(), kind, path }
}

/// `time: value value …` with `-` for missing, `+` for present and `'…'` for scalars; or the reason.
fn outcome(decoder: &mut Decoder, kafka_timestamp_ms: i64, value: &[u8]) -> String {
    let decoded = match decoder.decode(kafka_timestamp_ms, value) {
        Ok(decoded) => decoded,
        Err(Reject { reason, detail }) => {
            assert!(detail.at().is_none_or(|at| at <= value.len()), "{detail} is outside of the value");
            return reason.as_str().to_owned();
        }
    };
    let mut text = format!("{}:", decoded.time_ms);
    for (index, value) in decoded.values().enumerate() {
        assert_eq!(value, decoded.value(index));
        text += &match value {
            Value::Missing => " -".to_owned(),
            Value::Present => " +".to_owned(),
            Value::Number(number) => format!(" {number:?}"),
            Value::Scalar(scalar) => format!(" '{}'", str::from_utf8(scalar).expect("UTF-8")),
        };
    }
    if let Some(bad) = decoded.bad_field {
        text += &format!(" bad_field {}", bad.aggregate);
    }
    text
}

fn check(time: &str, aggregates: &str, table: &[(&str, &str)]) {
    let mut decoder = decoder(time, aggregates);
    for (value, expected) in table {
        assert_eq!(outcome(&mut decoder, 7, value.as_bytes()), *expected, "{value} with {time}, {aggregates}");
    }
}
