//! A broker whose records are made up as they are read: any number of them, and no memory for them.
//!
//! Everything but reading is another broker's: the group, positions, transactions and what is produced. What that broker
//! allocates is not counted.

#![allow(dead_code, unreachable_pub)] // each program uses a part of it

use super::counting::pause;
use std::io::Write;
use std::time::Duration;
use tidemill::broker::{
    Broker, CommitOffset, Committed, Ends, Event, Outgoing, Outlet, ProduceError, RecordBatch, Slot, Start, TopicId,
    TopicPartition,
};
use tidemill::error::BrokerError;

/// What a stream is made of. Offset `n` has the event time `from_ms + n * step_ms`, and up to `jitter_ms` more.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    pub keys: u64,
    pub from_ms: i64,
    pub step_ms: i64,
    pub jitter_ms: i64,
    /// One record in so many is an hour late; 0 for none.
    pub late_every: i64,
    /// One record in so many cannot be merged, each time for another reason; 0 for none.
    pub dead_every: i64,
}

/// So many records of one partition follow each other, as Kafka delivers them.
const RUN: usize = 500;
const HOUR_MS: i64 = 3_600_000;

impl Stream {
    /// Appends the record at `offset`.
    fn push(&self, slot: Slot, offset: i64, scratch: &mut Scratch, batch: &mut RecordBatch) {
        let random = mix(offset as u64 ^ u64::from(slot) << 48);
        let (key, value) = (&mut scratch.key, &mut scratch.value);
        key.clear();
        value.clear();
        let is = |every: i64| every > 0 && offset % every == every - 1;
        let late_ms = if is(self.late_every) { HOUR_MS } else { 0 };
        let jitter_ms = ((random >> 32) as i64).rem_euclid(self.jitter_ms + 1);
        let time_ms = self.from_ms + offset * self.step_ms + jitter_ms - late_ms;
        let number = (random % 10_000) as f64 / 8.0;
        // Some keys are no UTF-8, some need escapes, and so do some texts.
        let number_of_key = random % self.keys;
        let prefix: &[u8] = match number_of_key % 64 {
            0 => b"\xff\xfe",
            1 => b"\x01\"",
            _ => b"key-",
        };
        let text = if random.is_multiple_of(5) { "\\u00e9" } else { "e" };
        key.extend_from_slice(prefix);
        // Writing into memory cannot fail.
        let _ = write!(key, "{number_of_key:06}");
        let _ = write!(
            value,
            "{{\"t\":{time_ms},\"v\":{number},\"s\":\"{text}{:x}\",\"x\":[1,2,null]}}",
            random & 0xffff_ffff
        );
        let dead = is(self.dead_every).then_some(offset / self.dead_every.max(1) % 6);
        match dead {
            Some(0) => value.truncate(10),
            Some(1) => value[2] = b'u',
            Some(2) => value.resize(10_000, b' '),
            Some(3) => key.resize(10_000, b'k'),
            _ => {}
        }
        let key = (dead != Some(4)).then_some(&key[..]);
        let value = (dead != Some(5)).then_some(&value[..]);
        batch.push(slot, offset, time_ms, key, value, |_| ());
    }
}

/// SplitMix64 of one number.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Recycled bytes of the record that is being made.
#[derive(Debug, Default)]
struct Scratch {
    key: Vec<u8>,
    value: Vec<u8>,
}

#[derive(Debug)]
struct Reading {
    slot: Slot,
    position: i64,
    partition: TopicPartition,
    paused: bool,
}

/// `B` with made-up records.
#[derive(Debug)]
pub struct Fed<B> {
    inner: B,
    stream: Stream,
    /// Records that each partition has.
    pub end: i64,
    readings: Vec<Reading>,
    asked: Vec<Slot>,
    next: usize,
    scratch: Scratch,
}

impl<B: Broker> Fed<B> {
    pub fn new(inner: B, stream: Stream) -> Self {
        Self { inner, stream, end: 0, readings: Vec::new(), asked: Vec::new(), next: 0, scratch: Scratch::default() }
    }
}

