//! A client in the hands of a test: polls, answers the group, keeps what it saw, and repeats what wants repeating.
//!
//! Brokers answer when they like: so nothing here counts polls, everything waits until it is so, or fails loudly.

use crate::harness::{Harness, Rec, Spec};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidemill::broker::{
    Broker, CommitOffset, Committed, Event, Headers, Outgoing, Outlet, ProduceError, RecordBatch, Slot, Start,
    TopicPartition, write_header,
};
use tidemill::error::{BrokerError, ErrorKind};

/// Steps of [`until`] in virtual time, and the seconds that they may take in real time.
const STEPS_MAX: u32 = 6_000;
const SECONDS_MAX: u64 = 60;
const STEP: Duration = Duration::from_millis(10);

/// One client with all that it has seen.
pub struct Driver<H: Harness> {
    pub broker: H::Client,
    /// Records in the order of their arrival.
    pub seen: Vec<(Slot, i64, Rec)>,
    /// Events in the order of their arrival.
    pub events: Vec<Event>,
    /// Partitions by slot.
    pub slots: Vec<(Slot, TopicPartition)>,
    /// Answer `Assigned` by reading from here; without it the test answers.
    pub start: Option<i64>,
    /// Answer `Revoked` and `Lost` at once; without it the test answers.
    pub gives_back: bool,
    batch: RecordBatch,
    next_slot: Slot,
    poll_timeout: Duration,
}

impl<H: Harness> Driver<H> {
    /// A client that reads from offset 0 and has its first producer.
    pub fn new(h: &mut H, spec: &Spec) -> Self {
        let mut driver = Self::without_producer(h, spec);
        driver.renew(h, false);
        driver
    }

    pub fn without_producer(h: &mut H, spec: &Spec) -> Self {
        Self {
            broker: h.client(spec),
            seen: Vec::new(),
            events: Vec::new(),
            slots: Vec::new(),
            start: Some(0),
            gives_back: true,
            batch: RecordBatch::new(1 << 20, 1_000),
            next_slot: 0,
            poll_timeout: h.poll_timeout(),
        }
    }

    /// Polls once and keeps what came.
    pub fn poll(&mut self) {
        let mut events = Vec::new();
        self.batch.clear();
        self.broker.poll(&mut self.batch, &mut events, self.poll_timeout).expect("poll");
        for record in self.batch.iter() {
            let headers = record.headers.iter().map(|(name, value)| (name.to_vec(), value.map(<[u8]>::to_vec)));
            let rec = Rec {
                timestamp_ms: record.timestamp_ms,
                key: record.key.map(<[u8]>::to_vec),
                value: record.value.map(<[u8]>::to_vec),
                headers: headers.collect(),
            };
            self.seen.push((record.slot, record.offset, rec));
        }
        for event in &events {
            self.answer(event);
        }
        self.events.extend(events);
    }

    fn answer(&mut self, event: &Event) {
        match (event, self.start) {
            (Event::Assigned(partitions), Some(offset)) => partitions.iter().for_each(|at| self.assign(at, offset)),
            (Event::Revoked(partitions) | Event::Lost(partitions), _) if self.gives_back => {
                self.give_back(&partitions.clone());
            }
            _ => {}
        }
    }

    pub fn assign(&mut self, partition: &TopicPartition, offset: i64) {
        let slot = self.next_slot;
        self.next_slot += 1;
        self.slots.push((slot, partition.clone()));
        self.broker.assign(&[Start { partition: partition.clone(), slot, offset }]).expect("assign");
    }

    pub fn give_back(&mut self, partitions: &[TopicPartition]) {
        self.slots.retain(|(_, partition)| !partitions.contains(partition));
        self.broker.unassign(partitions).expect("unassign");
    }

    /// Polls until there are so many records.
    pub fn poll_records(&mut self, h: &mut H, count: usize) {
        until(h, &format!("{count} records arrive"), |_| {
            self.poll();
            (self.seen.len() >= count).then_some(())
        });
    }

    /// Polls until the end of the only partition is reported to be `offset`.
    pub fn poll_end(&mut self, h: &mut H, offset: i64) {
        self.poll_event(
            h,
            &format!("the end at {offset}"),
            |event| matches!(event, Event::End { offset: end, .. } if *end == offset),
        );
    }

    /// Polls until such an event has come, after those that are there already.
    pub fn poll_event(&mut self, h: &mut H, what: &str, mut is_it: impl FnMut(&Event) -> bool) -> Event {
        let from = self.events.len();
        until(h, what, |_| {
            self.poll();
            self.events.iter().skip(from).find(|event| is_it(event)).cloned()
        })
    }

    /// Polls for a while; for what must not happen.
    pub fn poll_on(&mut self, h: &mut H) {
        for _ in 0..50 {
            self.poll();
            h.pass(STEP);
        }
    }

    /// Polls until the group has given us so many partitions.
    pub fn poll_assigned(&mut self, h: &mut H, count: usize) {
        until(h, &format!("{count} partitions are assigned"), |_| {
            self.poll();
            (self.slots.len() == count).then_some(())
        });
    }

