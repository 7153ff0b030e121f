//! The demo's input: departures from New York in 2013, in the order in which they really left (data/README.md).

use anyhow::{Context, ensure};
use serde::Deserialize;
use std::io::{BufRead, BufReader};

const COMPRESSED: &[u8] = include_bytes!("../../../data/flights-2013.jsonl.zst");

/// Departures in the file.
pub(super) const COUNT: u64 = 336_776;

/// One departure.
#[derive(Debug)]
pub(super) struct Flight<'a> {
    /// When it was seen to leave, in Unix ms: the Kafka timestamp.
    pub(super) seen_ms: i64,
    /// The airline: the key.
    pub(super) carrier: String,
    /// The whole line: the value.
    pub(super) json: &'a str,
}

/// Hands over each of them, in order, without holding them all.
pub(super) fn each(mut load: impl FnMut(&Flight<'_>) -> anyhow::Result<()>) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Head {
        seen: i64,
        carrier: String,
    }
    let lines =
        BufReader::new(zstd::stream::read::Decoder::new(COMPRESSED).context("the flights of the demo")?).lines();
    let mut count = 0;
    for line in lines {
        let json = line.context("the flights of the demo")?;
        let head: Head = serde_json::from_str(&json).context("the flights of the demo")?;
        load(&Flight { seen_ms: head.seen, carrier: head.carrier, json: &json })?;
        count += 1;
    }
    ensure!(count == COUNT, "{count} flights instead of {COUNT}: data/flights-2013.jsonl.zst is damaged");
    Ok(())
}
