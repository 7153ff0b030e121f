//! The demo's input: departures from New York in 2013, in the order in which they really left (data/README.md).

use anyhow::Context;
use serde::Deserialize;
use std::io::Read;

const COMPRESSED: &[u8] = include_bytes!("../../../data/flights-2013.jsonl.zst");

/// One departure.
#[derive(Debug)]
pub(super) struct Flight {
    /// When it was seen to leave, in Unix ms: the Kafka timestamp.
    pub(super) seen_ms: i64,
    /// The airline: the key.
    pub(super) carrier: String,
    /// The whole line: the value.
    pub(super) json: String,
}

/// All of them, in order.
pub(super) fn all() -> anyhow::Result<Vec<Flight>> {
    #[derive(Deserialize)]
    struct Head {
        seen: i64,
        carrier: String,
    }
    let mut text = String::new();
    let mut decoder = zstd::stream::read::Decoder::new(COMPRESSED).context("the flights of the demo")?;
    decoder.read_to_string(&mut text).context("the flights of the demo")?;
    text.lines()
        .map(|line| {
            let head: Head = serde_json::from_str(line).context("the flights of the demo")?;
            Ok(Flight { seen_ms: head.seen, carrier: head.carrier, json: line.to_owned() })
        })
        .collect()
}
