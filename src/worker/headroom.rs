//! How long the records that are still needed are safe from retention.
//!
//! Keeps a few marks (an offset and its Kafka timestamp) for each partition, so that the time of the oldest record that
//! is needed is known, from below, without asking anybody.

use std::collections::VecDeque;

/// Marks of one partition; beyond it every second one is forgotten.
const MARKS_MAX: usize = 64;

/// Offsets and when their records were written.
#[derive(Clone, Debug, Default)]
pub(super) struct Trail {
    marks: VecDeque<(i64, i64)>,
}

impl Trail {
    /// Of a task whose reading began at this offset, with a record of this Kafka timestamp.
    pub(super) fn new(began_at: i64, timestamp_ms: i64) -> Self {
        Self { marks: VecDeque::from([(began_at, timestamp_ms)]) }
    }

    /// The record before `position` has this Kafka timestamp.
    pub(super) fn mark(&mut self, position: i64, timestamp_ms: i64) {
        if self.marks.back().is_some_and(|(last, _)| *last >= position) {
            return;
        }
        if self.marks.len() == MARKS_MAX {
            let mut odd = false;
            self.marks.retain(|_| {
                odd = !odd;
                odd
            });
        }
        self.marks.push_back((position, timestamp_ms));
    }

    /// When the record at `offset` was written, or one shortly before it; `None` while nothing was read.
    pub(super) fn written_ms(&mut self, offset: i64) -> Option<i64> {
        while self.marks.get(1).is_some_and(|(next, _)| *next <= offset) {
            self.marks.pop_front();
        }
        self.marks.front().map(|(_, timestamp_ms)| *timestamp_ms)
    }
}

/// How long until retention may delete the oldest record that is needed; all of it while none is.
pub(super) fn headroom_ms(retention_ms: i64, needed_since_ms: Option<i64>, now_ms: i64) -> i64 {
    needed_since_ms.map_or(retention_ms, |written_ms| written_ms.saturating_add(retention_ms).saturating_sub(now_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_needed_record_is_that_of_the_last_mark_before_it() {
        assert_eq!(Trail::default().written_ms(0), None);
        let mut trail = Trail::new(3, 1003);
        assert_eq!(trail.written_ms(3), Some(1003));
        for position in (10..=2000).step_by(10) {
            trail.mark(position, 1000 + position);
        }
        assert!(trail.marks.len() <= MARKS_MAX);
        for needed in [500, 505, 1999, 2000, 5000] {
            let written_ms = trail.written_ms(needed).unwrap();
            assert!(
                written_ms <= 1000 + needed && written_ms >= 1000 + needed.min(2000) - 200,
                "{needed} {written_ms}"
            );
        }
    }

    #[test]
    fn headroom_is_what_is_left_of_the_retention() {
        assert_eq!(headroom_ms(1000, None, 5000), 1000);
        assert_eq!(headroom_ms(1000, Some(4500), 5000), 500);
        assert_eq!(headroom_ms(1000, Some(3500), 5000), -500);
    }
}
