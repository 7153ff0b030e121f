//! What every system must write: computed beside the loader, from the records themselves.
//!
//! Cells are panes of one slide of the window; a window is the sum of its panes.

use crate::measure::{FROM, Facts, Judge, Mark};
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
    event_rate: u64,
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
        let (keys, event_rate) = (shape.keys as usize, shape.event_rate);
        Self { windows, keys, event_rate, panes: Vec::new(), closed: closed as usize }
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

    /// Different keys in a window, on average.
    pub(crate) fn keys_per_window(&self) -> u64 {
        self.results(self.closed.saturating_sub(1)) / self.closed.max(1) as u64
    }

    /// Where all windows up to and including number `window` are due: window 0 ends with the first pane.
    fn mark(&self, window: usize) -> Mark {
        Mark { records: self.records_until(window), results: self.results(window) }
    }

    fn results(&self, window: usize) -> u64 {
        let count = |number| (0..self.keys).filter(|key| self.cell(number, *key).count > 0).count() as u64;
        (0..=window).map(count).sum()
    }

    /// How many records it takes until window number `window` is due.
    fn records_until(&self, window: usize) -> u64 {
        let due_ms = (window as i64 + 1) * self.windows.every_ms + self.windows.grace_ms;
        due_ms as u64 * self.event_rate / 1000
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
}

impl Facts for Expected {
    fn marks(&self) -> anyhow::Result<[Mark; 2]> {
        ensure!(self.closed >= 2, "the input spans too little event time: two windows must close");
        let last = self.closed - 1;
        let first = ((FROM * last as f64) as usize).min(last - 1);
        Ok([self.mark(first), self.mark(last)])
    }

    fn judge(&self, twice_is_fine: bool) -> Box<dyn Judge + '_> {
        let seen = vec![false; self.closed * self.keys];
        Box::new(Check { expected: self, twice_is_fine, seen, results: 0 })
    }
}

/// The results of one system against the expected ones.
struct Check<'a> {
    expected: &'a Expected,
    twice_is_fine: bool,
    seen: Vec<bool>,
    results: u64,
}

impl Judge for Check<'_> {
    /// Windows that need not have closed are passed over.
    fn add(&mut self, value: &[u8]) -> anyhow::Result<()> {
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
        match (*seen, self.twice_is_fine) {
            (true, false) => bail!("twice: {}", shown()),
            (true, true) => {}
            (false, _) => self.results += 1,
        }
        *seen = true;
        Ok(())
    }

    fn results(&self) -> u64 {
        self.results
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(windows: Windows) -> Expected {
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
        expected
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
        let expected = expected(TUMBLING);
        let mark = |records, results| Mark { records, results };
        assert_eq!(expected.marks().unwrap(), [mark(12_000, 10), mark(42_000, 40)]);
        let (mut check, mut lenient) = (expected.judge(false), expected.judge(true));
        let right = row(&expected, 1, 7);
        check.add(right.as_bytes()).unwrap();
        assert!(check.add(right.as_bytes()).unwrap_err().to_string().contains("twice"));
        lenient.add(right.as_bytes()).unwrap();
        lenient.add(right.as_bytes()).unwrap();
        let wrong = right.replace("\"count\":", "\"count\":1");
        assert!(lenient.add(wrong.as_bytes()).unwrap_err().to_string().contains("wrong"));
        assert!(lenient.add(b"{}").is_err());
        assert_eq!((check.results(), lenient.results()), (1, 1));
    }

    #[test]
    fn hopping_windows_are_sums_of_panes() {
        let hopping = Windows { size_ms: 10_000, every_ms: 1_000, grace_ms: 2_000 };
        let (hops, tumbles) = (expected(hopping), expected(TUMBLING));
        assert_eq!(hops.cell(9, 3), tumbles.cell(0, 3));
        assert_eq!(hops.cell(19, 3), tumbles.cell(1, 3));
        assert_eq!(hops.cell(0, 3), hops.panes[0][3]);
    }
}
