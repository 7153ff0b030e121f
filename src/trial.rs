//! A pipeline tried without a broker: the cases of a test file on the in-memory broker, in virtual time.
//!
//! Everything is the worker's own (lanes, tasks, transactions); only broker and clock are not. Prints nothing.

mod diff;
mod judge;
mod seen;
mod stage;
mod update;

pub use diff::{Line, lines};
pub use judge::{Check, Difference, Group, WrongFate};
pub use update::{Updated, update};

use crate::config::Config;
use crate::config::cases::{Case, Does, Expect};
use crate::lane::Stop;
use judge::judge;
use stage::Stage;

/// Runs one case; a case passes if no check has a difference.
///
/// # Errors
/// The worker stopped by itself.
pub fn run(case: &Case, config: &Config) -> Result<Vec<Check>, Stop> {
    let mut stage = Stage::new(case, config)?;
    let mut checks = Vec::new();
    for step in &case.steps {
        match &step.does {
            Does::Record(record) => stage.record(record, step.place)?,
            Does::Advance(ms) => stage.advance(*ms),
            Does::Silence(ms) => stage.silence(*ms)?,
            Does::Crash => stage.crash()?,
            Does::Rebalance => stage.rebalance()?,
            Does::Expect(expect) => {
                stage.settle()?;
                checks.push(judge(&mut stage, expect, Some(expect.place))?);
            }
        }
    }
    // What nobody expected.
    stage.settle()?;
    let rest = judge(&mut stage, &Expect::default(), None)?;
    if rest.differs() {
        checks.push(rest);
    }
    Ok(checks)
}
