//! What a window says: every aggregate computed at the close from the list of all records in the window.
//!
//! Nothing is accumulated while records arrive, so that nothing can be accumulated wrongly.

use super::json::Json;
use super::number::{Decimal, shown};
use std::collections::BTreeMap;
use tidemill::config::{AggregateKind, Pipeline};

/// What a merged record brings.
#[derive(Debug)]
pub struct Merged {
    pub offset: i64,
    pub time_ms: i64,
    /// For each aggregate its field, if it has one that is neither missing nor null.
    pub fields: Vec<Option<Json>>,
}

/// JSON text of aggregate number `index` over `records`, which are in offset order.
pub fn value(pipeline: &Pipeline, index: usize, records: &[&Merged]) -> String {
    let fields = || records.iter().filter_map(|record| Some((*record, record.fields[index].as_ref()?)));
    let doubles = || fields().filter_map(|(record, field)| Some((record, double(field)?)));
    let place = |(record, _): &(&Merged, &Json)| (record.time_ms, record.offset);
    let or_null = |double: Option<f64>| double.map_or("null".to_owned(), shown);
    let or_null_text = |field: Option<(&Merged, &Json)>| field.map_or("null".to_owned(), |(_, field)| field.text());
    match pipeline.aggregates[index].kind {
        AggregateKind::Count if pipeline.aggregates[index].path.is_none() => records.len().to_string(),
        AggregateKind::Count => fields().count().to_string(),
        AggregateKind::Sum => or_null(sum(pipeline, doubles())),
        AggregateKind::Mean if doubles().count() == 0 => "null".to_owned(),
        AggregateKind::Mean => or_null(sum(pipeline, doubles()).map(|sum| sum / doubles().count() as f64)),
        AggregateKind::Min => or_null(doubles().map(|(_, double)| double).reduce(f64::min)),
        AggregateKind::Max => or_null(doubles().map(|(_, double)| double).reduce(f64::max)),
        AggregateKind::First => or_null_text(fields().min_by_key(place)),
        AggregateKind::Last => or_null_text(fields().max_by_key(place)),
    }
}

/// The double in a numeric aggregate's field.
pub fn double(field: &Json) -> Option<f64> {
    let Json::Number(text) = field else { return None };
    Decimal::read(text).double()
}

/// Panes of `gcd(size, every)`, each summed in offset order, then merged by ascending start. `None`: was not finite.
fn sum<'a>(pipeline: &Pipeline, doubles: impl Iterator<Item = (&'a Merged, f64)>) -> Option<f64> {
    let mut panes: BTreeMap<i64, Neumaier> = BTreeMap::new();
    for (record, double) in doubles {
        let pane = (record.time_ms - pipeline.window.offset_ms).div_euclid(pane_ms(pipeline));
        panes.entry(pane).or_default().add(double);
    }
    let mut all = Neumaier::default();
    for pane in panes.values() {
        all.merge(pane);
    }
    let sum = all.sum + all.compensation;
    sum.is_finite().then_some(sum) // once infinite, a sum never comes back
}

/// `gcd(size, every)`.
fn pane_ms(pipeline: &Pipeline) -> i64 {
    let (mut width, mut rest) = (pipeline.window.size_ms, pipeline.window.every_ms);
    while rest > 0 {
        (width, rest) = (rest, width % rest);
    }
    width
}

/// Neumaier's sum: what each addition lost is kept beside it and added at the end.
#[derive(Default)]
struct Neumaier {
    sum: f64,
    compensation: f64,
}

impl Neumaier {
    fn add(&mut self, x: f64) {
        let sum = self.sum + x;
        self.compensation += if self.sum.abs() >= x.abs() { (self.sum - sum) + x } else { (x - sum) + self.sum };
        self.sum = sum;
    }

    fn merge(&mut self, other: &Neumaier) {
        self.add(other.sum);
        self.compensation += other.compensation;
    }
}
