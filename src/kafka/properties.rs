//! librdkafka's properties: what tidemill sets, what it owns, and what a user may add.
//!
//! Never shows a value: any of them may be a secret.

use super::client::Options;
use super::native::Conf;
use crate::budget::Settings;
use crate::config::{Kafka, Protocol};
use crate::error::BrokerError;

/// Names and values, in the order in which they are set: the last one counts.
pub(super) type Properties = Vec<(String, String)>;

/// Properties that exactly-once rests on, or that another key of the configuration says: nobody else may set them.
const OWNED: &[(&str, &str)] = &[
    ("bootstrap.servers", "it is `kafka.brokers`"),
    ("metadata.broker.list", "it is `kafka.brokers`"),
    ("group.id", "it is `kafka.group`"),
    ("group.instance.id", "it follows from `kafka.instance` and `kafka.static_membership`"),
    ("group.protocol", "it is `kafka.protocol`"),
    ("partition.assignment.strategy", "tidemill relies on cooperative-sticky"),
    ("enable.auto.commit", "positions are committed with the results, in one transaction"),
    ("auto.commit.enable", "positions are committed with the results, in one transaction"),
    ("enable.auto.offset.store", "positions are committed with the results, in one transaction"),
    ("auto.offset.reset", "where a group begins is `source.start`; a position that is gone is an error, never a skip"),
    ("isolation.level", "a record of an aborted transaction must never be counted"),
    ("enable.partition.eof", "silence is judged at the end of a partition"),
    ("queued.max.messages.kbytes", "it is a share of `memory.budget`"),
    ("queued.min.messages", "it is a share of `memory.budget`"),
    ("fetch.max.bytes", "it is a share of `memory.budget`"),
    ("fetch.message.max.bytes", "it is a share of `memory.budget`"),
    ("max.partition.fetch.bytes", "it is a share of `memory.budget`"),
    ("topic.blacklist", "it keeps tidemill's own outputs out of its input"),
    ("transactional.id", "it follows from group, instance and lane"),
    ("transaction.timeout.ms", "it is `commit.timeout`"),
    ("enable.idempotence", "a transaction needs it"),
    ("enable.gapless.guarantee", "a transaction has its own"),
    ("acks", "a transaction needs all of them"),
    ("request.required.acks", "a transaction needs all of them"),
    ("delivery.report.only.error", "failed deliveries are what tidemill asks for"),
    ("queue.buffering.max.kbytes", "it is a share of `memory.budget`"),
    ("queue.buffering.max.messages", "it is a share of `memory.budget`"),
    ("compression.type", "it is `sink.compression`"),
    ("compression.codec", "it is `sink.compression`"),
    ("batch.num.messages", "tidemill isolates a refused record by it"),
    ("log.queue", "log lines go to tidemill's own log"),
];

/// Why a property may not be set by a user, or `None` if it may.
pub fn owned_property(name: &str) -> Option<&'static str> {
    OWNED.iter().find(|(owned, _)| *owned == name).map(|(_, reason)| *reason)
}

/// True if librdkafka knows a property of this name; asks its own table and connects to nothing.
pub fn known_property(name: &str) -> bool {
    Conf::new().known(name)
}

/// Whether a user may set a property to a value; connects to nothing.
///
/// # Errors
/// Why not, for people: tidemill owns it, librdkafka has none of that name (with the nearest one there is), or refuses
/// the value, which is not repeated.
pub fn check_property(name: &str, value: &str) -> Result<(), String> {
    if let Some(reason) = owned_property(name) {
        return Err(format!("it belongs to tidemill: {reason}"));
    }
    let conf = Conf::new();
    if known_property(name) {
        let refusal = |error: BrokerError| match error.message.split_once(": ") {
            Some((_, reason)) => reason.to_owned(),
            None => error.message,
        };
        return conf.set(name, value).map_err(refusal);
    }
    let mut names = conf.names();
    // The one alias that is better known than its property.
    names.push("linger.ms".into());
    let distance = |known: &&String| strsim::damerau_levenshtein(known, &name.to_ascii_lowercase().replace('_', "."));
    let nearest = names.iter().min_by_key(distance).filter(|known| distance(known) <= 1 + name.len() / 6);
    let hint = nearest.map(|known| format!("; did you mean `{known}`?")).unwrap_or_default();
    Err(format!("it has no property of this name{hint}"))
}

/// What every client gets.
fn common(kafka: &Kafka) -> Result<Properties, BrokerError> {
    let users = [&kafka.properties, &kafka.consumer_properties, &kafka.producer_properties];
    for name in users.into_iter().flat_map(|map| map.keys()) {
        if let Some(reason) = owned_property(name) {
            return Err(BrokerError::fatal(format!("property `{name}` belongs to tidemill: {reason}")));
        }
    }
    Ok(list(&[
        ("bootstrap.servers", &kafka.brokers),
        ("client.id", "tidemill"),
        // A broker that restarts is found again within a second, not ten.
        ("reconnect.backoff.max.ms", "1000"),
        // Brokers close idle connections: nothing that an operator should know.
        ("log.connection.close", "false"),
        // Telemetry makes the end of a client wait for the broker.
        ("enable.metrics.push", "false"),
    ]))
}

