//! The consuming half of a client: its place in the group, its readers, and the questions it has asked.
//!
//! Never waits and never locks: it works on the state that it is handed.

use super::cluster::State;
use super::group::{Member, MemberId, Subscription};
use super::log::Isolation;
use crate::broker::{Event, RecordBatch, Slot, Start, TopicPartition};
use crate::error::BrokerError;
use std::collections::BTreeSet;
use std::time::Duration;

/// Records of one partition before it is the next one's turn.
const TURN_RECORDS: usize = 500;

/// What a consumer was built with.
#[derive(Clone, Debug)]
pub(super) struct Membership {
    pub(super) group: String,
    pub(super) topics: Vec<String>,
    pub(super) instance: Option<String>,
    pub(super) session_timeout: Duration,
    pub(super) max_poll_interval: Duration,
}

pub(super) struct Consumer {
    membership: Membership,
    pub(super) member: Option<MemberId>,
    /// What the group gave us and we have not given back.
    handed: BTreeSet<TopicPartition>,
    readers: Vec<Reader>,
    turn: usize,
    asks: Vec<(Slot, bool)>,
    missing_told: bool,
    down_told: bool,
}

struct Reader {
    slot: Slot,
    partition: TopicPartition,
    position: i64,
    is_paused: bool,
    is_out_of_range: bool,
    end_told: Option<i64>,
}

impl Consumer {
    pub(super) fn new(membership: Membership) -> Self {
        Self {
            membership,
            member: None,
            handed: BTreeSet::new(),
            readers: Vec::new(),
            turn: 0,
            asks: Vec::new(),
            missing_told: false,
            down_told: false,
        }
    }

    /// Joins, learns what the group wants, or learns that the group has gone on without us.
    pub(super) fn sync(&mut self, state: &mut State, events: &mut Vec<Event>) -> Result<(), BrokerError> {
        let now = state.now();
        if let Some(id) = self.member
            && !state.group(&self.membership.group).touch(id, now, true)
        {
            self.put_out(id, state, events)?;
        }
        if self.was_down(state, events) {
            return Ok(());
        }
        if self.member.is_none() && self.handed.is_empty() {
            self.join(state, events)?;
        }
        if let Some(id) = self.member {
            let from = events.len();
            state.group(&self.membership.group).sync(id, events);
            for event in events.iter().skip(from) {
                if let Event::Assigned(partitions) = event {
                    self.handed.extend(partitions.iter().cloned());
                }
            }
        }
        Ok(())
    }

    fn put_out(&mut self, id: MemberId, state: &mut State, events: &mut Vec<Event>) -> Result<(), BrokerError> {
        if let Some(instance) = &self.membership.instance
            && state.group(&self.membership.group).is_replaced(instance, id)
        {
            return Err(BrokerError::fatal(format!("static member {instance}: FENCED_INSTANCE_ID")));
        }
        self.member = None;
        self.readers.clear();
        self.asks.clear();
        if !self.handed.is_empty() {
            events.push(Event::Lost(self.handed.iter().cloned().collect()));
        }
        Ok(())
    }

    fn was_down(&mut self, state: &State, events: &mut Vec<Event>) -> bool {
        if state.down && !self.down_told {
            events.push(Event::Trouble("all brokers are down".to_owned()));
        }
        self.down_told = state.down;
        state.down
    }

    fn join(&mut self, state: &mut State, events: &mut Vec<Event>) -> Result<(), BrokerError> {
        let wanted = &self.membership;
        let subscription = Subscription::new(&wanted.topics)
            .map_err(|error| BrokerError::fatal(format!("subscription to {:?}: {error}", wanted.topics)))?;
        for name in subscription.names().iter().filter(|name| !state.topics.contains_key(name.as_str())) {
            if !self.missing_told {
                events.push(Event::Trouble(format!("topic {name}: UNKNOWN_TOPIC_OR_PARTITION")));
            }
        }
        self.missing_told = true;
        let now = state.now();
        let member = Member {
            subscription,
            instance: wanted.instance.clone(),
            session_timeout: wanted.session_timeout,
            max_poll_interval: wanted.max_poll_interval,
            seen: now,
            polled: now,
            told: BTreeSet::new(),
            revoking: BTreeSet::new(),
        };
        let id = state.fresh_id();
        let topics = state.topic_sizes();
        state.group(&wanted.group).join(id, member, &topics);
        self.member = Some(id);
        Ok(())
    }

    /// Notes that the process is alive, on any call.
    pub(super) fn heartbeat(&self, state: &mut State) {
        if let Some(id) = self.member {
            let now = state.now();
            state.group(&self.membership.group).touch(id, now, false);
        }
    }

    /// Leaves the group; a static member stays on paper.
    pub(super) fn close(&mut self, state: &mut State) {
        if self.membership.instance.is_none() {
            self.leave(state);
        }
    }

    /// The group puts this member out; it learns that at its next sync.
    pub(super) fn leave(&mut self, state: &mut State) {
        if let Some(id) = self.member {
            let topics = state.topic_sizes();
            state.group(&self.membership.group).leave(id, &topics);
        }
    }

