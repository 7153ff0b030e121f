//! What one seed asks for: the pipeline, the topics, the lanes' options, and how much goes wrong.
//!
//! Draws everything up front, except what the world draws as it goes. Decides nothing about right and wrong.

use crate::support::generate::{self, Random};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tidemill::broker::{Outlet, TopicPartition};
use tidemill::config::{Commit, Config, Idle, Kafka, Memory, Pipeline, Protocol, Sink, TimeSource, Topics};
use tidemill::lane::LaneOptions;
use tidemill::pool::Limits;
use tidemill::sim::{ClientOptions, Faults};

pub const GROUP: &str = "group";
pub const SINK: &str = "results";
pub const LATE: &str = "late";
pub const DEAD: &str = "dead";
/// A client that makes no call for this long is put out of the group.
pub const SESSION: Duration = Duration::from_secs(6);
/// A value that the client of a seed with limits cannot send.
pub const HUGE_BYTES: usize = 8_000;

/// Memory that does not always suffice.
#[derive(Clone, Copy, Debug)]
pub struct Tight {
    pub limits: Limits,
    /// The lanes are one process, and share it.
    pub shared: bool,
}

/// One seed's plan.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub pipeline: Arc<Pipeline>,
    /// Source topics and their numbers of partitions.
    pub sources: Vec<(&'static str, i32)>,
    /// Numbers of partitions of sink, late and dead-letter topic.
    pub outlets: [i32; 3],
    /// Topics and clients refuse what is too large.
    pub limits: bool,
    pub commit: Commit,
    pub split_after: Option<Duration>,
    pub batch_records: usize,
    pub batch_bytes: usize,
    pub queue_records: usize,
    /// Until the calm is over at the latest; then everything must go on with more.
    pub tight: Option<Tight>,
    pub faults: Faults,
    /// Lanes at most at a time.
    pub places: usize,
    /// Whether lanes crash, leave, freeze and come back.
    pub restless: bool,
    pub static_members: bool,
    /// Every topic begins with one partition, and the others come later.
    pub grows: bool,
    /// Devices send just inside and just outside of the guard while the wall clock goes on.
    pub rides: bool,
    pub ticks: usize,
    /// Where the stream's own clock begins, in Unix ms.
    pub clock_ms: i64,
}

impl Plan {
    pub fn new(seed: u64) -> Self {
        let random = &Random::new(seed ^ 0x7469_6465);
        let mut pipeline = generate::pipeline(random);
        let size_ms = pipeline.window.size_ms;
        pipeline.max_ahead_ms = random.pick(&[Some(1), Some(size_ms), Some(10 * size_ms), Some(300_000)]);
        let after_ms = random.pick(&[1, 50, 300, 2_000]);
        pipeline.window.idle =
            random.pick(&[Idle::Off, Idle::Advance { after_ms }, Idle::Advance { after_ms }, Idle::Close { after_ms }]);
        let rides = random.chance(100);
        if rides {
            pipeline.time = TimeSource::Kafka;
            pipeline.max_ahead_ms = Some(random.pick(&[1, size_ms / 20 + 1, size_ms]));
        }
        let limits = pipeline.max_key_bytes < 1000 && random.chance(300);
        let reach_ms = size_ms + pipeline.window.grace_ms;
        let clock_ms = match random.between(1, 8) {
            1 => 0,
            2 => 253_402_300_799_999 - 2_000 * reach_ms,
            _ => 1_700_000_000_000,
        };
        Self {
            seed,
            sources: match random.between(1, 10) {
                1 => vec![("source-a", 1), ("source-b", 2)],
                2 => vec![("source-a", 2), ("source-b", 1)],
                _ => vec![("source-a", random.between(1, 4) as i32)],
            },
            outlets: [random.pick(&[1, 1, 3]), random.pick(&[1, 2]), random.pick(&[1, 2])],
            limits,
            commit: Commit {
                interval: Duration::from_millis(random.pick(&[10, 100, 100, 400])),
                timeout: Duration::from_secs(random.pick(&[2, 10, 10])),
            },
            split_after: random.chance(300).then_some(Duration::ZERO),
            batch_records: random.pick(&[1, 3, 50, 8192]),
            batch_bytes: random.pick(&[200, 1 << 16, 1 << 16]),
            queue_records: random.pick(&[4, 100, 10_000]),
            tight: tight(&Random::new(seed ^ 0x706f_6f6c)),
            faults: faults(random),
            places: if rides { 1 } else { random.between(1, 4) as usize },
            restless: random.chance(800),
            static_members: random.chance(100),
            grows: random.chance(150),
            rides,
            ticks: random.between(200, 1_000) as usize,
            clock_ms,
            pipeline: Arc::new(pipeline),
        }
    }

