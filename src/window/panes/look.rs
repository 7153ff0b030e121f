//! Looking at open windows without changing them: what a key has in each, and how full they are.

use super::{PaneContext, Panes};
use crate::aggregate::Layout;
use crate::pool::{Full, Need};
use crate::window::bounds::Bounds;
use crate::window::table::{Fill, Row, Source};

impl Panes {
    /// Ends of the windows that are open, and how many rows their panes have.
    pub fn open(&self, context: &PaneContext) -> impl Iterator<Item = (i64, usize)> {
        let bounds = context.bounds;
        self.ends(context).map(move |end_ms| {
            let panes = self.panes.iter().filter(|pane| bounds.holds(end_ms, pane.start_ms));
            (end_ms, panes.map(|pane| pane.table.len()).sum())
        })
    }

    /// Number of open windows that end at `until_ms` at the latest; one that nothing has come for is not open.
    pub fn open_until(&self, bounds: &Bounds, until_ms: i64) -> u64 {
        let (mut from_ms, mut windows) = (self.next_end_ms().unwrap_or(i64::MAX), 0);
        for pane in &self.panes {
            let first_ms = bounds.first_end(pane.start_ms).max(from_ms);
            let last_ms = bounds.last_end(pane.start_ms).min(until_ms);
            if first_ms <= last_ms {
                windows += last_ms.abs_diff(first_ms) / bounds.every_ms().unsigned_abs() + 1;
                from_ms = bounds.last_end(pane.start_ms) + bounds.every_ms();
            }
        }
        windows
    }

    /// Calls `each` with every open window that holds the key, and its row as it is now.
    ///
    /// # Errors
    /// There is no memory to merge the panes of a window.
    pub fn look(
        &self,
        context: &mut PaneContext,
        key: &[u8],
        mut each: impl FnMut(i64, &Layout, &Row<'_>),
    ) -> Result<(), Full> {
        let bounds = context.bounds;
        let Some(code) = context.keys.code(key) else { return Ok(()) };
        for end_ms in self.ends(context) {
            let mut table = context.acquire(Need::Merge, Fill::default())?;
            let PaneContext { layout, hot, .. } = &mut *context;
            let panes = self.panes.iter().filter(|pane| bounds.holds(end_ms, pane.start_ms));
            let mut rows = panes.filter_map(|pane| pane.table.find(layout, code, key));
            let merged = rows.try_for_each(|row| table.merge_row(&mut Source { hot, need: Need::Merge }, layout, &row));
            if let (Ok(()), Some(row)) = (merged, table.find(layout, code, key)) {
                each(end_ms, layout, &row);
            }
            context.release(table);
            merged?;
        }
        Ok(())
    }

    fn ends(&self, context: &PaneContext) -> impl Iterator<Item = i64> + use<> {
        let bounds = context.bounds;
        let every = bounds.every_ms().unsigned_abs() as usize;
        let ends = self.next_end_ms().zip(self.last_end_ms(&bounds)).map(|(first, last)| (first..=last).step_by(every));
        ends.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use crate::aggregate::{At, Layout};
    use crate::config::{Aggregate, AggregateKind, Idle, Window};
    use crate::decode::Value;
    use crate::pool::{Limits, Pool};
    use crate::window::bounds::Bounds;
    use crate::window::keys::Keys;
    use crate::window::panes::{PaneContext, Panes};

    /// Counts of a key in all windows, by looking and then by closing them; what is open is counted on the way.
    fn seen_and_closed(size_ms: i64, every_ms: i64) -> [Vec<(i64, u64)>; 2] {
        let bounds = Bounds::new(&Window { size_ms, every_ms, offset_ms: 0, grace_ms: 0, idle: Idle::Off });
        let layout = Layout::new(&[Aggregate { name: "n".into(), kind: AggregateKind::Count, path: None }]);
        let pool = Pool::new(Limits::UNBOUNDED);
        let mut context = PaneContext::new(bounds, layout, Keys::new(3, None), pool.hot());
        let mut panes = Panes::default();
        for (offset, time_ms) in [3, 5, 8, 8, 14, 31].into_iter().enumerate() {
            for (key, time_ms) in [(&b"k"[..], time_ms), (b"other", 22)] {
                let at = At { time_ms, offset: offset as i64 };
                let code = context.keys.code(key).unwrap();
                panes.add(&mut context, None, (code, key), at, |_| Value::Missing).unwrap();
            }
        }
        let before = panes.bytes();
        let mut seen = Vec::new();
        panes.look(&mut context, b"k", |end_ms, _, row| seen.push((end_ms, row.words[0]))).unwrap();
        assert!(panes.open(&context).count() >= seen.len() && panes.bytes() == before);
        let open: Vec<_> = (-5..50).map(|until_ms| (until_ms, panes.open_until(&bounds, until_ms))).collect();
        let (mut closed, mut ends) = (Vec::new(), Vec::new());
        while let Some((end_ms, table)) = panes.close_next(&mut context).unwrap() {
            ends.push(end_ms);
            assert_eq!(panes.open_until(&bounds, i64::MAX), panes.open_until(&bounds, 50));
            let rows = table.rows(&context.layout).filter(|row| row.key == b"k");
            closed.extend(rows.map(|row| (end_ms, row.words[0])));
            context.release(table);
        }
        for (until_ms, windows) in open {
            assert_eq!(windows, ends.iter().filter(|end_ms| **end_ms <= until_ms).count() as u64, "until {until_ms}");
        }
        assert_eq!(panes.open_until(&bounds, i64::MAX), 0);
        drop(context);
        assert_eq!(pool.all_home(), Ok(()));
        [seen, closed]
    }

    #[test]
    fn what_is_seen_of_a_key_is_what_its_windows_close_with() {
        for (size_ms, every_ms) in [(10, 10), (10, 5), (10, 3)] {
            let [seen, closed] = seen_and_closed(size_ms, every_ms);
            assert!(!seen.is_empty());
            assert_eq!(seen, closed, "size {size_ms} every {every_ms}");
        }
    }
}
