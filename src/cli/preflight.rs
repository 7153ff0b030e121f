//! What the cluster has to say about a pipeline before a worker runs it: plain facts in, findings out.
//!
//! [`facts`] asks and judges nothing; [`judge`] judges and asks nobody, so that every rule is tested without a broker.

mod ask;
mod brokers;
mod outlets;
mod sources;
mod standing;
#[cfg(test)]
pub(super) mod tests;

pub use ask::{facts, facts_and_group, probe_transactional_id};
pub use standing::Standing;

use crate::broker::{Committed, Outlet, TopicPartition};
use crate::config::Config;
use crate::kafka::{Group, Log, Topic};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Everything that the cluster says about what a pipeline names. Where it did not answer, the reason for people.
#[derive(Clone, Debug)]
pub struct ClusterFacts {
    /// The source topics of the file by name, and what its expressions match now.
    pub sources: Vec<TopicFacts>,
    /// Sink, late and dead-letter topic, as far as they are configured.
    pub outlets: Vec<(Outlet, TopicFacts)>,
    /// Settings of a broker.
    pub broker: Result<Settings, String>,
    /// Who is in the group; `None`: not asked.
    pub group: Option<Result<Group, String>>,
    /// What the group has committed for the source partitions.
    pub positions: Result<BTreeMap<TopicPartition, Committed>, String>,
    /// What the source partitions hold; a partition that did not answer is missing.
    pub logs: BTreeMap<TopicPartition, Log>,
    /// Whether a transactional id of the group can be used; `None`: not tried.
    pub transactional_id: Option<Result<(), String>>,
}

/// Settings by name, defaults included.
pub type Settings = BTreeMap<String, String>;

/// What the cluster says about one topic.
#[derive(Clone, Debug)]
pub struct TopicFacts {
    /// Its name.
    pub name: String,
    /// Identity and partitions; `Ok(None)`: there is no such topic.
    pub topic: Result<Option<Topic>, String>,
    /// Its settings.
    pub config: Result<Settings, String>,
}

impl ClusterFacts {
    /// All partitions of the source, each with its topic, in the order of the file.
    pub fn source_partitions(&self) -> impl Iterator<Item = (&Topic, TopicPartition)> {
        self.sources.iter().filter_map(TopicFacts::found).flat_map(|topic| {
            let name: Arc<str> = topic.name.as_str().into();
            (0..topic.partitions).map(move |partition| (topic, TopicPartition { topic: name.clone(), partition }))
        })
    }
}

impl TopicFacts {
    /// The topic, if there is one.
    pub fn found(&self) -> Option<&Topic> {
        self.topic.as_ref().ok()?.as_ref()
    }

    /// Number of its partitions, 0 if it is not there.
    pub fn partitions(&self) -> i32 {
        self.found().map_or(0, |topic| topic.partitions)
    }

    /// How long its records are kept, in ms; `None`: without a limit of time, or unknown.
    pub fn retention_ms(&self) -> Option<i64> {
        let deletes = self.setting("cleanup.policy").is_none_or(|policy| policy.contains("delete"));
        self.number("retention.ms").filter(|ms| *ms >= 0 && deletes)
    }

    /// A setting, unless it is unknown.
    fn setting(&self, name: &str) -> Option<&str> {
        self.config.as_ref().ok()?.get(name).map(String::as_str)
    }

    /// A setting that is a whole number.
    fn number(&self, name: &str) -> Option<i64> {
        self.setting(name)?.parse().ok()
    }

    fn is_compacted(&self) -> bool {
        self.setting("cleanup.policy").is_some_and(|policy| policy.split(',').any(|word| word.trim() == "compact"))
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// A worker must not start: its results would be wrong.
    Fatal,
    /// A worker would start, and wait, hold partitions or stop.
    Error,
    /// It works, and an operator should know this.
    Warning,
}

/// One thing to know about the cluster. `Display` shows it with what mends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong and where, in one line.
    pub text: String,
    /// The command that mends it, or a word of advice; may be empty.
    pub mend: String,
}

impl Finding {
    fn new(severity: Severity, text: String, mend: String) -> Self {
        Self { severity, text, mend }
    }

    /// What mends it, if anything is known to.
    pub fn help(&self) -> Option<&str> {
        Some(self.mend.as_str()).filter(|mend| !mend.is_empty())
    }

    /// Whether `check` fails because of it.
    pub fn is_error(&self) -> bool {
        self.severity != Severity::Warning
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_error() { "error" } else { "warning" };
        writeln!(f, "{word}: {}", self.text)?;
        self.help().map_or(Ok(()), |mend| writeln!(f, " = help: {mend}"))
    }
}

/// What of these facts stands in the way of the pipeline, worst first.
pub fn judge(config: &Config, facts: &ClusterFacts) -> Vec<Finding> {
    let mut findings = Vec::new();
    sources::judge(config, facts, &mut findings);
    outlets::judge(config, facts, &mut findings);
    brokers::judge(config, facts, &mut findings);
    standing::judge(config, facts, &mut findings);
    findings.sort_by_key(|finding| finding.severity);
    findings
}

/// A command of Apache Kafka's on these brokers.
fn command(config: &Config, script: &str, arguments: &str) -> String {
    let maps = [&config.kafka.properties, &config.kafka.consumer_properties, &config.kafka.producer_properties];
    let secure = maps.into_iter().any(|map| map.contains_key("security.protocol"));
    let login = if secure { " --command-config client.properties" } else { "" };
    format!("{script} --bootstrap-server {}{login} {arguments}", config.kafka.brokers)
}

/// The command that creates a topic.
fn create(config: &Config, topic: &str, partitions: i32, settings: &str) -> String {
    let arguments = format!("--create --topic {topic} --partitions {partitions} --config {settings}");
    command(config, "kafka-topics.sh", &arguments)
}

/// The command that changes a setting of a topic.
fn alter(config: &Config, topic: &str, setting: &str) -> String {
    let arguments = format!("--alter --entity-type topics --entity-name {topic} --add-config {setting}");
    command(config, "kafka-configs.sh", &arguments)
}

/// The command that lets this user do something with a topic, a group or a transactional id.
fn allow(config: &Config, operations: &[&str], resource: &str) -> String {
    let operations: String = operations.iter().map(|operation| format!("--operation {operation} ")).collect();
    command(config, "kafka-acls.sh", &format!("--add --allow-principal User:NAME {operations}{resource}"))
}

/// How an outlet is called in the file.
fn key_of(outlet: Outlet) -> &'static str {
    match outlet {
        Outlet::Sink => "sink.topic",
        Outlet::Late => "late.topic",
        Outlet::DeadLetter => "dead_letter.topic",
    }
}

/// A duration for people, in its largest whole unit.
fn span(ms: i64) -> String {
    let units = [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1)];
    let (unit, length) = units.into_iter().find(|(_, length)| ms != 0 && ms % length == 0).unwrap_or(("ms", 1));
    format!("{} {unit}", ms / length)
}