/// How often librdkafka says how it is; every producer and consumer of a lane.
const STATISTICS: (&str, &str) = ("statistics.interval.ms", "5000");

/// A consumer of the group.
pub(super) fn consumer(options: &Options) -> Result<Properties, BrokerError> {
    let kafka = &options.kafka;
    let mut all = common(kafka)?;
    all.extend(list(&[
        // The default of a second is what makes a consumer slow: it waits whenever the queue was full for a moment.
        ("fetch.queue.backoff.ms", "1"),
        // The mark of a partition's end comes this long after the records.
        ("fetch.wait.max.ms", "20"),
        // New partitions and topics are seen within half a minute.
        ("topic.metadata.refresh.interval.ms", "30000"),
        STATISTICS,
    ]));
    if kafka.protocol == Protocol::Classic {
        all.extend(list(&[("session.timeout.ms", "45000")]));
    }
    all.extend(pairs([&kafka.properties, &kafka.consumer_properties]));
    if kafka.protocol == Protocol::Consumer {
        // The broker has these; librdkafka refuses to start with them.
        let brokers = ["session.timeout.ms", "heartbeat.interval.ms", "group.protocol.type"];
        all.retain(|(name, _)| !brokers.contains(&name.as_str()));
    }
    all.extend(reading(&kafka.group, &options.settings));
    match kafka.protocol {
        Protocol::Classic => all.extend(list(&[("partition.assignment.strategy", "cooperative-sticky")])),
        Protocol::Consumer => all.extend(list(&[("group.protocol", "consumer")])),
    }
    if let (true, Some(instance)) = (kafka.static_membership, &options.instance) {
        all.extend(list(&[("group.instance.id", instance)]));
    }
    if options.topics.iter().any(|topic| topic.starts_with('^')) {
        let own = options.outlets().map(|topic| format!("^{}$", topic.replace('.', "\\."))).collect::<Vec<_>>();
        all.extend(list(&[("topic.blacklist", &own.join(","))]));
    }
    Ok(all)
}

/// How everybody reads: what is committed, within limits, and positions are kept by tidemill alone.
fn reading(group: &str, settings: &Settings) -> Properties {
    list(&[
        ("group.id", group),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("auto.offset.reset", "error"),
        ("isolation.level", "read_committed"),
        ("enable.partition.eof", "true"),
        // A queued record costs a few hundred bytes beside its own: the count is capped as well.
        ("queued.min.messages", &settings.consumer_queue_records.to_string()),
        ("queued.max.messages.kbytes", &kib(settings.consumer_queue_bytes)),
        ("fetch.max.bytes", &settings.fetch_bytes.to_string()),
        ("fetch.message.max.bytes", &settings.partition_fetch_bytes.to_string()),
        // Means nothing to a consumer, but librdkafka does not start if it is more than `fetch.max.bytes`.
        ("message.max.bytes", &settings.fetch_bytes.to_string()),
    ])
}

/// A transactional producer; with `isolate` every record travels in a batch of its own.
pub(super) fn producer(options: &Options, isolate: bool) -> Result<Properties, BrokerError> {
    let kafka = &options.kafka;
    let mut all = common(kafka)?;
    // With the default of 100 ms, transactions back to back take 103 ms instead of 9.
    all.extend(list(&[("retry.backoff.ms", "5"), STATISTICS]));
    all.extend(pairs([&kafka.properties, &kafka.producer_properties]));
    all.extend(list(&[
        ("transactional.id", &options.transactional_id),
        ("transaction.timeout.ms", &options.commit_timeout.as_millis().to_string()),
        ("delivery.report.only.error", "true"),
        ("queue.buffering.max.kbytes", &kib(options.settings.producer_queue_bytes)),
        ("queue.buffering.max.messages", &options.settings.producer_queue_records.to_string()),
        ("compression.type", &options.compression),
    ]));
    if isolate {
        all.extend(list(&[("batch.num.messages", "1")]));
    }
    Ok(all)
}

/// A client that asks and administers, and a producer without transactions.
pub(super) fn plain_producer(kafka: &Kafka) -> Result<Properties, BrokerError> {
    let mut all = common(kafka)?;
    all.extend(pairs([&kafka.properties, &kafka.producer_properties]));
    all.extend(list(&[
        ("enable.idempotence", "true"),
        // Reports of success are what wakes a flush.
        ("delivery.report.only.error", "false"),
        // Keys go where the Java client puts them.
        ("partitioner", "murmur2_random"),
        ("queue.buffering.max.kbytes", "65536"),
        ("queue.buffering.max.messages", "0"),
    ]));
    Ok(all)
}

/// A producer that only initialises its id.
pub(super) fn transactional(kafka: &Kafka, id: &str) -> Result<Properties, BrokerError> {
    let mut all = common(kafka)?;
    all.extend(pairs([&kafka.properties, &kafka.producer_properties]));
    all.extend(list(&[("transactional.id", id)]));
    Ok(all)
}

