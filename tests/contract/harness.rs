//! What a broker must offer besides `Broker` itself, so that the claims can be put to it.

use std::time::Duration;
use tidemill::broker::Broker;

/// One record as it is written and as it is seen; header names and values are bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rec {
    pub timestamp_ms: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Rec {
    /// A record at [`T0`] without headers.
    pub fn new(key: &str, value: &str) -> Self {
        Self { timestamp_ms: T0, key: Some(key.into()), value: Some(value.into()), headers: Vec::new() }
    }
}

/// A time in the past of every broker, Unix milliseconds.
pub const T0: i64 = 1_700_000_000_000;

/// A client to be built. Names of topics are those that the harness has returned.
#[derive(Clone, Debug)]
pub struct Spec {
    pub group: String,
    pub transactional_id: String,
    pub topics: Vec<String>,
    pub sink: String,
    /// The session, and where it is not the same the poll interval too: a client that is not polled for longer loses
    /// its partitions.
    pub session_timeout: Duration,
    pub transaction_timeout: Duration,
}

impl Spec {
    pub fn new(group: &str, transactional_id: &str, topics: &[&str], sink: &str) -> Self {
        Self {
            group: group.to_owned(),
            transactional_id: transactional_id.to_owned(),
            topics: topics.iter().map(|&topic| topic.to_owned()).collect(),
            sink: sink.to_owned(),
            session_timeout: Duration::from_secs(6),
            transaction_timeout: Duration::from_secs(30),
        }
    }
}

/// A broker under test. Everything here works at once, or waits until it has.
pub trait Harness {
    type Client: Broker;

    /// A name that no topic, group or transactional id on this broker has had.
    fn fresh(&mut self, stem: &str) -> String;

    /// Creates a topic that keeps its records whatever their timestamps (`retention.ms=-1`).
    fn create_topic(&mut self, name: &str, partitions: i32);

    /// `max.message.bytes` of a topic.
    fn limit_message_bytes(&mut self, topic: &str, bytes: usize);

    /// Writes one record without a transaction, returns its offset.
    fn append(&mut self, topic: &str, partition: i32, record: &Rec) -> i64;

    /// Deletes the records before an offset.
    fn delete_records(&mut self, topic: &str, partition: i32, before: i64);

    /// What a read_committed reader sees of a partition from its beginning, up to the last stable offset as of now.
    fn read_committed(&mut self, topic: &str, partition: i32) -> Vec<(i64, Rec)>;

    /// A new client. It needs `session_timeout` as its `max.poll.interval` too, and finds topics that are created later
    /// within some seconds. Asking for a topic that is missing must not create it (`auto.create.topics.enable=false`).
    fn client(&mut self, spec: &Spec) -> Self::Client;

    /// Lets this much time pass.
    fn pass(&mut self, time: Duration);

    /// Polls wait for this long.
    fn poll_timeout(&self) -> Duration;
}
