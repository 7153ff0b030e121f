//! The transactional producer of a lane, and what its errors mean.
//!
//! Never flushes, purges or retries of its own accord: the lane does, by calling again.

use super::consumer::Membership;
use super::context::Context;
use super::list::PartitionList;
use super::native::{Client, Code, Failure, OK, Role, c_string, explain, millis};
use super::properties::Properties;
use super::questions::Questions;
use crate::broker::{CommitOffset, Headers, Outgoing, Outlet, ProduceError};
use crate::error::{BrokerError, ErrorKind};
use rdkafka_sys::{self as rd, rd_kafka_vtype_t as Tag, rd_kafka_vu_s__bindgen_ty_1 as Union, rd_kafka_vu_t as Field};
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

/// How long one call waits; what takes longer is called again.
const SLICE: Duration = Duration::from_millis(20);
/// How long dropping a producer may hold the lane up.
const DROP: Duration = Duration::from_millis(20);

/// A producer with a transactional id.
pub(super) struct Producer {
    topics: Vec<(Outlet, Topic)>,
    pub(super) questions: Questions,
    /// True once `init_transactions` has succeeded.
    ready: bool,
    isolate: bool,
    client: Arc<Client>,
}

/// A topic's handle, which spares a look-up by name for each record.
struct Topic(NonNull<rd::rd_kafka_topic_t>);

// SAFETY: topic handles are thread-safe.
unsafe impl Send for Topic {}

impl Drop for Topic {
    fn drop(&mut self) {
        // SAFETY: ours, and destroyed once, before its client: see the order of fields in `Producer`.
        unsafe { rd::rd_kafka_topic_destroy(self.0.as_ptr()) };
    }
}

impl Producer {
    /// Creates the client; nothing here waits for a broker.
    ///
    /// # Errors
    /// Fatal: a property is refused.
    pub(super) fn new(
        properties: &Properties,
        group: &str,
        isolate: bool,
        outlets: &[(Outlet, String)],
    ) -> Result<Self, BrokerError> {
        let client = Client::new(Role::Producer, properties, Arc::new(Context::default()))?;
        let mut topics = Vec::new();
        for (outlet, name) in outlets {
            let c_name = c_string(name)?;
            // SAFETY: the client is alive; without a configuration of its own the topic takes the client's.
            let topic = unsafe { rd::rd_kafka_topic_new(client.raw(), c_name.as_ptr(), std::ptr::null_mut()) };
            let topic = NonNull::new(topic).ok_or_else(|| BrokerError::fatal(format!("cannot write to `{name}`")))?;
            topics.push((*outlet, Topic(topic)));
        }
        let questions = Questions::new(&client, group)?;
        Ok(Self { topics, questions, ready: false, isolate, client })
    }

    /// True if this is still the new producer that such a call asked for.
    pub(super) fn is_new(&self, isolate: bool) -> bool {
        !self.ready && self.isolate == isolate
    }

    /// Fences every older producer with this id and settles its transaction.
    pub(super) fn init(&mut self) -> Result<(), BrokerError> {
        // SAFETY: the client is alive.
        let outcome = unsafe { Failure::check(rd::rd_kafka_init_transactions(self.client.raw(), millis(SLICE))) };
        self.meaning("init_transactions", outcome)?;
        self.ready = true;
        Ok(())
    }

    /// Serves deliveries and troubles without waiting.
    pub(super) fn serve(&mut self, events: &mut Vec<crate::broker::Event>) {
        self.client.serve();
        let mut inbox = self.client.context().inbox();
        events.append(&mut inbox.events);
    }

    /// See [`crate::broker::Broker::begin`].
    pub(super) fn begin(&mut self) -> Result<(), BrokerError> {
        // SAFETY: the client is alive.
        let outcome = unsafe { Failure::check(rd::rd_kafka_begin_transaction(self.client.raw())) };
        self.meaning("begin_transaction", outcome)
    }

