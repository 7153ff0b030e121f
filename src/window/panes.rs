//! The open windows of one task, as panes ordered by start, and their closing in order of window end.
//!
//! A pane lives until the last window that holds it has closed. Windows close one end at a time, in order, as soon as
//! the watermark allows and before the next record is merged: a pane shared with a closed window may still take
//! records for the others.

use super::bounds::Bounds;
use super::table::{KeyHasher, Table};
use crate::aggregate::{At, Layout};
use crate::decode::Value;
use crate::pool::Hot;
use std::collections::VecDeque;

/// Open panes in order of start.
#[derive(Debug, Default)]
pub struct Panes {
    panes: VecDeque<Pane>,
    /// Where the last record went: the next one mostly goes there too.
    last: usize,
    /// End of the next window to close; `i64::MAX` if nothing is open.
    next_end_ms: Option<i64>,
    /// Rows of the last closed window: what the next pane will probably need.
    rows_expected: usize,
}

#[derive(Debug)]
struct Pane {
    start_ms: i64,
    /// Lowest offset of a record in it.
    first_offset: i64,
    table: Table,
}

/// What is common to all panes of a lane: the arithmetic, the layout of rows, and tables to be used again.
#[derive(Debug)]
pub struct PaneContext {
    /// Assignment of times to windows.
    pub bounds: Bounds,
    /// Layout of rows.
    pub layout: Layout,
    /// Hash of keys.
    pub hasher: KeyHasher,
    /// Where rows and indexes live.
    pub hot: Hot,
    spare: Vec<Table>,
}

impl PaneContext {
    /// A context without spare tables.
    pub fn new(bounds: Bounds, layout: Layout, hasher: KeyHasher, hot: Hot) -> Self {
        Self { bounds, layout, hasher, hot, spare: Vec::new() }
    }

    /// Gives a table back to be used again.
    pub fn release(&mut self, mut table: Table) {
        table.clear();
        self.spare.push(table);
    }

    fn acquire(&mut self) -> Table {
        self.spare.pop().unwrap_or_default()
    }

    /// Bytes in spare tables.
    pub fn spare_bytes(&self) -> usize {
        self.spare.iter().map(Table::bytes).sum()
    }
}

impl Panes {
    /// Adds a record to the pane of its event time.
    pub fn add<'v>(
        &mut self,
        context: &mut PaneContext,
        watermark_ms: Option<i64>,
        key: &[u8],
        at: At,
        value: impl Fn(usize) -> Value<'v>,
    ) {
        let start_ms = context.bounds.pane_start(at.time_ms);
        if self.panes.get(self.last).is_none_or(|pane| pane.start_ms != start_ms) {
            self.last = self.find_or_insert(context, watermark_ms, start_ms, at.offset);
        }
        if let Some(pane) = self.panes.get_mut(self.last) {
            let hash = context.hasher.hash(key);
            pane.table.add(&context.layout, hash, key, at, value);
        }
    }

    /// End of the window that closes next; `None` if nothing is open.
    #[inline]
    pub fn next_end_ms(&self) -> Option<i64> {
        self.next_end_ms
    }

    /// End of the window that closes last.
    pub fn last_end_ms(&self, bounds: &Bounds) -> Option<i64> {
        self.panes.back().map(|pane| bounds.last_end(pane.start_ms))
    }

    /// Lowest offset of a record in a still open window.
    pub fn first_offset(&self) -> Option<i64> {
        self.panes.iter().map(|pane| pane.first_offset).min()
    }

    /// Number of open panes.
    pub fn len(&self) -> usize {
        self.panes.len()
    }

    /// True if no window is open.
    pub fn is_empty(&self) -> bool {
        self.panes.is_empty()
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.panes.iter().map(|pane| pane.table.bytes()).sum()
    }

    /// Closes the window that ends at [`Self::next_end_ms`] and returns its end and rows; the caller has seen that it
    /// is due.
    pub fn close_next(&mut self, context: &mut PaneContext) -> Option<(i64, Table)> {
        let end_ms = self.next_end_ms?;
        let bounds = context.bounds;
        let table = if bounds.is_tumbling() {
            self.panes.pop_front().map(|pane| pane.table)?
        } else {
            let mut table = context.acquire();
            table.reserve(self.rows_expected);
            for pane in self.panes.iter().take_while(|pane| pane.start_ms < end_ms) {
                table.merge(&context.layout, &pane.table);
            }
            while self.panes.front().is_some_and(|pane| bounds.last_end(pane.start_ms) <= end_ms) {
                if let Some(pane) = self.panes.pop_front() {
                    context.release(pane.table);
                }
            }
            table
        };
        self.last = usize::MAX;
        self.rows_expected = table.len();
        // As if the watermark stood exactly where this window closed: later ends are still open.
        self.find_next_end(&bounds, Some(end_ms + bounds.grace_ms()));
        Some((end_ms, table))
    }

    /// Drops everything, for a task that goes away.
    pub fn release_all(&mut self, context: &mut PaneContext) {
        for pane in self.panes.drain(..) {
            context.release(pane.table);
        }
        self.next_end_ms = None;
    }

    fn find_or_insert(
        &mut self,
        context: &mut PaneContext,
        watermark_ms: Option<i64>,
        start_ms: i64,
        offset: i64,
    ) -> usize {
        let at = self.panes.partition_point(|pane| pane.start_ms < start_ms);
        if self.panes.get(at).is_none_or(|pane| pane.start_ms != start_ms) {
            let mut table = context.acquire();
            table.reserve(self.rows_expected);
            self.panes.insert(at, Pane { start_ms, first_offset: offset, table });
            let bounds = context.bounds;
            self.find_next_end(&bounds, watermark_ms);
        }
        at
    }

    fn find_next_end(&mut self, bounds: &Bounds, watermark_ms: Option<i64>) {
        self.next_end_ms = self.panes.front().map(|pane| bounds.first_open_end(watermark_ms, pane.start_ms));
    }
}
