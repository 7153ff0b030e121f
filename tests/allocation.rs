//! In steady state a record costs no heap allocation in Rust: ten million records through a whole lane on the in-memory
//! broker, windows opening and closing, commits going out, and a counting allocator that stays at zero.
//!
//! What the broker allocates is its own affair and is not counted. `TIDEMILL_TRACE=1` says where a count comes from:
//! `TIDEMILL_TRACE=1 cargo test --test allocation -- --nocapture`.

#[path = "support"] // for rustfmt, which looks below allocation/ otherwise
mod support {
    pub mod counting;
    pub mod fed;
    pub mod rig;
}

use std::hint::black_box;
use std::time::Duration;
use support::counting::{self, Asked, Counting};
use support::fed::{Fed, Stream};
use support::rig::{self, Home};
use tidemill::broker::Outlet;
use tidemill::clock::ManualClock;
use tidemill::config::{Aggregate, AggregateKind, Commit, Idle, Pipeline, StartAt, TimeFormat, TimeSource, Window};
use tidemill::lane::{Lane, LaneOptions};
use tidemill::recent::Recent;
use tidemill::sim::{ClientOptions, Cluster, SimClient};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const PARTITIONS: i32 = 3;
const FROM_MS: i64 = 1_700_000_000_000;
/// Of event time and of the clock, for each step of the lane.
const STEP_MS: i64 = 2_730;

const RECORDS: i64 = 10_000_000;
const WARM_UP: i64 = 1_000_000;

/// Every aggregate there is; `max_ahead` on, so that the guard clock steps.
fn pipeline(every_ms: i64) -> Pipeline {
    let aggregate =
        |name: &str, kind, path: Option<&str>| Aggregate { name: name.into(), kind, path: path.map(Into::into) };
    Pipeline {
        start: StartAt::Earliest,
        time: TimeSource::Field { path: "t".into(), format: TimeFormat::UnixMs },
        max_record_bytes: 1000,
        max_key_bytes: 100,
        max_ahead_ms: Some(60_000),
        keys: None,
        window: Window {
            size_ms: 20_000,
            every_ms,
            offset_ms: 0,
            grace_ms: 500,
            idle: Idle::Close { after_ms: 60_000 },
        },
        aggregates: vec![
            aggregate("n", AggregateKind::Count, None),
            aggregate("present", AggregateKind::Count, Some("v")),
            aggregate("sum", AggregateKind::Sum, Some("v")),
            aggregate("min", AggregateKind::Min, Some("v")),
            aggregate("max", AggregateKind::Max, Some("v")),
            aggregate("mean", AggregateKind::Mean, Some("v")),
            aggregate("first", AggregateKind::First, Some("s")),
            aggregate("last", AggregateKind::Last, Some("s")),
        ],
    }
}

struct Run {
    lane: Lane<Fed<SimClient>, ManualClock>,
    clock: ManualClock,
    read: i64,
    _home: Home,
}

impl Run {
    fn new(every_ms: i64, stream: Stream, recent_bytes: usize) -> Self {
        let clock = ManualClock::at(FROM_MS);
        let cluster = Cluster::virtual_time(&clock);
        cluster.create_topic(rig::EVENTS, PARTITIONS);
        for outlet in [rig::SINK, rig::LATE, rig::DEAD] {
            cluster.create_topic(outlet, PARTITIONS);
        }
        let mut config = rig::config(&pipeline(every_ms));
        config.commit = Commit { interval: Duration::from_secs(1), timeout: Duration::from_secs(30) };
        let client = ClientOptions::new("test", "test-0", &[rig::EVENTS], rig::SINK)
            .outlet(Outlet::Late, rig::LATE)
            .outlet(Outlet::DeadLetter, rig::DEAD);
        let broker = Fed::new(cluster.client(client), stream);
        let mut options = LaneOptions::new(0, &config);
        options.recent = Recent::within(recent_bytes, &config, options.seed);
        // As the worker does at its start.
        options.pool.reserve_addresses().unwrap();
        let home = Home(options.pool.clone());
        Self { lane: Lane::new(config, options, broker, clock.clone()), clock, read: 0, _home: home }
    }

