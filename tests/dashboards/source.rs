//! The source of a dashboard, as written by hand.

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    pub uid: String,
    pub title: String,
    pub description: String,
    pub rows: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    pub title: String,
    pub panels: Vec<Panel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Panel {
    pub title: String,
    pub description: String,
    /// Grafana's word; time series unless it says `stat`.
    #[serde(default = "timeseries", rename = "type")]
    pub kind: String,
    /// Grafana's word for the unit.
    pub unit: String,
    /// Of 24.
    #[serde(default = "third")]
    pub width: u32,
    #[serde(default)]
    pub stacked: bool,
    /// `0`: green from the beginning; `colour@value`: from there on; the first one counts from minus infinity.
    pub thresholds: Vec<Threshold>,
    /// Alerts whose mark must be one of its thresholds.
    #[serde(default)]
    pub alerts: Vec<String>,
    /// Section of docs/operations.md.
    pub see: String,
    /// What must happen before there is data.
    #[serde(default)]
    pub event: Option<String>,
    pub queries: Vec<Query>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub enum Threshold {
    /// Always 0.
    Base(#[allow(dead_code, reason = "it is 0")] u32),
    From(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    pub expr: String,
    pub legend: String,
}

fn timeseries() -> String {
    "timeseries".into()
}

const fn third() -> u32 {
    8
}

pub fn parse(yaml: &str) -> Source {
    serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{error}"))
}
