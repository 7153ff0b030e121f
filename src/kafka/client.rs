//! [`Broker`] on Apache Kafka: one consumer and one producer put together.
//!
//! Only delegates; what either does is in `consumer.rs` and `producer.rs`.

use super::consumer::Consumer;
use super::producer::Producer;
use super::properties;
use crate::broker::{
    Broker, CommitOffset, Committed, Event, Outgoing, Outlet, ProduceError, RecordBatch, Slot, Start, TopicId,
    TopicPartition,
};
use crate::budget::Settings;
use crate::config;
use crate::error::BrokerError;
use crate::metrics::ClientReports;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long the number of an outlet's partitions is believed.
const PARTITIONS_FOR: Duration = Duration::from_secs(30);

/// What a lane needs to know to be a member and a producer.
#[derive(Clone, Debug)]
pub struct Options {
    /// How to reach the brokers, and the group.
    pub kafka: config::Kafka,
    /// Names, or regular expressions that begin with `^`.
    pub topics: Vec<String>,
    /// `sink.topic`.
    pub sink: String,
    /// `late.topic`.
    pub late: Option<String>,
    /// `dead_letter.topic`.
    pub dead_letter: Option<String>,
    /// Stable for one lane of one place in the deployment.
    pub transactional_id: String,
    /// `group.instance.id`; taken only with `static_membership`.
    pub instance: Option<String>,
    /// The transaction timeout.
    pub commit_timeout: Duration,
    /// What may wait in the queues of the clients.
    pub settings: Settings,
    /// `compression.type` of the producer.
    pub compression: String,
    /// Where the clients report their statistics to.
    pub reports: Option<ClientReports>,
}

impl Options {
    /// The topics that are written to.
    pub(super) fn outlets(&self) -> impl Iterator<Item = &str> {
        [Some(&self.sink), self.late.as_ref(), self.dead_letter.as_ref()].into_iter().flatten().map(String::as_str)
    }

    fn outlet(&self, outlet: Outlet) -> Option<&str> {
        match outlet {
            Outlet::Sink => Some(&self.sink),
            Outlet::Late => self.late.as_deref(),
            Outlet::DeadLetter => self.dead_letter.as_deref(),
        }
    }
}

/// A lane's view of Apache Kafka.
pub struct KafkaBroker {
    options: Options,
    /// `None` once closed.
    consumer: Option<Consumer>,
    producer: Option<Producer>,
    partitions: HashMap<Outlet, (i32, Instant)>,
}

impl KafkaBroker {
    /// Creates the consumer and joins the group; the first producer is made by [`Broker::renew_producer`]. Waits for
    /// nobody: a broker that is not there shows as [`Event::Trouble`].
    ///
    /// # Errors
    /// Fatal: librdkafka refuses a property (the message names it) or a topic.
    pub fn connect(options: Options) -> Result<Self, BrokerError> {
        let consumer = Consumer::new(&properties::consumer(&options)?, &options.topics, options.reports.clone())?;
        // A producer with properties that are refused should be known before partitions are taken.
        super::native::check(&properties::producer(&options, false)?)?;
        Ok(Self { options, consumer: Some(consumer), producer: None, partitions: HashMap::new() })
    }

    fn consumer(&mut self) -> Result<&mut Consumer, BrokerError> {
        self.consumer.as_mut().ok_or_else(|| BrokerError::fatal("the broker is closed"))
    }

    fn producer(&mut self) -> Result<&mut Producer, BrokerError> {
        self.producer.as_mut().ok_or_else(|| BrokerError::fatal("there is no producer"))
    }
}

impl Broker for KafkaBroker {
    fn poll(&mut self, batch: &mut RecordBatch, events: &mut Vec<Event>, timeout: Duration) -> Result<(), BrokerError> {
        if let Some(producer) = &mut self.producer {
            producer.serve(events);
        }
        self.consumer()?.poll(batch, events, timeout)
    }

    fn serve(&mut self, events: &mut Vec<Event>) -> Result<(), BrokerError> {
        if let Some(producer) = &mut self.producer {
            producer.serve(events);
        }
        self.consumer()?.serve(events)
    }

    fn assign(&mut self, starts: &[Start]) -> Result<(), BrokerError> {
        self.consumer()?.assign(starts)
    }

