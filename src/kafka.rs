//! Apache Kafka behind the [`crate::broker::Broker`] trait, by librdkafka: this module alone names it.
//!
//! From the bottom up: `native` and `events` own handles, `list`, `requests` and `replies` speak of partitions,
//! `context` is what librdkafka calls back, `queue` moves the records, `consumer` and `producer` are a member and
//! its transactions, [`KafkaBroker`] is a lane's view of all that. [`Admin`] is the worker's.

mod admin;
mod bulk;
mod client;
mod consumer;
mod context;
mod events;
mod list;
mod native;
mod outgoing;
mod producer;
mod properties;
mod questions;
mod queue;
mod replies;
mod requests;

pub use admin::{Admin, Log};
pub use bulk::{Loader, Reader, init_transactional_ids};
pub use client::{KafkaBroker, Options};
pub use native::version;
pub use properties::{check_property, known_property, owned_property};
pub use replies::{Group, Member, Rights, Topic};
pub use requests::NewTopic;
