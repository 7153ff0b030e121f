//! Finds rows by their key's code: linear probing over `u64` entries in leased segments.
//!
//! An entry is the code in the high half and the row's spot plus one in the low half; 0 is empty. A segment grows by the
//! factor of a size class; at [`SEGMENT_MAX`] it is split by one more bit of the code instead (extendible hashing: Fagin
//! et al., TODS 1979), so that growing ten million keys takes one segment of extra memory, not a second index. Entries
//! hold all that growing needs: rows are not touched.

use super::prefetch::prefetch;
use crate::pool::{Class, Full, Hot, Lease, Need, Spot};

const EMPTY: u64 = 0;
/// 1 MiB.
const SEGMENT_MAX: Class = Class::ALL[4];
const ENTRIES_MAX: usize = SEGMENT_MAX.bytes() / size_of::<u64>();

/// An index of one table.
#[derive(Debug, Default)]
pub(super) struct Index {
    segments: Vec<Segment>,
    /// By the first bits of a code: which segment. Length: a power of two.
    directory: Vec<u32>,
    /// Bits of a code behind those of the directory.
    shift: u32,
}

#[derive(Debug)]
struct Segment {
    lease: Lease,
    len: usize,
    /// Bits of the code that all its entries share.
    depth: u32,
}

/// True if a segment of so many entries must grow before it takes another: three quarters are the most.
const fn is_full(len: usize, entries: usize) -> bool {
    (len + 1) * 4 > entries * 3
}

/// Class and number (as a power of two) of the segments for so many rows.
fn shape(rows: usize) -> (Class, u32) {
    // A few more than expected, or the very last of them would make it grow.
    let entries = (rows + rows / 8).max(1) * 4 / 3 + 2;
    let class = Class::holding(entries * size_of::<u64>()).map_or(SEGMENT_MAX, |class| class.min(SEGMENT_MAX));
    (class, entries.div_ceil(ENTRIES_MAX).next_power_of_two().trailing_zeros())
}

const fn entry(code: u32, spot: Spot) -> u64 {
    (code as u64) << 32 | (spot.number() as u64 + 1)
}

/// Code and spot of an entry that is not empty.
const fn parts(entry: u64) -> (u32, Spot) {
    ((entry >> 32) as u32, Spot::of((entry as u32).wrapping_sub(1)))
}

impl Segment {
    fn lease(hot: &mut Hot, class: Class, depth: u32, need: Need) -> Result<Self, Full> {
        let mut lease = hot.acquire(class, need)?;
        lease.words_mut().fill(EMPTY);
        Ok(Self { lease, len: 0, depth })
    }

    /// The entry of this code for whose row `is_it` holds.
    #[inline]
    fn find(&self, code: u32, mut is_it: impl FnMut(Spot) -> bool) -> Option<Spot> {
        let words = self.lease.words();
        let mask = words.len() - 1;
        let mut at = code as usize & mask;
        loop {
            let entry = words.get(at).copied().unwrap_or(EMPTY);
            if entry == EMPTY {
                return None;
            }
            let (other, spot) = parts(entry);
            if other == code && is_it(spot) {
                return Some(spot);
            }
            at = (at + 1) & mask;
        }
    }

    /// Room was made for it.
    fn put(&mut self, entry: u64) {
        let words = self.lease.words_mut();
        let mask = words.len() - 1;
        let mut at = (entry >> 32) as usize & mask;
        while words.get(at).is_some_and(|other| *other != EMPTY) {
            at = (at + 1) & mask;
        }
        if let Some(free) = words.get_mut(at) {
            *free = entry;
            self.len += 1;
        }
    }

    /// Moves every entry to `low`, or to `high` if the bit of its code is set.
    fn move_to(&self, low: &mut Self, mut high: Option<(&mut Self, u32)>) {
        for &entry in self.lease.words().iter().filter(|entry| **entry != EMPTY) {
            match &mut high {
                Some((high, bit)) if (entry >> 32) as u32 & *bit != 0 => high.put(entry),
                _ => low.put(entry),
            }
        }
    }
}

impl Index {
    /// Makes an empty index that takes `rows` without growing.
    ///
    /// # Errors
    /// No memory for this need; nothing has changed.
    pub(super) fn prepare(&mut self, hot: &mut Hot, rows: usize, need: Need) -> Result<(), Full> {
        debug_assert!(self.segments.is_empty());
        let (class, depth) = shape(rows);
        for _ in 0..1_u32 << depth {
            match Segment::lease(hot, class, depth, need) {
                Ok(segment) => self.segments.push(segment),
                Err(full) => {
                    self.release(hot);
                    return Err(full);
                }
            }
        }
        self.directory.extend(0..1_u32 << depth);
        self.shift = u32::BITS - depth;
        Ok(())
    }

