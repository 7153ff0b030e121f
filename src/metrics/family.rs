//! A metric as one line of a table: its name, what it means, and how to read it when somebody asks.
//!
//! Keeps no numbers: they are where they arise, and are read from there.

use super::histogram::Buckets;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Error, Registry};

/// One name with all its series, read from a `T`.
pub(super) struct Family<T: ?Sized> {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: Kind,
    /// In the order of the alphabet, as they are shown.
    pub(super) labels: &'static [&'static str],
    pub(super) read: fn(&T) -> Vec<Sample>,
}

/// What a number means to whoever scrapes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It only grows, and begins with the process.
    Counter,
    /// It is what it is now.
    Gauge,
    /// Many numbers, by size.
    Histogram,
}

/// Values of the labels, and what was read.
pub(super) type Sample = (Vec<String>, Value);

/// What was read.
#[derive(Clone)]
pub(super) enum Value {
    Number(f64),
    Buckets(Buckets),
}

/// A sample without labels.
pub(super) fn one(number: f64) -> Vec<Sample> {
    vec![(Vec::new(), Value::Number(number))]
}

/// A sample for each of `all`, labelled with its word.
pub(super) fn each<W: Copy>(
    all: impl IntoIterator<Item = W>,
    word: impl Fn(W) -> &'static str,
    number: impl Fn(W) -> f64,
) -> Vec<Sample> {
    all.into_iter().map(|it| (vec![word(it).to_owned()], Value::Number(number(it)))).collect()
}

/// Registers a table. `look` takes what is to be read, once for each scrape; `None`: there is nothing to be seen yet.
pub(super) fn register<T: 'static>(
    registry: &Registry,
    families: &'static [Family<T>],
    look: impl Fn() -> Option<T> + Send + Sync + 'static,
) -> Result<(), Error> {
    let descs = families.iter().map(Family::describe).collect::<Result<_, _>>()?;
    registry.register(Box::new(Reader { families, descs, look }))
}

/// Reads a table when it is asked.
struct Reader<T: 'static, L> {
    families: &'static [Family<T>],
    descs: Vec<Desc>,
    look: L,
}

impl<T, L: Fn() -> Option<T> + Send + Sync> Collector for Reader<T, L> {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Some(seen) = (self.look)() else { return Vec::new() };
        self.families.iter().map(|family| family.collect(&seen)).collect()
    }
}

impl<T> Family<T> {
    fn describe(&self) -> Result<Desc, Error> {
        let labels = self.labels.iter().map(|label| (*label).to_owned()).collect();
        Desc::new(self.name.to_owned(), self.help.to_owned(), labels, Default::default())
    }

    fn collect(&self, seen: &T) -> MetricFamily {
        let mut family = MetricFamily::default();
        family.set_name(self.name.to_owned());
        family.set_help(self.help.to_owned());
        family.set_field_type(match self.kind {
            Kind::Counter => MetricType::COUNTER,
            Kind::Gauge => MetricType::GAUGE,
            Kind::Histogram => MetricType::HISTOGRAM,
        });
        family.set_metric((self.read)(seen).into_iter().map(|(values, value)| self.metric(values, value)).collect());
        family
    }

    fn metric(&self, values: Vec<String>, value: Value) -> Metric {
        let pair = |(name, value): (&&str, String)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value(value);
            pair
        };
        let mut metric = Metric::from_label(self.labels.iter().zip(values).map(pair).collect());
        match value {
            Value::Number(number) if self.kind == Kind::Counter => {
                let mut counter = Counter::default();
                counter.set_value(number);
                metric.set_counter(counter);
            }
            Value::Number(number) => {
                let mut gauge = Gauge::default();
                gauge.set_value(number);
                metric.set_gauge(gauge);
            }
            Value::Buckets(buckets) => metric.set_histogram(histogram(&buckets)),
        }
        metric
    }
}

fn histogram(buckets: &Buckets) -> Histogram {
    let mut below = 0;
    let cumulated = buckets.counts.iter().map(|(bound, count)| {
        below += count;
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*bound);
        bucket.set_cumulative_count(below);
        bucket
    });
    let mut histogram = Histogram::default();
    histogram.set_bucket(cumulated.collect());
    histogram.set_sample_count(buckets.count);
    histogram.set_sample_sum(buckets.sum);
    histogram
}
