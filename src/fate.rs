//! One record, one fate: the four fates, the reasons behind them, and their counts.
//!
//! Knows the words only. Who meets which fate is decided in decode and task, in the order of `docs/guarantees.md`.

mod behind;

pub use behind::Behind;

use std::fmt;

/// What became of a record; every record read meets exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fate {
    /// Counted and left alone.
    Ignored,
    /// A dead letter: it can never be merged.
    Dead,
    /// Every window that it belongs to is closed.
    Late,
    /// Added to at least one open window.
    Merged,
}

impl Fate {
    /// All fates, in the order of the contract.
    pub const ALL: [Self; 4] = [Self::Ignored, Self::Dead, Self::Late, Self::Merged];

    /// The word for it in metrics and summaries.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ignored => "ignored",
            Self::Dead => "dead",
            Self::Late => "late",
            Self::Merged => "merged",
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a record was not merged, in the order in which the rules are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The value is null.
    Tombstone,
    /// The key is null (an empty key is a key).
    NullKey,
    /// Key or value is longer than the configuration allows.
    TooLarge,
    /// Keys are declared, and this is none of them.
    UnknownKey,
    /// The value is not one JSON object.
    Malformed,
    /// A number that is read does not fit a double.
    NumberOutOfRange,
    /// The event time is missing or not what the configuration says.
    BadTime,
    /// The event time is too far ahead of the guard clock.
    Future,
    /// An aggregated field holds what its aggregate cannot take.
    BadField,
    /// Every window that the record belongs to is closed.
    Late,
}

impl Reason {
    /// All reasons, in the order in which the rules are tried.
    pub const ALL: [Self; 10] = [
        Self::Tombstone,
        Self::NullKey,
        Self::TooLarge,
        Self::UnknownKey,
        Self::Malformed,
        Self::NumberOutOfRange,
        Self::BadTime,
        Self::Future,
        Self::BadField,
        Self::Late,
    ];

    /// The word for it in headers, metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tombstone => "tombstone",
            Self::NullKey => "null_key",
            Self::TooLarge => "too_large",
            Self::UnknownKey => "unknown_key",
            Self::Malformed => "malformed",
            Self::NumberOutOfRange => "number_out_of_range",
            Self::BadTime => "bad_time",
            Self::Future => "future",
            Self::BadField => "bad_field",
            Self::Late => "late",
        }
    }

    /// The fate that it leads to.
    pub const fn fate(self) -> Fate {
        match self {
            Self::Tombstone => Fate::Ignored,
            Self::Late => Fate::Late,
            _ => Fate::Dead,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Records by fate and reason. `read` is counted where records are taken, the rest where they are judged, so that
/// [`Self::balanced`] means something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FateCounts {
    /// Records taken for judgement.
    pub read: u64,
    /// Records merged.
    pub merged: u64,
    /// Merged records that came too late for some of their windows; part of `merged`.
    pub partly_late: u64,
    /// Bytes of keys, values and headers of the records in `read`.
    pub read_bytes: u64,
    /// How far behind the watermark records were, merged and late ones.
    pub behind: Behind,
    refused: [u64; Reason::ALL.len()],
    refused_bytes: [u64; Reason::ALL.len()],
}

impl FateCounts {
    /// Counts one record of so many bytes that was not merged.
    pub fn refuse(&mut self, reason: Reason, bytes: u64) {
        self.refused[reason as usize] += 1; // every Reason is below the length of ALL
        self.refused_bytes[reason as usize] += bytes;
    }

    /// Records with this reason.
    pub const fn reason(&self, reason: Reason) -> u64 {
        self.refused[reason as usize]
    }

    /// Bytes of the records with this reason.
    pub const fn reason_bytes(&self, reason: Reason) -> u64 {
        self.refused_bytes[reason as usize]
    }

    /// Bytes of the records merged.
    pub fn merged_bytes(&self) -> u64 {
        self.read_bytes.saturating_sub(self.refused_bytes.iter().sum())
    }

    /// Records with this fate.
    pub fn fate(&self, fate: Fate) -> u64 {
        match fate {
            Fate::Merged => self.merged,
            _ => Reason::ALL.into_iter().filter(|reason| reason.fate() == fate).map(|reason| self.reason(reason)).sum(),
        }
    }

    /// Adds the counts of `other`.
    pub fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.merged += other.merged;
        self.partly_late += other.partly_late;
        self.read_bytes += other.read_bytes;
        self.behind.add(&other.behind);
        for (mine, theirs) in self.refused.iter_mut().zip(other.refused) {
            *mine += theirs;
        }
        for (mine, theirs) in self.refused_bytes.iter_mut().zip(other.refused_bytes) {
            *mine += theirs;
        }
    }

    /// Whether every record read has met exactly one fate. Holds at every commit.
    pub fn balanced(&self) -> bool {
        self.read == Fate::ALL.into_iter().map(|fate| self.fate(fate)).sum::<u64>() && self.partly_late <= self.merged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_numbered_as_listed_and_named_once() {
        for (index, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index, "{reason}");
        }
        let names: std::collections::BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
    }

    #[test]
    fn counts_balance_only_if_every_record_met_one_fate() {
        let mut counts = FateCounts { read: 12, read_bytes: 57, merged: 2, partly_late: 1, ..FateCounts::default() };
        assert!(!counts.balanced());
        Reason::ALL.into_iter().for_each(|reason| counts.refuse(reason, 5));
        assert_eq!((counts.reason_bytes(Reason::Late), counts.merged_bytes()), (5, 7));
        assert!(counts.balanced());
        assert_eq!(Fate::ALL.map(|fate| counts.fate(fate)), [1, 8, 1, 2]);
        let mut twice = counts;
        twice.add(&counts);
        assert!(twice.balanced());
        assert_eq!((twice.read, twice.fate(Fate::Dead)), (24, 16));
        counts.partly_late = 3;
        assert!(!counts.balanced());
    }
}