    fn unassign(&mut self, partitions: &[TopicPartition]) -> Result<(), BrokerError> {
        self.consumer()?.unassign(partitions)
    }

    fn pause(&mut self, slot: Slot) -> Result<(), BrokerError> {
        self.consumer()?.pause(slot)
    }

    fn seek(&mut self, slot: Slot, offset: i64) -> Result<(), BrokerError> {
        self.consumer()?.seek(slot, offset)
    }

    fn ask_ends(&mut self, slot: Slot) {
        if let Some(consumer) = &mut self.consumer {
            consumer.ask_ends(slot);
        }
    }

    fn committed(&mut self, partitions: &[TopicPartition]) -> Result<Vec<Option<Committed>>, BrokerError> {
        self.consumer()?.questions.committed(partitions)
    }

    fn earliest(&mut self, partition: &TopicPartition) -> Result<i64, BrokerError> {
        self.consumer()?.questions.earliest(partition)
    }

    fn topic_id(&mut self, topic: &str) -> Result<TopicId, BrokerError> {
        Ok(self.consumer()?.questions.topic(topic)?.id)
    }

    fn partitions(&mut self, outlet: Outlet) -> Result<i32, BrokerError> {
        if let Some((count, since)) = self.partitions.get(&outlet)
            && since.elapsed() < PARTITIONS_FOR
        {
            return Ok(*count);
        }
        let topic = self.options.outlet(outlet).map(str::to_owned);
        let topic = topic.ok_or_else(|| BrokerError::fatal(format!("no topic is configured for {outlet:?}")))?;
        // The consumer may be blind to our own outlets (`topic.blacklist`): ask with the producer where there is one.
        let questions = match &mut self.producer {
            Some(producer) => &mut producer.questions,
            None => &mut self.consumer()?.questions,
        };
        let count = questions.topic(&topic)?.partitions;
        self.partitions.insert(outlet, (count, Instant::now()));
        Ok(count)
    }

    fn renew_producer(&mut self, isolate: bool) -> Result<(), BrokerError> {
        self.consumer()?.questions.forget();
        if !self.producer.as_ref().is_some_and(|producer| producer.is_new(isolate)) {
            if let Some(old) = self.producer.take() {
                old.discard();
            }
            let outlets = [Outlet::Sink, Outlet::Late, Outlet::DeadLetter]
                .into_iter()
                .filter_map(|outlet| Some((outlet, self.options.outlet(outlet)?.to_owned())))
                .collect::<Vec<_>>();
            let properties = properties::producer(&self.options, isolate)?;
            self.producer = Some(Producer::new(&properties, isolate, &outlets, self.options.reports.clone())?);
        }
        self.producer()?.init()
    }

    fn begin(&mut self) -> Result<(), BrokerError> {
        self.producer()?.begin()
    }

    fn produce(&mut self, record: &Outgoing<'_>) -> Result<(), ProduceError> {
        self.producer().map_err(ProduceError::Broker)?.produce(record)
    }

    fn send_offsets(&mut self, offsets: &[CommitOffset]) -> Result<(), BrokerError> {
        let membership = self.consumer()?.membership()?;
        self.producer()?.send_offsets(offsets, &membership)
    }

    fn commit(&mut self) -> Result<(), BrokerError> {
        self.producer()?.commit()
    }

    fn abort(&mut self) -> Result<(), BrokerError> {
        self.producer()?.abort()
    }

    fn refused(&mut self, tokens: &mut Vec<(u64, String)>) {
        if let Some(producer) = &mut self.producer {
            producer.refused(tokens);
        }
    }

    fn close(&mut self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        if let Some(consumer) = self.consumer.take() {
            consumer.close(timeout);
        }
        if let Some(producer) = self.producer.take() {
            producer.discard_within(deadline.saturating_duration_since(Instant::now()));
        }
    }
}

impl Drop for KafkaBroker {
    /// A lane that ends without a word leaves the group if that takes no time.
    fn drop(&mut self) {
        self.close(Duration::from_millis(100));
    }
}

/// A lane's broker is made on one thread and used on another.
const _: () = {
    const fn is_send<T: Send>() {}
    is_send::<KafkaBroker>();
};
