//! Restore: from SIGKILL until the successor is live, its open windows rebuilt from the source.
//!
//! The worst case: the window that is open has almost ended, so that nearly all of it is read again.

use crate::answer::{Answer, grouped};
use crate::apache::{Apache, pin_self};
use crate::expected::Windows;
use crate::load::{load, names};
use crate::measure::SINK_PARTITIONS;
use crate::plot::Bars;
use crate::process::Pinned;
use crate::report::table;
use crate::shape::{Shape, quantity};
use crate::system::{Job, System};
use anyhow::{Context, ensure};
use clap::Args;
use serde::Serialize;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};
use tidemill::broker::{Committed, TopicPartition};
use tidemill::error::{BrokerError, ErrorKind};
use tidemill::kafka::{Admin, Log};

const LOOK: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(180);
/// Part of the open window that has passed.
const OPEN: f64 = 0.95;

/// What to measure.
#[derive(Args)]
pub struct Arguments {
    /// Records per second of event time
    #[arg(long, default_value = "1k", value_parser = quantity)]
    rate: u64,
    /// Different keys
    #[arg(long, default_value = "10k", value_parser = quantity)]
    keys: u64,
    /// Sizes of windows, in minutes
    #[arg(long, value_delimiter = ',', default_value = "1,10,60")]
    minutes: Vec<i64>,
    /// The core of the broker and of the bench
    #[arg(long, default_value_t = 0)]
    broker_core: usize,
    /// The core of the worker
    #[arg(long, default_value_t = 1)]
    core: usize,
}

/// One restart.
#[derive(Debug, Serialize)]
struct Restored {
    /// Size of the windows, minutes.
    minutes: i64,
    /// Whether the successor takes its predecessor's place in the group (`kafka.static_membership`), or waits for the
    /// session to end as after the loss of a machine.
    static_membership: bool,
    /// Records per second of event time.
    rate: u64,
    /// Records that are read again.
    records: u64,
    /// From SIGKILL to live, seconds.
    live_after_s: f64,
}

/// Kills workers and measures their successors.
///
/// # Errors
/// A worker fails, or never becomes live.
pub fn run(arguments: &Arguments) -> anyhow::Result<Answer> {
    System::Tidemill.prepare()?;
    let mut apache = Apache::start(arguments.broker_core)?;
    let mut all = Vec::new();
    for minutes in &arguments.minutes {
        for static_membership in [true, false] {
            // How long a session lasts has nothing to do with the size of a window: once is enough.
            if static_membership || minutes == &arguments.minutes[0] {
                all.push(one(&mut apache, arguments, *minutes, static_membership)?);
                eprintln!("{:?}", all.last());
            }
        }
    }
    Ok(Answer::new("restore", &all, section(&all))?.plot("restore", "Restores as bars", bars(&all)))
}

fn bars(all: &[Restored]) -> String {
    let name = |restored: &Restored| {
        let place = if restored.static_membership { "" } else { ", after the session" };
        format!("{} min{place}", restored.minutes)
    };
    let seconds = all.iter().map(|restored| restored.live_after_s).collect();
    let variants = all.iter().map(name).collect();
    Bars { title: "From SIGKILL to live", variants, panels: vec![("seconds, by size of the window", seconds)] }.svg()
}

fn section(all: &[Restored]) -> String {
    let row = |restored: &Restored| {
        [
            format!("{} min", restored.minutes),
            grouped(restored.rate as f64),
            grouped(restored.records as f64),
            if restored.static_membership { "a static member" } else { "after the session has ended" }.into(),
            format!("{:.1}", restored.live_after_s),
        ]
    };
    let head = ["window", "records/s of event time", "read again", "takes over", "SIGKILL to live, s"];
    table(head, &all.iter().map(row).collect::<Vec<_>>())
}

fn one(apache: &mut Apache, arguments: &Arguments, minutes: i64, static_membership: bool) -> anyhow::Result<Restored> {
    let size_ms = minutes * 60_000;
    let windows = Windows { size_ms, every_ms: size_ms, grace_ms: 2_000 };
    let shape = Shape {
        records: (arguments.rate as f64 * (1.0 + OPEN) * (size_ms / 1000) as f64) as u64,
        keys: arguments.keys,
        zipf: false,
        value_bytes: 200,
        partitions: 4,
        codec: "none".into(),
        event_rate: arguments.rate,
    };
    let name = format!("restore-{minutes}-{static_membership}");
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let place = if static_membership { "  instance: one\n  static_membership: true\n" } else { "" };
    let job = Job {
        windows,
        kafka: place.into(),
        extra: format!("http: {{listen: \"127.0.0.1:{port}\"}}\n"),
        ..Job::new(&name, &format!("{name}-source"), arguments.core)
    };
    load(apache, &job.source, &shape, windows)?;
    pin_self(arguments.broker_core)?;
    apache.topic(&job.sink, SINK_PARTITIONS, "producer")?;
    let live_after_s = kill_and_wait(apache, &job, &shape, port)?;
    apache.delete(&job.source)?;
    apache.delete(&job.sink)?;
    let records = (arguments.rate as f64 * OPEN * (size_ms / 1000) as f64) as u64;
    Ok(Restored { minutes, static_membership, rate: arguments.rate, records, live_after_s })
}

fn kill_and_wait(apache: &Apache, job: &Job, shape: &Shape, port: u16) -> anyhow::Result<f64> {
    let mut worker = System::Tidemill.start(apache, job)?;
    until_committed(apache, job, shape, &mut worker).with_context(|| worker.last_lines())?;
    let killed = Instant::now();
    drop(worker);
    let mut successor = System::Tidemill.start(apache, job)?;
    while !is_live(port, shape.partitions) {
        successor.check()?;
        ensure!(killed.elapsed() < PATIENCE, "it does not become live:\n{}", successor.last_lines());
        std::thread::sleep(LOOK);
    }
    let live_after_s = killed.elapsed().as_secs_f64();
    successor.stop()?;
    Ok(live_after_s)
}

/// Waits until the group's position is the end of every partition.
fn until_committed(apache: &Apache, job: &Job, shape: &Shape, worker: &mut Pinned) -> anyhow::Result<()> {
    let mut admin = apache.admin(&job.name)?;
    let source = names(&job.source, shape.partitions);
    let begun = Instant::now();
    loop {
        match is_committed(&mut admin, &source) {
            Ok(true) => return Ok(()),
            // The group's coordinator may not have been found yet.
            Ok(false) | Err(BrokerError { kind: ErrorKind::Retry, .. }) => {}
            Err(error) => return Err(error.into()),
        }
        worker.check()?;
        ensure!(begun.elapsed() < PATIENCE, "the worker does not reach the end");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn is_committed(admin: &mut Admin, source: &[TopicPartition]) -> Result<bool, BrokerError> {
    let logs = admin.logs(source)?;
    let positions = admin.positions(source)?;
    let there = |(position, log): (&Option<Committed>, &Log)| {
        position.as_ref().is_some_and(|position| position.offset >= log.ends.last_stable)
    };
    Ok(positions.iter().zip(&logs).all(there))
}

/// Whether the worker owns all partitions and none of them restores any more.
fn is_live(port: u16, partitions: i32) -> bool {
    let metrics = page(port, "/metrics").unwrap_or_default();
    let live = metrics
        .lines()
        .filter(|line| line.starts_with("tidemill_poll_partition_state{") && line.contains("state=\"live\""));
    let count: f64 = live.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
    count == f64::from(partitions)
}

fn page(port: u16, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}
