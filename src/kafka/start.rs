//! What the worker settles before its lanes start: where the source is, where a new group begins, whose transactions
//! are still open.
//!
//! Reads no record and joins no group.

use super::admin::Admin;
use super::producer::Producer;
use super::properties;
use super::requests::Which;
use crate::broker::{CommitOffset, Committed, TopicPartition};
use crate::config::Kafka;
use crate::error::{BrokerError, ErrorKind};
use regex::Regex;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a cluster that has not what is needed is asked again.
const AGAIN: Duration = Duration::from_millis(500);

/// All partitions of the source: of the topics named, and of those that match an expression and are not among `own`
/// (sink, late and dead-letter topics).
///
/// # Errors
/// Retry: the cluster does not answer, or a named topic does not exist yet, or nothing matches an expression; fatal: an
/// expression is malformed.
pub fn source_partitions(
    admin: &mut Admin,
    patterns: &[String],
    own: &[String],
) -> Result<Vec<TopicPartition>, BrokerError> {
    let all = admin.topics()?;
    let mut found = Vec::new();
    for pattern in patterns {
        let before = found.len();
        let expression = match pattern.strip_prefix('^') {
            Some(_) => Some(Regex::new(pattern).map_err(|error| BrokerError::fatal(error.to_string()))?),
            None => None,
        };
        let matching = all.iter().filter(|(name, _)| match &expression {
            Some(expression) => expression.is_match(name) && !own.contains(name),
            None => name == pattern,
        });
        for (name, partitions) in matching {
            let topic: Arc<str> = name.as_str().into();
            found.extend((0..*partitions).map(|partition| TopicPartition { topic: topic.clone(), partition }));
        }
        if found.len() == before {
            let what = if expression.is_some() { "no topic matches" } else { "there is no topic" };
            return Err(BrokerError::retry(format!("{what} `{pattern}`: create it")));
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// [`source_partitions`], asked until it is answered or `patience` ends; says in the log what it waits for.
///
/// # Errors
/// As [`source_partitions`].
pub fn await_source_partitions(
    admin: &mut Admin,
    patterns: &[String],
    own: &[String],
    patience: Duration,
) -> Result<Vec<TopicPartition>, BrokerError> {
    let deadline = Instant::now() + patience;
    let mut said = String::new();
    loop {
        match source_partitions(admin, patterns, own) {
            Err(error) if error.kind == ErrorKind::Retry && Instant::now() < deadline => {
                if said != error.message {
                    tracing::warn!("waiting for the source: {error}");
                    said = error.message;
                }
                std::thread::sleep(AGAIN);
            }
            outcome => return outcome,
        }
    }
}

/// Fixes where a group begins that holds no position in these partitions: at their ends as of now.
/// `metadata` makes the string that is committed with each. True if it was done, false if the group has begun before.
///
/// Without this, a partition whose first owner dies before its first commit would begin later with the next one.
///
/// # Errors
/// Retry: the cluster does not answer, or the group has members that have not committed yet: ask again. Fatal.
pub fn pin_start(
    admin: &mut Admin,
    partitions: &[TopicPartition],
    mut metadata: impl FnMut(&TopicPartition, i64) -> String,
) -> Result<bool, BrokerError> {
    if admin.positions(partitions)?.iter().any(Option::is_some) {
        return Ok(false);
    }
    let ends = admin.offsets(partitions, Which::Stable)?;
    let pin = |(partition, offset): (&TopicPartition, i64)| CommitOffset {
        partition: partition.clone(),
        committed: Committed { offset, metadata: metadata(partition, offset) },
    };
    let pins = partitions.iter().zip(ends).map(pin).collect::<Vec<_>>();
    match admin.set_positions(&pins) {
        Ok(()) => Ok(true),
        // The group has members: what they begin with counts, and is committed soon.
        Err(error) if error.kind == ErrorKind::Abort => Err(BrokerError::retry(error.message)),
        Err(error) => Err(error),
    }
}

/// Initialises transactional ids once and leaves them: a transaction that a former owner left open ends now and holds
/// no reader back.
///
/// # Errors
/// Retry: one was not done after `timeout`; fatal: one is refused.
pub fn init_transactional_ids(kafka: &Kafka, ids: &[String], timeout: Duration) -> Result<(), BrokerError> {
    for id in ids {
        let deadline = Instant::now() + timeout;
        let properties = properties::transactional(kafka, id)?;
        let mut producer = Producer::new(&properties, false, &[], None)?;
        let outcome = loop {
            match producer.init() {
                Err(error) if error.kind == ErrorKind::Retry && Instant::now() < deadline => {}
                outcome => break outcome,
            }
        };
        producer.discard();
        outcome.map_err(|error| BrokerError { message: format!("transactional id `{id}`: {error}"), ..error })?;
    }
    Ok(())
}
