//! The plan that a worker makes of its own stream before it starts.

use crate::process::{PATIENCE, until, wait};
use crate::proxy::Proxy;
use crate::stage::{Setup, Stage};
use crate::support::kafka::Kafka;
use serde_json::Value;
use std::process::Command;
use std::time::{Duration, Instant};
use tidemill::broker::Headers;

const FETCH: i16 = 1;

/// A stage whose windows take so long, with a record of every tenth millisecond for so many keys.
fn stage<'k>(kafka: &'k Kafka, hint: &str, setup: Setup, keys: usize) -> Stage<'k> {
    let rest = format!("{}memory: {{ budget: 64MiB }}\nlanes: 1\n", setup.rest);
    let stage = Stage::new(kafka, hint, Setup { rest, ..setup });
    let mut loader = stage.loader();
    for number in 0..20_000 {
        let (key, value) = (format!("key-{}", number % keys), format!(r#"{{"t":{},"v":1}}"#, number * 10));
        loader.send(-1, 1_000, Some(key.as_bytes()), Some(value.as_bytes()), Headers::default()).unwrap();
    }
    loader.flush(PATIENCE).unwrap();
    stage
}

#[test]
fn a_worker_warns_at_its_start_of_what_the_plan_calls_impossible_and_starts() {
    let setup = Setup { window: "tumbling: 1h, grace: 5h, idle: off".into(), ..Setup::default() };
    let stage = stage(Kafka::shared(), "impossible", setup, 20_000);
    let mut plan = Command::new(env!("CARGO_BIN_EXE_tidemill"));
    let output = plan.arg("plan").arg(stage.file("plan")).args(["--connect", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    let problem = &plan["problems"][0];
    let worker = stage.worker("a");
    worker.until_live(4);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    assert_eq!(problem["kind"], "memory");
    let (said, help) = (text(&problem["text"]), text(&problem["ways"][0]));
    let level = r#""level":"WARN""#;
    assert!(worker.said(&[level, &said, &help]), "{said}, {help}: {:#?}", worker.log());
    worker.stop_well();
}

#[test]
fn a_worker_says_at_its_start_what_it_expects() {
    let stage = stage(Kafka::shared(), "expected", Setup::default(), 100);
    let worker = stage.worker("a");
    worker.until_live(4);
    let expected = r#""message":"expected""#;
    assert!(worker.said(&[expected, r#""keys":100"#, r#""records_per_second":100"#]), "{:#?}", worker.log());
    assert!(!worker.said(&[r#""plan":"#]), "{:#?}", worker.log());
    worker.stop_well();
}

#[test]
fn a_topic_without_records_is_no_reason_to_wait() {
    let stage = Stage::new(Kafka::shared(), "nothing-yet", Setup::default());
    let worker = stage.worker("a");
    worker.until_live(4);
    assert!(!worker.said(&[r#""message":"expected""#]), "{:#?}", worker.log());
    worker.stop_well();
}

#[test]
fn records_that_do_not_come_hold_no_start_up() {
    let (kafka, door, behind) = Kafka::start_behind_proxy();
    let brokers = door.local_addr().unwrap().to_string();
    let proxy = Proxy::start(door, behind);
    let setup = Setup { brokers: Some(brokers), ..Setup::default() };
    let stage = stage(&kafka, "no-fetch", setup, 100);
    proxy.block(Some(FETCH));
    let mut worker = stage.worker("a");
    worker.until_said(&["memory is divided"]);
    let began = Instant::now();
    let took = wait("lanes start", PATIENCE, || worker.said(&["lanes start"]).then(|| began.elapsed()));
    println!("lanes start after {took:?}");
    assert!(took > Duration::from_millis(500), "nothing was waited for: {took:?}");
    worker.signal("KILL");
    until("it is gone", || !worker.is_running());
}
