//! What a lane owns: partitions given, taken over, given back, lost.
//!
//! Taking over follows docs/guarantees.md: read what the group has committed after fencing, then start clean, restore,
//! or refuse. Partitions are given back only after what is closed has been committed, or the time for it is over.

use super::{Lane, Stop};
use crate::broker::{Broker, Committed, Slot, Start, TopicId, TopicPartition};
use crate::checkpoint::Checkpoint;
use crate::clock::Clock;
use crate::error::{BrokerError, ErrorKind};
use crate::task::Task;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long to wait before a question that was answered with "retry" is asked again.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// A partition that the lane owns.
#[derive(Debug)]
pub enum Holding {
    /// Not read yet: what the group has committed is still to be found out.
    Taking {
        /// The partition.
        partition: TopicPartition,
        /// Whether the broker knows it by its slot already, from an earlier start.
        assigned: bool,
    },
    /// Being read.
    Running(Box<Task>),
    /// Not read: what is committed cannot be gone on from. An operator has to decide.
    Refused {
        /// The partition.
        partition: TopicPartition,
        /// What is wrong and the ways out.
        why: String,
    },
}

impl Holding {
    /// The partition.
    pub fn partition(&self) -> &TopicPartition {
        match self {
            Self::Taking { partition, .. } | Self::Refused { partition, .. } => partition,
            Self::Running(task) => &task.partition,
        }
    }

    /// Its task, if it is being read.
    pub fn task(&self) -> Option<&Task> {
        match self {
            Self::Running(task) => Some(task),
            _ => None,
        }
    }

    pub(super) fn task_mut(&mut self) -> Option<&mut Task> {
        match self {
            Self::Running(task) => Some(task),
            _ => None,
        }
    }
}

/// What is under way with the group.
#[derive(Debug, Default)]
pub(super) struct Membership {
    next_slot: Slot,
    /// Partitions that the group wants back, and until when the lane may still commit.
    revoking: Vec<TopicPartition>,
    revoke_until: Duration,
    taking: bool,
    ask_at: Duration,
    answers: Answers,
}

/// What is known so far about the partitions that are being taken over: a question that is answered is not asked again
/// because another one is not. Forgotten as soon as what is owned changes.
#[derive(Debug, Default)]
struct Answers {
    committed: Option<(Vec<TopicPartition>, Vec<Option<Committed>>)>,
    topic_ids: BTreeMap<Arc<str>, TopicId>,
    earliest: BTreeMap<TopicPartition, i64>,
}

impl Membership {
    /// True while partitions are to be given back: nothing more is read.
    pub(super) fn is_revoking(&self) -> bool {
        !self.revoking.is_empty()
    }

    /// True while something is to be done soon, records or not.
    pub(super) fn is_busy(&self) -> bool {
        self.taking || self.is_revoking()
    }

    /// What is owned changes: answers about it are no longer to be trusted.
    fn forget_answers(&mut self) {
        self.answers = Answers::default();
    }

    /// True if the time for a last commit is over.
    pub(super) fn is_revoke_overdue(&self, now: Duration) -> bool {
        self.is_revoking() && now >= self.revoke_until
    }
}

impl<B: Broker, C: Clock> Lane<B, C> {
    pub(super) fn assigned(&mut self, partitions: Vec<TopicPartition>) {
        tracing::info!(lane = self.options.lane, partitions = %names(&partitions), "partitions assigned");
        self.tide.forget_fencing();
        self.membership.forget_answers();
        for partition in partitions {
            let slot = self.membership.next_slot;
            self.membership.next_slot += 1;
            self.holdings.insert(slot, Holding::Taking { partition, assigned: false });
            self.membership.taking = true;
        }
    }

    pub(super) fn revoked(&mut self, partitions: Vec<TopicPartition>) {
        tracing::info!(lane = self.options.lane, partitions = %names(&partitions), "partitions revoked");
        self.tide.forget_fencing();
        if self.membership.revoking.is_empty() {
            self.membership.revoke_until = self.clock.monotonic() + self.options.revoke_timeout;
        }
        self.membership.revoking.extend(partitions);
    }

    /// Somebody else has these already: nothing of theirs may become visible from here.
    pub(super) fn lost(&mut self, partitions: &[TopicPartition]) -> Result<(), Stop> {
        tracing::warn!(lane = self.options.lane, partitions = %names(partitions), "partitions lost");
        self.tide.forget_fencing();
        self.abandon_tide("partitions were lost");
        self.membership.revoking.retain(|partition| !partitions.contains(partition));
        self.give_back(partitions)
    }

