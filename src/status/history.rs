//! How the process did over the last minutes: one sample a second, the oldest forgotten first.
//!
//! Totals go in, rates come out; knows nothing of lanes and partitions.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;

/// Ten minutes of samples.
const SAMPLES_MAX: usize = 600;

/// One look at the whole process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// When, on the monotonic clock of the system.
    pub at: Duration,
    /// What was counted.
    pub totals: Totals,
    /// Records up to the last stable offset, of all partitions that know it.
    pub lag: u64,
    /// Where the memory is.
    pub memory: Memory,
}

/// Totals since the start of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Records judged.
    pub read: u64,
    /// Of them merged.
    pub merged: u64,
    /// Of them late.
    pub late: u64,
    /// Of them dead letters.
    pub dead: u64,
    /// Of them ignored.
    pub ignored: u64,
    /// Windows closed.
    pub closed: u64,
    /// Results in committed transactions.
    pub results: u64,
    /// Transactions committed.
    pub committed: u64,
    /// Transactions aborted, or lost and settled later.
    pub failed: u64,
}

/// Where the memory is, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Of the whole process, as the system counts it; absent where it does not.
    pub resident_bytes: Option<u64>,
    /// What the process may take; absent as long as nobody has said.
    pub budget_bytes: Option<u64>,
    /// What the pool may lend.
    pub pool_bytes: Option<u64>,
    /// Lent by the pool: open windows, and what waits for its commit.
    pub lent_bytes: u64,
    /// Held by the pool and lent to nobody.
    pub parked_bytes: u64,
    /// Step of the ladder, from 0 (no pressure) to 3 (nothing more is read).
    pub step: u8,
    /// Its name.
    pub step_name: String,
}

/// Samples in order of time.
#[derive(Clone, Debug, Default)]
pub struct History(VecDeque<Sample>);

/// What [`History`] says of itself, oldest first; all lists are of one length. A rate belongs to the second that ends
/// with its sample.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rates {
    /// Seconds since the start of the process.
    pub at_s: Vec<f64>,
    /// Records judged each second.
    pub read_per_s: Vec<f64>,
    /// Results each second.
    pub results_per_s: Vec<f64>,
    /// Late records and dead letters each second.
    pub refused_per_s: Vec<f64>,
    /// Records to be read.
    pub lag: Vec<u64>,
    /// Resident bytes; 0 where the system does not say.
    pub resident_bytes: Vec<u64>,
    /// Bytes that the pool has lent.
    pub lent_bytes: Vec<u64>,
}

impl History {
    /// Takes a sample.
    pub fn push(&mut self, sample: Sample) {
        if self.0.len() == SAMPLES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(sample);
    }

    /// The newest sample.
    pub fn last(&self) -> Option<&Sample> {
        self.0.back()
    }

    /// One entry for each pair of neighbours.
    pub fn rates(&self) -> Rates {
        let mut rates = Rates::default();
        for (before, sample) in self.0.iter().zip(self.0.iter().skip(1)) {
            let (now, then) = (&sample.totals, &before.totals);
            let took_s = sample.at.saturating_sub(before.at).as_secs_f64().max(0.001);
            let per_s = |now: u64, then: u64| (now.saturating_sub(then) as f64 / took_s * 10.0).round() / 10.0;
            rates.at_s.push((sample.at.as_secs_f64() * 10.0).round() / 10.0);
            rates.read_per_s.push(per_s(now.read, then.read));
            rates.results_per_s.push(per_s(now.results, then.results));
            rates.refused_per_s.push(per_s(now.late + now.dead, then.late + then.dead));
            rates.lag.push(sample.lag);
            rates.resident_bytes.push(sample.memory.resident_bytes.unwrap_or(0));
            rates.lent_bytes.push(sample.memory.lent_bytes);
        }
        rates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at_s: u64, read: u64) -> Sample {
        let totals = Totals { read, ..Totals::default() };
        Sample { at: Duration::from_secs(at_s), totals, ..Sample::default() }
    }

    #[test]
    fn rates_are_differences_over_the_time_between() {
        let mut history = History::default();
        assert_eq!(history.rates(), Rates::default());
        [sample(1, 100), sample(2, 300), sample(4, 400)].into_iter().for_each(|sample| history.push(sample));
        assert_eq!(history.rates().read_per_s, [200.0, 50.0]);
        assert_eq!(history.rates().at_s, [2.0, 4.0]);
    }

    #[test]
    fn the_oldest_sample_is_forgotten_first() {
        let mut history = History::default();
        (0..SAMPLES_MAX as u64 + 5).for_each(|at_s| history.push(sample(at_s, 0)));
        let rates = history.rates();
        assert_eq!((rates.at_s.len(), rates.at_s[0]), (SAMPLES_MAX - 1, 6.0));
    }
}
