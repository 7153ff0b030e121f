//! The memory of the process as its threads share it: budget, pool and ladder in one handle.

use super::{Budget, Ladder};
use crate::config::PoolShares;
use crate::pool::{Pool, PoolOptions, Shares, Trim};
use std::sync::Arc;

/// Budget, pool and ladder; clones are handles of the same.
#[derive(Clone, Debug)]
pub struct Memory {
    /// Who may hold how much.
    pub budget: Arc<Budget>,
    /// What the windows live in.
    pub pool: Pool,
    /// How far the pressure has gone.
    pub ladder: Ladder,
}

impl Memory {
    /// An empty pool under a budget, which parks what is not lent as `shares` say.
    pub fn new(budget: Budget, shares: &PoolShares) -> Self {
        let PoolShares { hot, warm, cold, warm_every, cold_every, .. } = *shares;
        let trim = Trim { warm_every: warm_every as usize, cold_every: cold_every as usize };
        let pool = Pool::with(PoolOptions { limits: budget.limits, shares: Shares { hot, warm, cold }, trim });
        let ladder = Ladder::new(pool.clone(), Some(budget.total_bytes));
        Self { budget: Arc::new(budget), pool, ladder }
    }
}
