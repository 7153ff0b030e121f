//! The in-memory broker: what `demo`, `test` and the simulation run on.
//!
//! It keeps Apache Kafka's promises (isolation by the last stable offset, control records that take offsets, fencing by
//! epoch, offsets pending until the commit, partitions revoked before they are given away) and breaks only what its
//! [`Faults`] ask for. The same contract tests run on it and on Apache Kafka (`tests/contract.rs`).
//!
//! In virtual time ([`Cluster::virtual_time`]) no call waits, and whoever drives the lanes turns the clock: a step of
//! the clock that is longer than a session puts every lane out of its group that has made no call meanwhile, just as a
//! process that was stopped for so long would be.
//!
//! It never writes to disk, never starts a thread, and never looks at any clock but the one it was given.

mod client;
mod cluster;
mod consumer;
mod faults;
mod group;
mod log;
mod options;
mod producer;
mod rng;
mod transaction;

pub use client::SimClient;
pub use cluster::{Cluster, Wait};
pub use faults::{Call, Fault, Faults, Injector};
pub use log::{Isolation, Stored};
pub use options::ClientOptions;
pub use rng::Rng;
