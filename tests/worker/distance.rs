//! A cluster that is far away: every answer takes its time.

use crate::chaos::{close_all, short_session};
use crate::judge::Truth;
use crate::proxy::Proxy;
use crate::read_back::Tail;
use crate::stage::{Setup, Stage};
use crate::support::kafka::Kafka;
use std::time::Duration;

#[test]
fn a_cluster_at_the_other_end_of_the_world_is_told_every_position() {
    let (kafka, door, behind) = Kafka::start_behind_proxy();
    let brokers = door.local_addr().unwrap().to_string();
    let proxy = Proxy::start(door, behind);
    proxy.delay(Duration::from_millis(150));
    let setup = Setup {
        brokers: Some(brokers),
        kafka: short_session(),
        rest: "lanes: 1\ncommit: { timeout: 4s, interval: 10ms }\n".into(),
        ..Setup::default()
    };
    let stage = Stage::new(&kafka, "distance", setup);
    let worker = stage.worker("a");
    worker.until_live(4);
    let records =
        |round: i64| (0..10).map(move |key| (format!("key-{key}"), format!(r#"{{"t":{},"v":1}}"#, round * 2_000)));
    (0..40).for_each(|round| stage.load(records(round)));
    close_all(&stage, "t");
    let truth = Truth::of(&stage, false);
    let mut results = Tail::new(&kafka, &stage.sink, 4);
    results.until(truth.windows());
    let aborted = worker.sum("tidemill_commit_transactions_total", &[r#"result="aborted""#]);
    assert_eq!(aborted, 0.0, "transactions ran out of time");
    worker.stop_well();
    truth.hold(&stage);
}