/// A reader that joins nothing, of committed records only. (librdkafka wants a group's name all the same.)
pub(super) fn plain_consumer(kafka: &Kafka, group: &str, settings: &Settings) -> Result<Properties, BrokerError> {
    let mut all = common(kafka)?;
    all.extend(list(&[("fetch.queue.backoff.ms", "1"), ("fetch.wait.max.ms", "20")]));
    all.extend(pairs([&kafka.properties, &kafka.consumer_properties]));
    all.extend(reading(group, settings));
    Ok(all)
}

fn list(pairs: &[(&str, &str)]) -> Properties {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn pairs<const N: usize>(maps: [&std::collections::BTreeMap<String, String>; N]) -> Properties {
    maps.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn kib(bytes: u64) -> String {
    (bytes / 1024).max(1).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn librdkafka_knows_every_owned_property_and_no_invented_one() {
        for (name, _) in OWNED {
            assert!(known_property(name), "{name}");
        }
        assert!(known_property("linger.ms") && known_property("sasl.password"));
        assert!(!known_property("linger.msec") && !known_property("") && !known_property("a\0b"));
    }

    fn options(protocol: Protocol) -> Options {
        let mine = |name: &str, value: &str| [(name.to_owned(), value.to_owned())].into();
        Options {
            kafka: Kafka {
                brokers: "127.0.0.1:1".into(),
                group: "g".into(),
                instance: None,
                static_membership: true,
                protocol,
                properties: mine("message.max.bytes", "9000000"),
                consumer_properties: mine("session.timeout.ms", "7000"),
                producer_properties: mine("linger.ms", "1"),
            },
            topics: vec!["^in".into()],
            sink: "out.a".into(),
            late: Some("out.b".into()),
            dead_letter: None,
            transactional_id: "id".into(),
            instance: Some("here".into()),
            commit_timeout: std::time::Duration::from_secs(30),
            settings: Settings { fetch_bytes: 128 << 10, ..Settings::default() },
            compression: "lz4".into(),
            reports: None,
        }
    }

    fn last<'a>(all: &'a Properties, name: &str) -> Option<&'a str> {
        all.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn librdkafka_takes_what_we_set_and_what_a_user_adds_comes_later() {
        for protocol in [Protocol::Classic, Protocol::Consumer] {
            let options = options(protocol);
            let consumer = consumer(&options).unwrap();
            super::super::native::check(&consumer).unwrap();
            assert_eq!(last(&consumer, "fetch.max.bytes"), Some("131072"));
            assert_eq!(last(&consumer, "group.instance.id"), Some("here"));
            assert_eq!(last(&consumer, "topic.blacklist"), Some("^out\\.a$,^out\\.b$"));
            let session = (protocol == Protocol::Classic).then_some("7000");
            assert_eq!(last(&consumer, "session.timeout.ms"), session);
            let producer = producer(&options, true).unwrap();
            super::super::native::check(&producer).unwrap();
            assert_eq!(last(&producer, "linger.ms"), Some("1"));
            assert_eq!(last(&producer, "batch.num.messages"), Some("1"));
        }
    }

    #[test]
    fn an_owned_property_is_refused_with_the_reason() {
        let mut options = options(Protocol::Classic);
        options.kafka.properties.insert("isolation.level".into(), "read_uncommitted".into());
        let error = consumer(&options).unwrap_err();
        assert!(error.message.contains("isolation.level") && error.message.contains("aborted"), "{error}");
    }

    #[test]
    fn a_property_is_refused_with_the_reason_and_the_nearest_name() {
        for (name, value, expected) in [
            ("linger.ms", "5", ""),
            ("request.timeout.ms", "5000", ""),
            ("linger.msec", "5", "it has no property of this name; did you mean `linger.ms`?"),
            ("session_timeout_ms", "5", "it has no property of this name; did you mean `session.timeout.ms`?"),
            ("mesage.max.bytes", "5", "it has no property of this name; did you mean `message.max.bytes`?"),
            ("request.timeout.m", "5", "it has no property of this name; did you mean `request.timeout.ms`?"),
            ("entirely.invented", "5", "it has no property of this name"),
            ("a\0b", "5", "it has no property of this name"),
            ("batch.num.messages", "5", "it belongs to tidemill: tidemill isolates a refused record by it"),
        ] {
            assert_eq!(check_property(name, value).err().unwrap_or_default(), expected, "{name}");
        }
        let refusal = check_property("security.protocol", "s3cret").unwrap_err();
        assert!(refusal.contains("security.protocol") && !refusal.contains("s3cret"), "{refusal}");
    }

    #[test]
    fn a_refused_value_is_not_shown() {
        let error = Conf::new().set("security.protocol", "s3cret").unwrap_err();
        assert!(error.message.contains("security.protocol") && !error.message.contains("s3cret"), "{error}");
    }
}
