//! What every system must write: computed beside the loader, from the records themselves.
//!
//! Cells are panes of one slide of the window; a window is the sum of its panes.

use crate::shape::{Event, FIRST_MS, Shape, read_key};
use anyhow::{Context, bail, ensure};
use serde::Deserialize;

/// The windows of an experiment; tumbling if `every_ms` is `size_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Windows {
    pub(crate) size_ms: i64,
    pub(crate) every_ms: i64,
    pub(crate) grace_ms: i64,
}

/// Tumbling windows of 10 s with a grace of 2 s.
pub(crate) const TUMBLING: Windows = Windows { size_ms: 10_000, every_ms: 10_000, grace_ms: 2_000 };

/// The end of the input proves nothing: partitions reach it at different event times.
const TAIL_MS: i64 = 1_000;

/// Count, sum, min and max; amounts in quarters, so that all of it is exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    count: u32,
    min: u32,
    max: u32,
    sum: u64,
}

const EMPTY: Cell = Cell { count: 0, min: u32::MAX, max: 0, sum: 0 };

/// All results that the input calls for.
pub(crate) struct Expected {
    windows: Windows,
    keys: usize,
    panes: Vec<Vec<Cell>>,
    /// Windows that close in every partition and system.
    closed: usize,
}

/// A result as read back; other members are not looked at.
#[derive(Deserialize)]
struct Row<'a> {
    key: &'a str,
    window_start: i64,
    window_end: i64,
    count: u32,
    sum: f64,
    min: f64,
    max: f64,
}

impl Expected {
    /// Nothing yet.
    pub(crate) fn new(shape: &Shape, windows: Windows) -> Self {
        let closed = (shape.span_ms() - TAIL_MS - windows.grace_ms).max(0) / windows.every_ms;
        Self { windows, keys: shape.keys as usize, panes: Vec::new(), closed: closed as usize }
    }

    /// Takes a record into account.
    pub(crate) fn add(&mut self, event: &Event) {
        let pane = ((event.time_ms - FIRST_MS) / self.windows.every_ms) as usize;
        if self.panes.len() <= pane {
            self.panes.resize_with(pane + 1, || vec![EMPTY; self.keys]);
        }
        let cell = &mut self.panes[pane][event.key as usize];
        cell.count += 1;
        cell.min = cell.min.min(event.amount);
        cell.max = cell.max.max(event.amount);
        cell.sum += u64::from(event.amount);
    }

    /// Windows that must be complete, numbered by their ends: window 0 ends with the first pane.
    pub(crate) fn closed(&self) -> usize {
        self.closed
    }

    /// Results of the windows up to and including number `window`.
    pub(crate) fn results(&self, window: usize) -> u64 {
        let count = |number| (0..self.keys).filter(|key| self.cell(number, *key).count > 0).count() as u64;
        (0..=window).map(count).sum()
    }

    /// How many records it takes until window number `window` is due.
    pub(crate) fn records_until(&self, shape: &Shape, window: usize) -> u64 {
        let due_ms = (window as i64 + 1) * self.windows.every_ms + self.windows.grace_ms;
        due_ms as u64 * shape.event_rate / 1000
    }

    fn cell(&self, window: usize, key: usize) -> Cell {
        let first = (window + 1).saturating_sub((self.windows.size_ms / self.windows.every_ms) as usize);
        let panes = self.panes.get(first..=window).unwrap_or_default();
        panes.iter().fold(EMPTY, |sum, pane| Cell {
            count: sum.count + pane[key].count,
            min: sum.min.min(pane[key].min),
            max: sum.max.max(pane[key].max),
            sum: sum.sum + pane[key].sum,
        })
    }

    /// Judges what a system wrote.
    pub(crate) fn check(&self) -> Check<'_> {
        Check { expected: self, seen: vec![false; self.closed * self.keys], results: 0 }
    }
}

/// The results of one system against the expected ones.
pub(crate) struct Check<'a> {
    expected: &'a Expected,
    seen: Vec<bool>,
    results: u64,
}

