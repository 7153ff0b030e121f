//! Tests on a real Kafka broker, which this file starts and stops by itself.

#[path = "support/kafka.rs"]
mod kafka;
#[path = "kafka/lane.rs"]
mod lane;
#[path = "kafka/reading.rs"]
mod reading;
#[path = "kafka/transactions.rs"]
mod transactions;
