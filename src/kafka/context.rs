//! What librdkafka calls back: rebalances, delivery failures, errors and log lines, left in an inbox for the lane.
//!
//! Decides nothing and assigns nothing, except while closing: then a revoke is answered at once, because nobody else
//! will.

use super::list::{self, PartitionList};
use super::native::{Code, OK, Role, explain, name, text};
use super::statistics;
use crate::broker::{Event, TopicPartition};
use crate::metrics::{ClientReports, ClientRole};
use rdkafka_sys as rd;
use std::collections::HashMap;
use std::ffi::{c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Shared between an instance and its callbacks.
#[derive(Default)]
pub(super) struct Context {
    inbox: Mutex<Inbox>,
    closing: AtomicBool,
    reports: Option<ClientReports>,
}

/// What has been called back and not yet been taken.
#[derive(Default)]
pub(super) struct Inbox {
    /// Rebalances and troubles, in order.
    pub(super) events: Vec<Event>,
    /// Tokens of records that were refused for good, with the reason.
    pub(super) refused: Vec<(u64, String)>,
    /// Why the first delivery failed that did, for whatever reason.
    pub(super) failed: Option<String>,
}

impl Context {
    /// One whose client's statistics are reported.
    pub(super) fn reporting(reports: Option<ClientReports>) -> Self {
        Self { reports, ..Self::default() }
    }

    pub(super) fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on rebalances are answered inline.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
    }
}

/// Names the callbacks of an instance-to-be.
///
/// # Safety
/// `conf` is alive, and its opaque is a [`Context`] that outlives the instance.
pub(super) unsafe fn set_callbacks(conf: *mut rd::rd_kafka_conf_t, role: Role) {
    // SAFETY: by contract.
    unsafe {
        rd::rd_kafka_conf_set_log_cb(conf, Some(on_log));
        rd::rd_kafka_conf_set_error_cb(conf, Some(on_error));
        match role {
            Role::Consumer => {
                rd::rd_kafka_conf_set_rebalance_cb(conf, Some(on_rebalance));
                rd::rd_kafka_conf_set_stats_cb(conf, Some(on_consumer_statistics));
            }
            Role::Producer => {
                rd::rd_kafka_conf_set_dr_msg_cb(conf, Some(on_delivery));
                rd::rd_kafka_conf_set_stats_cb(conf, Some(on_producer_statistics));
            }
        }
    }
}

unsafe extern "C" fn on_consumer_statistics(
    _: *mut rd::rd_kafka_t,
    json: *mut c_char,
    len: usize,
    context: *mut c_void,
) -> c_int {
    // SAFETY: librdkafka hands out the opaque of `set_callbacks` and a text of this length.
    unsafe { report(ClientRole::Consumer, json, len, context) }
}

unsafe extern "C" fn on_producer_statistics(
    _: *mut rd::rd_kafka_t,
    json: *mut c_char,
    len: usize,
    context: *mut c_void,
) -> c_int {
    // SAFETY: as above.
    unsafe { report(ClientRole::Producer, json, len, context) }
}

/// Zero: the text stays librdkafka's, to be freed.
///
/// # Safety
/// `context` is a [`Context`], `json` a text of `len` bytes.
unsafe fn report(role: ClientRole, json: *const c_char, len: usize, context: *const c_void) -> c_int {
    // SAFETY: by contract.
    let (context, json) = unsafe { (&*context.cast::<Context>(), std::slice::from_raw_parts(json.cast::<u8>(), len)) };
    if let Some(reports) = &context.reports
        && let Some(statistics) = statistics::parse(role, json)
    {
        reports.report(role, statistics);
    }
    0
}

unsafe extern "C" fn on_rebalance(
    client: *mut rd::rd_kafka_t,
    code: Code,
    partitions: *mut rd::rd_kafka_topic_partition_list_t,
    context: *mut c_void,
) {
    // SAFETY: librdkafka hands out the opaque of `set_callbacks` and a list that is valid during this call.
    let (context, names) = unsafe {
        let names = list::lines(partitions).into_iter().map(|line| line.partition).collect::<Vec<TopicPartition>>();
        (&*context.cast::<Context>(), names)
    };
    if names.is_empty() || context.closing.load(Ordering::SeqCst) {
        // Nothing gained or lost, or nobody there who could answer.
        // SAFETY: `client` is alive during its own callback.
        unsafe { answer_inline(client, code, &names) };
        return;
    }
    let event = match code {
        Code::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Event::Assigned(names),
        // SAFETY: as above.
        Code::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS if unsafe { rd::rd_kafka_assignment_lost(client) } != 0 => {
            Event::Lost(names)
        }
        Code::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => Event::Revoked(names),
        other => {
            // SAFETY: as above; an empty assignment is what librdkafka asks for after an error.
            unsafe { rd::rd_kafka_assign(client, std::ptr::null()) };
            Event::Trouble(format!("rebalance failed: {}", explain(other)))
        }
    };
    context.inbox().events.push(event);
}

