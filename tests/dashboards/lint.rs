//! The rules of grafana/dashboard-linter, and three of the house: thresholds on every panel, a link to what to do, and a unit
//! that Grafana has.

use crate::panels;
use regex::Regex;
use serde_json::Value;

/// Ids of Grafana's units. It shows a number with an id that it does not know as if that were the unit's name.
const UNITS: [&str; 9] = ["none", "short", "percentunit", "s", "dateTimeAsIso", "bytes", "Bps", "recps", "ops"];

/// Everything that a dashboard does wrong.
pub fn dashboard(name: &str, dashboard: &Value) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut complain = |rule: &str, what: &str| complaints.push(format!("{name}: {rule}: {what}"));
    if dashboard["editable"] != false {
        complain("uneditable-dashboard", "set editable to false");
    }
    templates(dashboard, &mut complain);
    let panels = dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row");
    for panel in panels {
        let title = panel["title"].as_str().unwrap_or_default();
        self::panel(panel, &mut |rule, what| complain(rule, &format!("{title}: {what}")));
    }
    complaints
}

fn templates(dashboard: &Value, complain: &mut dyn FnMut(&str, &str)) {
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let find = |name: &str| variables.iter().find(|variable| variable["name"] == name);
    match find("datasource") {
        Some(it) if it["type"] == "datasource" && it["query"] == "prometheus" && it["label"] == "Data source" => {}
        _ => {
            complain("template-datasource", "a variable `datasource` of type datasource, for prometheus, `Data source`")
        }
    }
    for (name, label) in [("job", "Job"), ("instance", "Instance"), ("pipeline", "Pipeline")] {
        let rule = format!("template-{name}");
        let Some(it) = find(name) else {
            complain(&rule, "is missing");
            continue;
        };
        let good = it["type"] == "query"
            && it["datasource"]["uid"] == "${datasource}"
            && it["label"] == label
            && it["multi"] == true
            && it["allValue"] == ".+";
        if !good {
            complain(&rule, "a query of ${datasource} with its label, multi, and `.+` for all");
        }
        if it["refresh"] != 2 {
            complain("template-on-time-change-reload", name);
        }
    }
}

fn panel(panel: &Value, complain: &mut dyn FnMut(&str, &str)) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if text(&panel["title"]).is_empty() || text(&panel["description"]).is_empty() {
        complain("panel-title-description", "needs both");
    }
    if panel["datasource"]["uid"] != "${datasource}" {
        complain("panel-datasource", "must be ${datasource}");
    }
    let defaults = &panel["fieldConfig"]["defaults"];
    if !UNITS.contains(&&*text(&defaults["unit"])) {
        complain("panel-units", "needs one of the units of Grafana that are in use here");
    }
    if defaults["thresholds"]["steps"].as_array().is_none_or(Vec::is_empty) {
        complain("thresholds", "needs at least the base colour");
    }
    let links =
        panel["links"].as_array().is_some_and(|links| links.iter().any(|it| text(&it["url"]).contains("${docs}#")));
    if !links {
        complain("links", "must lead to a section of docs/operations.md");
    }
    let targets = panel["targets"].as_array().cloned().unwrap_or_default();
    if targets.is_empty() {
        complain("panel-no-targets", "asks for nothing");
    }
    for target in targets {
        self::target(&text(&target["expr"]), complain);
        if target["datasource"]["uid"] != "${datasource}" {
            complain("target-datasource", "must be ${datasource}");
        }
    }
}

/// What a rule records for a whole pipeline has no instance to be filtered by.
fn keeps_instance(name: &str) -> bool {
    panels::rules().iter().find(|rule| rule.name == name).is_none_or(|rule| {
        !rule.expr.contains("by (job, pipeline)") && panels::metrics_in(&rule.expr).iter().all(|it| keeps_instance(it))
    })
}

fn target(expr: &str, complain: &mut dyn FnMut(&str, &str)) {
    let selector = Regex::new(r"\b(?:tidemill|process)[a-z_:0-9]*(\{[^}]*\})?").unwrap();
    for found in selector.captures_iter(expr) {
        let labels = found.get(1).map_or("", |labels| labels.as_str());
        let kept =
            |label: &&str| *label != "instance" || keeps_instance(found[0].split('{').next().unwrap_or_default());
        for label in ["job", "instance", "pipeline"].into_iter().filter(kept) {
            if !labels.contains(&format!("{label}=~\"${label}\"")) {
                complain(&format!("target-{label}"), &found[0]);
            }
        }
    }
    let range = Regex::new(r"\b(rate|irate|increase)\([^\[]*\[([^\]]+)\]").unwrap();
    for found in range.captures_iter(expr) {
        if found[1] != *"increase" && &found[2] != "$__rate_interval" || !found[2].starts_with("$__") {
            complain("target-rate-interval", &found[0]);
        }
    }
    let counter = Regex::new(r"(\w+\()?\btidemill\w*(_total|_bucket|_count|_sum)\{").unwrap();
    for found in counter.captures_iter(expr) {
        let call = found.get(1).map_or("", |call| call.as_str());
        if !["rate(", "irate(", "increase("].contains(&call) {
            complain("target-counter-agg", &found[0]);
        }
    }
}
