//! The in-memory broker's own promises: its faults, its time, its threads, and a storm that a correct lane survives.

#![allow(unreachable_pub)] // A test exports nothing; `pub` says what its modules offer each other.

#[path = "sim/broker.rs"]
mod broker;
#[path = "sim/copier.rs"]
mod copier;
#[path = "sim/faults.rs"]
mod faults;
#[path = "sim/group.rs"]
mod group;
#[path = "sim/storm.rs"]
mod storm;

use std::sync::Arc;
use std::time::Duration;
use tidemill::broker::{
    Broker, CommitOffset, Committed, Event, Headers, Outgoing, Outlet, ProduceError, RecordBatch, Start, TopicPartition,
};
use tidemill::clock::ManualClock;
use tidemill::sim::{ClientOptions, Cluster, Isolation, SimClient};

/// Partitions of the source.
pub const PARTITIONS: i32 = 4;

/// A partition of the source.
pub fn at(partition: i32) -> TopicPartition {
    TopicPartition { topic: Arc::from("source"), partition }
}

/// A cluster in virtual time with a source and a sink.
pub fn cluster() -> (ManualClock, Cluster) {
    let clock = ManualClock::at(1_700_000_000_000);
    let cluster = Cluster::virtual_time(&clock);
    cluster.create_topic("source", PARTITIONS);
    cluster.create_topic("sink", 1);
    (clock, cluster)
}

/// A client of the one group that reads the source.
pub fn options(id: &str) -> ClientOptions {
    ClientOptions::new("group", id, &["source"], "sink")
}

/// A client that owns all partitions and has begun a transaction with one record and one offset.
pub fn ready(cluster: &Cluster, id: &str) -> SimClient {
    let mut client = cluster.client(options(id));
    assign(&mut client);
    client.renew_producer(false).expect("renew_producer");
    open(&mut client).expect("open");
    client
}

/// Polls once and answers the group: reading begins at 0, and the slot is the partition's number.
pub fn assign(client: &mut SimClient) -> Vec<Event> {
    let (mut batch, mut events) = (RecordBatch::new(1 << 16, 1_000), Vec::new());
    client.poll(&mut batch, &mut events, Duration::ZERO).expect("poll");
    for event in &events {
        match event {
            Event::Assigned(partitions) => {
                let start = |partition: &TopicPartition| Start {
                    partition: partition.clone(),
                    slot: partition.partition as u32,
                    offset: 0,
                };
                client.assign(&partitions.iter().map(start).collect::<Vec<_>>()).expect("assign");
            }
            Event::Revoked(partitions) | Event::Lost(partitions) => client.unassign(partitions).expect("unassign"),
            _ => {}
        }
    }
    events
}

/// Begins a transaction with one record and one offset.
pub fn open(client: &mut SimClient) -> Result<(), ProduceError> {
    client.begin().map_err(ProduceError::Broker)?;
    produce(client)?;
    let committed = Committed { offset: 1, metadata: "m".to_owned() };
    client.send_offsets(&[CommitOffset { partition: at(0), committed }]).map_err(ProduceError::Broker)
}

/// One record.
pub fn produce(client: &mut SimClient) -> Result<(), ProduceError> {
    client.produce(&Outgoing {
        outlet: Outlet::Sink,
        partition: 0,
        timestamp_ms: 1,
        key: None,
        value: Some(b"value"),
        headers: Headers::default(),
        token: 1,
    })
}

/// Records in the sink and partitions with an offset, as everybody sees them.
pub fn visible(cluster: &Cluster) -> (usize, usize) {
    (cluster.read("sink", 0, Isolation::Committed).len(), cluster.committed("group").len())
}
