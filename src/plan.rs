//! What a pipeline will need, said before it runs: a load and a configuration → bytes, seconds, lanes, and a verdict.
//!
//! Pure arithmetic: it asks no broker and looks at no machine. [`Sample`] turns records into a [`Load`]; [`judge`] turns
//! a load into a [`Plan`]; its `Display` is for people and [`Plan::json`] for machines.

mod json;
mod keys;
mod load;
mod peak;
mod problem;
mod sample;
mod scale;
mod sketch;
mod speed;
mod state;
#[cfg(test)]
pub(crate) mod tests;
mod text;
mod ways;

pub use keys::{Keys, Seen};
pub use load::{Given, Load, MeanMax, Origin, Rows, Sampled};
pub use peak::Share;
pub use problem::Problem;
pub use sample::Sample;
pub use scale::Scale;
pub use state::State;

use crate::budget::{Budget, Lanes};
use crate::config::Config;
use crate::pool::Need;
use std::time::Duration;

const MIB: u64 = 1 << 20;
/// The largest budget that is tried, in MiB: beyond it something else is wrong.
const TRIED_MIB: u64 = 1 << 20;

/// What a worker finds where it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Cores of the machine.
    pub cores: usize,
    /// The budget in bytes.
    pub budget_bytes: u64,
    /// Where the budget comes from, if not from the file.
    pub budget_from: Option<String>,
    /// How long the source keeps its records, the shortest of its topics; `None`: for ever, or not known.
    pub retention_ms: Option<i64>,
}

/// What will happen.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Name of the pipeline.
    pub name: String,
    /// Its window, for people.
    pub window: String,
    /// What was known of the stream.
    pub load: Load,
    /// Where it will run.
    pub place: Place,
    /// Windows of one worker.
    pub state: State,
    /// Lanes and workers.
    pub scale: Scale,
    /// Who has how much of one worker's memory.
    pub shares: Vec<Share>,
    /// The smallest budget with which one worker can hold its windows, in bytes; `None`: none does.
    pub enough_bytes: Option<u64>,
    /// Results at a window's end.
    pub burst: Burst,
    /// What a restart costs.
    pub restore: Restore,
    /// Whatever makes it impossible, with the smallest change that helps.
    pub problems: Vec<Problem>,
}

/// What leaves at the end of a window that all partitions reach together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Burst {
    /// Results.
    pub results: f64,
    /// Bytes of their values.
    pub bytes: f64,
    /// Until all of them are committed.
    pub seconds: f64,
    /// For the largest partition alone: it has to fit into one transaction.
    pub partition_seconds: f64,
    /// What a transaction may take.
    pub timeout: Duration,
}

/// What a worker reads again before it is live.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Restore {
    /// Event time, at most: size + grace.
    pub span_ms: i64,
    /// Records.
    pub records: f64,
    /// Until the busiest lane is live.
    pub seconds: f64,
}

impl Plan {
    /// Whether it can run.
    pub fn is_possible(&self) -> bool {
        self.problems.is_empty()
    }

    /// The expected peak of resident memory, in bytes.
    pub fn peak_bytes(&self) -> f64 {
        self.shares.iter().map(|share| share.expected_bytes).sum()
    }
}

/// Says what a load will do to a pipeline.
pub fn judge(config: &Config, load: Load, place: Place) -> Plan {
    let pipeline = &config.pipeline;
    let window = &pipeline.window;
    let scale = Scale::of(&load, config.lanes.unwrap_or(place.cores));
    let interval_ms = i64::try_from(config.commit.interval.as_millis()).unwrap_or(i64::MAX);
    let state = State::of(pipeline, window, &load, scale.worker_share, interval_ms);
    let partitions = (load.partitions as f64 * scale.worker_share).ceil() as usize;
    let lanes = Lanes::of(config, place.cores, Some(partitions));
    let need = state.bytes.ceil() as u64;
    let budget = Budget::of(config, place.budget_bytes, lanes);
    let enough_bytes = smallest_budget(config, lanes, need);
    // Where the budget does not hold the fixed part, the figures are those of the one that does.
    let shown = match (&budget, enough_bytes) {
        (Ok(budget), _) => Some(budget.clone()),
        (Err(_), Some(enough)) => Budget::of(config, enough, lanes).ok(),
        (Err(_), None) => None,
    };
    let shares =
        shown.map(|budget| peak::shares(config, &load, scale.worker_share, &budget, &state)).unwrap_or_default();
    let results = state.window_rows.max / scale.worker_share;
    let busiest = results * load.hottest_partition.max(1.0 / load.partitions as f64);
    let lane_share = (scale.skew_factor / scale.lanes as f64).min(1.0);
    let span_ms = window.size_ms.saturating_add(window.grace_ms);
    let records = load.rate * span_ms as f64 / 1000.0;
    let mut plan = Plan {
        name: config.name.clone(),
        window: text::window(window),
        burst: Burst {
            results,
            bytes: results * peak::result_bytes(config, &load),
            seconds: results * lane_share / speed::RESULTS,
            partition_seconds: busiest / speed::RESULTS,
            timeout: config.commit.timeout,
        },
        restore: Restore { span_ms, records, seconds: records * lane_share / speed::RESTORED_RECORDS },
        load,
        place,
        state,
        scale,
        shares,
        enough_bytes,
        problems: Vec::new(),
    };
    plan.problems = problem::find(config, &plan, budget);
    plan
}

/// The check of a worker that starts: what the file alone says of its windows, since declared keys are all there can be.
///
/// # Errors
/// The budget holds less than one window of every declared key, and the windows that are open with it.
pub fn check(config: &Config, budget: &Budget, partitions: usize) -> Result<(), Problem> {
    let Some(keys) = &config.pipeline.keys else { return Ok(()) };
    let bytes = keys.iter().map(|key| key.len()).sum::<usize>();
    let load = Load::declared(keys.len(), bytes, partitions);
    let state = State::of(&config.pipeline, &config.pipeline.window, &load, 1.0, 0);
    let need = state.bytes.ceil() as u64;
    if need <= budget.limits.allowed_bytes(Need::Merge) as u64 {
        return Ok(());
    }
    let lanes = Lanes::Exactly(budget.lanes);
    let enough = smallest_budget(config, lanes, need);
    Err(problem::windows_do_not_fit(config, &load, 1.0, &state, budget, enough))
}

/// The smallest budget, in whole MiB, whose pool takes so many bytes of windows; `None` if none does.
pub fn smallest_budget(config: &Config, lanes: Lanes, window_bytes: u64) -> Option<u64> {
    let suffices = |mib: u64| {
        let budget = Budget::of(config, mib * MIB, lanes);
        budget.is_ok_and(|budget| budget.limits.allowed_bytes(Need::Merge) as u64 >= window_bytes)
    };
    let (mut low, mut high) = (0, TRIED_MIB);
    if !suffices(high) {
        return None;
    }
    while low + 1 < high {
        let middle = low.midpoint(high);
        *if suffices(middle) { &mut high } else { &mut low } = middle;
    }
    Some(high * MIB)
}
