//! What the lanes of a process tell one another of their memory: who will release some, and who stands still for want of it.
//!
//! Numbers only: nothing waits here, and a lane that goes away takes what it said with it.

use super::Ladder;
use std::sync::atomic::{AtomicU64, Ordering};

/// What all lanes have said.
#[derive(Debug, Default)]
pub(super) struct Census {
    releasing: AtomicU64,
    held: AtomicU64,
    holds: AtomicU64,
}

impl Census {
    pub(super) fn releasing(&self) -> u64 {
        self.releasing.load(Ordering::Relaxed)
    }

    pub(super) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    pub(super) fn holds(&self) -> u64 {
        self.holds.load(Ordering::Relaxed)
    }
}

/// What one lane says.
#[derive(Debug)]
pub struct Voice {
    ladder: Ladder,
    releasing: bool,
    held: u64,
}

impl Voice {
    pub(super) fn new(ladder: Ladder) -> Self {
        Self { ladder, releasing: false, held: 0 }
    }

    /// Whether a commit of this lane will release memory.
    pub fn say_releasing(&mut self, releasing: bool) {
        if releasing != self.releasing {
            self.releasing = releasing;
            let count = &self.ladder.0.census.releasing;
            if releasing {
                count.fetch_add(1, Ordering::Relaxed)
            } else {
                count.fetch_sub(1, Ordering::Relaxed)
            };
        }
    }

    /// So many tasks of this lane stand still because no memory is left for them.
    pub fn say_held(&mut self, held: u64) {
        let census = &self.ladder.0.census;
        let more = held.saturating_sub(self.held);
        census.holds.fetch_add(more, Ordering::Relaxed);
        census.held.fetch_add(more, Ordering::Relaxed);
        census.held.fetch_sub(self.held.saturating_sub(held), Ordering::Relaxed);
        self.held = held;
    }
}

impl Drop for Voice {
    fn drop(&mut self) {
        self.say_releasing(false);
        self.say_held(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::{Limits, Pool};

    #[test]
    fn a_lane_that_goes_away_takes_what_it_said_with_it() {
        let ladder = Ladder::new(Pool::new(Limits::UNBOUNDED), None);
        let (mut one, mut other) = (ladder.join(), ladder.join());
        one.say_releasing(true);
        one.say_releasing(true);
        other.say_releasing(true);
        one.say_held(2);
        other.say_held(1);
        one.say_held(1);
        assert_eq!((ladder.held(), ladder.holds()), (2, 3));
        drop(other);
        assert!(ladder.may_release());
        one.say_releasing(false);
        assert!(!ladder.may_release());
        drop(one);
        assert_eq!((ladder.held(), ladder.holds()), (0, 3));
    }
}
