//! Late records and dead letters of one task, whole, until the commit that makes them visible.

use super::shelf::Shelf;
use crate::broker::{Headers, Record, TopicPartition, write_header, write_text_header};
use crate::fate::{Fate, Reason};
use crate::pool::{Full, Hot};
use std::fmt::{self, Write as _};

/// A key that a topic may refuse goes out as its first so many bytes.
const KEY_PREFIX: usize = 1024;

/// A detail is for people; a longer one is cut.
const DETAIL_BYTES_KEPT: usize = 1 << 10;

const NONE: u32 = u32::MAX;

/// Records waiting for the next commit, in offset order, their bytes in leased pages.
#[derive(Debug, Default)]
pub struct Rejected {
    shelf: Shelf<{ Entry::WORDS }>,
    /// Recycled bytes of the detail that is being written.
    detail: Vec<u8>,
}

/// What a shelf keeps of a record beside its bytes: key, value, headers and detail, one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    offset: i64,
    timestamp_ms: i64,
    reason: Reason,
    late: Option<Lateness>,
    key_len: u32,
    value_len: u32,
    headers_len: u32,
    truncated: bool,
}

impl Entry {
    const WORDS: usize = 7;
    /// Its word with [`Self::TRUNCATED`] in it.
    const FLAGS: usize = 6;
    const TRUNCATED: u64 = 1 << 32;
    const LATE: u64 = 1 << 33;

    fn words(&self) -> [u64; Self::WORDS] {
        let late = self.late.unwrap_or(Lateness { watermark_ms: 0, window_end_ms: 0 });
        [
            self.offset as u64,
            self.timestamp_ms as u64,
            late.watermark_ms as u64,
            late.window_end_ms as u64,
            u64::from(self.key_len) << 32 | u64::from(self.value_len),
            u64::from(self.headers_len),
            self.reason as u64
                | if self.truncated { Self::TRUNCATED } else { 0 }
                | if self.late.is_some() { Self::LATE } else { 0 },
        ]
    }

    fn of(words: &[u64]) -> Option<Self> {
        let &[offset, timestamp_ms, watermark_ms, window_end_ms, lengths, headers_len, flags] = words else {
            return None;
        };
        let late = Lateness { watermark_ms: watermark_ms as i64, window_end_ms: window_end_ms as i64 };
        Some(Self {
            offset: offset as i64,
            timestamp_ms: timestamp_ms as i64,
            reason: Reason::ALL.into_iter().find(|reason| *reason as u64 == flags & 0xff)?,
            late: (flags & Self::LATE != 0).then_some(late),
            key_len: (lengths >> 32) as u32,
            value_len: lengths as u32,
            headers_len: headers_len as u32,
            truncated: flags & Self::TRUNCATED != 0,
        })
    }
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
    ///
    /// # Errors
    /// There is no memory for it; nothing has changed.
    pub fn push(
        &mut self,
        hot: &mut Hot,
        record: &Record<'_>,
        reason: Reason,
        detail: fmt::Arguments<'_>,
        late: Option<Lateness>,
    ) -> Result<(), Full> {
        self.detail.clear();
        // Writing into memory cannot fail.
        let _ = AsciiWriter(&mut self.detail).write_fmt(detail);
        self.detail.truncate(DETAIL_BYTES_KEPT);
        let length = |bytes: Option<&[u8]>| bytes.map_or(NONE, |bytes| bytes.len() as u32);
        let entry = Entry {
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            reason,
            late,
            key_len: length(record.key),
            value_len: length(record.value),
            headers_len: record.headers.0.len() as u32,
            truncated: false,
        };
        let (key, value) = (record.key.unwrap_or_default(), record.value.unwrap_or_default());
        self.shelf.put(hot, entry.words(), &[key, value, record.headers.0, &self.detail])
    }

    /// True if nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Records that wait.
    pub fn len(&self) -> usize {
        self.shelf.len()
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.shelf.bytes()
    }

