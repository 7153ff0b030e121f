//! How much a pool may hold, for what, and how its tiers share it. Numbers only: nothing here holds memory.

use std::fmt;

/// How much a pool may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// All its buffers together, lent or parked, in bytes.
    pub ceiling_bytes: usize,
    /// The part of it that is set aside to finish what must be finished, in bytes.
    pub reserve_bytes: usize,
}

impl Limits {
    /// For tools and tests that have no budget: as much as the machine has.
    pub const UNBOUNDED: Self = Self { ceiling_bytes: 1 << 40, reserve_bytes: 0 };

    /// What a need may fill, in bytes.
    pub const fn allowed_bytes(&self, need: Need) -> usize {
        match need {
            Need::Merge => self.ceiling_bytes - self.reserve_bytes / 2,
            Need::Finish => self.ceiling_bytes,
        }
    }
}

/// What a buffer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Need {
    /// New state: it may use the reserve up to half.
    Merge,
    /// To close and produce what is due: it may use all of the reserve.
    Finish,
}

/// The pool has no room for this need now. Nothing was changed; what was asked for can be asked for again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no memory is left in the budget")
    }
}

impl std::error::Error for Full {}

/// All that a pool can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolOptions {
    /// How much it may hold.
    pub limits: Limits,
    /// How much of that each tier may park.
    pub shares: Shares,
    /// How often the lower tiers are trimmed.
    pub trim: Trim,
}

impl PoolOptions {
    /// These limits, and the defaults for the rest.
    pub const fn new(limits: Limits) -> Self {
        Self { limits, shares: Shares { hot: 16, warm: 4, cold: 1 }, trim: Trim { warm_every: 3, cold_every: 1 } }
    }
}

/// How much of the ceiling each tier may park, as a proportion. The hot share is divided by the lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// The lanes, together.
    pub hot: u32,
    /// What lanes exchange.
    pub warm: u32,
    /// What is given back next.
    pub cold: u32,
}

impl Shares {
    /// The part of `whole` that falls to `share`, in bytes.
    pub(super) fn of(&self, whole: usize, share: u32) -> usize {
        let all = u64::from(self.hot) + u64::from(self.warm) + u64::from(self.cold);
        let part = whole as u128 * u128::from(share) / u128::from(all.max(1));
        usize::try_from(part).unwrap_or(whole)
    }
}

/// How often the lower tiers are trimmed, in tides or maintenances; 0 is never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trim {
    /// Warm: times all lanes, so that each lane has had as many.
    pub warm_every: usize,
    /// Cold: whichever lane it is.
    pub cold_every: usize,
}
