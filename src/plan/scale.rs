//! Lanes and workers for a load: `needed = load factor × skew factor`.

use super::load::Load;
use super::speed;

/// How many lanes and workers a load wants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// The load in lanes, if it could be divided at will.
    pub load_factor: f64,
    /// How much more the busiest lane has than the mean of all.
    pub skew_factor: f64,
    /// Lanes that suffice; as many as partitions if none do.
    pub lanes: usize,
    /// Lanes of one worker.
    pub lanes_per_worker: usize,
    /// Workers that have so many.
    pub workers: usize,
    /// Share of everything that the busiest worker has, 0 to 1.
    pub worker_share: f64,
    /// Whether the hottest partition is too much for one lane: then no number of lanes helps.
    pub is_overloaded: bool,
}

impl Scale {
    /// For a load on workers that have at most so many lanes each.
    pub(super) fn of(load: &Load, lanes_per_worker: usize) -> Self {
        let load_factor = load.rate / (speed::RECORDS * speed::LOAD_SHARE);
        let suffices = |lanes: usize| load_factor * share_of_busiest(load, lanes) <= 1.0;
        let lanes = (1..=load.partitions).find(|lanes| suffices(*lanes));
        let count = lanes.unwrap_or(load.partitions);
        let lanes_per_worker = lanes_per_worker.clamp(1, load.partitions);
        let workers = count.div_ceil(lanes_per_worker);
        Self {
            load_factor,
            skew_factor: share_of_busiest(load, count) * count as f64,
            lanes: count,
            lanes_per_worker,
            workers,
            worker_share: share_of_busiest(load, workers),
            is_overloaded: load.rate * load.hottest_partition > speed::RECORDS,
        }
    }
}

/// Share of the records that go to the one of `count` which has the hottest partition, partitions being dealt out evenly.
fn share_of_busiest(load: &Load, count: usize) -> f64 {
    let others = load.partitions.saturating_sub(1) as f64;
    let with_it = load.partitions.div_ceil(count.max(1)).saturating_sub(1) as f64;
    let each = if others > 0.0 { (1.0 - load.hottest_partition) / others } else { 0.0 };
    (load.hottest_partition + with_it * each).min(1.0)
}
