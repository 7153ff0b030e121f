//! The one thing that makes a task untrustworthy: a record that comes again.

use std::fmt;

/// A record's offset lies below the position: it was delivered before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redelivered {
    /// The record's offset.
    pub offset: i64,
    /// The next offset that was expected.
    pub position: i64,
}

impl fmt::Display for Redelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offset {} was delivered again, {} was next", self.offset, self.position)
    }
}
