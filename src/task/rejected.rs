//! Late records and dead letters of one task, whole, until the commit that makes them visible.

use crate::broker::{Headers, Record, TopicPartition, write_header, write_text_header};
use crate::fate::{Fate, Reason};
use std::collections::VecDeque;
use std::fmt::{self, Write as _};

/// A key that a topic may refuse goes out as its first so many bytes.
const KEY_PREFIX: usize = 1024;

/// Memory that is kept for the next records; what a giant one took beyond it is given back.
const BYTES_KEPT: usize = 1 << 20;

/// Records waiting for the next commit, in offset order, their bytes in one recycled arena.
#[derive(Debug, Default)]
pub struct Rejected {
    entries: VecDeque<Entry>,
    bytes: Vec<u8>,
    /// Bytes of the arena that were released before its first byte.
    released: usize,
}

#[derive(Debug)]
struct Entry {
    offset: i64,
    timestamp_ms: i64,
    reason: Reason,
    late: Option<Lateness>,
    start: usize,
    key_len: Option<usize>,
    value_len: Option<usize>,
    headers_len: usize,
    detail_len: usize,
    truncated: bool,
}

/// How late a late record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lateness {
    /// The watermark before the record, in Unix ms.
    pub watermark_ms: i64,
    /// End of the last of its windows, in Unix ms.
    pub window_end_ms: i64,
}

/// One rejected record as it goes out.
#[derive(Clone, Copy, Debug)]
pub struct RejectedRecord<'a> {
    /// Offset in the source partition.
    pub offset: i64,
    /// Its original Kafka timestamp.
    pub timestamp_ms: i64,
    /// Why it was rejected.
    pub reason: Reason,
    /// The whole key: it decides the partition.
    pub key: Option<&'a [u8]>,
    /// The value as it goes out: none once it was truncated.
    pub value: Option<&'a [u8]>,
    headers: Headers<'a>,
    detail: &'a [u8],
    late: Option<Lateness>,
    key_max: usize,
    truncated_len: Option<usize>,
}

impl Rejected {
    /// Keeps a copy of a record until it is released.
    pub fn push(&mut self, record: &Record<'_>, reason: Reason, detail: fmt::Arguments<'_>, late: Option<Lateness>) {
        let start = self.released + self.bytes.len();
        self.bytes.extend_from_slice(record.key.unwrap_or_default());
        self.bytes.extend_from_slice(record.value.unwrap_or_default());
        self.bytes.extend_from_slice(record.headers.0);
        let detail_start = self.bytes.len();
        // Writing into memory cannot fail.
        let _ = AsciiWriter(&mut self.bytes).write_fmt(detail);
        self.entries.push_back(Entry {
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            reason,
            late,
            start,
            key_len: record.key.map(<[u8]>::len),
            value_len: record.value.map(<[u8]>::len),
            headers_len: record.headers.0.len(),
            detail_len: self.bytes.len() - detail_start,
            truncated: false,
        });
    }

    /// True if nothing waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Records that wait.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes.capacity() + self.entries.capacity() * size_of::<Entry>()
    }

    /// The `index`-th waiting record; keys over `key_max` go out shortened.
    pub fn get(&self, index: usize, key_max: usize) -> Option<RejectedRecord<'_>> {
        let entry = self.entries.get(index)?;
        let mut at = entry.start - self.released;
        let mut take = |len: usize| {
            let part = self.bytes.get(at..at + len).unwrap_or_default();
            at += len;
            part
        };
        let key = take(entry.key_len.unwrap_or(0));
        let value = take(entry.value_len.unwrap_or(0));
        let headers = Headers(take(entry.headers_len));
        let detail = take(entry.detail_len);
        Some(RejectedRecord {
            offset: entry.offset,
            timestamp_ms: entry.timestamp_ms,
            reason: entry.reason,
            key: entry.key_len.map(|_| key),
            value: entry.value_len.filter(|_| !entry.truncated).map(|_| value),
            headers,
            detail,
            late: entry.late,
            key_max,
            truncated_len: entry.truncated.then_some(value.len()),
        })
    }

    /// The record goes out without its value from now on; false if it already did.
    pub fn truncate(&mut self, index: usize) -> bool {
        self.entries.get_mut(index).is_some_and(|entry| !std::mem::replace(&mut entry.truncated, true))
    }

    /// Number of waiting records with an offset below `limit`.
    pub fn count_below(&self, limit: i64) -> usize {
        self.entries.partition_point(|entry| entry.offset < limit)
    }

    /// Forgets the first `count` records: they are committed.
    pub fn release(&mut self, count: usize) {
        self.entries.drain(..count.min(self.entries.len()));
        match self.entries.front() {
            Some(first) => {
                self.bytes.drain(..first.start - self.released);
                self.released = first.start;
            }
            None => {
                self.bytes.clear();
                self.bytes.shrink_to(BYTES_KEPT);
                self.released = 0;
            }
        }
    }
}

