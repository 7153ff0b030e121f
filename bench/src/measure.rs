//! One system on one topic: rate, CPU time and memory over the last part of the input, and whether its results are right.
//!
//! A system that writes is at a mark once the results of a window have arrived in the sink's log, committed or not; the
//! transport says by itself how far it is.

use crate::apache::Apache;
use crate::load::{names, read};
use crate::process::Pinned;
use crate::system::{Job, System};
use anyhow::{Context, bail, ensure};
use serde::Serialize;
use std::io::{BufRead, BufReader};
use std::process::ChildStdout;
use std::time::{Duration, Instant};
use tidemill::broker::TopicPartition;
use tidemill::error::ErrorKind;
use tidemill::kafka::Admin;

/// How often progress is looked at; the error of a mark.
const LOOK: Duration = Duration::from_millis(10);
/// Without any progress for so long the run has failed.
const PATIENCE: Duration = Duration::from_secs(90);
/// Shorter than this a measurement is mostly the error of its marks.
const WALL_MIN: Duration = Duration::from_millis(500);
/// Partitions of every sink.
pub(crate) const SINK_PARTITIONS: i32 = 4;

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) system: System,
    /// Records between the marks.
    pub(crate) records: u64,
    pub(crate) records_per_s: f64,
    /// User and system time of all threads for each of these records.
    pub(crate) cpu_ns_per_record: f64,
    /// VmHWM at the end.
    pub(crate) peak_bytes: u64,
    /// Results read back, each of them equal to what the records say; none missing, none twice.
    pub(crate) results: u64,
    /// From its start to the last expected result being there for a read_committed consumer.
    pub(crate) complete_after_s: f64,
}

impl Measured {
    /// For people who watch.
    pub(crate) fn line(&self) -> String {
        format!(
            "{:20} {:>10.0} records/s {:>7.0} ns CPU/record {:>7.1} MB peak",
            self.system.name(),
            self.records_per_s,
            self.cpu_ns_per_record,
            self.peak_bytes as f64 / 1e6
        )
    }
}

/// The part of an input before measuring begins: start-up, first fetches and a JVM's warming up lie there.
pub(crate) const FROM: f64 = 0.2;

/// A place in the input, and what has been written when all windows that are due there are closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) records: u64,
    pub(crate) results: u64,
}

/// What must come of an input.
pub(crate) trait Facts {
    /// Between which marks is measured. With the second, every result is there that a system must write.
    ///
    /// # Errors
    /// The input is too short.
    fn marks(&self) -> anyhow::Result<[Mark; 2]>;

    /// Judges what one system wrote; one that is at-least-once may write a result twice.
    fn judge(&self, twice_is_fine: bool) -> Box<dyn Judge + '_>;
}

/// The results of one system against the facts.
pub(crate) trait Judge {
    /// Looks at one result.
    ///
    /// # Errors
    /// It is a second one of its key and window, or differs from what the records say.
    fn add(&mut self, value: &[u8]) -> anyhow::Result<()>;

    /// How many results have been seen that must be there.
    fn results(&self) -> u64;
}

/// Runs a system over a topic, and checks its results.
pub(crate) fn measure(apache: &mut Apache, system: System, job: &Job, facts: &dyn Facts) -> anyhow::Result<Measured> {
    let marks = facts.marks()?;
    apache.topic(&job.sink, SINK_PARTITIONS, "producer")?;
    until_led(apache, &job.sink)?;
    let begun = Instant::now();
    let mut process = system.start(apache, job)?;
    let measured = watch(apache, system, &mut process, job, marks)
        .with_context(|| format!("{}:\n{}", system.name(), process.last_lines()))?;
    let results = match system.writes() {
        true => check(apache, system, job, facts, marks[1].results).with_context(|| system.name())?,
        false => 0,
    };
    let complete_after_s = begun.elapsed().as_secs_f64();
    process.stop()?;
    apache.delete(&job.sink)?;
    Ok(Measured { results, complete_after_s, ..measured })
}

