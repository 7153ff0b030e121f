//! A queue of a librdkafka instance, and the events that come from it.
//!
//! Interprets nothing: what an event says is read where it was asked for.

use super::native::{Client, millis};
use crate::error::BrokerError;
use rdkafka_sys as rd;
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

/// A queue of one instance.
pub(super) struct Queue {
    handle: NonNull<rd::rd_kafka_queue_t>,
    client: Arc<Client>,
}

// SAFETY: queues are thread-safe, and keep their instance alive.
unsafe impl Send for Queue {}

impl Queue {
    /// A new queue of our own.
    pub(super) fn new(client: &Arc<Client>) -> Result<Self, BrokerError> {
        // SAFETY: the instance is alive, and the reference that comes back is ours.
        unsafe { Self::owned(rd::rd_kafka_queue_new(client.raw()), client) }
    }

    /// Takes over a reference.
    ///
    /// # Errors
    /// Fatal if librdkafka has handed out none.
    ///
    /// # Safety
    /// `handle` is null, or a reference to a queue of `client` that nobody else will destroy.
    pub(super) unsafe fn owned(handle: *mut rd::rd_kafka_queue_t, client: &Arc<Client>) -> Result<Self, BrokerError> {
        let handle = NonNull::new(handle).ok_or_else(|| BrokerError::fatal("librdkafka has no such queue"))?;
        Ok(Self { handle, client: client.clone() })
    }

    pub(super) fn raw(&self) -> *mut rd::rd_kafka_queue_t {
        self.handle.as_ptr()
    }

    pub(super) fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// The next event, waiting at most `timeout`.
    pub(super) fn next_event(&self, timeout: Duration) -> Option<Event> {
        // SAFETY: queue and instance are alive; the event is ours to destroy.
        let event = unsafe { rd::rd_kafka_queue_poll(self.raw(), millis(timeout)) };
        NonNull::new(event).map(|handle| Event { handle, _client: self.client.clone() })
    }

    /// From now on, whatever arrives here ends a wait on `sleeper`.
    pub(super) fn wake(&self, sleeper: &Queue) {
        extern "C" fn wake(_: *mut rd::rd_kafka_t, sleeper: *mut c_void) {
            // SAFETY: `sleeper` is alive: see the call below.
            unsafe { rd::rd_kafka_queue_yield(sleeper.cast()) };
        }
        // SAFETY: both queues belong to the same owner, which calls `wake_nobody` before it drops `sleeper`.
        unsafe { rd::rd_kafka_queue_cb_event_enable(self.raw(), Some(wake), sleeper.raw().cast()) };
    }

    /// Ends [`Self::wake`].
    pub(super) fn wake_nobody(&self) {
        // SAFETY: the queue is alive.
        unsafe { rd::rd_kafka_queue_cb_event_enable(self.raw(), None, std::ptr::null_mut()) };
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: ours, and destroyed before the instance, which `client` keeps.
        unsafe { rd::rd_kafka_queue_destroy(self.raw()) };
    }
}

/// One event, destroyed with this value; what it lends must not outlive it.
pub(super) struct Event {
    handle: NonNull<rd::rd_kafka_event_t>,
    _client: Arc<Client>,
}

// SAFETY: an event belongs to whoever took it from the queue, on whatever thread.
unsafe impl Send for Event {}

impl Event {
    pub(super) fn raw(&self) -> *mut rd::rd_kafka_event_t {
        self.handle.as_ptr()
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: ours, and destroyed once.
        unsafe { rd::rd_kafka_event_destroy(self.raw()) };
    }
}
