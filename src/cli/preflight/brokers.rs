//! Rules about the brokers themselves: transactions, the size of metadata, the group's protocol, the memory of
//! positions.

use super::{ClusterFacts, Finding, Settings, Severity, allow};
use crate::checkpoint::LEN_MAX;
use crate::config::{Config, Protocol};

const DAY_MINUTES: i64 = 24 * 60;

pub(super) fn judge(config: &Config, facts: &ClusterFacts, findings: &mut Vec<Finding>) {
    let group = &config.kafka.group;
    if let Some(Err(why)) = &facts.transactional_id {
        findings.push(Finding::new(
            Severity::Error,
            format!("transactions cannot be used: {why}"),
            allow(
                config,
                &["Write", "Describe"],
                &format!("--transactional-id {group}/ --resource-pattern-type prefixed"),
            ),
        ));
    }
    let members = facts.group.as_ref().and_then(|group| group.as_ref().err());
    for why in [members, facts.positions.as_ref().err()].into_iter().flatten() {
        let mend = allow(config, &["Read", "Describe"], &format!("--group {group}"));
        findings.push(Finding::new(Severity::Error, why.clone(), mend));
    }
    // Many users of a cluster may not look: nothing that they could mend.
    if let Ok(settings) = &facts.broker {
        limits(config, settings, findings);
    }
}

fn limits(config: &Config, settings: &Settings, findings: &mut Vec<Finding>) {
    let number = |name: &str| settings.get(name).and_then(|value| value.parse::<i64>().ok());
    let mend = |setting: &str| format!("in server.properties of every broker: {setting}");
    let mut error = |text: String, mend: String| findings.push(Finding::new(Severity::Error, text, mend));
    if let Some(bytes) = number("offset.metadata.max.bytes").filter(|bytes| *bytes < LEN_MAX as i64) {
        error(
            format!("brokers take {bytes} bytes of metadata beside an offset, tidemill needs up to {LEN_MAX}"),
            mend("offset.metadata.max.bytes=4096"),
        );
    }
    let timeout_ms = i64::try_from(config.commit.timeout.as_millis()).unwrap_or(i64::MAX);
    if let Some(max_ms) = number("transaction.max.timeout.ms").filter(|max_ms| *max_ms < timeout_ms) {
        error(
            format!("`commit.timeout` is {timeout_ms} ms, but brokers allow transactions of {max_ms} ms"),
            format!("commit: {{ timeout: {max_ms}ms }}"),
        );
    }
    if config.kafka.protocol == Protocol::Consumer
        && let Some(protocols) = settings.get("group.coordinator.rebalance.protocols")
        && !protocols.split(',').any(|protocol| protocol.trim() == "consumer")
    {
        error(
            format!("`kafka.protocol` is consumer, but brokers know {protocols} only"),
            "kafka: { protocol: classic }".into(),
        );
    }
    if let Some(minutes) = number("offsets.retention.minutes").filter(|minutes| *minutes < DAY_MINUTES) {
        findings.push(Finding::new(
            Severity::Warning,
            format!(
                "brokers forget the positions of a group that has been empty for {minutes} minutes: after a longer stop \
                 the group would begin anew, and write windows again"
            ),
            mend("offsets.retention.minutes=10080"),
        ));
    }
}
