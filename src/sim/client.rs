//! One client of the in-memory broker: [`Broker`] as a lane sees it, with the faults that its injector asks for.
//!
//! A client that is dropped without [`Broker::close`] has crashed: its session and its transaction stay until they
//! expire, or until somebody takes its transactional id or its static membership.

use super::cluster::{Shared, State, Wait};
use super::consumer::{Consumer, Membership};
use super::faults::{Call, Fault, Injector};
use super::options::ClientOptions;
use super::producer::{Producer, Settings};
use crate::broker::{
    Broker, CommitOffset, Committed, Event, Outgoing, Outlet, ProduceError, RecordBatch, Slot, Start, TopicId,
    TopicPartition,
};
use crate::error::BrokerError;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// A waiting poll looks this often, because time alone wakes nobody (a session that ends, a commit that arrives).
const SLICE: Duration = Duration::from_millis(20);

/// One consumer and one producer of the in-memory broker.
pub struct SimClient {
    shared: Arc<Shared>,
    group: String,
    consumer: Consumer,
    producer: Producer,
    injector: Injector,
    dead: Option<&'static str>,
}

impl SimClient {
    pub(super) fn new(shared: Arc<Shared>, options: ClientOptions) -> Self {
        let consumer = Consumer::new(Membership {
            group: options.group.clone(),
            topics: options.topics,
            instance: options.static_member,
            session_timeout: options.session_timeout,
            max_poll_interval: options.max_poll_interval,
        });
        let producer = Producer::new(Settings {
            transactional_id: options.transactional_id,
            transaction_timeout: options.transaction_timeout,
            outlets: options.outlets.iter().map(|(&outlet, topic)| (outlet, Arc::from(topic.as_str()))).collect(),
            message_bytes_max: options.message_bytes_max,
            queue_records_max: options.queue_records_max,
        });
        let injector = Injector::new(options.faults);
        Self { shared, group: options.group, consumer, producer, injector, dead: None }
    }

    /// Decides what goes wrong at this client; a clone stays valid when a lane owns the client.
    pub fn injector(&self) -> Injector {
        self.injector.clone()
    }

    /// The next such call goes wrong in this way.
    pub fn fail_next(&self, call: Call, fault: Fault) {
        self.injector.fail_next(call, fault);
    }

    /// True once the client has crashed or was closed.
    pub fn is_dead(&self) -> bool {
        self.dead.is_some()
    }

    /// Draws a fault, lets time do its work, and runs the call; a crash comes before or after it.
    fn call<T>(
        &mut self,
        call: Call,
        run: impl FnOnce(&mut Self, &mut State, Option<Fault>) -> Result<T, BrokerError>,
    ) -> Result<T, BrokerError> {
        self.alive()?;
        let fault = self.injector.draw(call);
        if fault == Some(Fault::Crash { after: false }) {
            return Err(self.crash());
        }
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        state.tick();
        self.consumer.heartbeat(&mut state);
        let result = run(self, &mut state, fault);
        drop(state);
        if call != Call::Poll {
            shared.changed.notify_all();
        }
        if fault == Some(Fault::Crash { after: true }) {
            return Err(self.crash());
        }
        result
    }

    /// A call that asks something and changes nothing.
    fn ask<T>(
        &mut self,
        call: Call,
        run: impl FnOnce(&mut Self, &mut State) -> Result<T, BrokerError>,
    ) -> Result<T, BrokerError> {
        self.call(call, |client, state, fault| {
            if fault == Some(Fault::Retry) || state.down {
                return Err(BrokerError::retry(format!("{call:?}: timed out")));
            }
            run(client, state)
        })
    }

    fn alive(&self) -> Result<(), BrokerError> {
        self.dead.map_or(Ok(()), |reason| Err(BrokerError::fatal(reason)))
    }

    fn crash(&mut self) -> BrokerError {
        self.dead = Some("crashed");
        BrokerError::fatal("crashed")
    }

