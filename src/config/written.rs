//! The file as written: every key of a pipeline, with what it means.
//!
//! These lines are the source of the schema, of `docs/configuration.md` and of what `check` accepts. They say nothing
//! of how keys depend on each other: that is `load.rs`.

use super::aggregates::Aggregates;
use super::complaint::Complaints;
use super::keys::DeclaredKeys;
use super::names::{FieldPath, Name, TopicName, TopicPattern};
use super::node::Node;
use super::properties::Properties;
use super::read::{At, OrOff, Read};
use super::section::{KeyDoc, Keys, section, section_schema};
use super::units::{Bytes, Millis};
use super::values::{
    Brokers, Budget, Compression, Extra, Format, Lanes, Listen, Otlp, PoolNumber, Recent, Then, Token,
};
use super::{Protocol, StartAt, TimeFormat, WhenFull};

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
        /// Where the status page, metrics and health are served; `off` for nowhere.
        http: preset OrOff<Http> = "{}",
        /// Where a span for each transaction goes. Only builds with `--features traces` take it; without it there are none.
        traces: optional Traces,
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
        /// Resident memory of the whole process, at least 16MiB; `auto`: 80 % of the container's limit, or of the machine's memory (then at most 1GiB).
        budget: preset Budget = "256MiB",
        /// When open windows alone fill the budget: `hold` stays alive and reads nothing more, `stop` exits.
        when_full: preset WhenFull = "hold",
        /// What closed windows may hold to stay readable: a part of the pool, at most `50%`, or a size; `off` for nothing.
        recent: preset OrOff<Recent> = "5%",
        /// How the pool of buffers parks what is not in use.
        pool: preset PoolShares = "{}",
    }
}

section! {
    /// How the pool of buffers parks what is not in use: shares of three tiers, in proportion to one another.
    PoolShares {
        /// Parked by one lane for itself.
        hot: preset PoolNumber = "16",
        /// Parked for all lanes.
        warm: preset PoolNumber = "4",
        /// About to be given back to the system.
        cold: preset PoolNumber = "1",
        /// What lies unused for so long goes one tier down: 100ms to 10m.
        maintain: preset Millis = "5s",
        /// What is warm and was not used between two of these becomes cold: each comes after so many commits or maintenances of each lane.
        warm_every: preset PoolNumber = "3",
        /// What is cold goes back to the system after so many commits or maintenances, whichever lane's.
        cold_every: preset PoolNumber = "1",
    }
}

section! {
    /// Where the status page, metrics and health are served.
    Http {
        /// Address and port; `off` for nowhere.
        listen: preset OrOff<Listen> = "127.0.0.1:9640",
        /// Who may see the heap and change the log level: `off` is nobody, `{}` programs on this machine.
        admin: preset OrOff<Admin> = "off",
    }
}

section! {
    /// Who may see the heap and change the log level.
    Admin {
        /// Whoever shows it as `Authorization: Bearer …` may; from a file: `${file:/path}`. Without it: programs on this machine.
        token: optional Token,
    }
}

section! {
    /// Where a span for each transaction goes.
    Traces {
        /// The OTLP receiver; spans are posted to `/v1/traces` below it.
        otlp: required Otlp,
    }
}

section! {
    /// How the worker stops.
    Shutdown {
        /// How long it may take: 100ms to 10m. What is not committed by then is read again by the next worker.
        timeout: preset Millis = "5s",
    }
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
