//! Which closed windows share a transaction, with a whole lane on the in-memory broker.

mod support {
    pub mod rig;
}

use std::time::Duration;
use support::rig::{EVENTS, Rig, SINK};
use tidemill::config::{Aggregate, AggregateKind, Commit, Idle, Pipeline, StartAt, TimeSource, Window};

const INTERVAL: Duration = Duration::from_millis(100);

/// A lane with two partitions and windows of 10 ms, which has joined and committed its positions.
fn rig() -> Rig {
    let pipeline = Pipeline {
        start: StartAt::Earliest,
        time: TimeSource::Kafka,
        max_record_bytes: 1000,
        max_key_bytes: 100,
        max_ahead_ms: None,
        keys: None,
        window: Window { size_ms: 10, every_ms: 10, offset_ms: 0, grace_ms: 0, idle: Idle::Off },
        aggregates: vec![Aggregate { name: "n".to_owned(), kind: AggregateKind::Count, path: None }],
    };
    let mut rig = Rig::new(&pipeline, (2, 2), 1_700_000_000_000);
    rig.config.commit = Commit { interval: INTERVAL, timeout: Duration::from_secs(30) };
    rig.start(100, |_, _| ());
    for partition in [0, 1] {
        record(&rig, partition, 1);
    }
    pass(&mut rig, 1000);
    rig
}

fn record(rig: &Rig, partition: i32, time_ms: i64) {
    rig.cluster.append(EVENTS, partition, time_ms, Some(b"k"), Some(b"{}"), &[]);
}

/// So many milliseconds, with a step in each.
fn pass(rig: &mut Rig, ms: u32) {
    for _ in 0..ms {
        rig.lane.as_mut().unwrap().step(Duration::ZERO).unwrap();
        rig.clock.advance(Duration::from_millis(1));
    }
}

/// Transactions so far, and results that can be seen.
fn committed(rig: &Rig) -> (u64, usize) {
    (rig.lane.as_ref().unwrap().counts.committed.count(), rig.read(SINK).concat().len())
}

#[test]
fn windows_that_close_within_a_tenth_of_the_interval_share_a_transaction() {
    let mut rig = rig();
    let (before, _) = committed(&rig);
    record(&rig, 0, 11);
    pass(&mut rig, 7);
    assert_eq!(committed(&rig), (before, 0), "the first waits for the second");
    record(&rig, 1, 11);
    pass(&mut rig, 7);
    assert_eq!(committed(&rig), (before + 1, 2), "where all wait, there is nobody to wait for");
}

#[test]
fn a_window_waits_no_longer_than_that_for_partitions_that_close_nothing() {
    let mut rig = rig();
    let (before, _) = committed(&rig);
    record(&rig, 0, 11);
    pass(&mut rig, 9);
    assert_eq!(committed(&rig), (before, 0));
    pass(&mut rig, 10);
    assert_eq!(committed(&rig), (before + 1, 1));
}
