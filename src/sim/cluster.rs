//! The cluster: topics, groups and transactions behind one lock, and what a test or a demo does to them directly.
//!
//! Decides nothing by itself: groups are in `group.rs`, transactions in `transaction.rs`.

use super::client::SimClient;
use super::group::Group;
use super::log::{Content, Isolation, Log, Stored};
use super::options::ClientOptions;
use super::transaction::{EndInFlight, Transactional};
use crate::broker::{Committed, Ends, Headers, TopicId, TopicPartition, write_header};
use crate::clock::{Clock, ManualClock, SystemClock};
use crate::error::BrokerError;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What a poll does while nothing is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Sleeps until something happens or its timeout is over: for lanes on threads of their own and the system's clock.
    Sleep,
    /// Returns at once: time is virtual, and whoever drives the clients turns the clock.
    Never,
}

/// A handle on the in-memory cluster; clones are the same cluster.
#[derive(Clone)]
pub struct Cluster(Arc<Shared>);

pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) changed: Condvar,
    pub(super) wait: Wait,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything that the cluster knows. Ordered maps only: a run must repeat.
pub(super) struct State {
    pub(super) clock: Arc<dyn Clock + Send + Sync>,
    pub(super) topics: BTreeMap<Arc<str>, Topic>,
    pub(super) groups: BTreeMap<String, Group>,
    pub(super) transactional: BTreeMap<String, Transactional>,
    pub(super) in_flight: Vec<EndInFlight>,
    pub(super) down: bool,
    last_id: u64,
}

pub(super) struct Topic {
    pub(super) id: TopicId,
    pub(super) partitions: Vec<Log>,
    pub(super) max_message_bytes: usize,
    pub(super) timestamp_ahead_max: Duration,
}

impl State {
    /// A number that no member, producer or topic has had.
    pub(super) fn fresh_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// Lets time do its work: transactions expire, late requests arrive, members lose their session.
    pub(super) fn tick(&mut self) {
        self.deliver_in_flight();
        self.expire_transactions();
        let now = self.now();
        if self.groups.values().any(|group| group.has_expired(now)) {
            let topics = self.topic_sizes();
            for group in self.groups.values_mut() {
                group.expire(now, &topics);
            }
        }
    }

    pub(super) fn group(&mut self, group: &str) -> &mut Group {
        self.groups.entry(group.to_owned()).or_default()
    }

    pub(super) fn topic_sizes(&self) -> Vec<(Arc<str>, i32)> {
        self.topics.iter().map(|(name, topic)| (Arc::clone(name), topic.partitions.len() as i32)).collect()
    }

    pub(super) fn topic(&self, topic: &str) -> Result<&Topic, BrokerError> {
        self.topics.get(topic).ok_or_else(|| BrokerError::retry(format!("topic {topic}: UNKNOWN_TOPIC_OR_PARTITION")))
    }

    pub(super) fn log(&self, partition: &TopicPartition) -> Option<&Log> {
        self.topics.get(&partition.topic)?.partitions.get(usize::try_from(partition.partition).ok()?)
    }

    pub(super) fn log_mut(&mut self, partition: &TopicPartition) -> Option<&mut Log> {
        self.topics.get_mut(&partition.topic)?.partitions.get_mut(usize::try_from(partition.partition).ok()?)
    }

    fn topics_changed(&mut self) {
        let topics = self.topic_sizes();
        for group in self.groups.values_mut() {
            group.rebalance(&topics);
        }
    }
}

/// What a test, a demo or an operator does without being a client.
impl Cluster {
    /// A cluster whose time is `clock` and whose polls never wait.
    pub fn virtual_time(clock: &ManualClock) -> Self {
        Self::new(clock.clone(), Wait::Never)
    }

    /// A cluster on the system's clock whose polls wait.
    pub fn real_time() -> Self {
        Self::new(SystemClock::new(), Wait::Sleep)
    }

