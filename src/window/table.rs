//! Rows by key: one pane's, or one closed window's.
//!
//! A row is its key's place, its hash and its accumulators, side by side in one array; an index of `u64` entries (row
//! number and a tag of the hash, linear probing) finds it. Rows keep the order in which their keys came, so nothing
//! that leaves a table depends on the hash. Cleared and used again, a table allocates only beyond what it once held.

use crate::aggregate::{At, Layout};
use crate::decode::Value;
use foldhash::quality::FixedState;
use std::hash::BuildHasher;

/// Words of a row before its accumulators: hash, and the key's place (offset 40 bits, length 24 bits).
const HEAD: usize = 2;
const EMPTY: u64 = 0;
const INDEX_MIN: usize = 16;

/// Rows of accumulators by key.
#[derive(Debug, Default)]
pub struct Table {
    /// Row number plus one in the low half, high half of the hash in the high half; 0 is empty. Length: a power of 2.
    index: Vec<u64>,
    words: Vec<u64>,
    keys: Vec<u8>,
    texts: Vec<u8>,
    rows: usize,
}

/// Hashes keys with a seed drawn for each process: keys come from outside.
#[derive(Clone, Debug)]
pub struct KeyHasher(FixedState);

impl KeyHasher {
    /// A hasher for one seed.
    pub fn new(seed: u64) -> Self {
        Self(FixedState::with_seed(seed))
    }

    /// The hash of a key.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        self.0.hash_one(key)
    }
}

/// One row, to be read.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// The key, byte for byte.
    pub key: &'a [u8],
    /// Its accumulators ([`Layout`]).
    pub words: &'a [u64],
    /// Where the texts of `first` and `last` lie.
    pub texts: &'a [u8],
    hash: u64,
}

impl Table {
    /// Makes room for `rows` rows, so that an expected load never rehashes.
    pub fn reserve(&mut self, rows: usize) {
        let wanted = (rows * 2).next_power_of_two().max(INDEX_MIN);
        if wanted > self.index.len() && self.rows == 0 {
            self.index.clear();
            self.index.resize(wanted, EMPTY);
        }
    }

    /// Forgets the rows and keeps the memory.
    pub fn clear(&mut self) {
        self.index.fill(EMPTY);
        self.words.clear();
        self.keys.clear();
        self.texts.clear();
        self.rows = 0;
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Bytes that the table holds, used or not.
    pub fn bytes(&self) -> usize {
        (self.index.capacity() + self.words.capacity()) * size_of::<u64>()
            + self.keys.capacity()
            + self.texts.capacity()
    }

    /// Adds one record to the row of its key.
    #[inline]
    pub fn add<'v>(&mut self, layout: &Layout, hash: u64, key: &[u8], at: At, value: impl Fn(usize) -> Value<'v>) {
        let row = self.find_or_insert(layout, hash, key);
        let (words, texts) = self.row_mut(layout, row);
        layout.add(words, texts, at, value);
    }

    /// Merges all rows of `other` into this table.
    pub fn merge(&mut self, layout: &Layout, other: &Self) {
        for theirs in other.rows(layout) {
            let row = self.find_or_insert(layout, theirs.hash, theirs.key);
            let (words, texts) = self.row_mut(layout, row);
            layout.merge(words, texts, theirs.words, theirs.texts);
        }
    }