    /// Bytes of the segments for so many rows.
    pub(super) fn bytes_for(rows: usize) -> usize {
        let (class, depth) = shape(rows);
        class.bytes() << depth
    }

    #[inline]
    fn number(&self, code: u32) -> Option<usize> {
        let place = code.checked_shr(self.shift).unwrap_or(0) as usize;
        self.directory.get(place).map(|number| *number as usize)
    }

    #[inline]
    fn segment(&self, code: u32) -> Option<&Segment> {
        self.segments.get(self.number(code)?)
    }

    /// The row of this code for which `is_it` holds.
    #[inline]
    pub(super) fn find(&self, code: u32, is_it: impl FnMut(Spot) -> bool) -> Option<Spot> {
        self.segment(code)?.find(code, is_it)
    }

    /// Brings the entry of a code nearer.
    #[inline]
    pub(super) fn prefetch(&self, code: u32) {
        if let Some(segment) = self.segment(code) {
            let words = segment.lease.words();
            prefetch(words, code as usize & (words.len() - 1));
        }
    }

    /// The first row of this code, probably the one that [`Self::find`] will find.
    #[inline]
    pub(super) fn guess(&self, code: u32) -> Option<Spot> {
        self.find(code, |_| true)
    }

    /// Makes room for one more row of this code.
    ///
    /// # Errors
    /// No memory for this need; nothing has changed.
    #[inline]
    pub(super) fn ensure(&mut self, hot: &mut Hot, code: u32, need: Need) -> Result<(), Full> {
        loop {
            match self.segment(code) {
                None => self.prepare(hot, 0, need)?,
                Some(segment) if is_full(segment.len, segment.lease.words().len()) => self.grow(hot, code, need)?,
                Some(_) => return Ok(()),
            }
        }
    }

    /// Adds a row that is not there; the caller has [`Self::ensure`]d the room.
    #[inline]
    pub(super) fn insert(&mut self, code: u32, spot: Spot) {
        if let Some(segment) = self.number(code).and_then(|number| self.segments.get_mut(number)) {
            segment.put(entry(code, spot));
        }
    }

    #[cold]
    fn grow(&mut self, hot: &mut Hot, code: u32, need: Need) -> Result<(), Full> {
        let Some(number) = self.number(code) else { return Ok(()) };
        let Some(full) = self.segments.get_mut(number) else { return Ok(()) };
        // All codes alike: no bit is left to tell them apart.
        if full.lease.class() < SEGMENT_MAX || full.depth == u32::BITS {
            let larger = Class::holding(full.lease.class().bytes() + 1).ok_or(Full)?;
            let mut grown = Segment::lease(hot, larger, full.depth, need)?;
            full.move_to(&mut grown, None);
            hot.release(std::mem::replace(full, grown).lease);
            return Ok(());
        }
        let depth = full.depth + 1;
        let class = full.lease.class();
        let mut low = Segment::lease(hot, class, depth, need)?;
        let mut high = match Segment::lease(hot, class, depth, need) {
            Ok(high) => high,
            Err(error) => {
                hot.release(low.lease);
                return Err(error);
            }
        };
        full.move_to(&mut low, Some((&mut high, 1 << (u32::BITS - depth))));
        hot.release(std::mem::replace(full, low).lease);
        self.segments.push(high);
        if u32::BITS - depth < self.shift {
            self.directory = self.directory.iter().flat_map(|number| [*number; 2]).collect();
            self.shift -= 1;
        }
        let new = (self.segments.len() - 1) as u32;
        let bit = depth - 1;
        let bits = u32::BITS - self.shift;
        for (place, segment) in self.directory.iter_mut().enumerate() {
            if *segment as usize == number && place as u32 >> (bits - 1 - bit) & 1 == 1 {
                *segment = new;
            }
        }
        Ok(())
    }

    /// Bytes of all segments.
    pub(super) fn bytes(&self) -> usize {
        self.segments.iter().map(|segment| segment.lease.class().bytes()).sum()
    }

    /// Gives all segments back.
    pub(super) fn release(&mut self, hot: &mut Hot) {
        self.segments.drain(..).for_each(|segment| hot.release(segment.lease));
        self.directory.clear();
    }
}
