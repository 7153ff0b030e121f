//! Errors that the lane must decide on. There are three: retry, abort, fatal.
//!
//! Bad input is not an error: it is a fate with a counter ([`crate::fate`]).

use std::fmt;

/// What the caller has to do next; the meaning is the same for every call of a [`crate::broker::Broker`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Nothing is decided yet: make the *same* call again, until your deadline.
    Retry,
    /// The transaction is lost, the producer is not: abort, and produce again.
    Abort,
    /// The producer is lost, or what it did is unknown: drop it, build a new one, read the committed positions.
    Fatal,
}

/// A call to the broker that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerError {
    /// What to do next.
    pub kind: ErrorKind,
    /// Another producer with the same transactional id has taken over (only with [`ErrorKind::Fatal`]).
    pub fenced: bool,
    /// What happened and where, for people; no secrets.
    pub message: String,
}

impl BrokerError {
    /// Make the same call again.
    pub fn retry(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Retry, fenced: false, message: message.into() }
    }

    /// Abort the transaction.
    pub fn abort(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Abort, fenced: false, message: message.into() }
    }

    /// Drop the producer.
    pub fn fatal(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Fatal, fenced: false, message: message.into() }
    }

    /// Drop the producer: another one has its id.
    pub fn fenced(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Fatal, fenced: true, message: message.into() }
    }
}

impl fmt::Display for BrokerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for BrokerError {}
