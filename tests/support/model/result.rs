//! A finished window in a form that can be compared, and how to read one from what tidemill wrote.
//!
//! Reading is strict: names, their order and the way numbers are printed are part of the contract.

use super::json::Json;
use super::number::{read_shown, shown};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tidemill::config::{AggregateKind, Pipeline};

/// A finished window. Equal windows are equal here: every text below is canonical.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModelWindow {
    pub key: Vec<u8>,
    pub start_ms: i64,
    pub end_ms: i64,
    /// Name and JSON text of each aggregate, in the order of the configuration.
    pub values: Vec<(String, String)>,
}

impl ModelWindow {
    /// JSON text of the aggregate `name`; empty if there is none.
    pub fn value(&self, name: &str) -> &str {
        self.values.iter().find(|(other, _)| other == name).map_or("", |(_, text)| text)
    }

    /// Equal but for sums and means, which may differ by `relative` of the larger one.
    pub fn is_close_to(&self, other: &ModelWindow, pipeline: &Pipeline, relative: f64) -> bool {
        let close = |kind, a: &str, b: &str| match (kind, a.parse::<f64>(), b.parse::<f64>()) {
            (AggregateKind::Sum | AggregateKind::Mean, Ok(a), Ok(b)) => {
                (a - b).abs() <= relative * a.abs().max(b.abs())
            }
            _ => a == b,
        };
        let mut pairs = pipeline.aggregates.iter().zip(self.values.iter().zip(&other.values));
        (&self.key, self.start_ms, self.end_ms) == (&other.key, other.start_ms, other.end_ms)
            && self.values.len() == other.values.len()
            && pairs.all(|(aggregate, (a, b))| a.0 == b.0 && close(aggregate.kind, &a.1, &b.1))
    }
}

/// Reads the value of a result record; `Err` says how it breaks the contract.
pub fn read_result(pipeline: &Pipeline, value: &[u8]) -> Result<ModelWindow, String> {
    let Some(Json::Object(members)) = Json::read(value) else { return Err("not a JSON object".to_owned()) };
    let names: Vec<String> = members.iter().map(|(name, _)| Json::Text(name.clone()).text()).collect();
    let has = |name: &str| names.iter().any(|other| other.trim_matches('"') == name);
    let optional = ["key", "key_base64", "topic", "partition"].into_iter().filter(|name| has(name));
    let aggregates = pipeline.aggregates.iter().map(|aggregate| aggregate.name.as_str());
    let expected = optional.chain(["window_start", "window_end"]).chain(aggregates).map(quoted);
    let expected: Vec<String> = expected.collect();
    if names != expected || has("key") == has("key_base64") {
        return Err(format!("members are {names:?}, not {expected:?} with one key"));
    }
    let text_of = |name: &str| members[names.iter().position(|other| *other == quoted(name)).unwrap_or(0)].1.text();
    let key_text = members[0].1.text();
    let key = match &members[0].1 {
        Json::Text(points) => points.iter().map(|&point| char::from_u32(point)).collect::<Option<String>>(),
        _ => None,
    };
    let key = key.ok_or_else(|| format!("{key_text} is no key"))?;
    let key = if has("key") {
        key.into_bytes()
    } else {
        STANDARD.decode(key).map_err(|error| format!("{key_text}: {error}"))?
    };
    if has("key_base64") && std::str::from_utf8(&key).is_ok() {
        return Err(format!("{key_text} is UTF-8 and should be `key`"));
    }
    let whole = |name: &str| text_of(name).parse::<i64>().map_err(|error| format!("{name} {}: {error}", text_of(name)));
    let first = members.len() - pipeline.aggregates.len();
    let values = pipeline.aggregates.iter().zip(&members[first..]).map(|(aggregate, (_, value))| {
        let text = canonical(aggregate.kind, value).map_err(|error| format!("{}: {error}", aggregate.name))?;
        Ok((aggregate.name.clone(), text))
    });
    let values = values.collect::<Result<_, String>>()?;
    Ok(ModelWindow { key, start_ms: whole("window_start")?, end_ms: whole("window_end")?, values })
}

fn quoted(name: &str) -> String {
    Json::Text(name.chars().map(u32::from).collect()).text()
}

/// The canonical text of an aggregate's value: doubles are compared as doubles, all else as it was.
fn canonical(kind: AggregateKind, value: &Json) -> Result<String, String> {
    use AggregateKind::{Count, First, Last};
    match (kind, value) {
        (Count, Json::Number(text)) if text.parse::<u64>().is_ok_and(|count| count.to_string() == *text) => {
            Ok(text.clone())
        }
        (First | Last, Json::Array(_) | Json::Object(_)) | (Count, _) => {
            Err(format!("{} is not a result", value.text()))
        }
        (First | Last, scalar) => Ok(scalar.text()),
        (_, Json::Null) => Ok("null".to_owned()),
        (_, Json::Number(text)) => read_shown(text).map(shown),
        (_, other) => Err(format!("{} is not a number", other.text())),
    }
}
