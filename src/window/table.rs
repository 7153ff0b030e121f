//! Rows by key: one pane's, or one closed window's, in leased pages.
//!
//! A row is its key's length and code, its accumulators and its key's bytes, side by side; rows never move and keep the
//! order in which their keys came, so nothing that leaves a table depends on the hash. An index finds them. Texts of
//! `first` and `last` lie in pages of their own. All of it is lent by the pool: closing a pane hands the table on, and
//! releasing it gives every page back.

use super::dense::Dense;
use super::index::Index;
use super::keys::Keys;
use super::prefetch::prefetch;
use crate::aggregate::{At, Layout};
use crate::decode::Value;
use crate::pool::{Arena, Full, Hot, Need, Spot};

/// Words of a cache line.
const LINE_WORDS: usize = 8;
/// Words of a row before its accumulators: the key's code in the high half, its length in the low half.
const HEAD: usize = 1;

/// Rows of accumulators by key.
#[derive(Debug, Default)]
pub struct Table {
    places: Places,
    rows: Arena,
    texts: Arena,
    len: usize,
}

/// How rows are found.
#[derive(Debug)]
enum Places {
    Hashed(Index),
    Dense(Dense),
}

impl Default for Places {
    fn default() -> Self {
        Self::Hashed(Index::default())
    }
}

/// What a table holds, and so what the next one will probably need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fill {
    rows: usize,
    row_bytes: usize,
    text_bytes: usize,
}

/// Where memory for a table comes from.
#[derive(Debug)]
pub struct Source<'a> {
    /// The lane's pool.
    pub hot: &'a mut Hot,
    /// What it is for.
    pub need: Need,
}

/// One row, to be read.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// The key, byte for byte.
    pub key: &'a [u8],
    /// Its accumulators ([`Layout`]).
    pub words: &'a [u64],
    /// Where the texts of `first` and `last` lie.
    pub texts: &'a Arena,
    code: u32,
}

/// Bytes that a table takes for so many rows, in the pages and segments that it would lease; with declared keys, for
/// that many of them.
pub fn bytes_for(layout: &Layout, rows: usize, key_bytes_mean: usize, declared: Option<usize>) -> usize {
    let row_words = HEAD + layout.identity().len() + key_words(key_bytes_mean);
    let places = declared.map_or_else(|| Index::bytes_for(rows), Dense::bytes_for);
    places + Arena::bytes_for(rows * row_words * size_of::<u64>())
}

#[inline]
fn head(code: u32, key: &[u8]) -> u64 {
    u64::from(code) << 32 | key.len() as u64
}

fn key_words(key_bytes: usize) -> usize {
    key_bytes.div_ceil(size_of::<u64>())
}

impl Table {
    /// Makes an empty table ready for what another held. With declared keys rows are found without hashing.
    ///
    /// # Errors
    /// No memory for this need; nothing has changed.
    pub fn prepare(&mut self, source: &mut Source<'_>, keys: &Keys, fill: Fill) -> Result<(), Full> {
        debug_assert!(self.is_empty());
        match keys.declared() {
            Some(declared) => {
                let mut dense = match std::mem::take(&mut self.places) {
                    Places::Dense(dense) => dense,
                    Places::Hashed(_) => Dense::default(),
                };
                let expected = dense.prepare(source.hot, declared, source.need);
                self.places = Places::Dense(dense);
                expected?;
            }
            None => {
                if let Places::Hashed(index) = &mut self.places {
                    index.prepare(source.hot, fill.rows, source.need)?;
                }
            }
        }
        self.rows.prepare(fill.row_bytes);
        self.texts.prepare(fill.text_bytes);
        Ok(())
    }

    /// Gives all memory back; the table is empty then.
    pub fn release(&mut self, hot: &mut Hot) {
        match &mut self.places {
            Places::Hashed(index) => index.release(hot),
            Places::Dense(dense) => dense.release(hot),
        }
        self.rows.release(hot);
        self.texts.release(hot);
        self.len = 0;
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that the table holds, used or not.
    pub fn bytes(&self) -> usize {
        let places = match &self.places {
            Places::Hashed(index) => index.bytes(),
            Places::Dense(dense) => dense.bytes(),
        };
        places + self.rows.bytes() + self.texts.bytes()
    }

    /// What it holds.
    pub fn fill(&self) -> Fill {
        Fill { rows: self.len, row_bytes: self.rows.used_bytes(), text_bytes: self.texts.used_bytes() }
    }

    /// Adds one record to the row of its key.
    ///
    /// # Errors
    /// No memory for this need; no row has changed.
    #[inline]
    pub fn add<'v>(
        &mut self,
        source: &mut Source<'_>,
        layout: &Layout,
        code: u32,
        key: &[u8],
        at: At,
        value: impl Fn(usize) -> Value<'v>,
    ) -> Result<(), Full> {
        if layout.has_texts() {
            self.texts.ensure(source.hot, layout.text_words(&value), source.need)?;
        }
        let words = self.find_or_insert(source, layout, code, key)?;
        layout.add(self.rows.words_mut(words, layout.identity().len()), &mut self.texts, at, value);
        Ok(())
    }

    /// Merges all rows of `other` into this table.
    ///
    /// # Errors
    /// No memory for this need; the table is of no use then.
    pub fn merge(&mut self, source: &mut Source<'_>, layout: &Layout, other: &Self) -> Result<(), Full> {
        other.rows(layout).try_for_each(|theirs| self.merge_row(source, layout, &theirs))
    }

