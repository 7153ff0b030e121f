//! The contract of `Broker`: one suite of claims, run on every implementation.

#![allow(unreachable_pub)] // A test exports nothing; `pub` says what its modules offer each other.

#[path = "contract/driver.rs"]
mod driver;
#[path = "contract/harness.rs"]
mod harness;
#[path = "contract/memory.rs"]
mod memory;
#[path = "contract/suites.rs"]
mod suites;

suites::contract_tests!(in_memory, crate::memory::Memory::new());
