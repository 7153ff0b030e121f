//! The flights of 2013 over and over, each round a year later: real keys, few of them, in the order in which they left.
//!
//! Hours by carrier, as the README's pipeline; what must come of them is computed beside the loader, window by window.

use crate::apache::Apache;
use crate::expected::Windows;
use crate::load::{LOADED_WITHIN, loader};
use crate::measure::{FROM, Facts, Judge, Mark};
use crate::report::root;
use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use tidemill::broker::Headers;
use tidemill::partitioner;

/// Hours, late by up to one.
pub(crate) const HOURS: Windows = Windows { size_ms: 3_600_000, every_ms: 3_600_000, grace_ms: 3_600_000 };
/// Departures in the file.
pub(crate) const A_YEAR: u64 = 336_776;
const YEAR_MS: i64 = 365 * 24 * HOURS.size_ms;

/// Count, sum, min and max of the delays; delays are whole minutes, so that sums are exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
struct Cell {
    count: u64,
    sum: f64,
    min: Option<f64>,
    max: Option<f64>,
}

/// What the loader has to know of a line.
#[derive(Deserialize)]
struct Flight<'a> {
    seen: i64,
    scheduled: i64,
    carrier: &'a str,
    dep_delay: Option<f64>,
}

/// A result as read back; other members are not looked at.
#[derive(Deserialize)]
struct Row<'a> {
    key: &'a str,
    window_start: i64,
    #[serde(flatten)]
    cell: Cell,
}

type Place = (String, i64);

/// What the flights call for.
#[derive(Default)]
pub(crate) struct Flights {
    /// Open windows of each partition, by their start.
    open: Vec<BTreeMap<i64, HashMap<String, Cell>>>,
    watermarks: Vec<i64>,
    closed: HashMap<Place, Cell>,
    marks: Vec<Mark>,
}

impl Flights {
    fn new(partitions: i32) -> Self {
        let partitions = partitions as usize;
        Self { open: vec![BTreeMap::new(); partitions], watermarks: vec![i64::MIN; partitions], ..Self::default() }
    }

    /// Takes a flight into account; one whose hour is closed is late.
    fn add(&mut self, partition: usize, key: &str, time_ms: i64, delay: Option<f64>) {
        let start = time_ms.div_euclid(HOURS.size_ms) * HOURS.size_ms;
        let due = |start: i64, watermark: i64| start + HOURS.size_ms + HOURS.grace_ms <= watermark;
        if due(start, self.watermarks[partition]) {
            return;
        }
        let open = &mut self.open[partition];
        let cell = open.entry(start).or_default().entry(key.to_owned()).or_default();
        cell.count += 1;
        if let Some(delay) = delay {
            cell.sum += delay;
            cell.min = Some(cell.min.map_or(delay, |min| min.min(delay)));
            cell.max = Some(cell.max.map_or(delay, |max| max.max(delay)));
        }
        let watermark = self.watermarks[partition].max(time_ms);
        self.watermarks[partition] = watermark;
        while let Some(first) = open.first_entry().filter(|first| due(*first.key(), watermark)) {
            let start = *first.key();
            self.closed.extend(first.remove().into_iter().map(|(key, cell)| ((key, start), cell)));
        }
    }

    fn mark(&mut self, records: u64) {
        self.marks.push(Mark { records, results: self.closed.len() as u64 });
    }
}

/// Creates a topic and writes so many years of flights into it, the last of them 2013.
pub(crate) fn load(apache: &Apache, topic: &str, partitions: i32, years: u64) -> anyhow::Result<Flights> {
    apache.topic(topic, partitions, "none")?;
    let mut loader = loader(apache, topic)?;
    let mut flights = Flights::new(partitions);
    let mut records = 0;
    for year in 0..years {
        let earlier_ms = YEAR_MS * (years - 1 - year) as i64;
        let file = File::open(root().join("data/flights-2013.jsonl.zst")).context("the flights of 2013")?;
        for line in BufReader::new(zstd::stream::read::Decoder::new(file)?).lines() {
            let line = line?;
            let flight: Flight<'_> = serde_json::from_str(&line)?;
            let rest = line.splitn(3, ',').nth(2).context("a flight has more than its times")?;
            let (seen_ms, time_ms) = (flight.seen - earlier_ms, flight.scheduled - earlier_ms);
            let value = format!("{{\"seen\":{seen_ms},\"scheduled\":{time_ms},{rest}");
            let key = flight.carrier.as_bytes();
            let partition = partitioner::partition(Some(key), 0, partitions);
            loader.send(partition, seen_ms, Some(key), Some(value.as_bytes()), Headers::default())?;
            flights.add(partition as usize, flight.carrier, time_ms, flight.dep_delay);
            records += 1;
            if records == (FROM * (years * A_YEAR) as f64) as u64 {
                flights.mark(records);
            }
        }
    }
    flights.mark(records);
    loader.flush(LOADED_WITHIN)?;
    Ok(flights)
}

impl Facts for Flights {
    fn marks(&self) -> anyhow::Result<[Mark; 2]> {
        self.marks.clone().try_into().ok().context("a year of flights at least")
    }

    fn judge(&self, twice_is_fine: bool) -> Box<dyn Judge + '_> {
        Box::new(Check { flights: self, seen: HashSet::new(), twice_is_fine })
    }
}

struct Check<'a> {
    flights: &'a Flights,
    seen: HashSet<Place>,
    twice_is_fine: bool,
}

impl Judge for Check<'_> {
    fn add(&mut self, value: &[u8]) -> anyhow::Result<()> {
        let shown = || String::from_utf8_lossy(value).into_owned();
        let row: Row<'_> = serde_json::from_slice(value).with_context(|| format!("not a result: {}", shown()))?;
        let place = (row.key.to_owned(), row.window_start);
        let cell = self.flights.closed.get(&place).with_context(|| format!("no window of ours: {}", shown()))?;
        ensure!(row.cell == *cell, "wrong: {} instead of {cell:?}", shown());
        if !self.seen.insert(place) && !self.twice_is_fine {
            bail!("twice: {}", shown());
        }
        Ok(())
    }

    fn results(&self) -> u64 {
        self.seen.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_closed_an_hour_after_its_end_and_what_comes_then_is_late() {
        const HOUR: i64 = HOURS.size_ms;
        let mut flights = Flights::new(1);
        for (time_ms, delay) in [(0, Some(4.0)), (HOUR, None), (5, Some(-3.0)), (3 * HOUR, None), (6, Some(9.0))] {
            flights.add(0, "UA", time_ms, delay);
        }
        flights.mark(5);
        assert_eq!(flights.marks, [Mark { records: 5, results: 2 }]);
        let result = r#"{"key":"UA","window_start":0,"window_end":3600000,"count":2,"sum":1,"min":-3,"max":4}"#;
        let nothing =
            r#"{"key":"UA","window_start":3600000,"window_end":7200000,"count":1,"sum":0,"min":null,"max":null}"#;
        let mut check = flights.judge(false);
        check.add(result.as_bytes()).unwrap();
        check.add(nothing.as_bytes()).unwrap();
        assert_eq!(check.results(), 2);
        assert!(check.add(result.as_bytes()).unwrap_err().to_string().contains("twice"));
        let wrong = result.replace("\"count\":2", "\"count\":3");
        assert!(check.add(wrong.as_bytes()).unwrap_err().to_string().contains("wrong"));
        let open = result.replace("\"window_start\":0", "\"window_start\":10800000");
        assert!(check.add(open.as_bytes()).unwrap_err().to_string().contains("no window of ours"));
    }
}
