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
pub mod task;

pub mod window;

pub mod aggregate;

// encode, produce
pub mod encode;

pub mod partitioner;

// commit, release
pub mod lane;

pub mod checkpoint;

pub mod recent;

// the process around the lanes
pub mod worker;

pub mod instance;

pub mod status;

pub mod metrics;

pub mod http;

pub mod logs;

pub mod traces;

// the brokers
pub mod kafka;

pub mod sim;

// what everything rests on
pub mod pool;

pub mod budget;

pub mod heap;

pub mod plan;

pub mod config;

pub mod clock;

pub mod error;

// a pipeline without a broker
pub mod trial;

// what a person types
pub mod cli;
