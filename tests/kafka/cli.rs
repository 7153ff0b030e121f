//! `tidemill check --connect` and `tidemill state` on a real broker, as a user runs them.

use crate::kafka::{Kafka, unique};
use crate::lane::{Lane, insist, load, options, position};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use tidemill::broker::{Broker, Committed, Headers, TopicPartition};
use tidemill::checkpoint::{Checkpoint, Digest};
use tidemill::config;
use tidemill::kafka::{Loader, NewTopic};

/// A pipeline in a file, with topics and a group of its own.
struct Pipeline {
    kafka: &'static Kafka,
    folder: tempfile::TempDir,
    group: String,
    source: String,
    sink: String,
}

/// What a run of the binary left behind.
#[derive(Debug)]
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Pipeline {
    /// The file; no topics yet.
    fn new(hint: &str) -> Self {
        let (group, source, sink) = (unique(hint), unique(&format!("{hint}-in")), unique(&format!("{hint}-out")));
        let kafka = Kafka::shared();
        let pipeline = Self { kafka, folder: tempfile::tempdir().unwrap(), group, source, sink };
        pipeline.write(&kafka.brokers(), "1h");
        pipeline
    }

    fn write(&self, brokers: &str, size: &str) {
        let Self { group, source, sink, .. } = self;
        let text = format!(
            "name: {group}\nkafka: {{ brokers: \"{brokers}\" }}\nsource: {{ topics: [{source}] }}\n\
             window: {{ tumbling: {size}, grace: 1h }}\naggregate: {{ n: count }}\nsink: {{ topic: {sink} }}\n\
             late: {{ topic: {sink}-late }}\ndead_letter: {{ topic: {sink}-dead }}\n"
        );
        std::fs::write(self.file(), text).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("p.yaml")
    }

    fn run(&self, command: &str, arguments: &[&str]) -> Ran {
        let mut binary = Command::new(env!("CARGO_BIN_EXE_tidemill"));
        binary.arg(command).arg(self.file()).args(arguments).output().unwrap().into()
    }

    fn create(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let config = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let topic = NewTopic { name: name.to_owned(), partitions, replication: 1, config };
        self.kafka.admin("").create_topics(&[topic]).unwrap();
    }

    fn create_all(&self, partitions: i32) {
        let late_and_dead = [format!("{}-late", self.sink), format!("{}-dead", self.sink)];
        for name in [&self.source, &self.sink].into_iter().chain(&late_and_dead) {
            self.create(name, partitions, &[("retention.ms", "-1")]);
        }
    }

    fn at(&self, partition: i32) -> TopicPartition {
        TopicPartition { topic: self.source.as_str().into(), partition }
    }

    /// Metadata as a worker of this file commits it.
    fn checkpoint(&self, replay_from: i64) -> String {
        let config = config::load(&self.file(), &|_| None).unwrap().config;
        let topic_id = self.kafka.admin("").topic(&self.source).unwrap().unwrap().id;
        let digest = Digest::of(&config.pipeline);
        let watermark_ms = Some(1_356_998_400_000);
        Checkpoint { replay_from, watermark_ms, guard: Vec::new(), digest, topic_id }.encode()
    }

    fn commit(&self, partition: i32, offset: i64, metadata: &str) {
        let position = position(&self.at(partition), offset, metadata);
        self.kafka.admin(&self.group).set_positions(&[position]).unwrap();
    }

    fn state(&self) -> serde_json::Value {
        let ran = self.run("state", &["--json"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        serde_json::from_str(&ran.out).unwrap()
    }
}

/// `kafka-topics.sh … --create --topic X --partitions N --config a=b …`, taken at its word.
fn obey(pipeline: &Pipeline, line: &str) {
    let words: Vec<_> = line.split_whitespace().collect();
    let after = |option: &str| words[words.iter().position(|word| *word == option).unwrap() + 1];
    assert_eq!(after("--bootstrap-server"), pipeline.kafka.brokers());
    let settings: Vec<_> = words.windows(2).filter(|pair| pair[0] == "--config").map(|pair| pair[1]).collect();
    let settings: Vec<_> = settings.iter().map(|setting| setting.split_once('=').unwrap()).collect();
    pipeline.create(after("--topic"), after("--partitions").parse().unwrap(), &settings);
}

#[test]
fn check_prints_the_commands_that_create_what_is_missing() {
    let pipeline = Pipeline::new("missing");
    pipeline.create(&pipeline.source, 3, &[("retention.ms", "-1")]);
    let ran = pipeline.run("check", &["--connect"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    let commands: Vec<_> = ran.out.lines().filter_map(|line| line.split_once("kafka-topics.sh ")).collect();
    assert_eq!(commands.len(), 3, "{}", ran.out);
    for (_, arguments) in commands {
        assert!(arguments.contains("--partitions 3 ") && arguments.contains("retention.ms=-1"), "{arguments}");
        obey(&pipeline, arguments);
    }
    let ran = pipeline.run("check", &["--connect"]);
    assert_eq!((ran.code, ran.out.contains("ready, no errors, no warnings")), (0, true), "{}", ran.out);
    assert!(ran.out.contains(&format!("reads   {} (3 partitions)", pipeline.source)), "{}", ran.out);
}

#[test]
fn check_creates_a_whole_pipeline_from_nothing() {
    let pipeline = Pipeline::new("nothing");
    let ran = pipeline.run("check", &["--connect"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    let commands = ran.out.lines().filter_map(|line| line.split_once("kafka-topics.sh "));
    assert_eq!(commands.map(|(_, arguments)| obey(&pipeline, arguments)).count(), 4, "{}", ran.out);
    let ran = pipeline.run("check", &["--connect"]);
    assert_eq!(ran.code, 0, "{}", ran.out);
}

#[test]
fn check_refuses_a_compacted_source_and_names_short_retentions() {
    let pipeline = Pipeline::new("compacted");
    pipeline.create_all(2);
    for (topic, setting, value, code, expected) in [
        (&pipeline.source, "retention.ms", "7200000", 0, "an open window reaches back 2 h"),
        (&pipeline.source, "retention.ms", "3600000", 2, "a restart would not find its records again"),
        (&pipeline.source, "retention.ms", "-1", 0, "ready, no errors, no warnings"),
        (&pipeline.sink, "retention.ms", "604800000", 0, "keeps records for 7 d, counted from their event time"),
        (&pipeline.sink, "message.timestamp.type", "LogAppendTime", 0, "stamps records with the time of writing"),
        (&pipeline.source, "cleanup.policy", "compact", 2, "is compacted: a restart would not find again"),
    ] {
        pipeline.kafka.admin("").set_topic_config(topic, setting, value).unwrap();
        // A broker takes a moment to show what it has been told.
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut ran = pipeline.run("check", &["--connect"]);
        while !ran.out.contains(expected) && Instant::now() < deadline {
            ran = pipeline.run("check", &["--connect"]);
        }
        assert!(ran.code == code && ran.out.contains(expected), "{setting}={value}: {ran:?}");
    }
}

#[test]
fn check_says_what_a_position_would_do() {
    let pipeline = Pipeline::new("positions");
    pipeline.create_all(1);
    load(pipeline.kafka, &pipeline.source, 0, 20);
    pipeline.commit(0, 10, &pipeline.checkpoint(5));
    let ran = pipeline.run("check", &["--connect"]);
    assert_eq!(ran.code, 0, "{}", ran.out);
    pipeline.write(&pipeline.kafka.brokers(), "2h");
    let ran = pipeline.run("check", &["--connect"]);
    assert!(ran.code == 2 && ran.out.contains("--accept-config-change="), "{}", ran.out);
    pipeline.commit(0, 10, "who wrote this?");
    let ran = pipeline.run("check", &["--connect"]);
    assert!(ran.code == 2 && ran.out.contains("it was not written by tidemill"), "{}", ran.out);
}

#[test]
fn a_broker_that_is_not_there_is_named() {
    let pipeline = Pipeline::new("nobody");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    pipeline.write(&address, "1h");
    let started = Instant::now();
    let ran = pipeline.run("check", &["--connect"]);
    assert!(ran.code == 2 && ran.out.contains(&format!("the brokers at {address}")), "{ran:?}");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    let ran = pipeline.run("state", &[]);
    assert!(ran.code == 1 && ran.err.contains(&address), "{ran:?}");
}

#[test]
fn properties_are_refused_before_anything_is_connected() {
    let pipeline = Pipeline::new("properties");
    let text = std::fs::read_to_string(pipeline.file()).unwrap();
    let text = text.replace("kafka: {", "kafka: { properties: { sesion.timeout.ms: 5, security.protocol: hunter2 },");
    std::fs::write(pipeline.file(), text).unwrap();
    for (command, arguments) in [("check", &["--connect"][..]), ("run", &[]), ("state", &[])] {
        let ran = pipeline.run(command, arguments);
        let said = format!("{}{}", ran.out, ran.err);
        assert!(ran.code == 2 && said.contains("did you mean `session.timeout.ms`?"), "{command}: {ran:?}");
        assert!(said.contains("does not take `security.protocol`"), "{command}: {ran:?}");
    }
}

#[test]
fn properties_that_do_not_fit_together_are_refused() {
    let pipeline = Pipeline::new("together");
    pipeline.create_all(1);
    let text = std::fs::read_to_string(pipeline.file()).unwrap();
    let text = text.replace("kafka: {", "kafka: { consumer_properties: { max.poll.interval.ms: 1000 },");
    std::fs::write(pipeline.file(), text).unwrap();
    let ran = pipeline.run("check", &["--connect"]);
    assert!(ran.code == 2 && ran.out.contains("`max.poll.interval.ms`"), "{ran:?}");
}

#[test]
fn state_shows_positions_that_are_there_and_that_are_not() {
    let pipeline = Pipeline::new("shown");
    pipeline.create_all(3);
    let none = pipeline.state();
    assert_eq!((&none["members"], &none["partitions"][0]["standing"]), (&serde_json::json!([]), &"new".into()));
    load(pipeline.kafka, &pipeline.source, 0, 20);
    pipeline.commit(0, 10, &pipeline.checkpoint(4));
    pipeline.commit(1, 0, "who wrote\u{1b}this?");
    let state = pipeline.state();
    let first = &state["partitions"][0];
    let shown: BTreeMap<_, _> = ["standing", "replay_from", "replay_records", "log_end", "lag", "digest_matches"]
        .map(|name| (name, first[name].to_string()))
        .into();
    let expected = [
        ("standing", "\"resumable\""),
        ("replay_from", "4"),
        ("replay_records", "6"),
        ("log_end", "20"),
        ("lag", "10"),
        ("digest_matches", "true"),
    ];
    assert_eq!(shown, expected.map(|(name, value)| (name, value.to_owned())).into());
    assert_eq!(state["partitions"][1]["standing"], "held");
    let ran = pipeline.run("state", &[]);
    for expected in ["2013-01-01T00:00:00Z", "resumable", "is held:", r#"metadata: "who wrote\u{1b}this?""#] {
        assert!(ran.code == 0 && ran.out.contains(expected), "no {expected}: {}", ran.out);
    }
}

#[test]
fn positions_are_reset_only_while_nobody_is_there() {
    let pipeline = Pipeline::new("reset");
    pipeline.create_all(2);
    load(pipeline.kafka, &pipeline.source, 0, 20);
    pipeline.commit(0, 10, &pipeline.checkpoint(4));
    pipeline.commit(1, 0, "garbage");
    let all = format!("{}[0]=earliest", pipeline.source);
    let second = format!("{}:1=erase", pipeline.source);
    let resets = ["--reset", all.as_str(), "--reset", second.as_str()];

    let mut lane = Lane::new(options(pipeline.kafka, &pipeline.source, &pipeline.sink, &pipeline.group));
    lane.begin_at_zero(2);
    let ran = pipeline.run("state", &resets);
    assert!(ran.code == 1 && ran.err.contains("has members") && ran.err.contains("tidemill-"), "{ran:?}");
    let state = pipeline.state();
    assert_eq!((&state["partitions"][0]["offset"], &state["state"]), (&10.into(), &"Stable".into()), "{state}");
    assert!(state["partitions"][0]["member"].as_str().is_some_and(|id| id.starts_with("tidemill-")), "{state}");
    lane.broker.close(Duration::from_secs(5));

    let deadline = Instant::now() + Duration::from_secs(20);
    let mut ran = pipeline.run("state", &resets);
    while ran.code != 0 && Instant::now() < deadline {
        ran = pipeline.run("state", &resets);
    }
    assert!(ran.code == 0 && ran.out.contains("10 (replay from 4) → 0, starts clean there"), "{ran:?}");
    let positions = pipeline.kafka.admin(&pipeline.group).positions(&[pipeline.at(0), pipeline.at(1)]).unwrap();
    assert_eq!(positions, [Some(Committed { offset: 0, metadata: String::new() }), None]);
    assert_eq!(pipeline.state()["partitions"][0]["standing"], "clean");
}

#[test]
fn a_reset_that_makes_no_sense_changes_nothing() {
    let pipeline = Pipeline::new("senseless");
    pipeline.create_all(1);
    load(pipeline.kafka, &pipeline.source, 0, 5);
    pipeline.commit(0, 3, "");
    for (reset, code, expected) in [
        (format!("{}[1]=earliest", pipeline.source), 2, "does not exist"),
        (format!("{}[0]=6", pipeline.source), 2, "has offsets 0 to 5"),
        ("other[0]=0".to_owned(), 2, "does not read topic `other`"),
        ("all".to_owned(), 2, "PARTITION=WHERE"),
    ] {
        let ran = pipeline.run("state", &["--reset", "all=earliest", "--reset", &reset]);
        assert!(ran.code == code && ran.err.contains(expected), "{reset}: {ran:?}");
    }
    assert_eq!(pipeline.state()["partitions"][0]["offset"], 3);
}

#[test]
fn what_a_transaction_committed_is_resumable() {
    let pipeline = Pipeline::new("transaction");
    pipeline.create_all(1);
    let mut lane = Lane::new(options(pipeline.kafka, &pipeline.source, &pipeline.sink, &pipeline.group));
    lane.begin_at_zero(1);
    lane.producer();
    insist("begin", || lane.broker.begin()).unwrap();
    lane.commit(&[position(&pipeline.at(0), 0, &pipeline.checkpoint(0))]).unwrap();
    assert_eq!(pipeline.state()["partitions"][0]["standing"], "resumable");
}

/// 30,000 records in 300 s of event time, every tenth key twice as often as the others.
fn load_minutes(pipeline: &Pipeline) {
    let mut loader = Loader::open(&pipeline.kafka.config(""), &pipeline.source).unwrap();
    for number in 0..30_000_i64 {
        let key = format!("key-{}", number % 11 % 10 * 500 + number / 11 % 500);
        let time_ms = 1_700_000_000_000 + number * 10;
        loader.send(-1, time_ms, Some(key.as_bytes()), Some(b"{\"v\":1}"), Headers::default()).unwrap();
    }
    loader.flush(Duration::from_secs(20)).unwrap();
}

#[test]
fn plan_looks_at_the_topic_and_leaves_no_trace_in_the_group() {
    let pipeline = Pipeline::new("plan");
    pipeline.create_all(3);
    let empty = pipeline.run("plan", &["--connect"]);
    assert!(empty.code == 1 && empty.err.contains("say nothing"), "{empty:?}");
    load_minutes(&pipeline);
    let ran = pipeline.run("plan", &["--connect", "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let plan: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let number = |path: &str| plan.pointer(path).and_then(serde_json::Value::as_f64).unwrap();
    let near = |path: &str, expected: f64| assert!((number(path) / expected - 1.0).abs() < 0.03, "{path}: {plan:#}");
    near("/load/keys", 5000.0);
    near("/load/records_per_second", 100.0);
    near("/load/hottest_key_share", 12.0 / 30_000.0);
    assert_eq!((number("/load/partitions"), number("/load/sampled/records")), (3.0, 30_000.0));
    assert_eq!(number("/restore/span_ms"), 7_200_000.0);
    let few = pipeline.run("plan", &["--connect", "--sample", "3k"]);
    assert!(few.code == 0 && few.out.contains("by a sample of 3,000 records"), "{few:?}");
    let state = pipeline.state();
    assert_eq!(state["members"].as_array().map(Vec::len), Some(0));
    assert!(state["partitions"].as_array().unwrap().iter().all(|row| row["offset"].is_null()), "{state:#}");
}

#[test]
fn a_plan_of_brokers_that_are_away_fails_and_says_where_they_should_be() {
    let pipeline = Pipeline::new("plan-away");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    pipeline.write(&format!("127.0.0.1:{port}"), "1h");
    let ran = pipeline.run("plan", &["--connect"]);
    assert!(ran.code == 1 && ran.err.contains(&format!("cannot ask the brokers at 127.0.0.1:{port}")), "{ran:?}");
}
