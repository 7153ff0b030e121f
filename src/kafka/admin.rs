//! The worker's view of the cluster: topics, groups and positions, asked for before and beside the lanes.
//!
//! Waits for its answers, up to a deadline; no lane calls it.

use super::context::Context;
use super::list::{Line, PartitionList};
use super::native::{Client, Code, OK, Role, explain, millis, text};
use super::replies::{Group, Reply, Topic};
use super::requests::{Mailbox, NewTopic, Resource, Which};
use super::{positions, properties};
use crate::broker::{CommitOffset, Committed, Ends, Event, TopicPartition};
use crate::budget::Settings;
use crate::config::Kafka;
use crate::error::BrokerError;
use rdkafka_sys as rd;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A client for questions and administration.
pub struct Admin {
    client: Arc<Client>,
    mailbox: Mailbox,
    /// A consumer that never joins: fetches and commits positions of the group.
    outsider: Arc<Client>,
    group: String,
    timeout: Duration,
}

/// What a log holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// First offset that still exists.
    pub earliest: i64,
    /// Its end.
    pub ends: Ends,
}

/// What any broker knows of the cluster.
struct Metadata {
    /// Numbers of the brokers.
    brokers: Vec<i32>,
    /// Names and numbers of partitions, in order.
    topics: Vec<(String, i32)>,
}

impl Admin {
    /// Creates the client; each answer may take `timeout`. Waits for nobody.
    ///
    /// # Errors
    /// Fatal: a property is refused.
    pub fn connect(kafka: &Kafka, timeout: Duration) -> Result<Self, BrokerError> {
        let client = Client::new(Role::Producer, &properties::plain_producer(kafka)?, Arc::new(Context::default()))?;
        let mailbox = Mailbox::new(&client)?;
        let group = if kafka.group.is_empty() { "tidemill-admin" } else { &kafka.group };
        let properties = properties::plain_consumer(kafka, group, &Settings::least())?;
        let outsider = Client::new(Role::Consumer, &properties, Arc::new(Context::default()))?;
        Ok(Self { client, mailbox, outsider, group: kafka.group.clone(), timeout })
    }

    /// A topic, or `None` if there is none of that name.
    ///
    /// # Errors
    /// Retry or fatal, as for all questions here: nobody answered, or the answer was a refusal.
    pub fn topic(&mut self, name: &str) -> Result<Option<Topic>, BrokerError> {
        let id = self.mailbox.topics(&[name], self.timeout)?;
        match self.reply(id, &format!("topic `{name}`"))? {
            Reply::Topics(topics) => match topics.into_iter().next() {
                Some(Ok(topic)) => Ok(Some(topic)),
                Some(Err((_, Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART))) | None => Ok(None),
                Some(Err((name, code))) => Err(refused(&format!("topic `{name}`"), code)),
            },
            _ => Err(odd()),
        }
    }

    /// Names and numbers of partitions of all topics that this user may see, internal ones left out.
    ///
    /// # Errors
    /// Retry: nobody answered.
    pub fn topics(&mut self) -> Result<Vec<(String, i32)>, BrokerError> {
        Ok(self.metadata()?.topics)
    }

    fn metadata(&mut self) -> Result<Metadata, BrokerError> {
        let mut metadata = std::ptr::null();
        // SAFETY: the client is alive; what comes back is ours, copied, and destroyed.
        unsafe {
            let timeout_ms = millis(self.timeout);
            let code = rd::rd_kafka_metadata(self.client.raw(), 1, std::ptr::null_mut(), &mut metadata, timeout_ms);
            if code != OK {
                return Err(BrokerError::retry(format!("the list of topics: {}{}", explain(code), self.troubles())));
            }
            let count = usize::try_from((*metadata).broker_cnt).unwrap_or(0);
            let mut brokers = Vec::with_capacity(count);
            if count > 0 {
                let all = std::slice::from_raw_parts((*metadata).brokers, count);
                brokers.extend(all.iter().map(|broker| broker.id));
            }
            let count = usize::try_from((*metadata).topic_cnt).unwrap_or(0);
            let mut topics = Vec::with_capacity(count);
            if count > 0 {
                for topic in std::slice::from_raw_parts((*metadata).topics, count) {
                    let name = text(topic.topic);
                    if !name.starts_with("__") {
                        topics.push((name, topic.partition_cnt));
                    }
                }
            }
            rd::rd_kafka_metadata_destroy(metadata);
            topics.sort();
            Ok(Metadata { brokers, topics })
        }
    }