/// # Safety
/// `client` is alive.
unsafe fn answer_inline(client: *mut rd::rd_kafka_t, code: Code, names: &[TopicPartition]) {
    let Ok(list) = PartitionList::of(names) else { return };
    // SAFETY: by contract; the list lives until the end of this call, and librdkafka copies it.
    unsafe {
        let error = if code == Code::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            rd::rd_kafka_incremental_assign(client, list.raw())
        } else {
            rd::rd_kafka_incremental_unassign(client, list.raw())
        };
        if !error.is_null() {
            rd::rd_kafka_error_destroy(error);
            rd::rd_kafka_assign(client, std::ptr::null());
        }
    }
}

unsafe extern "C" fn on_delivery(_: *mut rd::rd_kafka_t, message: *const rd::rd_kafka_message_t, context: *mut c_void) {
    // SAFETY: librdkafka hands out the opaque of `set_callbacks` and a message that is valid during this call.
    let (context, message) = unsafe { (&*context.cast::<Context>(), &*message) };
    if message.err == OK {
        return;
    }
    context.inbox().failed.get_or_insert_with(|| explain(message.err));
    if refused_for_good(message.err) {
        // The token travelled as the opaque pointer of the message and was never one.
        let token = message._private as usize as u64;
        context.inbox().refused.push((token, explain(message.err)));
    }
}

/// True if the same record would be refused again, whatever the state of the cluster.
fn refused_for_good(code: Code) -> bool {
    matches!(
        code,
        Code::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE
            | Code::RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE
            | Code::RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP
            | Code::RD_KAFKA_RESP_ERR_INVALID_RECORD
            | Code::RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE
            | Code::RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT
    )
}

unsafe extern "C" fn on_error(_: *mut rd::rd_kafka_t, code: c_int, reason: *const c_char, context: *mut c_void) {
    // SAFETY: as in `on_delivery`; the reason ends with NUL.
    let (context, reason) = unsafe { (&*context.cast::<Context>(), text(reason)) };
    let code = Code::try_from(code).unwrap_or(Code::RD_KAFKA_RESP_ERR_UNKNOWN);
    context.inbox().events.push(Event::Trouble(format!("{reason} ({})", name(code))));
}

unsafe extern "C" fn on_log(client: *const rd::rd_kafka_t, level: c_int, facility: *const c_char, line: *const c_char) {
    // SAFETY: all strings end with NUL; a client that is just being created may be null.
    let (name, facility, line) = unsafe {
        let name = if client.is_null() { String::new() } else { text(rd::rd_kafka_name(client)) };
        (name, text(facility), text(line))
    };
    let level = if is_routine(&facility, &line) { DEBUG } else { level };
    // Debug lines were asked for: all of them.
    let admitted = if level >= DEBUG { Some(0) } else { REPEATS.admit(&facility, Instant::now()) };
    let Some(repeats) = admitted else { return };
    let repeats = if repeats == 0 { String::new() } else { format!(" ({repeats} like it in the last minute)") };
    match level {
        ..=3 => tracing::error!(target: "librdkafka", client = name, "{facility}: {line}{repeats}"),
        4 => tracing::warn!(target: "librdkafka", client = name, "{facility}: {line}{repeats}"),
        5 | 6 => tracing::info!(target: "librdkafka", client = name, "{facility}: {line}{repeats}"),
        _ => tracing::debug!(target: "librdkafka", client = name, "{facility}: {line}{repeats}"),
    }
}

/// syslog's level for what only a developer wants to read.
const DEBUG: c_int = 7;

/// What librdkafka calls an error and heals by itself, in every healthy run: offsets of a transaction that follows the
/// last one closely, and a group that is left without anything to answer.
fn is_routine(facility: &str, line: &str) -> bool {
    match facility {
        "ADDOFFSETS" => line.contains("another concurrent operation") || line.contains("Timed out"),
        "ASSIGN" => line.contains("COOPERATIVE"),
        _ => false,
    }
}

/// Lines of one facility that pass in a minute; librdkafka repeats itself at every attempt to connect.
const LINES_A_MINUTE: u32 = 5;

static REPEATS: Repeats = Repeats(Mutex::new(None));

/// Counts log lines by facility for a minute each.
struct Repeats(Mutex<Option<HashMap<String, Minute>>>);

struct Minute {
    since: Instant,
    lines: u32,
}

impl Repeats {
    /// `None` if the line is one too many; else how many were held back in the minute before.
    fn admit(&self, facility: &str, now: Instant) -> Option<u32> {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let minutes = guard.get_or_insert_default();
        let Some(minute) = minutes.get_mut(facility) else {
            minutes.insert(facility.to_owned(), Minute { since: now, lines: 1 });
            return Some(0);
        };
        let mut held_back = 0;
        if now.duration_since(minute.since) >= Duration::from_secs(60) {
            held_back = minute.lines.saturating_sub(LINES_A_MINUTE);
            *minute = Minute { since: now, lines: 0 };
        }
        minute.lines += 1;
        (minute.lines <= LINES_A_MINUTE).then_some(held_back)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_noisy_facility_is_held_back_and_counted() {
        let repeats = Repeats(Mutex::new(None));
        let start = Instant::now();
        let passed = (0..100).filter(|_| repeats.admit("FAIL", start).is_some()).count();
        assert_eq!(passed, LINES_A_MINUTE as usize);
        assert_eq!(repeats.admit("OTHER", start), Some(0));
        assert_eq!(repeats.admit("FAIL", start + Duration::from_secs(61)), Some(95));
    }
}
