//! The broker as the lanes of a simulation see it: the in-memory one, watched, and with one planted mistake if asked.
//!
//! Mistakes are made here, between a correct lane and a correct broker, so that no production code carries them.

use super::journal::{Journal, Life};
use super::plan::GROUP;
use crate::support::generate::Random;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;
use tidemill::broker::{
    Broker, CommitOffset, Committed, Ends, Event, Outgoing, Outlet, ProduceError, RecordBatch, Slot, Start, TopicId,
    TopicPartition,
};
use tidemill::checkpoint::{Checkpoint, GuardStep};
use tidemill::clock::{Clock, ManualClock};
use tidemill::config::Pipeline;
use tidemill::error::{BrokerError, ErrorKind};
use tidemill::sim::{Cluster, SimClient};

/// A planted mistake. Each must be caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// Positions become visible before what belongs to them.
    CommitBeforeProduce,
    /// Positions become visible after it, in a commit of their own.
    CommitAfterProduce,
    /// A record that can never be taken is dropped.
    RefusalIgnored,
    /// A record that finds the queue full is dropped.
    FullIgnored,
    /// The replay begins at the committed offset.
    ReplayFromOffset,
    /// The replay begins one record too late.
    ReplayFromNext,
    /// The next owner does not learn the watermark.
    WatermarkForgotten,
    /// A window closes one millisecond early (one late, where grace is 0).
    GraceOff,
    /// Half-open windows become a millisecond longer.
    SizeOff,
    /// A member that the group has put out commits all the same.
    StaleMemberCommits,
    /// A replay asks the clock of today about the future.
    FutureJudgedAgain,
    /// The next owner learns only the last step of the guard clock.
    GuardStepForgotten,
    /// A record is produced twice.
    ProducedTwice,
    /// A commit without an answer is taken for done.
    UnknownTakenForDone,
    /// A commit without an answer is taken for not done.
    UnknownTakenForLost,
    /// A record that is delivered again gets a fresh offset.
    RedeliveryTaken,
    /// A record is lost on the way.
    RecordSkipped,
    /// Silence is believed without asking.
    SilenceBelieved,
    /// A task that waited for memory goes on behind the record that had found none.
    ResumedTooLate,
}

/// What all spies of a world share.
pub struct Watch {
    pub cluster: Cluster,
    pub clock: ManualClock,
    pub journal: Rc<RefCell<Journal>>,
    pub pipeline: Pipeline,
    pub mistake: Option<Mistake>,
}

pub struct Spy {
    inner: SimClient,
    watch: Rc<Watch>,
    lane: usize,
    lives: BTreeMap<Slot, (u32, TopicPartition)>,
    random: Random,
    scratch: RecordBatch,
    /// Of each slot: next offset, and how far offsets are shifted.
    shifts: BTreeMap<Slot, (i64, i64)>,
    /// Stopped, to go on where they were.
    paused: BTreeSet<Slot>,
    /// Partitions are being taken over: who is sought now begins anew.
    taking: bool,
    is_open: bool,
    /// Told to be stale, which the lane has not heard yet.
    stale: Vec<TopicPartition>,
    /// Positions to be committed beside the transaction.
    aside: Vec<CommitOffset>,
}

impl Spy {
    pub fn new(inner: SimClient, watch: Rc<Watch>, lane: usize, seed: u64, batch: RecordBatch) -> Self {
        Self {
            inner,
            watch,
            lane,
            lives: BTreeMap::new(),
            random: Random::new(seed),
            scratch: batch,
            shifts: BTreeMap::new(),
            paused: BTreeSet::new(),
            taking: false,
            is_open: false,
            stale: Vec::new(),
            aside: Vec::new(),
        }
    }

    pub fn is_dead(&self) -> bool {
        self.inner.is_dead()
    }

    /// The present life of the task in a slot.
    pub fn life(&self, slot: Slot) -> Life {
        Life { lane: self.lane, slot, number: self.lives.get(&slot).map_or(0, |(number, _)| *number) }
    }

    fn makes(&self, mistake: Mistake) -> bool {
        self.watch.mistake == Some(mistake)
    }

    fn begin_life(&mut self, slot: Slot, partition: TopicPartition) {
        let number = self.lives.get(&slot).map_or(0, |(number, _)| number + 1);
        self.lives.insert(slot, (number, partition));
        self.shifts.remove(&slot);
    }

    /// Records with the offsets that the mistake gives them.
    fn spoil(&mut self, batch: &mut RecordBatch) {
        for record in self.scratch.iter() {
            let (next, shift) = self.shifts.entry(record.slot).or_insert((record.offset, 0));
            if self.watch.mistake == Some(Mistake::RecordSkipped) && self.random.chance(5) {
                continue;
            }
            if self.watch.mistake == Some(Mistake::RedeliveryTaken) && record.offset + *shift < *next {
                *shift = *next - record.offset;
            }
            let offset = record.offset + *shift;
            *next = offset + 1;
            batch.push(record.slot, offset, record.timestamp_ms, record.key, record.value, |arena| {
                arena.extend_from_slice(record.headers.0);
            });
        }
    }

