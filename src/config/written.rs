//! The file as written: every key of a pipeline, with what it means.
//!
//! These lines are the source of the schema, of `docs/configuration.md` and of what `check` accepts. They say nothing
//! of how keys depend on each other: that is `load.rs`.

use super::complaint::Complaints;
use super::names::{FieldPath, Name, Text, TopicName, TopicPattern};
use super::node::{Kind, Node, Value};
use super::properties::{is_credential, owned_names, refusal};
use super::read::*;
use super::units::{Bytes, Millis, SIZE_UNITS};
use super::{AggregateKind, Protocol, StartAt, TimeFormat, WhenFull};
use serde_json::json;
use std::net::SocketAddr;

section! {
    /// A tidemill pipeline: keyed JSON events from Kafka, merged into event-time windows, exactly once.
    Pipeline {
        /// Name in logs, metrics and dashboards; also the name of the group unless `kafka.group` is set.
        name: required Name,
        /// How to reach the brokers and the group.
        kafka: required Kafka,
        /// What is read, and where its event time comes from.
        source: required Source,
        /// Which windows records are merged into, and when windows close.
        window: required Window,
        /// What a result holds, in the order of the file: `name: count`, or `name: { kind: field }`.
        aggregate: required Aggregates,
        /// Where results go.
        sink: required Sink,
        /// Where late records go; without it they are counted and dropped.
        late: optional Outlet,
        /// Where records go that cannot be used; without it they are counted and dropped.
        dead_letter: optional Outlet,
        /// When results are committed.
        commit: preset Commit = "{}",
        /// Number of lanes, each a thread with a consumer and a producer; `auto` is one for each core, capped by partitions.
        lanes: preset Lanes = "auto",
        /// How much memory the process may take.
        memory: preset Memory = "{}",
        /// Where metrics and health are served; `off` for nowhere.
        http: preset OrOff<Http> = "{}",
        /// How the worker stops.
        shutdown: preset Shutdown = "{}",
    }
}

section! {
    /// How to reach the brokers and the group.
    Kafka {
        /// Brokers to start from: `host:port`, several joined by commas.
        brokers: required Brokers,
        /// The consumer group; also the beginning of every transactional id. The name of the pipeline unless set.
        group: optional Name,
        /// Name of this worker's place in the deployment (a StatefulSet's pod name). Host name and first free slot unless set.
        instance: optional Name,
        /// Whether members keep their partitions over a restart (KIP-345).
        static_membership: preset bool = "false",
        /// Who assigns partitions: `classic` is cooperative-sticky in the client, `consumer` is the broker (KIP-848).
        protocol: preset Protocol = "classic",
        /// librdkafka properties for consumers and producers, except those that tidemill owns.
        properties: preset Properties = "{}",
        /// librdkafka properties for consumers only; they win over `properties`.
        consumer_properties: preset Properties = "{}",
        /// librdkafka properties for producers only; they win over `properties`.
        producer_properties: preset Properties = "{}",
    }
}

section! {
    /// What is read, and where its event time comes from.
    Source {
        /// The source topics: names, or regular expressions that begin with `^`.
        topics: required Vec<At<TopicPattern>>,
        /// How values are written.
        format: preset Format = "json",
        /// Which field holds the event time. Without it: the Kafka timestamp.
        time: optional Time,
        /// Where a group without any position begins.
        start: preset StartAt = "earliest",
        /// Largest value; larger ones are dead letters.
        max_record: preset Bytes = "900KiB",
        /// Largest key; larger ones are dead letters.
        max_key: preset Bytes = "16KiB",
        /// How far event time may be ahead of the clock; records further ahead are dead letters. `off` trusts every time.
        max_ahead: preset OrOff<Millis> = "5m",
        /// The keys that can come; any other is a dead letter. A list, or a file with one key on each line.
        keys: optional DeclaredKeys,
    }
}

section! {
    /// The field that holds the event time.
    Time {
        /// The field: member names joined by dots.
        field: required FieldPath,
        /// How the time is written there.
        format: required TimeFormat,
    }
}

section! {
    /// A file with one key on each line.
    KeysFile {
        /// Its path, relative to this file.
        file: required Text,
    }
}

