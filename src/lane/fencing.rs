//! How often this lane's producer was fenced: now and then has many reasons, again and again has one.

use std::time::Duration;

/// Fenced so often without a commit in between, or so often within a while: two workers that fence each other both get a
/// commit through sometimes.
const IN_A_ROW_MAX: u32 = 2;
const RECENT_MAX: u32 = 6;
const RECENT: Duration = Duration::from_secs(60);

/// Counts fencings that nothing explains.
#[derive(Debug, Default)]
pub(super) struct Fencing {
    in_a_row: u32,
    recent: u32,
    since: Duration,
}

impl Fencing {
    /// Counts one; true if another worker must have the same transactional id.
    pub(super) fn is_duel(&mut self, now: Duration) -> bool {
        if now.saturating_sub(self.since) > RECENT {
            (self.since, self.recent) = (now, 0);
        }
        self.in_a_row += 1;
        self.recent += 1;
        self.in_a_row >= IN_A_ROW_MAX || self.recent >= RECENT_MAX
    }

    /// A transaction was committed.
    pub(super) fn committed(&mut self) {
        self.in_a_row = 0;
    }

    /// A rebalance explains why somebody else may have fenced us.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duel_is_seen_with_and_without_commits_in_between() {
        let at = Duration::from_secs;
        let mut fencing = Fencing::default();
        assert!(!fencing.is_duel(at(100)) && fencing.is_duel(at(100)));
        fencing.forget();
        for _ in 0..5 {
            assert!(!fencing.is_duel(at(200)));
            fencing.committed();
        }
        assert!(fencing.is_duel(at(259)));
        fencing.committed();
        assert!(!fencing.is_duel(at(261)), "a while ago");
    }
}
