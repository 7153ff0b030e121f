//! A burst: many keys whose windows close at once, on a machine that is otherwise idle, until the last is visible.

use crate::answer::{Answer, grouped};
use crate::apache::{Apache, pin_self};
use crate::expected::TUMBLING;
use crate::measure::SINK_PARTITIONS;
use crate::process::Pinned;
use crate::report::table;
use crate::shape::{Event, FIRST_MS, quantity, write_key, write_value};
use crate::stats::median;
use crate::system::{Job, System};
use anyhow::{Context, ensure};
use clap::Args;
use serde::Serialize;
use std::time::{Duration, Instant};
use tidemill::broker::{Event as News, Headers, RecordBatch};
use tidemill::kafka::{Loader, Reader};
use tidemill::partitioner;

const PARTITIONS: i32 = 4;
/// Long enough for all records of a round to be merged.
const SETTLE: Duration = Duration::from_millis(700);
const PATIENCE: Duration = Duration::from_secs(30);
const SESSION: Duration = Duration::from_secs(6);

/// What to measure.
#[derive(Args)]
pub struct Arguments {
    /// Keys that close at once
    #[arg(long, default_value = "100k", value_parser = quantity)]
    keys: u64,
    /// How often
    #[arg(long, default_value_t = 20)]
    rounds: u32,
    /// Commit intervals of the worker, milliseconds; the first is the one to be judged
    #[arg(long, value_delimiter = ',', default_value = "100,10")]
    commit_ms: Vec<u64>,
    /// The core of the broker and of the bench
    #[arg(long, default_value_t = 0)]
    broker_core: usize,
    /// The core of the worker
    #[arg(long, default_value_t = 1)]
    core: usize,
}

/// Rounds in milliseconds, from the record that closes the windows being due.
#[derive(Debug, Serialize)]
struct Results {
    /// Keys that closed at once.
    keys: u64,
    /// The worker's commit interval.
    commit_ms: u64,
    /// Until the first key was visible, each round.
    first_ms: Vec<f64>,
    /// Until the last was.
    last_ms: Vec<f64>,
    /// The middle one of these.
    last_median_ms: f64,
    /// Whether the worker kept its place in the group all the time.
    member_kept: bool,
}

/// Closes all keys at once, again and again.
///
/// # Errors
/// The worker fails, or results are missing or too many.
pub fn run(arguments: &Arguments) -> anyhow::Result<Answer> {
    System::Tidemill.prepare()?;
    let apache = Apache::start(arguments.broker_core)?;
    pin_self(arguments.broker_core)?;
    let mut all = Vec::new();
    for commit_ms in &arguments.commit_ms {
        let (name, source) = (format!("burst-{commit_ms}"), format!("bursts-{commit_ms}"));
        // A heartbeat that is late by that much costs the worker its place.
        let kafka = format!("  consumer_properties: {{session.timeout.ms: {}}}\n", SESSION.as_millis());
        let job = Job { commit_ms: Some(*commit_ms), kafka, ..Job::new(&name, &source, arguments.core) };
        apache.topic(&job.source, PARTITIONS, "producer")?;
        apache.topic(&job.sink, SINK_PARTITIONS, "producer")?;
        let mut worker = System::Tidemill.start(&apache, &job)?;
        let results = rounds(&apache, &job, arguments, *commit_ms, &mut worker).with_context(|| worker.last_lines())?;
        worker.stop()?;
        eprintln!("{commit_ms} ms: {:.1} ms", results.last_median_ms);
        all.push(results);
    }
    Answer::new("burst", &all, section(&all))
}

fn section(all: &[Results]) -> String {
    let most = |all: &[f64]| all.iter().copied().fold(0.0, f64::max);
    let row = |results: &Results| {
        let (first, last) = (&results.first_ms, &results.last_ms);
        let numbers = [median(first), most(first), median(last), most(last)].map(|ms| format!("{ms:.0}"));
        let [first, first_most, last, last_most] = numbers;
        [format!("{} ms", results.commit_ms), first, first_most, last, last_most]
    };
    let head = ["commits every", "first key, median ms", "most", "last key, median ms", "most"];
    let rows: Vec<_> = all.iter().map(row).collect();
    let kept = if all.iter().all(|results| results.member_kept) { "kept its place" } else { "LOST its place" };
    format!(
        "{}\nFrom due to visible; {} keys, {} rounds. The worker {kept} in the group, with a session of {} s.",
        table(head, &rows),
        grouped(all.first().map_or(0, |results| results.keys) as f64),
        all.first().map_or(0, |results| results.last_ms.len()),
        SESSION.as_secs(),
    )
}