impl Check<'_> {
    /// Looks at one result. Windows that need not have closed are passed over.
    ///
    /// # Errors
    /// It is a second one of its key and window, or differs from what the records say.
    pub(crate) fn add(&mut self, value: &[u8], twice_is_fine: bool) -> anyhow::Result<()> {
        let shown = || String::from_utf8_lossy(value).into_owned();
        let row: Row<'_> = serde_json::from_slice(value).with_context(|| format!("not a result: {}", shown()))?;
        let Windows { size_ms, every_ms, .. } = self.expected.windows;
        let window = (row.window_end - FIRST_MS) / every_ms - 1;
        let key = read_key(row.key).filter(|key| (*key as usize) < self.expected.keys);
        let key = key.with_context(|| format!("no key of ours: {}", shown()))? as usize;
        ensure!(row.window_end - row.window_start == size_ms && window >= 0, "no window of ours: {}", shown());
        let window = window as usize;
        if window >= self.expected.closed {
            return Ok(());
        }
        let cell = self.expected.cell(window, key);
        let is = (row.count, row.sum * 4.0, row.min * 4.0, row.max * 4.0);
        let should = (cell.count, cell.sum as f64, f64::from(cell.min), f64::from(cell.max));
        ensure!(is == should, "wrong: {} instead of {should:?} (amounts in quarters)", shown());
        let seen = &mut self.seen[window * self.expected.keys + key];
        match (*seen, twice_is_fine) {
            (true, false) => bail!("twice: {}", shown()),
            (true, true) => {}
            (false, _) => self.results += 1,
        }
        *seen = true;
        Ok(())
    }

    /// How many expected results have been seen.
    pub(crate) fn results(&self) -> u64 {
        self.results
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(windows: Windows) -> (Expected, Shape) {
        let shape = Shape {
            records: 45_000,
            keys: 10,
            zipf: false,
            value_bytes: 200,
            partitions: 4,
            codec: "none".into(),
            event_rate: 1_000,
        };
        let mut expected = Expected::new(&shape, windows);
        shape.events().for_each(|event| expected.add(&event));
        (expected, shape)
    }

    fn row(expected: &Expected, window: usize, key: usize) -> String {
        let cell = expected.cell(window, key);
        let end = FIRST_MS + (window as i64 + 1) * expected.windows.every_ms;
        let [sum, min, max] = [cell.sum, cell.min.into(), cell.max.into()].map(|quarters| quarters as f64 / 4.0);
        format!(
            r#"{{"key":"k{key:010}","window_start":{},"window_end":{end},"count":{},"sum":{sum},"min":{min},"max":{max}}}"#,
            end - expected.windows.size_ms,
            cell.count
        )
    }

    #[test]
    fn a_result_is_right_once_and_only_as_it_is() {
        let (expected, shape) = expected(TUMBLING);
        assert_eq!((expected.closed(), expected.results(3)), (4, 40));
        assert_eq!(expected.records_until(&shape, 0), 12_000);
        let mut check = expected.check();
        let right = row(&expected, 1, 7);
        check.add(right.as_bytes(), false).unwrap();
        assert!(check.add(right.as_bytes(), false).unwrap_err().to_string().contains("twice"));
        check.add(right.as_bytes(), true).unwrap();
        let wrong = right.replace("\"count\":", "\"count\":1");
        assert!(check.add(wrong.as_bytes(), true).unwrap_err().to_string().contains("wrong"));
        assert!(check.add(b"{}", true).is_err());
        assert_eq!(check.results(), 1);
    }

    #[test]
    fn hopping_windows_are_sums_of_panes() {
        let hopping = Windows { size_ms: 10_000, every_ms: 1_000, grace_ms: 2_000 };
        let ((hops, _), (tumbles, _)) = (expected(hopping), expected(TUMBLING));
        assert_eq!(hops.cell(9, 3), tumbles.cell(0, 3));
        assert_eq!(hops.cell(19, 3), tumbles.cell(1, 3));
        assert_eq!(hops.cell(0, 3), hops.panes[0][3]);
    }
}
