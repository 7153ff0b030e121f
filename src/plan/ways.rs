//! Ways out besides a larger budget: the largest grace, and the largest window, with which the windows fit.

use super::load::Load;
use super::state::State;
use crate::config::{Config, Window};

/// Each of them alone makes the windows of a worker with this share of the load fit into `allowed` bytes.
pub(super) fn of(config: &Config, load: &Load, share: f64, allowed: f64) -> Vec<String> {
    let window = config.pipeline.window;
    let fits = |window: &Window| State::of(&config.pipeline, window, load, share, 1).bytes <= allowed;
    let mut ways = Vec::new();
    let graced = |grace_ms: i64| Window { grace_ms, ..window };
    if let Some(grace_ms) = largest(0, window.grace_ms, |ms| fits(&graced(ms))) {
        ways.push(format!("window: {{ grace: {} }}", written(grace_ms)));
    }
    // What was seen of whole windows says nothing about windows of another size.
    if load.rows.is_none() && window.size_ms == window.every_ms {
        let sized = |size_ms: i64| Window { size_ms, every_ms: size_ms, ..window };
        if let Some(size_ms) = largest(1, window.size_ms, |ms| fits(&sized(ms))) {
            ways.push(format!("window: {{ tumbling: {} }}", written(size_ms)));
        }
    }
    let workers = (2..=load.partitions).find(|workers| {
        let share = share / *workers as f64;
        State::of(&config.pipeline, &window, load, share, 1).bytes <= allowed
    });
    if let Some(workers) = workers {
        ways.push(format!("{workers} workers with this budget each, all of them running"));
    }
    ways
}

/// The largest length below `now_ms` that will do, rounded down to one that people write.
fn largest(least_ms: i64, now_ms: i64, fits: impl Fn(i64) -> bool) -> Option<i64> {
    if now_ms <= least_ms || !fits(least_ms) {
        return None;
    }
    let (mut low, mut high) = (least_ms, now_ms);
    while low + 1 < high {
        let middle = low.midpoint(high);
        *if fits(middle) { &mut low } else { &mut high } = middle;
    }
    let unit = [86_400_000, 3_600_000, 60_000, 1000, 1].into_iter().find(|unit| low >= 10 * unit).unwrap_or(1);
    Some(low / unit * unit)
}

fn written(ms: i64) -> String {
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    let (unit, length) = units.into_iter().find(|(_, length)| ms != 0 && ms % length == 0).unwrap_or(("s", 1000));
    format!("{}{unit}", ms / length)
}
