//! A batch of polled records in one recycled arena: bytes side by side, records as ranges into them.
//!
//! Knows nothing of partitions beyond their slot, and never frees what it has grown unless told to.

use super::Slot;
use std::fmt;
use std::io::Write;

const NULL: u32 = u32::MAX;

/// Records of one or more polls; cleared and filled again, so that in steady state nothing is allocated.
#[derive(Debug)]
pub struct RecordBatch {
    bytes: Vec<u8>,
    records: Vec<Entry>,
    bytes_max: usize,
    records_max: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    slot: Slot,
    offset: i64,
    timestamp_ms: i64,
    start: usize,
    key_len: u32,
    value_len: u32,
    headers_len: u32,
}

/// One record as a view into its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The partition it came from.
    pub slot: Slot,
    /// Its offset there.
    pub offset: i64,
    /// Its Kafka timestamp in Unix milliseconds; −1 if it has none.
    pub timestamp_ms: i64,
    /// The key; `None` is a null key, an empty key is a key.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The headers.
    pub headers: Headers<'a>,
}

impl Record<'_> {
    /// Bytes of key, value and headers.
    #[inline]
    pub fn bytes(&self) -> u64 {
        let length = |part: Option<&[u8]>| part.map_or(0, <[u8]>::len);
        (length(self.key) + length(self.value) + self.headers.0.len()) as u64
    }
}

impl RecordBatch {
    /// An empty batch that calls itself full at `bytes_max` bytes or `records_max` records.
    pub fn new(bytes_max: usize, records_max: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes_max), records: Vec::with_capacity(records_max), bytes_max, records_max }
    }

    /// Forgets the records and keeps the memory; what one giant record added beyond the limit is given back.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.records.clear();
        if self.bytes.capacity() > 2 * self.bytes_max {
            self.bytes.shrink_to(self.bytes_max);
        }
    }

    /// True if no further record should be added. A single record may exceed the limit: it fills the batch alone.
    pub fn is_full(&self) -> bool {
        self.records.len() >= self.records_max || self.bytes.len() >= self.bytes_max
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// True without records.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes of keys, values and headers held.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Copies a record in. `headers` is called with the arena to append encoded headers ([`write_header`]), after key
    /// and value.
    ///
    /// Key, value and headers are each below 4 GiB (Kafka's own limit is 2 GiB).
    pub fn push(
        &mut self,
        slot: Slot,
        offset: i64,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl FnOnce(&mut Vec<u8>),
    ) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key.unwrap_or_default());
        self.bytes.extend_from_slice(value.unwrap_or_default());
        let headers_start = self.bytes.len();
        headers(&mut self.bytes);
        let length = |part: Option<&[u8]>| part.map_or(NULL, |bytes| bytes.len() as u32);
        self.records.push(Entry {
            slot,
            offset,
            timestamp_ms,
            start,
            key_len: length(key),
            value_len: length(value),
            headers_len: (self.bytes.len() - headers_start) as u32,
        });
    }

    /// The record at `index`, counted in the order of arrival.
    pub fn get(&self, index: usize) -> Option<Record<'_>> {
        self.records.get(index).map(|entry| self.view(entry))
    }

    /// All records in the order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        self.records.iter().map(|entry| self.view(entry))
    }

    /// The records from `index` on.
    pub fn from(&self, index: usize) -> impl Iterator<Item = Record<'_>> + Clone {
        self.records.get(index..).unwrap_or_default().iter().map(|entry| self.view(entry))
    }

    fn view(&self, entry: &Entry) -> Record<'_> {
        let mut at = entry.start;
        let mut take = |len: u32| {
            let len = if len == NULL { 0 } else { len as usize };
            let part = self.bytes.get(at..at + len).unwrap_or_default();
            at += len;
            part
        };
        let key = take(entry.key_len);
        let value = take(entry.value_len);
        let headers = take(entry.headers_len);
        Record {
            slot: entry.slot,
            offset: entry.offset,
            timestamp_ms: entry.timestamp_ms,
            key: (entry.key_len != NULL).then_some(key),
            value: (entry.value_len != NULL).then_some(value),
            headers: Headers(headers),
        }
    }
}

/// Headers in their encoded form: for each, name length (`u32` LE), name, value length (`u32` LE, `u32::MAX` for a
/// null value), value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Headers<'a>(pub &'a [u8]);

impl<'a> Headers<'a> {
    /// Name and value of each header, in order. Names are bytes: Kafka asks for UTF-8 and enforces nothing.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let name = take_prefixed(&mut rest)?.unwrap_or_default();
            let value = take_prefixed(&mut rest)?;
            Some((name, value))
        })
    }
}

/// Appends one header in the form that [`Headers`] reads.
pub fn write_header(out: &mut Vec<u8>, name: &[u8], value: Option<&[u8]>) {
    out.extend_from_slice(&(name.len() as u32).to_le_bytes());
    out.extend_from_slice(name);
    out.extend_from_slice(&value.map_or(NULL, |value| value.len() as u32).to_le_bytes());
    out.extend_from_slice(value.unwrap_or_default());
}

/// Appends one header whose value is a text.
pub fn write_text_header(out: &mut Vec<u8>, name: &[u8], value: fmt::Arguments<'_>) {
    write_header(out, name, Some(b""));
    let start = out.len();
    // Writing into memory cannot fail.
    let _ = out.write_fmt(value);
    let length = ((out.len() - start) as u32).to_le_bytes();
    if let Some(prefix) = out.get_mut(start - length.len()..start) {
        prefix.copy_from_slice(&length);
    }
}

fn take_prefixed<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let (length, tail) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length);
    if length == NULL {
        *rest = tail;
        return Some(None);
    }
    let (part, tail) = tail.split_at_checked(length as usize)?;
    *rest = tail;
    Some(Some(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_as_it_went_in() {
        let mut batch = RecordBatch::new(1024, 8);
        batch.push(3, 7, -1, None, Some(b"v"), |_| ());
        batch.push(4, 8, 9, Some(b""), None, |out| {
            write_header(out, b"a", Some(b"1"));
            write_header(out, b"", None);
        });
        let records: Vec<_> = batch.iter().collect();
        assert_eq!((records[0].slot, records[0].offset, records[0].timestamp_ms), (3, 7, -1));
        assert_eq!((records[0].key, records[0].value), (None, Some(&b"v"[..])));
        assert_eq!((records[1].key, records[1].value), (Some(&b""[..]), None));
        let headers: Vec<_> = records[1].headers.iter().collect();
        assert_eq!(headers, [(&b"a"[..], Some(&b"1"[..])), (&b""[..], None)]);
        assert_eq!(records[0].headers.iter().count(), 0);
    }

    #[test]
    fn a_giant_record_fills_the_batch_and_its_memory_is_given_back() {
        let mut batch = RecordBatch::new(64, 8);
        batch.push(0, 0, 0, None, Some(&[0; 1000]), |_| ());
        assert!(batch.is_full());
        batch.clear();
        assert!(!batch.is_full());
        assert!(batch.bytes.capacity() < 1000);
    }
}
