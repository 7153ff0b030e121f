//! The configuration as checked: what the rest of the program may rely on.
//!
//! As written lives in `config/written.rs`; `config/load.rs` turns text into this or into a list of complaints.

mod aggregates;
pub mod cases;
mod complaint;
mod keys;
mod load;
mod names;
mod node;
mod properties;
mod read;
mod relations;
mod section;
mod substitute;
mod units;
mod values;
mod windows;
mod written;

pub use complaint::{Complaint, Severity};
pub use load::{Env, Known, Loaded, load, load_with, parse, schema};
pub use properties::is_secret;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Everything that one file says, with defaults filled in and every relation checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name in logs, metrics and dashboards.
    pub name: String,
    /// The client.
    pub kafka: Kafka,
    /// What decides fates and windows; its digest is committed with every position.
    pub pipeline: Arc<Pipeline>,
    /// The source topics.
    pub topics: Topics,
    /// Where results go.
    pub sink: Sink,
    /// Where late records go; without it they are counted and dropped.
    pub late: Option<String>,
    /// Where dead letters go; without it they are counted and dropped.
    pub dead_letter: Option<String>,
    /// When and how long to commit.
    pub commit: Commit,
    /// Number of lanes; `None` is `auto`: cores, capped by partitions.
    pub lanes: Option<usize>,
    /// The budget.
    pub memory: Memory,
    /// Where pages are served; `None` is off.
    pub http: Option<Http>,
    /// Where spans go; `None` is nowhere, and all that a build without the feature `traces` has.
    pub traces: Option<Traces>,
    /// How long a shutdown may take.
    pub shutdown_timeout: Duration,
}

/// `kafka`: how to reach the brokers and the group.
#[derive(Clone)]
pub struct Kafka {
    /// `bootstrap.servers`.
    pub brokers: String,
    /// The consumer group.
    pub group: String,
    /// Name of this worker's place in the deployment; `None`: host name and first free slot.
    pub instance: Option<String>,
    /// A static member keeps its partitions over a restart (KIP-345).
    pub static_membership: bool,
    /// Which rebalance protocol.
    pub protocol: Protocol,
    /// librdkafka properties for both clients.
    pub properties: BTreeMap<String, String>,
    /// librdkafka properties for consumers only.
    pub consumer_properties: BTreeMap<String, String>,
    /// librdkafka properties for producers only.
    pub producer_properties: BTreeMap<String, String>,
}

/// `kafka.protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Cooperative-sticky in the client.
    Classic,
    /// KIP-848: the broker assigns.
    Consumer,
}

/// Which topics are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    /// Names, or regular expressions that begin with `^`; at least one, no duplicates.
    pub patterns: Vec<String>,
    /// Whether results carry `topic`: several names, or an expression.
    pub many: bool,
}

/// What decides fates and windows.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// Where a group without any position begins (not part of the digest).
    pub start: StartAt,
    /// Where the event time comes from.
    pub time: TimeSource,
    /// Largest value in bytes.
    pub max_record_bytes: usize,
    /// Largest key in bytes.
    pub max_key_bytes: usize,
    /// How far event time may be ahead of the guard clock, in ms; `None` is `off`.
    pub max_ahead_ms: Option<i64>,
    /// The declared keys, in the order of declaration, without duplicates.
    pub keys: Option<Arc<Vec<Box<[u8]>>>>,
    /// The windows.
    pub window: Window,
    /// The aggregates in the order of the file; at least one.
    pub aggregates: Vec<Aggregate>,
}

/// `source.start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// At the oldest record.
    Earliest,
    /// At the newest.
    Latest,
}

/// Where the event time of a record comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimeSource {
    /// The Kafka timestamp.
    Kafka,
    /// A field of the value.
    Field {
        /// Member names joined by dots.
        path: String,
        /// How the time is written there.
        format: TimeFormat,
    },
}

/// `source.time.format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeFormat {
    /// Whole seconds since 1970.
    UnixS,
    /// Milliseconds.
    UnixMs,
    /// Microseconds, floored to milliseconds.
    UnixUs,
    /// Nanoseconds, floored to milliseconds.
    UnixNs,
    /// RFC 3339 text.
    Rfc3339,
}

/// `window`: half-open intervals of event time. A tumbling window is a hopping one with `every = size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Length, at least 1.
    pub size_ms: i64,
    /// Distance of two starts: `0 < every_ms ≤ size_ms`.
    pub every_ms: i64,
    /// Shift of all starts.
    pub offset_ms: i64,
    /// How long after its end a window takes records, at least 0.
    pub grace_ms: i64,
    /// What silence does.
    pub idle: Idle,
}

