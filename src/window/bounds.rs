//! Assignment of event times to windows, and the one test of whether a window is closed.
//!
//! Windows are half-open, `[start, end)`; starts are `every` apart; each window is made of panes of
//! `gcd(size, every)`, so that one update serves all windows of a record (panes: Li et al., SIGMOD Record 2005).

use crate::config::Window;

/// The arithmetic of one configuration's windows; all values in milliseconds of event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    size_ms: i64,
    every_ms: i64,
    offset_ms: i64,
    grace_ms: i64,
    pane_ms: i64,
}

/// True if a window that ends at `end_ms` is closed: the one test for both "emit it" and "the record is late".
///
/// No watermark, no closed window.
#[inline]
pub fn is_closed(watermark_ms: Option<i64>, end_ms: i64, grace_ms: i64) -> bool {
    watermark_ms.is_some_and(|watermark_ms| watermark_ms >= end_ms + grace_ms)
}

impl Bounds {
    /// The arithmetic for a checked configuration (`0 < every ≤ size`).
    pub fn new(window: &Window) -> Self {
        Self {
            size_ms: window.size_ms,
            every_ms: window.every_ms,
            offset_ms: window.offset_ms,
            grace_ms: window.grace_ms,
            pane_ms: window.pane_ms(),
        }
    }

    /// Length of a window.
    pub fn size_ms(&self) -> i64 {
        self.size_ms
    }

    /// Distance of two starts.
    pub fn every_ms(&self) -> i64 {
        self.every_ms
    }

    /// True if the window that ends at `end_ms` holds the pane.
    pub fn holds(&self, end_ms: i64, pane_start_ms: i64) -> bool {
        (end_ms - self.size_ms..end_ms).contains(&pane_start_ms)
    }

    /// How long after its end a window still takes records.
    pub fn grace_ms(&self) -> i64 {
        self.grace_ms
    }

    /// True if a window is exactly one pane.
    pub fn is_tumbling(&self) -> bool {
        self.size_ms == self.pane_ms
    }

    /// Start of the pane that holds `time_ms`.
    #[inline]
    pub fn pane_start(&self, time_ms: i64) -> i64 {
        floor_to(time_ms, self.pane_ms, self.offset_ms)
    }

    /// End of the first window that holds a pane (or any time inside it).
    #[inline]
    pub fn first_end(&self, pane_start_ms: i64) -> i64 {
        floor_to(pane_start_ms - self.size_ms, self.every_ms, self.offset_ms) + self.every_ms + self.size_ms
    }

    /// End of the last window that holds a pane.
    #[inline]
    pub fn last_end(&self, pane_start_ms: i64) -> i64 {
        floor_to(pane_start_ms, self.every_ms, self.offset_ms) + self.size_ms
    }

    /// [`is_closed`] with this configuration's grace.
    #[inline]
    pub fn is_closed(&self, watermark_ms: Option<i64>, end_ms: i64) -> bool {
        is_closed(watermark_ms, end_ms, self.grace_ms)
    }

    /// The earliest window end that is still open and whose window holds the pane; the pane's last window is open.
    pub fn first_open_end(&self, watermark_ms: Option<i64>, pane_start_ms: i64) -> i64 {
        let first_ms = self.first_end(pane_start_ms);
        match watermark_ms {
            Some(watermark_ms) if self.is_closed(Some(watermark_ms), first_ms) => {
                let shift_ms = self.offset_ms + self.size_ms;
                floor_to(watermark_ms - self.grace_ms, self.every_ms, shift_ms) + self.every_ms
            }
            _ => first_ms,
        }
    }
}

/// Largest multiple of `step_ms` plus `offset_ms` that is at most `time_ms`; rounds towards minus infinity.
#[inline]
fn floor_to(time_ms: i64, step_ms: i64, offset_ms: i64) -> i64 {
    time_ms - (time_ms - offset_ms).rem_euclid(step_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Idle;

    fn bounds(size_ms: i64, every_ms: i64, offset_ms: i64) -> Bounds {
        Bounds::new(&Window { size_ms, every_ms, offset_ms, grace_ms: 5, idle: Idle::Off })
    }

    /// Ends of all windows that hold `time_ms`, by trying every start.
    fn ends_by_trying(bounds: &Bounds, time_ms: i64) -> Vec<i64> {
        (time_ms - 2 * bounds.size_ms..=time_ms)
            .filter(|start| (start - bounds.offset_ms).rem_euclid(bounds.every_ms) == 0)
            .filter(|start| *start <= time_ms && time_ms < start + bounds.size_ms)
            .map(|start| start + bounds.size_ms)
            .collect()
    }

    #[test]
    fn first_and_last_end_are_those_of_the_definition() {
        for (size, every) in [(10, 10), (10, 3), (10, 4), (10, 5), (7, 1), (1, 1)] {
            for offset in [-13, -1, 0, 2, 25] {
                let bounds = bounds(size, every, offset);
                for time in -50..50 {
                    let ends = ends_by_trying(&bounds, time);
                    let pane = bounds.pane_start(time);
                    assert_eq!(bounds.first_end(pane), ends[0], "size {size} every {every} offset {offset} t {time}");
                    assert_eq!(bounds.last_end(pane), ends[ends.len() - 1]);
                }
            }
        }
    }

    #[test]
    fn the_first_open_end_is_the_first_that_is_not_closed() {
        for (size, every) in [(10, 10), (10, 3), (10, 4), (7, 1)] {
            for offset in [-13, 0, 2] {
                let bounds = bounds(size, every, offset);
                for time in -30..30 {
                    let pane = bounds.pane_start(time);
                    for watermark in -60..60 {
                        let ends = ends_by_trying(&bounds, time);
                        let open = ends.into_iter().find(|end| !bounds.is_closed(Some(watermark), *end));
                        if let Some(open) = open {
                            assert_eq!(bounds.first_open_end(Some(watermark), pane), open);
                        }
                    }
                    assert_eq!(bounds.first_open_end(None, pane), bounds.first_end(pane));
                }
            }
        }
    }

    #[test]
    fn a_window_is_closed_when_the_watermark_reaches_its_end_plus_grace() {
        let table = [(None, false), (Some(14), false), (Some(15), true), (Some(16), true)];
        for (watermark, closed) in table {
            assert_eq!(is_closed(watermark, 10, 5), closed, "{watermark:?}");
        }
    }
}