section! {
    /// Half-open intervals of event time, and when they close.
    Window [exactly one of tumbling, hopping] {
        /// Length of windows that follow one another. Either this or `hopping`.
        tumbling: optional Millis,
        /// Windows that overlap. Either this or `tumbling`.
        hopping: optional Hopping,
        /// Shift of all window starts from 1970-01-01T00:00:00Z: `5h` makes days that begin at 05:00 UTC.
        offset: preset Millis = "0s",
        /// How long after its end a window still takes records. Always written out; `0s` is allowed.
        grace: required Millis,
        /// What closes the windows of a partition that has gone silent; `off` if only records may.
        idle: preset OrOff<Idle> = "{}",
    }
}

section! {
    /// Windows that overlap.
    Hopping {
        /// Length of a window.
        size: required Millis,
        /// From one start to the next; at most `size`.
        every: required Millis,
    }
}

section! {
    /// What closes the windows of a silent partition.
    Idle {
        /// How long a partition must have been silent.
        after: preset Millis = "30s",
        /// `advance`: event time goes on with the clock. `close`: every window closes at once, for input that ends.
        then: preset Then = "advance",
    }
}

section! {
    /// One aggregate of a field: `{ kind: field }`.
    OfField [exactly one of count, sum, min, max, mean, first, last] {
        /// Records in which the field is not null.
        count: optional FieldPath,
        /// Sum of the field, a compensated double.
        sum: optional FieldPath,
        /// Smallest number.
        min: optional FieldPath,
        /// Largest number.
        max: optional FieldPath,
        /// Sum divided by count.
        mean: optional FieldPath,
        /// The field's value at the lowest event time.
        first: optional FieldPath,
        /// The field's value at the highest event time.
        last: optional FieldPath,
    }
}

section! {
    /// Where results go.
    Sink {
        /// The topic.
        topic: required TopicName,
        /// What results carry besides: `partition` is the source partition.
        fields: optional Vec<At<Extra>>,
        /// How batches are compressed, in this topic and in those for late records and dead letters.
        compression: preset Compression = "lz4",
    }
}

section! {
    /// A topic for what does not reach the results.
    Outlet {
        /// The topic.
        topic: required TopicName,
    }
}

section! {
    /// When results are committed.
    Commit {
        /// Shortest time between two commits: 10ms to 5m.
        interval: preset Millis = "100ms",
        /// After this the broker gives a transaction up: 1s to 15m, longer than `interval`.
        timeout: preset Millis = "30s",
    }
}

section! {
    /// How much memory the process may take.
    Memory {
        /// Resident memory of the whole process, at least 16MiB; `auto` takes the limit of the container.
        budget: preset Budget = "256MiB",
        /// When open windows alone fill the budget: `hold` stays alive and reads nothing more, `stop` exits.
        when_full: preset WhenFull = "hold",
    }
}

section! {
    /// Where metrics and health are served.
    Http {
        /// Address and port; `off` for nowhere.
        listen: preset OrOff<Listen> = "127.0.0.1:9640",
    }
}

section! {
    /// How the worker stops.
    Shutdown {
        /// How long it may take: 100ms to 10m. What is not committed by then is read again by the next worker.
        timeout: preset Millis = "5s",
    }
}

words!(Protocol, "a rebalance protocol": { "classic" => Protocol::Classic, "consumer" => Protocol::Consumer });
words!(StartAt, "a place to start": { "earliest" => StartAt::Earliest, "latest" => StartAt::Latest });
words!(TimeFormat, "a time format": {
    "unix_s" => TimeFormat::UnixS, "unix_ms" => TimeFormat::UnixMs, "unix_us" => TimeFormat::UnixUs,
    "unix_ns" => TimeFormat::UnixNs, "rfc3339" => TimeFormat::Rfc3339,
});
words!(WhenFull, "an answer to a full budget": { "hold" => WhenFull::Hold, "stop" => WhenFull::Stop });

/// `source.format`: later formats go here.
#[derive(Debug)]
pub(super) struct Format;
words!(Format, "a format": { "json" => Self });

/// `window.idle.then`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Then {
    Advance,
    Close,
}
words!(Then, "an answer to silence": { "advance" => Then::Advance, "close" => Then::Close });

/// `sink.fields`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extra;
words!(Extra, "a field that results can carry": { "partition" => Self });

