//! The last records of each source partition, read without a group and within bounds of number, bytes and time.

use crate::broker::{Event, RecordBatch, Start, TopicPartition};
use crate::cli::preflight::{self, ClusterFacts};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::error::BrokerError;
use crate::kafka::{Admin, Log, Reader};
use crate::plan::{Load, Sample};
use anyhow::{Context, bail};
use std::time::Duration;

/// How long brokers have for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long reading may take.
const READING_MAX: Duration = Duration::from_secs(30);
/// How many bytes of records may be read.
const BYTES_MAX: u64 = 1 << 30;
const BATCH_BYTES: usize = 1 << 20;
const BATCH_RECORDS: usize = 8192;

/// What the topics say of the load, and how long they keep their records.
pub(super) fn look(config: &Config, records_max: u64) -> anyhow::Result<(Load, Option<i64>)> {
    let brokers = || format!("cannot ask the brokers at {}", config.kafka.brokers);
    let mut admin = Admin::connect(&config.kafka, PATIENCE)?;
    let facts = preflight::facts(&mut admin, config).with_context(brokers)?;
    if let Some(missing) = facts.sources.iter().find(|source| source.found().is_none()) {
        bail!("source topic `{}` cannot be looked at: `tidemill check FILE --connect` says why", missing.name);
    }
    let partitions = facts.source_partitions().count();
    let parts = parts(&facts, records_max);
    let sample = read(config, &parts).with_context(brokers)?;
    let Some(load) = sample.load(partitions) else {
        bail!(
            "the {} records at the ends of {partitions} source partitions say nothing: a plan needs some that can be \
             merged, over a stretch of time. Give numbers instead: --keys 1M --rate 200k",
            sample.records()
        );
    };
    Ok((load, retention_ms(&facts)))
}

/// Where reading begins in each partition that holds anything, and where it ends.
fn parts(facts: &ClusterFacts, records_max: u64) -> Vec<(Start, i64)> {
    let all = facts.source_partitions().filter_map(|(_, name)| Some((facts.logs.get(&name)?, name)));
    let mut all: Vec<(&Log, TopicPartition)> = all.filter(|(log, _)| log.ends.last_stable > log.earliest).collect();
    // The smallest first: what they leave of their share goes to the others.
    all.sort_by_key(|(log, _)| log.ends.last_stable - log.earliest);
    let (mut left, count) = (i64::try_from(records_max).unwrap_or(i64::MAX), all.len());
    let mut parts = Vec::new();
    for (index, (log, partition)) in all.into_iter().enumerate() {
        let end = log.ends.last_stable;
        let records = (end - log.earliest).min((left / (count - index) as i64).max(1));
        left -= records;
        parts.push((Start { partition, slot: index as u32, offset: end - records }, end));
    }
    parts
}

fn read(config: &Config, parts: &[(Start, i64)]) -> Result<Sample, BrokerError> {
    let clock = SystemClock::new();
    let mut sample = Sample::new(&config.pipeline, clock.now_ms());
    let starts: Vec<_> = parts.iter().map(|(start, _)| start.clone()).collect();
    let mut reader = Reader::open_at(&config.kafka, &starts)?;
    let (mut batch, mut events) = (RecordBatch::new(BATCH_BYTES, BATCH_RECORDS), Vec::new());
    let mut ends: Vec<_> = parts.iter().map(|(_, end)| Some(*end)).collect();
    let (deadline, mut bytes) = (clock.monotonic() + READING_MAX, 0);
    while ends.iter().any(Option::is_some) && clock.monotonic() < deadline && bytes < BYTES_MAX {
        batch.clear();
        events.clear();
        reader.poll(&mut batch, &mut events, Duration::from_millis(100))?;
        bytes += batch.bytes() as u64;
        let mut reach = |slot: u32, next: i64| {
            if let Some(end) = ends.get_mut(slot as usize)
                && end.is_some_and(|end| next >= end)
            {
                *end = None;
            }
        };
        for record in batch.iter() {
            sample.add(&record);
            reach(record.slot, record.offset + 1);
        }
        for event in events.drain(..) {
            match event {
                Event::End { slot, offset } => reach(slot, offset),
                Event::Trouble(what) if sample.records() == 0 => tracing::warn!("{what}"),
                _ => {}
            }
        }
    }
    Ok(sample)
}

/// Of the topics that forget by time, the shortest.
fn retention_ms(facts: &ClusterFacts) -> Option<i64> {
    facts.sources.iter().filter_map(preflight::TopicFacts::retention_ms).min()
}
