//! The memory of the process as its threads share it: budget, pool and ladder in one handle.

use super::{Budget, Ladder};
use crate::pool::Pool;
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
    /// An empty pool under a budget.
    pub fn new(budget: Budget) -> Self {
        let pool = Pool::new(budget.limits);
        let ladder = Ladder::new(pool.clone(), Some(budget.total_bytes));
        Self { budget: Arc::new(budget), pool, ladder }
    }
}
