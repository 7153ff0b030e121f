//! What the shipped dashboards and rules ask for: every query with its panel, every rule with its words.

#![allow(dead_code)] // each test program uses a part of it

use regex::Regex;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// A query of a panel.
#[derive(Clone, Debug)]
pub struct Query {
    pub dashboard: String,
    pub panel: String,
    /// Section of docs/operations.md that the panel leads to.
    pub see: String,
    /// What must happen before it has data.
    pub event: Option<String>,
    pub expr: String,
}

/// A rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Name of the alert, or of what is recorded.
    pub name: String,
    pub is_alert: bool,
    pub expr: String,
    pub severity: String,
    pub summary: String,
    pub description: String,
    pub runbook: String,
}

impl Query {
    /// The query as Grafana would send it, with everything chosen.
    pub fn plain(&self, rate_interval: &str, range: &str) -> String {
        let all = self.expr.replace("$__rate_interval", rate_interval).replace("$__range", range);
        ["$job", "$instance", "$pipeline"].iter().fold(all, |expr, variable| expr.replace(variable, ".+"))
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// A shipped dashboard.
pub fn dashboard(name: &str) -> Value {
    serde_json::from_str(&read(&format!("dashboards/{name}.json"))).unwrap()
}

/// All queries of a shipped dashboard.
pub fn queries(name: &str) -> Vec<Query> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let dashboard = dashboard(name);
    let panels = dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row");
    let of_panel = |panel: &Value| {
        let see = text(&panel["links"][0]["url"]).rsplit('#').next().unwrap_or_default().to_owned();
        let event = panel["needsEvent"].as_str().map(str::to_owned);
        let targets = panel["targets"].as_array().unwrap();
        let query = |target: &Value| Query {
            dashboard: name.to_owned(),
            panel: text(&panel["title"]),
            see: see.clone(),
            event: event.clone(),
            expr: text(&target["expr"]),
        };
        targets.iter().map(query).collect::<Vec<_>>()
    };
    panels.flat_map(of_panel).collect()
}

/// What the variables of a shipped dashboard choose from: label, and the metric that has it.
pub fn variables(name: &str) -> Vec<(String, String)> {
    let values = Regex::new(r"^label_values\((\w+)(?:\{.*\})?, (\w+)\)$").unwrap();
    let dashboard = dashboard(name);
    let all = dashboard["templating"]["list"].as_array().unwrap();
    let queries = all.iter().filter(|variable| variable["type"] == "query");
    queries
        .map(|variable| {
            let query = variable["query"].as_str().unwrap();
            let found = values.captures(query).unwrap_or_else(|| panic!("{query}"));
            (found[2].to_owned(), found[1].to_owned())
        })
        .collect()
}

/// All rules that are shipped.
pub fn rules() -> Vec<Rule> {
    let file: Value = serde_saphyr::from_str(&read("config/alerts.yml")).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().trim().to_owned();
    let groups = file["groups"].as_array().unwrap();
    let rules = groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
    rules
        .map(|rule| Rule {
            name: text(if rule["alert"].is_null() { &rule["record"] } else { &rule["alert"] }),
            is_alert: !rule["alert"].is_null(),
            expr: text(&rule["expr"]),
            severity: text(&rule["labels"]["severity"]),
            summary: text(&rule["annotations"]["summary"]),
            description: text(&rule["annotations"]["description"]),
            runbook: text(&rule["annotations"]["runbook_url"]),
        })
        .collect()
}

/// Names of the metrics in an expression, histograms by their own name.
pub fn metrics_in(expr: &str) -> BTreeSet<String> {
    let name = Regex::new(r"\b(?:tidemill[_:]|process_)[a-z0-9_:]+\b|\bup\b").unwrap();
    let histograms = ["_bucket", "_sum", "_count"];
    let whole = |name: &str| {
        // What rules record ends with the name of an aggregation, not of a part of a histogram.
        let ending = histograms.iter().filter(|_| !name.contains(':')).find_map(|ending| name.strip_suffix(ending));
        ending.unwrap_or(name).to_owned()
    };
    name.find_iter(expr).map(|found| whole(found.as_str())).collect()
}

/// A heading as it is linked to.
pub fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}
