//! What `memory.budget` comes to on this machine, and who gets how much of it: one answer for `check`, `run` and `demo`.

use crate::budget::{Auto, Budget, Lanes, Machine, TooSmall};
use crate::config::Config;

/// The budget of this process on this machine.
pub(super) fn total(config: &Config) -> Auto {
    Machine::default().budget(&config.memory)
}

/// `total` divided among as many lanes as there will be; `partitions` of the source where they are known.
///
/// # Errors
/// It does not suffice: the arithmetic.
pub(super) fn divide(config: &Config, total: &Auto, partitions: Option<usize>) -> Result<Budget, TooSmall> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Budget::of(config, total.bytes, Lanes::of(config, cores, partitions))
}
