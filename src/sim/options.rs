//! What a client of the in-memory broker is built with. Checks nothing: wrong options show as errors of the calls.

use super::faults::Faults;
use crate::broker::Outlet;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a client is built with; [`ClientOptions::new`] fills in Kafka's defaults.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Group to join.
    pub group: String,
    /// Transactional id of the producer.
    pub transactional_id: String,
    /// Names of topics to read, and expressions that begin with `^`.
    pub topics: Vec<String>,
    /// Topics to write to.
    pub outlets: BTreeMap<Outlet, String>,
    /// A client that makes no call for this long is put out of the group.
    pub session_timeout: Duration,
    /// So is one that neither polls nor serves for this long.
    pub max_poll_interval: Duration,
    /// A transaction open for this long is aborted, and its producer fenced.
    pub transaction_timeout: Duration,
    /// `group.instance.id`: a client with the same one takes its place in the group.
    pub static_member: Option<String>,
    /// Bytes of key, value and headers that the client takes.
    pub message_bytes_max: usize,
    /// Records that the queue holds before it is full.
    pub queue_records_max: usize,
    /// What goes wrong by chance.
    pub faults: Faults,
}

impl ClientOptions {
    /// Reads `topics`, writes results to `sink`; no late and no dead-letter topic, no faults.
    pub fn new(group: &str, transactional_id: &str, topics: &[&str], sink: &str) -> Self {
        Self {
            group: group.to_owned(),
            transactional_id: transactional_id.to_owned(),
            topics: topics.iter().map(|&topic| topic.to_owned()).collect(),
            outlets: BTreeMap::from([(Outlet::Sink, sink.to_owned())]),
            session_timeout: Duration::from_secs(45),
            max_poll_interval: Duration::from_secs(300),
            transaction_timeout: Duration::from_secs(30),
            static_member: None,
            message_bytes_max: 1_000_000,
            queue_records_max: 10_000,
            faults: Faults::default(),
        }
    }

    /// Adds a topic to write to.
    #[must_use]
    pub fn outlet(mut self, outlet: Outlet, topic: &str) -> Self {
        self.outlets.insert(outlet, topic.to_owned());
        self
    }
}
