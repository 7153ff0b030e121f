//! Why a record is refused before its value is read. Never shows what is in it.

use crate::fate::Reason;
use std::fmt;

/// Rules 1 to 4 of "One record, one fate", broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    Tombstone,
    NullKey,
    KeyTooLarge { bytes: usize, max: usize },
    ValueTooLarge { bytes: usize, max: usize },
    UnknownKey,
}

impl Unread {
    pub(super) fn reason(self) -> Reason {
        match self {
            Self::Tombstone => Reason::Tombstone,
            Self::NullKey => Reason::NullKey,
            Self::KeyTooLarge { .. } | Self::ValueTooLarge { .. } => Reason::TooLarge,
            Self::UnknownKey => Reason::UnknownKey,
        }
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tombstone => Ok(()),
            Self::NullKey => f.write_str("the key is null"),
            Self::KeyTooLarge { bytes, max } => write!(f, "the key has {bytes} bytes, source.max_key is {max}"),
            Self::ValueTooLarge { bytes, max } => write!(f, "the value has {bytes} bytes, source.max_record is {max}"),
            Self::UnknownKey => f.write_str("the key is not among source.keys"),
        }
    }
}