    /// What was restored or merged for this partition cannot be trusted: go back to what is committed.
    pub(super) fn take_again(&mut self, slot: Slot, why: &str) {
        self.membership.forget_answers();
        let Some(holding) = self.holdings.remove(&slot) else { return };
        let partition = holding.partition().clone();
        tracing::warn!(lane = self.options.lane, %partition, why, "partition is restored from its last commit");
        self.collect(holding);
        self.holdings.insert(slot, Holding::Taking { partition, assigned: true });
        self.membership.taking = true;
    }

    /// Gives back what is revoked and takes over what is gained, as soon as no transaction is in the way.
    pub(super) fn rebalance(&mut self) -> Result<(), Stop> {
        let now = self.clock.monotonic();
        if self.membership.is_revoke_overdue(now) && self.tide.may_lose_tasks() {
            let partitions = std::mem::take(&mut self.membership.revoking);
            tracing::warn!(lane = self.options.lane, partitions = %names(&partitions),
                "given back without a last commit: the group must not wait any longer");
            self.give_back(&partitions)?;
        }
        if self.tide.is_running() {
            return Ok(());
        }
        if self.membership.is_revoking() {
            let news =
                self.tasks().any(|task| self.membership.revoking.contains(&task.partition) && self.has_news(task));
            if !news || self.membership.is_revoke_overdue(now) {
                let partitions = std::mem::take(&mut self.membership.revoking);
                self.give_back(&partitions)?;
            }
        }
        if self.membership.taking && now >= self.membership.ask_at {
            match self.take_over() {
                Ok(()) => {}
                Err(error) if error.kind == ErrorKind::Retry => {
                    self.membership.ask_at = now + ASK_AGAIN_AFTER;
                    self.say_trouble(format!("taking partitions over: {error}"));
                }
                Err(error) => return Err(self.stop("taking partitions over", &error)),
            }
        }
        Ok(())
    }

    fn give_back(&mut self, partitions: &[TopicPartition]) -> Result<(), Stop> {
        self.membership.forget_answers();
        let slots: Vec<_> = self
            .holdings
            .iter()
            .filter(|(_, holding)| partitions.contains(holding.partition()))
            .map(|(slot, _)| *slot)
            .collect();
        for slot in slots {
            if let Some(holding) = self.holdings.remove(&slot) {
                self.collect(holding);
            }
        }
        self.membership.taking = self.holdings.values().any(|holding| matches!(holding, Holding::Taking { .. }));
        self.broker.unassign(partitions).map_err(|error| self.stop("giving partitions back", &error))
    }

    /// A task goes away: its counts stay, its memory is used again.
    fn collect(&mut self, holding: Holding) {
        if let Holding::Running(mut task) = holding {
            self.pressure.forget(task.slot);
            self.counts.take(&mut task);
            task.drop_state(&mut self.context);
        }
    }

    fn take_over(&mut self) -> Result<(), BrokerError> {
        let taking: Vec<_> = self
            .holdings
            .iter()
            .filter_map(|(slot, holding)| match holding {
                Holding::Taking { partition, assigned } => Some((*slot, partition.clone(), *assigned)),
                _ => None,
            })
            .collect();
        let partitions: Vec<_> = taking.iter().map(|(_, partition, _)| partition.clone()).collect();
        let committed = self.ask_committed(partitions)?;
        let mut begun = Vec::new();
        for ((slot, partition, assigned), committed) in taking.into_iter().zip(committed) {
            let topic_id = self.ask_topic_id(&partition.topic)?;
            begun.push((slot, assigned, self.begin_task(slot, &partition, topic_id, committed)?));
        }
        // Everything that could fail is known: from here on nothing is half done.
        let mut starts = Vec::new();
        let mut again = Ok(());
        for (slot, assigned, task) in begun {
            if let Ok(task) = &task {
                say_where(task);
            }
            let holding = match task {
                Ok(task) if assigned => match self.broker.seek(slot, task.position()) {
                    Ok(()) => Holding::Running(Box::new(task)),
                    Err(error) => {
                        again = Err(error);
                        continue;
                    }
                },
                Ok(task) => {
                    starts.push(Start { partition: task.partition.clone(), slot, offset: task.position() });
                    Holding::Running(Box::new(task))
                }
                Err((partition, why)) => {
                    tracing::error!(%partition, "{why}");
                    Holding::Refused { partition, why }
                }
            };
            self.holdings.insert(slot, holding);
        }
        // Also if nothing can be read: the group waits for the answer.
        self.broker.assign(&starts)?;
        self.membership.forget_answers();
        again?;
        self.membership.taking = false;
        self.trouble = None;
        Ok(())
    }

