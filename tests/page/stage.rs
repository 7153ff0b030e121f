//! A worker's pages without a worker: a made-up status of many partitions, served on loopback.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;
use tidemill::broker::TopicPartition;
use tidemill::clock::ManualClock;
use tidemill::config::{self, Config};
use tidemill::http::{self, Pages};
use tidemill::logs::Logs;
use tidemill::metrics::Metrics;
use tidemill::status::{Memory, OpenWindows, PartitionState, PartitionStatus, Phase, Sample, Status, Totals};
use tracing_subscriber::layer::SubscriberExt;

/// 2026-11-25 10:20 UTC.
const NOW_MS: i64 = 1_795_602_000_000;
const HOUR_MS: i64 = 3_600_000;
const UP: Duration = Duration::from_secs(3_600);
const LANES: usize = 4;

/// The pages over a status.
pub struct Stage {
    status: Status,
    served: Served,
}

/// Pages on a thread of their own, until it is dropped.
pub struct Served {
    pub address: SocketAddr,
    stop: tokio::sync::watch::Sender<bool>,
}

impl Stage {
    /// Partitions of a busy worker: one held, one paused, three restoring, the others live.
    pub fn with_partitions(number: i32) -> Self {
        let status = Status::new();
        let clock = ManualClock::at(NOW_MS - UP.as_millis() as i64);
        clock.advance(UP);
        (0..LANES).for_each(|lane| status.lane(lane, UP, Phase::Running));
        (0..number).for_each(|number| status.partition(partition(number)));
        (0..600).for_each(|second| status.sample(sample(second)));
        let logs = Logs::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(logs.recent.clone()), || {
            tracing::warn!(lane = 2, doing = "committing", error = "timed out", "transaction is aborted");
            tracing::error!(partition = "flights[7]", "partition is held");
        });
        let (metrics, clock) = (Metrics::new().unwrap(), Arc::new(clock));
        let pages = Pages::new(&flights(), "worker-0", metrics, status.clone(), logs, clock);
        Self { status, served: serve(pages) }
    }

    /// Where the page is.
    pub fn url(&self) -> String {
        format!("http://{}/", self.served.address)
    }

    /// A lane has said nothing for longer than it may.
    pub fn hang(&self, lane: usize) {
        self.status.lane(lane, UP - Duration::from_secs(75), Phase::Running);
    }

    /// The partition goes on.
    pub fn heal(&self, number: i32) {
        self.status.partition(live(number));
    }

    /// What `tidemill top --once` prints.
    pub fn frame(&self) -> String {
        let mut top = Command::new(env!("CARGO_BIN_EXE_tidemill"));
        let output = top.args(["top", "--once", &self.served.address.to_string()]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Nobody answers any more.
    pub fn stop(&self) {
        self.served.stop.send(true).unwrap();
    }
}

/// Serves pages on a free port of loopback.
pub fn serve(pages: Pages) -> Served {
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let (sender, address) = channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = http::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            let serving = http::serve(listener, pages, std::future::pending());
            tokio::select! { _ = serving => {}, _ = stopped.changed() => {} }
        });
    });
    Served { address: address.recv().unwrap(), stop }
}

/// A pipeline that people start from.
pub fn flights() -> Config {
    let text = include_str!("../../config/flights.yaml");
    config::parse("flights.yaml", text, Path::new("."), &|_| None).unwrap().config
}

fn partition(number: i32) -> PartitionStatus {
    match number {
        7 => PartitionStatus {
            state: PartitionState::Held,
            held_because: Some("<img src=x onerror=document.body.remove()> is no metadata".into()),
            ..live(number)
        },
        11 => PartitionStatus { state: PartitionState::Paused, ..live(number) },
        20..23 => PartitionStatus {
            state: PartitionState::Restoring,
            restore: Some((0, 1_000)),
            position: i64::from(number - 19) * 400 % 1_000,
            ..live(number)
        },
        _ => live(number),
    }
}

/// A partition that reads: every fifth one is silent, and lags grow with the number.
fn live(number: i32) -> PartitionStatus {
    let partition = TopicPartition { topic: "flights".into(), partition: number };
    let silent = number % 5 == 0;
    let watermark_ms = NOW_MS - i64::from(number) * 2_000;
    let end_ms = (watermark_ms - HOUR_MS).div_euclid(HOUR_MS) * HOUR_MS + HOUR_MS;
    let until = |ms: i64| (0..3).filter(|hours| end_ms + hours * HOUR_MS <= ms).count() as u64;
    PartitionStatus {
        watermark_ms: Some(watermark_ms),
        position: 1_000_000 + i64::from(number),
        lag: Some(if silent { 0 } else { i64::from(number) * 3 }),
        open_panes: 3,
        open: Some(OpenWindows {
            next_end_ms: end_ms,
            last_end_ms: end_ms + 2 * HOUR_MS,
            windows: 3,
            ended: until(NOW_MS),
            overdue: until(NOW_MS - HOUR_MS),
        }),
        quiet_since: UP - Duration::from_secs(if silent { 12 } else { 0 }),
        lane: number as usize % LANES,
        ..PartitionStatus::new(partition, PartitionState::Live)
    }
}

/// A tide in the load: it comes and goes within the ten minutes, and ends at 120,000 records a second.
fn sample(second: u64) -> Sample {
    let phase = second as f64 / 600.0 * std::f64::consts::TAU * 2.0;
    let wave = if second < 598 { (phase.sin() * 1_500_000.0) as i64 } else { 0 };
    let read = (second * 120_000 + 3_000_000).saturating_add_signed(wave);
    Sample {
        at: UP - Duration::from_secs(599 - second),
        totals: Totals {
            read,
            merged: read,
            late: second * 7,
            dead: second,
            results: second / 10 * 5_000,
            closed: second / 10,
            committed: second * 9,
            failed: 1,
            ..Totals::default()
        },
        lag: (3_000.0 - phase.sin() * 2_500.0) as u64,
        memory: Memory {
            resident_bytes: Some((150.0 + phase.sin() * 20.0) as u64 * (1 << 20)),
            budget_bytes: Some(256 << 20),
            pool_bytes: Some(128 << 20),
            lent_bytes: (80.0 + phase.sin() * 15.0) as u64 * (1 << 20),
            parked_bytes: 20 << 20,
            step: 1,
            step_name: "shared_views".into(),
        },
    }
}