    /// See [`crate::broker::Broker::produce`].
    pub(super) fn produce(&mut self, record: &Outgoing<'_>) -> Result<(), ProduceError> {
        let topic = self.topics.iter().find(|(outlet, _)| *outlet == record.outlet);
        let Some((_, topic)) = topic else {
            let message = format!("no topic is configured for {:?}", record.outlet);
            return Err(ProduceError::Broker(BrokerError::fatal(message)));
        };
        let headers = NativeHeaders::copy(record.headers).map_err(ProduceError::Refused)?;
        let fields = [
            field(Tag::RD_KAFKA_VTYPE_RKT, |u| u.rkt = topic.0.as_ptr()),
            field(Tag::RD_KAFKA_VTYPE_PARTITION, |u| u.i32_ = record.partition),
            field(Tag::RD_KAFKA_VTYPE_MSGFLAGS, |u| u.i = rd::RD_KAFKA_MSG_F_COPY),
            field(Tag::RD_KAFKA_VTYPE_TIMESTAMP, |u| u.i64_ = record.timestamp_ms),
            field(Tag::RD_KAFKA_VTYPE_OPAQUE, |u| u.ptr = record.token as usize as *mut c_void),
            field(Tag::RD_KAFKA_VTYPE_KEY, |u| u.mem = memory(record.key)),
            field(Tag::RD_KAFKA_VTYPE_VALUE, |u| u.mem = memory(record.value)),
            field(Tag::RD_KAFKA_VTYPE_HEADERS, |u| u.headers = headers.raw()),
        ];
        let count = if headers.is_none() { fields.len() - 1 } else { fields.len() };
        // SAFETY: client and topic are alive; key and value are copied before the call returns; the headers belong to
        // librdkafka if it succeeds.
        let outcome = unsafe { Failure::check(rd::rd_kafka_produceva(self.client.raw(), fields.as_ptr(), count)) };
        match outcome {
            Ok(()) => {
                headers.taken();
                Ok(())
            }
            Err(failure) => match failure.code {
                Code::RD_KAFKA_RESP_ERR__QUEUE_FULL => Err(ProduceError::Full),
                Code::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE => Err(ProduceError::Refused(failure.to_string())),
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
                millis(SLICE),
            ))
        };
        self.meaning("send_offsets_to_transaction", outcome)
    }

    /// See [`crate::broker::Broker::commit`].
    pub(super) fn commit(&mut self) -> Result<(), BrokerError> {
        // SAFETY: the client is alive; deliveries are called back on this thread.
        let outcome = unsafe { Failure::check(rd::rd_kafka_commit_transaction(self.client.raw(), millis(SLICE))) };
        self.meaning("commit_transaction", outcome)
    }

    /// See [`crate::broker::Broker::abort`].
    pub(super) fn abort(&mut self) -> Result<(), BrokerError> {
        // SAFETY: as in `commit`.
        let outcome = unsafe { Failure::check(rd::rd_kafka_abort_transaction(self.client.raw(), millis(SLICE))) };
        self.meaning("abort_transaction", outcome)
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

/// Headers as librdkafka keeps them; freed here unless a record has taken them along.
struct NativeHeaders(Option<NonNull<rd::rd_kafka_headers_t>>);

impl NativeHeaders {
    /// # Errors
    /// The reason why they cannot be sent.
    fn copy(headers: Headers<'_>) -> Result<Self, String> {
        if headers.0.is_empty() {
            return Ok(Self(None));
        }
        // SAFETY: librdkafka aborts when memory is out.
        let native = Self(NonNull::new(unsafe { rd::rd_kafka_headers_new(8) }));
        for (name, value) in headers.iter() {
            let (start, length) = value.map_or((std::ptr::null(), 0), |value| (value.as_ptr(), value.len()));
            // SAFETY: name and value have the lengths given and are copied; a null value is a null pointer.
            let code = unsafe {
                rd::rd_kafka_header_add(
                    native.raw(),
                    name.as_ptr().cast(),
                    name.len() as isize,
                    start.cast(),
                    length as isize,
                )
            };
            if code != OK {
                return Err(format!("a header is refused: {}", explain(code)));
            }
        }
        Ok(native)
    }

    fn is_none(&self) -> bool {
        self.0.is_none()
    }

    fn raw(&self) -> *mut rd::rd_kafka_headers_t {
        self.0.map_or(std::ptr::null_mut(), NonNull::as_ptr)
    }

    fn taken(mut self) {
        self.0 = None;
    }
}

impl Drop for NativeHeaders {
    fn drop(&mut self) {
        if let Some(headers) = self.0 {
            // SAFETY: ours, and destroyed once.
            unsafe { rd::rd_kafka_headers_destroy(headers.as_ptr()) };
        }
    }
}

fn field(vtype: Tag, set: impl FnOnce(&mut Union)) -> Field {
    let mut u = Union { _pad: [0; 64] };
    set(&mut u);
    Field { vtype, u }
}

fn memory(bytes: Option<&[u8]>) -> rd::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 {
    // An empty slice has an address, which tells it from null.
    let (start, size) = bytes.map_or((std::ptr::null(), 0), |bytes| (bytes.as_ptr(), bytes.len()));
    rd::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 { ptr: start.cast_mut().cast(), size }
}
