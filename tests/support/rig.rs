//! A whole lane on the in-memory broker in virtual time: records in, what a read_committed reader sees out.
//!
//! It turns the clock only when the lane has nothing to do, so a run repeats exactly.

#![allow(dead_code, unreachable_pub)] // each test program uses a part of it

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tidemill::broker::Outlet;
use tidemill::clock::ManualClock;
use tidemill::config::{Commit, Config, Kafka, Memory, Pipeline, Protocol, Sink, Topics};
use tidemill::lane::{Lane, LaneOptions, Progress, Stop};
use tidemill::metrics::LaneCounts;
use tidemill::pool::Pool;
use tidemill::sim::{ClientOptions, Cluster, Isolation, SimClient, Stored};

pub const EVENTS: &str = "events";
pub const SINK: &str = "results";
pub const LATE: &str = "late";
pub const DEAD: &str = "dead";

/// Asserts, once all who use it are gone, that a pool has all its buffers back.
pub struct Home(pub Pool);

impl Drop for Home {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.0.all_home(), Ok(()));
        }
    }
}

/// A configuration around a pipeline: late and dead-letter topic, results with their partition, commits at once.
pub fn config(pipeline: &Pipeline) -> Config {
    Config {
        name: "test".into(),
        kafka: Kafka {
            brokers: "memory".into(),
            group: "test".into(),
            instance: None,
            static_membership: false,
            protocol: Protocol::Classic,
            properties: BTreeMap::new(),
            consumer_properties: BTreeMap::new(),
            producer_properties: BTreeMap::new(),
        },
        pipeline: Arc::new(pipeline.clone()),
        topics: Topics { patterns: vec![EVENTS.into()], many: false },
        sink: Sink { topic: SINK.into(), with_partition: true, compression: "lz4".into() },
        late: Some(LATE.into()),
        dead_letter: Some(DEAD.into()),
        commit: Commit { interval: Duration::ZERO, timeout: Duration::from_secs(30) },
        lanes: Some(1),
        memory: Memory::default(),
        http: None,
        traces: None,
        shutdown_timeout: Duration::from_secs(5),
    }
}

/// A cluster with source and outlets, one lane, and the clock of both.
pub struct Rig {
    pub cluster: Cluster,
    pub clock: ManualClock,
    pub wall_ms: i64,
    pub lane: Option<Lane<SimClient, ManualClock>>,
    pub config: Config,
    pub counts: LaneCounts,
    outlet_partitions: i32,
    /// After the lane, which must have left nothing behind.
    homes: Vec<Home>,
}

impl Rig {
    /// `partitions` of the source and of the outlets; the wall clock stands at `wall_ms`.
    pub fn new(pipeline: &Pipeline, partitions: (i32, i32), wall_ms: i64) -> Self {
        let clock = ManualClock::at(wall_ms);
        let cluster = Cluster::virtual_time(&clock);
        cluster.create_topic(EVENTS, partitions.0);
        for outlet in [SINK, LATE, DEAD] {
            cluster.create_topic(outlet, partitions.1);
        }
        let (config, counts, outlet_partitions) = (config(pipeline), LaneCounts::default(), partitions.1);
        Self { cluster, clock, wall_ms, lane: None, config, counts, outlet_partitions, homes: Vec::new() }
    }

    /// Starts the lane with batches of at most `batch_records`.
    pub fn start(&mut self, batch_records: usize, change: impl FnOnce(&mut ClientOptions, &mut LaneOptions)) {
        let mut client = ClientOptions::new("test", "test-0", &[EVENTS], SINK)
            .outlet(Outlet::Late, LATE)
            .outlet(Outlet::DeadLetter, DEAD);
        let mut options = LaneOptions::new(0, &self.config);
        options.batch_records = batch_records;
        change(&mut client, &mut options);
        self.homes.push(Home(options.pool.clone()));
        let client = self.cluster.client(client);
        self.lane = Some(Lane::new(self.config.clone(), options, client, self.clock.clone()));
    }

    /// Steps until nothing has happened for `quiet` of virtual time; the wall clock stands still.
    pub fn run(&mut self, quiet: Duration) -> Result<(), Stop> {
        let lane = self.lane.as_mut().unwrap();
        let tick = Duration::from_millis(250);
        let mut idle = Duration::ZERO;
        let mut steps = 0_u64;
        while idle < quiet {
            steps += 1;
            assert!(steps < 50_000_000, "the lane never rests: {:?}", lane.trouble());
            let progress = lane.step(Duration::ZERO)?;
            self.counts.fates.add(&lane.counts.fates);
            lane.counts.fates = Default::default();
            if progress == Progress::Busy {
                idle = Duration::ZERO;
                // Back-off after an abort must pass as well.
                self.clock.advance(Duration::from_micros(20));
            } else {
                self.clock.advance(tick);
                idle += tick;
            }
            self.clock.set_wall_ms(self.wall_ms);
        }
        let fates = self.counts.fates;
        self.counts = lane.counts.clone();
        self.counts.fates = fates;
        Ok(())
    }

    /// Starts, runs until everything is closed and committed, and stops.
    pub fn run_to_the_end(&mut self, batch_records: usize) {
        self.start(batch_records, |_, _| ());
        self.run(self.silence()).unwrap();
    }

    /// Silence enough to close every window, also at the pace of the clock.
    pub fn silence(&self) -> Duration {
        let window = &self.config.pipeline.window;
        Duration::from_secs(10) + Duration::from_millis((window.size_ms + window.grace_ms) as u64)
    }

    /// All of a topic by partition, as a read_committed reader sees it.
    pub fn read(&self, topic: &str) -> Vec<Vec<Stored>> {
        (0..self.outlet_partitions).map(|partition| self.cluster.read(topic, partition, Isolation::Committed)).collect()
    }
}

/// The value of a record's last header of this name, as text.
pub fn header(record: &Stored, name: &str) -> Option<String> {
    let found = record.headers.iter().rfind(|(other, _)| other == name.as_bytes())?;
    found.1.as_ref().map(|value| String::from_utf8(value.clone()).unwrap())
}
