//! The incident drill: the pool of a live worker is exhausted; which alerts fire, after how long, do the panels that
//! docs/operations.md names lead to the cause, and does the way out that it gives lead out?

use crate::load::now_ms;
use crate::process::{Worker, until};
use crate::servers::{self, Store};
use crate::stage::{Setup, Stage};
use crate::support::kafka::Kafka;
use crate::support::panels;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use tidemill::broker::Headers;

/// Alerts wait for a sixtieth of their time: minutes become seconds.
const HURRY: u32 = 60;
/// The alerts that the drill must set off.
const EXPECTED: [&str; 3] = ["TidemillBackPressure", "TidemillPartitionHeld", "TidemillPoolNearlyFull"];
/// Those that must have begun to wait for their time.
const BEGUN: [&str; 3] = ["TidemillPoolFullSoon", "TidemillWorkerNotReady", "TidemillLagGrows"];
/// The way of the page: from which alert to which panels.
const WAY: [(&str, &[&str]); 3] = [
    ("TidemillBackPressure", &["memory: Step of the ladder"]),
    ("TidemillPartitionHeld", &["memory: Partitions held for memory"]),
    ("TidemillPoolNearlyFull", &["memory: Pool by tier", "memory: Held until the commit", "flow: Open rows"]),
];
/// Keys in one round of the flood.
const KEYS: u64 = 2_000;

fn setup(budget: &str) -> Setup {
    Setup {
        partitions: 1,
        window: "tumbling: 1h, grace: 0s, idle: off".into(),
        rest: format!("lanes: 1\nmemory: {{ budget: {budget} }}"),
        ..Setup::default()
    }
}

#[test]
fn a_pool_that_is_exhausted_is_reported_and_the_panels_lead_to_the_cause_and_out() {
    let mut stage = Stage::new(Kafka::shared(), "drill", setup("32MiB"));
    let worker = stage.worker("a");
    worker.until_live(1);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    servers::write_targets(folder.path(), &[worker.address()]);
    let store = Store::prometheus(folder.path(), HURRY);
    until("the worker is scraped", || !store.numbers("tidemill_memory_budget_bytes").is_empty());
    assert_eq!(alerts(&store, "firing"), [""; 0]);

    let (sent, mut seen) = flood(&stage, &store);
    until("what takes longer has begun to wait, the lag among it", || {
        let seen = seen.look(&store);
        BEGUN.iter().all(|name| seen.has(name, "pending") || seen.has(name, "firing"))
    });
    println!("{sent} keys; after the first of them (a firing alert has waited for 1/{HURRY} of its time):");
    for ((name, state), after) in &seen.first {
        println!("{name} is {state} after {:.1} s", after.as_secs_f64());
    }

    // From the alert to the cause, as the page says.
    WAY.iter().for_each(|(alert, panels)| leads(alert, panels));
    until("nothing more is read", || panel(&store, "flow", "Records read", 0) == 0.0);
    let (lent, ceiling) = (panel(&store, "memory", "Pool by tier", 0), panel(&store, "memory", "Pool by tier", 3));
    let (step, rows) = (panel(&store, "memory", "Step of the ladder", 0), panel(&store, "flow", "Open rows", 0));
    let deferred = panel(&store, "memory", "Held until the commit", 0);
    let closed = panel(&store, "flow", "Windows closed", 0);
    let (held, lag) =
        (panel(&store, "memory", "Partitions held for memory", 0), panel(&store, "flow", "Lag in records", 0));
    println!(
        "pool {lent} of {ceiling} bytes, {deferred} held until the commit, ladder at {step}, {rows} rows open; in a second \
         {closed} windows closed; {lag} wait, {held} partitions held"
    );
    assert!(lent > ceiling && step == 3.0, "{lent} of {ceiling}, step {step}");
    assert!(rows > 1000.0 && closed == 0.0 && deferred == 0.0, "{rows} rows, {closed} closed, {deferred} deferred");
    assert!(held == 1.0 && lag > 0.0 && lag <= sent as f64 - rows, "{held} held, {lag} wait");

    // And out: a bigger budget and a restart lose nothing.
    worker.stop_well();
    stage.setup = setup("256MiB");
    let (began, worker) = (Instant::now(), stage.worker("a"));
    servers::write_targets(folder.path(), &[worker.address()]);
    let rows = |worker: &Worker| worker.sum("tidemill_close_open_rows", &[]);
    until("every key is in the window", || rows(&worker) == sent as f64);
    // The error budget remembers the restart, and its windows are not hurried.
    let remembers = |name: &String| name.starts_with("TidemillErrorBudget");
    until("no other alert fires any more", || alerts(&store, "firing").iter().all(remembers));
    println!(
        "with a bigger budget: all {sent} keys in memory and no alert after {:.1} s",
        began.elapsed().as_secs_f64()
    );
    worker.stop_well();
}

/// When each alert was first seen in each of its states.
struct Seen {
    began: Instant,
    first: BTreeMap<(String, &'static str), Duration>,
}

impl Seen {
    fn look(&mut self, store: &Store) -> &Self {
        for state in ["pending", "firing"] {
            for name in alerts(store, state) {
                self.first.entry((name, state)).or_insert_with(|| self.began.elapsed());
            }
        }
        self
    }

    fn has(&self, name: &str, state: &'static str) -> bool {
        self.first.contains_key(&(name.to_owned(), state))
    }
}

/// More keys than a window can hold, and nothing closes for an hour; until the alerts fire. How many keys that took.
fn flood(stage: &Stage<'_>, store: &Store) -> (u64, Seen) {
    let (mut seen, t) = (Seen { began: Instant::now(), first: BTreeMap::new() }, now_ms());
    let (mut loader, mut sent) = (stage.loader(), 0);
    until("the alerts of a full pool fire", || {
        for number in sent..sent + KEYS {
            let (key, value) = (format!("a-key-of-some-length-{number}"), format!(r#"{{"t":{t},"v":1}}"#));
            loader.send(0, t, Some(key.as_bytes()), Some(value.as_bytes()), Headers::default()).unwrap();
        }
        loader.flush(Duration::from_secs(20)).unwrap();
        sent += KEYS;
        let seen = seen.look(store);
        EXPECTED.iter().all(|name| seen.has(name, "firing"))
    });
    (sent, seen)
}

/// The section that an alert leads to names these panels.
fn leads(alert: &str, panels: &[&str]) {
    let rules = panels::rules();
    let rule = rules.iter().find(|rule| rule.name == alert).unwrap();
    let (page, section) = rule.runbook.split_once('#').unwrap();
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
    let text = page.split("\n### ").find(|text| panels::anchor(text.lines().next().unwrap()) == section).unwrap();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for panel in panels {
        assert!(text.contains(&format!("`{panel}`")), "{alert} does not lead to {panel}");
    }
}

/// Names of the alerts in this state.
fn alerts(store: &Store, state: &str) -> Vec<String> {
    let alerts = store.query(&format!(r#"ALERTS{{alertstate="{state}"}}"#));
    alerts.iter().filter_map(|alert| alert["metric"]["alertname"].as_str().map(str::to_owned)).collect()
}

/// What this query of this panel shows now, all series together.
fn panel(store: &Store, dashboard: &str, panel: &str, query: usize) -> f64 {
    let queries = panels::queries(dashboard);
    let all: Vec<_> = queries.iter().filter(|it| it.panel == panel).collect();
    store.numbers(&all[query].plain("5s", "60s")).iter().sum()
}
