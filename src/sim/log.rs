//! The log of one partition: records and control records side by side, their bytes in an arena of chunks.
//!
//! Knows which producer's transaction is open on it, and nothing of who decides about that transaction.

use crate::broker::{Ends, Headers};
use std::collections::BTreeMap;

const NULL: u32 = u32::MAX;
const CHUNK_BYTES: usize = 1 << 20;

/// What a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Up to the last stable offset, without aborted records.
    Committed,
    /// Everything, aborted records too.
    Uncommitted,
}

/// A record read back, with its own memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its offset.
    pub offset: i64,
    /// Its Kafka timestamp in Unix milliseconds.
    pub timestamp_ms: i64,
    /// The key; `None` is a null key.
    pub key: Option<Vec<u8>>,
    /// The value; `None` is a null value.
    pub value: Option<Vec<u8>>,
    /// Name and value of each header.
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// One record to append, or one that is being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Content<'a> {
    pub(super) timestamp_ms: i64,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) headers: Headers<'a>,
}

impl Content<'_> {
    pub(super) fn bytes(&self) -> usize {
        self.key.map_or(0, <[u8]>::len) + self.value.map_or(0, <[u8]>::len) + self.headers.0.len()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Visible,
    Open,
    Aborted,
    Control,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    timestamp_ms: i64,
    chunk: u32,
    start: u32,
    key_len: u32,
    value_len: u32,
    headers_len: u32,
    kind: Kind,
}

/// One partition. Every offset has one entry, so an offset is an index.
#[derive(Debug, Default)]
pub(super) struct Log {
    entries: Vec<Entry>,
    chunks: Vec<Vec<u8>>,
    start: i64,
    open: BTreeMap<u64, Vec<i64>>,
}

impl Log {
    /// First offset that still exists.
    pub(super) fn start(&self) -> i64 {
        self.start
    }

    pub(super) fn ends(&self) -> Ends {
        let high_watermark = self.entries.len() as i64;
        let first_open = self.open.values().filter_map(|offsets| offsets.first()).min();
        Ends { last_stable: first_open.copied().unwrap_or(high_watermark), high_watermark }
    }

    /// Appends a record: of this producer's open transaction, or visible at once. Returns its offset.
    pub(super) fn append(&mut self, record: &Content<'_>, producer: Option<u64>) -> i64 {
        let offset = self.entries.len() as i64;
        let kind = match producer {
            Some(producer) => {
                self.open.entry(producer).or_default().push(offset);
                Kind::Open
            }
            None => Kind::Visible,
        };
        let bytes = record.bytes();
        if self.chunks.last().is_none_or(|chunk| chunk.len() + bytes > chunk.capacity()) {
            self.chunks.push(Vec::with_capacity(bytes.max(CHUNK_BYTES)));
        }
        let chunk_number = self.chunks.len() - 1;
        let mut start = 0;
        if let Some(chunk) = self.chunks.last_mut() {
            start = chunk.len();
            chunk.extend_from_slice(record.key.unwrap_or_default());
            chunk.extend_from_slice(record.value.unwrap_or_default());
            chunk.extend_from_slice(record.headers.0);
        }
        let length = |part: Option<&[u8]>| part.map_or(NULL, |bytes| bytes.len() as u32);
        self.entries.push(Entry {
            timestamp_ms: record.timestamp_ms,
            chunk: chunk_number as u32,
            start: start as u32,
            key_len: length(record.key),
            value_len: length(record.value),
            headers_len: record.headers.0.len() as u32,
            kind,
        });
        offset
    }

    /// Settles this producer's open records and writes the control record, which takes an offset.
    pub(super) fn settle(&mut self, producer: u64, commit: bool) {
        let Some(offsets) = self.open.remove(&producer) else { return };
        let kind = if commit { Kind::Visible } else { Kind::Aborted };
        for offset in offsets {
            if let Some(entry) = self.entries.get_mut(offset as usize) {
                entry.kind = kind;
            }
        }
        let chunk = self.chunks.len().saturating_sub(1) as u32;
        self.entries.push(Entry {
            timestamp_ms: -1,
            chunk,
            start: 0,
            key_len: NULL,
            value_len: NULL,
            headers_len: 0,
            kind: Kind::Control,
        });
    }

