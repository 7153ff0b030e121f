//! `memory.budget` as a user relies on it: the binary under a limit of the kernel, on Apache Kafka, with more to hold than
//! it may.
//!
//! A worker ends up in one of three ways: its results are right; it refused to start and said what would do; it is held,
//! says so, and its results are right after a restart with a larger budget.

#![allow(dead_code)] // What it takes from the worker's tests, it takes in parts.
#![allow(unreachable_pub)] // A test exports nothing; `pub` says what its modules offer each other.

#[path = "support"]
mod support {
    pub mod kafka;
    pub mod model;
}

#[path = "worker/process.rs"]
mod process;
#[path = "worker/proxy.rs"]
mod proxy;
#[path = "worker/read_back.rs"]
mod read_back;
#[path = "worker/stage.rs"]
mod stage;

mod memory {
    mod cell;
    mod cgroup;
    mod load;
    mod locked;
    mod matrix;
    mod steady;
    mod stop;
    mod sum;
    mod trouble;
}
