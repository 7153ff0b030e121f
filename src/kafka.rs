//! Apache Kafka behind the [`crate::broker::Broker`] trait, by librdkafka: this module alone names it.
//!
//! From the bottom up: `native` and `events` own handles, `list` and `requests` speak of partitions, `context` is what
//! librdkafka calls back, `queue` moves the records, `consumer` and `producer` are a member and its transactions,
//! [`KafkaBroker`] is a lane's view of all that. [`Admin`] is the worker's.

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
mod requests;
mod start;

pub use admin::{Admin, Log};
pub use bulk::{Loader, Reader};
pub use client::{KafkaBroker, Options};
pub use native::version;
pub use properties::{known_property, owned_property};
pub use requests::{Group, Member, NewTopic, Topic};
pub use start::{await_source_partitions, init_transactional_ids, pin_start, source_partitions};