    pub(super) fn assign(&mut self, starts: &[Start]) -> Result<(), BrokerError> {
        for start in starts {
            if !self.handed.contains(&start.partition) {
                return Err(BrokerError::fatal(format!("assign: the group did not give us {}", start.partition)));
            }
            if self.readers.iter().any(|reader| reader.slot == start.slot || reader.partition == start.partition) {
                return Err(BrokerError::fatal(format!("assign: {} or its slot is in use", start.partition)));
            }
            self.readers.push(Reader {
                slot: start.slot,
                partition: start.partition.clone(),
                position: start.offset,
                is_paused: false,
                is_out_of_range: false,
                end_told: None,
            });
        }
        Ok(())
    }

    pub(super) fn unassign(&mut self, state: &mut State, partitions: &[TopicPartition]) {
        let gone = |partition: &TopicPartition| partitions.contains(partition);
        let slots: Vec<_> =
            self.readers.iter().filter(|reader| gone(&reader.partition)).map(|reader| reader.slot).collect();
        self.readers.retain(|reader| !gone(&reader.partition));
        self.asks.retain(|(slot, _)| !slots.contains(slot));
        self.handed.retain(|partition| !gone(partition));
        if let Some(id) = self.member {
            let topics = state.topic_sizes();
            state.group(&self.membership.group).release(id, partitions, &topics);
        }
    }

    pub(super) fn pause(&mut self, slot: Slot) -> Result<(), BrokerError> {
        self.reader(slot)?.is_paused = true;
        Ok(())
    }

    pub(super) fn seek(&mut self, slot: Slot, offset: i64) -> Result<(), BrokerError> {
        let reader = self.reader(slot)?;
        reader.position = offset;
        reader.is_paused = false;
        reader.is_out_of_range = false;
        reader.end_told = None;
        Ok(())
    }

    fn reader(&mut self, slot: Slot) -> Result<&mut Reader, BrokerError> {
        let found = self.readers.iter_mut().find(|reader| reader.slot == slot);
        found.ok_or_else(|| BrokerError::retry(format!("slot {slot} is not assigned")))
    }

    pub(super) fn ask_ends(&mut self, slot: Slot, is_answered: bool) {
        self.asks.push((slot, is_answered));
    }

    pub(super) fn answer_asks(&mut self, state: &State, events: &mut Vec<Event>) {
        for (slot, is_answered) in self.asks.drain(..) {
            let reader = self.readers.iter().find(|reader| reader.slot == slot);
            let log = reader.and_then(|reader| state.log(&reader.partition));
            let ends = log.map(super::log::Log::ends).filter(|_| is_answered && !state.down);
            events.push(Event::Ends { slot, ends });
        }
    }

    /// Fills the batch, at most `records_max` records of it, each partition in its turn; then says which ends are
    /// reached.
    pub(super) fn fetch(
        &mut self,
        state: &State,
        batch: &mut RecordBatch,
        events: &mut Vec<Event>,
        records_max: usize,
    ) {
        if state.down {
            return;
        }
        let count = self.readers.len();
        let first = self.turn;
        self.turn = self.turn.wrapping_add(1);
        let full = batch.len().saturating_add(records_max);
        loop {
            let before = batch.len();
            for index in 0..count {
                let left = full.saturating_sub(batch.len());
                if let Some(reader) = self.readers.get_mut(first.wrapping_add(index) % count) {
                    reader.fetch(state, batch, events, left.min(TURN_RECORDS));
                }
            }
            if batch.len() == before {
                return;
            }
        }
    }

    /// One partition, chosen by `chance`, is read again from `back` offsets before its position.
    pub(super) fn redeliver(&mut self, state: &State, back: i64, chance: usize) {
        let count = self.readers.len().max(1);
        if let Some(reader) = self.readers.get_mut(chance % count)
            && let Some(log) = state.log(&reader.partition)
        {
            reader.position = (reader.position - back).max(log.start().min(reader.position));
        }
    }

    /// One partition, chosen by `chance`, reports its position as the end.
    pub(super) fn stale_end(&self, chance: usize, events: &mut Vec<Event>) {
        let count = self.readers.len().max(1);
        if let Some(reader) = self.readers.get(chance % count).filter(|reader| reader.is_reading()) {
            events.push(Event::End { slot: reader.slot, offset: reader.position });
        }
    }
}

impl Reader {
    fn is_reading(&self) -> bool {
        !self.is_paused && !self.is_out_of_range
    }

    fn fetch(&mut self, state: &State, batch: &mut RecordBatch, events: &mut Vec<Event>, records_max: usize) {
        let Some(log) = state.log(&self.partition).filter(|_| self.is_reading()) else { return };
        let ends = log.ends();
        if self.position < log.start() || self.position > ends.high_watermark {
            self.is_out_of_range = true;
            events.push(Event::OutOfRange { slot: self.slot, offset: self.position });
            return;
        }
        let full = batch.len() + records_max;
        self.position = log.read(self.position, Isolation::Committed, |offset, record| {
            if batch.is_full() || batch.len() >= full {
                return false;
            }
            let headers = |arena: &mut Vec<u8>| arena.extend_from_slice(record.headers.0);
            batch.push(self.slot, offset, record.timestamp_ms, record.key, record.value, headers);
            true
        });
        if self.position >= ends.last_stable && self.end_told != Some(self.position) {
            self.end_told = Some(self.position);
            events.push(Event::End { slot: self.slot, offset: self.position });
        }
    }
}
