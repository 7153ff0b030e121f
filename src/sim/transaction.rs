//! The transaction coordinator: one state for each transactional id.
//!
//! Who initialises an id last owns it; all older epochs are fenced. Ending a transaction is one step here, so nobody
//! ever sees half of it. Knows nothing of members and generations: `group.rs` has checked them.

use super::cluster::State;
use super::log::Content;
use crate::broker::{CommitOffset, Committed, TopicPartition};
use crate::error::BrokerError;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A producer as the coordinator knows it: one that has lost its epoch is fenced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) transactional_id: String,
    pub(super) producer: u64,
    pub(super) epoch: u32,
}

/// One transactional id.
#[derive(Debug)]
pub(super) struct Transactional {
    producer: u64,
    epoch: u32,
    timeout: Duration,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    since: Duration,
    partitions: BTreeSet<TopicPartition>,
    offsets: BTreeMap<(String, TopicPartition), Committed>,
}

/// A commit that is still on its way to the coordinator.
#[derive(Debug)]
pub(super) struct EndInFlight {
    pub(super) due: Duration,
    pub(super) from: Identity,
}

impl State {
    /// Gives the id to a new producer: older ones are fenced, their open transaction is aborted.
    pub(super) fn init_producer(&mut self, transactional_id: &str, timeout: Duration) -> Identity {
        self.settle(transactional_id, false);
        let producer = match self.transactional.get(transactional_id) {
            Some(known) => known.producer,
            None => self.fresh_id(),
        };
        let known = self.transactional.entry(transactional_id.to_owned()).or_insert(Transactional {
            producer,
            epoch: 0,
            timeout,
            open: None,
        });
        known.epoch += 1;
        known.timeout = timeout;
        Identity { transactional_id: transactional_id.to_owned(), producer, epoch: known.epoch }
    }

    /// Appends one record to the producer's transaction, which it opens if need be.
    pub(super) fn append_open(
        &mut self,
        from: &Identity,
        partition: &TopicPartition,
        record: &Content<'_>,
    ) -> Result<i64, BrokerError> {
        let open = self.open(from)?;
        if !open.partitions.contains(partition) {
            open.partitions.insert(partition.clone());
        }
        let log = self
            .log_mut(partition)
            .ok_or_else(|| BrokerError::abort(format!("{partition}: UNKNOWN_TOPIC_OR_PARTITION")))?;
        Ok(log.append(record, Some(from.producer)))
    }

    /// Adds offsets: pending from here on, visible with the commit.
    pub(super) fn add_offsets(
        &mut self,
        from: &Identity,
        group: &str,
        offsets: &[CommitOffset],
    ) -> Result<(), BrokerError> {
        let open = self.open(from)?;
        for offset in offsets {
            open.offsets.insert((group.to_owned(), offset.partition.clone()), offset.committed.clone());
        }
        Ok(())
    }

    /// Ends the producer's transaction; one that never reached the coordinator ends as well.
    pub(super) fn end_transaction(&mut self, from: &Identity, commit: bool) -> Result<(), BrokerError> {
        self.check(from)?;
        self.settle(&from.transactional_id, commit);
        Ok(())
    }

    /// Fenced, unless this producer still owns its id.
    pub(super) fn check(&mut self, from: &Identity) -> Result<&mut Transactional, BrokerError> {
        let id = &from.transactional_id;
        match self.transactional.get_mut(id) {
            Some(known) if known.epoch == from.epoch => Ok(known),
            _ => Err(BrokerError::fenced(format!("transactional id {id}: PRODUCER_FENCED"))),
        }
    }

    /// True while an open transaction holds offsets of this group for this partition.
    pub(super) fn is_pending(&self, group: &str, partition: &TopicPartition) -> bool {
        let key = (group.to_owned(), partition.clone());
        self.transactional.values().filter_map(|known| known.open.as_ref()).any(|open| open.offsets.contains_key(&key))
    }

    /// Aborts transactions that have been open for too long, and fences their producers.
    pub(super) fn expire_transactions(&mut self) {
        let now = self.now();
        let is_late = |known: &Transactional| {
            known.open.as_ref().is_some_and(|open| now.saturating_sub(open.since) >= known.timeout)
        };
        let late: Vec<_> =
            self.transactional.iter().filter(|(_, known)| is_late(known)).map(|(id, _)| id.clone()).collect();
        for id in late {
            self.settle(&id, false);
            if let Some(known) = self.transactional.get_mut(&id) {
                known.epoch += 1;
            }
        }
    }

    /// Carries out the commits that have arrived; those of fenced producers do nothing.
    pub(super) fn deliver_in_flight(&mut self) {
        let now = self.now();
        let (due, waiting) = std::mem::take(&mut self.in_flight).into_iter().partition(|end| end.due <= now);
        self.in_flight = waiting;
        let due: Vec<EndInFlight> = due;
        for end in due {
            // A fenced producer has nobody left to tell.
            let _ = self.end_transaction(&end.from, true);
        }
    }

    fn open(&mut self, from: &Identity) -> Result<&mut Open, BrokerError> {
        let now = self.now();
        let known = self.check(from)?;
        Ok(known.open.get_or_insert_with(|| Open { since: now, partitions: BTreeSet::new(), offsets: BTreeMap::new() }))
    }

    fn settle(&mut self, transactional_id: &str, commit: bool) {
        let Some(known) = self.transactional.get_mut(transactional_id) else { return };
        let producer = known.producer;
        let Some(open) = known.open.take() else { return };
        for partition in &open.partitions {
            if let Some(log) = self.log_mut(partition) {
                log.settle(producer, commit);
            }
        }
        if commit {
            for ((group, partition), committed) in open.offsets {
                self.group(&group).commit(partition, committed);
            }
        }
    }
}
