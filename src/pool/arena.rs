//! Words in leased pages: handed out side by side, never moved, given back all at once. Knows nothing of what they mean.
//!
//! The first pages are as large as what is expected; beyond that each is at most as large as all before it together, so
//! that little is held in vain and many words still lie in few pages.

use super::{Class, Full, Hot, Lease, Need};

/// Where some words begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spot(u32);

/// Of a [`Spot`], the bits for the word in its page: those of the largest class.
const WORD_BITS: u32 = (Class::LARGEST.bytes() / size_of::<u64>()).trailing_zeros();
const PAGES_MAX: usize = 1 << (u32::BITS - WORD_BITS);

/// The largest piece that an arena can hand out, in words.
pub const PIECE_WORDS_MAX: usize = 1 << WORD_BITS;

impl Spot {
    /// The spot as a number below 2³² − 1.
    #[inline]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The spot of a [`Self::number`].
    #[inline]
    pub const fn of(number: u32) -> Self {
        Self(number)
    }

    /// So many words further in the same page.
    #[inline]
    pub const fn plus(self, words: usize) -> Self {
        Self(self.0 + words as u32)
    }

    fn at(page: usize, word: usize) -> Self {
        Self((page as u32) << WORD_BITS | word as u32)
    }

    #[inline]
    const fn page(self) -> usize {
        (self.0 >> WORD_BITS) as usize
    }

    #[inline]
    const fn word(self) -> usize {
        self.0 as usize & (PIECE_WORDS_MAX - 1)
    }
}

/// Pages of words.
#[derive(Debug, Default)]
pub struct Arena {
    pages: Vec<Page>,
    bytes: usize,
    expected_bytes: usize,
}

#[derive(Debug)]
struct Page {
    lease: Lease,
    used: usize,
}

impl Arena {
    /// Sizes the next pages for so many bytes in all.
    pub fn prepare(&mut self, bytes: usize) {
        self.expected_bytes = bytes;
    }

    /// Bytes of the pages for so many bytes of small pieces, once they were expected.
    pub const fn bytes_for(bytes: usize) -> usize {
        let smallest = Class::SMALLEST.bytes();
        bytes.div_ceil(smallest) * smallest
    }

    /// Makes sure that [`Self::take`] can hand out `words` in all without another page.
    ///
    /// # Errors
    /// No memory for this need; nothing has changed.
    #[inline]
    pub fn ensure(&mut self, hot: &mut Hot, words: usize, need: Need) -> Result<(), Full> {
        if self.pages.last().is_some_and(|page| page.lease.words().len() - page.used >= words) {
            return Ok(());
        }
        self.extend(hot, words, need)
    }

    #[cold]
    fn extend(&mut self, hot: &mut Hot, words: usize, need: Need) -> Result<(), Full> {
        let at_least = Class::holding(words * size_of::<u64>()).ok_or(Full)?;
        if self.pages.len() == PAGES_MAX {
            return Err(Full);
        }
        let wanted = self.expected_bytes.saturating_sub(self.bytes).max(self.bytes / 2);
        let class = Class::within(wanted).max(at_least);
        let lease = hot.acquire(class, need).or_else(|_| hot.acquire(at_least, need))?;
        self.bytes += lease.class().bytes();
        self.pages.push(Page { lease, used: 0 });
        Ok(())
    }

    /// Hands out `words`; what lies in them is left over from their last use. The caller has [`Self::ensure`]d them.
    #[inline]
    pub fn take(&mut self, words: usize) -> Spot {
        let number = self.pages.len().saturating_sub(1);
        let Some(page) = self.pages.last_mut() else { return Spot::default() };
        let spot = Spot::at(number, page.used);
        page.used += words;
        spot
    }

    /// `words` from this spot on; none if they were never handed out.
    #[inline]
    pub fn words(&self, spot: Spot, words: usize) -> &[u64] {
        let page = self.pages.get(spot.page()).map_or(&[][..], |page| page.lease.words());
        page.get(spot.word()..spot.word() + words).unwrap_or_default()
    }

    /// The same, to be written.
    #[inline]
    pub fn words_mut(&mut self, spot: Spot, words: usize) -> &mut [u64] {
        let page = self.pages.get_mut(spot.page()).map_or(&mut [][..], |page| page.lease.words_mut());
        page.get_mut(spot.word()..spot.word() + words).unwrap_or_default()
    }

    /// `bytes` from this spot on.
    #[inline]
    pub fn bytes_at(&self, spot: Spot, bytes: usize) -> &[u8] {
        let page = self.pages.get(spot.page()).map_or(&[][..], |page| page.lease.bytes());
        let start = spot.word() * size_of::<u64>();
        page.get(start..start + bytes).unwrap_or_default()
    }

    #[inline]
    fn bytes_at_mut(&mut self, spot: Spot, bytes: usize) -> &mut [u8] {
        let page = self.pages.get_mut(spot.page()).map_or(&mut [][..], |page| page.lease.bytes_mut());
        let start = spot.word() * size_of::<u64>();
        page.get_mut(start..start + bytes).unwrap_or_default()
    }

    /// Copies bytes to where room for them was handed out.
    #[inline]
    pub fn write_bytes(&mut self, spot: Spot, bytes: &[u8]) {
        let target = self.bytes_at_mut(spot, bytes.len());
        if target.len() == bytes.len() {
            target.copy_from_slice(bytes);
        }
    }

    /// The first spot at or after this one where something was handed out: the end of a page is the beginning of the
    /// next.
    #[inline]
    pub fn settle(&self, spot: Spot) -> Option<Spot> {
        let page = self.pages.get(spot.page())?;
        if spot.word() < page.used {
            return Some(spot);
        }
        let next = spot.page() + 1;
        self.pages.get(next).filter(|page| page.used > 0).map(|_| Spot::at(next, 0))
    }

    /// Bytes of all pages.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Number of pages.
    pub fn pages(&self) -> usize {
        self.pages.len()
    }

    /// Bytes of what was handed out.
    pub fn used_bytes(&self) -> usize {
        self.pages.iter().map(|page| page.used * size_of::<u64>()).sum()
    }

    /// The page that a spot lies in, and the spot's word in it.
    #[inline]
    pub fn page_of(&self, spot: Spot) -> (&[u64], usize) {
        (self.pages.get(spot.page()).map_or(&[][..], |page| page.lease.words()), spot.word())
    }

    /// Gives all pages back.
    pub fn release(&mut self, hot: &mut Hot) {
        self.pages.drain(..).for_each(|page| hot.release(page.lease));
        self.bytes = 0;
        self.expected_bytes = 0;
    }
}
