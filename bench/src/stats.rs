//! Medians of rounds and percentiles of steps.

use hdrhistogram::Histogram;
use serde::Serialize;

/// The middle of some numbers; of an even count the mean of the two in the middle. Not a number if there are none.
pub fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.get(middle), sorted.len() % 2) {
        (None, _) => f64::NAN,
        (Some(upper), 1) => *upper,
        (Some(upper), _) => (sorted.get(middle - 1).unwrap_or(upper) + upper) / 2.0,
    }
}

/// Durations, to three digits, from a nanosecond to an hour.
#[derive(Clone, Debug)]
pub struct Durations(Histogram<u64>);

/// What is told of [`Durations`], in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    /// Half of them took no longer.
    pub p50_us: f64,
    /// 99 % took no longer.
    pub p99_us: f64,
    /// 99.9 % took no longer.
    pub p999_us: f64,
}

impl Durations {
    const LONGEST_NS: u64 = 3_600_000_000_000;

    /// None yet.
    ///
    /// # Errors
    /// Never with these bounds.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self(Histogram::new_with_bounds(1, Self::LONGEST_NS, 3)?))
    }

    /// Adds one, in nanoseconds; beyond an hour it counts as an hour.
    pub fn record(&mut self, ns: u64) {
        self.0.saturating_record(ns);
    }

    /// What is told of them.
    pub fn percentiles(&self) -> Percentiles {
        let at = |quantile: f64| self.0.value_at_quantile(quantile) as f64 / 1000.0;
        Percentiles { p50_us: at(0.5), p99_us: at(0.99), p999_us: at(0.999) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        for (numbers, expected) in [(&[3.0, 1.0, 2.0][..], 2.0), (&[4.0, 1.0, 2.0, 3.0], 2.5), (&[7.0], 7.0)] {
            assert_eq!(median(numbers), expected);
        }
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn percentiles_are_those_of_the_numbers_to_three_digits() {
        let mut durations = Durations::new().unwrap();
        (1..=1000).for_each(|us| durations.record(us * 1000));
        let Percentiles { p50_us, p99_us, p999_us } = durations.percentiles();
        for (found, expected) in [(p50_us, 500.0), (p99_us, 990.0), (p999_us, 999.0)] {
            assert!((found / expected - 1.0_f64).abs() < 0.002, "{found} {expected}");
        }
        durations.record(u64::MAX);
    }
}
