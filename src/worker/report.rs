//! What a lane says about itself, carried to metrics and status a few times a second; never for each record.

use super::Shared;
use crate::broker::{Broker, TopicPartition};
use crate::clock::Clock;
use crate::lane::{Holding, Lane, Standing};
use crate::status::{PartitionState, PartitionStatus, Phase};
use crate::task::{State, Task};
use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::Duration;

const EVERY: Duration = Duration::from_millis(200);

/// Carries one lane's counts and states to where the process shows them.
#[derive(Debug)]
pub struct Reporter {
    number: usize,
    shared: Shared,
    shown: BTreeSet<TopicPartition>,
    next_at: Duration,
}

impl Reporter {
    /// A reporter for lane number `number`.
    pub fn new(number: usize, shared: Shared) -> Self {
        shared.status.lane(number, Duration::ZERO, Phase::Starting);
        Self { number, shared, shown: BTreeSet::new(), next_at: Duration::ZERO }
    }

    /// What the worker's threads share.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Call it after each step; it does something only now and then.
    pub fn visit<B: Broker, C: Clock>(&mut self, lane: &mut Lane<B, C>, now: Duration) {
        if now >= self.next_at {
            self.next_at = now + EVERY;
            self.carry(lane, now);
        }
    }

    /// Carries everything at once.
    pub fn carry<B: Broker, C: Clock>(&mut self, lane: &mut Lane<B, C>, now: Duration) {
        let phase = match lane.trouble() {
            _ if lane.is_closing() => Phase::Draining,
            Some(trouble) => Phase::Waiting(trouble.to_owned()),
            None if lane.is_starting() => Phase::Starting,
            None => Phase::Running,
        };
        self.carry_as(lane, now, phase);
    }

    /// The lane has ended: everything that it counted is carried, its partitions are no longer shown.
    pub fn finish<B: Broker, C: Clock>(&mut self, lane: &mut Lane<B, C>, now: Duration) {
        self.carry_as(lane, now, Phase::Stopped);
        for partition in std::mem::take(&mut self.shown) {
            self.forget(&partition);
        }
    }

    fn carry_as<B: Broker, C: Clock>(&mut self, lane: &mut Lane<B, C>, now: Duration, phase: Phase) {
        let counts = std::mem::take(&mut lane.counts);
        self.shared.metrics.add(&counts);
        self.shared.totals.lock().unwrap_or_else(PoisonError::into_inner).add(&counts);
        self.shared.status.lane(self.number, now, phase);
        let mut gone = std::mem::take(&mut self.shown);
        for holding in lane.holdings() {
            let status = status_of(holding, holding.task().map_or(Standing::Goes, |task| lane.standing(task.slot)));
            self.shared.metrics.partition(&status);
            gone.remove(&status.partition);
            self.shown.insert(status.partition.clone());
            self.shared.status.partition(status);
        }
        for partition in gone {
            self.forget(&partition);
        }
    }

    fn forget(&self, partition: &TopicPartition) {
        self.shared.metrics.drop_partition(partition);
        self.shared.status.drop_partition(partition);
    }
}

fn status_of(holding: &Holding, standing: Standing<'_>) -> PartitionStatus {
    let partition = holding.partition().clone();
    match holding {
        Holding::Running(task) => running(task, standing),
        Holding::Taking { .. } => PartitionStatus { state: PartitionState::Restoring, ..unread(partition) },
        Holding::Refused { why, .. } => {
            let held_because = Some(why.clone());
            PartitionStatus { state: PartitionState::Held, held_because, ..unread(partition) }
        }
    }
}

fn running(task: &Task, standing: Standing<'_>) -> PartitionStatus {
    let (state, restore) = match task.state() {
        State::Live => (PartitionState::Live, None),
        State::Restoring { until, .. } => (PartitionState::Restoring, Some((task.began_at(), until))),
    };
    let (state, held_because) = match standing {
        Standing::Goes => (state, None),
        Standing::Waits => (PartitionState::Paused, None),
        Standing::Held(why) => (PartitionState::Held, Some(why.to_owned())),
    };
    PartitionStatus {
        state,
        held_because,
        watermark_ms: task.watermark_ms(),
        position: task.position(),
        lag: task.lag_records(),
        restore,
        // A closed window counts until its commit: nobody has it before.
        open_panes: (task.panes().len() + task.closed.len()) as u64,
        ..unread(task.partition.clone())
    }
}

fn unread(partition: TopicPartition) -> PartitionStatus {
    PartitionStatus {
        partition,
        state: PartitionState::Held,
        watermark_ms: None,
        position: 0,
        lag: None,
        restore: None,
        held_because: None,
        open_panes: 0,
    }
}
