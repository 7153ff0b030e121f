//! The judgement on a cluster that never was: facts that are as they should be, spoilt one at a time.

use super::*;
use crate::broker::{Ends, TopicId};
use crate::checkpoint::{Checkpoint, Digest};
use crate::config;
use crate::kafka::Rights;
use std::path::Path;

/// The source's identity.
pub(in crate::cli) const TOPIC_ID: TopicId = TopicId([7; 16]);
const HOUR_MS: i64 = 3_600_000;

pub(in crate::cli) fn pipeline(more: &str) -> Config {
    let text = format!(
        "name: p\nkafka: {{ brokers: b:9092 }}\nsource: {{ topics: [in] }}\nwindow: {{ tumbling: 1h, grace: 1h }}\n\
         aggregate: {{ n: count }}\nsink: {{ topic: out }}\nlate: {{ topic: late }}\ndead_letter: {{ topic: dead }}\n{more}"
    );
    let loaded = config::parse("p.yaml", &text, Path::new("."), &|_| None);
    loaded.unwrap_or_else(|complaints| panic!("{}", complaints[0])).config
}

pub(in crate::cli) fn at(partition: i32) -> TopicPartition {
    TopicPartition { topic: "in".into(), partition }
}

pub(in crate::cli) fn checkpoint(config: &Config, replay_from: i64) -> Checkpoint {
    let digest = Digest::of(&config.pipeline);
    Checkpoint { replay_from, watermark_ms: Some(1_356_998_400_000), guard: Vec::new(), digest, topic_id: TOPIC_ID }
}

fn topic(name: &str, id: TopicId) -> TopicFacts {
    let settings = [
        ("cleanup.policy", "delete"),
        ("retention.ms", "-1"),
        ("retention.bytes", "-1"),
        ("message.timestamp.type", "CreateTime"),
        ("message.timestamp.before.max.ms", "9223372036854775807"),
        ("message.timestamp.after.max.ms", "3600000"),
        ("max.message.bytes", "1048588"),
    ];
    let settings = settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let rights = Some(Rights { read: true, write: true });
    let found = Topic { name: name.to_owned(), id, partitions: 4, rights };
    TopicFacts { name: name.to_owned(), topic: Ok(Some(found)), config: Ok(settings) }
}

/// A cluster on which nothing is wrong: 4 partitions with offsets 100 to 1,000, a position in the first of them.
pub(in crate::cli) fn cluster(config: &Config) -> ClusterFacts {
    let committed = Committed { offset: 500, metadata: checkpoint(config, 400).encode() };
    let ends = Ends { last_stable: 990, high_watermark: 1_000 };
    let settings = [
        ("offset.metadata.max.bytes", "4096"),
        ("transaction.max.timeout.ms", "900000"),
        ("group.coordinator.rebalance.protocols", "classic,consumer"),
        ("offsets.retention.minutes", "10080"),
    ];
    ClusterFacts {
        sources: vec![topic("in", TOPIC_ID)],
        outlets: [(Outlet::Sink, "out"), (Outlet::Late, "late"), (Outlet::DeadLetter, "dead")]
            .map(|(outlet, name)| (outlet, topic(name, TopicId([1; 16]))))
            .into(),
        broker: Ok(settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()),
        group: Some(Ok(Group { state: "Empty".into(), protocol: "Classic".into(), members: Vec::new() })),
        positions: Ok([(at(0), committed)].into()),
        logs: (0..4).map(|partition| (at(partition), Log { earliest: 100, ends })).collect(),
        transactional_id: Some(Ok(())),
    }
}

fn set(topic: &mut TopicFacts, name: &str, value: impl ToString) {
    topic.config.as_mut().unwrap().insert(name.into(), value.to_string());
}

fn found(topic: &mut TopicFacts) -> &mut Topic {
    topic.topic.as_mut().unwrap().as_mut().unwrap()
}

/// What is spoilt, and the one finding that follows: how bad, a part of the text, a part of the mend.
type Case = (fn(&mut ClusterFacts), Severity, &'static str, &'static str);

