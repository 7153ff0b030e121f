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
use crate::plan::{self, Load, Origin, Plan, Sampled};
use std::time::Duration;

/// What a restart may wait for it.
const TIME_MAX: Duration = Duration::from_secs(1);
/// Enough for the keys of a window, and read in a fraction of that second.
const RECORDS_MAX: u64 = 100_000;

/// Says what the plan expects, and warns of whatever it calls impossible; says nothing once `go_on` is false.
pub(in crate::cli) fn foresee(config: &Config, facts: &ClusterFacts, budget: &Budget, go_on: &dyn Fn() -> bool) {
    let partitions = facts.source_partitions().count();
    let load = look(config, facts, budget, partitions, go_on);
    // The lanes are about to take this memory: it may not wait for the next second.
    heap::give_back(true);
    if !go_on() {
        return;
    }
    match load {
        Some(load) => tell(&plan::judge(config, load, place(config, connect::retention_ms(facts)))),
        None => {
            if let Err(problem) = plan::check(config, budget, partitions) {
                tracing::warn!(plan = problem.kind, help = problem.help(), "{}", problem.text);
            }
        }
    }
}

fn look(
    config: &Config,
    facts: &ClusterFacts,
    budget: &Budget,
    partitions: usize,
    go_on: &dyn Fn() -> bool,
) -> Option<Load> {
    let panes_bytes = budget.limits.ceiling_bytes / 2;
    let bounds = Bounds { records: RECORDS_MAX, time: TIME_MAX, settings: budget.settings, panes_bytes };
    let look = match connect::sample(config, facts, &bounds, go_on) {
        Ok(look) => look,
        Err(error) => {
            tracing::warn!("cannot look at the source before the start: {error}");
            return None;
        }
    };
    if look.cut > 0 {
        tracing::info!(partitions, cut = look.cut, "a second was too short to look at all partitions");
    }
    let load = look.sample.load(partitions);
    if load.is_none() && look.sample.dead() > 0 {
        tracing::warn!("{}", look.says_nothing(partitions));
    }
    load
}

/// One line of what is expected, and one for each problem. Bytes are those of one of `workers`: as many as the load needs.
fn tell(plan: &Plan) {
    let Plan { load, state, scale, place, .. } = plan;
    let Origin::Sampled(Sampled { records, span_ms, late, dead, .. }) = load.origin else { return };
    let (keys, rate, peak) = (load.keys.distinct().round() as u64, load.rate.round() as u64, plan.peak_bytes() as u64);
    let (windows, budget) = (Mib(state.bytes as u64), Mib(place.budget_bytes));
    tracing::info!(records, span_ms, late, dead, keys, records_per_second = rate, workers = scale.workers, %windows,
        peak = %Mib(peak), %budget, "expected");
    for problem in &plan.problems {
        let (kind, help) = (problem.kind, problem.help());
        tracing::warn!(plan = kind, records, span_ms, workers = scale.workers, help, "{}", problem.text);
    }
}
