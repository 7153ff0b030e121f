//! Owners for librdkafka's handles (a client, a queue, an event) and its errors as values.
//!
//! Knows no group, no transaction and no topic; every other file of this folder builds on these.

use super::context::Context;
use crate::error::BrokerError;
use rdkafka_sys as rd;
pub(super) use rdkafka_sys::rd_kafka_resp_err_t as Code;
use std::ffi::{CStr, CString, c_char, c_int};
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

/// No error.
pub(super) const OK: Code = Code::RD_KAFKA_RESP_ERR_NO_ERROR;

/// One librdkafka instance, alive as long as any clone of its `Arc`: queues and events hold one.
pub(super) struct Client {
    handle: NonNull<rd::rd_kafka_t>,
    context: Arc<Context>,
}

// SAFETY: librdkafka's instances may be used and destroyed from any thread.
unsafe impl Send for Client {}
// SAFETY: as above; every call on an instance is thread-safe.
unsafe impl Sync for Client {}

/// What an instance is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Consumer,
    Producer,
}

impl Client {
    /// Creates an instance from names and values.
    ///
    /// # Errors
    /// Fatal: a property is refused; the message names it and never shows its value.
    pub(super) fn new(
        role: Role,
        properties: &[(String, String)],
        context: Arc<Context>,
    ) -> Result<Arc<Self>, BrokerError> {
        let conf = Conf::new();
        for (name, value) in properties {
            conf.set(name, value)?;
        }
        let mut reason = [0 as c_char; 512];
        // SAFETY: the conf is ours; rd_kafka_new takes it over only when it succeeds. The context outlives the
        // instance, because `Client` holds it until after rd_kafka_destroy.
        let handle = unsafe {
            rd::rd_kafka_conf_set_opaque(conf.0, Arc::as_ptr(&context).cast_mut().cast());
            super::context::set_callbacks(conf.0, role);
            let kind = match role {
                Role::Consumer => rd::rd_kafka_type_t::RD_KAFKA_CONSUMER,
                Role::Producer => rd::rd_kafka_type_t::RD_KAFKA_PRODUCER,
            };
            rd::rd_kafka_new(kind, conf.0, reason.as_mut_ptr(), reason.len())
        };
        let Some(handle) = NonNull::new(handle) else {
            // SAFETY: librdkafka ends what it writes with NUL, within the length given.
            let reason = unsafe { text(reason.as_ptr()) };
            return Err(BrokerError::fatal(format!("librdkafka does not start with these properties: {reason}")));
        };
        std::mem::forget(conf);
        Ok(Arc::new(Self { handle, context }))
    }

    /// The handle for raw calls; valid as long as `self`.
    pub(super) fn raw(&self) -> *mut rd::rd_kafka_t {
        self.handle.as_ptr()
    }

    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    /// Serves callbacks of the main queue without waiting.
    pub(super) fn serve(&self) {
        // SAFETY: the handle is alive.
        unsafe { rd::rd_kafka_poll(self.raw(), 0) };
    }

    /// The error that ended this instance, if one did.
    pub(super) fn fatal_error(&self) -> Option<(Code, String)> {
        let mut reason = [0 as c_char; 512];
        // SAFETY: the buffer is ours and its length is given.
        let (code, reason) = unsafe {
            let code = rd::rd_kafka_fatal_error(self.raw(), reason.as_mut_ptr(), reason.len());
            (code, text(reason.as_ptr()))
        };
        (code != OK).then_some((code, reason))
    }

    /// Destroys the instance on a thread of its own and waits at most `timeout` for it; what has not ended by then
    /// ends behind our back, or with the process.
    pub(super) fn destroy_within(self: Arc<Self>, timeout: Duration) {
        let (done, ended) = mpsc::channel::<()>();
        let destroy = move || {
            drop(self);
            let _ = done.send(());
        };
        // Without a thread the closure is dropped here, and the instance with it.
        if std::thread::Builder::new().name("kafka-destroy".into()).spawn(destroy).is_ok() {
            let _ = ended.recv_timeout(timeout);
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // SAFETY: the last owner is gone, so no queue, list or event of this instance is left. NO_CONSUMER_CLOSE: who
        // wants to leave the group has done so before; destroying must not wait for an answer to a revoke.
        unsafe { rd::rd_kafka_destroy_flags(self.raw(), rd::RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE) };
    }
}

/// Tells whether librdkafka takes these properties, without connecting.
///
/// # Errors
/// As [`Client::new`].
pub(super) fn check(properties: &[(String, String)]) -> Result<(), BrokerError> {
    let conf = Conf::new();
    properties.iter().try_for_each(|(name, value)| conf.set(name, value))
}

/// A configuration under construction.
pub(super) struct Conf(pub(super) *mut rd::rd_kafka_conf_t);

impl Conf {
    pub(super) fn new() -> Self {
        // SAFETY: no preconditions; librdkafka aborts when memory is out.
        Self(unsafe { rd::rd_kafka_conf_new() })
    }

