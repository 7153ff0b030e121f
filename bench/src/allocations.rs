//! Heap allocations of a whole worker on Kafka, those of Rust and those of C apart: calls that callgrind saw.
//!
//! Two inputs, one longer than the other: what both need, to start and to end, falls out of the difference.

use crate::answer::Answer;
use crate::apache::Apache;
use crate::expected::TUMBLING;
use crate::load::{load, read};
use crate::measure::{Facts, SINK_PARTITIONS};
use crate::process::Pinned;
use crate::report::table;
use crate::shape::{Shape, quantity};
use crate::system::{Job, System};
use anyhow::{Context, ensure};
use clap::Args;
use serde::Serialize;
use std::collections::HashMap;
use std::fs;
use std::process::Command;
use std::time::Duration;

/// Everything is some fifty times slower there.
const PATIENCE: Duration = Duration::from_secs(180);
/// What C asks for memory by; `malloc` and `mi_malloc` are two names of one place.
const FROM_C: &[&str] = &["malloc", "calloc", "realloc", "strdup", "strndup", "mi_malloc", "mi_calloc", "mi_realloc"];
/// What Rust's allocator asks by.
const FROM_RUST: &[&str] = &["mi_malloc_aligned", "mi_zalloc_aligned", "mi_realloc_aligned"];

/// What to count.
#[derive(Args)]
pub struct Arguments {
    /// Records of the two inputs
    #[arg(long, value_delimiter = ',', value_parser = quantity, default_value = "160k,360k")]
    records: Vec<u64>,
}

/// One input.
#[derive(Clone, Copy, Debug, Serialize)]
struct Counted {
    records: u64,
    results: u64,
    /// Calls from Rust.
    rust: u64,
    /// Calls from C: librdkafka and what it is built on.
    c: u64,
}

/// Runs the worker over both inputs under callgrind.
///
/// # Errors
/// valgrind is missing, or the worker's results are not those that the records call for.
pub fn run(arguments: &Arguments) -> anyhow::Result<Answer> {
    let &[few, many] = &arguments.records[..] else { anyhow::bail!("--records takes two numbers") };
    ensure!(few < many, "the second input is the longer one");
    System::Tidemill.prepare()?;
    let apache = Apache::start(0)?;
    let all = [count(&apache, few)?, count(&apache, many)?];
    Answer::new("allocations", &all, section(&all))
}

fn section([few, many]: &[Counted; 2]) -> String {
    let (records, results) = (many.records - few.records, many.results - few.results);
    let (rust, c) = (many.rust - few.rust, many.c - few.c);
    let row =
        |what: &str, calls: u64| [what.to_owned(), calls.to_string(), format!("{:.4}", calls as f64 / records as f64)];
    format!(
        "{}\nFor {records} records more, and {results} results.",
        table(["", "allocations", "for each record"], &[row("Rust", rust), row("C (librdkafka)", c)])
    )
}

fn count(apache: &Apache, records: u64) -> anyhow::Result<Counted> {
    // A tenth as many results as records, as in W1.
    let shape = Shape {
        records,
        keys: 5_000,
        zipf: false,
        value_bytes: 200,
        partitions: 4,
        codec: "none".into(),
        event_rate: 5_000,
    };
    let job = Job::new(&format!("allocations-{records}"), &format!("allocations-{records}-source"), 1);
    let expected = load(apache, &job.source, &shape, TUMBLING)?;
    let [_, last] = expected.marks()?;
    apache.topic(&job.sink, SINK_PARTITIONS, "producer")?;
    let profile = apache.folder.join(format!("{}.callgrind", job.name));
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--quiet"]).arg(format!("--callgrind-out-file={}", profile.display()));
    let worker = System::Tidemill.command(apache, &job)?;
    valgrind.arg(worker.get_program()).args(worker.get_args());
    let mut worker = Pinned::start(&valgrind, job.core, &apache.folder.join("allocations.log"), false)?;
    let mut judge = expected.judge(false);
    read(apache, &job.sink, SINK_PARTITIONS, PATIENCE, |value| {
        judge.add(value)?;
        Ok(judge.results() == last.results)
    })?;
    worker.check()?;
    ensure!(judge.results() == last.results, "{} of {} results are there", judge.results(), last.results);
    worker.stop_within(PATIENCE)?;
    let text = fs::read_to_string(&profile).context("callgrind has written no profile")?;
    let calls = calls(&text);
    let (rust, c) = (sum(&calls, FROM_RUST), sum(&calls, FROM_C));
    ensure!(rust > 0 && c > 0, "the profile knows no allocations: the allocator's names have changed");
    Ok(Counted { records, results: last.results, rust, c })
}

fn sum(calls: &HashMap<String, u64>, names: &[&str]) -> u64 {
    names.iter().filter_map(|name| calls.get(*name)).sum()
}

/// How often each function was called, but by the allocator itself. Callgrind's format: `fn=(1) name` or `fn=(1)` for
/// the caller, then `cfn=` and `calls=COUNT …` for each of its calls.
fn calls(profile: &str) -> HashMap<String, u64> {
    let mut names = HashMap::<&str, &str>::new();
    let mut calls = HashMap::<String, u64>::new();
    let (mut caller, mut callee) = ("", "");
    for line in profile.lines() {
        let (is_caller, name) = match line.split_once('=') {
            Some(("fn", name)) => (true, name),
            Some(("cfn", name)) => (false, name),
            Some(("calls", counts)) => {
                let count = counts.split(' ').next().and_then(|count| count.parse::<u64>().ok()).unwrap_or(0);
                if !caller.trim_start_matches('_').starts_with("mi_") {
                    *calls.entry(callee.to_owned()).or_default() += count;
                }
                continue;
            }
            _ => continue,
        };
        let (id, name) = name.split_once(' ').unwrap_or((name, ""));
        if !name.is_empty() {
            // A function that calls itself has its depth behind its name.
            names.insert(id, name.split('\'').next().unwrap_or(name));
        }
        let name = names.get(id).copied().unwrap_or_default();
        if is_caller { caller = name } else { callee = name }
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_summed_by_name_and_the_allocators_own_are_not_among_them() {
        let profile = "fn=(1) main\n1 10\ncfn=(2) malloc\ncalls=3 0\n1 30\nfn=(3) rd_strdup\ncfn=(2)\ncalls=4 0\n1 1\n\
                       fn=(4) mi_malloc_aligned\ncfn=(2)\ncalls=9 0\n1 1\nfn=(1)\ncfn=(4)\ncalls=5 0\n1 1\n";
        let calls = calls(profile);
        assert_eq!((sum(&calls, FROM_C), sum(&calls, FROM_RUST)), (7, 5));
    }
}