    /// The rows in the order in which their keys came.
    pub fn rows<'t>(&'t self, layout: &Layout) -> impl ExactSizeIterator<Item = Row<'t>> + use<'t> {
        self.words.chunks_exact(HEAD + layout.identity().len()).map(|words| self.view(words))
    }

    /// The `index`-th row in that order.
    pub fn row<'t>(&'t self, layout: &Layout, index: usize) -> Option<Row<'t>> {
        let stride = HEAD + layout.identity().len();
        self.words.get(index * stride..(index + 1) * stride).map(|words| self.view(words))
    }

    fn view<'t>(&'t self, words: &'t [u64]) -> Row<'t> {
        let (head, words) = words.split_at_checked(HEAD).unwrap_or_default();
        let hash = head.first().copied().unwrap_or_default();
        let place = head.last().copied().unwrap_or_default();
        Row { key: self.key_at(place), words, texts: &self.texts, hash }
    }

    fn key_at(&self, place: u64) -> &[u8] {
        let (at, len) = ((place >> 24) as usize, (place & 0xff_ffff) as usize);
        self.keys.get(at..at + len).unwrap_or_default()
    }

    fn row_mut(&mut self, layout: &Layout, row: usize) -> (&mut [u64], &mut Vec<u8>) {
        let stride = HEAD + layout.identity().len();
        let words = self.words.get_mut(row * stride + HEAD..(row + 1) * stride).unwrap_or_default();
        (words, &mut self.texts)
    }

    #[inline]
    fn find_or_insert(&mut self, layout: &Layout, hash: u64, key: &[u8]) -> usize {
        if (self.rows + 1) * 4 > self.index.len() * 3 {
            self.grow(layout);
        }
        let stride = HEAD + layout.identity().len();
        let mask = self.index.len() - 1;
        let tag = hash & 0xffff_ffff_0000_0000;
        let mut at = hash as usize & mask;
        loop {
            let entry = self.index.get(at).copied().unwrap_or(EMPTY);
            if entry == EMPTY {
                break;
            }
            if entry & 0xffff_ffff_0000_0000 == tag {
                let row = (entry & 0xffff_ffff) as usize - 1;
                if self.words.get(row * stride + 1).is_some_and(|place| self.key_at(*place) == key) {
                    return row;
                }
            }
            at = (at + 1) & mask;
        }
        let row = self.rows;
        if let Some(entry) = self.index.get_mut(at) {
            *entry = tag | (row as u64 + 1);
        }
        self.rows += 1;
        self.words.extend_from_slice(&[hash, (self.keys.len() as u64) << 24 | key.len() as u64]);
        self.words.extend_from_slice(layout.identity());
        self.keys.extend_from_slice(key);
        row
    }

    fn grow(&mut self, layout: &Layout) {
        let wanted = (self.index.len() * 2).max(INDEX_MIN);
        self.index.clear();
        self.index.resize(wanted, EMPTY);
        let stride = HEAD + layout.identity().len();
        let mask = wanted - 1;
        for (row, words) in self.words.chunks_exact(stride).enumerate() {
            let hash = words.first().copied().unwrap_or_default();
            let mut at = hash as usize & mask;
            while self.index.get(at).is_some_and(|entry| *entry != EMPTY) {
                at = (at + 1) & mask;
            }
            if let Some(entry) = self.index.get_mut(at) {
                *entry = hash & 0xffff_ffff_0000_0000 | (row as u64 + 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Aggregate, AggregateKind};
    use std::collections::HashMap;

    fn count() -> Layout {
        Layout::new(&[Aggregate { name: "n".into(), kind: AggregateKind::Count, path: None }])
    }

    fn counts(table: &Table, layout: &Layout) -> Vec<(Vec<u8>, u64)> {
        table.rows(layout).map(|row| (row.key.to_vec(), row.words[0])).collect()
    }

    #[test]
    fn rows_count_like_a_map_whatever_the_hash_and_keep_their_order() {
        let layout = count();
        for constant_hash in [false, true] {
            let hasher = KeyHasher::new(7);
            let (mut table, mut map, mut order) = (Table::default(), HashMap::new(), Vec::new());
            for number in 0..3000_u64 {
                let key = (number * number % 701).to_string().into_bytes();
                let hash = if constant_hash { 5 } else { hasher.hash(&key) };
                table.add(&layout, hash, &key, At { time_ms: 0, offset: 0 }, |_| Value::Missing);
                *map.entry(key.clone()).or_insert(0) += 1;
                if map[&key] == 1 {
                    order.push(key);
                }
            }
            let expected: Vec<_> = order.into_iter().map(|key| (key.clone(), map[&key])).collect();
            assert_eq!(counts(&table, &layout), expected);
        }
    }

    #[test]
    fn a_cleared_table_is_empty_and_holds_its_memory() {
        let layout = count();
        let mut table = Table::default();
        table.reserve(100);
        for number in 0..100_u64 {
            table.add(&layout, number, &number.to_le_bytes(), At { time_ms: 0, offset: 0 }, |_| Value::Missing);
        }
        let bytes = table.bytes();
        table.clear();
        assert!(table.is_empty() && table.rows(&layout).next().is_none());
        table.add(&layout, 1, b"", At { time_ms: 0, offset: 0 }, |_| Value::Missing);
        assert_eq!(counts(&table, &layout), [(Vec::new(), 1)]);
        assert_eq!(table.bytes(), bytes);
    }

    #[test]
    fn merging_tables_adds_rows_of_equal_keys() {
        let layout = count();
        let (mut a, mut b) = (Table::default(), Table::default());
        for (table, keys) in [(&mut a, ["x", "y"]), (&mut b, ["y", "z"])] {
            for key in keys {
                let hash = u64::from(key.as_bytes()[0]) << 32;
                table.add(&layout, hash, key.as_bytes(), At { time_ms: 0, offset: 0 }, |_| Value::Missing);
            }
        }
        a.merge(&layout, &b);
        assert_eq!(counts(&a, &layout), [(b"x".to_vec(), 1), (b"y".to_vec(), 2), (b"z".to_vec(), 1)]);
    }
}
