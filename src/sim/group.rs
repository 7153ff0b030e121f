//! The group coordinator: members, who owns what, who shall own what, and what is committed.
//!
//! Rebalances are incremental, as with cooperative-sticky: everybody keeps what it may keep, and a partition is given
//! to its next owner only after the last one has let go of it. Knows nothing of records.

use crate::broker::{CommitOffset, Committed, Event, TopicPartition};
use crate::error::BrokerError;
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Number of a member; a member that comes back has a new one.
pub(super) type MemberId = u64;

/// One group. A partition that is owned, but not by its target, is being revoked or will be.
#[derive(Debug, Default)]
pub(super) struct Group {
    generation: u32,
    members: BTreeMap<MemberId, Member>,
    owners: BTreeMap<TopicPartition, MemberId>,
    targets: BTreeMap<TopicPartition, MemberId>,
    committed: BTreeMap<TopicPartition, Committed>,
    history: Vec<(TopicPartition, Committed)>,
}

/// What a member says when it joins.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) subscription: Subscription,
    pub(super) instance: Option<String>,
    pub(super) session_timeout: Duration,
    pub(super) max_poll_interval: Duration,
    /// Its last call of any kind.
    pub(super) seen: Duration,
    /// Its last poll or serve.
    pub(super) polled: Duration,
    /// Partitions that it has been told to read.
    pub(super) told: BTreeSet<TopicPartition>,
    /// Those of them that it has been asked to give back.
    pub(super) revoking: BTreeSet<TopicPartition>,
}

impl Member {
    fn is_late(&self, now: Duration) -> bool {
        now.saturating_sub(self.seen) >= self.session_timeout
            || now.saturating_sub(self.polled) >= self.max_poll_interval
    }
}

/// Names of topics, and expressions that begin with `^`.
#[derive(Clone, Debug, Default)]
pub(super) struct Subscription {
    names: Vec<String>,
    expressions: Vec<Regex>,
}

impl Subscription {
    pub(super) fn new(topics: &[String]) -> Result<Self, regex::Error> {
        let (expressions, names): (Vec<_>, Vec<_>) = topics.iter().cloned().partition(|topic| topic.starts_with('^'));
        let expressions = expressions.iter().map(|text| Regex::new(text)).collect::<Result<_, _>>()?;
        Ok(Self { names, expressions })
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    fn matches(&self, topic: &str) -> bool {
        self.names.iter().any(|name| name == topic) || self.expressions.iter().any(|regex| regex.is_match(topic))
    }
}

impl Group {
    /// Takes a member in. A static member takes the place of its predecessor, without a rebalance.
    pub(super) fn join(&mut self, id: MemberId, member: Member, topics: &[(Arc<str>, i32)]) {
        let same = |other: &Member| member.instance.is_some() && other.instance == member.instance;
        let predecessor = self.members.iter().find(|(_, other)| same(other)).map(|(&id, _)| id);
        self.members.insert(id, member);
        match predecessor {
            Some(old) => {
                self.members.remove(&old);
                for owner in self.owners.values_mut().chain(self.targets.values_mut()).filter(|owner| **owner == old) {
                    *owner = id;
                }
                // What the predecessor was giving back when it died would else be nobody's for ever.
                for (partition, _) in self.owners.iter().filter(|(_, owner)| **owner == id) {
                    self.targets.entry(partition.clone()).or_insert(id);
                }
            }
            None => self.rebalance(topics),
        }
    }

    /// Takes a member out; what it owned is free at once.
    pub(super) fn leave(&mut self, id: MemberId, topics: &[(Arc<str>, i32)]) {
        if self.members.remove(&id).is_some() {
            self.owners.retain(|_, owner| *owner != id);
            self.rebalance(topics);
        }
    }

    /// Takes all members out.
    pub(super) fn remove_members(&mut self, topics: &[(Arc<str>, i32)]) {
        for id in self.members.keys().copied().collect::<Vec<_>>() {
            self.leave(id, topics);
        }
    }

    /// True if a member has been silent for too long.
    pub(super) fn has_expired(&self, now: Duration) -> bool {
        self.members.values().any(|member| member.is_late(now))
    }

    /// Takes out the members that have been silent for too long.
    pub(super) fn expire(&mut self, now: Duration, topics: &[(Arc<str>, i32)]) {
        let late: Vec<_> = self.members.iter().filter(|(_, member)| member.is_late(now)).map(|(&id, _)| id).collect();
        for id in late {
            self.leave(id, topics);
        }
    }

    /// Notes that a member is alive. False if the group does not know it (any more).
    pub(super) fn touch(&mut self, id: MemberId, now: Duration, polls: bool) -> bool {
        let Some(member) = self.members.get_mut(&id) else { return false };
        member.seen = now;
        if polls {
            member.polled = now;
        }
        true
    }

    /// What this member has to be told now.
    pub(super) fn sync(&mut self, id: MemberId, events: &mut Vec<Event>) {
        let Some(member) = self.members.get_mut(&id) else { return };
        let mut revoked = Vec::new();
        for (partition, _) in self.owners.iter().filter(|(_, owner)| **owner == id) {
            let stays = self.targets.get(partition) == Some(&id);
            if !stays && member.told.contains(partition) && member.revoking.insert(partition.clone()) {
                revoked.push(partition.clone());
            }
        }
        let told = &member.told;
        self.owners.retain(|partition, owner| {
            *owner != id || told.contains(partition) || self.targets.get(partition) == Some(&id)
        });
        let mut assigned = Vec::new();
        for (partition, _) in self.targets.iter().filter(|(_, target)| **target == id) {
            let owner = *self.owners.entry(partition.clone()).or_insert(id);
            if owner == id && !member.told.contains(partition) {
                member.told.insert(partition.clone());
                assigned.push(partition.clone());
            }
        }
        if !revoked.is_empty() {
            events.push(Event::Revoked(revoked));
        }
        if !assigned.is_empty() {
            events.push(Event::Assigned(assigned));
        }
    }

