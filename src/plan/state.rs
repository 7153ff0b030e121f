//! Bytes of the windows that are open at once, at their fullest: the moment before one closes.
//!
//! The arithmetic follows `window::panes`: panes live until their last window has closed, a closed window until its
//! commit.

use super::load::{Load, MeanMax, Stretch};
use crate::aggregate::Layout;
use crate::config::{AggregateKind, Pipeline, Window};
use crate::pool::Arena;
use crate::window::table;

/// Windows and what they hold, all partitions together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct State {
    /// Rows of one window that is full.
    pub window_rows: MeanMax,
    /// Bytes of one window that is full, the largest.
    pub window_bytes: f64,
    /// Partitions that they are of.
    pub partitions: f64,
    /// Windows open at once.
    pub open: u64,
    /// Panes that they are made of.
    pub panes: u64,
    /// Rows in them.
    pub rows: f64,
    /// Bytes of them, and of the window that waits for its commit.
    pub bytes: f64,
}

/// What decides the bytes of a table.
#[derive(Clone, Debug)]
struct Rows {
    layout: Layout,
    key_bytes: usize,
    text_bytes: f64,
    declared: Option<usize>,
}

impl State {
    /// The state that a share of a load makes of a pipeline's windows; `window` may be another than the pipeline's own.
    pub(super) fn of(pipeline: &Pipeline, window: &Window, load: &Load, share: f64, commit_ms: i64) -> Self {
        let table = Rows::of(pipeline, load);
        let (size_ms, every_ms, pane_ms) = (window.size_ms, window.every_ms, window.pane_ms());
        let open = windows_open(window);
        let (is_tumbling, declared) = (size_ms == pane_ms, pipeline.keys.as_ref().map(|keys| keys.len() as f64));
        let rows_in = |is_window: bool, whole_ms: i64, filled_ms: i64| {
            let rows = capped(load.rows(Stretch { is_window, whole_ms, filled_ms }), declared);
            MeanMax { mean: rows.mean * share, max: rows.max * share }
        };
        let partitions = (load.partitions as f64 * share).round().max(1.0);
        let bytes = |rows: f64| partitions * table.bytes(rows / partitions);
        let window_rows = rows_in(true, size_ms, size_ms);
        let pane_rows = rows_in(is_tumbling, pane_ms, pane_ms);
        let per_step = every_ms / pane_ms;
        let whole = (size_ms + window.grace_ms) / every_ms * per_step;
        // Full panes are alike but for one, which may be the largest; the newest are filled as far as time has come.
        let (mut rows, mut sum) = (0.0, 0.0);
        if whole > 0 {
            rows = pane_rows.mean * (whole - 1) as f64 + pane_rows.max;
            sum = bytes(pane_rows.mean) * (whole - 1) as f64 + bytes(pane_rows.max);
        }
        let mut left_ms = (size_ms + window.grace_ms) % every_ms;
        let mut panes = whole;
        while left_ms > 0 {
            let filled = rows_in(is_tumbling, pane_ms, left_ms.min(pane_ms)).mean;
            rows += filled;
            sum += bytes(filled);
            left_ms -= pane_ms;
            panes += 1;
        }
        // While the closed window waits for its commit, the next pane begins; a hopping one is a copy of its panes.
        let next_ms = commit_ms.clamp(1, pane_ms);
        let next = rows_in(is_tumbling, pane_ms, next_ms).mean;
        sum += bytes(next);
        let window_bytes = bytes(window_rows.max);
        if !is_tumbling {
            sum += window_bytes;
        }
        Self { window_rows, window_bytes, partitions, open, panes: panes.unsigned_abs(), rows, bytes: sum }
    }
}

impl Rows {
    fn of(pipeline: &Pipeline, load: &Load) -> Self {
        let picks = pipeline.aggregates.iter();
        let picks = picks.filter(|aggregate| matches!(aggregate.kind, AggregateKind::First | AggregateKind::Last));
        Self {
            layout: Layout::new(&pipeline.aggregates),
            key_bytes: load.key_bytes.ceil() as usize,
            text_bytes: picks.count() as f64 * load.text_bytes,
            declared: pipeline.keys.as_ref().map(|keys| keys.len()),
        }
    }

    /// Bytes of one partition's table with so many of them.
    fn bytes(&self, rows: f64) -> f64 {
        let texts = Arena::bytes_for((rows * self.text_bytes) as usize);
        let rows = rows.ceil() as usize;
        if rows == 0 {
            0.0
        } else {
            (table::bytes_for(&self.layout, rows, self.key_bytes, self.declared) + texts) as f64
        }
    }
}

/// Windows that are open just before one closes.
pub(super) fn windows_open(window: &Window) -> u64 {
    let span_ms = window.size_ms.saturating_add(window.grace_ms);
    (span_ms / window.every_ms + i64::from(span_ms % window.every_ms != 0)).unsigned_abs()
}

/// Declared keys are all that there can be.
fn capped(rows: MeanMax, declared: Option<f64>) -> MeanMax {
    let cap = declared.unwrap_or(f64::INFINITY);
    MeanMax { mean: rows.mean.min(cap), max: rows.max.min(cap) }
}