    /// A cluster on any clock.
    pub fn new(clock: impl Clock + Send + Sync + 'static, wait: Wait) -> Self {
        let state = State {
            clock: Arc::new(clock),
            topics: BTreeMap::new(),
            groups: BTreeMap::new(),
            transactional: BTreeMap::new(),
            in_flight: Vec::new(),
            down: false,
            last_id: 0,
        };
        Self(Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), wait }))
    }

    /// A new client; it joins its group at its first poll.
    pub fn client(&self, options: ClientOptions) -> SimClient {
        SimClient::new(Arc::clone(&self.0), options)
    }

    /// Creates a topic; one that exists under this name keeps its records and gains partitions, if it has fewer.
    pub fn create_topic(&self, topic: &str, partitions: i32) {
        self.change(|state| {
            let id = u128::from(state.fresh_id());
            let created = state.topics.entry(Arc::from(topic)).or_insert_with(|| Topic {
                id: TopicId((id << 64 | 0x7469_6465).to_be_bytes()),
                partitions: Vec::new(),
                max_message_bytes: 1_048_588,
                timestamp_ahead_max: Duration::from_secs(3600),
            });
            while created.partitions.len() < usize::try_from(partitions).unwrap_or(0) {
                created.partitions.push(Log::default());
            }
            state.topics_changed();
        });
    }

    /// Deletes a topic with its records; created again, it is another one.
    pub fn delete_topic(&self, topic: &str) {
        self.change(|state| {
            state.topics.remove(topic);
            state.topics_changed();
        });
    }

    /// The topic's `max.message.bytes`: producers' records over it (key, value and headers) are refused.
    pub fn set_max_message_bytes(&self, topic: &str, bytes: usize) {
        self.change(|state| {
            if let Some(topic) = state.topics.get_mut(topic) {
                topic.max_message_bytes = bytes;
            }
        });
    }

    /// Appends one record without a transaction and returns its offset; `None` if there is no such partition.
    /// No limit is enforced.
    pub fn append(
        &self,
        topic: &str,
        partition: i32,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&[u8], Option<&[u8]>)],
    ) -> Option<i64> {
        let mut encoded = Vec::new();
        for (name, value) in headers {
            write_header(&mut encoded, name, *value);
        }
        let record = Content { timestamp_ms, key, value, headers: Headers(&encoded) };
        self.change(|state| Some(state.log_mut(&at(topic, partition))?.append(&record, None)))
    }

    /// Deletes the records before `offset`, as retention does.
    pub fn delete_records(&self, topic: &str, partition: i32, offset: i64) {
        self.change(|state| {
            if let Some(log) = state.log_mut(&at(topic, partition)) {
                log.delete_before(offset);
            }
        });
    }

    /// Reads a whole partition; empty if there is none.
    pub fn read(&self, topic: &str, partition: i32, isolation: Isolation) -> Vec<Stored> {
        self.change(|state| state.log(&at(topic, partition)).map(|log| log.stored(isolation)).unwrap_or_default())
    }

    /// First existing offset and the ends of a partition.
    pub fn bounds(&self, topic: &str, partition: i32) -> Option<(i64, Ends)> {
        self.change(|state| state.log(&at(topic, partition)).map(|log| (log.start(), log.ends())))
    }

    /// Sets or erases what a group has committed, as an operator does.
    pub fn set_committed(&self, group: &str, partition: TopicPartition, committed: Option<Committed>) {
        self.change(|state| {
            let group = state.group(group);
            match committed {
                Some(committed) => group.commit(partition, committed),
                None => group.forget(&partition),
            }
        });
    }

    /// What the group has committed, without what is pending.
    pub fn committed(&self, group: &str) -> BTreeMap<TopicPartition, Committed> {
        self.change(|state| state.group(group).committed().clone())
    }

    /// Everything the group has ever committed, in the order in which it became visible.
    pub fn commit_history(&self, group: &str) -> Vec<(TopicPartition, Committed)> {
        self.change(|state| state.group(group).history().to_vec())
    }

    /// The history without its first `from` entries.
    pub fn commit_history_from(&self, group: &str, from: usize) -> Vec<(TopicPartition, Committed)> {
        self.change(|state| state.group(group).history().get(from..).unwrap_or_default().to_vec())
    }

    /// How often the group has been rebalanced.
    pub fn generation(&self, group: &str) -> u32 {
        self.change(|state| state.group(group).generation())
    }

    /// Number of members of a group.
    pub fn members(&self, group: &str) -> usize {
        self.change(|state| state.group(group).members())
    }

    /// Puts all members out of a group, as an operator does whose workers are dead.
    pub fn remove_members(&self, group: &str) {
        self.change(|state| {
            let topics = state.topic_sizes();
            state.group(group).remove_members(&topics);
        });
    }

    /// Takes all brokers away, or brings them back. Meanwhile calls answer with a retry and time goes on.
    pub fn set_down(&self, down: bool) {
        self.change(|state| state.down = down);
    }

    fn change<T>(&self, run: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.0.lock();
        state.tick();
        let result = run(&mut state);
        drop(state);
        self.0.changed.notify_all();
        result
    }
}

fn at(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: Arc::from(topic), partition }
}