    /// Everything that poll and serve have in common.
    fn attend(&mut self, state: &mut State, fault: Option<Fault>, events: &mut Vec<Event>) -> Result<(), BrokerError> {
        match fault {
            Some(Fault::Lost) => self.consumer.leave(state),
            Some(Fault::Rebalance) => {
                if let Some(member) = self.consumer.member {
                    let injector = &self.injector;
                    state.group(&self.group).disturb(member, || injector.below(2) == 0);
                }
            }
            _ => {}
        }
        self.consumer.sync(state, events)?;
        self.consumer.answer_asks(state, events);
        self.producer.deliver(state);
        Ok(())
    }

    fn poll_once(
        &mut self,
        state: &mut State,
        fault: Option<Fault>,
        batch: &mut RecordBatch,
        events: &mut Vec<Event>,
    ) -> Result<(), BrokerError> {
        self.attend(state, fault, events)?;
        let mut records_max = usize::MAX;
        match fault {
            Some(Fault::Redeliver { back }) => {
                self.consumer.redeliver(state, i64::from(back), self.injector.below(1 << 32) as usize);
            }
            Some(Fault::StaleEnd) => {
                records_max = 0;
                self.consumer.stale_end(self.injector.below(1 << 32) as usize, events);
            }
            Some(Fault::Short { records }) => records_max = records as usize,
            _ => {}
        }
        self.consumer.fetch(state, batch, events, records_max);
        Ok(())
    }
}

impl Broker for SimClient {
    fn poll(&mut self, batch: &mut RecordBatch, events: &mut Vec<Event>, timeout: Duration) -> Result<(), BrokerError> {
        let before = (batch.len(), events.len());
        self.call(Call::Poll, |client, state, fault| client.poll_once(state, fault, batch, events))?;
        if self.shared.wait == Wait::Never {
            return Ok(());
        }
        let deadline = Instant::now() + timeout;
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        if before == (batch.len(), events.len()) {
            // Something may have come between the two locks, and nobody would wake us for it.
            self.poll_once(&mut state, None, batch, events)?;
        }
        while before == (batch.len(), events.len()) {
            let left = deadline.saturating_duration_since(Instant::now()).min(SLICE);
            if left.is_zero() {
                break;
            }
            state = shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            state.tick();
            self.poll_once(&mut state, None, batch, events)?;
        }
        Ok(())
    }

    fn serve(&mut self, events: &mut Vec<Event>) -> Result<(), BrokerError> {
        self.call(Call::Serve, |client, state, fault| client.attend(state, fault, events))
    }

    fn assign(&mut self, starts: &[Start]) -> Result<(), BrokerError> {
        self.call(Call::Assign, |client, _, _| client.consumer.assign(starts))
    }

    fn unassign(&mut self, partitions: &[TopicPartition]) -> Result<(), BrokerError> {
        self.call(Call::Unassign, |client, state, _| {
            client.consumer.unassign(state, partitions);
            Ok(())
        })
    }

    fn pause(&mut self, slot: Slot) -> Result<(), BrokerError> {
        self.ask(Call::Pause, |client, _| client.consumer.pause(slot))
    }

    fn seek(&mut self, slot: Slot, offset: i64) -> Result<(), BrokerError> {
        self.ask(Call::Seek, |client, _| client.consumer.seek(slot, offset))
    }

    fn ask_ends(&mut self, slot: Slot) {
        // A crash here shows at the next call.
        let _ = self.call(Call::AskEnds, |client, _, fault| {
            client.consumer.ask_ends(slot, fault != Some(Fault::Unanswered));
            Ok(())
        });
    }

    fn committed(&mut self, partitions: &[TopicPartition]) -> Result<Vec<Option<Committed>>, BrokerError> {
        self.ask(Call::Committed, |client, state| {
            if let Some(pending) = partitions.iter().find(|partition| state.is_pending(&client.group, partition)) {
                return Err(BrokerError::retry(format!("{pending}: UNSTABLE_OFFSET_COMMIT")));
            }
            let committed = state.group(&client.group).committed();
            Ok(partitions.iter().map(|partition| committed.get(partition).cloned()).collect())
        })
    }