/// `sink.compression`, by its name in librdkafka.
#[derive(Debug)]
pub(super) struct Compression(pub(super) &'static str);
words!(Compression, "a codec": {
    "none" => Self("none"), "gzip" => Self("gzip"), "snappy" => Self("snappy"), "lz4" => Self("lz4"),
    "zstd" => Self("zstd"),
});

/// `kafka.brokers`.
#[derive(Debug)]
pub(super) struct Brokers(pub(super) String);

impl Form for Brokers {
    const WHAT: &'static str = "text such as `host:9092,other:9092`";
    const SHAPE: Shape = Shape::Pattern(r" *[^\s,]+ *(, *[^\s,]+ *)*");

    fn parse(text: &str) -> Result<Self, Wrong> {
        let brokers: Vec<&str> = text.split(',').map(str::trim).collect();
        for broker in &brokers {
            let address = broker.split_once("://").map_or(*broker, |(_, address)| address);
            let port = address.rsplit_once(':').filter(|_| !address.ends_with(']')).map(|(_, port)| port);
            if port.is_some_and(|port| !port.parse::<u16>().is_ok_and(|port| port > 0)) {
                return Err(Wrong {
                    message: "a broker's port is a number from 1 to 65535".into(),
                    help: Some("write host:port, such as localhost:9092".into()),
                });
            }
        }
        Ok(Self(brokers.join(",")))
    }
}

/// `http.listen`.
#[derive(Debug)]
pub(super) struct Listen(pub(super) SocketAddr);

impl Form for Listen {
    const WHAT: &'static str = "an address and a port such as `127.0.0.1:9640`";
    const SHAPE: Shape = Shape::Pattern(r"[0-9.]+:[0-9]+|\[[0-9A-Fa-f:.]+\]:[0-9]+");

    fn parse(text: &str) -> Result<Self, Wrong> {
        text.parse().map(Self).map_err(|_| "there is no such address or port".to_owned().into())
    }
}

/// `lanes`: `None` is `auto`.
#[derive(Debug)]
pub(super) struct Lanes(pub(super) Option<usize>);

/// More lanes than any machine of today has cores.
const LANES_MAX: usize = 1024;

impl Read for Lanes {
    fn schema() -> serde_json::Value {
        json!({ "title": "`auto` or a number", "anyOf": [
            { "const": "auto" }, { "title": "a number from 1 to 1024", "type": "integer", "minimum": 1, "maximum": LANES_MAX }, substitution(),
        ] })
    }

    fn read(node: &Node, out: &mut Complaints) -> Option<Self> {
        let scalar = scalar(node, "`auto` or a number of lanes", out)?;
        let lanes = match (scalar.kind(), scalar.text()) {
            (Kind::Text | Kind::Substituted, "auto") => Some(None),
            (Kind::Integer | Kind::Substituted, text) => {
                text.parse().ok().filter(|lanes| (1..=LANES_MAX).contains(lanes)).map(Some)
            }
            _ => None,
        };
        if lanes.is_none() {
            out.error(node.span, format!("`{}` is not `auto` or a number from 1 to {LANES_MAX}", scalar.shown()));
        }
        lanes.map(Self)
    }
}

/// `memory.budget`: `None` is `auto`.
#[derive(Debug)]
pub(super) struct Budget(pub(super) Option<u64>);

impl Form for Budget {
    const WHAT: &'static str = "`auto` or a size such as `256MiB`";
    const SHAPE: Shape = Shape::Pattern(r"auto|[0-9]+(\.[0-9]+)? *(B|kB|KB|KiB|MB|MiB|GB|GiB|TB|TiB)");
    const UNITS: &'static [&'static str] = SIZE_UNITS;

    fn parse(text: &str) -> Result<Self, Wrong> {
        match text {
            "auto" => Ok(Self(None)),
            size => Bytes::parse(size).map(|size| Self(Some(size.0))),
        }
    }
}

/// `source.keys`.
#[derive(Debug)]
pub(super) enum DeclaredKeys {
    List(Vec<At<Key>>),
    File(KeysFile),
}

impl Read for DeclaredKeys {
    fn schema() -> serde_json::Value {
        json!({ "anyOf": [<Vec<At<Key>> as Read>::schema(), KeysFile::schema()] })
    }

    fn read(node: &Node, out: &mut Complaints) -> Option<Self> {
        match node.value {
            Value::Map(_) => KeysFile::read(node, out).map(Self::File),
            _ => Read::read(node, out).map(Self::List),
        }
    }
}

/// A key: any text, also an empty one.
#[derive(Debug)]
pub(super) struct Key(pub(super) String);

impl Form for Key {
    const WHAT: &'static str = "text";
    const SHAPE: Shape = Shape::Pattern(r"[\s\S]*");

    fn parse(text: &str) -> Result<Self, Wrong> {
        Ok(Self(text.into()))
    }
}

