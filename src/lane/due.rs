//! When the next transaction is due. Begins none.

use super::Lane;
use crate::broker::Broker;
use crate::clock::Clock;
use crate::task::Task;
use std::time::Duration;

/// A window that has closed waits this part of `commit.interval` for those of the lane's other partitions: they mostly close
/// within a few milliseconds, and what misses a transaction has to wait for the next.
const GATHERING_SHARE: u32 = 10;

impl<B: Broker, C: Clock> Lane<B, C> {
    /// When the next transaction is due; `None` if nothing waits and positions are not due either.
    pub(super) fn tide_due_at(&self) -> Option<Duration> {
        let soonest = self.tide.not_before;
        let forced = self.closing || self.membership.is_revoking();
        let unpinned = || self.tasks().any(|task| task.committed.is_none());
        if forced || unpinned() {
            return Some(soonest);
        }
        if self.tasks().any(Task::is_waiting) {
            if self.pressure.hurries() {
                return Some(soonest);
            }
            let interval = self.config.commit.interval;
            return Some(soonest.max(self.tide.began + interval).max(self.gathered_at(interval / GATHERING_SHARE)));
        }
        Some(soonest.max(self.tide.positions_at))
    }

    /// When the windows that wait have waited long enough for others; at once if there are no others.
    fn gathered_at(&self, time: Duration) -> Duration {
        if self.tasks().all(Task::is_waiting) {
            return Duration::ZERO;
        }
        self.tasks().filter_map(Task::waits_since).min().map_or(Duration::ZERO, |since| since + time)
    }
}
