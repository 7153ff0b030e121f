//! The transactional producer of a lane, and what its errors mean.
//!
//! Never flushes, purges or retries of its own accord: the lane does, by calling again.

use super::consumer::Membership;
use super::context::Context;
use super::list::PartitionList;
use super::native::{Client, Code, Failure, OK, Role, explain, millis};
use super::outgoing::{Message, Topic};
use super::properties::Properties;
use super::questions::Questions;
use crate::broker::{CommitOffset, Outgoing, Outlet, ProduceError};
use crate::error::{BrokerError, ErrorKind};
use crate::metrics::ClientReports;
use rdkafka_sys as rd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long one call of ours waits; what takes longer is called again by the lane.
const PATIENCE: Duration = Duration::from_millis(20);
/// How long one flush waits: it sleeps for the whole of this unless a failed delivery wakes it.
const FLUSH: Duration = Duration::from_millis(1);
/// How long librdkafka waits for the end of a transaction in one call. Too short a wait is dangerous: see `end`.
const END: Duration = Duration::from_millis(200);
/// How late the answers about positions may be. The call waits for them in any case; of those that come later than this
/// it says that they have not come, and asks again: a cluster farther away would never be told anything.
const OFFSETS: Duration = Duration::from_secs(1);
/// How long dropping a producer may hold the lane up.
const DROP: Duration = Duration::from_millis(20);

/// A producer with a transactional id.
pub(super) struct Producer {
    topics: Vec<(Outlet, Topic)>,
    pub(super) questions: Questions,
    /// True once `init_transactions` has succeeded.
    ready: bool,
    /// True once it has failed for good, or aborted: another one is needed.
    spent: bool,
    isolate: bool,
    client: Arc<Client>,
}

impl Producer {
    /// Creates the client; nothing here waits for a broker.
    ///
    /// # Errors
    /// Fatal: a property is refused.
    pub(super) fn new(
        properties: &Properties,
        isolate: bool,
        outlets: &[(Outlet, String)],
        reports: Option<ClientReports>,
    ) -> Result<Self, BrokerError> {
        let client = Client::new(Role::Producer, properties, Arc::new(Context::reporting(reports)))?;
        let mut topics = Vec::new();
        for (outlet, name) in outlets {
            topics.push((*outlet, Topic::new(&client, name)?));
        }
        let questions = Questions::new(&client)?;
        Ok(Self { topics, questions, ready: false, spent: false, isolate, client })
    }

    /// True if this is still the new producer that such a call asked for.
    pub(super) fn is_new(&self, isolate: bool) -> bool {
        !self.ready && !self.spent && self.isolate == isolate
    }

    /// Fences every older producer with this id and settles its transaction.
    pub(super) fn init(&mut self) -> Result<(), BrokerError> {
        // SAFETY: the client is alive.
        let outcome = unsafe { Failure::check(rd::rd_kafka_init_transactions(self.client.raw(), millis(PATIENCE))) };
        let outcome = self.meaning("init_transactions", outcome);
        self.ready = outcome.is_ok();
        self.spent = outcome.as_ref().is_err_and(|error| error.kind == ErrorKind::Fatal);
        outcome
    }

    /// Serves deliveries and troubles without waiting.
    pub(super) fn serve(&mut self, events: &mut Vec<crate::broker::Event>) {
        self.client.serve();
        let mut inbox = self.client.context().inbox();
        events.append(&mut inbox.events);
    }

    /// See [`crate::broker::Broker::begin`].
    pub(super) fn begin(&mut self) -> Result<(), BrokerError> {
        if self.spent {
            return Err(BrokerError::fatal(
                "begin_transaction: the producer has aborted or failed; another one begins",
            ));
        }
        // SAFETY: the client is alive.
        let outcome = unsafe { Failure::check(rd::rd_kafka_begin_transaction(self.client.raw())) };
        self.client.context().inbox().failed = None;
        self.meaning("begin_transaction", outcome)
    }