    fn ask_committed(&mut self, partitions: Vec<TopicPartition>) -> Result<Vec<Option<Committed>>, BrokerError> {
        match &self.membership.answers.committed {
            Some((asked, committed)) if *asked == partitions => Ok(committed.clone()),
            _ => {
                let committed = self.broker.committed(&partitions)?;
                self.membership.answers.committed = Some((partitions, committed.clone()));
                Ok(committed)
            }
        }
    }

    fn ask_topic_id(&mut self, topic: &Arc<str>) -> Result<TopicId, BrokerError> {
        if let Some(id) = self.membership.answers.topic_ids.get(topic) {
            return Ok(*id);
        }
        let id = self.broker.topic_id(topic)?;
        self.membership.answers.topic_ids.insert(topic.clone(), id);
        Ok(id)
    }

    fn ask_earliest(&mut self, partition: &TopicPartition) -> Result<i64, BrokerError> {
        if let Some(offset) = self.membership.answers.earliest.get(partition) {
            return Ok(*offset);
        }
        let offset = self.broker.earliest(partition)?;
        self.membership.answers.earliest.insert(partition.clone(), offset);
        Ok(offset)
    }

    /// The task that goes on from what is committed, or why there is none.
    fn begin_task(
        &mut self,
        slot: Slot,
        partition: &TopicPartition,
        topic_id: TopicId,
        committed: Option<Committed>,
    ) -> Result<Result<Task, (TopicPartition, String)>, BrokerError> {
        let now = self.clock.monotonic();
        let Some(committed) = committed else {
            let offset = self.ask_earliest(partition)?;
            return Ok(Ok(Task::clean(&self.context, slot, partition.clone(), topic_id, offset, now)));
        };
        if committed.metadata.is_empty() {
            let mut task = Task::clean(&self.context, slot, partition.clone(), topic_id, committed.offset, now);
            task.committed = Some(committed);
            return Ok(Ok(task));
        }
        let checkpoint = match self.read_checkpoint(partition, topic_id, &committed) {
            Ok(checkpoint) => checkpoint,
            Err(why) => return Ok(Err((partition.clone(), why))),
        };
        Ok(Ok(Task::resumed(&self.context, slot, partition.clone(), committed, checkpoint, now)))
    }

    fn read_checkpoint(
        &self,
        partition: &TopicPartition,
        topic_id: TopicId,
        committed: &Committed,
    ) -> Result<Checkpoint, String> {
        let ways_out = format!(
            "run the release and configuration that wrote it, or stop all workers and start clean there with \
             `tidemill state FILE --reset {partition}={}`",
            committed.offset
        );
        let checkpoint = Checkpoint::decode(&committed.metadata).map_err(|unreadable| {
            format!(
                "the metadata committed with offset {} cannot be used: {unreadable}. Either {ways_out}",
                committed.offset
            )
        })?;
        if checkpoint.topic_id != topic_id {
            return Err(format!(
                "the topic was deleted and created again since offset {} was committed: that offset means nothing in \
                 the new topic. Stop all workers and run `tidemill state FILE --reset {partition}=earliest`",
                committed.offset
            ));
        }
        let (theirs, ours) = (checkpoint.digest, self.context.digest);
        if theirs != ours && self.options.accept_digest != Some(theirs) {
            return Err(format!(
                "the configuration has changed what windows hold (digest {theirs} is committed, {ours} is \
                 configured). Either {ways_out}, or rebuild the open windows under the new rules with \
                 `--accept-config-change={theirs}`"
            ));
        }
        if theirs != ours {
            tracing::warn!(%partition, %theirs, %ours, watermark_ms = checkpoint.watermark_ms,
                "open windows are rebuilt under the new rules: those that start at or before the watermark may be \
                 incomplete, none at or below it is written again");
        }
        Ok(checkpoint)
    }
}

/// One line for each partition taken over: where it begins, and why there.
fn say_where(task: &Task) {
    let (partition, offset) = (&task.partition, task.position());
    match &task.committed {
        None => tracing::info!(%partition, offset, "nothing is committed: the partition begins at its beginning"),
        Some(committed) if committed.metadata.is_empty() => {
            tracing::warn!(%partition, offset, "the offset was set by an operator: starting clean there");
        }
        Some(committed) => tracing::info!(%partition, from = offset, to = committed.offset,
            watermark_ms = task.watermark_ms(), "restoring from the last commit"),
    }
}

fn names(partitions: &[TopicPartition]) -> String {
    partitions.iter().map(TopicPartition::to_string).collect::<Vec<_>>().join(" ")
}
