//! What librdkafka says about itself every few seconds, boiled down to what a lane shows.
//!
//! The text has some KiB for each broker and partition: what is not needed is skipped over, not kept.

use crate::metrics::{BrokerState, ClientRole, ClientStatistics};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Statistics<'a> {
    /// Records and bytes in the producer's queues.
    #[serde(default)]
    msg_cnt: u64,
    #[serde(default)]
    msg_size: u64,
    #[serde(default)]
    tx_bytes: u64,
    #[serde(default)]
    rx_bytes: u64,
    #[serde(borrow, default)]
    brokers: BTreeMap<Cow<'a, str>, Broker<'a>>,
    #[serde(borrow, default)]
    topics: BTreeMap<Cow<'a, str>, Topic<'a>>,
}

#[derive(Deserialize)]
struct Broker<'a> {
    /// −1: an address of the configuration, known by its number as soon as it has answered.
    #[serde(default)]
    nodeid: i64,
    #[serde(borrow)]
    state: Cow<'a, str>,
    #[serde(default)]
    rtt: RoundTrip,
}

/// In microseconds, of the interval that is over.
#[derive(Default, Deserialize)]
struct RoundTrip {
    #[serde(default)]
    p50: f64,
    #[serde(default)]
    p99: f64,
}

#[derive(Deserialize)]
struct Topic<'a> {
    #[serde(borrow, default)]
    partitions: BTreeMap<Cow<'a, str>, Partition>,
}

#[derive(Deserialize)]
struct Partition {
    #[serde(default)]
    fetchq_cnt: u64,
    #[serde(default)]
    fetchq_size: u64,
}

/// Reads the text; `None` if it is not what librdkafka writes.
pub(super) fn parse(role: ClientRole, json: &[u8]) -> Option<ClientStatistics> {
    let read: Statistics<'_> = serde_json::from_slice(json).ok()?;
    // The partitions of a lane share one queue, and each says the length of all of it.
    let fetched = |size: fn(&Partition) -> u64| {
        read.topics.values().flat_map(|topic| topic.partitions.values()).map(size).max().unwrap_or(0)
    };
    let (queue_records, queue_bytes) = match role {
        ClientRole::Consumer => (fetched(|it| it.fetchq_cnt), fetched(|it| it.fetchq_size)),
        ClientRole::Producer => (read.msg_cnt, read.msg_size),
    };
    let slowest = |quantile: fn(&RoundTrip) -> f64| {
        read.brokers.values().map(|broker| quantile(&broker.rtt)).fold(0.0, f64::max) / 1e6
    };
    let mut brokers = [0; BrokerState::ALL.len()];
    for broker in read.brokers.values().filter(|broker| broker.nodeid >= 0) {
        brokers[state(&broker.state) as usize] += 1; // every state is below the length of ALL
    }
    Some(ClientStatistics {
        queue_records,
        queue_bytes,
        received_bytes: read.rx_bytes,
        sent_bytes: read.tx_bytes,
        round_trip_median: slowest(|rtt| rtt.p50),
        round_trip_p99: slowest(|rtt| rtt.p99),
        brokers,
    })
}

fn state(word: &str) -> BrokerState {
    match word {
        "UP" | "UPDATE" => BrokerState::Up,
        "DOWN" => BrokerState::Down,
        "INIT" => BrokerState::Unused,
        _ => BrokerState::Connecting,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"name":"c","msg_cnt":3,"msg_size":300,"tx_bytes":7,"rx_bytes":9,"brokers":{
        "127.0.0.1:9092/bootstrap":{"nodeid":-1,"state":"UP","rtt":{"p50":9000,"p99":9000}},
        "127.0.0.1:9092/1":{"nodeid":1,"state":"UP","toppars":{"t-0":{}},"rtt":{"p50":1500,"p99":20000}},
        "127.0.0.1:9093/2":{"nodeid":2,"state":"DOWN","rtt":{"p50":0,"p99":0}},
        "127.0.0.1:9094/3":{"nodeid":3,"state":"TRY_CONNECT"}},
        "topics":{"t":{"age":1,"partitions":{"0":{"fetchq_cnt":5,"fetchq_size":50},"1":{"fetchq_cnt":5,"fetchq_size":50},
        "-1":{"fetchq_cnt":0}}}},"cgrp":{"state":"up"}}"#;

    #[test]
    fn a_report_is_boiled_down_to_queues_bytes_round_trips_and_brokers() {
        let consumer = parse(ClientRole::Consumer, TEXT.as_bytes()).unwrap();
        assert_eq!((consumer.queue_records, consumer.queue_bytes), (5, 50));
        assert_eq!((consumer.received_bytes, consumer.sent_bytes), (9, 7));
        assert_eq!((consumer.round_trip_median, consumer.round_trip_p99), (0.009, 0.02));
        assert_eq!(consumer.brokers, [1, 1, 1, 0]);
        let producer = parse(ClientRole::Producer, TEXT.as_bytes()).unwrap();
        assert_eq!((producer.queue_records, producer.queue_bytes), (3, 300));
        assert_eq!(parse(ClientRole::Producer, b"not it"), None);
    }
}
