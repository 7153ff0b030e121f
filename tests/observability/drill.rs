//! The incident drill: the pool of a live worker is exhausted; which alert fires, after how long, and do the panels that
//! docs/operations.md names lead to the cause?

use crate::load::now_ms;
use crate::process::until;
use crate::servers::{self, Prometheus};
use crate::stage::{Setup, Stage};
use crate::support::kafka::Kafka;
use crate::support::panels;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tidemill::broker::Headers;

/// Alerts wait for a sixtieth of their time: minutes become seconds.
const HURRY: u32 = 60;
/// The alerts that the drill must set off.
const EXPECTED: [&str; 2] = ["TidemillBackPressure", "TidemillPoolNearlyFull"];
/// Keys in one round of the flood.
const KEYS: u64 = 2_000;

#[test]
fn a_pool_that_is_exhausted_is_reported_and_the_panels_lead_to_the_cause() {
    let setup = Setup {
        partitions: 1,
        window: "tumbling: 1h, grace: 0s, idle: off".into(),
        rest: "lanes: 1\nmemory: { budget: 32MiB }".into(),
        ..Setup::default()
    };
    let stage = Stage::new(Kafka::shared(), "drill", setup);
    let worker = stage.worker("a");
    worker.until_live(1);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    servers::write_targets(folder.path(), &[worker.address()]);
    let prometheus = Prometheus::start(folder.path(), HURRY);
    until("the worker is scraped", || !prometheus.query("tidemill_memory_budget_bytes").is_empty());

    // More keys than a window can hold: nothing closes for an hour.
    let (began, t) = (Instant::now(), now_ms());
    let (mut loader, mut sent) = (stage.loader(), 0);
    let mut fired: BTreeMap<String, Duration> = BTreeMap::new();
    until("the alerts of a full pool fire", || {
        for number in sent..sent + KEYS {
            let (key, value) = (format!("a-key-of-some-length-{number}"), format!(r#"{{"t":{t},"v":1}}"#));
            loader.send(0, t, Some(key.as_bytes()), Some(value.as_bytes()), Headers::default()).unwrap();
        }
        loader.flush(Duration::from_secs(20)).unwrap();
        sent += KEYS;
        for alert in prometheus.query(r#"ALERTS{alertstate="firing"}"#) {
            let name = alert["metric"]["alertname"].as_str().unwrap_or_default().to_owned();
            fired.entry(name).or_insert_with(|| began.elapsed());
        }
        EXPECTED.iter().all(|name| fired.contains_key(*name))
    });
    println!("{sent} keys; alerts after: {fired:?} (each waits for 1/{HURRY} of its time)");

    // From the alert to the cause, as the page says.
    let number = |dashboard: &str, panel: &str, query: usize| -> f64 {
        let queries = panels::queries(dashboard);
        let all: Vec<_> = queries.iter().filter(|it| it.panel == panel).collect();
        let answer = prometheus.query(&all[query].plain("15s", "60s"));
        answer.iter().filter_map(|it| it["value"][1].as_str()?.parse::<f64>().ok()).sum()
    };
    // The last query of the panel is the ceiling without the reserve.
    let (lent, ceiling) = (number("memory", "Pool by tier", 0), number("memory", "Pool by tier", 3));
    let (step, rows) = (number("memory", "Step of the ladder", 0), number("flow", "Open rows", 0));
    let closed = number("flow", "Windows closed", 0);
    println!("pool {lent} of {ceiling} bytes, ladder at {step}, {rows} rows open, {closed} windows closed in a second");
    assert!(lent > 0.9 * ceiling && step == 3.0, "{lent} of {ceiling}, step {step}");
    assert!(rows > 1000.0 && closed == 0.0, "{rows} rows, {closed} closed");
}