    /// Deletes everything before `offset`, at most up to the end.
    pub(super) fn delete_before(&mut self, offset: i64) {
        self.start = offset.clamp(self.start, self.entries.len() as i64);
        let keep = self.entries.get(self.start as usize).map_or(self.chunks.len(), |entry| entry.chunk as usize);
        for chunk in self.chunks.iter_mut().take(keep) {
            *chunk = Vec::new();
        }
    }

    /// Hands records from `from` to `take` until it says `false`, and returns the next position: past everything that
    /// this reader will never see, but not past the record that was refused.
    pub(super) fn read(&self, from: i64, isolation: Isolation, mut take: impl FnMut(i64, Content<'_>) -> bool) -> i64 {
        let ends = self.ends();
        let end = if isolation == Isolation::Committed { ends.last_stable } else { ends.high_watermark };
        for offset in from..end {
            let Some(entry) = self.entries.get(offset as usize) else { return offset };
            let visible = match entry.kind {
                Kind::Visible => true,
                Kind::Open | Kind::Aborted => isolation == Isolation::Uncommitted,
                Kind::Control => false,
            };
            if visible && !take(offset, self.content(entry)) {
                return offset;
            }
        }
        from.max(end)
    }

    fn content(&self, entry: &Entry) -> Content<'_> {
        let chunk = self.chunks.get(entry.chunk as usize).map(Vec::as_slice).unwrap_or_default();
        let mut at = entry.start as usize;
        let mut take = |len: u32| {
            let len = if len == NULL { 0 } else { len as usize };
            let part = chunk.get(at..at + len).unwrap_or_default();
            at += len;
            part
        };
        let key = take(entry.key_len);
        let value = take(entry.value_len);
        let headers = take(entry.headers_len);
        Content {
            timestamp_ms: entry.timestamp_ms,
            key: (entry.key_len != NULL).then_some(key),
            value: (entry.value_len != NULL).then_some(value),
            headers: Headers(headers),
        }
    }

    /// Everything that a reader sees, with its own memory.
    pub(super) fn stored(&self, isolation: Isolation) -> Vec<Stored> {
        let mut out = Vec::new();
        self.read(self.start, isolation, |offset, record| {
            out.push(Stored {
                offset,
                timestamp_ms: record.timestamp_ms,
                key: record.key.map(<[u8]>::to_vec),
                value: record.value.map(<[u8]>::to_vec),
                headers: record
                    .headers
                    .iter()
                    .map(|(name, value)| (name.to_vec(), value.map(<[u8]>::to_vec)))
                    .collect(),
            });
            true
        });
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: &[u8]) -> Content<'_> {
        Content { timestamp_ms: 1, key: None, value: Some(value), headers: Headers::default() }
    }

    fn offsets(log: &Log, isolation: Isolation) -> Vec<i64> {
        log.stored(isolation).iter().map(|record| record.offset).collect()
    }

    #[test]
    fn an_open_transaction_holds_back_everything_after_its_first_record() {
        let mut log = Log::default();
        log.append(&record(b"a"), None);
        log.append(&record(b"b"), Some(1));
        log.append(&record(b"c"), None);
        assert_eq!(log.ends(), Ends { last_stable: 1, high_watermark: 3 });
        assert_eq!(offsets(&log, Isolation::Committed), [0]);
        log.settle(1, true);
        assert_eq!(log.ends(), Ends { last_stable: 4, high_watermark: 4 });
        assert_eq!(offsets(&log, Isolation::Committed), [0, 1, 2]);
    }

    #[test]
    fn aborted_records_are_skipped_and_their_offsets_stay_taken() {
        let mut log = Log::default();
        log.append(&record(b"a"), Some(1));
        log.append(&record(b"b"), Some(2));
        log.settle(1, false);
        assert_eq!(log.ends().last_stable, 1);
        log.settle(2, true);
        assert_eq!(offsets(&log, Isolation::Committed), [1]);
        assert_eq!(offsets(&log, Isolation::Uncommitted), [0, 1]);
        assert_eq!(log.read(2, Isolation::Committed, |_, _| true), 4);
    }

    #[test]
    fn deleted_records_are_gone_and_the_others_keep_their_bytes() {
        let mut log = Log::default();
        let value = vec![7u8; 700_000];
        for _ in 0..4 {
            log.append(&record(&value), None);
        }
        log.delete_before(2);
        assert_eq!((log.start(), offsets(&log, Isolation::Committed)), (2, vec![2, 3]));
        assert_eq!(log.stored(Isolation::Committed)[1].value.as_deref(), Some(&value[..]));
        log.delete_before(99);
        assert_eq!(log.start(), 4);
    }
}
