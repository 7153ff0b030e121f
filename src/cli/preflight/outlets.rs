//! Rules about the sink, late and dead-letter topics: they exist, may be written, keep old event times, and take what
//! has to go into them.

use super::{ClusterFacts, Finding, Severity, TopicFacts, allow, alter, create, key_of, sources, span};
use crate::broker::Outlet;
use crate::config::{AggregateKind, Config};

/// Room for the headers that late and dead records gain, and for what Kafka wraps around a record.
const HEADERS_BYTES: i64 = 4 << 10;
/// librdkafka's default of `message.max.bytes`.
const CLIENT_BYTES: i64 = 1_000_000;
/// Clocks of brokers and workers differ by less.
const CLOCKS_MS: i64 = 60_000;

pub(super) fn judge(config: &Config, facts: &ClusterFacts, findings: &mut Vec<Finding>) {
    let source = facts.sources.iter().map(TopicFacts::partitions).max().unwrap_or(0);
    for (outlet, topic) in &facts.outlets {
        exists(config, facts, *outlet, topic, findings);
        keeps_old_times(config, *outlet, topic, findings);
        takes_old_times(config, *outlet, topic, findings);
        takes_large_records(config, *outlet, topic, findings);
        let partitions = topic.partitions();
        if partitions > 0 && source > 0 && partitions != source {
            findings.push(Finding::new(
                Severity::Warning,
                format!(
                    "`{}` ({}) has {partitions} partitions, its source {source}: a key's results are not in the \
                     partition of the same number",
                    topic.name,
                    key_of(*outlet)
                ),
                "nothing to do unless a consumer joins both topics partition by partition".into(),
            ));
        }
    }
    let needed = late_bytes(config);
    let client = client_bytes(config);
    if client < needed && (config.late.is_some() || config.dead_letter.is_some()) {
        findings.push(Finding::new(
            Severity::Warning,
            format!(
                "the producer takes messages of {client} bytes, but late and dead records may have {needed} (max_record \
                 + max_key + headers): larger ones go out without their value"
            ),
            format!("kafka: {{ producer_properties: {{ message.max.bytes: {needed} }} }}"),
        ));
    }
}

fn exists(config: &Config, facts: &ClusterFacts, outlet: Outlet, topic: &TopicFacts, findings: &mut Vec<Finding>) {
    let (name, key) = (&topic.name, key_of(outlet));
    let write = || allow(config, &["Write", "Describe", "DescribeConfigs"], &format!("--topic {name}"));
    match &topic.topic {
        Err(why) => findings.push(Finding::new(Severity::Error, format!("{why} ({key})"), write())),
        Ok(None) => {
            let mut settings = "retention.ms=-1".to_owned();
            if outlet != Outlet::Sink && late_bytes(config) > CLIENT_BYTES {
                settings.push_str(&format!(" --config max.message.bytes={}", late_bytes(config)));
            }
            findings.push(Finding::new(
                Severity::Error,
                format!("topic `{name}` ({key}) does not exist"),
                create(config, name, sources::sensible_partitions(facts), &settings),
            ));
        }
        Ok(Some(found)) if found.rights.is_some_and(|rights| !rights.write) => {
            findings.push(Finding::new(Severity::Error, format!("topic `{name}` ({key}) may not be written"), write()));
        }
        Ok(Some(_)) => {}
    }
    if let Err(why) = &topic.config {
        findings.push(Finding::new(
            Severity::Warning,
            format!("{why}; whether `{name}` ({key}) takes and keeps old event times is not known"),
            allow(config, &["DescribeConfigs"], &format!("--topic {name}")),
        ));
    }
}

/// Results carry event times, and retention counts from them: what was merged late is deleted early.
fn keeps_old_times(config: &Config, outlet: Outlet, topic: &TopicFacts, findings: &mut Vec<Finding>) {
    let (name, key) = (&topic.name, key_of(outlet));
    if is_stamped_by_broker(topic) {
        findings.push(Finding::new(
            Severity::Warning,
            format!("`{name}` ({key}) stamps records with the time of writing: their event time is in the value only"),
            alter(config, name, "message.timestamp.type=CreateTime"),
        ));
    } else if let Some(retention_ms) = topic.number("retention.ms").filter(|ms| *ms >= 0)
        && topic.setting("cleanup.policy").is_none_or(|policy| policy.contains("delete"))
    {
        findings.push(Finding::new(
            Severity::Warning,
            format!(
                "`{name}` ({key}) keeps records for {}, counted from their event time: what is older when it is \
                 written (a backlog, history) is soon deleted",
                span(retention_ms)
            ),
            alter(config, name, "retention.ms=-1"),
        ));
    }
    if topic.is_compacted() {
        let (severity, what) = match outlet {
            Outlet::DeadLetter => (Severity::Error, "it refuses records without a key, and a worker would stop"),
            Outlet::Late => (Severity::Warning, "of the late records of a key only the newest stays"),
            Outlet::Sink => (Severity::Warning, "of the windows of a key only the newest stays"),
        };
        let text = format!("`{name}` ({key}) is compacted: {what}");
        findings.push(Finding::new(severity, text, alter(config, name, "cleanup.policy=delete")));
    }
}