    fn events(&mut self, events: &mut Vec<Event>) {
        if self.makes(Mistake::StaleMemberCommits) {
            let stale = &mut self.stale;
            let is_open = self.is_open;
            events.retain(|event| match event {
                Event::Lost(partitions) if is_open => {
                    stale.extend(partitions.iter().cloned());
                    false
                }
                _ => true,
            });
            if !self.is_open && !self.stale.is_empty() {
                events.push(Event::Lost(std::mem::take(&mut self.stale)));
            }
        }
        for event in events {
            match event {
                Event::End { slot, offset } => *offset += self.shifts.get(slot).map_or(0, |(_, shift)| *shift),
                Event::Ends { ends: Some(ends), slot } => {
                    let shift = self.shifts.get(slot).map_or(0, |(_, shift)| *shift);
                    ends.last_stable += shift;
                    ends.high_watermark += shift;
                }
                _ => {}
            }
        }
    }

    /// Answers every question about silence with the position itself.
    fn believe(&mut self, batch: &RecordBatch, events: &mut [Event]) {
        for record in batch.iter() {
            self.shifts.insert(record.slot, (record.offset + 1, 0));
        }
        for event in events {
            match event {
                Event::End { slot, offset } => drop(self.shifts.insert(*slot, (*offset, 0))),
                Event::Ends { slot, ends } => {
                    if let Some(&(next, _)) = self.shifts.get(slot) {
                        *ends = Some(Ends { last_stable: next, high_watermark: next });
                    }
                }
                _ => {}
            }
        }
    }

    fn commit_aside(&mut self) {
        for offset in std::mem::take(&mut self.aside) {
            self.watch.cluster.set_committed(GROUP, offset.partition, Some(offset.committed));
        }
    }
}

fn rewritten(committed: &Committed, rewrite: impl FnOnce(&mut Checkpoint, i64)) -> Committed {
    let Ok(mut checkpoint) = Checkpoint::decode(&committed.metadata) else { return committed.clone() };
    rewrite(&mut checkpoint, committed.offset);
    Committed { metadata: checkpoint.encode(), ..*committed }
}

impl Broker for Spy {
    fn poll(&mut self, batch: &mut RecordBatch, events: &mut Vec<Event>, timeout: Duration) -> Result<(), BrokerError> {
        if self.makes(Mistake::RedeliveryTaken) || self.makes(Mistake::RecordSkipped) {
            self.scratch.clear();
            self.inner.poll(&mut self.scratch, events, timeout)?;
            self.spoil(batch);
        } else {
            self.inner.poll(batch, events, timeout)?;
        }
        self.events(events);
        if self.makes(Mistake::SilenceBelieved) {
            self.believe(batch, events);
        }
        Ok(())
    }

    fn serve(&mut self, events: &mut Vec<Event>) -> Result<(), BrokerError> {
        self.inner.serve(events)?;
        self.events(events);
        if self.makes(Mistake::SilenceBelieved) {
            let none = RecordBatch::new(0, 0);
            self.believe(&none, events);
        }
        Ok(())
    }

    fn assign(&mut self, starts: &[Start]) -> Result<(), BrokerError> {
        self.taking = false;
        for start in starts {
            self.begin_life(start.slot, start.partition.clone());
        }
        self.inner.assign(starts)
    }

    fn unassign(&mut self, partitions: &[TopicPartition]) -> Result<(), BrokerError> {
        self.inner.unassign(partitions)
    }

    fn pause(&mut self, slot: Slot) -> Result<(), BrokerError> {
        self.inner.pause(slot)?;
        self.paused.insert(slot);
        Ok(())
    }

    fn seek(&mut self, slot: Slot, offset: i64) -> Result<(), BrokerError> {
        let resumed = self.paused.contains(&slot) && !self.taking;
        if let Some((_, partition)) = self.lives.get(&slot).filter(|_| !resumed) {
            let partition = partition.clone();
            self.begin_life(slot, partition);
        }
        let late = resumed && self.makes(Mistake::ResumedTooLate);
        self.inner.seek(slot, offset + i64::from(late))?;
        self.paused.remove(&slot);
        Ok(())
    }

    fn ask_ends(&mut self, slot: Slot) {
        self.inner.ask_ends(slot);
    }