    /// What the client has complained about since the last time, each complaint once.
    fn troubles(&self) -> String {
        self.client.serve();
        let mut troubles: Vec<String> = Vec::new();
        for event in std::mem::take(&mut self.client.context().inbox().events) {
            let Event::Trouble(text) = event else { continue };
            // What follows are times and repetitions; and that all are down is no news after each has said so.
            let text = text.split(" (after ").next().unwrap_or_default();
            if !troubles.iter().any(|known| known == text) && !text.ends_with("(_ALL_BROKERS_DOWN)") {
                troubles.push(text.to_owned());
            }
        }
        if troubles.is_empty() { String::new() } else { format!(": {}", troubles.join("; ")) }
    }

    /// All settings of a topic, defaults included.
    ///
    /// # Errors
    /// As [`Self::topic`].
    pub fn topic_config(&mut self, topic: &str) -> Result<BTreeMap<String, String>, BrokerError> {
        let id = self.mailbox.configs(Resource::RD_KAFKA_RESOURCE_TOPIC, topic, self.timeout)?;
        match self.reply(id, &format!("settings of topic `{topic}`"))? {
            Reply::Configs(entries) => Ok(entries.into_iter().collect()),
            _ => Err(odd()),
        }
    }

    /// All settings of one broker, defaults included: any of them, since a cluster is usually set up alike.
    ///
    /// # Errors
    /// As [`Self::topic`].
    pub fn broker_config(&mut self) -> Result<BTreeMap<String, String>, BrokerError> {
        let broker = self.metadata()?.brokers.first().copied().unwrap_or_default().to_string();
        let id = self.mailbox.configs(Resource::RD_KAFKA_RESOURCE_BROKER, &broker, self.timeout)?;
        match self.reply(id, &format!("settings of broker {broker}"))? {
            Reply::Configs(entries) => Ok(entries.into_iter().collect()),
            _ => Err(odd()),
        }
    }

    /// Sets one setting of a topic.
    ///
    /// # Errors
    /// As [`Self::topic`].
    pub fn set_topic_config(&mut self, topic: &str, name: &str, value: &str) -> Result<(), BrokerError> {
        let id = self.mailbox.alter_config(topic, name, value, self.timeout)?;
        self.reply(id, &format!("setting `{name}` of topic `{topic}`")).map(drop)
    }