    /// Merges one row of another table into this one.
    ///
    /// # Errors
    /// As [`Self::merge`].
    pub fn merge_row(&mut self, source: &mut Source<'_>, layout: &Layout, theirs: &Row<'_>) -> Result<(), Full> {
        if layout.has_texts() {
            self.texts.ensure(source.hot, layout.text_words_of(theirs.words), source.need)?;
        }
        let words = self.find_or_insert(source, layout, theirs.code, theirs.key)?;
        let words = self.rows.words_mut(words, layout.identity().len());
        layout.merge(words, &mut self.texts, theirs.words, theirs.texts);
        Ok(())
    }

    /// The row of a key.
    pub fn find<'t>(&'t self, layout: &Layout, code: u32, key: &[u8]) -> Option<Row<'t>> {
        self.row(layout, self.spot(layout, code, key)?)
    }

    /// The rows in the order in which their keys came.
    pub fn rows<'t>(&'t self, layout: &'t Layout) -> impl Iterator<Item = Row<'t>> + use<'t> {
        let mut at = self.first();
        std::iter::from_fn(move || {
            let spot = at?;
            at = self.next(layout, spot);
            self.row(layout, spot)
        })
    }

    /// Where the first row lies.
    pub fn first(&self) -> Option<Spot> {
        self.rows.settle(Spot::default())
    }

    /// Where the row after the one at `spot` lies.
    pub fn next(&self, layout: &Layout, spot: Spot) -> Option<Spot> {
        let (_, key_bytes) = self.head(spot);
        self.rows.settle(spot.plus(HEAD + layout.identity().len() + key_words(key_bytes)))
    }

    /// Where the `index`-th row lies.
    pub fn spot_of(&self, layout: &Layout, index: usize) -> Option<Spot> {
        (0..index).try_fold(self.first()?, |spot, _| self.next(layout, spot))
    }

    /// The row that lies at `spot`.
    pub fn row<'t>(&'t self, layout: &Layout, spot: Spot) -> Option<Row<'t>> {
        let (code, key_bytes) = self.head(spot);
        let width = layout.identity().len();
        let words = self.rows.words(spot.plus(HEAD), width);
        let key = self.rows.bytes_at(spot.plus(HEAD + width), key_bytes);
        (words.len() == width).then_some(Row { key, words, texts: &self.texts, code })
    }

    /// Brings what finds the row of a code nearer.
    #[inline]
    pub fn prefetch_place(&self, code: u32) {
        match &self.places {
            Places::Hashed(index) => index.prefetch(code),
            Places::Dense(dense) => dense.prefetch(code),
        }
    }

    /// Brings the row of a code nearer, once its place is near.
    #[inline]
    pub fn prefetch_row(&self, code: u32) {
        let spot = match &self.places {
            Places::Hashed(index) => index.guess(code),
            Places::Dense(dense) => dense.find(code),
        };
        if let Some(spot) = spot {
            let (page, word) = self.rows.page_of(spot);
            prefetch(page, word);
            // The key lies behind the accumulators, often in the next line.
            prefetch(page, word + LINE_WORDS);
        }
    }

    #[inline]
    fn head(&self, spot: Spot) -> (u32, usize) {
        let head = self.rows.words(spot, HEAD).first().copied().unwrap_or_default();
        ((head >> 32) as u32, head as u32 as usize)
    }

    /// Where the accumulators of a key lie.
    #[inline]
    fn find_or_insert(
        &mut self,
        source: &mut Source<'_>,
        layout: &Layout,
        code: u32,
        key: &[u8],
    ) -> Result<Spot, Full> {
        match self.spot(layout, code, key) {
            Some(spot) => Ok(spot.plus(HEAD)),
            None => self.insert(source, layout, head(code, key), key),
        }
    }

    /// Where the row of a key lies.
    #[inline]
    fn spot(&self, layout: &Layout, code: u32, key: &[u8]) -> Option<Spot> {
        let (head, width, rows) = (head(code, key), layout.identity().len(), &self.rows);
        match &self.places {
            Places::Hashed(index) => index.find(code, |spot| {
                rows.words(spot, HEAD).first() == Some(&head)
                    && rows.bytes_at(spot.plus(HEAD + width), key.len()) == key
            }),
            Places::Dense(dense) => dense.find(code),
        }
    }

    #[cold]
    fn insert(&mut self, source: &mut Source<'_>, layout: &Layout, head: u64, key: &[u8]) -> Result<Spot, Full> {
        let code = (head >> 32) as u32;
        let width = layout.identity().len();
        let words = HEAD + width + key_words(key.len());
        if let Places::Hashed(index) = &mut self.places {
            index.ensure(source.hot, code, source.need)?;
        }
        self.rows.ensure(source.hot, words, source.need)?;
        let spot = self.rows.take(words);
        if let Some((first, rest)) = self.rows.words_mut(spot, words).split_first_mut() {
            *first = head;
            rest.iter_mut().zip(layout.identity()).for_each(|(word, identity)| *word = *identity);
        }
        self.rows.write_bytes(spot.plus(HEAD + width), key);
        match &mut self.places {
            Places::Hashed(index) => index.insert(code, spot),
            Places::Dense(dense) => dense.insert(code, spot),
        }
        self.len += 1;
        Ok(spot.plus(HEAD))
    }
}

#[cfg(test)]
mod tests;
