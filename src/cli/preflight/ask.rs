//! Asks the cluster. A question that is refused is a fact as well: only a cluster that does not answer at all is an
//! error.

use super::{ClusterFacts, Settings, TopicFacts};
use crate::broker::{Committed, Outlet, TopicPartition};
use crate::config::{Config, Kafka};
use crate::error::BrokerError;
use crate::kafka::{self, Admin, Log};
use regex::Regex;
use std::collections::BTreeMap;
use std::time::Duration;

/// What the cluster says about everything that the pipeline names.
///
/// # Errors
/// No broker answers.
pub fn facts(admin: &mut Admin, config: &Config) -> Result<ClusterFacts, BrokerError> {
    let all = admin.topics()?;
    let outlets = [
        (Outlet::Sink, Some(&config.sink.topic)),
        (Outlet::Late, config.late.as_ref()),
        (Outlet::DeadLetter, config.dead_letter.as_ref()),
    ];
    let outlets: Vec<_> = outlets.into_iter().filter_map(|(outlet, name)| Some((outlet, name?.as_str()))).collect();
    let own: Vec<_> = outlets.iter().map(|(_, name)| *name).collect();
    let names = all.iter().map(|(name, _)| name.as_str());
    let sources = source_topics(&config.topics.patterns, &own, names);
    let sources: Vec<_> = sources.iter().map(|name| topic(admin, name)).collect();
    let outlets = outlets.into_iter().map(|(outlet, name)| (outlet, topic(admin, name))).collect();
    let mut facts = ClusterFacts {
        sources,
        outlets,
        broker: admin.broker_config().map_err(|error| error.message),
        group: None,
        positions: Ok(BTreeMap::new()),
        logs: BTreeMap::new(),
        transactional_id: None,
    };
    let partitions: Vec<_> = facts.source_partitions().map(|(_, partition)| partition).collect();
    facts.positions = positions(admin, &partitions);
    facts.logs = logs(admin, &partitions);
    Ok(facts)
}

/// [`facts`], and who is in the group: for commands that end soon, see [`Admin::group`].
///
/// # Errors
/// No broker answers.
pub fn facts_and_group(admin: &mut Admin, config: &Config) -> Result<ClusterFacts, BrokerError> {
    let mut facts = facts(admin, config)?;
    facts.group = Some(admin.group().map_err(|error| error.message));
    Ok(facts)
}

/// Whether this user may use the group's transactional ids: initialises one that no lane can have.
///
/// # Errors
/// Why not, for people.
pub fn probe_transactional_id(kafka: &Kafka, timeout: Duration) -> Result<(), String> {
    // `~` is in no instance's name.
    let id = format!("{}/~check/0", kafka.group);
    kafka::init_transactional_ids(kafka, &[id], timeout).map_err(|error| error.message)
}

/// Topics that are read: those named, there or not, and those that an expression matches now; never one of our own.
fn source_topics<'a>(patterns: &[String], own: &[&str], all: impl Iterator<Item = &'a str>) -> Vec<String> {
    let expressions = patterns.iter().filter(|pattern| pattern.starts_with('^'));
    let expressions: Vec<_> = expressions.filter_map(|pattern| Regex::new(pattern).ok()).collect();
    let mut topics: Vec<_> = patterns.iter().filter(|pattern| !pattern.starts_with('^')).cloned().collect();
    let matching = all.filter(|name| !own.contains(name) && expressions.iter().any(|regex| regex.is_match(name)));
    for name in matching {
        if !topics.iter().any(|topic| topic == name) {
            topics.push(name.to_owned());
        }
    }
    topics
}

fn topic(admin: &mut Admin, name: &str) -> TopicFacts {
    let topic = admin.topic(name).map_err(|error| error.message);
    let config = match &topic {
        Ok(Some(_)) => admin.topic_config(name).map_err(|error| error.message),
        _ => Ok(Settings::new()),
    };
    TopicFacts { name: name.to_owned(), topic, config }
}

fn positions(admin: &mut Admin, partitions: &[TopicPartition]) -> Result<BTreeMap<TopicPartition, Committed>, String> {
    if partitions.is_empty() {
        return Ok(BTreeMap::new());
    }
    let positions = admin.positions(partitions).map_err(|error| error.message)?;
    let found = partitions.iter().zip(positions).filter_map(|(partition, found)| Some((partition.clone(), found?)));
    Ok(found.collect())
}

/// All at once, or one by one where one of them spoils the answer for all.
fn logs(admin: &mut Admin, partitions: &[TopicPartition]) -> BTreeMap<TopicPartition, Log> {
    if let Ok(logs) = admin.logs(partitions) {
        return partitions.iter().cloned().zip(logs).collect();
    }
    let one = |partition: &TopicPartition| {
        let log = admin.logs(std::slice::from_ref(partition)).ok()?.into_iter().next()?;
        Some((partition.clone(), log))
    };
    partitions.iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::source_topics;

    #[test]
    fn expressions_match_what_is_there_and_never_what_is_written() {
        let patterns = ["b".to_owned(), "^a".to_owned(), "^x$".to_owned()];
        let all = ["a-late", "a1", "a2", "b", "c"];
        assert_eq!(source_topics(&patterns, &["a-late"], all.into_iter()), ["b", "a1", "a2"]);
        assert_eq!(source_topics(&["gone".to_owned()], &[], all.into_iter()), ["gone"]);
    }
}
