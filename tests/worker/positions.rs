//! What a worker makes of positions that it did not leave so: moved, erased, damaged, deleted, of another
//! configuration, of another topic.

use crate::chaos::close_all;
use crate::judge::Truth;
use crate::process::{Worker, until};
use crate::stage::{Setup, Stage};
use crate::support::kafka::Kafka;
use tidemill::broker::{CommitOffset, Committed};

/// Two minutes of event time in each partition, from `from` on, with some disorder.
pub fn records(range: std::ops::Range<i64>) -> impl Iterator<Item = (String, String)> {
    range.flat_map(|round| {
        (0..20).map(move |key| {
            let time = 1_700_000_000_000 + round * 1_000 - (round % 7) * (key % 4) * 2_000;
            (format!("key-{key}"), format!(r#"{{"t":{time},"v":{}}}"#, round * key))
        })
    })
}

/// A stage on which a worker has read some records and left.
fn left_behind(hint: &str) -> Stage<'static> {
    let stage = Stage::new(Kafka::shared(), hint, Setup::default());
    stage.load(records(0..120));
    let worker = stage.worker("a");
    worker.until_live(4);
    until("all is read", || worker.sum("tidemill_poll_records_total", &[]) as usize == 2_400);
    worker.stop_well();
    stage
}

fn committed(stage: &Stage<'_>, partition: i32) -> Committed {
    let names = [stage.partition(partition)];
    stage.kafka.admin(&stage.group).positions(&names).unwrap()[0].clone().expect("a position")
}

fn commit(stage: &Stage<'_>, partition: i32, offset: i64, metadata: &str) {
    let committed = Committed { offset, metadata: metadata.into() };
    let position = CommitOffset { partition: stage.partition(partition), committed };
    stage.kafka.admin(&stage.group).set_positions(&[position]).unwrap();
}

fn delete_topic(stage: &Stage<'_>) {
    let mut admin = stage.kafka.admin("");
    admin.delete_topic(&stage.source).unwrap();
    until("the topic is gone", || admin.topic(&stage.source).unwrap().is_none());
}

/// The other partitions go on although number 0 is held for this reason.
fn is_held(stage: &Stage<'_>, worker: &mut Worker, because: &[&str]) {
    let name = format!("held {}[0]", stage.source);
    let words: Vec<&str> = [name.as_str()].into_iter().chain(because.iter().copied()).collect();
    worker.until_not_ready(&words);
    let live = || worker.sum("tidemill_poll_partition_state", &[r#"state="live""#]);
    until("the others are live", || live() == 3.0);
    stage.load(records(120..140));
    until("the others go on", || worker.sum("tidemill_merge_records_total", &[r#"fate="merged""#]) > 0.0);
    assert!(worker.is_running(), "a worker with a held partition stays");
    assert_eq!(worker.page("/livez").unwrap().0, 200);
}

#[test]
fn an_offset_set_by_an_operator_is_a_clean_start_there() {
    let stage = left_behind("moved");
    commit(&stage, 0, 10, "");
    let worker = stage.worker("a");
    worker.until_live(4);
    worker.until_said(&[
        "set by an operator",
        "starting clean there",
        &format!("{}[0]", stage.source),
        "\"offset\":10",
    ]);
    worker.stop_well();
}

#[test]
fn a_position_that_was_erased_is_read_from_the_beginning() {
    let stage = left_behind("erased");
    stage.kafka.admin(&stage.group).delete_positions(&[stage.partition(0)]).unwrap();
    let worker = stage.worker("a");
    worker.until_live(4);
    worker.until_said(&["nothing is committed", &format!("{}[0]", stage.source), "\"offset\":0"]);
    worker.stop_well();
}

#[test]
fn damaged_metadata_holds_its_partition_and_no_other() {
    let stage = left_behind("damaged");
    let before = committed(&stage, 0);
    for (metadata, because) in [
        ("hello".to_owned(), "not written by tidemill"),
        (before.metadata.replace("tm1 ", "tm9 "), "a release of tidemill that this one does not know"),
        (before.metadata.replacen(' ', " 1", 1), "checksum"),
    ] {
        commit(&stage, 0, before.offset, &metadata);
        let mut worker = stage.worker("a");
        is_held(&stage, &mut worker, &[because, "tidemill state", "--reset"]);
        worker.stop_well();
    }
    commit(&stage, 0, before.offset, &before.metadata);
    let worker = stage.worker("a");
    close_all(&stage, "t");
    let truth = Truth::of(&stage, false);
    until("all windows are there", || stage.has(&stage.sink, truth.windows()));
    worker.stop_well();
    truth.hold(&stage);
}

#[test]
fn a_position_whose_records_are_deleted_stops_the_worker() {
    let stage = left_behind("deleted");
    stage.load(records(120..200));
    let before = committed(&stage, 0);
    stage.kafka.admin(&stage.group).delete_records(&[(stage.partition(0), before.offset + 5)]).unwrap();
    let mut worker = stage.worker("a");
    let (code, took) = worker.ended();
    assert_eq!(code, Some(1));
    println!("a deleted position stops the worker after {took:?}");
    let name = format!("{}[0]", stage.source);
    assert!(worker.said(&["tidemill: ", &name, "no longer exists", "retention", "--reset"]), "a clear message");
}

#[test]
fn another_configuration_is_refused_until_it_is_accepted() {
    let mut stage = left_behind("changed");
    let before = stage.config();
    stage.setup.window = "tumbling: 20s, grace: 5s, idle: off".into();
    let digests =
        [&before, &stage.config()].map(|config| tidemill::checkpoint::Digest::of(&config.pipeline).to_string());
    let worker = stage.worker("a");
    worker.until_not_ready(&["held", "configuration", &digests[0], &digests[1], "--accept-config-change"]);
    worker.stop_well();
    let accept = format!("--accept-config-change={}", digests[0]);
    let worker = Worker::start_with("the accepting worker", &stage.file("a"), &[&accept]);
    worker.until_live(4);
    assert!(worker.said(&["rebuilt under the new rules", &digests[0], &digests[1]]));
    stage.load(records(120..200));
    until("it goes on", || worker.sum("tidemill_close_windows_total", &[]) > 0.0);
    worker.stop_well();
}

#[test]
fn a_position_in_a_topic_that_was_created_again_is_refused() {
    let stage = left_behind("again");
    let before = committed(&stage, 0);
    delete_topic(&stage);
    stage.create(&[&stage.source]);
    // Brokers forget positions in deleted topics; tools that copy groups between clusters do not.
    commit(&stage, 0, before.offset, &before.metadata);
    let mut worker = stage.worker("a");
    is_held(&stage, &mut worker, &["deleted and created again", "--reset"]);
    worker.stop_well();
}
