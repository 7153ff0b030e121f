//! What the committed position of a partition allows its next owner: the judgement of a lane, without becoming one.

use super::{ClusterFacts, Finding, Severity};
use crate::broker::{Committed, TopicId, TopicPartition};
use crate::checkpoint::{Checkpoint, Digest};
use crate::config::Config;
use crate::kafka::Log;

/// What the next owner of a partition would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is committed: begin.
    New,
    /// An offset without metadata: start clean there.
    Clean,
    /// Restore and go on.
    Resumable,
    /// Hold the partition until an operator decides.
    Held {
        /// What is wrong.
        why: String,
        /// The ways out.
        mend: String,
    },
}

impl Standing {
    /// Of a partition that exists, as the lane would see it; `log` only where it answered.
    pub fn of(
        partition: &TopicPartition,
        topic_id: TopicId,
        digest: Digest,
        committed: Option<&Committed>,
        log: Option<&Log>,
    ) -> Self {
        let Some(Committed { offset, metadata }) = committed else { return Self::New };
        let reset = |to: &str| format!("tidemill state FILE --reset '{partition}={to}' (with all workers stopped)");
        let checkpoint = match metadata.as_str() {
            "" => None,
            text => match Checkpoint::decode(text) {
                Ok(checkpoint) => Some(checkpoint),
                Err(unreadable) => {
                    let why = format!("the metadata committed with offset {offset} cannot be used: {unreadable}");
                    let mend = format!("run the release that wrote it, or {}", reset(&offset.to_string()));
                    return Self::Held { why, mend };
                }
            },
        };
        if let Some(checkpoint) = &checkpoint {
            if checkpoint.topic_id != topic_id {
                let why = format!("the topic was deleted and created again since offset {offset} was committed");
                return Self::Held { why, mend: reset("earliest") };
            }
            if checkpoint.digest != digest {
                let theirs = checkpoint.digest;
                let why = format!(
                    "the configuration has changed what windows hold (digest {theirs} is committed, {digest} is \
                     configured)"
                );
                let mend = format!(
                    "run the configuration that wrote it, or tidemill run FILE --accept-config-change={theirs}, or {}",
                    reset(&offset.to_string())
                );
                return Self::Held { why, mend };
            }
        }
        let from = checkpoint.as_ref().map_or(*offset, |checkpoint| checkpoint.replay_from);
        if let Some(log) = log {
            let end = log.ends.high_watermark;
            if from < log.earliest {
                let why = format!("offset {from} is needed, but the log begins at {}: records are gone", log.earliest);
                return Self::Held { why, mend: reset("earliest") };
            }
            if *offset > end {
                let why = format!("offset {offset} is committed, but the log ends at {end}: the topic lost records");
                return Self::Held { why, mend: reset("latest") };
            }
        }
        if checkpoint.is_some() { Self::Resumable } else { Self::Clean }
    }
}

pub(super) fn judge(config: &Config, facts: &ClusterFacts, findings: &mut Vec<Finding>) {
    let Ok(positions) = &facts.positions else { return };
    let digest = Digest::of(&config.pipeline);
    for (topic, partition) in facts.source_partitions() {
        let (committed, log) = (positions.get(&partition), facts.logs.get(&partition));
        if let Standing::Held { why, mend } = Standing::of(&partition, topic.id, digest, committed, log) {
            findings.push(Finding::new(Severity::Error, format!("{partition} would be held: {why}"), mend));
        }
    }
}
