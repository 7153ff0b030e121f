//! What is shipped for operators, asked for real: workers under load on Apache Kafka, scraped by Prometheus and by
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
use process::{Worker, until};
use servers::Store;
use stage::{PARTITIONS, Setup, Stage};
use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::kafka::Kafka;
use support::panels::{self, Query};

/// Longest wait for answers: a whole minute, and what a busy machine adds.
const PATIENCE: Duration = Duration::from_secs(150);
/// Between two rounds of questions.
const ASK_AGAIN: Duration = Duration::from_millis(200);
const NAMES: [&str; 3] = ["flow", "memory", "why-not-closing"];
const WEEK_MS: &str = "604800000";

/// What some panels need before they have data (`event` in their source), and the series that says that it has happened.
const EVENTS: [(&str, &str); 2] = [
    ("a restore", "tidemill_poll_restore_duration_seconds_count"),
    ("a whole minute of a partition", "tidemill_commit_partition_seconds_total"),
];

fn setup() -> Setup {
    Setup {
        kafka: vec!["consumer_properties: { session.timeout.ms: 6000, heartbeat.interval.ms: 500 }".into()],
        window: "tumbling: 2s, grace: 1s, idle: { after: 1s }".into(),
        ..Setup::default()
    }
}

#[test]
fn every_query_of_every_panel_variable_and_rule_has_an_answer() {
    let stage = Stage::new(Kafka::shared(), "flights", setup());
    let mut admin = stage.kafka.admin("");
    admin.set_topic_config(&stage.source, "retention.ms", WEEK_MS).unwrap();
    until("the source keeps a week", || admin.topic_config(&stage.source).unwrap()["retention.ms"] == WEEK_MS);
    let mut workers = [stage.worker("a"), stage.worker("b")];
    // Without records so far, so that nobody has anything to restore.
    until_all_live(&workers);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    servers::write_targets(folder.path(), &workers.each_ref().map(Worker::address));
    let stores = [Store::prometheus(folder.path(), 1), Store::victoria(folder.path())];
    let load = Load::start(&stage);

    let queries: Vec<Query> = NAMES.iter().flat_map(|name| panels::queries(name)).collect();
    let (needy, plain): (Vec<_>, Vec<_>) = queries.iter().partition(|query| query.event.is_some());
    until_answered(&stores, &plain);
    for query in &needy {
        let early = stores.iter().any(|store| has_answer(store, query));
        let (event, series) = event_of(query);
        assert!(!early || sum(&workers, series) > 0.0, "{} has data without {event}: it needs none", query.panel);
    }
    let named: BTreeSet<_> = needy.iter().map(|query| event_of(query)).collect();
    assert_eq!(named, EVENTS.into(), "an event that no panel needs");

    // One is killed, and its successor reads again what its windows held; the minutes of the other one go on.
    workers[1].kill();
    workers[1] = stage.worker("b");
    servers::write_targets(folder.path(), &workers.each_ref().map(Worker::address));
    until_all_live(&workers);
    until_answered(&stores, &needy);
    takes_the_metrics(&workers[1].page("/metrics").unwrap().1);
    until_every_metric_is_shown(&workers[1]);

    for (label, metric) in NAMES.iter().flat_map(|name| panels::variables(name)).collect::<BTreeSet<_>>() {
        for store in &stores {
            assert!(!store.label_values(&label, &metric).is_empty(), "{}: {label} of {metric}", store.name);
        }
    }
    // An alert has data when it fires: what it is made of must have some now.
    let rules = panels::rules();
    let recorded = rules.iter().filter(|rule| !rule.is_alert).map(|rule| rule.name.clone());
    let names: BTreeSet<_> = rules.iter().flat_map(|rule| panels::metrics_in(&rule.expr)).chain(recorded).collect();
    for store in &stores {
        until(&format!("{} has evaluated all rules", store.name), || store.evaluated_rules() == rules.len());
        for name in &names {
            let series = format!("{{__name__=~\"{name}(_bucket)?\"}}");
            until(&format!("{} has {name}, of a rule", store.name), || !store.numbers(&series).is_empty());
        }
    }
    if let Some(folder) = std::env::var_os("TIDEMILL_PICTURES") {
        stores[0].draw(folder.as_ref());
    }
    load.stop();
    workers.into_iter().for_each(Worker::stop_well);
}

fn until_all_live(workers: &[Worker]) {
    until("all partitions are live, some with each worker", || {
        let live = |worker: &Worker| worker.sum("tidemill_poll_partition_state", &[r#"state="live""#]);
        let live: Vec<_> = workers.iter().map(live).collect();
        live.iter().all(|partitions| *partitions > 0.0) && live.iter().sum::<f64>() == f64::from(PARTITIONS)
    });
}

fn sum(workers: &[Worker], series: &str) -> f64 {
    workers.iter().map(|worker| worker.sum(series, &[])).sum()
}

fn event_of(query: &Query) -> (&'static str, &'static str) {
    let event = query.event.as_deref().unwrap();
    *EVENTS.iter().find(|(name, _)| *name == event).unwrap_or_else(|| panic!("{}: what is {event}?", query.panel))
}

fn has_answer(store: &Store, query: &Query) -> bool {
    !store.numbers(&query.plain("30s", "300s")).is_empty()
}

/// Asks until each store has had a number for each query.
fn until_answered(stores: &[Store], queries: &[&Query]) {
    let deadline = Instant::now() + PATIENCE;
    let mut left: Vec<_> = stores.iter().flat_map(|store| queries.iter().map(move |query| (store, *query))).collect();
    loop {
        left.retain(|(store, query)| !has_answer(store, query));
        if left.is_empty() {
            return;
        }
        let word = |(store, query): &(&Store, &Query)| {
            format!("{}: {} / {}: {}", store.name, query.dashboard, query.panel, query.expr)
        };
        assert!(Instant::now() < deadline, "no answer:\n{}", left.iter().map(word).collect::<Vec<_>>().join("\n"));
        std::thread::sleep(ASK_AGAIN);
    }
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

/// A live worker under load shows every metric that there is, if not all at one time.
fn until_every_metric_is_shown(worker: &Worker) {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md")).unwrap();
    let names = page.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0));
    for name in names {
        until(&format!("a live worker shows {name}"), || {
            worker.page("/metrics").is_some_and(|(_, text)| text.contains(&format!("# TYPE {name} ")))
        });
    }
}
