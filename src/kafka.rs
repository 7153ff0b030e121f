//! Apache Kafka behind the [`crate::broker::Broker`] trait, by librdkafka: this module alone names it.
//!
//! From the bottom up: `native`, `events` and `list` own what lives on the C side, `context` is what librdkafka calls
//! back, `properties` what it is told. `queue` moves the records in and `outgoing` out; `requests`, `replies`,
//! `positions` and `questions` ask the cluster. `consumer` and `producer` are a member and its transactions, and
//! [`KafkaBroker`] is a lane's view of them. The worker has [`Admin`] and `start`; demo and tests have `bulk`.
//!
//! The crate `rdkafka` is left out on purpose: it keeps rebalances and deliveries as events that librdkafka's own flush
//! and close do not serve, and blocks when it is dropped.

mod admin;
mod bulk;
mod client;
mod consumer;
mod context;
mod events;
mod list;
mod native;
mod outgoing;
mod positions;
mod producer;
mod properties;
mod questions;
mod queue;
mod replies;
mod requests;
mod start;
mod statistics;

pub use admin::{Admin, Log};
pub use bulk::{Loader, Reader};
pub use client::{KafkaBroker, Options};
pub use native::version;
pub use properties::{check_property, known_property, owned_property};
pub use replies::{Group, Member, Rights, Topic};
pub use requests::NewTopic;
pub use start::{await_source_partitions, init_transactional_ids, pin_start, source_partitions};