    /// Sets one property.
    ///
    /// # Errors
    /// Fatal, with the name and librdkafka's reason, in which the value is blotted out.
    pub(super) fn set(&self, name: &str, value: &str) -> Result<(), BrokerError> {
        let mut reason = [0 as c_char; 512];
        let (c_name, c_value) = (c_string(name)?, c_string(value)?);
        // SAFETY: conf is alive; the strings end with NUL; the buffer's length is given.
        let (result, reason) = unsafe {
            let result =
                rd::rd_kafka_conf_set(self.0, c_name.as_ptr(), c_value.as_ptr(), reason.as_mut_ptr(), reason.len());
            (result, text(reason.as_ptr()))
        };
        match result {
            rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK => Ok(()),
            rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_UNKNOWN => {
                Err(BrokerError::fatal(format!("librdkafka has no property `{name}`")))
            }
            rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_INVALID => {
                let reason = if value.is_empty() { reason } else { reason.replace(value, "…") };
                Err(BrokerError::fatal(format!("librdkafka refuses the value of property `{name}`: {reason}")))
            }
        }
    }

    /// True if there is a property of this name. Tried by setting it, because asking for one without a value gives the
    /// same answer as asking for one that does not exist: so `self` should be thrown away.
    pub(super) fn known(self, name: &str) -> bool {
        let Ok(name) = c_string(name) else { return false };
        // SAFETY: conf is alive, the strings end with NUL, and no reason is asked for.
        let result = unsafe { rd::rd_kafka_conf_set(self.0, name.as_ptr(), c"".as_ptr(), std::ptr::null_mut(), 0) };
        result != rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_UNKNOWN
    }

    /// Names of all properties, those of topics included, aliases left out.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        // SAFETY: conf and topic conf are alive; both dumps are pairs of name and value, copied and freed.
        unsafe {
            let topic = rd::rd_kafka_topic_conf_new();
            let mut count = 0;
            let dump = rd::rd_kafka_conf_dump(self.0, &mut count);
            names.extend(std::slice::from_raw_parts(dump, count).iter().step_by(2).map(|name| text(*name)));
            rd::rd_kafka_conf_dump_free(dump, count);
            let dump = rd::rd_kafka_topic_conf_dump(topic, &mut count);
            names.extend(std::slice::from_raw_parts(dump, count).iter().step_by(2).map(|name| text(*name)));
            rd::rd_kafka_conf_dump_free(dump, count);
            rd::rd_kafka_topic_conf_destroy(topic);
        }
        names
    }
}

impl Drop for Conf {
    fn drop(&mut self) {
        // SAFETY: ours; `Client::new` forgets it when librdkafka has taken it over.
        unsafe { rd::rd_kafka_conf_destroy(self.0) };
    }
}

/// A refusal from librdkafka, with what it says about the way out.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) code: Code,
    pub(super) text: String,
    pub(super) fatal: bool,
    pub(super) retriable: bool,
    pub(super) abort: bool,
}

impl Failure {
    /// A failure of our own making.
    pub(super) fn of(code: Code, text: String) -> Self {
        Self { code, text, fatal: false, retriable: false, abort: false }
    }

    /// Takes over an error object; null is success.
    ///
    /// # Safety
    /// `error` is null, or an error object that nobody else will destroy.
    pub(super) unsafe fn check(error: *mut rd::rd_kafka_error_t) -> Result<(), Self> {
        if error.is_null() {
            return Ok(());
        }
        // SAFETY: not null, ours, and destroyed after its last use.
        let failure = unsafe {
            let failure = Self {
                code: rd::rd_kafka_error_code(error),
                text: text(rd::rd_kafka_error_string(error)),
                fatal: rd::rd_kafka_error_is_fatal(error) != 0,
                retriable: rd::rd_kafka_error_is_retriable(error) != 0,
                abort: rd::rd_kafka_error_txn_requires_abort(error) != 0,
            };
            rd::rd_kafka_error_destroy(error);
            failure
        };
        Err(failure)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text, name(self.code))
    }
}

/// Short name of a code, such as `_TIMED_OUT`.
pub(super) fn name(code: Code) -> String {
    // SAFETY: librdkafka answers with a string of its own for every code.
    unsafe { text(rd::rd_kafka_err2name(code)) }
}

/// What a code means, in a sentence, with its name.
pub(super) fn explain(code: Code) -> String {
    // SAFETY: as above.
    let sentence = unsafe { text(rd::rd_kafka_err2str(code)) };
    format!("{sentence} ({})", name(code))
}

/// Copies a C string; null is empty.
///
/// # Safety
/// `string` is null, or ends with NUL.
pub(super) unsafe fn text(string: *const c_char) -> String {
    if string.is_null() {
        return String::new();
    }
    // SAFETY: by contract.
    unsafe { CStr::from_ptr(string) }.to_string_lossy().into_owned()
}

/// A C string.
///
/// # Errors
/// Fatal: `string` holds a NUL.
pub(super) fn c_string(string: &str) -> Result<CString, BrokerError> {
    CString::new(string).map_err(|_| BrokerError::fatal("a name or value for Kafka holds a NUL character"))
}

/// Whole milliseconds as librdkafka takes them; what is not zero stays at least 1.
pub(super) fn millis(timeout: Duration) -> c_int {
    let ms = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
    if ms == 0 && !timeout.is_zero() { 1 } else { ms }
}

/// Version of librdkafka, such as `2.12.1`.
pub fn version() -> String {
    // SAFETY: a static string.
    unsafe { text(rd::rd_kafka_version_str()) }
}
