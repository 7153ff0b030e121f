//! The last records of each source partition, read without a group and within bounds of number, bytes and time.

use crate::broker::{Event, RecordBatch, Start, TopicPartition};
use crate::budget::Settings;
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
/// How many bytes of records may be read.
const BYTES_MAX: u64 = 1 << 30;
/// How long the reader may take to end.
const CLOSING_MAX: Duration = Duration::from_millis(500);
const GIVE_NUMBERS: &str = "Give numbers instead: --keys 1M --rate 200k";
/// How long one look at the reader may wait.
const POLL_MAX: Duration = Duration::from_millis(100);

/// How much may be looked at, and what that may take.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Bounds {
    /// Records of all partitions together.
    pub(in crate::cli) records: u64,
    /// Until there is enough.
    pub(in crate::cli) time: Duration,
    /// Limits of the reader's buffers.
    pub(in crate::cli) settings: Settings,
    /// Memory for the panes that are counted.
    pub(in crate::cli) panes_bytes: usize,
}

impl Bounds {
    /// Those of a person who waits for a plan.
    pub(super) fn patient(records: u64) -> Self {
        Self { records, time: Duration::from_secs(30), settings: Settings::default(), panes_bytes: usize::MAX }
    }
}

/// What the topics say of the load, and how long they keep their records.
pub(super) fn look(config: &Config, bounds: &Bounds) -> anyhow::Result<(Load, Option<i64>)> {
    let brokers = || format!("cannot ask the brokers at {}", config.kafka.brokers);
    let mut admin = Admin::connect(&config.kafka, PATIENCE)?;
    let facts = preflight::facts(&mut admin, config).with_context(brokers)?;
    if let Some(missing) = facts.sources.iter().find(|source| source.found().is_none()) {
        bail!("source topic `{}` cannot be looked at: `tidemill check FILE --connect` says why", missing.name);
    }
    let partitions = facts.source_partitions().count();
    let look = sample(config, &facts, bounds, &|| true).with_context(brokers)?;
    let Some(load) = look.sample.load(partitions) else { bail!("{}. {GIVE_NUMBERS}", look.says_nothing(partitions)) };
    if look.cut > 0 {
        tracing::warn!(partitions, cut = look.cut, "time was up before all was read: the plan is a lower bound");
    }
    Ok((load, retention_ms(&facts)))
}

/// What was seen of a source.
pub(in crate::cli) struct Look {
    /// It.
    pub(in crate::cli) sample: Sample,
    /// Partitions whose end was not reached.
    pub(in crate::cli) cut: usize,
}

impl Look {
    /// Why no load follows from it.
    pub(in crate::cli) fn says_nothing(&self, partitions: usize) -> String {
        format!(
            "the {} records at the ends of {partitions} source partitions say nothing ({} would be dead letters): a plan \
             needs some that can be merged, over a stretch of time",
            self.sample.records(),
            self.sample.dead()
        )
    }
}

/// The last records of each partition, judged; fewer of them if time or bytes are up, or `go_on` is false.
///
/// # Errors
/// Fatal: the reader cannot be made, or is lost.
pub(in crate::cli) fn sample(
    config: &Config,
    facts: &ClusterFacts,
    bounds: &Bounds,
    go_on: &dyn Fn() -> bool,
) -> Result<Look, BrokerError> {
    let clock = SystemClock::new();
    let mut sample = Sample::new(&config.pipeline, clock.now_ms()).within(bounds.panes_bytes);
    let parts = parts(facts, bounds.records);
    if parts.is_empty() {
        return Ok(Look { sample, cut: 0 });
    }
    let starts: Vec<_> = parts.iter().map(|(start, _)| start.clone()).collect();
    let Bounds { settings, .. } = bounds;
    let deadline = clock.monotonic() + bounds.time;
    let mut reader = Reader::open_at(&config.kafka, &starts, settings)?;
    let mut batch = RecordBatch::new(settings.batch_bytes as usize, settings.batch_records as usize);
    let mut events = Vec::new();
    let mut ends: Vec<_> = parts.iter().map(|(_, end)| Some(*end)).collect();
    let mut bytes = 0;
    while ends.iter().any(Option::is_some) && clock.monotonic() < deadline && bytes < BYTES_MAX && go_on() {
        batch.clear();
        events.clear();
        reader.poll(&mut batch, &mut events, POLL_MAX)?;
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
                // Its records were deleted meanwhile.
                Event::OutOfRange { slot, .. } => reach(slot, i64::MAX),
                Event::Trouble(what) if sample.records() == 0 => tracing::warn!("looking at the source: {what}"),
                _ => {}
            }
        }
    }
    reader.close_within(CLOSING_MAX);
    Ok(Look { sample, cut: ends.iter().flatten().count() })
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

/// Of the topics that forget by time, the shortest.
pub(super) fn retention_ms(facts: &ClusterFacts) -> Option<i64> {
    facts.sources.iter().filter_map(preflight::TopicFacts::retention_ms).min()
}
