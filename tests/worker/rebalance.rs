//! Workers that share the partitions, by each of the ways a group can be kept; topics that appear later.

use crate::chaos::{close_all, short_session};
use crate::judge::Truth;
use crate::positions::records;
use crate::process::{Worker, until};
use crate::read_back;
use crate::stage::{Setup, Stage};
use crate::support::kafka::Kafka;
use crate::support::model::json::Json;
use std::time::Instant;

fn two_share_and_one_leaves(hint: &str, line: &str) {
    let mut kafka = short_session();
    kafka.push(line.into());
    let setup = Setup { kafka, rest: "commit: { timeout: 6s }\n".into(), ..Setup::default() };
    let stage = &Stage::new(Kafka::shared(), hint, setup);
    stage.load(records(0..100));
    let first = stage.worker("a");
    first.until_live(4);
    let since = Instant::now();
    let second = stage.worker("b");
    let live = |worker: &Worker| worker.sum("tidemill_poll_partition_state", &[r#"state="live""#]);
    let share =
        |first: &Worker, second: &Worker| live(first) > 0.0 && live(second) > 0.0 && live(first) + live(second) == 4.0;
    until("two share", || share(&first, &second));
    let joined = since.elapsed();
    stage.load(records(100..200));
    until("all is merged", || {
        [&first, &second].iter().map(|it| it.sum("tidemill_poll_records_total", &[])).sum::<f64>() >= 4_000.0
    });
    let since = Instant::now();
    second.stop_well();
    first.until_live(4);
    println!(
        "{hint}: two share after {joined:?}, one has all again {:?} after the other was told to leave",
        since.elapsed()
    );
    stage.load(records(200..300));
    close_all(stage, "t");
    let truth = Truth::of(stage, false);
    until("all windows are there", || stage.has(&stage.sink, truth.windows()));
    first.stop_well();
    truth.hold(stage);
}

#[test]
fn two_workers_share_cooperatively() {
    two_share_and_one_leaves("sticky", "protocol: classic");
}

#[test]
fn two_workers_share_by_the_brokers_protocol() {
    two_share_and_one_leaves("kip848", "protocol: consumer");
}

#[test]
fn two_static_members_share() {
    two_share_and_one_leaves("static", "static_membership: true");
}

#[test]
fn a_topic_that_appears_later_and_matches_is_read_from_its_beginning() {
    let mut setup = Setup::default();
    setup.kafka.push(
        "consumer_properties: { session.timeout.ms: 6000, heartbeat.interval.ms: 500, \
         topic.metadata.refresh.interval.ms: 500 }"
            .into(),
    );
    let mut stage = Stage::new(Kafka::shared(), "expression", setup);
    let [first, second] = ["in", "in-later"].map(|end| format!("{}-{end}", stage.group));
    let expression = format!("topics: [\"^{}-in.*\"], ", stage.group);
    stage.setup.source.insert_str(0, &expression);
    stage.load(records(0..100));
    close_all(&stage, "t");
    let worker = stage.worker("a");
    worker.until_live(4);
    let before = Truth::of(&stage, false);
    until("windows of the first topic", || stage.has(&stage.sink, before.windows()));
    let since = Instant::now();
    stage.create(&[&second]);
    worker.until_live(8);
    println!("a topic that appears later is read after {:?}", since.elapsed());
    stage.source = second.clone();
    stage.load(records(50..150));
    close_all(&stage, "t");
    let after = Truth::of(&stage, false);
    until("windows of both topics", || stage.has(&stage.sink, before.windows() + after.windows()));
    worker.stop_well();
    let results = read_back::all(stage.kafka, &stage.sink, 4);
    for (topic, truth) in [(first, before), (second, after)] {
        let from = |read: &&read_back::Read| {
            let value = Json::read(read.value.as_deref().unwrap()).unwrap();
            value.at("topic").unwrap().text().trim_matches('"') == topic
        };
        truth.hold_windows(&stage, &results.iter().filter(from).cloned().collect::<Vec<_>>());
    }
}
