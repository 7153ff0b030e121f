//! Topics as any read_committed consumer reads them.

use crate::process::{PATIENCE, until};
use crate::support::kafka::Kafka;
use std::time::{Duration, Instant};
use tidemill::broker::{Event, RecordBatch, TopicPartition};
use tidemill::kafka::Reader;

/// A record of a topic.
#[derive(Clone, Debug)]
pub struct Read {
    pub partition: i32,
    pub offset: i64,
    pub timestamp_ms: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Read {
    /// The last header of this name, as text.
    pub fn header(&self, name: &str) -> &str {
        let header = self.headers.iter().rev().find(|(other, _)| other == name);
        header.map_or("", |(_, value)| std::str::from_utf8(value).unwrap())
    }
}

/// A reader that goes on where it was.
pub struct Tail {
    reader: Reader,
    batch: RecordBatch,
    events: Vec<Event>,
    /// Next offset of each partition.
    ends: Vec<i64>,
    pub records: Vec<Read>,
}

impl Tail {
    pub fn new(kafka: &Kafka, topic: &str, partitions: i32) -> Self {
        let reader = Reader::open(&kafka.config(""), topic, 0..partitions).unwrap();
        let ends = vec![0; partitions as usize];
        Self { reader, batch: RecordBatch::new(4 << 20, 10_000), events: Vec::new(), ends, records: Vec::new() }
    }

    /// Reads what is there.
    pub fn read(&mut self) {
        self.batch.clear();
        self.events.clear();
        self.reader.poll(&mut self.batch, &mut self.events, Duration::from_millis(20)).unwrap();
        for record in self.batch.iter() {
            self.ends[record.slot as usize] = record.offset + 1;
            let header = |(name, value): (&[u8], Option<&[u8]>)| {
                (String::from_utf8_lossy(name).into_owned(), value.unwrap_or_default().to_vec())
            };
            self.records.push(Read {
                partition: record.slot as i32,
                offset: record.offset,
                timestamp_ms: record.timestamp_ms,
                key: record.key.map(<[u8]>::to_vec),
                value: record.value.map(<[u8]>::to_vec),
                headers: record.headers.iter().map(header).collect(),
            });
        }
        for event in &self.events {
            if let Event::End { slot, offset } = event {
                self.ends[*slot as usize] = *offset;
            }
        }
    }

    /// Waits until it has read `count` records.
    pub fn until(&mut self, count: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.records.len() < count {
            assert!(Instant::now() < deadline, "{} of {count} records are there", self.records.len());
            self.read();
        }
    }
}

/// All committed records of a topic, once no transaction is open on it.
pub fn all(kafka: &Kafka, topic: &str, partitions: i32) -> Vec<Read> {
    let mut admin = kafka.admin("");
    let names: Vec<_> = (0..partitions).map(|partition| TopicPartition { topic: topic.into(), partition }).collect();
    let mut ends = Vec::new();
    until(&format!("no transaction is open on {topic}"), || {
        ends = admin.logs(&names).unwrap().iter().map(|log| log.ends).collect();
        ends.iter().all(|ends| ends.last_stable == ends.high_watermark)
    });
    let mut tail = Tail::new(kafka, topic, partitions);
    until(&format!("{topic} is read to its end"), || {
        tail.read();
        tail.ends.iter().zip(&ends).all(|(read, end)| *read >= end.last_stable)
    });
    tail.records
}

/// Committed records of a topic: at least `enough`, or all up to the end.
pub fn count(kafka: &Kafka, topic: &str, partitions: i32, enough: usize) -> usize {
    let mut tail = Tail::new(kafka, topic, partitions);
    let mut at_end = vec![false; partitions as usize];
    while tail.records.len() < enough && at_end.contains(&false) {
        tail.read();
        for event in &tail.events {
            if let Event::End { slot, .. } = event {
                at_end[*slot as usize] = true;
            }
        }
    }
    tail.records.len()
}
