//! Keys held against each other and against their bounds: as written → as checked.
//!
//! A rule runs when everything that it needs could be read; a rule that cannot run is silent, because the reason
//! was complained about already. Messages name keys, not values: a value may have been filled in.

use super::complaint::{Complaints, FILE};
use super::load::Known;
use super::names::{Name, TopicName, TopicPattern};
use super::node::Span;
use super::properties::Properties;
use super::read::{At, OrOff};
use super::units::{Bytes, Millis};
use super::{Admin, Aggregate, Commit, Config, Http, Kafka, Memory, Pipeline, PoolShares, Recent, Sink, TimeSource};
use super::{Topics, Traces, keys, windows, written};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const DAY: i64 = 24 * 60 * MINUTE;
/// The longest window, grace, silence or lead: a leap year. Sums of a few of them cannot overflow.
pub(super) const SPAN_MS_MAX: i64 = 366 * DAY;
/// The largest record that a broker can be told to take in practice.
const RECORD_BYTES_MAX: u64 = 256 << 20;
/// A key is held for every open window.
const KEY_BYTES_MAX: u64 = 1 << 20;
/// Less than this holds no client.
const BUDGET_BYTES_MIN: u64 = 16 << 20;

/// What the checks ask besides the file.
pub(super) struct Surroundings<'a> {
    /// What relative paths are relative to.
    pub(super) dir: &'a Path,
    /// Whether the file has this key at its top, read or not.
    pub(super) has: &'a dyn Fn(&str) -> bool,
    /// Whether librdkafka takes a property.
    pub(super) known: Known<'a>,
}

/// The checked configuration, or `None` after complaints.
pub(super) fn check(file: written::Pipeline, around: &Surroundings<'_>, out: &mut Complaints) -> Option<Config> {
    let kafka = file.kafka.and_then(|kafka| check_kafka(kafka.value, file.name.as_ref(), around, out));
    let outlets = outlets(&file.sink, &file.late, &file.dead_letter);
    let memory = file.memory.and_then(|memory| check_memory(memory.value, out));
    let (topics, source) = match file.source {
        Some(source) => {
            let topics = source.value.topics.as_ref().and_then(|topics| check_topics(&topics.value, &outlets, out));
            (topics, check_source(source.value, memory, around, out))
        }
        None => (None, None),
    };
    check_outlets(&outlets, out);
    let window = file.window.and_then(|window| windows::check(window.value, out));
    let sink = file.sink.and_then(|sink| check_sink(sink.value, out));
    let commit = file.commit.and_then(|commit| check_commit(commit.value, out));
    let http = file.http.and_then(|http| check_http(http.value, out));
    let traces = check_traces(file.traces, out);
    let shutdown = file
        .shutdown
        .and_then(|shutdown| within(&shutdown.value.timeout?, "shutdown.timeout", 100, 10 * MINUTE, out).map(millis));
    let aggregates = file.aggregate.map(|aggregates| {
        let all = aggregates.value.0.into_iter();
        all.map(|(name, kind, path)| Aggregate { name, kind, path }).collect()
    });
    if !(around.has)("late") {
        out.warning_in_file("no `late` topic: late records are counted and dropped").help("late: { topic: NAME }");
    }
    if !(around.has)("dead_letter") {
        out.warning_in_file("no `dead_letter` topic: records that cannot be used are counted and dropped")
            .help("dead_letter: { topic: NAME }");
    }
    let source = source?;
    Some(Config {
        name: file.name?.value.0,
        kafka: kafka?,
        pipeline: Arc::new(Pipeline {
            start: source.start,
            time: source.time,
            max_record_bytes: source.max_record_bytes,
            max_key_bytes: source.max_key_bytes,
            max_ahead_ms: source.max_ahead_ms,
            keys: source.keys,
            window: window?,
            aggregates: aggregates?,
        }),
        topics: topics?,
        sink: sink?,
        late: file.late.and_then(|late| late.value.topic).map(|topic| topic.value.0),
        dead_letter: file.dead_letter.and_then(|dead| dead.value.topic).map(|topic| topic.value.0),
        commit: commit?,
        lanes: file.lanes?.value.0,
        memory: memory?,
        http: http?,
        traces,
        shutdown_timeout: shutdown?,
    })
}

