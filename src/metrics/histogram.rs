//! A histogram of durations that a lane fills without atomics, and the collector that shows the sum of all lanes.

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Histogram, Metric, MetricFamily, MetricType};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds in seconds, inclusive: a commit takes 4 ms on a good day and 30 s at the deadline.
const BOUNDS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 30.0];

/// Durations by bucket, plain numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Durations {
    buckets: [u64; BOUNDS.len()],
    count: u64,
    seconds: f64,
}

impl Durations {
    /// Counts one duration.
    pub fn observe(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        if let Some(bucket) = self.buckets.get_mut(BOUNDS.partition_point(|bound| *bound < seconds)) {
            *bucket += 1;
        }
        self.count += 1;
        self.seconds += seconds;
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
        self.seconds += other.seconds;
    }
}

/// The sum of what the lanes have observed, as a Prometheus histogram.
#[derive(Clone, Debug)]
pub(super) struct DurationHistogram {
    desc: Desc,
    total: Arc<Mutex<Durations>>,
}

impl DurationHistogram {
    pub(super) fn new(name: &str, help: &str) -> Result<Self, prometheus::Error> {
        let desc = Desc::new(name.to_owned(), help.to_owned(), Vec::new(), HashMap::new())?;
        Ok(Self { desc, total: Arc::default() })
    }

    pub(super) fn add(&self, durations: &Durations) {
        self.total.lock().unwrap_or_else(PoisonError::into_inner).add(durations);
    }
}

impl Collector for DurationHistogram {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let total = *self.total.lock().unwrap_or_else(PoisonError::into_inner);
        let mut below = 0;
        let buckets = BOUNDS.into_iter().zip(total.buckets).map(|(bound, count)| {
            below += count;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(bound);
            bucket.set_cumulative_count(below);
            bucket
        });
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(total.count);
        histogram.set_sample_sum(total.seconds);
        let mut metric = Metric::default();
        metric.set_histogram(histogram);
        let mut family = MetricFamily::default();
        family.set_name(self.desc.fq_name.clone());
        family.set_help(self.desc.help.clone());
        family.set_field_type(MetricType::HISTOGRAM);
        family.set_metric(vec![metric]);
        vec![family]
    }
}
