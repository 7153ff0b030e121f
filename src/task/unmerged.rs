//! Why a record was not merged although it is not its own fault.

use crate::pool::Full;
use std::fmt;

/// A record that was not judged: nothing was changed by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmerged {
    /// Its offset lies below the position: it was delivered before, and the task can no longer be trusted.
    Redelivered {
        /// The record's offset.
        offset: i64,
        /// The next offset that was expected.
        position: i64,
    },
    /// There is no memory for it: the same record can be merged again once there is.
    Full,
}

impl From<Full> for Unmerged {
    fn from(_: Full) -> Self {
        Self::Full
    }
}

impl fmt::Display for Unmerged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redelivered { offset, position } => {
                write!(f, "offset {offset} was delivered again, {position} was next")
            }
            Self::Full => Full.fmt(f),
        }
    }
}