    /// The `index`-th waiting record; keys over `key_max` go out shortened.
    pub fn get(&self, index: usize, key_max: usize) -> Option<RejectedRecord<'_>> {
        let (words, bytes) = self.shelf.get(index)?;
        let entry = Entry::of(words)?;
        let mut rest = bytes;
        let mut take = |len: u32| {
            let (part, behind) = rest.split_at_checked(if len == NONE { 0 } else { len as usize }).unwrap_or_default();
            rest = behind;
            part
        };
        let (key, value, headers) = (take(entry.key_len), take(entry.value_len), take(entry.headers_len));
        let has_value = entry.value_len != NONE && !entry.truncated;
        Some(RejectedRecord {
            offset: entry.offset,
            timestamp_ms: entry.timestamp_ms,
            reason: entry.reason,
            key: (entry.key_len != NONE).then_some(key),
            value: has_value.then_some(value),
            headers: Headers(headers),
            detail: rest,
            late: entry.late,
            key_max,
            truncated_len: entry.truncated.then_some(value.len()),
        })
    }

    /// The record goes out without its value from now on; false if it already did.
    pub fn truncate(&mut self, index: usize) -> bool {
        let flags = self.shelf.words_mut(index).and_then(|words| words.get_mut(Entry::FLAGS));
        flags.is_some_and(|flags| {
            let before = *flags;
            *flags |= Entry::TRUNCATED;
            before & Entry::TRUNCATED == 0
        })
    }

    /// Number of waiting records with an offset below `limit`.
    pub fn count_below(&self, limit: i64) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = (low + high) / 2;
            let is_below =
                self.shelf.get(middle).and_then(|(words, _)| words.first()).is_some_and(|it| (*it as i64) < limit);
            (low, high) = if is_below { (middle + 1, high) } else { (low, middle) };
        }
        low
    }

    /// Forgets the first `count` records: they are committed.
    pub fn release(&mut self, hot: &mut Hot, count: usize) {
        self.shelf.release(hot, count);
    }

    /// Forgets all records, for a task that goes away.
    pub fn release_all(&mut self, hot: &mut Hot) {
        self.shelf.release_all(hot);
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
    use crate::pool::{Limits, Pool};

    fn record<'a>(offset: i64, key: Option<&'a [u8]>, value: &'a [u8]) -> Record<'a> {
        Record { slot: 0, offset, timestamp_ms: 5, key, value: Some(value), headers: Headers::default() }
    }

    fn hot() -> Hot {
        Pool::new(Limits::UNBOUNDED).hot()
    }

    #[test]
    fn what_waits_comes_out_whole_after_a_partial_release() {
        let (mut rejected, mut hot) = (Rejected::default(), hot());
        for offset in 0..500_i64 {
            let value = vec![b'v'; offset as usize * 10];
            let late = (offset % 2 == 0).then_some(Lateness { watermark_ms: -offset, window_end_ms: offset });
            let detail = format_args!("at {offset} é");
            rejected.push(&mut hot, &record(offset, Some(b"k"), &value), Reason::Malformed, detail, late).unwrap();
        }
        assert_eq!(rejected.count_below(300), 300);
        rejected.release(&mut hot, 300);
        for index in 0..200_usize {
            let (view, offset) = (rejected.get(index, 100).unwrap(), 300 + index as i64);
            let late = (offset % 2 == 0).then_some(Lateness { watermark_ms: -offset, window_end_ms: offset });
            assert_eq!((view.offset, view.timestamp_ms, view.reason), (offset, 5, Reason::Malformed));
            assert_eq!((view.key, view.value.unwrap().len(), view.late), (Some(&b"k"[..]), offset as usize * 10, late));
            assert_eq!(view.detail, format!("at {offset} ?").as_bytes());
        }
        assert!(rejected.truncate(1) && !rejected.truncate(1));
        let second = rejected.get(1, 100).unwrap();
        assert_eq!((second.value, second.truncated_len), (None, Some(3010)));
        rejected.release(&mut hot, 200);
        assert!(rejected.is_empty() && rejected.bytes() == 0);
        assert_eq!(hot.pool().all_home(), Ok(()));
    }

    #[test]
    fn a_record_larger_than_any_page_waits_as_well_and_so_does_what_comes_after_it() {
        let (mut rejected, mut hot) = (Rejected::default(), hot());
        let giant = vec![b'v'; 5 << 20];
        let values = [&b"before"[..], &giant, b"after"];
        let mut push = |rejected: &mut Rejected, value: &[u8]| {
            let (offset, detail) = (value.len() as i64, value.len());
            rejected.push(&mut hot, &record(offset, None, value), Reason::TooLarge, format_args!("{detail}"), None)
        };
        for value in values {
            push(&mut rejected, value).unwrap();
        }
        for (index, value) in values.iter().enumerate() {
            let view = rejected.get(index, 100).unwrap();
            assert!(view.value == Some(value), "the value of {index} is another's");
            assert_eq!(view.detail, value.len().to_string().as_bytes());
        }
        rejected.release(&mut Pool::new(Limits::UNBOUNDED).hot(), 2);
        push(&mut rejected, &giant).unwrap();
        assert_eq!(rejected.get(0, 100).unwrap().value, Some(&b"after"[..]));
        rejected.release_all(&mut hot);
        assert_eq!((rejected.len(), rejected.bytes()), (0, 0));
        assert_eq!(hot.pool().all_home(), Ok(()));
    }

    #[test]
    fn without_memory_nothing_is_kept() {
        let mut hot = Pool::new(Limits { ceiling_bytes: 8 << 10, reserve_bytes: 0 }).hot();
        let mut rejected = Rejected::default();
        let kept = (0..100).take_while(|&offset| {
            let record = record(offset, Some(b"k"), &[b'v'; 500]);
            rejected.push(&mut hot, &record, Reason::Malformed, format_args!(""), None).is_ok()
        });
        assert_eq!(kept.count(), rejected.len());
        assert!((10..16).contains(&rejected.len()), "{}", rejected.len());
    }

    #[test]
    fn a_key_over_the_limit_goes_out_as_its_first_kibibyte_with_its_length() {
        let (mut rejected, mut hot) = (Rejected::default(), hot());
        let key = vec![b'k'; 3000];
        rejected.push(&mut hot, &record(0, Some(&key), b""), Reason::TooLarge, format_args!(""), None).unwrap();
        let view = rejected.get(0, 2000).unwrap();
        assert_eq!((view.key_out().unwrap().len(), view.key.unwrap().len()), (1024, 3000));
        let mut headers = Vec::new();
        view.write_headers(&TopicPartition { topic: "t".into(), partition: 0 }, &mut headers);
        assert!(Headers(&headers).iter().any(|header| header == (&b"tidemill.key_length"[..], Some(&b"3000"[..]))));
    }
}
