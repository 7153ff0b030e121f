//! Which step a reading asks for, and which it lets go of: numbers in, a step out.

use super::Step;
use crate::pool::Limits;

/// Use at which steps 1 to 3 are entered, in thousandths: most of it, all but the reserve, half of the reserve.
const ENTER_PERMILLE: [u64; 3] = [800, 900, 950];
/// A step is left when use is so much below its mark.
const LEAVE_PERMILLE: u64 = 50;
/// Where the reserve begins.
const RESERVE_PERMILLE: u64 = 900;
/// More misses than this are pressure, fewer than half of it are none.
const MISSES_PERMILLE: u64 = 50;
/// Below this use misses are the first use of a buffer.
const WARM_PERMILLE: u64 = 500;
/// Of the budget: below it the resident size is no pressure any more.
const RESIDENT_CALM_PERMILLE: u64 = 950;

/// What a look has found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) limits: Limits,
    pub(super) lent_bytes: usize,
    /// Acquisitions that found nothing parked, of a thousand.
    pub(super) missed_permille: u64,
    /// A merge was refused.
    pub(super) was_full: bool,
    pub(super) budget_bytes: u64,
    pub(super) resident_bytes: u64,
}

impl Reading {
    /// How much of the pool is lent, in thousandths; the last hundred are the reserve.
    pub(super) fn used_permille(&self) -> u64 {
        let (lent, reserve) = (self.lent_bytes as u128, self.limits.reserve_bytes as u128);
        let ordinary = self.limits.ceiling_bytes as u128 - reserve.min(self.limits.ceiling_bytes as u128);
        let used = match lent.checked_sub(ordinary) {
            None | Some(0) => lent * u128::from(RESERVE_PERMILLE) / ordinary.max(1),
            Some(beyond) => u128::from(RESERVE_PERMILLE) + beyond * 100 / reserve.max(1),
        };
        u64::try_from(used).unwrap_or(u64::MAX).min(1000)
    }

    /// The highest step that this asks for, and why.
    pub(super) fn asks_for(&self) -> (Step, &'static str) {
        let used = self.used_permille();
        let [views, reserve, half] = ENTER_PERMILLE;
        if self.was_full {
            (Step::BackPressure, "a record found no room")
        } else if used > half {
            (Step::BackPressure, "half of the reserve is in use")
        } else if used > reserve {
            (Step::Reserve, "the reserve is in use")
        } else if used > views {
            (Step::SharedViews, "most of the pool is in use")
        } else if used > WARM_PERMILLE && self.missed_permille > MISSES_PERMILLE {
            (Step::SharedViews, "the pool grows and more than half of it is in use")
        } else if self.resident_bytes > self.budget_bytes {
            (Step::SharedViews, "the process is larger than its budget")
        } else {
            (Step::Normal, "")
        }
    }

    /// True if nothing holds this step any more.
    pub(super) fn lets_go_of(&self, step: Step) -> bool {
        let Some(mark) = (step as usize).checked_sub(1).and_then(|index| ENTER_PERMILLE.get(index)) else {
            return false;
        };
        let used = self.used_permille();
        let is_low = used < mark - LEAVE_PERMILLE && !self.was_full;
        let is_warm = used > WARM_PERMILLE && self.missed_permille > MISSES_PERMILLE / 2;
        let is_large = self.resident_bytes > self.budget_bytes / 1000 * RESIDENT_CALM_PERMILLE;
        is_low && (step != Step::SharedViews || !(is_warm || is_large))
    }
}
