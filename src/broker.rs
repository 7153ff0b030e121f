//! The broker as a lane sees it: one consumer of a group and one transactional producer.
//!
//! Two implementations: Apache Kafka ([`crate::kafka`]) and the in-memory broker ([`crate::sim`]); the same contract
//! tests run on both (`tests/contract.rs`). Nothing here names rdkafka, windows or tasks.
//!
//! A lane numbers the partitions that it owns: a [`Slot`] is its own small number for one of them, given at
//! [`Broker::assign`] and used by every record and event since, so that no record needs a look-up by name.

mod batch;

pub use batch::{Headers, Record, RecordBatch, write_header, write_text_header};

use crate::error::BrokerError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A lane's own number for a partition that it owns.
pub type Slot = u32;

/// A partition by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// Name of the topic.
    pub topic: Arc<str>,
    /// Number of the partition in it.
    pub partition: i32,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.topic, self.partition)
    }
}

/// Identity of a topic (KIP-516): a topic that was deleted and created again under its name has another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TopicId(pub [u8; 16]);

/// What a group has committed for a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// The next offset to read.
    pub offset: i64,
    /// The string committed with it; empty if an operator moved the offset.
    pub metadata: String,
}

/// Where reading of a gained partition begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The partition.
    pub partition: TopicPartition,
    /// What the lane calls it from now on.
    pub slot: Slot,
    /// First offset to deliver.
    pub offset: i64,
}

/// The end of a partition, as its leader said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// First offset that a read_committed reader cannot have yet.
    pub last_stable: i64,
    /// First offset that does not exist yet.
    pub high_watermark: i64,
}

/// What a broker has to say besides records. The lane handles the records of a poll first, then its events in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The group gave us these; the lane answers with [`Broker::assign`] (now or later).
    Assigned(Vec<TopicPartition>),
    /// The group wants these back; the lane may still commit, then answers with [`Broker::unassign`].
    Revoked(Vec<TopicPartition>),
    /// These are somebody else's already: commit nothing, answer with [`Broker::unassign`].
    Lost(Vec<TopicPartition>),
    /// Everything up to `offset` (exclusive, transaction markers included) has been delivered.
    End {
        /// The partition.
        slot: Slot,
        /// The position: next offset to be delivered.
        offset: i64,
    },
    /// Answer to [`Broker::ask_ends`]; `None` if nobody answered.
    Ends {
        /// The partition.
        slot: Slot,
        /// What its leader said.
        ends: Option<Ends>,
    },
    /// The position does not exist (retention, truncation): the partition stands still.
    OutOfRange {
        /// The partition.
        slot: Slot,
        /// The offset that was asked for.
        offset: i64,
    },
    /// Something that an operator should know and that may heal by itself (a broker away, a topic missing).
    Trouble(String),
}

/// Where an output record goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outlet {
    /// `sink.topic`: results.
    Sink,
    /// `late.topic`.
    Late,
    /// `dead_letter.topic`.
    DeadLetter,
}

/// One record to be produced inside the open transaction. The broker copies it before it returns.
#[derive(Clone, Debug)]
pub struct Outgoing<'a> {
    /// Which of the configured topics.
    pub outlet: Outlet,
    /// Partition of that topic, below [`Broker::partitions`].
    pub partition: i32,
    /// Kafka timestamp in Unix milliseconds, at least 1.
    pub timestamp_ms: i64,
    /// The key; `None` is a null key.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a null value.
    pub value: Option<&'a [u8]>,
    /// Headers in the form of [`RecordBatch`].
    pub headers: Headers<'a>,
    /// Comes back in [`Broker::refused`]; the lane's own number for this record within the transaction.
    pub token: u64,
}

/// Why a record was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProduceError {
    /// The queue is full: [`Broker::serve`] and try again.
    Full,
    /// This record can never be taken by the client (its size): nothing was queued.
    Refused(String),
    /// The transaction or the producer is lost.
    Broker(BrokerError),
}

/// An offset to be committed with the transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitOffset {
    /// The partition.
    pub partition: TopicPartition,
    /// Next offset and metadata.
    pub committed: Committed,
}

/// One consumer and one transactional producer, as a lane uses them. No call blocks for longer than some
/// milliseconds unless its comment says so; what takes longer answers [`crate::error::ErrorKind::Retry`].
pub trait Broker {
    /// Appends records to `batch` until it is full or nothing is there, and events to `events`. Waits at most
    /// `timeout` for the first of either. Records come only from assigned, unpaused partitions, in offset order for
    /// each, read_committed.
    ///
    /// # Errors
    /// Fatal: the consumer cannot go on. Everything that heals by itself is an [`Event::Trouble`].
    fn poll(&mut self, batch: &mut RecordBatch, events: &mut Vec<Event>, timeout: Duration) -> Result<(), BrokerError>;

