//! The open windows of one task, as panes ordered by start, and their closing in order of window end.
//!
//! A pane lives until the last window that holds it has closed. Windows close one end at a time, in order, as soon as
//! the watermark allows and before the next record is merged: a pane shared with a closed window may still take
//! records for the others.

mod look;

use super::bounds::Bounds;
use super::keys::Keys;
use super::table::{Fill, Source, Table};
use crate::aggregate::{At, Layout};
use crate::decode::Value;
use crate::pool::{Full, Hot, Need};
use std::collections::VecDeque;

/// So many empty tables are kept.
const SPARE_MAX: usize = 64;

/// Open panes in order of start.
#[derive(Debug, Default)]
pub struct Panes {
    panes: VecDeque<Pane>,
    /// Where the last record went: the next one mostly goes there too.
    last: usize,
    /// End of the next window to close; `i64::MAX` if nothing is open.
    next_end_ms: Option<i64>,
    /// What the last closed pane held: what the next one will probably need.
    pane_fill: Fill,
    /// The same of the last closed window, where windows have several panes.
    window_fill: Fill,
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
    /// What stands for a key.
    pub keys: Keys,
    /// Where rows and indexes live.
    pub hot: Hot,
    spare: Vec<Table>,
}

impl PaneContext {
    /// A context without spare tables.
    pub fn new(bounds: Bounds, layout: Layout, keys: Keys, hot: Hot) -> Self {
        Self { bounds, layout, keys, hot, spare: Vec::new() }
    }

    /// Gives the memory of a table back.
    pub fn release(&mut self, mut table: Table) {
        table.release(&mut self.hot);
        // What is left is the lists of its pages: a little, and the next table fills them again.
        if self.spare.len() < SPARE_MAX {
            self.spare.push(table);
        }
    }

    fn acquire(&mut self, need: Need, fill: Fill) -> Result<Table, Full> {
        let mut table = self.spare.pop().unwrap_or_default();
        let mut source = Source { hot: &mut self.hot, need };
        // What is expected is a guess: where there is no room for it, a small beginning may do.
        let prepared = table.prepare(&mut source, &self.keys, fill);
        match prepared.or_else(|_| table.prepare(&mut source, &self.keys, Fill::default())) {
            Ok(()) => Ok(table),
            Err(full) => {
                self.release(table);
                Err(full)
            }
        }
    }
}

impl Panes {
    /// Adds a record to the pane of its event time; `code` is what [`Keys`] says of its key.
    ///
    /// # Errors
    /// There is no memory for it; nothing has changed.
    pub fn add<'v>(
        &mut self,
        context: &mut PaneContext,
        watermark_ms: Option<i64>,
        (code, key): (u32, &[u8]),
        at: At,
        value: impl Fn(usize) -> Value<'v>,
    ) -> Result<(), Full> {
        let start_ms = context.bounds.pane_start(at.time_ms);
        if self.panes.get(self.last).is_none_or(|pane| pane.start_ms != start_ms) {
            self.last = self.panes.partition_point(|pane| pane.start_ms < start_ms);
        }
        match self.panes.get_mut(self.last) {
            Some(pane) if pane.start_ms == start_ms => {
                let mut source = Source { hot: &mut context.hot, need: Need::Merge };
                pane.table.add(&mut source, &context.layout, code, key, at, value)
            }
            _ => {
                let mut table = context.acquire(Need::Merge, self.pane_fill)?;
                let mut source = Source { hot: &mut context.hot, need: Need::Merge };
                if let Err(full) = table.add(&mut source, &context.layout, code, key, at, value) {
                    context.release(table);
                    return Err(full);
                }
                self.panes.insert(self.last, Pane { start_ms, first_offset: at.offset, table });
                let bounds = context.bounds;
                self.find_next_end(&bounds, watermark_ms);
                Ok(())
            }
        }
    }

    /// Brings nearer what finds the row of a key, if its record goes where the last one went.
    #[inline]
    pub fn prefetch_place(&self, code: u32) {
        if let Some(pane) = self.panes.get(self.last) {
            pane.table.prefetch_place(code);
        }
    }

    /// Brings that row nearer, once [`Self::prefetch_place`] has done its work.
    #[inline]
    pub fn prefetch_row(&self, code: u32) {
        if let Some(pane) = self.panes.get(self.last) {
            pane.table.prefetch_row(code);
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

    /// Rows of all open panes.
    pub fn rows(&self) -> usize {
        self.panes.iter().map(|pane| pane.table.len()).sum()
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
    /// is due. A tumbling window's pane is handed on as it is; panes of a hopping window are merged.
    ///
    /// # Errors
    /// There is no memory to merge its panes; nothing has changed.
    pub fn close_next(&mut self, context: &mut PaneContext) -> Result<Option<(i64, Table)>, Full> {
        let Some(end_ms) = self.next_end_ms else { return Ok(None) };
        let bounds = context.bounds;
        let table = if bounds.is_tumbling() {
            let Some(pane) = self.panes.pop_front() else { return Ok(None) };
            self.pane_fill = pane.table.fill();
            pane.table
        } else {
            let table = self.merged(context, end_ms)?;
            self.window_fill = table.fill();
            while self.panes.front().is_some_and(|pane| bounds.last_end(pane.start_ms) <= end_ms) {
                if let Some(pane) = self.panes.pop_front() {
                    self.pane_fill = pane.table.fill();
                    context.release(pane.table);
                }
            }
            table
        };
        self.last = usize::MAX;
        // As if the watermark stood exactly where this window closed: later ends are still open.
        self.find_next_end(&bounds, Some(end_ms + bounds.grace_ms()));
        Ok(Some((end_ms, table)))
    }

    /// The rows of the window that ends at `end_ms`, merged by ascending start of its panes.
    fn merged(&self, context: &mut PaneContext, end_ms: i64) -> Result<Table, Full> {
        let mut table = context.acquire(Need::Finish, self.window_fill)?;
        let mut source = Source { hot: &mut context.hot, need: Need::Finish };
        for pane in self.panes.iter().take_while(|pane| pane.start_ms < end_ms) {
            if let Err(full) = table.merge(&mut source, &context.layout, &pane.table) {
                context.release(table);
                return Err(full);
            }
        }
        Ok(table)
    }

    /// Drops everything, for a task that goes away.
    pub fn release_all(&mut self, context: &mut PaneContext) {
        for pane in self.panes.drain(..) {
            context.release(pane.table);
        }
        self.next_end_ms = None;
    }

    fn find_next_end(&mut self, bounds: &Bounds, watermark_ms: Option<i64>) {
        self.next_end_ms = self.panes.front().map(|pane| bounds.first_open_end(watermark_ms, pane.start_ms));
    }
}
