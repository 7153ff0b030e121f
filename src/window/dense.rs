//! Finds rows by the number of a declared key: one array, no probing, no comparing.

use super::prefetch::prefetch;
use crate::pool::{Class, Full, Hot, Lease, Need, Spot};

const EMPTY: u64 = 0;
const PART_WORDS: usize = Class::LARGEST.bytes() / size_of::<u64>();

/// An array of spots plus one, in leased parts; 0 is a key that has no row yet.
#[derive(Debug, Default)]
pub(super) struct Dense(Vec<Lease>);

impl Dense {
    /// Bytes of an array for so many declared keys.
    pub(super) fn bytes_for(keys: usize) -> usize {
        let last = Class::holding(keys % PART_WORDS * size_of::<u64>()).map_or(0, Class::bytes);
        keys / PART_WORDS * Class::LARGEST.bytes() + if keys.is_multiple_of(PART_WORDS) { 0 } else { last }
    }

    /// Makes an empty array for so many declared keys.
    ///
    /// # Errors
    /// No memory for this need; nothing has changed.
    pub(super) fn prepare(&mut self, hot: &mut Hot, keys: usize, need: Need) -> Result<(), Full> {
        let mut left = keys;
        while left > 0 {
            let words = left.min(PART_WORDS);
            let class = Class::holding(words * size_of::<u64>()).unwrap_or(Class::LARGEST);
            match hot.acquire(class, need) {
                Ok(mut part) => {
                    part.words_mut().iter_mut().take(words).for_each(|word| *word = EMPTY);
                    self.0.push(part);
                }
                Err(full) => {
                    self.release(hot);
                    return Err(full);
                }
            }
            left -= words;
        }
        Ok(())
    }

    /// The row of a key.
    #[inline]
    pub(super) fn find(&self, number: u32) -> Option<Spot> {
        let part = self.0.get(number as usize / PART_WORDS)?;
        let word = *part.words().get(number as usize % PART_WORDS)?;
        word.checked_sub(1).map(|spot| Spot::of(spot as u32))
    }

    /// Adds the row of a key.
    #[inline]
    pub(super) fn insert(&mut self, number: u32, spot: Spot) {
        let part = self.0.get_mut(number as usize / PART_WORDS);
        if let Some(word) = part.and_then(|part| part.words_mut().get_mut(number as usize % PART_WORDS)) {
            *word = u64::from(spot.number()) + 1;
        }
    }

    /// Brings the word of a key nearer.
    #[inline]
    pub(super) fn prefetch(&self, number: u32) {
        if let Some(part) = self.0.get(number as usize / PART_WORDS) {
            prefetch(part.words(), number as usize % PART_WORDS);
        }
    }

    /// Bytes of all parts.
    pub(super) fn bytes(&self) -> usize {
        self.0.iter().map(|part| part.class().bytes()).sum()
    }

    /// Gives all parts back.
    pub(super) fn release(&mut self, hot: &mut Hot) {
        self.0.drain(..).for_each(|part| hot.release(part));
    }
}
