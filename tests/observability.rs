//! What is shipped for operators, asked for real: a worker under load on Apache Kafka, scraped by Prometheus and by
//! VictoriaMetrics; every query of every panel, variable and rule must have an answer in both.
//!
//! Needs Debian's packages `prometheus` and `victoria-metrics`; all servers listen on loopback.

#![allow(unreachable_pub)] // A test exports nothing; `pub` says what its modules offer each other.

#[path = "support"]
mod support {
    pub mod kafka;
    pub mod model;
    pub mod panels;
}

#[path = "observability/drill.rs"]
mod drill;
#[path = "observability/load.rs"]
mod load;
#[allow(dead_code)] // made for the tests of the worker
#[path = "worker/process.rs"]
mod process;
#[allow(dead_code)]
#[path = "worker/read_back.rs"]
mod read_back;
#[path = "observability/servers.rs"]
mod servers;
#[allow(dead_code)]
#[path = "worker/stage.rs"]
mod stage;

use load::Load;
use process::until;
use servers::{Prometheus, Victoria};
use stage::{Setup, Stage};
use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;
use support::kafka::Kafka;
use support::panels::{self, Query};

/// Longest wait for an answer to every query: the first whole minute of a partition is one of them.
const PATIENCE: Duration = Duration::from_secs(150);
const NAMES: [&str; 3] = ["flow", "memory", "why-not-closing"];
const WEEK_MS: &str = "604800000";

fn setup() -> Setup {
    Setup {
        kafka: vec!["properties: { session.timeout.ms: 6000, heartbeat.interval.ms: 500 }".into()],
        window: "tumbling: 2s, grace: 1s, idle: { after: 1s }".into(),
        ..Setup::default()
    }
}

#[test]
fn every_query_of_every_panel_variable_and_rule_has_an_answer() {
    let stage = Stage::new(Kafka::shared(), "seen", setup());
    stage.kafka.admin("").set_topic_config(&stage.source, "retention.ms", WEEK_MS).unwrap();
    let load = Load::start(&stage);
    let mut workers = [stage.worker("a"), stage.worker("b")];
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    servers::write_targets(folder.path(), &workers.each_ref().map(|worker| worker.address()));
    let (prometheus, victoria) = (Prometheus::start(folder.path(), 1), Victoria::start(folder.path()));
    for worker in &workers {
        until("both own partitions", || worker.sum("tidemill_poll_partition_state", &[r#"state="live""#]) > 0.0);
    }
    // The event of a restore: one is killed, and its successor reads again what its windows held.
    workers[1].kill();
    workers[1] = stage.worker("b");
    servers::write_targets(folder.path(), &workers.each_ref().map(|worker| worker.address()));
    until("something was restored", || {
        workers.iter().map(|it| it.sum("tidemill_poll_restore_duration_seconds_count", &[])).sum::<f64>() > 0.0
    });

    let (_, text) = workers[0].page("/metrics").unwrap();
    takes_the_metrics(&text);
    names_every_metric(&text);

    let queries: Vec<Query> = NAMES.iter().flat_map(|name| panels::queries(name)).collect();
    let ask = |find: &dyn Fn(&str) -> usize, who: &str| {
        let mut left: Vec<_> = queries.iter().collect();
        wait_or(PATIENCE, || {
            left.retain(|query| find(&query.plain("60s", "120s")) == 0);
            left.is_empty()
        });
        let left: Vec<_> = left.iter().map(|it| format!("{} / {}: {}", it.dashboard, it.panel, it.expr)).collect();
        assert!(left.is_empty(), "{who} has no answer to:\n{}", left.join("\n"));
    };
    ask(&|expr| prometheus.query(expr).len(), "Prometheus");
    ask(&|expr| victoria.query(expr).len(), "VictoriaMetrics");

    for (label, metric) in NAMES.iter().flat_map(|name| panels::variables(name)).collect::<BTreeSet<_>>() {
        assert!(!prometheus.label_values(&label, &metric).is_empty(), "Prometheus: {label} of {metric}");
        assert!(!victoria.label_values(&label, &metric).is_empty(), "VictoriaMetrics: {label} of {metric}");
    }
    let rules = panels::rules();
    assert_eq!(prometheus.healthy_rules(), rules.len());
    assert_eq!(victoria.healthy_rules(), rules.len());
    for name in rules.iter().flat_map(|rule| panels::metrics_in(&rule.expr)).collect::<BTreeSet<_>>() {
        let series = format!("{{__name__=~\"{name}(_bucket)?\"}}");
        assert!(!prometheus.query(&series).is_empty() && !victoria.query(&series).is_empty(), "a rule asks for {name}");
    }
    load.stop();
    workers.into_iter().for_each(process::Worker::stop_well);
}

/// `promtool check metrics` says nothing of a scrape.
fn takes_the_metrics(text: &str) {
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = promtool.spawn().expect("promtool is installed");
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

/// A live worker under load shows every metric that there is.
fn names_every_metric(text: &str) {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md")).unwrap();
    let names = page.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0));
    let missing: Vec<_> = names.filter(|name| !text.contains(&format!("# TYPE {name} "))).collect();
    assert!(missing.is_empty(), "a live worker does not show {missing:?}");
}

/// Looks once a second until it is so, or the time is over.
fn wait_or(patience: Duration, mut look: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + patience;
    while !look() && std::time::Instant::now() < deadline {
        std::thread::sleep(Duration::from_secs(1));
    }
}