const CASES: &[Case] = &[
    (
        |f| set(&mut f.sources[0], "cleanup.policy", "compact,delete"),
        Severity::Fatal,
        "`in` is compacted",
        "kafka-configs.sh --bootstrap-server b:9092 --alter --entity-type topics --entity-name in --add-config \
         cleanup.policy=delete",
    ),
    (
        |f| set(&mut f.sources[0], "retention.ms", 2 * HOUR_MS - 1),
        Severity::Error,
        "keeps records for 7199999 ms, but an open window reaches back 2 h",
        "retention.ms=612000000",
    ),
    (
        |f| set(&mut f.sources[0], "retention.ms", 26 * HOUR_MS - 1),
        Severity::Warning,
        "after an outage of more than 86399999 ms",
        "retention.ms=612000000",
    ),
    (|f| set(&mut f.sources[0], "retention.bytes", 5), Severity::Warning, "keeps 5 bytes", "retention.bytes=-1"),
    (|f| f.sources.clear(), Severity::Warning, "no topic matches `in` now", "later"),
    (
        |f| f.sources[0].topic = Err("topic `in`: refused".into()),
        Severity::Error,
        "source topic `in`: refused",
        "kafka-acls.sh --bootstrap-server b:9092 --add --allow-principal User:NAME --operation Read",
    ),
    (
        |f| found(&mut f.sources[0]).rights = Some(Rights { read: false, write: true }),
        Severity::Error,
        "`in` may not be read",
        "--operation Read",
    ),
    (
        |f| f.sources[0].config = Err("settings of topic `in`: refused".into()),
        Severity::Warning,
        "whether `in` is compacted",
        "--operation DescribeConfigs --topic in",
    ),
    (
        |f| f.outlets[0].1.topic = Ok(None),
        Severity::Error,
        "topic `out` (sink.topic) does not exist",
        "kafka-topics.sh --bootstrap-server b:9092 --create --topic out --partitions 4 --config retention.ms=-1",
    ),
    (
        |f| found(&mut f.outlets[1].1).rights = Some(Rights { read: true, write: false }),
        Severity::Error,
        "`late` (late.topic) may not be written",
        "--operation Write",
    ),
    (
        |f| found(&mut f.outlets[0].1).partitions = 3,
        Severity::Warning,
        "`out` (sink.topic) has 3 partitions, its source 4",
        "joins",
    ),
    (
        |f| set(&mut f.outlets[2].1, "retention.ms", 7 * 24 * HOUR_MS),
        Severity::Warning,
        "`dead` (dead_letter.topic) keeps records for 7 d, counted from their event time",
        "--entity-name dead --add-config retention.ms=-1",
    ),
    (
        |f| {
            set(&mut f.outlets[0].1, "message.timestamp.type", "LogAppendTime");
            set(&mut f.outlets[0].1, "retention.ms", HOUR_MS);
            set(&mut f.outlets[0].1, "message.timestamp.before.max.ms", HOUR_MS);
        },
        Severity::Warning,
        "stamps records with the time of writing",
        "message.timestamp.type=CreateTime",
    ),
    (
        |f| set(&mut f.outlets[0].1, "message.timestamp.before.max.ms", HOUR_MS),
        Severity::Error,
        "refuses records with a time more than 1 h ago",
        "message.timestamp.before.max.ms=9223372036854775807",
    ),
    (
        |f| set(&mut f.outlets[0].1, "message.timestamp.before.max.ms", 2 * HOUR_MS),
        Severity::Warning,
        "refuses records with a time more than 2 h ago",
        "message.timestamp.before.max.ms",
    ),
    (
        |f| set(&mut f.outlets[0].1, "message.timestamp.after.max.ms", 1_000),
        Severity::Warning,
        "more than 1 s ahead of the broker's clock",
        "message.timestamp.after.max.ms=3600000",
    ),
    (|f| set(&mut f.outlets[0].1, "cleanup.policy", "compact"), Severity::Warning, "only the newest stays", "delete"),
    (
        |f| set(&mut f.outlets[2].1, "cleanup.policy", "compact"),
        Severity::Error,
        "it refuses records without a key",
        "cleanup.policy=delete",
    ),
    (
        |f| set(&mut f.outlets[1].1, "max.message.bytes", 900 * 1024 + 16 * 1024 + 4095),
        Severity::Warning,
        "fewer than the 942080 that records may have",
        "max.message.bytes=942080",
    ),
    (
        |f| set(&mut f.outlets[0].1, "max.message.bytes", 1_000),
        Severity::Warning,
        "larger ones stop the worker",
        "max.message.bytes=118884",
    ),
    (
        |f| f.transactional_id = Some(Err("transactional id `p/~check/0`: refused".into())),
        Severity::Error,
        "transactions cannot be used: transactional id",
        "--transactional-id p/ --resource-pattern-type prefixed",
    ),
    (|f| f.group = Some(Err("group `p`: refused".into())), Severity::Error, "group `p`: refused", "--group p"),
    (|f| f.positions = Err("positions: refused".into()), Severity::Error, "positions: refused", "--group p"),
    (
        |f| broker(f, "offset.metadata.max.bytes", "999"),
        Severity::Error,
        "take 999 bytes of metadata",
        "offset.metadata.max.bytes=4096",
    ),
    (
        |f| broker(f, "transaction.max.timeout.ms", "29999"),
        Severity::Error,
        "`commit.timeout` is 30000 ms, but brokers allow transactions of 29999 ms",
        "timeout: 29999ms",
    ),
    (|f| broker(f, "offsets.retention.minutes", "60"), Severity::Warning, "for 60 minutes", "10080"),
    (
        |f| position(f, 400, "x"),
        Severity::Error,
        "in[0] would be held: the metadata committed with offset 400 cannot be used: it was not written by tidemill",
        "--reset 'in[0]=400'",
    ),
];

