//! librdkafka properties: which of them tidemill owns and why, and which names stand for secrets.
//!
//! It does not know the names that librdkafka knows: the caller of [`super::load_with`] asks the library itself.

use super::complaint::Complaints;
use super::node::{Kind, Node, Span};
use super::read::{Read, entries, scalar};
use serde_json::json;

/// A property that a pipeline may not set.
struct Owned {
    names: &'static [&'static str],
    why: &'static str,
    /// The key to use instead; empty if there is none.
    instead: &'static str,
}

/// Everything that exactly-once, the budget or a key of the file depends on.
const OWNED: &[Owned] = &[
    owned(&["bootstrap.servers", "metadata.broker.list"], "it has a key of its own", "kafka.brokers"),
    owned(&["group.id"], "it has a key of its own", "kafka.group"),
    owned(&["group.instance.id"], "each lane needs its own", "kafka.static_membership and kafka.instance"),
    owned(&["group.protocol"], "it has a key of its own", "kafka.protocol"),
    owned(
        &["partition.assignment.strategy"],
        "a rebalance must not take away partitions that stay (cooperative-sticky)",
        "",
    ),
    owned(
        &["transactional.id"],
        "each lane needs its own, and the same again after a restart",
        "kafka.group and kafka.instance",
    ),
    owned(&["transaction.timeout.ms"], "it has a key of its own", "commit.timeout"),
    owned(
        &["message.timeout.ms", "delivery.timeout.ms"],
        "a record may take as long as its transaction",
        "commit.timeout",
    ),
    owned(
        &["enable.idempotence", "enable.gapless.guarantee", "acks", "request.required.acks", "queuing.strategy"],
        "exactly-once depends on it",
        "",
    ),
    owned(
        &["max.in.flight", "max.in.flight.requests.per.connection", "retries", "message.send.max.retries"],
        "exactly-once depends on it",
        "",
    ),
    owned(&["isolation.level"], "reading what was never committed would break exactly-once", ""),
    owned(
        &["enable.auto.commit", "auto.commit.enable", "auto.commit.interval.ms", "enable.auto.offset.store"],
        "positions are committed together with the results",
        "commit.interval",
    ),
    owned(
        &["offset.store.method", "offset.store.path", "offset.store.sync.interval.ms"],
        "positions are committed together with the results",
        "",
    ),
    owned(&["auto.offset.reset"], "a lost position must be an error, not a jump", "source.start"),
    owned(&["enable.partition.eof"], "closing the windows of silent partitions depends on it", "window.idle"),
    owned(
        &["partitioner", "partitioner_cb", "msg_order_cmp"],
        "results are placed as the Java client places their keys (murmur2)",
        "",
    ),
    owned(&["compression.codec", "compression.type"], "it has a key of its own", "sink.compression"),
    owned(
        &[
            "queued.min.messages",
            "queued.max.messages.kbytes",
            "fetch.max.bytes",
            "fetch.message.max.bytes",
            "max.partition.fetch.bytes",
        ],
        "the queues are a part of the budget",
        "memory.budget",
    ),
    owned(
        &["queue.buffering.max.messages", "queue.buffering.max.kbytes"],
        "the queues are a part of the budget",
        "memory.budget",
    ),
    owned(
        &["statistics.interval.ms", "delivery.report.only.error", "enabled_events", "log.queue"],
        "tidemill decides what the client reports",
        "",
    ),
    owned(&["consume.callback.max.messages"], "the lane decides how much it takes at once", ""),
    owned(&["plugin.library.paths"], "a configuration must not load code", ""),
    owned(
        &[
            "background_event_cb",
            "closesocket_cb",
            "connect_cb",
            "consume_cb",
            "default_topic_conf",
            "dr_cb",
            "dr_msg_cb",
            "error_cb",
            "interceptors",
            "log_cb",
            "oauthbearer_token_refresh_cb",
            "offset_commit_cb",
            "opaque",
            "open_cb",
            "rebalance_cb",
            "resolve_cb",
            "socket_cb",
            "ssl.certificate.verify_cb",
            "stats_cb",
            "throttle_cb",
        ],
        "it is a pointer in a program and cannot be written down",
        "",
    ),
];

