//! What the Kafka clients of the lanes say about themselves: queues, bytes, round trips, brokers.
//!
//! Brokers are counted, not named: their names are the cluster's, and there may be many.

use super::family::{Family, Kind, Sample, Value};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What a client is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClientRole {
    /// The member of the group.
    Consumer,
    /// The transactional producer.
    Producer,
}

/// How a client stands with a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BrokerState {
    /// Connected.
    Up,
    /// On the way to be.
    Connecting,
    /// The connection was lost.
    Down,
    /// Never needed so far.
    Unused,
}

impl BrokerState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Up, Self::Connecting, Self::Down, Self::Unused];

    /// The word for it in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Connecting => "connecting",
            Self::Down => "down",
            Self::Unused => "unused",
        }
    }
}

/// One client at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClientStatistics {
    /// Records in its queue.
    pub queue_records: u64,
    /// Bytes in its queue.
    pub queue_bytes: u64,
    /// Bytes received since the client was made.
    pub received_bytes: u64,
    /// Bytes sent since then.
    pub sent_bytes: u64,
    /// Half of the requests lately were answered in so many seconds, by the slowest broker.
    pub round_trip_median: f64,
    /// 99 of 100 were.
    pub round_trip_p99: f64,
    /// Brokers by state, in the order of [`BrokerState::ALL`].
    pub brokers: [u64; BrokerState::ALL.len()],
}

/// The clients of all lanes; clones are handles of the same.
#[derive(Clone, Debug, Default)]
pub struct Clients(Arc<Mutex<BTreeMap<(ClientRole, usize), Client>>>);

#[derive(Clone, Copy, Debug, Default)]
struct Client {
    last: ClientStatistics,
    /// What the clients before this one had received and sent: a producer is made anew now and then.
    received_before: u64,
    sent_before: u64,
}

/// Where one lane's clients report to.
#[derive(Clone, Debug)]
pub struct ClientReports {
    clients: Clients,
    lane: usize,
}

impl Clients {
    /// Where the clients of lane number `lane` report to; they are shown as zero until they do.
    pub fn lane(&self, lane: usize) -> ClientReports {
        for role in [ClientRole::Consumer, ClientRole::Producer] {
            self.lock().entry((role, lane)).or_default();
        }
        ClientReports { clients: self.clone(), lane }
    }

    pub(super) fn look(&self) -> Seen {
        Seen(self.lock().clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(ClientRole, usize), Client>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientReports {
    /// Takes a report, a few times a minute.
    pub fn report(&self, role: ClientRole, statistics: ClientStatistics) {
        let mut clients = self.clients.lock();
        let client = clients.entry((role, self.lane)).or_default();
        if statistics.received_bytes < client.last.received_bytes || statistics.sent_bytes < client.last.sent_bytes {
            client.received_before += client.last.received_bytes;
            client.sent_before += client.last.sent_bytes;
        }
        client.last = statistics;
    }
}

/// All clients at the moment of a scrape.
pub(super) struct Seen(BTreeMap<(ClientRole, usize), Client>);

impl Seen {
    fn lanes(&self, role: ClientRole, number: impl Fn(&Client) -> f64) -> Vec<Sample> {
        let of_role = self.0.iter().filter(|((its, _), _)| *its == role);
        of_role.map(|((_, lane), client)| (vec![lane.to_string()], Value::Number(number(client)))).collect()
    }

    fn round_trips(&self, role: ClientRole) -> Vec<Sample> {
        let of_role = self.0.iter().filter(|((its, _), _)| *its == role);
        let percentiles = |((_, lane), client): (&(ClientRole, usize), &Client)| {
            let last = client.last;
            [("50", last.round_trip_median), ("99", last.round_trip_p99)]
                .map(|(percentile, seconds)| (vec![lane.to_string(), percentile.to_owned()], Value::Number(seconds)))
        };
        of_role.flat_map(percentiles).collect()
    }

    fn brokers(&self, role: ClientRole) -> Vec<Sample> {
        let of_role = self.0.iter().filter(|((its, _), _)| *its == role);
        let states = |((_, lane), client): (&(ClientRole, usize), &Client)| {
            let counted = BrokerState::ALL.into_iter().zip(client.last.brokers);
            let sample = |(state, brokers): (BrokerState, u64)| {
                (vec![lane.to_string(), state.as_str().to_owned()], Value::Number(brokers as f64))
            };
            counted.map(sample).collect::<Vec<_>>()
        };
        of_role.flat_map(states).collect()
    }
}

/// The families of one role, under its verb.
macro_rules! families {
    ($verb:literal, $role:expr, $queue:literal) => {
        &[
            Family {
                name: concat!("tidemill_", $verb, "_client_queue_records"),
                help: concat!("Records in the client's queue, ", $queue, ", by lane."),
                kind: Kind::Gauge,
                labels: &["lane"],
                read: |seen| seen.lanes($role, |client| client.last.queue_records as f64),
            },
            Family {
                name: concat!("tidemill_", $verb, "_client_queue_bytes"),
                help: concat!("Bytes in the client's queue, ", $queue, ", by lane."),
                kind: Kind::Gauge,
                labels: &["lane"],
                read: |seen| seen.lanes($role, |client| client.last.queue_bytes as f64),
            },
            Family {
                name: concat!("tidemill_", $verb, "_client_received_bytes_total"),
                help: "Bytes received from the brokers, by lane.",
                kind: Kind::Counter,
                labels: &["lane"],
                read: |seen| seen.lanes($role, |client| (client.received_before + client.last.received_bytes) as f64),
            },
            Family {
                name: concat!("tidemill_", $verb, "_client_sent_bytes_total"),
                help: "Bytes sent to the brokers, by lane.",
                kind: Kind::Counter,
                labels: &["lane"],
                read: |seen| seen.lanes($role, |client| (client.sent_before + client.last.sent_bytes) as f64),
            },
            Family {
                name: concat!("tidemill_", $verb, "_client_round_trip_seconds"),
                help: "Time from a request to its answer within the last 5 s, of the slowest broker, by lane.",
                kind: Kind::Gauge,
                labels: &["lane", "percentile"],
                read: |seen| seen.round_trips($role),
            },
            Family {
                name: concat!("tidemill_", $verb, "_client_brokers"),
                help: "Brokers that the client knows, by what its connection is, by lane.",
                kind: Kind::Gauge,
                labels: &["lane", "state"],
                read: |seen| seen.brokers($role),
            },
        ]
    };
}

pub(super) const CONSUMERS: &[Family<Seen>] = families!("poll", ClientRole::Consumer, "fetched and not polled yet");
pub(super) const PRODUCERS: &[Family<Seen>] =
    families!("produce", ClientRole::Producer, "produced and not acknowledged yet");