/// `window.idle`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Only records move the watermark.
    Off,
    /// After so many ms of silence the watermark goes on with the clock.
    Advance {
        /// `window.idle.after` in ms.
        after_ms: i64,
    },
    /// After so many ms of silence every window closes.
    Close {
        /// `window.idle.after` in ms.
        after_ms: i64,
    },
}

/// One aggregate: `name: count` or `name: { kind: path }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregate {
    /// Name in the result.
    pub name: String,
    /// What is computed.
    pub kind: AggregateKind,
    /// The field (member names joined by dots); `None` only for [`AggregateKind::Count`].
    pub path: Option<String>,
}

/// The aggregates (docs/guarantees.md, "Aggregates").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AggregateKind {
    /// Records merged; with a field: records in which it is not null.
    Count,
    /// Compensated sum.
    Sum,
    /// Smallest number.
    Min,
    /// Largest number.
    Max,
    /// Sum divided by count.
    Mean,
    /// Value at the lowest (event time, offset).
    First,
    /// Value at the highest (event time, offset).
    Last,
}

/// `sink`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sink {
    /// The topic.
    pub topic: String,
    /// Whether results carry `partition`.
    pub with_partition: bool,
    /// `compression.type` of the producer.
    pub compression: String,
}

/// `commit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Shortest time between two tides.
    pub interval: Duration,
    /// The transaction timeout.
    pub timeout: Duration,
}

/// `memory`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Bytes; `None` is `auto`.
    pub budget_bytes: Option<u64>,
    /// What happens when open windows alone fill it.
    pub when_full: WhenFull,
    /// What recent results may hold.
    pub recent: Recent,
    /// How the pool parks what is not lent.
    pub pool: PoolShares,
}

/// `memory.recent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recent {
    /// A window is forgotten with its commit.
    Off,
    /// A part of the pool.
    Share {
        /// From 1 to 50.
        percent: u64,
    },
    /// So many bytes.
    Bytes(u64),
}

/// `memory.pool`: of what is parked, the tiers have shares in proportion to these numbers; and how soon it is let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolShares {
    /// Parked by one lane for itself.
    pub hot: u32,
    /// Parked for all lanes.
    pub warm: u32,
    /// On its way back to the system.
    pub cold: u32,
    /// What lies unused for so long goes one tier down.
    pub maintain: Duration,
    /// Commits or maintenances of each lane between two trims of the warm tier.
    pub warm_every: u32,
    /// Commits or maintenances of all lanes between two trims of the cold one.
    pub cold_every: u32,
}

/// `http`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// The address.
    pub listen: SocketAddr,
    /// Who may see the heap and change the log.
    pub admin: Admin,
}

/// `traces`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traces {
    /// Where they are posted to, its path included.
    pub url: String,
}

/// `http.admin`.
#[derive(Clone, PartialEq, Eq)]
pub enum Admin {
    /// Nobody.
    Off,
    /// Programs on this machine.
    Loopback,
    /// Whoever shows this token.
    Token(String),
}

impl std::fmt::Debug for Admin {
    /// Without the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Off => "Off",
            Self::Loopback => "Loopback",
            Self::Token(_) => "Token(***)",
        })
    }
}

/// `memory.when_full`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// Stay alive and read nothing more.
    Hold,
    /// Exit.
    Stop,
}

impl Default for Memory {
    /// What a file says that says nothing of memory, but with the budget left open.
    fn default() -> Self {
        Self {
            budget_bytes: None,
            when_full: WhenFull::Hold,
            recent: Recent::Share { percent: 5 },
            pool: PoolShares {
                hot: 16,
                warm: 4,
                cold: 1,
                maintain: Duration::from_secs(5),
                warm_every: 3,
                cold_every: 1,
            },
        }
    }
}

impl Window {
    /// Width of the panes that windows are made of: `gcd(size, every)`.
    pub fn pane_ms(&self) -> i64 {
        let (mut a, mut b) = (self.size_ms, self.every_ms);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    }
}

impl std::fmt::Debug for Kafka {
    /// Without values of properties: any of them may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = |map: &BTreeMap<String, String>| map.keys().cloned().collect::<Vec<_>>();
        f.debug_struct("Kafka")
            .field("brokers", &self.brokers)
            .field("group", &self.group)
            .field("instance", &self.instance)
            .field("static_membership", &self.static_membership)
            .field("protocol", &self.protocol)
            .field("properties", &names(&self.properties))
            .field("consumer_properties", &names(&self.consumer_properties))
            .field("producer_properties", &names(&self.producer_properties))
            .finish()
    }
}
