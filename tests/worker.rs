//! The worker as a user starts it: the binary, a file, Apache Kafka; what it wrote is read back as consumers read it
//! and compared with the naive model.
//!
//! Nothing here looks into the process: only at its topics, its pages, its log and its exit code.

#![allow(unreachable_pub)] // A test exports nothing; `pub` says what its modules offer each other.

#[path = "support"]
mod support {
    pub mod generate;
    pub mod kafka;
    pub mod model;
}

#[path = "worker/ambiguous.rs"]
mod ambiguous;
#[path = "worker/bad_input.rs"]
mod bad_input;
#[path = "worker/chaos.rs"]
mod chaos;
#[path = "worker/distance.rs"]
mod distance;
#[path = "worker/expected.rs"]
mod expected;
#[path = "worker/flights.rs"]
mod flights;
#[path = "worker/judge.rs"]
mod judge;
#[path = "worker/plan.rs"]
mod plan;
#[path = "worker/positions.rs"]
mod positions;
#[path = "worker/process.rs"]
mod process;
#[path = "worker/proxy.rs"]
mod proxy;
#[path = "worker/read_back.rs"]
mod read_back;
#[path = "worker/rebalance.rs"]
mod rebalance;
#[path = "worker/restart.rs"]
mod restart;
#[path = "worker/stage.rs"]
mod stage;
#[path = "worker/waiting.rs"]
mod waiting;
