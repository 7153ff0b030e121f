//! Records into Kafka before anything is measured, and results out of it afterwards.

use crate::apache::Apache;
use crate::expected::{Expected, Windows};
use crate::shape::{Shape, write_key, write_value};
use anyhow::ensure;
use std::time::{Duration, Instant};
use tidemill::broker::{Event, Headers, RecordBatch, TopicPartition};
use tidemill::kafka::{Loader, Reader};
use tidemill::partitioner;

/// How long the last records may take into the broker.
pub(crate) const LOADED_WITHIN: Duration = Duration::from_secs(60);

/// Creates a topic and writes all records of a shape into it; the answer is what must come of them.
pub(crate) fn load(apache: &Apache, topic: &str, shape: &Shape, windows: Windows) -> anyhow::Result<Expected> {
    ensure!(
        fits(shape, free_bytes()?),
        "{} records of {} bytes do not fit into the memory that is free: ask for fewer --records",
        shape.records,
        shape.value_bytes
    );
    apache.topic(topic, shape.partitions, &shape.codec)?;
    let mut loader = loader(apache, topic)?;
    let mut expected = Expected::new(shape, windows);
    let (mut key, mut value) = (Vec::new(), Vec::new());
    for event in shape.events() {
        expected.add(&event);
        write_key(&mut key, event.key);
        write_value(&mut value, &event, shape.value_bytes);
        let partition = partitioner::partition(Some(&key), 0, shape.partitions);
        loader.send(partition, event.time_ms, Some(&key), Some(&value), Headers::default())?;
    }
    loader.flush(LOADED_WITHIN)?;
    Ok(expected)
}

/// Writes large batches, as a busy producer does.
pub(crate) fn loader(apache: &Apache, topic: &str) -> anyhow::Result<Loader> {
    let mut config = apache.config("");
    config.producer_properties.insert("linger.ms".into(), "20".into());
    Ok(Loader::open(&config, topic)?)
}

/// The partitions of a topic by name.
pub(crate) fn names(topic: &str, partitions: i32) -> Vec<TopicPartition> {
    (0..partitions).map(|partition| TopicPartition { topic: topic.into(), partition }).collect()
}

/// Reads what is committed in a topic, value by value, until `done` says so or nothing has come for `patience`.
pub(crate) fn read(
    apache: &Apache,
    topic: &str,
    partitions: i32,
    patience: Duration,
    mut take: impl FnMut(&[u8]) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let mut reader = Reader::open(&apache.config(""), topic, 0..partitions)?;
    let (mut batch, mut events) = (RecordBatch::new(8 << 20, 50_000), Vec::<Event>::new());
    let mut heard = Instant::now();
    while heard.elapsed() < patience {
        batch.clear();
        events.clear();
        reader.poll(&mut batch, &mut events, Duration::from_millis(50))?;
        if !batch.is_empty() {
            heard = Instant::now();
        }
        let mut done = false;
        for record in batch.iter() {
            done |= take(record.value.unwrap_or_default())?;
        }
        if done {
            return Ok(());
        }
    }
    Ok(())
}

/// Whether the records fit into half of the free memory; the rest is for broker, systems and results.
fn fits(shape: &Shape, free_bytes: u64) -> bool {
    const OVERHEAD: u64 = 24;
    shape.records * (shape.value_bytes as u64 + OVERHEAD) < free_bytes / 2
}

fn free_bytes() -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:")).unwrap_or_default();
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}