const fn owned(names: &'static [&'static str], why: &'static str, instead: &'static str) -> Owned {
    Owned { names, why, instead }
}

/// Why a pipeline may not set `name`, and what to do; `None` if it may.
pub(super) fn refusal(name: &str) -> Option<(String, String)> {
    let owned = OWNED.iter().find(|owned| owned.names.contains(&name))?;
    let help = match owned.instead {
        "" => "leave it out".to_owned(),
        key => format!("use {key}"),
    };
    Some((format!("`{name}` belongs to tidemill: {}", owned.why), help))
}

/// All names that a pipeline may not set, in order.
pub(super) fn owned_names() -> Vec<&'static str> {
    let mut names: Vec<_> = OWNED.iter().flat_map(|owned| owned.names.iter().copied()).collect();
    names.sort_unstable();
    names
}

/// Whether the value of a property (or of anything else with this name) must not be shown.
///
/// It errs on the side of hiding: `sasl.mechanism` is hidden as well.
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["password", "passphrase", "passwd", "secret", "token", "credential", "jaas", "sasl", "key", "private"]
        .iter()
        .any(|word| name.contains(word))
}

/// Whether the value of a property opens a door by itself: such a value belongs outside of the file.
pub(super) fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["password", "secret", "passphrase", "sasl.jaas.config", "ssl.key.pem"].iter().any(|end| name.ends_with(end))
}

/// `kafka.properties` and its sisters: name and value, as librdkafka takes them.
#[derive(Debug, Default)]
pub(super) struct Properties(pub(super) Vec<Property>);

/// One property. `Debug` hides the value.
pub(super) struct Property {
    pub(super) name: String,
    pub(super) name_span: Span,
    pub(super) value: String,
    /// Whether the value may be shown: neither a secret nor filled in.
    pub(super) public: bool,
    /// Whether a secret was written into the file itself.
    pub(super) bare_secret: bool,
}

impl std::fmt::Debug for Property {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.name)
    }
}

impl Read for Properties {
    fn schema() -> serde_json::Value {
        json!({
            "type": "object",
            "propertyNames": { "not": { "enum": owned_names() } },
            "additionalProperties": { "type": ["string", "number", "boolean"] },
        })
    }

    fn read(node: &Node, out: &mut Complaints) -> Option<Self> {
        let entries = entries(node, || "properties are written as `name: value`, one on each line".into(), out)?;
        let mut properties = Vec::new();
        for entry in entries {
            if let Some((message, help)) = refusal(&entry.key) {
                out.error(entry.key_span, message).help(help);
                continue;
            }
            let Some(scalar) = scalar(&entry.node, "a value", out) else { continue };
            if scalar.kind() == Kind::Null {
                out.error(entry.key_span, format!("`{}` has no value", entry.key))
                    .help("empty text is written as \"\"");
                continue;
            }
            let secret = is_secret(&entry.key);
            properties.push(Property {
                name: entry.key.clone(),
                name_span: entry.key_span,
                value: scalar.text().into(),
                public: !secret && scalar.substituted.is_none(),
                bare_secret: is_credential(&entry.key) && scalar.substituted.is_none(),
            });
        }
        Some(Self(properties))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_property_is_owned_twice() {
        let names = owned_names();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    }

    #[test]
    fn a_refusal_says_why_and_what_instead() {
        let (message, help) = refusal("group.id").unwrap();
        assert_eq!(
            (message.as_str(), help.as_str()),
            ("`group.id` belongs to tidemill: it has a key of its own", "use kafka.group")
        );
        assert_eq!(refusal("session.timeout.ms"), None);
        for name in owned_names() {
            assert!(refusal(name).is_some());
        }
    }

    #[test]
    fn names_of_secrets_are_known_by_their_words() {
        for name in
            ["sasl.password", "ssl.key.pem", "SSL.KEYSTORE.PASSWORD", "sasl.jaas.config", "oauth-token", "api_key"]
        {
            assert!(is_secret(name), "{name}");
        }
        for name in ["brokers", "session.timeout.ms", "ssl.ca.location", "security.protocol"] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