    /// Creates topics and waits until they are there. One that exists already is no error.
    ///
    /// # Errors
    /// Fatal: the cluster refuses one; retry: nobody answered.
    pub fn create_topics(&mut self, topics: &[NewTopic]) -> Result<(), BrokerError> {
        let id = self.mailbox.create(topics, self.timeout)?;
        let Reply::Topical(results) = self.reply(id, "creation of topics")? else { return Err(odd()) };
        for (name, code, reason) in results {
            if code != OK && code != Code::RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS {
                let message = format!("cannot create topic `{name}`: {}: {reason}", explain(code));
                return Err(BrokerError::fatal(message));
            }
        }
        let deadline = Instant::now() + self.timeout;
        for topic in topics {
            while self.topic(&topic.name)?.is_none() {
                if Instant::now() >= deadline {
                    return Err(BrokerError::retry(format!("topic `{}` is created and does not show", topic.name)));
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }

    /// Deletes a topic with everything in it. One that does not exist is no error.
    ///
    /// # Errors
    /// Fatal: the cluster refuses it; retry: nobody answered.
    pub fn delete_topic(&mut self, name: &str) -> Result<(), BrokerError> {
        let id = self.mailbox.delete_topic(name, self.timeout)?;
        let Reply::Topical(results) = self.reply(id, "deletion of a topic")? else { return Err(odd()) };
        match results.first() {
            Some((name, code, reason)) if *code != OK && *code != Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART => {
                Err(BrokerError::fatal(format!("cannot delete topic `{name}`: {}: {reason}", explain(*code))))
            }
            _ => Ok(()),
        }
    }

    /// What each log holds, in the order of `partitions`.
    ///
    /// # Errors
    /// As [`Self::topic`].
    pub fn logs(&mut self, partitions: &[TopicPartition]) -> Result<Vec<Log>, BrokerError> {
        let earliest = self.offsets(partitions, Which::Earliest)?;
        let stable = self.offsets(partitions, Which::Stable)?;
        let high = self.offsets(partitions, Which::High)?;
        let log = |((earliest, last_stable), high_watermark): ((i64, i64), i64)| Log {
            earliest,
            ends: Ends { last_stable, high_watermark },
        };
        Ok(earliest.into_iter().zip(stable).zip(high).map(log).collect())
    }

    pub(super) fn offsets(&mut self, partitions: &[TopicPartition], which: Which) -> Result<Vec<i64>, BrokerError> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let id = self.mailbox.offsets(partitions, which, self.timeout)?;
        let Reply::Offsets(lines) = self.reply(id, "offsets of partitions")? else { return Err(odd()) };
        let find = |name: &TopicPartition| match lines.iter().find(|line| line.partition == *name) {
            Some(Line { error: Some(code), .. }) => Err(refused(&name.to_string(), *code)),
            Some(Line { offset: Some(offset), .. }) => Ok(*offset),
            _ => Err(BrokerError::retry(format!("nobody answered about {name}"))),
        };
        partitions.iter().map(find).collect()
    }

    /// Who is in the group. Not for a running worker: should the connection to the coordinator drop at the wrong moment,
    /// librdkafka ends the process (its issue 4605). [`Self::delete_positions`] likewise.
    ///
    /// # Errors
    /// As [`Self::topic`].
    pub fn group(&mut self) -> Result<Group, BrokerError> {
        let id = self.mailbox.group(&self.group, self.timeout)?;
        match self.reply(id, &format!("group `{}`", self.group))? {
            Reply::Groups(groups) => groups.into_iter().next().ok_or_else(odd),
            _ => Err(odd()),
        }
    }

    /// What the group has committed, in the order of `partitions`; open transactions are settled first.
    ///
    /// # Errors
    /// As [`Self::topic`].
    pub fn positions(&mut self, partitions: &[TopicPartition]) -> Result<Vec<Option<Committed>>, BrokerError> {
        positions::fetch(&self.outsider, partitions, self.timeout)
    }

    /// Commits positions from outside; the coordinator takes them only while the group is empty.
    ///
    /// # Errors
    /// Abort: the group has members. Else as [`Self::topic`].
    pub fn set_positions(&mut self, positions: &[CommitOffset]) -> Result<(), BrokerError> {
        positions::commit(&self.outsider, positions, self.timeout)
    }

    /// Erases positions; the coordinator takes it only while nobody in the group reads these topics.
    ///
    /// # Errors
    /// As [`Self::set_positions`].
    pub fn delete_positions(&mut self, partitions: &[TopicPartition]) -> Result<(), BrokerError> {
        let id = self.mailbox.delete_positions(&self.group, partitions, self.timeout)?;
        self.changed(id)
    }

    /// Erases the records below the given offsets, for good.
    ///
    /// # Errors
    /// As [`Self::topic`].
    pub fn delete_records(&mut self, before: &[(TopicPartition, i64)]) -> Result<(), BrokerError> {
        let list = PartitionList::at(before.iter().map(|(name, offset)| (name, *offset)))?;
        let id = self.mailbox.delete_records(&list, self.timeout)?;
        self.changed(id)
    }

    fn changed(&mut self, id: u64) -> Result<(), BrokerError> {
        let what = format!("group `{}`", self.group);
        let id = self.reply_or_code(id);
        let lines = match id {
            Ok(Reply::Changed(lines)) => lines,
            Ok(_) => return Err(odd()),
            Err((code, reason)) => return Err(in_use(&format!("{what}: {reason}"), code)),
        };
        match lines.into_iter().find_map(|line| Some((line.partition, line.error?))) {
            Some((partition, code)) => Err(in_use(&format!("{what}: {partition}"), code)),
            None => Ok(()),
        }
    }

    fn reply(&mut self, id: u64, what: &str) -> Result<Reply, BrokerError> {
        self.reply_or_code(id).map_err(|(code, reason)| refused(&format!("{what}: {reason}"), code))
    }

    fn reply_or_code(&mut self, id: u64) -> Result<Reply, (Code, String)> {
        let deadline = Instant::now() + self.timeout + Duration::from_secs(1);
        loop {
            self.client.serve();
            let left = deadline.saturating_duration_since(Instant::now());
            match self.mailbox.next(left.min(Duration::from_millis(100))) {
                Some((number, Reply::Failed(code, reason))) if number == id => return Err((code, reason)),
                Some((number, reply)) if number == id => return Ok(reply),
                _ if left.is_zero() => {
                    let troubles = self.troubles();
                    return Err((Code::RD_KAFKA_RESP_ERR__TIMED_OUT, format!("nobody answered{troubles}")));
                }
                _ => {}
            }
        }
    }
}

fn in_use(what: &str, code: Code) -> BrokerError {
    match code {
        Code::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID
        | Code::RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP
        | Code::RD_KAFKA_RESP_ERR_GROUP_SUBSCRIBED_TO_TOPIC => {
            BrokerError::abort(format!("{what}: the group has members; stop them first ({})", explain(code)))
        }
        code => refused(what, code),
    }
}

fn refused(what: &str, code: Code) -> BrokerError {
    let message = format!("{what}: {}", explain(code));
    match code {
        Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED
        | Code::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED
        | Code::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED
        | Code::RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED
        | Code::RD_KAFKA_RESP_ERR__AUTHENTICATION
        | Code::RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE
        | Code::RD_KAFKA_RESP_ERR__INVALID_ARG
        | Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART => BrokerError::fatal(message),
        _ => BrokerError::retry(message),
    }
}

fn odd() -> BrokerError {
    BrokerError::fatal("the client gave an answer of another kind")
}
