//! A member of the group: rebalances as events, records through the data queue.
//!
//! Assigns nothing of its own accord, and commits nothing.

use super::context::Context;
use super::events::Queue;
use super::list::PartitionList;
use super::native::{Client, Code, Failure, OK, Role, explain, millis, text};
use super::properties::Properties;
use super::questions::Questions;
use super::queue::DataQueue;
use crate::broker::{Event, RecordBatch, Slot, Start, TopicPartition};
use crate::error::BrokerError;
use crate::metrics::ClientReports;
use rdkafka_sys as rd;
use std::collections::VecDeque;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// While a partition has said nothing since it was assigned, its forward is made sure of this often.
const INSIST: Duration = Duration::from_millis(10);
/// A seek is carried out by a thread of librdkafka; it answers within microseconds unless that thread hangs.
const SEEK: Duration = Duration::from_millis(50);

/// How often a consumer that closes is looked after, in milliseconds.
const CLOSE_POLL_MS: i32 = 5;

/// The consumer of a lane.
pub(super) struct Consumer {
    data: DataQueue,
    group: Queue,
    pub(super) questions: Questions,
    ask_ends: Vec<Slot>,
    /// Messages that came where no batch was at hand.
    strays: VecDeque<Stray>,
    client: Arc<Client>,
}

/// A message that did not come through the data queue.
struct Stray(NonNull<rd::rd_kafka_message_t>);

// SAFETY: a message may be used and destroyed on any thread.
unsafe impl Send for Stray {}

impl Drop for Stray {
    fn drop(&mut self) {
        // SAFETY: ours, and destroyed once.
        unsafe { rd::rd_kafka_message_destroy(self.0.as_ptr()) };
    }
}

impl Consumer {
    /// Creates the client and joins the group.
    ///
    /// # Errors
    /// Fatal: properties or topics are refused. Nothing here waits for a broker.
    pub(super) fn new(
        properties: &Properties,
        topics: &[String],
        reports: Option<ClientReports>,
    ) -> Result<Self, BrokerError> {
        let client = Client::new(Role::Consumer, properties, Arc::new(Context::reporting(reports)))?;
        // SAFETY: the client is alive; the reference to the consumer queue that comes back is ours.
        let group_queue = unsafe {
            rd::rd_kafka_poll_set_consumer(client.raw());
            Queue::owned(rd::rd_kafka_queue_get_consumer(client.raw()), &client)?
        };
        let data = DataQueue::new(&client)?;
        let questions = Questions::new(&client)?;
        // The lane sleeps on the data queue: news on the others must wake it.
        group_queue.wake(data.queue());
        questions.queue().wake(data.queue());
        let consumer =
            Self { data, group: group_queue, questions, ask_ends: Vec::new(), strays: VecDeque::new(), client };
        consumer.subscribe(topics)?;
        Ok(consumer)
    }

    fn subscribe(&self, topics: &[String]) -> Result<(), BrokerError> {
        let mut list = PartitionList::new();
        for topic in topics {
            list.push(&TopicPartition { topic: topic.as_str().into(), partition: -1 }, None, "")?;
        }
        // SAFETY: client and list are alive; the list is copied.
        let code = unsafe { rd::rd_kafka_subscribe(self.client.raw(), list.raw()) };
        match code {
            OK => Ok(()),
            code => Err(BrokerError::fatal(format!("cannot subscribe to {topics:?}: {}", explain(code)))),
        }
    }

    /// See [`crate::broker::Broker::poll`].
    pub(super) fn poll(
        &mut self,
        batch: &mut RecordBatch,
        events: &mut Vec<Event>,
        timeout: Duration,
    ) -> Result<(), BrokerError> {
        let deadline = Instant::now() + timeout;
        let (records_before, events_before) = (batch.len(), events.len());
        loop {
            for stray in self.strays.drain(..) {
                // SAFETY: the message is ours and valid until `stray` is dropped.
                unsafe { self.data.take(stray.0.as_ptr(), batch, events) };
            }
            self.serve(events)?;
            let mut wait = deadline.saturating_duration_since(Instant::now());
            if batch.len() > records_before || events.len() > events_before {
                wait = Duration::ZERO;
            }
            if self.data.insist()? {
                wait = wait.min(INSIST);
            }
            if !batch.is_full() {
                self.data.drain(batch, events, wait);
            }
            let something = batch.len() > records_before || events.len() > events_before;
            if something || !self.strays.is_empty() || Instant::now() >= deadline {
                return Ok(());
            }
        }
    }