fn broker(facts: &mut ClusterFacts, name: &str, value: &str) {
    facts.broker.as_mut().unwrap().insert(name.into(), value.into());
}

fn position(facts: &mut ClusterFacts, offset: i64, metadata: &str) {
    let committed = Committed { offset, metadata: metadata.into() };
    facts.positions.as_mut().unwrap().insert(at(0), committed);
}

#[test]
fn a_cluster_as_it_should_be_has_no_findings() {
    let config = pipeline("");
    assert_eq!(judge(&config, &cluster(&config)), []);
    let mut facts = cluster(&config);
    facts.transactional_id = None;
    facts.broker = Err("not allowed".into());
    set(&mut facts.sources[0], "retention.ms", 26 * HOUR_MS);
    found(&mut facts.sources[0]).rights = None;
    assert_eq!(judge(&config, &facts), [], "what is not known is not held against anybody");
}

#[test]
fn each_fault_is_found_with_what_mends_it_and_nothing_else_is() {
    let config = pipeline("");
    for (spoil, severity, text, mend) in CASES {
        let mut facts = cluster(&config);
        spoil(&mut facts);
        let findings = judge(&config, &facts);
        assert_eq!(findings.len(), 1, "{text}: {findings:?}");
        assert_eq!(findings[0].severity, *severity, "{text}");
        assert!(findings[0].text.contains(text) && findings[0].mend.contains(mend), "{text}: {:?}", findings[0]);
    }
}

#[test]
fn a_file_can_ask_for_more_than_a_cluster_has() {
    let config = pipeline("lanes: 5");
    let findings = judge(&config, &cluster(&config));
    assert!(findings.len() == 1 && findings[0].text.contains("`lanes` is 5, but the source has 4"), "{findings:?}");
    let config = pipeline("lanes: 4");
    assert_eq!(judge(&config, &cluster(&config)), []);
    let mut config = pipeline("");
    config.kafka.protocol = config::Protocol::Consumer;
    let mut facts = cluster(&config);
    assert_eq!(judge(&config, &facts), []);
    broker(&mut facts, "group.coordinator.rebalance.protocols", "classic");
    assert!(judge(&config, &facts)[0].text.contains("brokers know classic only"));
}

