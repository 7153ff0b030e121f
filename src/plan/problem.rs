//! What makes a plan impossible, in numbers, and the smallest change that helps.

use super::load::Load;
use super::state::State;
use super::text::{count, seconds};
use super::{Plan, speed, ways};
use crate::budget::{Budget, Mib, TooSmall};
use crate::config::Config;
use crate::pool::Need;
use std::fmt;
use std::time::Duration;

/// One thing that cannot be. `Display` shows it with what mends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// A word for machines: `memory`, `budget`, `commit_timeout`, `speed`, `retention`.
    pub kind: &'static str,
    /// What is wrong, with the numbers.
    pub text: String,
    /// What helps; each of them alone does.
    pub ways: Vec<String>,
}

impl Problem {
    /// What helps, in one line.
    pub fn help(&self) -> String {
        self.ways.join(", or ")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.text)?;
        self.ways.iter().enumerate().try_for_each(|(index, way)| {
            let word = if index == 0 { "help" } else { "or" };
            writeln!(f, " = {word}: {way}")
        })
    }
}

/// All of them; `budget` is what the place gives.
pub(super) fn find(config: &Config, plan: &Plan, budget: Result<Budget, TooSmall>) -> Vec<Problem> {
    let memory = match budget {
        Ok(budget) => {
            let allowed = budget.limits.allowed_bytes(Need::Merge) as f64;
            (plan.state.bytes > allowed).then(|| {
                let share = plan.scale.worker_share;
                windows_do_not_fit(config, &plan.load, share, &plan.state, &budget, plan.enough_bytes)
            })
        }
        Err(too_small) => {
            Some(Problem { kind: "budget", text: too_small.to_string(), ways: budget_way(plan.enough_bytes) })
        }
    };
    let others = [commit_timeout(plan), speed(plan), retention(plan)];
    memory.into_iter().chain(others.into_iter().flatten()).collect()
}

/// Open windows need more than the pool of `budget` takes; `enough_bytes` is a budget that suffices.
pub(super) fn windows_do_not_fit(
    config: &Config,
    load: &Load,
    share: f64,
    state: &State,
    budget: &Budget,
    enough_bytes: Option<u64>,
) -> Problem {
    let allowed = budget.limits.allowed_bytes(Need::Merge) as u64;
    let text = format!(
        "open windows need {}, and `memory.budget` of {} leaves {} to them",
        Mib(state.bytes as u64),
        Mib(budget.total_bytes),
        Mib(allowed)
    );
    let mut all = budget_way(enough_bytes);
    all.extend(ways::of(config, load, share, allowed as f64));
    Problem { kind: "memory", text, ways: all }
}

fn budget_way(enough_bytes: Option<u64>) -> Vec<String> {
    let way = |bytes: u64| format!("memory: {{ budget: {}MiB }}", bytes >> 20);
    enough_bytes.map(way).into_iter().collect()
}

/// One window end of one partition is one transaction.
fn commit_timeout(plan: &Plan) -> Option<Problem> {
    let burst = &plan.burst;
    let needed = burst.partition_seconds;
    (needed > burst.timeout.as_secs_f64()).then(|| {
        let times = (needed / burst.timeout.as_secs_f64()).ceil() as usize;
        Problem {
            kind: "commit_timeout",
            text: format!(
                "a window end of the largest partition has {} results and takes {}, but `commit.timeout` is {}",
                count(needed * speed::RESULTS),
                seconds(needed),
                seconds(burst.timeout.as_secs_f64())
            ),
            ways: vec![
                format!("commit: {{ timeout: {}s }}", needed.ceil()),
                format!("{} partitions of the source", plan.load.partitions * times),
            ],
        }
    })
}

/// A partition is one lane's.
fn speed(plan: &Plan) -> Option<Problem> {
    let load = &plan.load;
    let hottest = load.rate * load.hottest_partition;
    plan.scale.is_overloaded.then(|| {
        let text = format!(
            "the hottest partition has {} records/s, and a lane merges {}: it falls behind for ever",
            count(hottest),
            count(speed::RECORDS)
        );
        // More partitions divide everything but the hottest key.
        let key = load.keys.hottest();
        let room = speed::RECORDS / load.rate - key;
        let ways = match room > 0.0 {
            true => vec![format!("{} partitions of the source", ((1.0 - key) / room).ceil())],
            false => vec![format!("another key: the hottest has {} records/s by itself", count(load.rate * key))],
        };
        Problem { kind: "speed", text, ways }
    })
}

/// A restart reads the open windows again.
fn retention(plan: &Plan) -> Option<Problem> {
    let (kept_ms, needed_ms) = (plan.place.retention_ms?, plan.restore.span_ms);
    (kept_ms < needed_ms).then(|| {
        let span = |ms: i64| humantime::format_duration(Duration::from_millis(ms.unsigned_abs()));
        Problem {
            kind: "retention",
            text: format!(
                "the source keeps its records for {}, and a restart reads {} again (size + grace)",
                span(kept_ms),
                span(needed_ms)
            ),
            ways: vec![format!("retention.ms={needed_ms} or more on the source, and the longest outage besides")],
        }
    })
}
