//! tidemill merges keyed Kafka events into event-time windows, exactly once, inside one memory budget.
//!
//! The tour, in the order in which a record travels:
//!
//! `poll → decode → merge → close → encode → produce → commit → release`

#![forbid(unused_must_use)]

pub mod broker;
pub mod clock;
pub mod config;
pub mod error;
pub mod kafka;
pub mod sim;