impl<B: Broker> Broker for Fed<B> {
    fn poll(&mut self, batch: &mut RecordBatch, events: &mut Vec<Event>, _: Duration) -> Result<(), BrokerError> {
        self.serve(events)?;
        let mut dry = 0;
        while dry < self.readings.len() && !batch.is_full() {
            self.next = (self.next + 1) % self.readings.len();
            let reading = &mut self.readings[self.next];
            if reading.paused || reading.position == self.end {
                dry += 1;
                continue;
            }
            dry = 0;
            let (slot, end) = (reading.slot, self.end.min(reading.position + RUN as i64));
            while reading.position < end && !batch.is_full() {
                self.stream.push(slot, reading.position, &mut self.scratch, batch);
                reading.position += 1;
            }
        }
        Ok(())
    }

    fn serve(&mut self, events: &mut Vec<Event>) -> Result<(), BrokerError> {
        for slot in self.asked.drain(..) {
            let ends = Some(Ends { last_stable: self.end, high_watermark: self.end });
            events.push(Event::Ends { slot, ends });
        }
        pause(|| self.inner.serve(events))
    }

    fn assign(&mut self, starts: &[Start]) -> Result<(), BrokerError> {
        self.readings.extend(starts.iter().map(|start| Reading {
            slot: start.slot,
            position: start.offset,
            partition: start.partition.clone(),
            paused: false,
        }));
        pause(|| self.inner.assign(starts))
    }

    fn unassign(&mut self, partitions: &[TopicPartition]) -> Result<(), BrokerError> {
        self.readings.retain(|reading| !partitions.contains(&reading.partition));
        pause(|| self.inner.unassign(partitions))
    }

    fn pause(&mut self, slot: Slot) -> Result<(), BrokerError> {
        self.readings.iter_mut().filter(|reading| reading.slot == slot).for_each(|reading| reading.paused = true);
        Ok(())
    }

    fn seek(&mut self, slot: Slot, offset: i64) -> Result<(), BrokerError> {
        for reading in self.readings.iter_mut().filter(|reading| reading.slot == slot) {
            (reading.position, reading.paused) = (offset, false);
        }
        Ok(())
    }

    fn ask_ends(&mut self, slot: Slot) {
        self.asked.push(slot);
    }

    fn committed(&mut self, partitions: &[TopicPartition]) -> Result<Vec<Option<Committed>>, BrokerError> {
        pause(|| self.inner.committed(partitions))
    }

    fn earliest(&mut self, partition: &TopicPartition) -> Result<i64, BrokerError> {
        pause(|| self.inner.earliest(partition))
    }

    fn topic_id(&mut self, topic: &str) -> Result<TopicId, BrokerError> {
        pause(|| self.inner.topic_id(topic))
    }

    fn partitions(&mut self, outlet: Outlet) -> Result<i32, BrokerError> {
        pause(|| self.inner.partitions(outlet))
    }

    fn renew_producer(&mut self, isolate: bool) -> Result<(), BrokerError> {
        pause(|| self.inner.renew_producer(isolate))
    }

    fn begin(&mut self) -> Result<(), BrokerError> {
        pause(|| self.inner.begin())
    }

    fn produce(&mut self, record: &Outgoing<'_>) -> Result<(), ProduceError> {
        pause(|| self.inner.produce(record))
    }

    fn send_offsets(&mut self, offsets: &[CommitOffset]) -> Result<(), BrokerError> {
        pause(|| self.inner.send_offsets(offsets))
    }

    fn commit(&mut self) -> Result<(), BrokerError> {
        pause(|| self.inner.commit())
    }

    fn abort(&mut self) -> Result<(), BrokerError> {
        pause(|| self.inner.abort())
    }

    fn refused(&mut self, tokens: &mut Vec<(u64, String)>) {
        pause(|| self.inner.refused(tokens));
    }

    fn close(&mut self, timeout: Duration) {
        pause(|| self.inner.close(timeout));
    }
}
