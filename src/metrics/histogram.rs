//! Histograms that a lane fills without atomics, in plain numbers, to be added up by whoever shows them.

use crate::fate::Behind;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

/// Most buckets that a scale may have.
const BUCKETS_MAX: usize = 16;

/// Where the buckets of a histogram end.
pub trait Scale {
    /// Upper bounds, inclusive, growing; at most 16.
    const BOUNDS: &'static [f64];
}

/// From a millisecond to five minutes: a commit takes 4 ms on a good day and 30 s at its deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seconds;

impl Scale for Seconds {
    const BOUNDS: &'static [f64] =
        &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 30.0, 60.0, 300.0];
}

/// From a single record to a full batch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Records;

impl Scale for Records {
    const BOUNDS: &'static [f64] = &[1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0];
}

/// Numbers by bucket of a scale.
#[derive(Clone, Copy, Default, PartialEq)]
pub struct Histogram<S> {
    counts: [u64; BUCKETS_MAX],
    count: u64,
    sum: f64,
    scale: PhantomData<S>,
}

/// Spans of time.
pub type Durations = Histogram<Seconds>;

/// Sizes of batches.
pub type BatchSizes = Histogram<Records>;

impl<S: Scale> Histogram<S> {
    /// Counts one number.
    pub fn observe(&mut self, number: f64) {
        // What is beyond the last bound is in `count` alone.
        if let Some(bucket) = self.counts.get_mut(S::BOUNDS.partition_point(|bound| *bound < number)) {
            *bucket += 1;
        }
        self.count += 1;
        self.sum += number;
    }

    /// Adds the numbers of `other`.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(other.counts) {
            *mine += theirs;
        }
        self.count += other.count;
        self.sum += other.sum;
    }

    /// How many numbers there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn buckets(&self) -> Buckets {
        let counts = S::BOUNDS.iter().copied().zip(self.counts).collect();
        Buckets { counts, count: self.count, sum: self.sum }
    }
}

impl Durations {
    /// Counts one span.
    pub fn took(&mut self, span: Duration) {
        self.observe(span.as_secs_f64());
    }
}

impl<S> fmt::Debug for Histogram<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} numbers, sum {}", self.count, self.sum)
    }
}

/// A histogram with its scale, to be shown.
#[derive(Clone)]
pub(super) struct Buckets {
    /// Upper bounds, inclusive, and how many numbers are in each bucket.
    pub(super) counts: Vec<(f64, u64)>,
    /// All numbers, those beyond the last bound too.
    pub(super) count: u64,
    pub(super) sum: f64,
}

impl From<&Behind> for Buckets {
    fn from(behind: &Behind) -> Self {
        let seconds = |ms: u64| ms as f64 / 1000.0;
        let counts = Behind::BOUNDS_MS.iter().map(|ms| seconds(*ms)).zip(behind.counts().iter().copied()).collect();
        Self { counts, count: behind.records(), sum: seconds(behind.sum_ms()) }
    }
}
