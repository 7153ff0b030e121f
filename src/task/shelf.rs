//! Byte strings with a few words each, in leased pages, oldest first: what waits for a commit.
//!
//! Slotted pages, as databases have them: bytes from the front, the words from the back. Knows nothing of records.

use crate::pool::{Class, Full, Hot, Lease, Need};
use std::collections::VecDeque;

/// Items in the order in which they came, each with `WORDS` words.
#[derive(Debug, Default)]
pub(super) struct Shelf<const WORDS: usize> {
    pages: VecDeque<Page>,
    /// Items put and taken away, ever.
    put: u64,
    gone: u64,
}

#[derive(Debug)]
struct Page {
    lease: Lease,
    /// Number of its first item.
    first: u64,
    items: usize,
    used_bytes: usize,
    /// The bytes of its only item, where no page is large enough: no topic takes it without its own settings.
    giant: Option<Box<[u8]>>,
}

impl<const WORDS: usize> Shelf<WORDS> {
    /// The item's words, and where its bytes lie: start in the high half, length in the low half.
    const SLOT_WORDS: usize = WORDS + 1;
    const SLOT_BYTES: usize = Self::SLOT_WORDS * size_of::<u64>();

    /// Puts an item with these bytes, part after part.
    ///
    /// # Errors
    /// No memory; nothing has changed.
    pub(super) fn put(&mut self, hot: &mut Hot, words: [u64; WORDS], parts: &[&[u8]]) -> Result<(), Full> {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        let is_giant = Class::holding(bytes + Self::SLOT_BYTES).is_none();
        let needed = Self::SLOT_BYTES + if is_giant { 0 } else { bytes };
        let has_room = |page: &Page| {
            let used = page.used_bytes + page.items * Self::SLOT_BYTES;
            page.giant.is_none() && used + needed <= page.lease.class().bytes()
        };
        if !self.pages.back().is_some_and(|page| has_room(page) && !is_giant) {
            let at_least = Class::holding(needed).ok_or(Full)?;
            let class = Class::within(self.bytes() / 2).max(at_least);
            let lease = hot.acquire(class, Need::Merge).or_else(|_| hot.acquire(at_least, Need::Merge))?;
            self.pages.push_back(Page { lease, first: self.put, items: 0, used_bytes: 0, giant: None });
        }
        let Some(page) = self.pages.back_mut() else { return Err(Full) };
        let mut at = page.used_bytes;
        if is_giant {
            page.giant = Some(parts.concat().into_boxed_slice());
        } else {
            for part in parts {
                if let Some(target) = page.lease.bytes_mut().get_mut(at..at + part.len()) {
                    target.copy_from_slice(part);
                }
                at += part.len();
            }
        }
        page.items += 1;
        let place = (page.used_bytes as u64) << 32 | bytes as u64;
        page.used_bytes = at;
        if let Some((last, rest)) = Self::slot_mut(page, page.items - 1).split_last_mut() {
            *last = place;
            rest.copy_from_slice(&words);
        }
        self.put += 1;
        Ok(())
    }

    /// Items on the shelf.
    pub(super) fn len(&self) -> usize {
        (self.put - self.gone) as usize
    }

    /// Bytes of its pages.
    pub(super) fn bytes(&self) -> usize {
        let giant = |page: &Page| page.giant.as_ref().map_or(0, |bytes| bytes.len());
        self.pages.iter().map(|page| page.lease.class().bytes() + giant(page)).sum()
    }

    /// Words and bytes of the `index`-th item.
    pub(super) fn get(&self, index: usize) -> Option<(&[u64], &[u8])> {
        let (page, slot) = self.find(index)?;
        let page = self.pages.get(page)?;
        let (place, words) = Self::slot(page, slot).split_last()?;
        let (start, len) = ((place >> 32) as usize, (*place & 0xffff_ffff) as usize);
        let bytes = match &page.giant {
            Some(bytes) => bytes,
            None => page.lease.bytes().get(start..start + len)?,
        };
        Some((words, bytes))
    }

    /// Words of the `index`-th item, to be written.
    pub(super) fn words_mut(&mut self, index: usize) -> Option<&mut [u64]> {
        let (page, slot) = self.find(index)?;
        Self::slot_mut(self.pages.get_mut(page)?, slot).get_mut(..WORDS)
    }

    /// Takes the first `count` items away.
    pub(super) fn release(&mut self, hot: &mut Hot, count: usize) {
        self.gone = (self.gone + count as u64).min(self.put);
        while let Some(page) = self.pages.pop_front_if(|page| page.first + page.items as u64 <= self.gone) {
            hot.release(page.lease);
        }
    }

    /// Takes everything away.
    pub(super) fn release_all(&mut self, hot: &mut Hot) {
        self.release(hot, usize::MAX / 2);
    }

    fn find(&self, index: usize) -> Option<(usize, usize)> {
        let number = self.gone + index as u64;
        let page = self.pages.partition_point(|page| page.first <= number).checked_sub(1)?;
        let slot = (number - self.pages.get(page)?.first) as usize;
        (slot < self.pages.get(page)?.items).then_some((page, slot))
    }

    fn slot(page: &Page, slot: usize) -> &[u64] {
        let words = page.lease.words();
        let start = words.len().saturating_sub((slot + 1) * Self::SLOT_WORDS);
        words.get(start..start + Self::SLOT_WORDS).unwrap_or_default()
    }

    fn slot_mut(page: &mut Page, slot: usize) -> &mut [u64] {
        let words = page.lease.words_mut();
        let start = words.len().saturating_sub((slot + 1) * Self::SLOT_WORDS);
        words.get_mut(start..start + Self::SLOT_WORDS).unwrap_or_default()
    }
}
