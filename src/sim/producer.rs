//! The producing half of a client: its phase, its queue, and what librdkafka remembers of failures.
//!
//! Never waits and never locks. Faults are handed to it; it draws none.

use super::cluster::State;
use super::faults::Fault;
use super::group::{Group, MemberId};
use super::log::Content;
use super::transaction::{EndInFlight, Identity};
use crate::broker::{CommitOffset, Outgoing, Outlet, ProduceError, RecordBatch, TopicPartition};
use crate::error::{BrokerError, ErrorKind};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Neighbouring records of a partition that travel together, and are refused together.
const BATCH_RECORDS: usize = 16;
const QUEUE_BYTES: usize = 1 << 20;

/// What a producer was built with.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) transactional_id: String,
    pub(super) transaction_timeout: Duration,
    pub(super) outlets: BTreeMap<Outlet, Arc<str>>,
    pub(super) message_bytes_max: usize,
    pub(super) queue_records_max: usize,
}

pub(super) struct Producer {
    settings: Settings,
    identity: Option<Identity>,
    phase: Phase,
    isolate: bool,
    queue: RecordBatch,
    labels: Vec<Label>,
    refused: Vec<(u64, String)>,
}

/// Missing → Ready → Open → Committing → Ready, or Open → (Failed →) Aborting → Missing; Dead from anywhere.
#[derive(Clone, Debug)]
enum Phase {
    Missing,
    Ready,
    Open,
    Failed(String),
    Committing(Answer),
    Aborting(Answer),
    Dead(BrokerError),
}

/// Of the request that ends the transaction.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// Not sent: the next call sends it.
    Unsent,
    /// Carried out; the answer comes after so many more calls.
    Late(u32),
    /// Sent; no answer will ever come.
    Never,
}

#[derive(Clone, Copy, Debug)]
struct Label {
    outlet: Outlet,
    partition: i32,
    token: u64,
}

impl Producer {
    pub(super) fn new(settings: Settings) -> Self {
        let queue = RecordBatch::new(QUEUE_BYTES, settings.queue_records_max);
        Self {
            settings,
            identity: None,
            phase: Phase::Missing,
            isolate: false,
            queue,
            labels: Vec::new(),
            refused: Vec::new(),
        }
    }

    pub(super) fn topic(&self, outlet: Outlet) -> Result<&Arc<str>, BrokerError> {
        let topic = self.settings.outlets.get(&outlet);
        topic.ok_or_else(|| BrokerError::fatal(format!("no topic is configured for {outlet:?}")))
    }

    /// The old producer is gone from here on, whether or not the new one gets ready.
    pub(super) fn drop_old(&mut self) {
        self.clear_queue();
        self.phase = Phase::Missing;
    }

    pub(super) fn renew(&mut self, state: &mut State, isolate: bool) {
        let identity = state.init_producer(&self.settings.transactional_id, self.settings.transaction_timeout);
        self.identity = Some(identity);
        self.phase = Phase::Ready;
        self.isolate = isolate;
    }

