//! One record on its way into a producer's queue: fields, headers, and the handle of its topic.
//!
//! Copies everything: nothing is lent to librdkafka beyond the call.

use super::native::{Client, Code, Failure, OK, c_string, explain};
use crate::broker::Headers;
use crate::error::BrokerError;
use rdkafka_sys::{self as rd, rd_kafka_vtype_t as Tag, rd_kafka_vu_s__bindgen_ty_1 as Union, rd_kafka_vu_t as Field};
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::Arc;

/// What is to be written.
pub(super) struct Message<'a> {
    /// −1 lets the partitioner decide.
    pub(super) partition: i32,
    pub(super) timestamp_ms: i64,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) headers: Headers<'a>,
    /// Comes back with a failed delivery.
    pub(super) token: u64,
}

/// A topic's handle, which spares a look-up by name for each record.
pub(super) struct Topic {
    handle: NonNull<rd::rd_kafka_topic_t>,
    client: Arc<Client>,
}

// SAFETY: topic handles are thread-safe, and keep their client alive.
unsafe impl Send for Topic {}

impl Topic {
    pub(super) fn new(client: &Arc<Client>, name: &str) -> Result<Self, BrokerError> {
        let c_name = c_string(name)?;
        // SAFETY: the client is alive; without a configuration of its own the topic takes the client's.
        let handle = unsafe { rd::rd_kafka_topic_new(client.raw(), c_name.as_ptr(), std::ptr::null_mut()) };
        let handle = NonNull::new(handle)
            .ok_or_else(|| BrokerError::fatal(format!("librdkafka refuses the topic name `{name}`")))?;
        Ok(Self { handle, client: client.clone() })
    }

    /// Queues a message.
    ///
    /// # Errors
    /// `_INVALID_ARG` for headers that cannot be sent; else what librdkafka says.
    pub(super) fn enqueue(&self, message: &Message<'_>) -> Result<(), Failure> {
        let headers = NativeHeaders::copy(message.headers)?;
        let fields = [
            field(Tag::RD_KAFKA_VTYPE_RKT, |u| u.rkt = self.handle.as_ptr()),
            field(Tag::RD_KAFKA_VTYPE_PARTITION, |u| u.i32_ = message.partition),
            field(Tag::RD_KAFKA_VTYPE_MSGFLAGS, |u| u.i = rd::RD_KAFKA_MSG_F_COPY),
            field(Tag::RD_KAFKA_VTYPE_TIMESTAMP, |u| u.i64_ = message.timestamp_ms),
            field(Tag::RD_KAFKA_VTYPE_OPAQUE, |u| u.ptr = message.token as usize as *mut c_void),
            field(Tag::RD_KAFKA_VTYPE_KEY, |u| u.mem = memory(message.key)),
            field(Tag::RD_KAFKA_VTYPE_VALUE, |u| u.mem = memory(message.value)),
            field(Tag::RD_KAFKA_VTYPE_HEADERS, |u| u.headers = headers.raw()),
        ];
        let count = if headers.is_none() { fields.len() - 1 } else { fields.len() };
        // SAFETY: client and topic are alive; key and value are copied before the call returns; the headers belong to
        // librdkafka if it succeeds.
        unsafe { Failure::check(rd::rd_kafka_produceva(self.client.raw(), fields.as_ptr(), count)) }?;
        headers.taken();
        Ok(())
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        // SAFETY: ours, and destroyed before the client, which `client` keeps.
        unsafe { rd::rd_kafka_topic_destroy(self.handle.as_ptr()) };
    }
}

/// Headers as librdkafka keeps them; freed here unless a record has taken them along.
struct NativeHeaders(Option<NonNull<rd::rd_kafka_headers_t>>);

impl NativeHeaders {
    fn copy(headers: Headers<'_>) -> Result<Self, Failure> {
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
                return Err(Failure::of(Code::RD_KAFKA_RESP_ERR__INVALID_ARG, format!("header: {}", explain(code))));
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