fn check_kafka(
    kafka: written::Kafka,
    name: Option<&At<Name>>,
    around: &Surroundings<'_>,
    out: &mut Complaints,
) -> Option<Kafka> {
    let mut checked = |properties: Option<At<Properties>>| {
        let mut map = BTreeMap::new();
        for property in properties?.value.0 {
            if let Err(reason) = (around.known)(&property.name, &property.value) {
                let reason = match property.public || property.value.is_empty() {
                    true => reason,
                    false => reason.replace(&property.value, "***"),
                };
                out.error(property.name_span, format!("librdkafka does not take `{}`: {reason}", property.name));
            }
            if property.bare_secret {
                out.warning(property.name_span, "a secret is written into this file")
                    .help("keep it elsewhere: \"${env:NAME}\" or \"${file:/path}\"");
            }
            map.insert(property.name, property.value);
        }
        Some(map)
    };
    let properties = checked(kafka.properties);
    let consumer_properties = checked(kafka.consumer_properties);
    let producer_properties = checked(kafka.producer_properties);
    Some(Kafka {
        brokers: kafka.brokers?.value.0,
        group: kafka.group.as_ref().or(name)?.value.0.clone(),
        instance: kafka.instance.map(|instance| instance.value.0),
        static_membership: kafka.static_membership?.value,
        protocol: kafka.protocol?.value,
        properties: properties?,
        consumer_properties: consumer_properties?,
        producer_properties: producer_properties?,
    })
}