fn rounds(
    apache: &Apache,
    job: &Job,
    arguments: &Arguments,
    commit_ms: u64,
    worker: &mut Pinned,
) -> anyhow::Result<Results> {
    apache.until_member(&job.name, worker)?;
    let mut admin = apache.admin(&job.name)?;
    let member =
        |members: &[tidemill::kafka::Member]| members.iter().map(|member| member.member_id.clone()).collect::<Vec<_>>();
    let before = member(&admin.group()?.members);
    let mut sink = Sink::open(apache, &job.sink)?;
    let mut config = apache.config("");
    config.producer_properties.insert("linger.ms".into(), "0".into());
    let mut loader = Loader::open(&config, &job.source)?;
    let (mut first_ms, mut last_ms) = (Vec::new(), Vec::new());
    for round in 0..i64::from(arguments.rounds) {
        let start_ms = FIRST_MS + round * 2 * TUMBLING.size_ms;
        for key in 0..arguments.keys as u32 {
            send(&mut loader, partition(key), key, start_ms)?;
        }
        loader.flush(PATIENCE)?;
        std::thread::sleep(SETTLE);
        sink.forget()?;
        // One record for each partition, behind end and grace, in the window after the next.
        let due = Instant::now();
        for partition in 0..PARTITIONS {
            send(&mut loader, partition, u32::MAX, start_ms + TUMBLING.size_ms + TUMBLING.grace_ms)?;
        }
        let (first, last) = sink.until(arguments.keys, start_ms, worker)?;
        first_ms.push(first.saturating_duration_since(due).as_secs_f64() * 1000.0);
        last_ms.push(last.saturating_duration_since(due).as_secs_f64() * 1000.0);
    }
    let member_kept = before == member(&admin.group()?.members);
    let last_median_ms = median(&last_ms);
    Ok(Results { keys: arguments.keys, commit_ms, first_ms, last_ms, last_median_ms, member_kept })
}

fn partition(key: u32) -> i32 {
    let mut bytes = Vec::new();
    write_key(&mut bytes, key);
    partitioner::partition(Some(&bytes), 0, PARTITIONS)
}

fn send(loader: &mut Loader, partition: i32, key: u32, time_ms: i64) -> anyhow::Result<()> {
    let (mut bytes, mut value) = (Vec::new(), Vec::new());
    write_key(&mut bytes, key);
    write_value(&mut value, &Event { key, time_ms, amount: 1 }, 200);
    Ok(loader.send(partition, time_ms, Some(&bytes), Some(&value), Headers::default())?)
}

/// A read_committed consumer of the results.
struct Sink {
    reader: Reader,
    batch: RecordBatch,
    news: Vec<News>,
}

impl Sink {
    fn open(apache: &Apache, topic: &str) -> anyhow::Result<Self> {
        let reader = Reader::open(&apache.config(""), topic, 0..SINK_PARTITIONS)?;
        Ok(Self { reader, batch: RecordBatch::new(1 << 20, 8192), news: Vec::new() })
    }

    fn poll(&mut self, timeout: Duration) -> anyhow::Result<()> {
        self.batch.clear();
        self.news.clear();
        Ok(self.reader.poll(&mut self.batch, &mut self.news, timeout)?)
    }

    /// Reads past what is there.
    fn forget(&mut self) -> anyhow::Result<()> {
        loop {
            self.poll(Duration::from_millis(50))?;
            if self.batch.is_empty() {
                return Ok(());
            }
        }
    }

    /// Waits for so many results of the window that begins at `start_ms`: when the first and the last were there.
    fn until(&mut self, count: u64, start_ms: i64, worker: &mut Pinned) -> anyhow::Result<(Instant, Instant)> {
        let window = format!("\"window_start\":{start_ms},");
        let deadline = Instant::now() + PATIENCE;
        let (mut first, mut seen) = (None, 0);
        while Instant::now() < deadline {
            self.poll(Duration::from_millis(50))?;
            let now = Instant::now();
            for record in self.batch.iter() {
                let value = record.value.unwrap_or_default();
                if value.windows(window.len()).any(|part| part == window.as_bytes()) {
                    first.get_or_insert(now);
                    seen += 1;
                }
            }
            if let (Some(first), true) = (first, seen >= count) {
                ensure!(seen == count, "{seen} results of {count} keys");
                return Ok((first, now));
            }
        }
        worker.check()?;
        anyhow::bail!("{seen} of {count} results have come")
    }
}
