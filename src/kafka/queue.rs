//! The data queue: records of all partitions of a lane, taken by callback and copied once, into the batch.
//!
//! Not one call for each record: one call drains the queue until the batch is full. Knows slots, not tasks; asks
//! nobody to assign anything. Back-pressure is not to call [`DataQueue::drain`].

use super::events::Queue;
use super::list::bytes;
use super::native::{Client, Code, OK, c_string, explain, millis, text};
use crate::broker::{Event, RecordBatch, Slot, Start, TopicPartition, write_header};
use crate::error::BrokerError;
use rdkafka_sys as rd;
use std::collections::HashMap;
use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::time::Duration;

/// A queue of our own, to which the queues of all assigned partitions are forwarded.
pub(super) struct DataQueue {
    queue: Queue,
    partitions: Partitions,
}

/// A partition that is being read.
struct Partition {
    name: TopicPartition,
    slot: Slot,
    /// Nothing below it is delivered: no offset comes twice, whatever was queued before a seek.
    next: i64,
    paused: bool,
    /// Nothing has come from it since it was assigned.
    silent: bool,
}

/// The partitions by their handle on the C side, so that a record needs no look-up by name.
#[derive(Default)]
struct Partitions {
    all: Vec<Partition>,
    /// Index into `all`; a topic's handle stays valid and unique while one of its partitions is assigned.
    by_handle: HashMap<(usize, i32), usize>,
    last: Option<((usize, i32), usize)>,
}

/// What one drain needs; lent to the callback.
struct Drain<'a> {
    partitions: &'a mut Partitions,
    batch: &'a mut RecordBatch,
    events: &'a mut Vec<Event>,
    client: *mut rd::rd_kafka_t,
}

impl DataQueue {
    pub(super) fn new(client: &Arc<Client>) -> Result<Self, BrokerError> {
        Ok(Self { queue: Queue::new(client)?, partitions: Partitions::default() })
    }

    pub(super) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Takes partitions on. Call it before librdkafka is told to assign them: then no record strays to another queue.
    pub(super) fn add(&mut self, starts: &[Start]) -> Result<(), BrokerError> {
        for start in starts {
            self.remove(std::slice::from_ref(&start.partition));
            self.partitions.all.push(Partition {
                name: start.partition.clone(),
                slot: start.slot,
                next: start.offset,
                paused: false,
                silent: true,
            });
            self.forward(&start.partition)?;
        }
        Ok(())
    }

    /// Lets partitions go: whatever is still queued of them is dropped when it comes up.
    pub(super) fn remove(&mut self, names: &[TopicPartition]) {
        self.partitions.all.retain(|partition| !names.contains(&partition.name));
        self.partitions.forget_handles();
    }

    /// Forwards again the partitions that have said nothing yet, and says whether there are any.
    ///
    /// Stopping a partition is asynchronous and clears its forward: one that was let go and comes back at once would
    /// otherwise be silent for ever.
    pub(super) fn insist(&self) -> Result<bool, BrokerError> {
        let mut any = false;
        for partition in self.partitions.all.iter().filter(|partition| partition.silent && !partition.paused) {
            self.forward(&partition.name)?;
            any = true;
        }
        Ok(any)
    }

    /// Name of the partition in a slot.
    pub(super) fn name(&self, slot: Slot) -> Option<TopicPartition> {
        self.partitions.all.iter().find(|partition| partition.slot == slot).map(|partition| partition.name.clone())
    }

    /// From now on nothing of this slot is delivered.
    pub(super) fn hold(&mut self, slot: Slot) {
        if let Some(partition) = self.partitions.all.iter_mut().find(|partition| partition.slot == slot) {
            partition.paused = true;
        }
    }

    /// From now on records of this slot are delivered from `offset` on.
    pub(super) fn resume_at(&mut self, slot: Slot, offset: i64) {
        if let Some(partition) = self.partitions.all.iter_mut().find(|partition| partition.slot == slot) {
            partition.paused = false;
            partition.next = offset;
        }
    }

    /// Moves what is queued into `batch` and `events`, until the batch is full; waits at most `timeout` for the first.
    pub(super) fn drain(&mut self, batch: &mut RecordBatch, events: &mut Vec<Event>, timeout: Duration) {
        let client = self.queue.client().raw();
        let mut drain = Drain { partitions: &mut self.partitions, batch, events, client };
        // SAFETY: the queue is alive; `drain` outlives the call, and the callback runs on this thread, inside it.
        unsafe {
            rd::rd_kafka_consume_callback_queue(
                self.queue.raw(),
                millis(timeout),
                Some(on_message),
                (&raw mut drain).cast(),
            );
        }
    }

    /// Takes a message that strayed to another queue, as if it had come here.
    ///
    /// # Safety
    /// `message` is a valid message of this client; the caller still destroys it.
    pub(super) unsafe fn take(
        &mut self,
        message: *mut rd::rd_kafka_message_t,
        batch: &mut RecordBatch,
        events: &mut Vec<Event>,
    ) {
        let client = self.queue.client().raw();
        let mut drain = Drain { partitions: &mut self.partitions, batch, events, client };
        // SAFETY: by contract, and `drain` outlives the call.
        unsafe { on_message(message, (&raw mut drain).cast()) };
    }