    /// See [`crate::broker::Broker::produce`].
    pub(super) fn produce(&mut self, record: &Outgoing<'_>) -> Result<(), ProduceError> {
        let topic = self.topics.iter().find(|(outlet, _)| *outlet == record.outlet);
        let Some((_, topic)) = topic else {
            let message = format!("no topic is configured for {:?}", record.outlet);
            return Err(ProduceError::Broker(BrokerError::fatal(message)));
        };
        let outcome = topic.enqueue(&Message {
            partition: record.partition,
            timestamp_ms: record.timestamp_ms,
            key: record.key,
            value: record.value,
            headers: record.headers,
            token: record.token,
        });
        match outcome {
            Ok(()) => Ok(()),
            Err(failure) => match failure.code {
                Code::RD_KAFKA_RESP_ERR__QUEUE_FULL => Err(ProduceError::Full),
                Code::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE | Code::RD_KAFKA_RESP_ERR__INVALID_ARG => {
                    Err(ProduceError::Refused(failure.to_string()))
                }
                _ => Err(ProduceError::Broker(match self.meaning("produce", Err(failure)) {
                    // A producer that takes nothing after its transaction has failed says no more than that.
                    Err(error) if error.kind == ErrorKind::Retry => BrokerError::abort(error.message),
                    Err(error) => error,
                    Ok(()) => BrokerError::abort("produce failed"),
                })),
            },
        }
    }

    /// See [`crate::broker::Broker::send_offsets`].
    pub(super) fn send_offsets(
        &mut self,
        offsets: &[CommitOffset],
        membership: &Membership,
    ) -> Result<(), BrokerError> {
        let mut list = PartitionList::new();
        for offset in offsets {
            list.push(&offset.partition, Some(offset.committed.offset), &offset.committed.metadata)?;
        }
        // SAFETY: client, list and membership are alive, and copied.
        let outcome = unsafe {
            Failure::check(rd::rd_kafka_send_offsets_to_transaction(
                self.client.raw(),
                list.raw(),
                membership.raw(),
                millis(OFFSETS),
            ))
        };
        self.meaning("send_offsets_to_transaction", outcome)
    }

    /// See [`crate::broker::Broker::commit`].
    pub(super) fn commit(&mut self) -> Result<(), BrokerError> {
        // First, so that librdkafka's own flush does not sleep; and committed in any case, because only the commit knows
        // of a transaction that has failed while records still wait.
        self.flush();
        // SAFETY: the client is alive; deliveries are called back on this thread.
        let outcome = unsafe { Failure::check(rd::rd_kafka_commit_transaction(self.client.raw(), millis(END))) };
        let outcome = self.end("commit_transaction", outcome);
        if outcome.as_ref().is_err_and(|error| error.kind == ErrorKind::Abort) {
            self.hear_refusals();
        }
        outcome
    }

    /// See [`crate::broker::Broker::abort`]. librdkafka (2.12.1, `rd_kafka_toppar_purge_queues`) numbers the next records
    /// as it had numbered the aborted ones that wait to be sent again. If a broker holds those, because only its answer
    /// was lost, it takes the next ones for repetitions and drops them, and their commit is called a success. So a
    /// producer that has aborted is never used again: another one comes with an epoch of its own.
    pub(super) fn abort(&mut self) -> Result<(), BrokerError> {
        // SAFETY: as in `commit`.
        let outcome = unsafe { Failure::check(rd::rd_kafka_abort_transaction(self.client.raw(), millis(END))) };
        let outcome = self.end("abort_transaction", outcome);
        self.spent |= outcome.is_ok();
        outcome
    }

    /// Waits for deliveries, failed ones included, but not for long.
    fn flush(&self) {
        let deadline = Instant::now() + PATIENCE;
        // SAFETY: as in `commit`.
        while unsafe { rd::rd_kafka_flush(self.client.raw(), millis(FLUSH)) } != OK && Instant::now() < deadline {}
    }

