//! The worker that a user would write first: a stream of messages, serde_json, maps, at-least-once.
//!
//! Arguments: brokers, group, source topic, sink topic, window size and grace in milliseconds.

use anyhow::Context;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Message, Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

#[derive(Deserialize)]
struct Event {
    time: i64,
    amount: f64,
}

struct Aggregate {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
}

#[derive(Serialize)]
struct Output<'a> {
    key: &'a str,
    window_start: i64,
    window_end: i64,
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
}

/// An open window, and the offset of its first record: a restart must read from there.
struct Window {
    first_offset: i64,
    keys: HashMap<String, Aggregate>,
}

#[derive(Default)]
struct Partition {
    watermark: i64,
    windows: BTreeMap<i64, Window>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [brokers, group, source, sink, size_ms, grace_ms] = arguments.as_slice() else {
        anyhow::bail!("usage: tidemill-naive BROKERS GROUP SOURCE SINK SIZE_MS GRACE_MS");
    };
    let (size_ms, grace_ms): (i64, i64) = (size_ms.parse()?, grace_ms.parse()?);
    let consumer: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .create()?;
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("compression.type", "lz4")
        .set("partitioner", "murmur2_random")
        .create()?;
    consumer.subscribe(&[source])?;
    let mut partitions: HashMap<i32, Partition> = HashMap::new();
    loop {
        let message = consumer.recv().await?;
        let key = std::str::from_utf8(message.key().context("a record without a key")?)?;
        let event: Event = serde_json::from_slice(message.payload().context("a tombstone")?)?;
        let partition = partitions.entry(message.partition()).or_default();
        let start = event.time.div_euclid(size_ms) * size_ms;
        if start + size_ms + grace_ms <= partition.watermark {
            continue;
        }
        let window = partition
            .windows
            .entry(start)
            .or_insert_with(|| Window { first_offset: message.offset(), keys: HashMap::new() });
        let aggregate = window.keys.entry(key.to_owned()).or_insert(Aggregate {
            count: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        });
        aggregate.count += 1;
        aggregate.sum += event.amount;
        aggregate.min = aggregate.min.min(event.amount);
        aggregate.max = aggregate.max.max(event.amount);
        partition.watermark = partition.watermark.max(event.time);

        let mut closed = false;
        while let Some(first) = partition.windows.first_entry()
            && first.key() + size_ms + grace_ms <= partition.watermark
        {
            let (start, window) = first.remove_entry();
            for (key, aggregate) in &window.keys {
                send(&producer, sink, key, &output(key, start, size_ms, aggregate))?;
            }
            closed = true;
        }
        if closed {
            producer.flush(Duration::from_secs(30))?;
            let replay = partition.windows.values().map(|window| window.first_offset).min();
            let next = Offset::Offset(replay.unwrap_or(message.offset() + 1));
            let mut offsets = TopicPartitionList::new();
            offsets.add_partition_offset(source, message.partition(), next)?;
            consumer.commit(&offsets, CommitMode::Async)?;
        }
    }
}

fn output<'a>(key: &'a str, start: i64, size_ms: i64, aggregate: &Aggregate) -> Output<'a> {
    let Aggregate { count, sum, min, max } = *aggregate;
    Output { key, window_start: start, window_end: start + size_ms, count, sum, min, max }
}

fn send(producer: &BaseProducer, sink: &str, key: &str, output: &Output<'_>) -> anyhow::Result<()> {
    let value = serde_json::to_vec(output)?;
    let mut record = BaseRecord::to(sink).key(key).payload(&value);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                producer.poll(Duration::from_millis(10));
                record = back;
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
}
