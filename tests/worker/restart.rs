//! How long it takes to go on after a death, and to stop: measured, printed, and held to the documented bounds.

use crate::chaos::{close_all, short_session};
use crate::flights;
use crate::judge::Truth;
use crate::positions::records;
use crate::process::{Worker, until};
use crate::proxy::{self, Lost, Proxy};
use crate::stage::{Setup, Stage};
use crate::support::kafka::Kafka;
use std::time::{Duration, Instant};
use tidemill::clock::{Clock, SystemClock};

const COMMIT_TIMEOUT: Duration = Duration::from_secs(6);
const SESSION: Duration = Duration::from_secs(6);
/// `commit.timeout` where a transaction is left open: longer than the session, so that it shows.
const ORPHAN_TIMEOUT: Duration = Duration::from_secs(12);
/// How often the test broker looks for transactions whose time is over.
const SCAN: Duration = Duration::from_secs(1);
/// What a busy machine may add to any measured time.
const SLACK: Duration = Duration::from_secs(2);

fn stage(hint: &str, kafka: &'static Kafka) -> Stage<'static> {
    let mut setup = flights::setup("tumbling: 1h, grace: 1h, idle: off");
    setup.source += ", max_ahead: off";
    setup.kafka = short_session();
    setup.rest = "commit: { timeout: 6s }\n".into();
    Stage::new(kafka, hint, setup)
}

/// Wall clock in ms since midnight.
fn now_ms() -> i64 {
    SystemClock::new().now_ms() % 86_400_000
}

/// Wall clock of the last line of its log that holds `words`, likewise.
fn said_at_ms(worker: &Worker, words: &str) -> i64 {
    let log = worker.log();
    let line = log.iter().rev().find(|line| line.contains(words)).unwrap();
    let text = line.split_once(r#""timestamp":""#).unwrap().1.split_once('T').unwrap().1;
    let number = |range: std::ops::Range<usize>| text[range].parse::<i64>().unwrap();
    ((number(0..2) * 60 + number(3..5)) * 60 + number(6..8)) * 1_000 + number(9..12)
}

/// Kills a worker in the middle of the flights; its successor is live how long after its assignment?
fn successor(stage: &Stage<'_>, instance: &str, bound: Duration) {
    let all = flights::flights();
    let mut first = stage.worker("a");
    first.until_live(4);
    let (before, after) = all.split_at(all.len() / 2);
    flights::load(stage, before, |flight| Some(&flight.carrier));
    until("half of the flights are merged", || first.sum("tidemill_poll_records_total", &[]) as usize >= before.len());
    first.kill();
    let killed = Instant::now();
    flights::load(stage, &after[..after.len() / 2], |flight| Some(&flight.carrier));
    let second = stage.worker(instance);
    second.until_live(4);
    let live = killed.elapsed();
    let after_assignment = Duration::from_millis((now_ms() - said_at_ms(&second, "partitions assigned")) as u64);
    println!(
        "killed, then instance {instance}: live {live:?} after the death, {:?} after its start, {after_assignment:?} \
         after the assignment",
        second.started.elapsed(),
    );
    assert!(after_assignment < Duration::from_secs(2), "{after_assignment:?} after the assignment");
    assert!(live < bound + SLACK, "{live:?} is more than {bound:?}");
    flights::load(stage, &after[after.len() / 2..], |flight| Some(&flight.carrier));
    close_all(stage, "scheduled");
    let truth = Truth::of(stage, false);
    let written = || second.sum("tidemill_poll_records_total", &[]);
    until("it goes on", || written() > 0.0 && stage.has(&stage.sink, truth.windows()));
    second.stop_well();
    truth.hold(stage);
}

#[test]
fn a_killed_workers_successor_in_its_place_goes_on_at_once() {
    // The group still counts the dead member until its session is over.
    successor(&stage("successor-same", Kafka::shared()), "a", SESSION + Duration::from_secs(2));
}

#[test]
fn a_killed_workers_successor_elsewhere_waits_for_the_transaction_at_most() {
    successor(&stage("successor-other", Kafka::shared()), "b", COMMIT_TIMEOUT.max(SESSION) + Duration::from_secs(2));
}

/// A worker dies with its transaction open; its successor is live how long after its assignment?
fn after_an_orphan(instance: &str) -> Duration {
    let (kafka, door, behind) = Kafka::start_behind_proxy();
    let brokers = door.local_addr().unwrap().to_string();
    let (kafka, proxy) = (&kafka, Proxy::start(door, behind));
    let rest = format!("lanes: 1\ncommit: {{ timeout: {}s, interval: 10ms }}\n", ORPHAN_TIMEOUT.as_secs());
    let setup = Setup { brokers: Some(brokers), kafka: short_session(), rest, ..Setup::default() };
    let stage = &Stage::new(kafka, "orphan", setup);
    let mut first = stage.worker("a");
    first.until_live(4);
    stage.load(records(0..20));
    proxy.lose(proxy::END_TXN, 1, Lost::Request);
    until("a transaction stays open", || {
        stage.load(records(20..21));
        proxy.lost() > 0
    });
    first.kill();
    stage.load(records(21..40));
    let second = stage.worker(instance);
    second.until_live(4);
    let after_assignment = Duration::from_millis((now_ms() - said_at_ms(&second, "partitions assigned")) as u64);
    println!(
        "killed with an open transaction, then instance {instance}: live {after_assignment:?} after the assignment"
    );
    close_all(stage, "t");
    let truth = Truth::of(stage, false);
    until("all windows are there", || stage.has(&stage.sink, truth.windows()));
    second.stop_well();
    truth.hold(stage);
    after_assignment
}

#[test]
fn an_open_transaction_of_a_dead_worker_ends_at_once_when_its_place_starts_again() {
    let after_assignment = after_an_orphan("a");
    assert!(after_assignment < Duration::from_secs(2), "{after_assignment:?}");
}

#[test]
fn an_open_transaction_of_a_dead_worker_holds_another_place_back_until_its_timeout() {
    let after_assignment = after_an_orphan("b");
    // The group needs a session to notice the death; meanwhile the transaction's time runs.
    let bound = ORPHAN_TIMEOUT + SCAN - SESSION + SLACK;
    assert!(after_assignment < bound, "{after_assignment:?} is more than {bound:?}");
    assert!(after_assignment > Duration::from_secs(1), "{after_assignment:?}: nothing was held back");
}

#[test]
fn a_worker_stops_in_time_with_and_without_its_broker() {
    // With a controller of its own: the broker is killed in the middle of a transaction, and has to come back with it.
    let kafka: &'static Kafka = Box::leak(Box::new(Kafka::start_with_controller()));
    let stage = stage("stops", kafka);
    flights::load(&stage, &flights::flights()[..50_000], |flight| Some(&flight.carrier));
    let bound = |what: &str, mut worker: Worker, act: &dyn Fn(&Worker)| {
        act(&worker);
        let (code, took) = worker.ended();
        println!("{what}: exit {code:?} after {took:?}");
        assert!(took < Duration::from_secs(5), "{what}: {took:?}");
        code
    };
    let started = |instance: &str| {
        let worker = stage.worker(instance);
        worker.until_live(4);
        worker
    };
    let term = |worker: &Worker| worker.signal("TERM");
    assert_eq!(bound("SIGTERM at rest", started("a"), &term), Some(0));
    flights::load(&stage, &flights::flights()[50_000..], |flight| Some(&flight.carrier));
    assert_eq!(bound("SIGTERM in the middle of reading", started("a"), &term), Some(0));
    assert_eq!(bound("SIGINT", started("a"), &|worker| worker.signal("INT")), Some(0));
    let worker = started("a");
    kafka.pause();
    assert_eq!(bound("SIGTERM with a frozen broker", worker, &term), Some(0));
    let worker = stage.worker("a");
    worker.until_not_ready(&["waiting for broker"]);
    assert_eq!(bound("SIGTERM while waiting for a frozen broker", worker, &term), Some(0));
    kafka.go_on();
    let worker = started("a");
    kafka.stop(true);
    assert_eq!(bound("SIGTERM with a dead broker", worker, &term), Some(0));
    let worker = stage.worker("a");
    worker.until_not_ready(&["waiting for broker"]);
    assert_eq!(worker.page("/livez").unwrap().0, 200);
    assert_eq!(bound("SIGTERM while waiting for a dead broker", worker, &term), Some(0));
    kafka.resume_after_stop();
    let worker = started("a");
    kafka.pause();
    let twice = |worker: &Worker| {
        worker.signal("TERM");
        worker.until_said(&["leaving"]);
        worker.signal("TERM");
    };
    let code = bound("a second SIGTERM", worker, &twice);
    assert!(code.is_some_and(|code| code != 0), "{code:?}");
    kafka.go_on();
    kafka.stop(true);
}