/// `kafka.properties` and its sisters: name and value, as librdkafka takes them.
#[derive(Debug, Default)]
pub(super) struct Properties(pub(super) Vec<Property>);

/// One property. `Debug` hides the value.
pub(super) struct Property {
    pub(super) name: String,
    pub(super) name_span: super::node::Span,
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
            let secret = super::is_secret(&entry.key);
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

/// `aggregate`.
#[derive(Debug)]
pub(super) struct Aggregates(pub(super) Vec<(String, AggregateKind, Option<String>)>);

/// More than any result needs, few enough for a row's layout.
const AGGREGATES_MAX: usize = 100;
/// Members that every result can have besides.
const RESERVED: &[&str] = &["key", "key_base64", "topic", "partition", "window_start", "window_end"];
/// Names that need no escape in JSON and no quotes in a query.
const NAME: &str = "^[A-Za-z_][A-Za-z0-9_-]{0,63}$";

impl Read for Aggregates {
    fn schema() -> serde_json::Value {
        json!({
            "type": "object", "minProperties": 1, "maxProperties": AGGREGATES_MAX,
            "propertyNames": { "pattern": NAME, "not": { "enum": RESERVED } },
            "additionalProperties": { "anyOf": [
                { "title": "records merged", "enum": ["count"] }, substitution(), OfField::schema(),
            ] },
        })
    }

    fn read(node: &Node, out: &mut Complaints) -> Option<Self> {
        let help = || "aggregates are written as `name: count` or `name: { kind: field }`".to_owned();
        let entries = entries(node, help, out)?;
        if entries.is_empty() {
            out.error(node.span, "a result needs at least one aggregate").help("add one: `records: count`");
        }
        if let Some(entry) = entries.get(AGGREGATES_MAX) {
            out.error(entry.key_span, format!("more than {AGGREGATES_MAX} aggregates"));
        }
        let name = regex::Regex::new(NAME).ok()?;
        let mut aggregates = Vec::new();
        for entry in entries {
            if RESERVED.contains(&entry.key.as_str()) {
                out.error(entry.key_span, format!("every result can have a member `{}` already", entry.key))
                    .help("give the aggregate another name");
            } else if !name.is_match(&entry.key) {
                out.error(entry.key_span, format!("`{}` is not a name for an aggregate", entry.key.escape_debug()))
                    .help("letters, digits, `_` and `-`, beginning with a letter or `_`, at most 64");
            }
            if let Some((kind, path)) = aggregate(&entry.node, out) {
                aggregates.push((entry.key.clone(), kind, path));
            }
        }
        Some(Self(aggregates))
    }
}

/// `count`, or `{ kind: field }`.
fn aggregate(node: &Node, out: &mut Complaints) -> Option<(AggregateKind, Option<String>)> {
    const KINDS: &[&str] = &["count", "sum", "min", "max", "mean", "first", "last"];
    if let Value::Scalar(scalar) = &node.value {
        let (text, shown) = (scalar.text(), scalar.shown());
        if text == "count" && matches!(scalar.kind(), Kind::Text | Kind::Substituted) {
            return Some((AggregateKind::Count, None));
        }
        let draft = out.error(node.span, format!("`{shown}` is not an aggregate"));
        match nearest(KINDS, &shown) {
            Some("count") => draft.help("did you mean `count`?"),
            Some(kind) => draft.help(format!("`{kind}` needs a field: {{ {kind}: field }}")),
            None => draft.help(format!("write `count`, or {{ kind: field }} with one of {}", quoted(KINDS))),
        };
        return None;
    }
    let of = OfField::read(node, out)?;
    [
        (AggregateKind::Count, of.count),
        (AggregateKind::Sum, of.sum),
        (AggregateKind::Min, of.min),
        (AggregateKind::Max, of.max),
        (AggregateKind::Mean, of.mean),
        (AggregateKind::First, of.first),
        (AggregateKind::Last, of.last),
    ]
    .into_iter()
    .find_map(|(kind, path)| Some((kind, Some(path?.value.0))))
}

/// The section that has a key of this name, as `window` for `grace`.
pub(super) fn home_of(key: &str) -> Option<String> {
    let schema = Pipeline::schema();
    let has = |schema: &serde_json::Value| {
        let sections = schema["anyOf"].as_array().into_iter().flatten().chain([schema]);
        sections.into_iter().any(|section| section["properties"].get(key).is_some())
    };
    schema["properties"].as_object()?.iter().find(|(_, section)| has(section)).map(|(name, _)| name.clone())
}
