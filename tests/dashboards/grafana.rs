//! A dashboard as Grafana reads it, from its source.

use super::source::{Panel, Query, Source, Threshold};
use serde_json::{Value, json};

/// What every query is filtered by.
const FILTER: &str = r#"job=~"$job",instance=~"$instance",pipeline=~"$pipeline""#;
const COLUMNS: u32 = 24;
const HEIGHT: u32 = 8;

pub fn dashboard(source: &Source) -> String {
    let dashboard = json!({
        "uid": source.uid,
        "title": source.title,
        "description": source.description,
        "tags": ["tidemill"],
        "editable": false,
        "graphTooltip": 1,
        "schemaVersion": 39,
        "version": 1,
        "refresh": "10s",
        "timezone": "utc",
        "time": { "from": "now-1h", "to": "now" },
        "annotations": { "list": [] },
        "links": [
            { "type": "dashboards", "title": "tidemill", "tags": ["tidemill"], "includeVars": true, "keepTime": true },
            { "type": "link", "title": "What to do", "url": "${docs}", "icon": "doc", "targetBlank": true },
        ],
        "templating": { "list": variables() },
        "panels": panels(source),
    });
    let mut text = serde_json::to_string_pretty(&dashboard).unwrap();
    text.push('\n');
    text
}

fn variables() -> Value {
    let source = json!({ "type": "prometheus", "uid": "${datasource}" });
    let query = |name: &str, label: &str, query: &str| {
        json!({
            "name": name, "label": label, "type": "query", "datasource": source, "query": query, "definition": query,
            "refresh": 2, "sort": 1, "multi": true, "includeAll": true, "allValue": ".+",
            "current": { "text": "All", "value": "$__all" },
        })
    };
    json!([
        { "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus" },
        query("job", "Job", "label_values(tidemill_build_info, job)"),
        query("instance", "Instance", r#"label_values(tidemill_build_info{job=~"$job"}, instance)"#),
        query("pipeline", "Pipeline", r#"label_values(tidemill_build_info{job=~"$job",instance=~"$instance"}, pipeline)"#),
        {
            "name": "docs", "label": "docs/operations.md is at", "type": "textbox", "query": "docs/operations.md",
            "current": { "text": "docs/operations.md", "value": "docs/operations.md" },
        },
    ])
}

fn panels(source: &Source) -> Vec<Value> {
    let (mut panels, mut y) = (Vec::new(), 0);
    for row in &source.rows {
        let id = panels.len() + 1;
        panels.push(json!({
            "id": id, "type": "row", "title": row.title, "collapsed": false, "panels": [],
            "gridPos": { "x": 0, "y": y, "w": COLUMNS, "h": 1 },
        }));
        y += 1;
        let (mut x, mut height) = (0, 0);
        for it in &row.panels {
            if x + it.width > COLUMNS {
                (x, y) = (0, y + height);
            }
            height = if it.kind == "stat" { HEIGHT / 2 } else { HEIGHT };
            let place = json!({ "x": x, "y": y, "w": it.width, "h": height });
            panels.push(panel(it, panels.len() + 1, place));
            x += it.width;
        }
        y += height;
    }
    panels
}

fn panel(panel: &Panel, id: usize, place: Value) -> Value {
    let source = json!({ "type": "prometheus", "uid": "${datasource}" });
    let is_stat = panel.kind == "stat";
    let target = |(index, query): (usize, &Query)| {
        json!({
            "refId": char::from(b'A' + u8::try_from(index).unwrap()).to_string(), "datasource": source,
            "expr": query.expr.replace("$filter", FILTER), "legendFormat": query.legend, "range": !is_stat, "instant": is_stat,
        })
    };
    let stacking = if panel.stacked { "normal" } else { "none" };
    let marks = panel.thresholds.len() > 1;
    let custom = json!({
        "drawStyle": "line", "lineWidth": 1, "fillOpacity": if panel.stacked { 30 } else { 10 }, "showPoints": "never",
        "stacking": { "mode": stacking, "group": "A" },
        "thresholdsStyle": { "mode": if marks { "dashed" } else { "off" } },
    });
    let options = if is_stat {
        json!({ "reduceOptions": { "calcs": ["lastNotNull"] }, "colorMode": "value", "graphMode": "none", "textMode": "auto" })
    } else {
        json!({
            "legend": { "displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"] },
            "tooltip": { "mode": "multi", "sort": "desc" },
        })
    };
    let mut value = json!({
        "id": id,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": source,
        "gridPos": place,
        "links": [{ "title": "What to do", "url": format!("${{docs}}#{}", panel.see), "targetBlank": true }],
        "targets": panel.queries.iter().enumerate().map(target).collect::<Vec<_>>(),
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "custom": if is_stat { json!({}) } else { custom },
                "thresholds": { "mode": "absolute", "steps": steps(&panel.thresholds) },
            },
            "overrides": [],
        },
        "options": options,
    });
    if let Some(event) = &panel.event {
        value["needsEvent"] = json!(event);
    }
    value
}

fn steps(thresholds: &[Threshold]) -> Vec<Value> {
    let step = |(index, threshold): (usize, &Threshold)| {
        let (colour, value) = match threshold {
            Threshold::Base(_) => ("green", 0.0),
            Threshold::From(text) => {
                let (colour, value) = text.split_once('@').unwrap();
                (colour, value.parse().unwrap())
            }
        };
        json!({ "color": colour, "value": if index == 0 { Value::Null } else { json!(value) } })
    };
    thresholds.iter().enumerate().map(step).collect()
}
