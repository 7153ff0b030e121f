//! tidemill merges keyed Kafka events into event-time windows, exactly once, inside one memory budget.
//!
//! The tour, in the order in which a record travels:
//!
//! `poll → decode → merge → close → encode → produce → commit → release`

// poll
pub mod broker;
// decode
pub mod decode;
pub mod fate;
// merge, close
pub mod aggregate;
pub mod task;
pub mod window;
// encode, produce
pub mod encode;
pub mod partitioner;
// commit, release
pub mod checkpoint;
pub mod lane;
// the brokers
pub mod sim;
// around them
pub mod clock;
pub mod config;
pub mod error;
pub mod http;
pub mod instance;
pub mod logs;
pub mod metrics;
pub mod status;
pub mod worker;
