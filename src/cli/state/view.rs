//! What is shown of a group: facts put side by side, line by line. No words, no layout.

use crate::broker::{Committed, TopicPartition};
use crate::checkpoint::{Checkpoint, Digest};
use crate::cli::preflight::{ClusterFacts, Standing};
use crate::config::Config;
use crate::kafka::{Log, Topic};
use anyhow::{Context, anyhow};

/// A group as it is now.
pub(super) struct View {
    pub(super) group: String,
    pub(super) state: String,
    pub(super) protocol: String,
    pub(super) members: Vec<Member>,
    /// Of the file.
    pub(super) digest: Digest,
    pub(super) rows: Vec<Row>,
    /// Source topics that are not there.
    pub(super) missing: Vec<String>,
}

/// A member. What clients say about themselves is escaped.
pub(super) struct Member {
    pub(super) id: String,
    pub(super) instance: String,
    pub(super) host: String,
    pub(super) partitions: Vec<TopicPartition>,
}

impl Member {
    /// Its partitions for people.
    pub(super) fn owns(&self) -> String {
        match self.partitions.is_empty() {
            true => "nothing".to_owned(),
            false => self.partitions.iter().map(TopicPartition::to_string).collect::<Vec<_>>().join(" "),
        }
    }
}

/// A partition that is read.
pub(super) struct Row {
    pub(super) partition: TopicPartition,
    pub(super) committed: Option<Committed>,
    /// The metadata, where it can be read.
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) digest_matches: Option<bool>,
    pub(super) topic_id_matches: Option<bool>,
    pub(super) log: Option<Log>,
    pub(super) standing: Standing,
    /// Index of its member.
    pub(super) owner: Option<usize>,
}

impl Row {
    /// Records until the last stable offset.
    pub(super) fn lag(&self) -> Option<i64> {
        Some((self.log?.ends.last_stable - self.committed.as_ref()?.offset).max(0))
    }

    /// Offsets that a restart would read again.
    pub(super) fn replays(&self) -> Option<i64> {
        Some(self.committed.as_ref()?.offset - self.checkpoint.as_ref()?.replay_from)
    }

    /// The watermark as RFC 3339, where the calendar has it.
    pub(super) fn watermark(&self) -> Option<String> {
        let watermark_ms = self.checkpoint.as_ref()?.watermark_ms?;
        Some(jiff::Timestamp::from_millisecond(watermark_ms).ok()?.to_string())
    }
}

impl View {
    /// # Errors
    /// The group or its positions may not be seen.
    pub(super) fn new(config: &Config, facts: &ClusterFacts) -> anyhow::Result<Self> {
        let group = facts.group.as_ref().context("nobody has asked for the group")?;
        let group = group.as_ref().map_err(|why| anyhow!("{why}"))?;
        let positions = facts.positions.as_ref().map_err(|why| anyhow!("{why}"))?;
        let digest = Digest::of(&config.pipeline);
        let members = group.members.iter().map(|member| Member {
            id: member.member_id.escape_debug().to_string(),
            instance: member.instance_id.escape_debug().to_string(),
            host: member.host.escape_debug().to_string(),
            partitions: member.partitions.clone(),
        });
        let members: Vec<_> = members.collect();
        let row = |(topic, partition): (&Topic, TopicPartition)| {
            let committed = positions.get(&partition).cloned();
            let log = facts.logs.get(&partition).copied();
            let checkpoint = committed.as_ref().and_then(|committed| Checkpoint::decode(&committed.metadata).ok());
            Row {
                digest_matches: checkpoint.as_ref().map(|checkpoint| checkpoint.digest == digest),
                topic_id_matches: checkpoint.as_ref().map(|checkpoint| checkpoint.topic_id == topic.id),
                standing: Standing::of(&partition, topic.id, digest, committed.as_ref(), log.as_ref()),
                owner: members.iter().position(|member| member.partitions.contains(&partition)),
                partition,
                committed,
                checkpoint,
                log,
            }
        };
        let missing = facts.sources.iter().filter(|source| source.found().is_none());
        Ok(Self {
            group: config.kafka.group.clone(),
            state: group.state.clone(),
            protocol: group.protocol.clone(),
            rows: facts.source_partitions().map(row).collect(),
            missing: missing.map(|source| source.name.clone()).collect(),
            members,
            digest,
        })
    }
}