    pub fn slot(&self) -> Slot {
        self.slots.first().expect("a partition is assigned").0
    }

    pub fn offsets(&self) -> Vec<i64> {
        self.seen.iter().map(|(_, offset, _)| *offset).collect()
    }

    pub fn renew(&mut self, h: &mut H, isolate: bool) {
        self.repeat(h, "renew_producer", |broker| broker.renew_producer(isolate)).expect("renew_producer");
    }

    /// Begins a transaction and produces these values into partition 0 of the sink, with their index as token.
    pub fn begin(&mut self, h: &mut H, values: &[&str]) {
        self.repeat(h, "begin", H::Client::begin).expect("begin");
        for (token, value) in (0u64..).zip(values) {
            self.produce(h, 0, &Rec::new("key", value), token).expect("produce");
        }
    }

    pub fn produce(&mut self, h: &mut H, partition: i32, record: &Rec, token: u64) -> Result<(), ProduceError> {
        let mut headers = Vec::new();
        for (name, value) in &record.headers {
            write_header(&mut headers, name, value.as_deref());
        }
        let outgoing = Outgoing {
            outlet: Outlet::Sink,
            partition,
            timestamp_ms: record.timestamp_ms,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: Headers(&headers),
            token,
        };
        until(h, "the queue takes a record", |_| match self.broker.produce(&outgoing) {
            Err(ProduceError::Full) => {
                self.serve();
                None
            }
            result => Some(result),
        })
    }

    /// Makes sure that what was produced has reached the broker's log, although nothing is committed.
    pub fn flush(&mut self, h: &mut H) {
        for _ in 0..30 {
            self.serve();
            h.pass(STEP);
        }
    }

    pub fn serve(&mut self) {
        let mut events = Vec::new();
        self.broker.serve(&mut events).expect("serve");
        for event in &events {
            self.answer(event);
        }
        self.events.extend(events);
    }

    pub fn send(&mut self, h: &mut H, at: &TopicPartition, offset: i64, metadata: &str) -> Result<(), BrokerError> {
        let committed = Committed { offset, metadata: metadata.to_owned() };
        let offsets = [CommitOffset { partition: at.clone(), committed }];
        self.repeat(h, "send_offsets", |broker| broker.send_offsets(&offsets))
    }

    /// Like [`Self::send`] by a client that does nothing else meanwhile, so that it learns nothing either.
    pub fn send_without_serving(
        &mut self,
        h: &mut H,
        at: &TopicPartition,
        offset: i64,
        metadata: &str,
    ) -> Result<(), BrokerError> {
        let committed = Committed { offset, metadata: metadata.to_owned() };
        let offsets = [CommitOffset { partition: at.clone(), committed }];
        until(h, "send_offsets", |_| match self.broker.send_offsets(&offsets) {
            Err(error) if error.kind == ErrorKind::Retry => None,
            result => Some(result),
        })
    }

    pub fn commit(&mut self, h: &mut H) -> Result<(), BrokerError> {
        self.repeat(h, "commit", H::Client::commit)
    }

    pub fn abort(&mut self, h: &mut H) -> Result<(), BrokerError> {
        self.repeat(h, "abort", H::Client::abort)
    }

    pub fn committed(&mut self, h: &mut H, at: &TopicPartition) -> Option<Committed> {
        let partitions = [at.clone()];
        let answer = self.repeat(h, "committed", |broker| broker.committed(&partitions)).expect("committed");
        assert_eq!(answer.len(), 1, "one answer for each partition");
        answer.into_iter().next().flatten()
    }

    pub fn refused(&mut self) -> Vec<u64> {
        let mut tokens = Vec::new();
        self.broker.refused(&mut tokens);
        tokens.into_iter().map(|(token, _)| token).collect()
    }

    /// Makes the same call until it is answered, serving meanwhile.
    pub fn repeat<T>(
        &mut self,
        h: &mut H,
        what: &str,
        mut call: impl FnMut(&mut H::Client) -> Result<T, BrokerError>,
    ) -> Result<T, BrokerError> {
        until(h, what, |_| match call(&mut self.broker) {
            Err(error) if error.kind == ErrorKind::Retry => {
                self.serve();
                None
            }
            result => Some(result),
        })
    }
}

/// Repeats a step until it yields something, and lets time pass between.
pub fn until<H: Harness, T>(h: &mut H, what: &str, mut step: impl FnMut(&mut H) -> Option<T>) -> T {
    let started = Instant::now();
    for _ in 0..STEPS_MAX {
        if let Some(result) = step(h) {
            return result;
        }
        assert!(started.elapsed() < Duration::from_secs(SECONDS_MAX), "waited {SECONDS_MAX} s in vain until {what}");
        h.pass(STEP);
    }
    panic!("waited {STEPS_MAX} steps in vain until {what}");
}

pub fn at(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: Arc::from(topic), partition }
}