    /// A member lets go of partitions that were revoked; others stay its own.
    pub(super) fn release(&mut self, id: MemberId, partitions: &[TopicPartition], topics: &[(Arc<str>, i32)]) {
        let Some(member) = self.members.get_mut(&id) else { return };
        let mut released = false;
        for partition in partitions {
            if member.revoking.remove(partition) {
                member.told.remove(partition);
                self.owners.remove(partition);
                released = true;
            }
        }
        if released {
            self.rebalance(topics);
        }
    }

    /// Takes this share of a member's partitions away for no reason; they find an owner when it lets go.
    pub(super) fn disturb(&mut self, id: MemberId, mut choose: impl FnMut() -> bool) {
        self.generation += 1;
        let Some(member) = self.members.get(&id) else { return };
        // What it has not been told of yet it will never let go of.
        self.targets.retain(|partition, target| *target != id || !member.told.contains(partition) || !choose());
    }

    /// Finds an owner for every partition: the last one where the balance allows it.
    pub(super) fn rebalance(&mut self, topics: &[(Arc<str>, i32)]) {
        let partitions: Vec<TopicPartition> = topics
            .iter()
            .filter(|(topic, _)| self.members.values().any(|member| member.subscription.matches(topic)))
            .flat_map(|(topic, count)| {
                (0..*count).map(move |partition| TopicPartition { topic: Arc::clone(topic), partition })
            })
            .collect();
        let floor = partitions.len() / self.members.len().max(1);
        let mut above_floor = partitions.len() % self.members.len().max(1);
        let mut loads: BTreeMap<MemberId, usize> = self.members.keys().map(|&id| (id, 0)).collect();
        let mut targets = BTreeMap::new();
        for partition in &partitions {
            let Some(id) = self.keeper(partition) else { continue };
            let Some(load) = loads.get_mut(&id) else { continue };
            if *load == floor && above_floor > 0 {
                above_floor -= 1;
            } else if *load >= floor {
                continue;
            }
            *load += 1;
            targets.insert(partition.clone(), id);
        }
        for partition in partitions {
            if targets.contains_key(&partition) {
                continue;
            }
            let subscribed = |id: &MemberId| {
                self.members.get(id).is_some_and(|member| member.subscription.matches(&partition.topic))
            };
            let least = loads.iter_mut().filter(|(id, _)| subscribed(id)).min_by_key(|(_, load)| **load);
            if let Some((&id, load)) = least {
                *load += 1;
                targets.insert(partition, id);
            }
        }
        if targets != self.targets {
            self.generation += 1;
            self.targets = targets;
        }
    }

    /// Who should go on with a partition: its owner, or the next one if the owner is already giving it back.
    fn keeper(&self, partition: &TopicPartition) -> Option<MemberId> {
        let target = self.targets.get(partition).copied();
        let Some(owner) = self.owners.get(partition).copied() else { return target };
        let member = self.members.get(&owner)?;
        if member.revoking.contains(partition) {
            return target;
        }
        member.subscription.matches(&partition.topic).then_some(owner)
    }

    /// Refuses offsets of a member that the group does not know.
    pub(super) fn check_member(&self, id: Option<MemberId>) -> Result<(), BrokerError> {
        match id {
            Some(id) if self.members.contains_key(&id) => Ok(()),
            _ => Err(BrokerError::abort("offsets of a stale member: UNKNOWN_MEMBER_ID")),
        }
    }

    /// Refuses offsets that no broker stores.
    pub(super) fn check_offsets(offsets: &[CommitOffset]) -> Result<(), BrokerError> {
        match offsets.iter().find(|offset| offset.committed.metadata.len() > METADATA_BYTES_MAX) {
            Some(offset) => Err(BrokerError::abort(format!("{}: OFFSET_METADATA_TOO_LARGE", offset.partition))),
            None => Ok(()),
        }
    }

    /// True if this static member's place has been taken by another client.
    pub(super) fn is_replaced(&self, instance: &str, id: MemberId) -> bool {
        self.members.iter().any(|(&other, member)| other != id && member.instance.as_deref() == Some(instance))
    }

    pub(super) fn commit(&mut self, partition: TopicPartition, committed: Committed) {
        self.history.push((partition.clone(), committed.clone()));
        self.committed.insert(partition, committed);
    }

    pub(super) fn forget(&mut self, partition: &TopicPartition) {
        self.committed.remove(partition);
    }

    pub(super) fn committed(&self) -> &BTreeMap<TopicPartition, Committed> {
        &self.committed
    }

    pub(super) fn history(&self) -> &[(TopicPartition, Committed)] {
        &self.history
    }

    pub(super) fn generation(&self) -> u32 {
        self.generation
    }

    pub(super) fn members(&self) -> usize {
        self.members.len()
    }
}

/// `offset.metadata.max.bytes` of a broker.
const METADATA_BYTES_MAX: usize = 4096;