/// A record whose time the broker refuses is refused for good.
fn takes_old_times(config: &Config, outlet: Outlet, topic: &TopicFacts, findings: &mut Vec<Finding>) {
    if is_stamped_by_broker(topic) {
        return;
    }
    let (name, key) = (&topic.name, key_of(outlet));
    let window = &config.pipeline.window;
    // Before 3.6 one setting bounded both sides.
    let bound = |setting: &str| topic.number(setting).or_else(|| topic.number("message.timestamp.difference.max.ms"));
    if let Some(before_ms) = bound("message.timestamp.before.max.ms").filter(|ms| *ms < i64::MAX) {
        // A window's result is at least as old as its grace when it is written.
        let hopeless = before_ms <= window.grace_ms.saturating_add(CLOCKS_MS);
        let what = if outlet == Outlet::Sink {
            "a worker with an older result stops"
        } else {
            "older ones lose their value, or stop the worker"
        };
        findings.push(Finding::new(
            if hopeless { Severity::Error } else { Severity::Warning },
            format!("`{name}` ({key}) refuses records with a time more than {} ago: {what}", span(before_ms)),
            alter(config, name, &format!("message.timestamp.before.max.ms={}", i64::MAX)),
        ));
    }
    if let Some(after_ms) = bound("message.timestamp.after.max.ms").filter(|ms| *ms < CLOCKS_MS) {
        findings.push(Finding::new(
            Severity::Warning,
            format!(
                "`{name}` ({key}) refuses records with a time more than {} ahead of the broker's clock: a worker whose \
                 clock is that much ahead would stop",
                span(after_ms)
            ),
            alter(config, name, "message.timestamp.after.max.ms=3600000"),
        ));
    }
}

fn is_stamped_by_broker(topic: &TopicFacts) -> bool {
    topic.setting("message.timestamp.type") == Some("LogAppendTime")
}

fn takes_large_records(config: &Config, outlet: Outlet, topic: &TopicFacts, findings: &mut Vec<Finding>) {
    let Some(limit) = topic.number("max.message.bytes") else { return };
    let (name, key) = (&topic.name, key_of(outlet));
    let (needed, what) = match outlet {
        Outlet::Sink => (result_bytes(config), "a result may have (long keys, escaped): larger ones stop the worker"),
        _ => (late_bytes(config), "records may have (max_record + max_key + headers): larger ones lose their value"),
    };
    if limit < needed {
        findings.push(Finding::new(
            Severity::Warning,
            format!("`{name}` ({key}) takes messages of {limit} bytes, fewer than the {needed} that {what}"),
            alter(config, name, &format!("max.message.bytes={needed}")),
        ));
    }
}

/// Largest late or dead record that keeps its value.
fn late_bytes(config: &Config) -> i64 {
    let bytes = config.pipeline.max_record_bytes.saturating_add(config.pipeline.max_key_bytes);
    i64::try_from(bytes).unwrap_or(i64::MAX).saturating_add(HEADERS_BYTES)
}

/// Largest result, text of first and last left out: the key, the key once more with every byte escaped, and numbers.
fn result_bytes(config: &Config) -> i64 {
    let numbers = config
        .pipeline
        .aggregates
        .iter()
        .filter(|aggregate| !matches!(aggregate.kind, AggregateKind::First | AggregateKind::Last));
    let bytes = config.pipeline.max_key_bytes.saturating_mul(7).saturating_add(numbers.count().saturating_mul(100));
    i64::try_from(bytes).unwrap_or(i64::MAX).saturating_add(HEADERS_BYTES)
}

fn client_bytes(config: &Config) -> i64 {
    let maps = [&config.kafka.producer_properties, &config.kafka.properties];
    let set = maps.into_iter().find_map(|map| map.get("message.max.bytes"));
    set.and_then(|bytes| bytes.parse().ok()).unwrap_or(CLIENT_BYTES)
}
