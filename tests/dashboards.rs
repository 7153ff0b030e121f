//! The dashboards: written from `dashboards/source`, linted, and true to the metrics that there are.
//!
//! `TIDEMILL_WRITE=1 cargo test --test dashboards` writes them anew.

#![allow(unreachable_pub)] // A test exports nothing; `pub` says what its modules offer each other.

#[path = "dashboards/grafana.rs"]
mod grafana;
#[path = "dashboards/lint.rs"]
mod lint;
#[path = "dashboards/marks.rs"]
mod marks;
#[path = "support/panels.rs"]
mod panels;
#[path = "dashboards/source.rs"]
mod source;

use panels::{Query, metrics_in};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

const NAMES: [&str; 3] = ["flow", "memory", "why-not-closing"];

/// Metrics of the code that no panel and no rule needs.
const INTERNAL: [&str; 0] = [];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Names of all metrics, from the page that a test of the library keeps true to the code.
fn metrics_of_the_code() -> BTreeSet<String> {
    let page = read("docs/metrics.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    rows.map(|(name, _)| name.to_owned()).collect()
}

/// What is on a panel: what it asks for, and what is in a recording that it asks for, at any remove.
fn shown(on_panels: &BTreeSet<String>, rules: &[panels::Rule]) -> BTreeSet<String> {
    let (mut shown, mut fresh) = (BTreeSet::new(), on_panels.clone());
    while !fresh.is_empty() {
        let recordings = rules.iter().filter(|rule| !rule.is_alert && fresh.contains(&rule.name));
        let next = recordings.flat_map(|rule| metrics_in(&rule.expr)).collect::<BTreeSet<_>>();
        shown.append(&mut fresh);
        fresh = &next - &shown;
    }
    shown
}

#[test]
fn the_dashboards_are_what_their_source_says() {
    for name in NAMES {
        let source = source::parse(&read(&format!("dashboards/source/{name}.yaml")));
        let written = grafana::dashboard(&source);
        let path = format!("dashboards/{name}.json");
        if std::env::var_os("TIDEMILL_WRITE").is_some() {
            std::fs::write(root().join(&path), &written).unwrap();
        }
        assert!(
            read(&path) == written,
            "{path} is not what its source says: TIDEMILL_WRITE=1 cargo test --test dashboards"
        );
    }
}

#[test]
fn the_dashboards_keep_the_rules_of_dashboard_linter() {
    let complaints: Vec<_> = NAMES.iter().flat_map(|name| lint::dashboard(name, &panels::dashboard(name))).collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// What these compare is on no panel as one number: a watermark with itself.
const UNMARKED: [&str; 1] = ["TidemillWatermarkStuck"];

#[test]
fn panels_and_alerts_have_the_same_marks() {
    let rules = panels::rules();
    let sources = NAMES.map(|name| source::parse(&read(&format!("dashboards/source/{name}.yaml"))));
    let all = || sources.iter().flat_map(|source| source.rows.iter().flat_map(|row| &row.panels));
    let complaints: Vec<_> = all().flat_map(|panel| marks::panel(panel, &rules)).collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
    let marked: BTreeSet<_> = all().flat_map(|panel| panel.alerts.iter().map(String::as_str)).collect();
    for rule in rules.iter().filter(|rule| rule.is_alert && !marks::marks(&rule.expr).is_empty()) {
        let name = &*rule.name;
        assert_ne!(marked.contains(name), UNMARKED.contains(&name), "{name}: which panel shows its mark?");
    }
    for (alert, thresholds, fits) in [
        ("TidemillLagGrows", "[0, orange@10000]", true),
        ("TidemillLagGrows", "[0, orange@100000]", false),
        ("TidemillLagGrows", "[0, red@10000]", false),
        ("TidemillLagGrows", "[0, orange@1]", false),
        ("TidemillRetentionHeadroom", "[red@0, green@21600]", true),
        ("TidemillRetentionHeadroom", "[red@0, green@3600]", false),
        ("TidemillBackPressure", "[0, red@2]", false),
        ("TidemillWorkerDown", "[0]", false),
        ("TidemillWorker", "[0, red@1]", false),
    ] {
        let panel = format!(
            "{{ title: T, description: D, unit: s, thresholds: {thresholds}, alerts: [{alert}], see: x, queries: [] }}"
        );
        let panel = serde_saphyr::from_str(&panel).unwrap();
        assert_eq!(marks::panel(&panel, &rules).is_empty(), fits, "{alert} {thresholds}");
    }
}

#[test]
fn the_lint_finds_planted_faults() {
    let good = panels::dashboard("flow");
    let with = |pointer: &str, value: serde_json::Value| {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value;
        lint::dashboard("flow", &bad).len()
    };
    for (pointer, value) in [
        ("/editable", serde_json::json!(true)),
        ("/panels/1/title", serde_json::json!("")),
        ("/panels/1/description", serde_json::json!("")),
        ("/panels/1/fieldConfig/defaults/unit", serde_json::json!("")),
        ("/panels/1/fieldConfig/defaults/unit", serde_json::json!("second")),
        ("/panels/1/fieldConfig/defaults/thresholds/steps", serde_json::json!([])),
        ("/panels/1/datasource/uid", serde_json::json!("prometheus")),
        ("/panels/1/links", serde_json::json!([])),
        ("/panels/1/targets", serde_json::json!([])),
        (
            "/panels/1/targets/0/expr",
            serde_json::json!("sum(tidemill_poll_records_total{job=~\"$job\",instance=~\"$instance\"})"),
        ),
        (
            "/panels/1/targets/0/expr",
            serde_json::json!("sum(rate(tidemill_poll_records_total{job=~\"$job\",instance=~\"$instance\"}[5m]))"),
        ),
        ("/panels/1/targets/0/expr", serde_json::json!("sum(tidemill_poll_lanes{job=~\"$job\"})")),
        ("/templating/list/0/name", serde_json::json!("source")),
        ("/templating/list/1/multi", serde_json::json!(false)),
        ("/templating/list/2/allValue", serde_json::json!("")),
    ] {
        assert!(with(pointer, value.clone()) > 0, "{pointer} = {value}");
    }
}

#[test]
fn every_metric_is_on_a_panel_or_internal_and_every_one_that_is_asked_for_exists() {
    let code = metrics_of_the_code();
    let rules = panels::rules();
    let recorded: BTreeSet<_> = rules.iter().filter(|rule| !rule.is_alert).map(|rule| rule.name.clone()).collect();
    let on_panels: BTreeSet<_> = queries().iter().flat_map(|query| metrics_in(&query.expr)).collect();
    let in_rules: BTreeSet<_> = rules.iter().flat_map(|rule| metrics_in(&rule.expr)).collect();
    let known = |name: &&String| !code.contains(*name) && !recorded.contains(*name) && *name != "up";
    let invented: Vec<_> = on_panels.union(&in_rules).filter(known).collect();
    assert!(invented.is_empty(), "panels or rules ask for what does not exist: {invented:?}");
    let internal: BTreeSet<_> = INTERNAL.iter().map(|name| (*name).to_owned()).collect();
    let hidden = &code - &shown(&on_panels, &rules);
    assert_eq!(hidden, internal, "metrics without a panel; put them on one or on INTERNAL");
    let asked = |expr: &str| shown(&metrics_in(expr), &rules);
    assert!(asked("tidemill:unavailable:ratio_rate1h").contains("tidemill_close_open_panes"), "at two removes");
    assert!(!asked("tidemill:pool_used:ratio").contains("tidemill_poll_lag_records"), "of another recording");
}

#[test]
fn every_panel_and_every_alert_leads_to_a_section_of_operations_and_back() {
    let page = read("docs/operations.md");
    let headings: BTreeSet<_> = page.lines().filter_map(|line| Some(panels::anchor(line.strip_prefix('#')?))).collect();
    for query in queries() {
        assert!(headings.contains(&query.see), "{}: no section {} in docs/operations.md", query.panel, query.see);
    }
    for rule in panels::rules().iter().filter(|rule| rule.is_alert) {
        let section = rule.runbook.strip_prefix("docs/operations.md#").unwrap_or_else(|| panic!("{}", rule.name));
        assert!(headings.contains(section), "{}: no section {section} in docs/operations.md", rule.name);
        assert!(page.contains(&format!("`{}`", rule.name)), "docs/operations.md does not name {}", rule.name);
    }
}

#[test]
fn every_symptom_of_operations_has_panels_and_alerts_that_exist_and_says_what_to_do() {
    let page = read("docs/operations.md");
    let panels: BTreeSet<_> = queries().iter().map(|query| format!("{}: {}", query.dashboard, query.panel)).collect();
    let alerts: BTreeSet<_> = panels::rules().into_iter().filter(|rule| rule.is_alert).map(|rule| rule.name).collect();
    // Panels are written there as `dashboard: Title`.
    let named = |text: &str, pattern: &str| -> Vec<String> {
        let pattern = regex::Regex::new(pattern).unwrap();
        pattern.captures_iter(text).map(|found| found[1].split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    };
    let panels_in = |text: &str| named(text, "`((?:flow|memory|why-not-closing):\\s[^`]+)`");
    for panel in panels_in(&page) {
        assert!(panels.contains(&panel), "docs/operations.md names a panel that does not exist: {panel}");
    }
    for alert in named(&page, r"`(Tidemill\w+)`") {
        assert!(alerts.contains(&alert), "docs/operations.md names an alert that does not exist: {alert}");
    }
    let (_, symptoms) = page.split_once("\n## Symptoms\n").unwrap();
    let (symptoms, _) = symptoms.split_once("\n## ").unwrap();
    let symptoms: Vec<_> = symptoms.split("\n### ").skip(1).collect();
    assert!(symptoms.len() >= 15, "{} symptoms", symptoms.len());
    for symptom in symptoms {
        let (title, text) = symptom.split_once('\n').unwrap();
        assert!(!panels_in(text).is_empty(), "{title}: which panel shows it?");
        // Each of these is `- cause: action`.
        let causes: Vec<_> = text.split("\n- ").skip(1).collect();
        assert!(!causes.is_empty(), "{title}: what can it come from?");
        for cause in causes {
            let action = cause.split_once(": ").or(cause.split_once(":\n"));
            assert!(action.is_some_and(|(_, action)| !action.trim().is_empty()), "{title}: what to do? {cause}");
        }
    }
}

#[test]
fn promtool_takes_every_query_of_a_panel() {
    let plain = |query: &Query| query.plain("1m", "1h");
    let rules: Vec<_> =
        queries().iter().map(|query| format!("      - record: q\n        expr: {:?}\n", plain(query))).collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("queries.yml");
    std::fs::write(&file, format!("groups:\n  - name: queries\n    rules:\n{}", rules.concat())).unwrap();
    // `--lint=none`: the same name for all of them is our doing.
    promtool(&["check", "rules", "--lint=none", &file.to_string_lossy()]);
}

#[test]
fn every_alert_fires_when_it_should_and_only_then() {
    promtool(&["check", "config", "config/prometheus.yml"]);
    promtool(&["test", "rules", "tests/rules/alerts.yml", "tests/rules/windows.yml"]);
    let tests = read("tests/rules/alerts.yml");
    for rule in panels::rules().iter().filter(|rule| rule.is_alert) {
        assert!(tests.contains(&format!("alertname=\"{}\",severity=", rule.name)), "no test fires {}", rule.name);
        assert!(!rule.summary.is_empty() && !rule.description.is_empty(), "{}", rule.name);
        assert!(["warning", "critical"].contains(&&*rule.severity), "{}: {}", rule.name, rule.severity);
    }
}

/// Debian's package `prometheus` has it.
fn promtool(arguments: &[&str]) {
    let output = Command::new("promtool").args(arguments).current_dir(root()).output().expect("promtool is installed");
    assert!(output.status.success(), "promtool {arguments:?}: {output:?}");
}

fn queries() -> Vec<Query> {
    NAMES.iter().flat_map(|name| panels::queries(name)).collect()
}
