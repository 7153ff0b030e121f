//! Records in bulk without a group: a fast producer to load a topic, a reader of what is committed in one.
//!
//! For plans, the demo, tests and benches; no lane uses it, and nothing here is exactly-once.

use super::context::Context;
use super::list::PartitionList;
use super::native::{Client, Code, Role, explain, millis};
use super::outgoing::{Message, Topic};
use super::properties;
use super::queue::DataQueue;
use crate::broker::{Event, Headers, RecordBatch, Start, TopicPartition};
use crate::budget::Settings;
use crate::config::Kafka;
use crate::error::BrokerError;
use rdkafka_sys as rd;
use std::sync::Arc;
use std::time::Duration;

/// Writes records to one topic, without a transaction.
pub struct Loader {
    topic: Topic,
    client: Arc<Client>,
}

impl Loader {
    /// Creates the client; waits for nobody.
    ///
    /// # Errors
    /// Fatal: a property or the topic's name is refused.
    pub fn open(kafka: &Kafka, topic: &str) -> Result<Self, BrokerError> {
        let client = Client::new(Role::Producer, &properties::plain_producer(kafka)?, Arc::new(Context::default()))?;
        Ok(Self { topic: Topic::new(&client, topic)?, client })
    }

    /// Queues a record, waiting while the queue is full. Partition −1: murmur2 of the key, as the Java client does it.
    ///
    /// # Errors
    /// Fatal: librdkafka refuses the record.
    pub fn send(
        &mut self,
        partition: i32,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: Headers<'_>,
    ) -> Result<(), BrokerError> {
        let message = Message { partition, timestamp_ms, key, value, headers, token: 0 };
        loop {
            match self.topic.enqueue(&message) {
                Ok(()) => return Ok(()),
                Err(failure) if failure.code == Code::RD_KAFKA_RESP_ERR__QUEUE_FULL => {
                    // SAFETY: the client is alive.
                    unsafe { rd::rd_kafka_poll(self.client.raw(), 10) };
                }
                Err(failure) => return Err(BrokerError::fatal(format!("cannot load a record: {failure}"))),
            }
        }
    }

    /// Waits until all records are written.
    ///
    /// # Errors
    /// Retry: some still wait after `timeout`; fatal: the broker refused some.
    pub fn flush(&mut self, timeout: Duration) -> Result<(), BrokerError> {
        // SAFETY: the client is alive.
        let code = unsafe { rd::rd_kafka_flush(self.client.raw(), millis(timeout)) };
        if code == Code::RD_KAFKA_RESP_ERR__TIMED_OUT {
            return Err(BrokerError::retry("records still wait to be written"));
        }
        let mut inbox = self.client.context().inbox();
        let failed = std::mem::take(&mut inbox.failed);
        inbox.refused.clear();
        match failed {
            Some(reason) => Err(BrokerError::fatal(format!("records were not written: {reason}"))),
            None => Ok(()),
        }
    }
}

/// Reads committed records; of one topic from the beginning ([`Self::open`]), slot = number of the partition.
pub struct Reader {
    data: DataQueue,
    client: Arc<Client>,
}

impl Reader {
    /// Creates the client and begins with these partitions of the topic.
    ///
    /// # Errors
    /// Fatal: a property is refused.
    pub fn open(kafka: &Kafka, topic: &str, partitions: impl IntoIterator<Item = i32>) -> Result<Self, BrokerError> {
        let topic: Arc<str> = topic.into();
        let start = |number: i32| Start {
            partition: TopicPartition { topic: topic.clone(), partition: number },
            slot: number.unsigned_abs(),
            offset: i64::from(rd::RD_KAFKA_OFFSET_BEGINNING),
        };
        Self::open_at(kafka, &partitions.into_iter().map(start).collect::<Vec<_>>(), &Settings::default())
    }

    /// Creates the client and begins at these places, whatever their topics; it holds no more than `settings` allow.
    ///
    /// # Errors
    /// Fatal: a property is refused.
    pub fn open_at(kafka: &Kafka, starts: &[Start], settings: &Settings) -> Result<Self, BrokerError> {
        // It never joins, but librdkafka asks for the group: it has to be one that this user may see.
        let group = if kafka.group.is_empty() { "tidemill-reader" } else { &kafka.group };
        let properties = properties::plain_consumer(kafka, group, settings)?;
        let client = Client::new(Role::Consumer, &properties, Arc::new(Context::default()))?;
        // SAFETY: the client is alive.
        unsafe { rd::rd_kafka_poll_set_consumer(client.raw()) };
        let mut data = DataQueue::new(&client)?;
        data.add(starts)?;
        let list = PartitionList::at(starts.iter().map(|start| (&start.partition, start.offset)))?;
        // SAFETY: client and list are alive; the list is copied.
        let code = unsafe { rd::rd_kafka_assign(client.raw(), list.raw()) };
        if code != super::native::OK {
            return Err(BrokerError::fatal(format!("cannot read from a given place: {}", explain(code))));
        }
        Ok(Self { data, client })
    }

    /// Appends records to `batch` and ends of partitions to `events`, waiting at most `timeout` for the first.
    ///
    /// # Errors
    /// Fatal: the client is lost.
    pub fn poll(
        &mut self,
        batch: &mut RecordBatch,
        events: &mut Vec<Event>,
        timeout: Duration,
    ) -> Result<(), BrokerError> {
        // SAFETY: the client is alive; a message that comes back is destroyed.
        unsafe {
            let message = rd::rd_kafka_consumer_poll(self.client.raw(), 0);
            if !message.is_null() {
                self.data.take(message, batch, events);
                rd::rd_kafka_message_destroy(message);
            }
        }
        events.append(&mut self.client.context().inbox().events);
        if !batch.is_full() {
            self.data.drain(batch, events, timeout);
        }
        match self.client.fatal_error() {
            Some((code, reason)) => Err(BrokerError::fatal(format!("{reason}: {}", explain(code)))),
            None => Ok(()),
        }
    }

    /// Ends, waiting at most `timeout` for librdkafka's threads; what has not ended by then ends by itself.
    pub fn close_within(self, timeout: Duration) {
        let Self { data, client } = self;
        drop(data);
        client.destroy_within(timeout);
    }
}