    fn forward(&self, partition: &TopicPartition) -> Result<(), BrokerError> {
        let topic = c_string(&partition.topic)?;
        let client = self.queue.client();
        // SAFETY: client and both queues are alive; the partition's queue keeps its own reference to ours.
        unsafe {
            let source = rd::rd_kafka_queue_get_partition(client.raw(), topic.as_ptr(), partition.partition);
            let source = Queue::owned(source, client)?;
            rd::rd_kafka_queue_forward(source.raw(), self.queue.raw());
        }
        Ok(())
    }
}

/// Copies one message into the batch, or turns it into an event.
unsafe extern "C" fn on_message(message: *mut rd::rd_kafka_message_t, drain: *mut c_void) {
    // SAFETY: `drain` is what `rd_kafka_consume_callback_queue` was given, and the message is valid during the call.
    let (drain, message) = unsafe { (&mut *drain.cast::<Drain<'_>>(), &mut *message) };
    // SAFETY: the message's topic handle is null or valid as long as the message.
    let partition = unsafe { drain.partitions.find(message.rkt, message.partition) };
    if message.err != OK {
        drain.events.extend(event(message, partition));
        return;
    }
    let Some(partition) = partition else { return };
    partition.silent = false;
    if partition.paused || message.offset < partition.next {
        return;
    }
    partition.next = message.offset + 1;
    let (slot, offset) = (partition.slot, message.offset);
    // SAFETY: key and payload are null or have the lengths given, and live as long as the message.
    let (timestamp_ms, key, value) = unsafe {
        let timestamp_ms = rd::rd_kafka_message_timestamp(message, std::ptr::null_mut());
        let key = (!message.key.is_null()).then(|| bytes(message.key, message.key_len));
        let value = (!message.payload.is_null()).then(|| bytes(message.payload, message.len));
        (timestamp_ms, key, value)
    };
    // SAFETY: as above.
    drain.batch.push(slot, offset, timestamp_ms, key, value, |out| unsafe { copy_headers(message, out) });
    if drain.batch.is_full() {
        // SAFETY: called on the thread that runs the callback, as it must be.
        unsafe { rd::rd_kafka_yield(drain.client) };
    }
}

/// # Safety
/// `message` is valid.
unsafe fn copy_headers(message: *mut rd::rd_kafka_message_t, out: &mut Vec<u8>) {
    let mut headers = std::ptr::null_mut();
    // SAFETY: by contract; names end with NUL, values are null or have the size given, and both live as long as the
    // message.
    unsafe {
        if rd::rd_kafka_message_headers(message, &mut headers) != OK {
            return;
        }
        let (mut name, mut value, mut size): (*const c_char, *const c_void, usize) =
            (std::ptr::null(), std::ptr::null(), 0);
        for index in 0.. {
            if rd::rd_kafka_header_get_all(headers, index, &mut name, &mut value, &mut size) != OK {
                return;
            }
            let name = std::ffi::CStr::from_ptr(name).to_bytes();
            write_header(out, name, (!value.is_null()).then(|| bytes(value, size)));
        }
    }
}

/// What a message without a record says.
fn event(message: &rd::rd_kafka_message_t, partition: Option<&mut Partition>) -> Option<Event> {
    match (message.err, partition) {
        (_, Some(partition)) if partition.paused => None,
        (Code::RD_KAFKA_RESP_ERR__PARTITION_EOF, Some(partition)) => {
            partition.silent = false;
            // An end below what a seek has asked for was queued before it.
            let offset = message.offset;
            (offset >= partition.next).then(|| {
                partition.next = offset;
                Event::End { slot: partition.slot, offset }
            })
        }
        (Code::RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, Some(partition)) => {
            partition.silent = false;
            Some(Event::OutOfRange { slot: partition.slot, offset: message.offset })
        }
        (Code::RD_KAFKA_RESP_ERR__PARTITION_EOF | Code::RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, None) => None,
        (code, partition) => {
            let whence = partition.map_or(String::new(), |partition| format!("{}: ", partition.name));
            // SAFETY: the payload of an error is its text and ends with NUL.
            let reason = unsafe { text(message.payload.cast()) };
            Some(Event::Trouble(format!("{whence}{}: {reason}", explain(code))))
        }
    }
}

impl Partitions {
    fn forget_handles(&mut self) {
        self.by_handle.clear();
        self.last = None;
    }

    /// The partition of a message.
    ///
    /// # Safety
    /// `topic` is null or a valid handle.
    unsafe fn find(&mut self, topic: *mut rd::rd_kafka_topic_t, partition: i32) -> Option<&mut Partition> {
        let handle = (topic as usize, partition);
        if let Some((last, index)) = self.last
            && last == handle
        {
            return self.all.get_mut(index);
        }
        let index = match self.by_handle.get(&handle) {
            Some(index) => *index,
            None if topic.is_null() => return None,
            None => {
                // SAFETY: not null, and valid by contract.
                let name = unsafe { text(rd::rd_kafka_topic_name(topic)) };
                let named = |known: &Partition| known.name.partition == partition && *known.name.topic == *name;
                let index = self.all.iter().position(named)?;
                self.by_handle.insert(handle, index);
                index
            }
        };
        self.last = Some((handle, index));
        self.all.get_mut(index)
    }
}