    /// Carries out the faults that hit the producer as a whole.
    pub(super) fn strike(&mut self, state: &mut State, fault: Fault, what: &str) -> Result<(), BrokerError> {
        if matches!(self.phase, Phase::Missing | Phase::Dead(_)) {
            return Err(self.refuse(what));
        }
        match fault {
            Fault::Abort => Err(self.fail(format!("{what}: injected, abort required"))),
            Fault::Fatal => Err(self.die(BrokerError::fatal(format!("{what}: injected, fatal")))),
            Fault::Fenced => {
                state.init_producer(&self.settings.transactional_id, self.settings.transaction_timeout);
                Err(self.die(BrokerError::fenced(format!("{what}: injected, PRODUCER_FENCED"))))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn begin(&mut self) -> Result<(), BrokerError> {
        match &self.phase {
            Phase::Ready => {}
            _ => return Err(self.refuse("begin")),
        }
        self.phase = Phase::Open;
        Ok(())
    }

    pub(super) fn produce(&mut self, record: &Outgoing<'_>) -> Result<(), ProduceError> {
        if !matches!(self.phase, Phase::Open) {
            return Err(ProduceError::Broker(self.refuse("produce")));
        }
        let topic = self.topic(record.outlet).map_err(ProduceError::Broker)?;
        let bytes = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len) + record.headers.0.len();
        let limit = self.settings.message_bytes_max;
        if bytes > limit {
            return Err(ProduceError::Refused(format!("{topic}: MSG_SIZE_TOO_LARGE ({bytes} bytes, limit {limit})")));
        }
        if record.timestamp_ms < 1 {
            return Err(ProduceError::Refused(format!("{topic}: timestamp {} is below 1", record.timestamp_ms)));
        }
        if self.queue.is_full() {
            return Err(ProduceError::Full);
        }
        self.queue.push(0, 0, record.timestamp_ms, record.key, record.value, |arena| {
            arena.extend_from_slice(record.headers.0);
        });
        self.labels.push(Label { outlet: record.outlet, partition: record.partition, token: record.token });
        Ok(())
    }

    /// Sends what is queued, as the client's own thread does at any time.
    pub(super) fn deliver(&mut self, state: &mut State) {
        let sends = matches!(self.phase, Phase::Open | Phase::Failed(_) | Phase::Committing(_));
        if self.labels.is_empty() || !sends || state.down {
            return;
        }
        let mut places: BTreeMap<(Outlet, i32), Vec<usize>> = BTreeMap::new();
        for (index, label) in self.labels.iter().enumerate() {
            places.entry((label.outlet, label.partition)).or_default().push(index);
        }
        for ((outlet, partition), indices) in places {
            let Some(topic) = self.settings.outlets.get(&outlet) else { continue };
            let place = TopicPartition { topic: Arc::clone(topic), partition };
            for batch in indices.chunks(if self.isolate { 1 } else { BATCH_RECORDS }) {
                if let Err(error) = self.deliver_batch(state, &place, batch) {
                    self.fail_with(error);
                }
            }
        }
        self.clear_queue();
    }

    fn deliver_batch(&mut self, state: &mut State, place: &TopicPartition, batch: &[usize]) -> Result<(), BrokerError> {
        let Some(identity) = &self.identity else { return Ok(()) };
        let records: Vec<_> = batch.iter().filter_map(|&index| self.queue.get(index)).collect();
        let contents = records.iter().map(|record| Content {
            timestamp_ms: record.timestamp_ms,
            key: record.key,
            value: record.value,
            headers: record.headers,
        });
        state.check(identity)?;
        if let Some(reason) = contents.clone().find_map(|content| refusal(state, place, &content)) {
            let tokens = batch.iter().filter_map(|&index| self.labels.get(index)).map(|label| label.token);
            self.refused.extend(tokens.map(|token| (token, reason.clone())));
            return Err(BrokerError::abort(reason));
        }
        for content in contents {
            state.append_open(identity, place, &content)?;
        }
        Ok(())
    }

    pub(super) fn send_offsets(
        &mut self,
        state: &mut State,
        group: &str,
        member: Option<MemberId>,
        offsets: &[CommitOffset],
    ) -> Result<(), BrokerError> {
        if !matches!(self.phase, Phase::Open) {
            return Err(self.refuse("send_offsets"));
        }
        let Some(identity) = self.identity.clone() else { return Err(self.refuse("send_offsets")) };
        let checked = state.check(&identity).map(drop);
        let checked = checked
            .and_then(|()| state.group(group).check_member(member))
            .and_then(|()| Group::check_offsets(offsets))
            .and_then(|()| state.add_offsets(&identity, group, offsets));
        checked.map_err(|error| self.fail_with(error))
    }

    /// Commits; `fault` has not been carried out yet.
    pub(super) fn commit(&mut self, state: &mut State, fault: Option<Fault>) -> Result<(), BrokerError> {
        match self.phase {
            Phase::Open | Phase::Committing(Answer::Unsent) => self.phase = Phase::Committing(Answer::Unsent),
            _ => return Err(self.refuse("commit")),
        }
        if fault == Some(Fault::Retry) || state.down {
            return Err(BrokerError::retry("commit: COORDINATOR_NOT_AVAILABLE"));
        }
        self.deliver(state);
        if !matches!(self.phase, Phase::Committing(_)) {
            return Err(self.refuse("commit"));
        }
        if let Some(Fault::InFlight { after }) = fault
            && let Some(from) = self.identity.clone()
        {
            let due = state.now() + after;
            state.in_flight.push(EndInFlight { due, from });
            self.phase = Phase::Committing(Answer::Never);
            return Err(BrokerError::retry("commit: timed out"));
        }
        let answer = self.end(state, fault, true)?;
        self.answer(Phase::Committing(answer), "commit")
    }

    /// Aborts; `fault` has not been carried out yet.
    pub(super) fn abort(&mut self, state: &mut State, fault: Option<Fault>) -> Result<(), BrokerError> {
        match self.phase {
            Phase::Open | Phase::Failed(_) | Phase::Aborting(Answer::Unsent) => {}
            _ => return Err(self.refuse("abort")),
        }
        self.phase = Phase::Aborting(Answer::Unsent);
        self.clear_queue();
        if fault == Some(Fault::Retry) || state.down {
            return Err(BrokerError::retry("abort: COORDINATOR_NOT_AVAILABLE"));
        }
        let answer = self.end(state, fault, false)?;
        self.answer(Phase::Aborting(answer), "abort")
    }

    /// If the request has been sent already, only its answer is left to be had.
    pub(super) fn pending_answer(&mut self, commits: bool) -> Option<Result<(), BrokerError>> {
        let what = if commits { "commit" } else { "abort" };
        match self.phase {
            Phase::Committing(Answer::Unsent) | Phase::Aborting(Answer::Unsent) => None,
            Phase::Committing(_) if commits => Some(self.answer(self.phase.clone(), what)),
            Phase::Aborting(_) if !commits => Some(self.answer(self.phase.clone(), what)),
            _ => None,
        }
    }

    pub(super) fn take_refused(&mut self, tokens: &mut Vec<(u64, String)>) {
        tokens.append(&mut self.refused);
    }

    fn end(&mut self, state: &mut State, fault: Option<Fault>, commit: bool) -> Result<Answer, BrokerError> {
        let Some(identity) = self.identity.clone() else { return Err(self.refuse("commit")) };
        if fault == Some(Fault::AnswerLost { happened: false }) {
            return Ok(Answer::Never);
        }
        state.end_transaction(&identity, commit).map_err(|error| self.fail_with(error))?;
        Ok(match fault {
            Some(Fault::AnswerLost { .. }) => Answer::Never,
            Some(Fault::AnswerSlow { retries }) => Answer::Late(retries),
            _ => Answer::Late(0),
        })
    }

    fn answer(&mut self, phase: Phase, what: &str) -> Result<(), BrokerError> {
        self.phase = match phase {
            Phase::Committing(Answer::Late(0)) => {
                self.phase = Phase::Ready;
                return Ok(());
            }
            Phase::Aborting(Answer::Late(0)) => {
                self.phase = Phase::Missing;
                return Ok(());
            }
            Phase::Committing(Answer::Late(more)) => Phase::Committing(Answer::Late(more - 1)),
            Phase::Aborting(Answer::Late(more)) => Phase::Aborting(Answer::Late(more - 1)),
            other => other,
        };
        Err(BrokerError::retry(format!("{what}: timed out")))
    }

    /// Why this call is impossible now: an error that stands, or a mistake of the caller.
    fn refuse(&self, call: &str) -> BrokerError {
        match &self.phase {
            Phase::Failed(reason) => BrokerError::abort(reason.clone()),
            Phase::Dead(error) => error.clone(),
            Phase::Missing => BrokerError::fatal(format!("{call}: there is no producer, renew_producer makes one")),
            phase => BrokerError::fatal(format!("{call}: not allowed in phase {phase:?}")),
        }
    }

    fn fail_with(&mut self, error: BrokerError) -> BrokerError {
        match error.kind {
            ErrorKind::Fatal => self.die(error),
            _ => self.fail(error.message),
        }
    }

    fn fail(&mut self, reason: String) -> BrokerError {
        if !matches!(self.phase, Phase::Dead(_)) {
            self.phase = Phase::Failed(reason.clone());
        }
        BrokerError::abort(reason)
    }

    fn die(&mut self, error: BrokerError) -> BrokerError {
        self.phase = Phase::Dead(error.clone());
        error
    }

    fn clear_queue(&mut self) {
        self.queue.clear();
        self.labels.clear();
    }
}

/// Why the partition's leader refuses this record for good.
fn refusal(state: &State, place: &TopicPartition, record: &Content<'_>) -> Option<String> {
    let topic = state.topic(&place.topic).ok()?;
    let bytes = record.bytes();
    if bytes > topic.max_message_bytes {
        return Some(format!("{place}: MSG_SIZE_TOO_LARGE ({bytes} bytes, limit {})", topic.max_message_bytes));
    }
    let latest = state.clock.now_ms().saturating_add(topic.timestamp_ahead_max.as_millis() as i64);
    (record.timestamp_ms > latest).then(|| format!("{place}: INVALID_TIMESTAMP ({} ms)", record.timestamp_ms))
}
