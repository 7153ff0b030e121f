//! The in-memory broker: what `demo`, `test` and the simulation run on.
//!
//! It keeps Apache Kafka's promises (isolation by the last stable offset, control records that take offsets, fencing by
//! epoch, offsets pending until the commit, partitions revoked before they are given away) and breaks only what its
//! [`Faults`] ask for. The same contract tests run on it and on Apache Kafka (`tests/contract.rs`).
//! It never writes to disk, never starts a thread, and never looks at any clock but the one it was given.

mod client;
mod cluster;
mod consumer;
mod faults;
mod group;
mod log;
mod producer;
mod rng;
mod transaction;

pub use client::{ClientOptions, SimClient};
pub use cluster::{Cluster, Wait};
pub use faults::{Call, Fault, Faults, Injector};
pub use log::{Isolation, Stored};
pub use rng::Rng;
