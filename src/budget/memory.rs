//! The memory of the process as its threads share it: budget, pool and ladder in one handle.

use super::{Budget, Ladder};
use crate::config::PoolShares;
use crate::pool::{Pool, PoolOptions, Shares};
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
        let PoolShares { hot, warm, cold, .. } = *shares;
        let options = PoolOptions { shares: Shares { hot, warm, cold }, ..PoolOptions::new(budget.limits) };
        let pool = Pool::with(options);
        let ladder = Ladder::new(pool.clone(), Some(budget.total_bytes));
        Self { budget: Arc::new(budget), pool, ladder }
    }
}