    /// Steps until so many more records have been judged; what the steps asked for.
    fn read(&mut self, records: i64) -> Asked {
        let until = self.read + records;
        self.lane.broker_mut().end = until / i64::from(PARTITIONS);
        let mut asked = Asked::default();
        while self.read < until / i64::from(PARTITIONS) * i64::from(PARTITIONS) {
            let (step, more) = counting::count(|| self.lane.step(Duration::ZERO));
            step.unwrap();
            asked.allocations += more.allocations;
            asked.bytes += more.bytes;
            self.read = self.lane.counts.fates.read as i64;
            self.clock.advance(Duration::from_millis(STEP_MS as u64));
        }
        asked
    }
}

/// A third of a number of records for each of the three partitions, a millisecond apart.
const STREAM: Stream =
    Stream { keys: 1000, from_ms: FROM_MS, step_ms: 1, jitter_ms: 400, late_every: 0, dead_every: 0 };

fn steady_state_allocates_nothing(every_ms: i64, stream: Stream, records: i64) {
    let mut run = Run::new(every_ms, stream, 0);
    let warm_up = run.read(WARM_UP);
    let before = run.lane.counts.clone();
    let traced = std::env::var_os("TIDEMILL_TRACE").is_some();
    if traced {
        counting::trace();
    }
    let asked = run.read(if traced { records.min(500_000) } else { records });
    for (times, place) in counting::places() {
        println!("{times} times:\n{place}");
    }
    let after = &run.lane.counts;
    let windows = after.closed_by_watermark - before.closed_by_watermark;
    let commits = after.committed.count() - before.committed.count();
    println!("warm-up {warm_up:?}, then {asked:?}, {windows} results, {commits} commits, {:?}", after.fates);
    assert!(windows > 0 && commits > 10, "{windows} {commits}");
    assert_eq!(asked, Asked::default());
}

#[test]
fn ten_million_records_in_tumbling_windows_allocate_nothing() {
    steady_state_allocates_nothing(20_000, STREAM, RECORDS);
}

#[test]
fn ten_million_records_in_hopping_windows_allocate_nothing() {
    steady_state_allocates_nothing(10_000, STREAM, RECORDS);
}

#[test]
fn late_records_and_dead_letters_allocate_nothing() {
    let stream = Stream { late_every: 50, dead_every: 30, ..STREAM };
    steady_state_allocates_nothing(20_000, stream, RECORDS / 10);
}

/// Recent windows, which are on unless switched off, cost a few allocations for each window of a partition.
#[test]
fn a_recent_window_costs_allocations_and_none_of_its_records_does() {
    const MOST: u64 = 40;
    let mut run = Run::new(20_000, STREAM, 1 << 20);
    run.read(WARM_UP);
    let (before, records) = (run.lane.counts.closed_by_watermark, RECORDS / 10);
    let asked = run.read(records);
    let windows = (run.lane.counts.closed_by_watermark - before).div_ceil(STREAM.keys);
    println!("{asked:?} for {windows} windows of {records} records");
    assert!((1..windows * MOST).contains(&asked.allocations), "{asked:?} for {windows} windows");
}

#[test]
fn the_counter_counts_what_this_thread_asks_for_unless_it_pauses() {
    let (_, asked) = counting::count(|| {
        let mut bytes = black_box(vec![0_u8; 100]);
        bytes.reserve_exact(200);
        black_box(bytes);
        counting::pause(|| black_box(vec![0_u8; 1000]));
    });
    assert_eq!(asked, Asked { allocations: 2, bytes: 400 });
    let (_, asked) = counting::count(|| std::thread::spawn(|| vec![0_u8; 1 << 20]).join().map(drop));
    assert!(asked.bytes < 1 << 20, "{asked:?}");
}
