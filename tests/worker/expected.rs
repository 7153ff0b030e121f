//! The plan that a worker makes of its own stream before it starts.

use crate::process::{PATIENCE, Worker, until};
use crate::proxy::Proxy;
use crate::stage::{Setup, Stage};
use crate::support::kafka::Kafka;
use serde_json::Value;
use std::process::Command;
use std::time::Duration;
use tidemill::broker::Headers;

const FETCH: i16 = 1;
const RECORDS: i64 = 2_000;
const EXPECTED: &str = r#""message":"expected""#;

/// A stage with a record of every tenth millisecond for so many keys.
fn stage<'k>(kafka: &'k Kafka, hint: &str, setup: Setup, keys: i64) -> Stage<'k> {
    let rest = format!("{}memory: {{ budget: 64MiB }}\nlanes: 1\n", setup.rest);
    let stage = Stage::new(kafka, hint, Setup { rest, ..setup });
    let mut loader = stage.loader();
    for number in 0..RECORDS {
        let (key, value) = (format!("key-{}", number % keys), format!(r#"{{"t":{},"v":1}}"#, number * 10));
        loader.send(-1, 1_000, Some(key.as_bytes()), Some(value.as_bytes()), Headers::default()).unwrap();
    }
    loader.flush(PATIENCE).unwrap();
    stage
}

/// By the log, from the moment when the memory is divided until the lanes start.
fn look_took(worker: &Worker) -> Duration {
    worker.until_said(&["lanes start"]);
    let log = worker.log();
    let at = |words: &str| {
        let line = log.iter().find(|line| line.contains(words)).unwrap();
        let time = serde_json::from_str::<Value>(line).unwrap()["timestamp"].as_str().unwrap().to_owned();
        time.parse::<jiff::Timestamp>().unwrap()
    };
    at("lanes start").duration_since(at("memory is divided")).unsigned_abs()
}

#[test]
fn a_worker_warns_at_its_start_of_what_the_plan_calls_impossible_and_starts() {
    let setup = Setup { window: "tumbling: 1h, grace: 5h, idle: off".into(), ..Setup::default() };
    let stage = stage(Kafka::shared(), "impossible", setup, RECORDS);
    let mut plan = Command::new(env!("CARGO_BIN_EXE_tidemill"));
    let output = plan.arg("plan").arg(stage.file("plan")).args(["--connect", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    let problem = &plan["problems"][0];
    let worker = stage.worker("a");
    worker.until_live(4);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (kind, said, help) = (text(&problem["kind"]), text(&problem["text"]), text(&problem["ways"][0]));
    let words = [r#""level":"WARN""#, &format!(r#""plan":"{kind}""#), &said, &help];
    assert!(worker.said(&words), "{words:?}: {:#?}", worker.log());
    worker.stop_well();
}

#[test]
fn a_worker_says_at_its_start_what_it_expects() {
    let stage = stage(Kafka::shared(), "expected", Setup::default(), 100);
    let worker = stage.worker("a");
    worker.until_live(4);
    let words = [EXPECTED, r#""records":2000,"#, r#""keys":100,"#, r#""records_per_second":100,"#];
    assert!(worker.said(&words), "{:#?}", worker.log());
    assert!(!worker.said(&[r#""plan":"#]), "{:#?}", worker.log());
    worker.stop_well();
}

#[test]
fn a_topic_without_records_is_no_reason_to_wait() {
    let stage = Stage::new(Kafka::shared(), "nothing-yet", Setup::default());
    let worker = stage.worker("a");
    let took = look_took(&worker);
    assert!(took < Duration::from_millis(900), "{took:?}");
    worker.until_live(4);
    assert!(!worker.said(&[EXPECTED]), "{:#?}", worker.log());
    worker.stop_well();
}

#[test]
fn a_topic_of_dead_letters_is_warned_of_at_the_start() {
    let source = "time: { field: elsewhere, format: unix_ms }, max_ahead: off".to_owned();
    let stage = stage(Kafka::shared(), "all-dead", Setup { source, ..Setup::default() }, 100);
    let worker = stage.worker("a");
    worker.until_live(4);
    assert!(worker.said(&["WARN", "2000 would be dead letters"]), "{:#?}", worker.log());
    worker.stop_well();
}

#[test]
fn records_that_do_not_come_hold_no_start_up_and_no_stop() {
    let (kafka, door, behind) = Kafka::start_behind_proxy();
    let brokers = door.local_addr().unwrap().to_string();
    let proxy = Proxy::start(door, behind);
    let stage = stage(&kafka, "no-fetch", Setup { brokers: Some(brokers), ..Setup::default() }, 100);
    proxy.block(Some(FETCH));
    let mut worker = stage.worker("a");
    let took = look_took(&worker);
    println!("the look took {took:?}");
    assert!((Duration::from_millis(900)..Duration::from_secs(5)).contains(&took), "{took:?}");
    assert!(worker.said(&[r#""cut":4"#]), "{:#?}", worker.log());
    worker.signal("KILL");
    until("it is gone", || !worker.is_running());
    let mut worker = stage.worker("b");
    worker.until_said(&["memory is divided"]);
    let (code, _) = worker.stop();
    assert_eq!(code, Some(0));
    assert!(!worker.said(&["lanes start"]), "{:#?}", worker.log());
}