    /// The configuration of the lanes, which work by `pipeline`.
    pub fn config(&self, pipeline: Arc<Pipeline>) -> Config {
        Config {
            name: "simulation".to_owned(),
            kafka: Kafka {
                brokers: String::new(),
                group: GROUP.to_owned(),
                instance: None,
                static_membership: self.static_members,
                protocol: Protocol::Classic,
                properties: BTreeMap::new(),
                consumer_properties: BTreeMap::new(),
                producer_properties: BTreeMap::new(),
            },
            pipeline,
            topics: Topics { patterns: self.patterns(), many: self.sources.len() > 1 },
            sink: Sink { topic: SINK.to_owned(), with_partition: true, compression: "none".to_owned() },
            late: Some(LATE.to_owned()),
            dead_letter: Some(DEAD.to_owned()),
            commit: self.commit,
            lanes: None,
            memory: Memory::default(),
            http: None,
            traces: None,
            shutdown_timeout: Duration::from_secs(5),
        }
    }

    pub fn lane_options(&self, config: &Config, lane: usize, seed: u64) -> LaneOptions {
        let options = LaneOptions::new(lane, config);
        LaneOptions {
            seed,
            batch_bytes: self.batch_bytes,
            batch_records: self.batch_records,
            split_after: self.split_after.unwrap_or(options.split_after),
            ..options
        }
    }

    pub fn client_options(&self, transactional_id: &str, place: usize, faults: Faults) -> ClientOptions {
        let patterns = self.patterns();
        let patterns: Vec<_> = patterns.iter().map(String::as_str).collect();
        let options = ClientOptions::new(GROUP, transactional_id, &patterns, SINK);
        ClientOptions {
            session_timeout: SESSION,
            max_poll_interval: Duration::from_secs(20),
            transaction_timeout: self.commit.timeout,
            static_member: self.static_members.then(|| format!("member-{place}")),
            message_bytes_max: if self.limits { 6_000 } else { 1_000_000 },
            queue_records_max: self.queue_records,
            faults,
            ..options.outlet(Outlet::Late, LATE).outlet(Outlet::DeadLetter, DEAD)
        }
    }

    /// The step of the guard clock.
    pub fn guard_step_ms(&self) -> i64 {
        let window = self.pipeline.window;
        let up = |a: i64, b: i64| -(-a).div_euclid(b);
        up(self.pipeline.max_ahead_ms.unwrap_or(0), 4).max(up(window.size_ms + window.grace_ms, 40)).max(1)
    }

    /// All source partitions.
    pub fn partitions(&self) -> Vec<TopicPartition> {
        let of = |(topic, count): &(&str, i32)| {
            let topic: Arc<str> = Arc::from(*topic);
            (0..*count)
                .map(move |partition| TopicPartition { topic: Arc::clone(&topic), partition })
                .collect::<Vec<_>>()
        };
        self.sources.iter().flat_map(of).collect()
    }

    fn patterns(&self) -> Vec<String> {
        match self.sources.len() {
            1 => vec![self.sources[0].0.to_owned()],
            _ => vec!["^source-.*".to_owned()],
        }
    }
}

/// A quarter of the seeds have a pool of a few pages.
fn tight(random: &Random) -> Option<Tight> {
    let ceiling_bytes = random.pick(&[24 << 10, 48 << 10, 96 << 10, 192 << 10, 384 << 10]);
    let reserve_bytes = ceiling_bytes / random.pick(&[2, 4, 8]);
    let tight = Tight { limits: Limits { ceiling_bytes, reserve_bytes }, shared: random.chance(700) };
    random.chance(250).then_some(tight)
}

/// Nothing, a storm, or a storm in which each kind of fault has its own strength.
fn faults(random: &Random) -> Faults {
    let storm = Faults::storm(0);
    if random.chance(150) {
        return Faults::default();
    }
    if random.chance(300) {
        return storm;
    }
    let rate = |rate: u32| rate * random.pick(&[0, 0, 1, 2, 5]);
    Faults {
        seed: 0,
        crash: rate(storm.crash),
        retry: rate(storm.retry),
        abort: rate(storm.abort),
        fatal: rate(storm.fatal),
        fenced: rate(storm.fenced),
        full: rate(storm.full),
        answer_lost: rate(storm.answer_lost),
        answer_slow: rate(storm.answer_slow),
        in_flight: rate(storm.in_flight),
        lost: rate(storm.lost),
        rebalance: rate(storm.rebalance),
        redeliver: rate(storm.redeliver),
        stale_end: rate(storm.stale_end),
        short: rate(storm.short),
        unanswered: rate(storm.unanswered),
    }
}