impl<'a> RejectedRecord<'a> {
    /// True for late records, false for dead letters.
    pub fn is_late(&self) -> bool {
        self.reason.fate() == Fate::Late
    }

    /// The key as it goes out.
    pub fn key_out(&self) -> Option<&'a [u8]> {
        self.key.map(|key| if key.len() > self.key_max { key.get(..KEY_PREFIX).unwrap_or(key) } else { key })
    }

    /// Writes the headers as they go out: the old ones, then ours (the last of a name counts).
    pub fn write_headers(&self, from: &TopicPartition, out: &mut Vec<u8>) {
        out.extend_from_slice(self.headers.0);
        write_header(out, b"tidemill.reason", Some(self.reason.as_str().as_bytes()));
        write_header(out, b"tidemill.topic", Some(from.topic.as_bytes()));
        let mut number = |name: &str, number: i64| {
            write_text_header(out, name.as_bytes(), format_args!("{number}"));
        };
        number("tidemill.partition", i64::from(from.partition));
        number("tidemill.offset", self.offset);
        number("tidemill.timestamp", self.timestamp_ms);
        if let Some(late) = self.late {
            number("tidemill.watermark", late.watermark_ms);
            number("tidemill.window_end", late.window_end_ms);
        }
        if let Some(key) = self.key.filter(|key| key.len() > self.key_max) {
            number("tidemill.key_length", key.len() as i64);
        }
        if let Some(len) = self.truncated_len {
            number("tidemill.truncated", len as i64);
        }
        write_header(out, b"tidemill.detail", Some(self.detail));
    }
}

/// Headers hold plain ASCII: anything else becomes `?`.
struct AsciiWriter<'a>(&'a mut Vec<u8>);

impl fmt::Write for AsciiWriter<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend(text.chars().map(|c| if (' '..='~').contains(&c) { c as u8 } else { b'?' }));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record<'a>(offset: i64, key: Option<&'a [u8]>, value: &'a [u8]) -> Record<'a> {
        Record { slot: 0, offset, timestamp_ms: 5, key, value: Some(value), headers: Headers::default() }
    }

    #[test]
    fn what_waits_comes_out_whole_after_a_partial_release() {
        let mut rejected = Rejected::default();
        for offset in 0..5_i64 {
            let value = vec![b'v'; offset as usize * 10];
            rejected.push(&record(offset, Some(b"k"), &value), Reason::Malformed, format_args!("at {offset} é"), None);
        }
        assert_eq!(rejected.count_below(3), 3);
        rejected.release(3);
        let first = rejected.get(0, 100).unwrap();
        assert_eq!(
            (first.offset, first.key, first.value.unwrap().len(), first.detail),
            (3, Some(&b"k"[..]), 30, &b"at 3 ?"[..])
        );
        assert!(rejected.truncate(1) && !rejected.truncate(1));
        let second = rejected.get(1, 100).unwrap();
        assert_eq!((second.value, second.truncated_len), (None, Some(40)));
        rejected.release(2);
        assert!(rejected.is_empty() && rejected.bytes.is_empty());
    }

    #[test]
    fn a_key_over_the_limit_goes_out_as_its_first_kibibyte_with_its_length() {
        let mut rejected = Rejected::default();
        let key = vec![b'k'; 3000];
        rejected.push(&record(0, Some(&key), b""), Reason::TooLarge, format_args!(""), None);
        let view = rejected.get(0, 2000).unwrap();
        assert_eq!((view.key_out().unwrap().len(), view.key.unwrap().len()), (1024, 3000));
        let mut headers = Vec::new();
        view.write_headers(&TopicPartition { topic: "t".into(), partition: 0 }, &mut headers);
        assert!(Headers(&headers).iter().any(|header| header == (&b"tidemill.key_length"[..], Some(&b"3000"[..]))));
    }
}
