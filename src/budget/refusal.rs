//! A budget that does not suffice: the sum as a table, and the smallest budget that would do.

use super::{Holder, MIB, Mib, POOL_BYTES_MIN, Shares, pool_bytes, shares};
use crate::config::Config;
use std::fmt;

/// The largest budget that is tried, in MiB: beyond it something else is wrong.
const TRIED_MIB: u64 = 1 << 20;

/// Why a budget was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooSmall {
    /// What there is, in bytes.
    pub total_bytes: u64,
    /// The fewest lanes that were asked for.
    pub lanes: usize,
    /// The smallest budget that holds them, in bytes.
    pub enough_bytes: u64,
    shares: Shares,
}

impl TooSmall {
    pub(super) fn new(config: &Config, total_bytes: u64, lanes: usize) -> Self {
        let suffices = |mib: u64| {
            let total_bytes = mib * MIB;
            pool_bytes(total_bytes, &shares(config, total_bytes, lanes)) >= POOL_BYTES_MIN
        };
        // Shares grow more slowly than the budget: what suffices once suffices from there on.
        let (mut low, mut high) = (total_bytes / MIB, TRIED_MIB);
        while low + 1 < high {
            let middle = low.midpoint(high);
            *if suffices(middle) { &mut high } else { &mut low } = middle;
        }
        Self { total_bytes, lanes, enough_bytes: high * MIB, shares: shares(config, total_bytes, lanes) }
    }
}

impl fmt::Display for TooSmall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lanes = if self.lanes == 1 { "one lane".to_owned() } else { format!("{} lanes", self.lanes) };
        writeln!(f, "memory.budget of {} does not hold {lanes}:", Mib(self.total_bytes))?;
        let mut line = |name: &str, bytes: u64, meaning: &str| {
            let line = format!("  {name:<16}{:>10}  {meaning}", Mib(bytes).to_string());
            writeln!(f, "{}", line.trim_end())
        };
        for holder in Holder::ALL {
            let pool = holder == Holder::Pool;
            let bytes = if pool { POOL_BYTES_MIN } else { self.shares[holder as usize] };
            line(holder.as_str(), bytes, if pool { "windows, at the very least" } else { holder.meaning() })?;
        }
        line("sum", self.shares.iter().sum::<u64>() + POOL_BYTES_MIN, "")?;
        let fewer = if self.lanes == 1 { "a smaller `source.max_record`" } else { "fewer `lanes`" };
        write!(f, "give it {} (`memory.budget: {}MiB`), or {fewer}", Mib(self.enough_bytes), self.enough_bytes / MIB)
    }
}

impl std::error::Error for TooSmall {}
