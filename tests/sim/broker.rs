//! Topics, waiting, outages, speed.

use crate::{PARTITIONS, assign, at, cluster, options, produce, ready, visible};
use std::time::{Duration, Instant};
use tidemill::broker::{Broker, Event, ProduceError, RecordBatch};
use tidemill::error::ErrorKind;
use tidemill::sim::{ClientOptions, Cluster};

#[test]
fn a_topic_created_again_is_another_one() {
    let (_, cluster) = cluster();
    let mut client = cluster.client(options("id"));
    let before = client.topic_id("source").expect("topic_id");
    cluster.delete_topic("source");
    assert_eq!(client.topic_id("source").expect_err("missing").kind, ErrorKind::Retry);
    cluster.create_topic("source", 1);
    assert_ne!(client.topic_id("source").expect("topic_id"), before);
}

#[test]
fn while_the_brokers_are_down_everything_says_try_again() {
    let (_, cluster) = cluster();
    let mut client = ready(&cluster, "id");
    cluster.set_down(true);
    assert_eq!(client.commit().expect_err("down").kind, ErrorKind::Retry);
    assert_eq!(client.committed(&[at(0)]).expect_err("down").kind, ErrorKind::Retry);
    let mut events = Vec::new();
    for _ in 0..3 {
        client.serve(&mut events).expect("serve");
    }
    assert_eq!(events.iter().filter(|event| matches!(event, Event::Trouble(_))).count(), 1);
    cluster.set_down(false);
    client.commit().expect("commit");
    assert_eq!(visible(&cluster), (1, 1));
}

#[test]
fn a_waiting_poll_wakes_when_a_record_comes() {
    let cluster = Cluster::real_time();
    cluster.create_topic("source", 1);
    cluster.create_topic("sink", 1);
    let reader = cluster.clone();
    let lane = std::thread::spawn(move || {
        let mut client = reader.client(options("id"));
        assign(&mut client);
        let (mut batch, mut waits) = (RecordBatch::new(1 << 16, 1_000), 0);
        let started = Instant::now();
        while batch.is_empty() {
            client.poll(&mut batch, &mut Vec::new(), Duration::from_secs(20)).expect("poll");
            waits += 1;
        }
        (started.elapsed(), waits)
    });
    std::thread::sleep(Duration::from_millis(200));
    cluster.append("source", 0, 1, None, Some(b"value"), &[]);
    let (waited, waits) = lane.join().expect("the lane ends");
    assert!(waited >= Duration::from_millis(100) && waited < Duration::from_secs(10), "{waited:?}");
    assert!(waits <= 3, "one poll for the end of the partition, one for the record, not {waits}");
}

#[test]
fn a_third_of_a_million_records_are_read_in_no_time() {
    let (_, cluster) = cluster();
    let value = [b'x'; 200];
    let loading = Instant::now();
    for n in 0..336_000i32 {
        cluster.append("source", n % PARTITIONS, 1, Some(b"key"), Some(&value), &[]);
    }
    let loading = loading.elapsed();
    let mut client = cluster.client(options("id"));
    assign(&mut client);
    let (mut batch, mut events, mut count) = (RecordBatch::new(1 << 18, 1_024), Vec::new(), 0);
    let reading = Instant::now();
    while count < 336_000 {
        batch.clear();
        client.poll(&mut batch, &mut events, Duration::ZERO).expect("poll");
        assert!(!batch.is_empty());
        count += batch.len();
    }
    println!("loaded in {loading:?}, read in {:?}", reading.elapsed());
    assert!(reading.elapsed() < Duration::from_secs(2), "{:?}", reading.elapsed());
}

#[test]
fn a_full_queue_takes_records_again_after_serve() {
    let (_, cluster) = cluster();
    let mut client = cluster.client(ClientOptions { queue_records_max: 2, ..options("id") });
    client.renew_producer(false).expect("renew_producer");
    client.begin().expect("begin");
    let results = [produce(&mut client), produce(&mut client), produce(&mut client)];
    assert_eq!(results, [Ok(()), Ok(()), Err(ProduceError::Full)]);
    client.serve(&mut Vec::new()).expect("serve");
    produce(&mut client).expect("there is room again");
    client.commit().expect("commit");
    assert_eq!(visible(&cluster).0, 3);
}
