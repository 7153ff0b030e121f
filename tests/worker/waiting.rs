//! What a worker waits for instead of dying, and what it refuses to start with.

use crate::chaos::{close_all, short_session};
use crate::judge::Truth;
use crate::positions::records;
use crate::process::{LOOK, PATIENCE, Worker, until};
use crate::stage::{Setup, Stage};
use crate::support::kafka::Kafka;
use std::time::Duration;
use tidemill::broker::Headers;

/// Between two records of a stream.
const PACE: Duration = Duration::from_millis(2);

#[test]
fn topics_that_are_missing_are_waited_for() {
    let stage = Stage::without_topics(Kafka::shared(), "missing", Setup::default());
    let worker = stage.worker("a");
    worker.until_not_ready(&["waiting for broker", &stage.source, "tidemill check", "--connect"]);
    stage.create(&[&stage.source]);
    worker.until_not_ready(&["waiting for broker", &stage.sink]);
    stage.create(&[&stage.sink, &stage.late, &stage.dead]);
    worker.until_live(4);
    stage.load(records(0..60));
    close_all(&stage, "t");
    let truth = Truth::of(&stage, false);
    until("all windows are there", || stage.has(&stage.sink, truth.windows()));
    worker.stop_well();
    truth.hold(&stage);
}

#[test]
fn a_broker_that_restarts_while_records_stream_changes_nothing() {
    let kafka = Kafka::start_with_controller();
    let setup = Setup { kafka: short_session(), rest: "commit: { timeout: 6s }\n".into(), ..Setup::default() };
    let stage = &Stage::new(&kafka, "restarts", setup);
    let mut workers = [stage.worker("a"), stage.worker("b")];
    for (number, kill) in (0..).zip([true, false]) {
        std::thread::scope(|scope| {
            let streaming = scope.spawn(|| {
                let mut loader = stage.loader();
                for (key, value) in records(number * 200..(number + 1) * 200) {
                    let (key, value) = (Some(key.as_bytes()), Some(value.as_bytes()));
                    loader.send(-1, 1_000, key, value, Headers::default()).unwrap();
                    std::thread::sleep(PACE);
                }
                loader.flush(PATIENCE).unwrap();
            });
            let merged = || workers.iter().map(|worker| worker.sum("tidemill_poll_records_total", &[])).sum::<f64>();
            until("records stream", || merged() > (number * 200 * 20 + 500) as f64);
            kafka.stop(kill);
            until("somebody has noticed", || workers.iter().any(|worker| worker.page("/readyz").unwrap().0 == 503));
            kafka.resume_after_stop();
            while !streaming.is_finished() {
                std::thread::sleep(LOOK);
            }
        });
    }
    close_all(stage, "t");
    let truth = Truth::of(stage, false);
    until("all windows are there", || stage.has(&stage.sink, truth.windows()) && stage.has(&stage.late, truth.late()));
    assert!(workers.iter_mut().all(Worker::is_running), "a worker has ended");
    workers.into_iter().for_each(Worker::stop_well);
    truth.hold(stage);
}

#[test]
fn a_place_that_is_taken_is_refused() {
    let stage = Stage::new(Kafka::shared(), "taken", Setup::default());
    let first = stage.worker("a");
    first.until_live(4);
    let mut second = stage.worker("a");
    assert_eq!(second.ended().0, Some(1));
    until("it says why", || second.said(&["tidemill: kafka.instance \"a\"", "taken by a running process"]));
    first.until_live(4);
    first.stop_well();
}

#[test]
fn a_pipeline_that_cannot_be_used_is_shown() {
    let mut stage = Stage::without_topics(Kafka::shared(), "unusable", Setup::default());
    stage.setup.window = "tumbling: 10s, grace: 5x".into();
    let mut worker = stage.worker("a");
    assert_eq!(worker.ended().0, Some(2));
    until("the picture is there", || worker.said(&["window: { tumbling: 10s, grace: 5x }"]) && worker.said(&["^^"]));
}
