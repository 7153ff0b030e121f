//! Tests on a real Kafka broker, which this file starts and stops by itself: the contract of `Broker`, and what only a
//! real one can show.

#![allow(unreachable_pub)] // A test exports nothing; `pub` says what its modules offer each other.

#[path = "kafka/apache.rs"]
mod apache;
#[path = "kafka/cli.rs"]
mod cli;
#[path = "contract/driver.rs"]
mod driver;
#[path = "contract/harness.rs"]
mod harness;
#[path = "support/kafka.rs"]
mod kafka;
#[path = "kafka/lane.rs"]
mod lane;
#[path = "kafka/outage.rs"]
mod outage;
#[path = "kafka/reading.rs"]
mod reading;
#[path = "contract/suites.rs"]
mod suites;
#[path = "kafka/transactions.rs"]
mod transactions;
#[path = "kafka/worker.rs"]
mod worker;

suites::contract_tests!(contract, crate::apache::Apache::new(tidemill::config::Protocol::Classic));
suites::contract_tests!(contract_kip848, crate::apache::Apache::new(tidemill::config::Protocol::Consumer));