    /// See [`crate::broker::Broker::serve`].
    pub(super) fn serve(&mut self, events: &mut Vec<Event>) -> Result<(), BrokerError> {
        // SAFETY: the client is alive; a message that comes back is ours.
        while let Some(message) = NonNull::new(unsafe { rd::rd_kafka_consumer_poll(self.client.raw(), 0) }) {
            self.strays.push_back(Stray(message));
        }
        let news = std::mem::take(&mut self.client.context().inbox().events);
        for event in &news {
            match event {
                Event::Trouble(_) => {
                    if let Some((code, reason)) = self.client.fatal_error() {
                        return Err(BrokerError::fatal(format!("the consumer is lost: {reason}: {}", explain(code))));
                    }
                }
                _ => self.questions.forget(),
            }
        }
        events.extend(news);
        self.send_ask_ends(events)?;
        self.questions.serve(events);
        Ok(())
    }

    fn send_ask_ends(&mut self, events: &mut Vec<Event>) -> Result<(), BrokerError> {
        if self.ask_ends.is_empty() {
            return Ok(());
        }
        let mut slots = Vec::with_capacity(self.ask_ends.len());
        for slot in self.ask_ends.drain(..) {
            match self.data.name(slot) {
                Some(name) => slots.push((slot, name)),
                None => events.push(Event::Ends { slot, ends: None }),
            }
        }
        if slots.is_empty() { Ok(()) } else { self.questions.ask_ends(slots) }
    }

    /// See [`crate::broker::Broker::ask_ends`]: asked with the next poll, all slots in one request.
    pub(super) fn ask_ends(&mut self, slot: Slot) {
        if !self.ask_ends.contains(&slot) {
            self.ask_ends.push(slot);
        }
    }

    /// See [`crate::broker::Broker::assign`].
    pub(super) fn assign(&mut self, starts: &[Start]) -> Result<(), BrokerError> {
        self.questions.forget();
        self.data.add(starts)?;
        let list = PartitionList::at(starts.iter().map(|start| (&start.partition, start.offset)))?;
        // SAFETY: client and list are alive; the list is copied.
        unsafe { Failure::check(rd::rd_kafka_incremental_assign(self.client.raw(), list.raw())) }
            .map_err(|failure| BrokerError::fatal(format!("cannot take partitions on: {failure}")))
    }

    /// See [`crate::broker::Broker::unassign`].
    pub(super) fn unassign(&mut self, partitions: &[TopicPartition]) -> Result<(), BrokerError> {
        self.questions.forget();
        self.data.remove(partitions);
        // librdkafka refuses partitions that were never assigned; the answer to the group is due all the same.
        let assigned = self.assignment()?;
        let list = PartitionList::of(partitions.iter().filter(|partition| assigned.contains(partition)))?;
        // SAFETY: as in `assign`.
        unsafe { Failure::check(rd::rd_kafka_incremental_unassign(self.client.raw(), list.raw())) }
            .map_err(|failure| BrokerError::fatal(format!("cannot let partitions go: {failure}")))
    }

    fn assignment(&self) -> Result<Vec<TopicPartition>, BrokerError> {
        let mut list = std::ptr::null_mut();
        // SAFETY: the client is alive; the list that comes back is ours.
        let lines = unsafe {
            let code = rd::rd_kafka_assignment(self.client.raw(), &mut list);
            if code != OK {
                return Err(BrokerError::fatal(format!("cannot read the assignment: {}", explain(code))));
            }
            PartitionList::owned(list).lines()
        };
        Ok(lines.into_iter().map(|line| line.partition).collect())
    }

    /// See [`crate::broker::Broker::pause`].
    pub(super) fn pause(&mut self, slot: Slot) -> Result<(), BrokerError> {
        let Some(name) = self.data.name(slot) else { return Ok(()) };
        self.data.hold(slot);
        let list = PartitionList::of([&name])?;
        // SAFETY: as in `assign`.
        let code = unsafe { rd::rd_kafka_pause_partitions(self.client.raw(), list.raw()) };
        outcome(code, &list, "cannot pause")
    }

