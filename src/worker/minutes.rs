//! Minutes in which a partition was available: what the objective of availability is measured in.

use crate::metrics::Minutes;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// The minute of one partition that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Minute {
    began: Duration,
    /// When it was last looked at.
    seen: Duration,
    available: bool,
}

impl Minute {
    /// One that begins now.
    pub(super) fn new(now: Duration) -> Self {
        Self { began: now, seen: now, available: true }
    }

    /// Looks at the partition: `available` now, and so ever since the last look, unless that is more than a minute ago:
    /// whoever is not looked at does not live. Counts the minutes that are over.
    pub(super) fn look(&mut self, now: Duration, available: bool, minutes: &mut Minutes) {
        self.available &= available && now.saturating_sub(self.seen) <= MINUTE;
        self.seen = now;
        while now.saturating_sub(self.began) >= MINUTE {
            if self.available {
                minutes.available += 1;
            } else {
                minutes.unavailable += 1;
            }
            self.began += MINUTE;
            // The next one is as the last look found it, or all of it was missed.
            self.available = available && now.saturating_sub(self.began) < MINUTE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The minutes counted after looks at these seconds.
    fn after(looks: &[(u64, bool)]) -> (u64, u64) {
        let (mut minute, mut minutes) = (Minute::new(Duration::ZERO), Minutes::default());
        for (second, available) in looks {
            minute.look(Duration::from_secs(*second), *available, &mut minutes);
        }
        (minutes.available, minutes.unavailable)
    }

    #[test]
    fn a_minute_counts_once_it_is_over_and_one_bad_look_spoils_it() {
        assert_eq!(after(&[(30, true), (59, true)]), (0, 0));
        assert_eq!(after(&[(30, true), (60, true), (90, true), (120, true)]), (2, 0));
        assert_eq!(after(&[(30, false), (60, true), (90, true), (120, true)]), (1, 1));
        assert_eq!(after(&[(30, true), (70, false), (120, true)]), (0, 2));
    }

    #[test]
    fn minutes_that_nobody_looked_at_are_not_available() {
        assert_eq!(after(&[(10, true), (200, true), (240, true)]), (1, 3));
    }
}