fn watch(
    apache: &mut Apache,
    system: System,
    process: &mut Pinned,
    job: &Job,
    [from, to]: [Mark; 2],
) -> anyhow::Result<Measured> {
    let mut progress = match process.output() {
        Some(output) => Progress::Said(BufReader::new(output)),
        None => Progress::Written(apache.admin("")?, names(&job.sink, SINK_PARTITIONS)),
    };
    progress.until(from, process)?;
    let (cpu_before, since) = (process.cpu()?, Instant::now());
    progress.until(to, process)?;
    let (cpu, wall) = (process.cpu()? - cpu_before, since.elapsed());
    ensure!(wall >= WALL_MIN, "{wall:?} between the marks say nothing: ask for more --records");
    apache.check()?;
    let records = to.records - from.records;
    Ok(Measured {
        system,
        records,
        records_per_s: records as f64 / wall.as_secs_f64(),
        cpu_ns_per_record: cpu.as_nanos() as f64 / records as f64,
        peak_bytes: process.peak_bytes()?,
        results: 0,
        complete_after_s: 0.0,
    })
}

/// How far a system is.
enum Progress {
    /// The transport's lines.
    Said(BufReader<ChildStdout>),
    /// Ends of the sink's logs. Markers of transactions count as well: a few for each commit, among many results.
    Written(Admin, Vec<TopicPartition>),
}

impl Progress {
    fn until(&mut self, mark: Mark, process: &mut Pinned) -> anyhow::Result<()> {
        let mut moved = Instant::now();
        let mut before = 0;
        loop {
            let (now, goal) = match self {
                Self::Said(lines) => (said(lines)?, mark.records),
                Self::Written(admin, sink) => (written(admin, sink)?.unwrap_or(before), mark.results),
            };
            if now >= goal {
                return Ok(());
            }
            if now > before {
                (before, moved) = (now, Instant::now());
            }
            process.check()?;
            ensure!(moved.elapsed() < PATIENCE, "no progress since {now} of {goal}");
            if matches!(self, Self::Written(..)) {
                std::thread::sleep(LOOK);
            }
        }
    }
}

/// A topic that is new has no leaders for a while: nobody would see how far a system is.
fn until_led(apache: &Apache, topic: &str) -> anyhow::Result<()> {
    let (mut admin, names, begun) = (apache.admin("")?, names(topic, SINK_PARTITIONS), Instant::now());
    while written(&mut admin, &names)?.is_none() {
        ensure!(begun.elapsed() < PATIENCE, "{topic} has no leaders");
        std::thread::sleep(LOOK);
    }
    Ok(())
}

fn said(lines: &mut BufReader<ChildStdout>) -> anyhow::Result<u64> {
    let mut line = String::new();
    ensure!(lines.read_line(&mut line)? > 0, "it has ended");
    Ok(line.trim().parse()?)
}

/// `None`: the sink is too new to have its leaders.
fn written(admin: &mut Admin, sink: &[TopicPartition]) -> anyhow::Result<Option<u64>> {
    match admin.logs(sink) {
        Ok(logs) => Ok(Some(logs.iter().map(|log| log.ends.high_watermark.unsigned_abs()).sum())),
        Err(error) if error.kind == ErrorKind::Retry => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Reads the results until all that are wanted are there.
fn check(apache: &Apache, system: System, job: &Job, facts: &dyn Facts, wanted: u64) -> anyhow::Result<u64> {
    let mut judge = facts.judge(!system.is_exact());
    read(apache, &job.sink, SINK_PARTITIONS, PATIENCE, |value| {
        judge.add(value)?;
        Ok(judge.results() == wanted)
    })?;
    if judge.results() < wanted {
        bail!("{} of {wanted} results are there", judge.results());
    }
    Ok(wanted)
}