/// The topics that tidemill writes, each with its key and place.
type Outlets = Vec<(&'static str, Span, TopicName)>;

fn outlets(
    sink: &Option<At<written::Sink>>,
    late: &Option<At<written::Outlet>>,
    dead_letter: &Option<At<written::Outlet>>,
) -> Outlets {
    let sink = sink.as_ref().and_then(|sink| sink.value.topic.as_ref());
    let late = late.as_ref().and_then(|late| late.value.topic.as_ref());
    let dead_letter = dead_letter.as_ref().and_then(|dead| dead.value.topic.as_ref());
    [("sink.topic", sink), ("late.topic", late), ("dead_letter.topic", dead_letter)]
        .into_iter()
        .filter_map(|(key, topic)| topic.map(|topic| (key, topic.span, topic.value.clone())))
        .collect()
}

fn check_outlets(outlets: &Outlets, out: &mut Complaints) {
    for (at, (key, span, topic)) in outlets.iter().enumerate() {
        if let Some((other, ..)) = outlets.iter().take(at).find(|(.., other)| other == topic) {
            out.error(*span, format!("`{key}` is the same topic as `{other}`"))
                .help("results, late records and dead letters each need a topic of their own");
        }
    }
}

fn check_topics(topics: &[At<TopicPattern>], outlets: &Outlets, out: &mut Complaints) -> Option<Topics> {
    for (at, topic) in topics.iter().enumerate() {
        if topics.iter().take(at).any(|earlier| earlier.value.text() == topic.value.text()) {
            out.error(topic.span, "this topic is in the list twice").help("take it out");
        }
    }
    for (key, span, outlet) in outlets {
        if let Some(source) = topics.iter().find(|source| source.value.matches(&outlet.0)) {
            let line = out.line(source.span);
            out.error(*span, format!("`{key}` is a source topic (line {line}): tidemill would read what it writes"))
                .help("name another topic, or end a regular expression with `$`");
        }
    }
    let expression = topics.iter().any(|topic| matches!(topic.value, TopicPattern::Expression(_)));
    let patterns: Vec<String> = topics.iter().map(|topic| topic.value.text().to_owned()).collect();
    Some(Topics { many: expression || patterns.len() > 1, patterns })
}

/// The part of [`Pipeline`] that `source` decides.
struct Source {
    start: super::StartAt,
    time: TimeSource,
    max_record_bytes: usize,
    max_key_bytes: usize,
    max_ahead_ms: Option<i64>,
    keys: Option<Arc<Vec<Box<[u8]>>>>,
}

fn check_source(
    source: written::Source,
    memory: Option<Memory>,
    around: &Surroundings<'_>,
    out: &mut Complaints,
) -> Option<Source> {
    let time = match source.time {
        None => Some(TimeSource::Kafka),
        Some(time) => time
            .value
            .field
            .zip(time.value.format)
            .map(|(field, format)| TimeSource::Field { path: field.value.0, format: format.value }),
    };
    let max_record =
        source.max_record.as_ref().and_then(|at| size_within(at, "source.max_record", RECORD_BYTES_MAX, out));
    let max_key = source.max_key.as_ref().and_then(|at| size_within(at, "source.max_key", KEY_BYTES_MAX, out));
    if let (Some(record), Some(key), Some(Memory { budget_bytes: Some(budget), .. })) = (max_record, max_key, memory)
        && (record + key) as u64 > budget / 4
    {
        let span = source.max_record.as_ref().or(source.max_key.as_ref()).map_or(FILE, |at| at.span);
        out.error(
            span,
            "one record of `source.max_record` and `source.max_key` fills more than a quarter of `memory.budget`",
        )
        .help("raise `memory.budget`: a record is held in the queue, the batch and the output at once");
    }
    let max_ahead_ms = source.max_ahead.and_then(|at| match at.value {
        OrOff::Off => {
            out.warning(at.span, "`source.max_ahead` is off: one record with a time far ahead closes every window");
            Some(None)
        }
        OrOff::On(value) => within(&At { value, span: at.span }, "source.max_ahead", 0, SPAN_MS_MAX, out).map(Some),
    });
    let keys = match source.keys {
        None => Some(None),
        Some(keys) => keys::check(keys, max_key, around.dir, out).map(|keys| Some(Arc::new(keys))),
    };
    source.format.as_ref()?;
    Some(Source {
        start: source.start?.value,
        time: time?,
        max_record_bytes: max_record?,
        max_key_bytes: max_key?,
        max_ahead_ms: max_ahead_ms?,
        keys: keys?,
    })
}

fn check_sink(sink: written::Sink, out: &mut Complaints) -> Option<Sink> {
    if let Some(second) = sink.fields.as_ref().and_then(|fields| fields.value.get(1)) {
        out.error(second.span, "this field is in the list twice").help("take it out");
    }
    Some(Sink {
        topic: sink.topic?.value.0,
        with_partition: sink.fields.is_some(),
        compression: sink.compression?.value.0.to_owned(),
    })
}

fn check_commit(commit: written::Commit, out: &mut Complaints) -> Option<Commit> {
    let (interval, timeout) = (commit.interval?, commit.timeout?);
    let interval_ms = within(&interval, "commit.interval", 10, 5 * MINUTE, out);
    let timeout_ms = within(&timeout, "commit.timeout", SECOND, 15 * MINUTE, out);
    let (interval_ms, timeout_ms) = (interval_ms?, timeout_ms?);
    if interval_ms >= timeout_ms {
        let written = if timeout.span == FILE { interval.span } else { timeout.span };
        out.error(written, "`commit.timeout` must be longer than `commit.interval`")
            .help("a transaction that is given up between two commits loses its work again and again");
    }
    Some(Commit { interval: millis(interval_ms), timeout: millis(timeout_ms) })
}

fn check_memory(memory: written::Memory, out: &mut Complaints) -> Option<Memory> {
    let budget = memory.budget?;
    if budget.value.0.is_some_and(|bytes| bytes < BUDGET_BYTES_MIN) {
        out.error(budget.span, "`memory.budget` is at least 16MiB").help("a lane with its two clients takes a few MiB");
        return None;
    }
    let recent = match memory.recent?.value {
        OrOff::Off => Recent::Off,
        OrOff::On(recent) => recent.0,
    };
    let pool = memory.pool?.value;
    let maintain = within(&pool.maintain?, "memory.pool.maintain", 100, 10 * MINUTE, out).map(millis);
    let [hot, warm, cold] = [pool.hot?, pool.warm?, pool.cold?].map(|share| share.value.0);
    let [warm_every, cold_every] = [pool.warm_every?, pool.cold_every?].map(|every| every.value.0);
    let pool = PoolShares { hot, warm, cold, maintain: maintain?, warm_every, cold_every };
    Some(Memory { budget_bytes: budget.value.0, when_full: memory.when_full?.value, recent, pool })
}

fn check_http(http: OrOff<written::Http>, out: &mut Complaints) -> Option<Option<Http>> {
    let OrOff::On(http) = http else { return Some(None) };
    let admin = match http.admin?.value {
        OrOff::Off => Admin::Off,
        OrOff::On(admin) => admin.token.map_or(Admin::Loopback, |token| {
            if token.value.bare {
                out.warning(token.span, "a secret is written into this file")
                    .help("keep it elsewhere: \"${env:NAME}\" or \"${file:/path}\"");
            }
            Admin::Token(token.value.text)
        }),
    };
    let listen = http.listen?;
    let OrOff::On(address) = listen.value else { return Some(None) };
    if !address.0.ip().is_loopback() {
        out.warning(listen.span, "metrics are served beyond this machine, to anyone who can reach the port")
            .help("listen on 127.0.0.1 unless a network policy guards it");
    }
    Some(Some(Http { listen: address.0, admin }))
}

/// Refused by a build that has nobody to send them, rather than silently without effect.
fn check_traces(traces: Option<At<written::Traces>>, out: &mut Complaints) -> Option<Traces> {
    let traces = traces?;
    let url = traces.value.otlp?.value.0;
    if !cfg!(feature = "traces") {
        out.error(traces.span, "this tidemill was built without traces")
            .help("build it with `cargo build --release --features traces`, or take `traces` out");
    }
    Some(Traces { url })
}

/// The milliseconds of a duration, if it is from `min` to `max`.
pub(super) fn within(at: &At<Millis>, key: &str, min: i64, max: i64, out: &mut Complaints) -> Option<i64> {
    if (min..=max).contains(&at.value.0) {
        return Some(at.value.0);
    }
    out.error(at.span, format!("`{key}` goes from {} to {}", Millis(min), Millis(max)));
    None
}

/// The bytes of a size, if it is from 1 to `max`.
fn size_within(at: &At<Bytes>, key: &str, max: u64, out: &mut Complaints) -> Option<usize> {
    if (1..=max).contains(&at.value.0) {
        return usize::try_from(at.value.0).ok();
    }
    out.error(at.span, format!("`{key}` goes from 1B to {}", Bytes(max)));
    None
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(ms.unsigned_abs())
}
