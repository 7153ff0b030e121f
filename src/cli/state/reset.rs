//! `--reset PARTITION=WHERE`: what is asked for, held against what is there. Plans only; nothing is moved here.

use crate::broker::{Committed, TopicPartition};
use crate::checkpoint::Checkpoint;
use crate::cli::preflight::ClusterFacts;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// One `--reset`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reset {
    /// `None`: all partitions of the source.
    pub(super) partition: Option<TopicPartition>,
    pub(super) to: To,
}

/// Where a position goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    Earliest,
    Latest,
    Offset(i64),
    /// Nowhere: the group forgets it.
    Erase,
}

/// A position that is moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) partition: TopicPartition,
    pub(super) before: Option<Committed>,
    /// `None`: erased.
    pub(super) to: Option<i64>,
}

impl FromStr for Reset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (partition, to) = text.split_once('=').ok_or("write PARTITION=WHERE, such as 'flights[3]=earliest'")?;
        let to = match to {
            "earliest" => To::Earliest,
            "latest" => To::Latest,
            "erase" => To::Erase,
            number => match number.parse() {
                Ok(offset) if offset >= 0 => To::Offset(offset),
                _ => return Err(format!("`{number}` is none of earliest, latest, erase and an offset")),
            },
        };
        if partition == "all" {
            return match to {
                To::Offset(_) => Err("one offset cannot fit all partitions: name each of them".into()),
                to => Ok(Self { partition: None, to }),
            };
        }
        let named = match partition.strip_suffix(']') {
            Some(open) => open.rsplit_once('['),
            None => partition.rsplit_once(':'),
        };
        let number = named.and_then(|(topic, number)| Some((topic, number.parse::<i32>().ok().filter(|n| *n >= 0)?)));
        let (topic, number) =
            number.ok_or_else(|| format!("`{partition}` is no partition: write topic[3], topic:3 or all"))?;
        Ok(Self { partition: Some(TopicPartition { topic: topic.into(), partition: number }), to })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.partition)?;
        match &self.before {
            None => write!(f, "no position")?,
            Some(before) => {
                write!(f, "{}", before.offset)?;
                if let Ok(checkpoint) = Checkpoint::decode(&before.metadata) {
                    write!(f, " (replay from {})", checkpoint.replay_from)?;
                }
            }
        }
        match self.to {
            Some(offset) => write!(f, " → {offset}, starts clean there"),
            None => write!(f, " → no position"),
        }
    }
}

/// What has to be moved, by partition.
///
/// # Errors
/// Everything that cannot be done, for people; then nothing is.
pub(super) fn plan(resets: &[Reset], facts: &ClusterFacts) -> Result<Vec<Change>, Vec<String>> {
    let mut complaints = Vec::new();
    let mut wanted = BTreeMap::new();
    for reset in resets {
        if let Some(partition) = &reset.partition
            && wanted.insert(partition.clone(), reset.to).is_some()
        {
            complaints.push(format!("{partition} is to be reset twice"));
        }
    }
    let all = resets.iter().filter(|reset| reset.partition.is_none());
    for (nth, reset) in all.enumerate() {
        if nth > 0 {
            complaints.push("`all` is to be reset twice".to_owned());
        }
        for (_, partition) in facts.source_partitions() {
            wanted.entry(partition).or_insert(reset.to);
        }
    }
    let mut changes = Vec::new();
    for (partition, to) in wanted {
        match change(&partition, to, facts) {
            Ok(change) => changes.extend(change),
            Err(complaint) => complaints.push(complaint),
        }
    }
    if complaints.is_empty() { Ok(changes) } else { Err(complaints) }
}

/// `None`: it is so already.
fn change(partition: &TopicPartition, to: To, facts: &ClusterFacts) -> Result<Option<Change>, String> {
    let positions = facts.positions.as_ref().map_err(Clone::clone)?;
    let before = positions.get(partition).cloned();
    let moved = |to| Some(Change { partition: partition.clone(), before: before.clone(), to });
    let source = facts.sources.iter().find(|topic| *topic.name == *partition.topic);
    let Some(source) = source else {
        return Err(format!("the pipeline does not read topic `{}`", partition.topic));
    };
    match source.partitions() {
        0 => return Err(format!("topic `{}` does not exist", partition.topic)),
        count if partition.partition >= count => {
            return Err(format!("{partition} does not exist: `{}` has partitions 0 to {}", source.name, count - 1));
        }
        _ => {}
    }
    if to == To::Erase {
        return Ok(if before.is_some() { moved(None) } else { None });
    }
    let Some(log) = facts.logs.get(partition) else {
        return Err(format!("{partition} does not answer about its log: try again"));
    };
    let (start, end) = (log.earliest, log.ends.high_watermark);
    let offset = match to {
        To::Offset(offset) => offset,
        To::Latest => end,
        To::Earliest | To::Erase => start,
    };
    match (start..=end).contains(&offset) {
        true => Ok(moved(Some(offset))),
        false => Err(format!("{partition} has offsets {start} to {end}, and {offset} is none of them")),
    }
}