    fn committed(&mut self, partitions: &[TopicPartition]) -> Result<Vec<Option<Committed>>, BrokerError> {
        let mut committed = self.inner.committed(partitions)?;
        let pipeline = &self.watch.pipeline;
        for committed in committed.iter_mut().flatten() {
            match self.watch.mistake {
                Some(Mistake::WatermarkForgotten) => *committed = rewritten(committed, |it, _| it.watermark_ms = None),
                Some(Mistake::FutureJudgedAgain) => {
                    let ahead_ms = pipeline.max_ahead_ms.unwrap_or(0);
                    let span_ms = pipeline.window.size_ms + pipeline.window.grace_ms;
                    let step_ms = up(ahead_ms, 4).max(up(span_ms, 40)).max(1);
                    let guard_ms = up(self.watch.clock.now_ms(), step_ms) * step_ms;
                    *committed = rewritten(committed, |it, _| {
                        it.guard = vec![GuardStep { offset: it.replay_from, guard_ms }];
                    });
                }
                Some(Mistake::GuardStepForgotten) => {
                    *committed = rewritten(committed, |it, _| {
                        it.guard = it.guard.pop().into_iter().collect();
                    });
                }
                _ => {}
            }
        }
        Ok(committed)
    }

    fn earliest(&mut self, partition: &TopicPartition) -> Result<i64, BrokerError> {
        self.inner.earliest(partition)
    }

    fn topic_id(&mut self, topic: &str) -> Result<TopicId, BrokerError> {
        self.taking = true;
        self.inner.topic_id(topic)
    }

    fn partitions(&mut self, outlet: Outlet) -> Result<i32, BrokerError> {
        self.inner.partitions(outlet)
    }

    fn renew_producer(&mut self, isolate: bool) -> Result<(), BrokerError> {
        self.inner.renew_producer(isolate)?;
        self.is_open = false;
        Ok(())
    }

    fn begin(&mut self) -> Result<(), BrokerError> {
        let begun = self.inner.begin();
        self.is_open = begun.is_ok();
        begun
    }

    fn produce(&mut self, record: &Outgoing<'_>) -> Result<(), ProduceError> {
        match self.inner.produce(record) {
            Err(ProduceError::Refused(_)) if self.makes(Mistake::RefusalIgnored) => Ok(()),
            Err(ProduceError::Full) if self.makes(Mistake::FullIgnored) => Ok(()),
            Ok(()) if self.makes(Mistake::ProducedTwice) && self.random.chance(10) => {
                let _ = self.inner.produce(record);
                Ok(())
            }
            produced => produced,
        }
    }

    fn send_offsets(&mut self, offsets: &[CommitOffset]) -> Result<(), BrokerError> {
        let mut offsets = offsets.to_vec();
        for offset in &mut offsets {
            let committed = &offset.committed;
            offset.committed = match self.watch.mistake {
                Some(Mistake::ReplayFromOffset) => rewritten(committed, |it, offset| it.replay_from = offset),
                Some(Mistake::ReplayFromNext) => {
                    rewritten(committed, |it, offset| it.replay_from = offset.min(it.replay_from + 1))
                }
                _ => continue,
            };
        }
        let note = |offsets: &[CommitOffset]| {
            for offset in offsets {
                let slot = self.lives.iter().rev().find(|(_, (_, partition))| *partition == offset.partition);
                let slot = slot.map_or(0, |(slot, _)| *slot);
                self.watch.journal.borrow_mut().send(offset.clone(), self.life(slot));
            }
        };
        note(&offsets);
        self.aside.clear();
        if self.makes(Mistake::CommitBeforeProduce) {
            self.aside = offsets.clone();
            self.commit_aside();
        }
        if self.makes(Mistake::CommitAfterProduce) || !self.stale.is_empty() {
            self.aside = offsets;
            return Ok(());
        }
        self.inner.send_offsets(&offsets)
    }

    fn commit(&mut self) -> Result<(), BrokerError> {
        let mut committed = self.inner.commit();
        let is_unknown = committed.as_ref().is_err_and(|error| error.kind == ErrorKind::Retry);
        if is_unknown && self.makes(Mistake::UnknownTakenForDone) {
            committed = self.inner.renew_producer(false);
        }
        if is_unknown && self.makes(Mistake::UnknownTakenForLost) {
            self.inner.renew_producer(false)?;
            self.is_open = false;
            return Err(BrokerError::abort("no answer"));
        }
        if committed.is_ok() {
            self.is_open = false;
            self.commit_aside();
        }
        committed
    }

    fn abort(&mut self) -> Result<(), BrokerError> {
        if self.makes(Mistake::UnknownTakenForLost) && !self.is_open {
            return Ok(());
        }
        self.inner.abort()?;
        self.is_open = false;
        Ok(())
    }

    fn refused(&mut self, tokens: &mut Vec<(u64, String)>) {
        self.inner.refused(tokens);
    }

    fn close(&mut self, timeout: Duration) {
        self.inner.close(timeout);
    }
}

/// `a / b`, rounded up.
fn up(a: i64, b: i64) -> i64 {
    -(-a).div_euclid(b)
}