    /// Like [`Self::poll`] without records and without waiting: keeps the membership alive and the producer served.
    ///
    /// # Errors
    /// As [`Self::poll`].
    fn serve(&mut self, events: &mut Vec<Event>) -> Result<(), BrokerError>;

    /// Answers [`Event::Assigned`]: reading begins at the given offsets.
    ///
    /// # Errors
    /// Fatal only.
    fn assign(&mut self, starts: &[Start]) -> Result<(), BrokerError>;

    /// Answers [`Event::Revoked`] and [`Event::Lost`], also for partitions that never were [`Self::assign`]ed.
    /// No record of them comes any more.
    ///
    /// # Errors
    /// Fatal only.
    fn unassign(&mut self, partitions: &[TopicPartition]) -> Result<(), BrokerError>;

    /// No record of this partition until [`Self::seek`].
    ///
    /// # Errors
    /// Retry or fatal.
    fn pause(&mut self, slot: Slot) -> Result<(), BrokerError>;

    /// The next record of this partition is the first at or after `offset`, whatever was queued; ends a pause.
    ///
    /// # Errors
    /// Retry or fatal.
    fn seek(&mut self, slot: Slot, offset: i64) -> Result<(), BrokerError>;

    /// Asks the leader for the end of this partition; the answer is one [`Event::Ends`], and it is about an instant
    /// after this call.
    fn ask_ends(&mut self, slot: Slot);

    /// What the group has committed, `None` where nothing is; transactions still open on the group are settled first.
    ///
    /// # Errors
    /// Retry (also when the coordinator is away), or fatal.
    fn committed(&mut self, partitions: &[TopicPartition]) -> Result<Vec<Option<Committed>>, BrokerError>;

    /// First offset that still exists.
    ///
    /// # Errors
    /// Retry or fatal.
    fn earliest(&mut self, partition: &TopicPartition) -> Result<i64, BrokerError>;

    /// Identity of a topic.
    ///
    /// # Errors
    /// Retry or fatal.
    fn topic_id(&mut self, topic: &str) -> Result<TopicId, BrokerError>;

    /// Number of partitions of an outlet's topic.
    ///
    /// # Errors
    /// Retry (also when the topic is missing: it may be created), or fatal.
    fn partitions(&mut self, outlet: Outlet) -> Result<i32, BrokerError>;

    /// Drops the producer, whatever it was doing, and prepares a new one with the same transactional id, which fences
    /// every older one and settles its transaction. With `isolate`, every record travels in a batch of its own, so
    /// that a refusal names the one at fault. Also the first producer of a lane is made by this.
    ///
    /// # Errors
    /// Retry: the same call again goes on with the same new producer. Fatal.
    fn renew_producer(&mut self, isolate: bool) -> Result<(), BrokerError>;

    /// Begins a transaction.
    ///
    /// # Errors
    /// Any kind.
    fn begin(&mut self) -> Result<(), BrokerError>;

    /// Queues one record in the open transaction.
    ///
    /// # Errors
    /// See [`ProduceError`].
    fn produce(&mut self, record: &Outgoing<'_>) -> Result<(), ProduceError>;

    /// Adds offsets to the open transaction, with the group's metadata as of now (KIP-447: a stale member is refused).
    ///
    /// # Errors
    /// Any kind.
    fn send_offsets(&mut self, offsets: &[CommitOffset]) -> Result<(), BrokerError>;

    /// Commits; waits some milliseconds. After a retry only this call may follow (or [`Self::renew_producer`]).
    ///
    /// # Errors
    /// Any kind; abort if one record's delivery failed.
    fn commit(&mut self) -> Result<(), BrokerError>;

    /// Aborts; waits some milliseconds. The producer is spent then: the next transaction needs another
    /// ([`Self::renew_producer`]).
    ///
    /// # Errors
    /// Retry or fatal.
    fn abort(&mut self) -> Result<(), BrokerError>;

    /// Takes the tokens of records that the broker refused for good since the last call, with the reason. Without
    /// `isolate` they may name the innocent companions of the one at fault.
    fn refused(&mut self, tokens: &mut Vec<(u64, String)>);

    /// Leaves the group (a static member stays on paper) and drops producer and consumer; waits at most `timeout`.
    fn close(&mut self, timeout: Duration);
}