    /// See [`crate::broker::Broker::seek`].
    pub(super) fn seek(&mut self, slot: Slot, offset: i64) -> Result<(), BrokerError> {
        let Some(name) = self.data.name(slot) else { return Ok(()) };
        let list = PartitionList::at([(&name, offset)])?;
        // SAFETY: as in `assign`. Resume first: both calls void what is queued, and the last one says where to go on.
        let (code, sought) = unsafe {
            let code = rd::rd_kafka_resume_partitions(self.client.raw(), list.raw());
            (code, Failure::check(rd::rd_kafka_seek_partitions(self.client.raw(), list.raw(), millis(SEEK))))
        };
        outcome(code, &PartitionList::new(), "cannot resume")?;
        sought.map_err(|failure| BrokerError::retry(format!("cannot seek in {name}: {failure}")))?;
        match list.error() {
            None => {
                self.data.resume_at(slot, offset);
                Ok(())
            }
            // It has stopped (a position out of range), or not begun: only a new start makes it go.
            Some((_, Code::RD_KAFKA_RESP_ERR__STATE)) => {
                self.unassign(std::slice::from_ref(&name))?;
                self.assign(&[Start { partition: name, slot, offset }])
            }
            Some((_, code)) => Err(BrokerError::retry(format!("cannot seek in {name}: {}", explain(code)))),
        }
    }

    /// The membership as of now, for a transaction.
    ///
    /// # Errors
    /// Abort: we are no member now. Without this check the broker would take the offsets of anybody who does not name
    /// a member (it must, for clients older than KIP-447).
    pub(super) fn membership(&self) -> Result<Membership, BrokerError> {
        // SAFETY: the client is alive; what comes back is ours.
        let raw = NonNull::new(unsafe { rd::rd_kafka_consumer_group_metadata(self.client.raw()) })
            .ok_or_else(|| BrokerError::fatal("the consumer has no group"))?;
        let membership = Membership(raw);
        // SAFETY: the membership is alive; the member's name ends with NUL.
        let member = unsafe {
            rd::rd_kafka_consumer_group_metadata_generation_id(membership.raw()) >= 0
                && !text(rd::rd_kafka_consumer_group_metadata_member_id(membership.raw())).is_empty()
        };
        if member { Ok(membership) } else { Err(BrokerError::abort("not a member of the group at this moment")) }
    }

    /// Leaves the group and ends, waiting at most `timeout` in all.
    pub(super) fn close(self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        let raw = self.client.raw();
        self.client.context().close();
        // What was handed out and not answered is answered here: closing would wait for it for ever.
        // SAFETY: the client is alive; null unassigns everything.
        unsafe { rd::rd_kafka_assign(raw, std::ptr::null()) };
        // SAFETY: client and queue are alive.
        let closing = unsafe { Failure::check(rd::rd_kafka_consumer_close_queue(raw, self.group.raw())) };
        // SAFETY: as above; a message that still comes is ours to destroy.
        while closing.is_ok() && unsafe { rd::rd_kafka_consumer_closed(raw) } == 0 && Instant::now() < deadline {
            // SAFETY: as above.
            let message = unsafe { rd::rd_kafka_consumer_poll(raw, CLOSE_POLL_MS) };
            drop(NonNull::new(message).map(Stray));
        }
        let client = self.client.clone();
        drop(self);
        client.destroy_within(deadline.saturating_duration_since(Instant::now()));
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.group.wake_nobody();
        self.questions.queue().wake_nobody();
    }
}

/// Group metadata (KIP-447).
pub(super) struct Membership(NonNull<rd::rd_kafka_consumer_group_metadata_t>);

impl Membership {
    /// That of nobody, for a call that says nothing of members.
    pub(super) fn nobody() -> Option<Self> {
        // SAFETY: the name ends with NUL; what comes back is ours.
        NonNull::new(unsafe { rd::rd_kafka_consumer_group_metadata_new(c"nobody".as_ptr()) }).map(Self)
    }

    pub(super) fn raw(&self) -> *mut rd::rd_kafka_consumer_group_metadata_t {
        self.0.as_ptr()
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        // SAFETY: ours, and destroyed once.
        unsafe { rd::rd_kafka_consumer_group_metadata_destroy(self.raw()) };
    }
}

fn outcome(code: Code, list: &PartitionList, what: &str) -> Result<(), BrokerError> {
    let (partition, code) = match (code, list.error()) {
        (OK, None) => return Ok(()),
        (OK, Some((partition, code))) => (partition.to_string(), code),
        (code, _) => (String::new(), code),
    };
    Err(BrokerError::retry(format!("{what} {partition}: {}", explain(code))))
}