    /// What the end of a transaction means. It has three steps inside librdkafka (2.12.1), which answer through one
    /// place. If the first times out, its answer is later taken for that of another step, and a commit that has not
    /// happened is called a success. So a producer whose first step timed out is never called again. That it did shows
    /// in that no call is left to be resumed.
    fn end(&self, call: &str, outcome: Result<(), Failure>) -> Result<(), BrokerError> {
        let timed_out = outcome.as_ref().is_err_and(|failure| failure.code == Code::RD_KAFKA_RESP_ERR__TIMED_OUT);
        match self.meaning(call, outcome) {
            Err(error) if timed_out && error.kind == ErrorKind::Retry && !self.is_resumable() => {
                Err(BrokerError::fatal(format!(
                    "{}: the client was held up and its answers are not to be trusted",
                    error.message
                )))
            }
            outcome => outcome,
        }
    }

    /// True if a transactional call has timed out and is to be made again: another one is refused as long.
    fn is_resumable(&self) -> bool {
        let (nothing, Some(nobody)) = (PartitionList::new(), Membership::nobody()) else { return false };
        // SAFETY: all are alive; an empty list is answered at once, without asking anybody.
        let outcome = unsafe {
            Failure::check(rd::rd_kafka_send_offsets_to_transaction(self.client.raw(), nothing.raw(), nobody.raw(), 0))
        };
        outcome.is_err_and(|failure| failure.code == Code::RD_KAFKA_RESP_ERR__CONFLICT)
    }

    /// The failure of a delivery is known to the transaction a moment before it is reported.
    fn hear_refusals(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.client.context().inbox().refused.is_empty() && Instant::now() < deadline {
            // SAFETY: the client is alive.
            unsafe { rd::rd_kafka_poll(self.client.raw(), 1) };
        }
    }

    /// See [`crate::broker::Broker::refused`].
    pub(super) fn refused(&mut self, tokens: &mut Vec<(u64, String)>) {
        tokens.append(&mut self.client.context().inbox().refused);
    }

    /// Drops the producer, whatever it was doing.
    pub(super) fn discard(self) {
        self.discard_within(DROP);
    }

    pub(super) fn discard_within(self, timeout: Duration) {
        let client = self.client.clone();
        drop(self);
        client.destroy_within(timeout);
    }

    /// What a failure of a transactional call asks of the lane.
    fn meaning(&self, call: &str, outcome: Result<(), Failure>) -> Result<(), BrokerError> {
        let Err(failure) = outcome else { return Ok(()) };
        let fatal = self.client.fatal_error();
        let cause = fatal.as_ref().map_or(failure.code, |(code, _)| *code);
        let detail = fatal.as_ref().map_or(String::new(), |(code, reason)| format!(": {reason}: {}", explain(*code)));
        let message = format!("{call}: {failure}{detail}");
        Err(match kind(&failure, fatal.is_some()) {
            ErrorKind::Retry => BrokerError::retry(message),
            ErrorKind::Abort => BrokerError::abort(message),
            ErrorKind::Fatal if is_fenced(cause) || is_fenced(failure.code) => BrokerError::fenced(message),
            ErrorKind::Fatal => BrokerError::fatal(message),
        })
    }
}

/// Retry, abort or fatal: docs "Errors of the transaction".
fn kind(failure: &Failure, lost: bool) -> ErrorKind {
    match failure.code {
        _ if failure.fatal || lost || is_fenced(failure.code) => ErrorKind::Fatal,
        // Allowed by librdkafka, but a late EndTxn could hit the next transaction (KAFKA-17754).
        Code::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER => ErrorKind::Fatal,
        _ if failure.abort => ErrorKind::Abort,
        _ if failure.retriable => ErrorKind::Retry,
        Code::RD_KAFKA_RESP_ERR__TIMED_OUT | Code::RD_KAFKA_RESP_ERR__PREV_IN_PROGRESS => ErrorKind::Retry,
        // A call that resumes another may meet it half-way.
        Code::RD_KAFKA_RESP_ERR__STATE
            if ["CommittingTransaction", "AbortingTransaction"].iter().any(|state| failure.text.contains(state)) =>
        {
            ErrorKind::Retry
        }
        _ => ErrorKind::Fatal,
    }
}

fn is_fenced(code: Code) -> bool {
    matches!(
        code,
        Code::RD_KAFKA_RESP_ERR__FENCED
            | Code::RD_KAFKA_RESP_ERR_PRODUCER_FENCED
            | Code::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH
    )
}