    fn earliest(&mut self, partition: &TopicPartition) -> Result<i64, BrokerError> {
        self.ask(Call::Earliest, |_, state| {
            let log = state.log(partition);
            log.map(super::log::Log::start)
                .ok_or_else(|| BrokerError::retry(format!("{partition}: UNKNOWN_TOPIC_OR_PARTITION")))
        })
    }

    fn topic_id(&mut self, topic: &str) -> Result<TopicId, BrokerError> {
        self.ask(Call::TopicId, |_, state| state.topic(topic).map(|topic| topic.id))
    }

    fn partitions(&mut self, outlet: Outlet) -> Result<i32, BrokerError> {
        self.ask(Call::Partitions, |client, state| {
            let topic = state.topic(client.producer.topic(outlet)?)?;
            Ok(topic.partitions.len() as i32)
        })
    }

    fn renew_producer(&mut self, isolate: bool) -> Result<(), BrokerError> {
        self.producer.drop_old();
        self.ask(Call::RenewProducer, |client, state| {
            client.producer.renew(state, isolate);
            Ok(())
        })
    }

    fn begin(&mut self) -> Result<(), BrokerError> {
        self.call(Call::Begin, |client, state, fault| {
            if let Some(fault) = fault {
                retry_if(fault, "begin")?;
                client.producer.strike(state, fault, "begin")?;
            }
            client.producer.begin()
        })
    }

    fn produce(&mut self, record: &Outgoing<'_>) -> Result<(), ProduceError> {
        self.alive().map_err(ProduceError::Broker)?;
        match self.injector.draw(Call::Produce) {
            None => return self.producer.produce(record),
            Some(Fault::Full) => return Err(ProduceError::Full),
            Some(Fault::Crash { after }) => {
                if after {
                    self.producer.produce(record)?;
                }
                return Err(ProduceError::Broker(self.crash()));
            }
            Some(fault) => {
                let shared = Arc::clone(&self.shared);
                let struck = self.producer.strike(&mut shared.lock(), fault, "produce");
                struck.map_err(ProduceError::Broker)?;
            }
        }
        self.producer.produce(record)
    }

    fn send_offsets(&mut self, offsets: &[CommitOffset]) -> Result<(), BrokerError> {
        self.call(Call::SendOffsets, |client, state, fault| {
            if let Some(fault) = fault {
                retry_if(fault, "send_offsets")?;
                client.producer.strike(state, fault, "send_offsets: ILLEGAL_GENERATION")?;
            }
            if state.down {
                return Err(BrokerError::retry("send_offsets: COORDINATOR_NOT_AVAILABLE"));
            }
            client.producer.send_offsets(state, &client.group, client.consumer.member, offsets)
        })
    }

    fn commit(&mut self) -> Result<(), BrokerError> {
        self.alive()?;
        if let Some(answer) = self.producer.pending_answer(true) {
            return answer;
        }
        self.call(Call::Commit, |client, state, fault| {
            if let Some(fault) = fault {
                client.producer.strike(state, fault, "commit")?;
            }
            client.producer.commit(state, fault)
        })
    }

    fn abort(&mut self) -> Result<(), BrokerError> {
        self.alive()?;
        if let Some(answer) = self.producer.pending_answer(false) {
            return answer;
        }
        self.call(Call::Abort, |client, state, fault| {
            if let Some(fault) = fault {
                client.producer.strike(state, fault, "abort")?;
            }
            client.producer.abort(state, fault)
        })
    }

    fn refused(&mut self, tokens: &mut Vec<(u64, String)>) {
        self.producer.take_refused(tokens);
    }

    fn close(&mut self, _timeout: Duration) {
        if self.dead.is_some() {
            return;
        }
        self.dead = Some("closed");
        self.consumer.close(&mut self.shared.lock());
        self.shared.changed.notify_all();
    }
}

fn retry_if(fault: Fault, what: &str) -> Result<(), BrokerError> {
    let error = BrokerError::retry(format!("{what}: injected, try again"));
    if fault == Fault::Retry { Err(error) } else { Ok(()) }
}