#[test]
fn records_larger_than_the_producer_takes_are_announced() {
    let config = pipeline("");
    let mut large = config.clone();
    let mut source = (*large.pipeline).clone();
    source.max_record_bytes = 1 << 20;
    large.pipeline = source.into();
    let mut facts = cluster(&large);
    facts.outlets.iter_mut().for_each(|(_, topic)| set(topic, "max.message.bytes", 1 << 21));
    let findings = judge(&large, &facts);
    assert!(findings.len() == 1 && findings[0].mend.contains("message.max.bytes: 1069056"), "{findings:?}");
    large.kafka.producer_properties.insert("message.max.bytes".into(), "1069056".into());
    assert_eq!(judge(&large, &facts), []);
    facts.outlets[1].1.topic = Ok(None);
    let mend = &judge(&large, &facts)[0].mend;
    assert!(mend.ends_with("--config retention.ms=-1 --config max.message.bytes=1069056"), "{mend}");
}

#[test]
fn what_is_missing_gets_as_many_partitions_as_its_companions() {
    let config = pipeline("");
    for (source, sink, expected) in [(0, 0, 4), (0, 6, 6), (3, 6, 3)] {
        let mut facts = cluster(&config);
        found(&mut facts.sources[0]).partitions = source;
        for (outlet, topic) in &mut facts.outlets {
            match outlet {
                Outlet::Sink if sink > 0 => found(topic).partitions = sink,
                _ => topic.topic = Ok(None),
            }
        }
        if source == 0 {
            facts.sources[0].topic = Ok(None);
        }
        let findings = judge(&config, &facts);
        let created: Vec<_> = findings.iter().filter(|finding| finding.mend.contains("--create")).collect();
        let partitions = format!("--partitions {expected} ");
        assert!(!created.is_empty() && created.iter().all(|finding| finding.mend.contains(&partitions)), "{created:?}");
    }
}

#[test]
fn a_login_is_asked_for_where_the_pipeline_has_one() {
    let mut config = pipeline("");
    config.kafka.properties.insert("security.protocol".into(), "sasl_ssl".into());
    let mut facts = cluster(&config);
    facts.outlets[0].1.topic = Ok(None);
    assert!(judge(&config, &facts)[0].mend.contains(" --command-config client.properties --create"));
}

#[test]
fn positions_are_judged_as_a_lane_would() {
    let config = pipeline("");
    let digest = Digest::of(&config.pipeline);
    let log = cluster(&config).logs[&at(0)];
    let ours = |replay_from| checkpoint(&config, replay_from);
    let other_topic = Checkpoint { topic_id: TopicId([8; 16]), ..ours(400) };
    let other_rules = Checkpoint { digest: Digest(1), ..ours(400) };
    for (offset, metadata, expected) in [
        (500, ours(400).encode(), "resumable"),
        (100, ours(100).encode(), "resumable"),
        (1_000, ours(1_000).encode(), "resumable"),
        (500, ours(99).encode(), "offset 99 is needed, but the log begins at 100"),
        (1_001, ours(400).encode(), "offset 1001 is committed, but the log ends at 1000"),
        (500, other_topic.encode(), "deleted and created again"),
        (500, other_rules.encode(), "digest 0000000000000001 is committed"),
        (500, "tm9 1".into(), "a release of tidemill that this one does not know"),
        (500, "hello".into(), "not written by tidemill"),
        (500, String::new(), "clean"),
        (99, String::new(), "the log begins at 100"),
    ] {
        let committed = Committed { offset, metadata };
        let found = match Standing::of(&at(0), TOPIC_ID, digest, Some(&committed), Some(&log)) {
            Standing::Resumable => "resumable".to_owned(),
            Standing::Clean => "clean".to_owned(),
            Standing::Held { why, .. } => why,
            other => panic!("{other:?}"),
        };
        assert!(found.contains(expected), "{committed:?}: {found}");
    }
    assert_eq!(Standing::of(&at(0), TOPIC_ID, digest, None, Some(&log)), Standing::New);
}
