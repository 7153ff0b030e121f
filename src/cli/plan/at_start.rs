//! The check of a worker that starts: the plan of its own topic, from what a second's look at the source says.
//!
//! It runs before the lanes take their memory, in what will be theirs. It never keeps a worker from starting: a sample is
//! an estimate, and what does not fit is held, not lost (`docs/decisions/0010-run-warns-and-starts.md`).

use super::connect::{self, Bounds};
use super::place;
use crate::budget::{Budget, Mib};
use crate::cli::preflight::ClusterFacts;
use crate::config::Config;
use crate::heap;
use crate::plan::{self, Load, Origin, Problem, Sampled};
use std::time::Duration;

/// What a restart may wait for it.
const TIME_MAX: Duration = Duration::from_secs(1);
/// Enough for the keys of a window, and read in a fraction of that second.
const RECORDS_MAX: u64 = 100_000;

/// Says what the plan expects, and warns of whatever it calls impossible.
pub(in crate::cli) fn foresee(config: &Config, facts: &ClusterFacts, budget: &Budget, go_on: &dyn Fn() -> bool) {
    let bounds = Bounds {
        records: RECORDS_MAX,
        bytes: budget.total_bytes / 4,
        time: TIME_MAX,
        settings: budget.settings,
        panes_bytes: budget.limits.ceiling_bytes / 2,
    };
    let load = look(config, facts, &bounds, go_on);
    // The lanes are about to take this memory: it may not wait for the next second.
    heap::give_back(true);
    let Some(load) = load else {
        let partitions = facts.source_partitions().count();
        return plan::check(config, budget, partitions).unwrap_or_else(|problem| warn(&problem));
    };
    let plan = plan::judge(config, load, place(config, connect::retention_ms(facts)));
    let (keys, rate) = (plan.load.keys.distinct(), plan.load.rate);
    let (windows, peak) = (plan.state.bytes as u64, plan.peak_bytes() as u64);
    if let Origin::Sampled(Sampled { records, span_ms, .. }) = plan.load.origin {
        tracing::info!(records, span_ms, keys = keys.round(), records_per_second = rate.round(), windows = %Mib(windows),
            peak = %Mib(peak), budget = %Mib(budget.total_bytes), workers = plan.scale.workers, "expected");
    }
    plan.problems.iter().for_each(warn);
}

fn look(config: &Config, facts: &ClusterFacts, bounds: &Bounds, go_on: &dyn Fn() -> bool) -> Option<Load> {
    match connect::sample(config, facts, bounds, go_on) {
        Ok(sample) => sample.load(facts.source_partitions().count()),
        Err(error) => {
            tracing::warn!("cannot look at the source before the start: {error}");
            None
        }
    }
}

fn warn(problem: &Problem) {
    tracing::warn!(plan = problem.kind, help = problem.ways.join(", or "), "{}", problem.text);
}
