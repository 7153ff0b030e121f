//! What a read_committed reader finds in the topics of results, late records and dead letters.

use super::plan::{DEAD, LATE, Plan, SINK};
use crate::support::model::json::Json;
use crate::support::model::murmur2;
use crate::support::model::result::{ModelWindow, read_result};
use std::collections::BTreeMap;
use std::sync::Arc;
use tidemill::broker::TopicPartition;
use tidemill::sim::{Cluster, Isolation, Stored};

/// Everything visible, by source partition.
#[derive(Debug, Default)]
pub struct Visible {
    /// In the order of each sink partition.
    pub windows: BTreeMap<TopicPartition, Vec<ModelWindow>>,
    /// Late records and dead letters by offset of the source record.
    pub rejected: BTreeMap<TopicPartition, BTreeMap<i64, Vec<Rejected>>>,
}

/// A late record or a dead letter.
#[derive(Clone, Debug)]
pub struct Rejected {
    pub topic: &'static str,
    pub partition: i32,
    pub record: Stored,
}

impl Rejected {
    /// The last header of this name, as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.record.headers.iter().rev().find(|(other, _)| other == name.as_bytes());
        found.and_then(|(_, value)| std::str::from_utf8(value.as_deref()?).ok())
    }

    pub fn number(&self, name: &str) -> Option<i64> {
        self.header(name)?.parse().ok()
    }

    pub fn reason(&self) -> &str {
        self.header("tidemill.reason").unwrap_or_default()
    }
}

impl Visible {
    /// Reads all topics; what cannot be read goes to `complaints`.
    pub fn read(plan: &Plan, cluster: &Cluster, complaints: &mut Vec<String>) -> Self {
        let mut visible = Self::default();
        for partition in 0..plan.outlets[0] {
            let mut last_end_ms: BTreeMap<TopicPartition, i64> = BTreeMap::new();
            for record in cluster.read(SINK, partition, Isolation::Committed) {
                let offset = record.offset;
                match result(plan, partition, record) {
                    Ok((from, window)) => {
                        let last_end_ms = last_end_ms.entry(from.clone()).or_insert(window.end_ms);
                        if *last_end_ms > window.end_ms {
                            complaints.push(format!("{SINK}[{partition}]@{offset}: {from} goes back to {window:?}"));
                        }
                        *last_end_ms = window.end_ms;
                        visible.windows.entry(from).or_default().push(window);
                    }
                    Err(error) => complaints.push(format!("{SINK}[{partition}]@{offset}: {error}")),
                }
            }
        }
        for (topic, partitions) in [(LATE, plan.outlets[1]), (DEAD, plan.outlets[2])] {
            for partition in 0..partitions {
                for record in cluster.read(topic, partition, Isolation::Committed) {
                    let rejected = Rejected { topic, partition, record };
                    let from = (|| {
                        let topic = Arc::from(rejected.header("tidemill.topic")?);
                        let partition = i32::try_from(rejected.number("tidemill.partition")?).ok()?;
                        Some((TopicPartition { topic, partition }, rejected.number("tidemill.offset")?))
                    })();
                    match from {
                        Some((from, offset)) => {
                            visible.rejected.entry(from).or_default().entry(offset).or_default().push(rejected);
                        }
                        None => complaints.push(format!("{topic}[{partition}]: without its origin: {rejected:?}")),
                    }
                }
            }
        }
        visible
    }
}

fn result(plan: &Plan, partition: i32, record: Stored) -> Result<(TopicPartition, ModelWindow), String> {
    let value = record.value.ok_or("a result without a value")?;
    let window = read_result(&plan.pipeline, &value)?;
    let json = Json::read(&value).ok_or("no JSON")?;
    let text = |name: &str| json.at(name).map(Json::text);
    let topic = match plan.sources.as_slice() {
        [(topic, _)] => (*topic).to_owned(),
        _ => text("topic").ok_or("no topic")?.trim_matches('"').to_owned(),
    };
    let from = text("partition").and_then(|text| text.parse().ok()).ok_or("no partition")?;
    if record.key.as_ref() != Some(&window.key) {
        return Err(format!("key {:?} of {window:?}", record.key));
    }
    if partition != murmur2::partition(&window.key, plan.outlets[0]) {
        return Err(format!("wrong partition of {window:?}"));
    }
    if record.timestamp_ms < 1 || record.timestamp_ms > (window.end_ms - 1).max(1) {
        return Err(format!("timestamp {} of {window:?}", record.timestamp_ms));
    }
    Ok((TopicPartition { topic: Arc::from(topic), partition: from }, window))
}
