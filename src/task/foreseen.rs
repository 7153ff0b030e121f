//! What stands for the keys of the records that come next: found once, for the hints to the processor and for the merge.

use super::TaskContext;
use crate::broker::{Record, Slot};

/// So many records are foreseen at once: what they will need is fetched from memory before the first of them is merged.
pub const AHEAD: usize = 32;

/// The codes of the keys of a few records, in their order.
#[derive(Debug, Default)]
pub(super) struct Foreseen {
    records: [Option<(Slot, i64, Option<u32>)>; AHEAD],
    next: usize,
}

impl Foreseen {
    /// The code found for this record's key, if the record was foreseen; those before it were left out.
    #[inline]
    fn take(&mut self, record: &Record<'_>) -> Option<Option<u32>> {
        while let Some((slot, offset, code)) = self.records.get(self.next).copied().flatten() {
            self.next += 1;
            if (slot, offset) == (record.slot, record.offset) {
                return Some(code);
            }
        }
        None
    }
}

impl TaskContext {
    /// Finds what stands for the keys of the next records, [`AHEAD`] at most; forgets those before.
    pub fn foresee<'r>(&mut self, records: impl Iterator<Item = Record<'r>>) {
        self.foreseen = Foreseen::default();
        for (place, record) in self.foreseen.records.iter_mut().zip(records) {
            let code = record.key.and_then(|key| self.panes.keys.code(key));
            *place = Some((record.slot, record.offset, code));
        }
    }

    /// What stands for the key of a record; `None` if keys are declared and this one is not.
    #[inline]
    pub(super) fn code(&mut self, record: &Record<'_>, key: &[u8]) -> Option<u32> {
        self.foreseen.take(record).unwrap_or_else(|| self.panes.keys.code(key))
    }

    /// The codes of the records that were foreseen.
    pub(super) fn foreseen(&self) -> impl Iterator<Item = (Slot, u32)> + Clone {
        self.foreseen.records.iter().flatten().filter_map(|(slot, _, code)| Some((*slot, (*code)?)))
    }
}
