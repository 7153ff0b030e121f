//! Rules about the source topics: they exist, may be read, are not compacted, and keep what a restart reads again.

use super::{ClusterFacts, Finding, Severity, TopicFacts, allow, alter, create, span};
use crate::config::Config;

const DAY_MS: i64 = 86_400_000;
/// What a topic gets that nobody has created yet.
const PARTITIONS: i32 = 4;

pub(super) fn judge(config: &Config, facts: &ClusterFacts, findings: &mut Vec<Finding>) {
    for source in &facts.sources {
        exists(config, facts, source, findings);
        is_kept_whole(config, source, findings);
        is_kept_long_enough(config, source, findings);
    }
    let partitions: i32 = facts.sources.iter().map(TopicFacts::partitions).sum();
    if facts.sources.is_empty() {
        let patterns = config.topics.patterns.join("`, `");
        findings.push(Finding::new(
            Severity::Warning,
            format!("no topic matches `{patterns}` now"),
            "topics that appear later are found within half a minute".into(),
        ));
    } else if let Some(lanes) = config.lanes
        && partitions > 0
        && i64::try_from(lanes).unwrap_or(i64::MAX) > i64::from(partitions)
    {
        findings.push(Finding::new(
            Severity::Warning,
            format!(
                "`lanes` is {lanes}, but the source has {partitions} partitions: the other lanes have nothing to do"
            ),
            "leave `lanes` at auto, or give the source more partitions".into(),
        ));
    }
}

/// Partitions that a topic should have to go with the others.
pub(super) fn sensible_partitions(facts: &ClusterFacts) -> i32 {
    let sources = facts.sources.iter().map(TopicFacts::partitions).max().unwrap_or(0);
    let outlets = facts.outlets.iter().map(|(_, topic)| topic.partitions()).max().unwrap_or(0);
    [sources, outlets].into_iter().find(|count| *count > 0).unwrap_or(PARTITIONS)
}

fn exists(config: &Config, facts: &ClusterFacts, source: &TopicFacts, findings: &mut Vec<Finding>) {
    let name = &source.name;
    let read = || allow(config, &["Read", "Describe", "DescribeConfigs"], &format!("--topic {name}"));
    match &source.topic {
        Err(why) => findings.push(Finding::new(Severity::Error, format!("source {why}"), read())),
        Ok(None) => {
            let retention_ms = needed_ms(config).saturating_add(7 * DAY_MS);
            findings.push(Finding::new(
                Severity::Error,
                format!("source topic `{name}` does not exist"),
                create(config, name, sensible_partitions(facts), &format!("retention.ms={retention_ms}")),
            ));
        }
        Ok(Some(topic)) if topic.rights.is_some_and(|rights| !rights.read) => {
            findings.push(Finding::new(Severity::Error, format!("source topic `{name}` may not be read"), read()));
        }
        Ok(Some(_)) => {}
    }
    if let Err(why) = &source.config {
        let text = format!("{why}; whether `{name}` is compacted and how long it keeps its records is not known");
        findings.push(Finding::new(
            Severity::Warning,
            text,
            allow(config, &["DescribeConfigs"], &format!("--topic {name}")),
        ));
    }
}

fn is_kept_whole(config: &Config, source: &TopicFacts, findings: &mut Vec<Finding>) {
    if source.is_compacted() {
        findings.push(Finding::new(
            Severity::Fatal,
            format!(
                "source topic `{}` is compacted: a restart would not find again what it had merged, and windows would \
                 lose records",
                source.name
            ),
            alter(config, &source.name, "cleanup.policy=delete"),
        ));
    }
}

/// A restart reads the open windows again: they reach back over size and grace, and over the time nobody was there.
fn needed_ms(config: &Config) -> i64 {
    config.pipeline.window.size_ms.saturating_add(config.pipeline.window.grace_ms)
}

fn is_kept_long_enough(config: &Config, source: &TopicFacts, findings: &mut Vec<Finding>) {
    let name = &source.name;
    let deletes = source.setting("cleanup.policy").is_none_or(|policy| policy.contains("delete"));
    let needed_ms = needed_ms(config);
    if let Some(retention_ms) = source.retention_ms() {
        let mend = || alter(config, name, &format!("retention.ms={}", needed_ms.saturating_add(7 * DAY_MS)));
        let (kept, needed) = (span(retention_ms), span(needed_ms));
        if retention_ms < needed_ms {
            findings.push(Finding::new(
                Severity::Error,
                format!(
                    "source topic `{name}` keeps records for {kept}, but an open window reaches back {needed} (size + \
                     grace): a restart would not find its records again"
                ),
                mend(),
            ));
        } else if retention_ms < needed_ms.saturating_add(DAY_MS) {
            findings.push(Finding::new(
                Severity::Warning,
                format!(
                    "source topic `{name}` keeps records for {kept}, and an open window reaches back {needed} (size + \
                     grace): after an outage of more than {} records are gone before they are read",
                    span(retention_ms - needed_ms)
                ),
                mend(),
            ));
        }
    }
    if let Some(bytes) = source.number("retention.bytes").filter(|bytes| *bytes >= 0 && deletes) {
        findings.push(Finding::new(
            Severity::Warning,
            format!(
                "source topic `{name}` keeps {bytes} bytes of each partition: see that more than {} (window + grace + \
                 the longest outage) fit into it",
                span(needed_ms)
            ),
            alter(config, name, "retention.bytes=-1"),
        ));
    }
}
