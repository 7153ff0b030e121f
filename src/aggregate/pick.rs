//! `first` and `last`: the scalar at the lowest or highest (event time, offset).
//!
//! Three words: event time, offset, and where the JSON text lies in the table's text arena (spot 32 bits, capacity 16,
//! length 16; length 0 is "nothing yet", no JSON scalar is empty). A longer text moves to a place of at least
//! twice the capacity, so a row wastes at most as much again as its longest text.

use super::{At, NULL, set, word};
use crate::pool::{Arena, Spot};

pub(super) const IDENTITY: [u64; 3] = [0, 0, 0];

const CAPACITY_MIN: usize = 16;
const CAPACITY_MAX: usize = u16::MAX as usize;

/// Which end of the order is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    First,
    Last,
}

#[inline]
pub(super) fn add(order: Order, words: &mut [u64], texts: &mut Arena, at: At, text: &[u8]) {
    let held = At { time_ms: word(words, 0) as i64, offset: word(words, 1) as i64 };
    let place = Place::of(word(words, 2));
    let wanted = match order {
        Order::First => at < held,
        Order::Last => at > held,
    };
    if place.len == 0 || wanted {
        set(words, 0, at.time_ms as u64);
        set(words, 1, at.offset as u64);
        set(words, 2, place.write(texts, text).word());
    }
}

pub(super) fn merge(order: Order, words: &mut [u64], texts: &mut Arena, other: &[u64], other_texts: &Arena) {
    let text = Place::of(word(other, 2)).read(other_texts);
    if !text.is_empty() {
        let at = At { time_ms: word(other, 0) as i64, offset: word(other, 1) as i64 };
        add(order, words, texts, at, text);
    }
}

/// The most words of the arena that adding this text can take: a new place is less than twice as long as its text.
pub(super) const fn text_words_max(text_bytes: usize) -> usize {
    (2 * text_bytes + CAPACITY_MIN).div_ceil(size_of::<u64>()) + 1
}

/// Length of the text that the words tell of, in bytes.
pub(super) fn text_bytes(words: &[u64]) -> usize {
    Place::of(word(words, 2)).len
}

pub(super) fn write(words: &[u64], texts: &Arena, out: &mut Vec<u8>) {
    let text = Place::of(word(words, 2)).read(texts);
    out.extend_from_slice(if text.is_empty() { NULL } else { text });
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    spot: Spot,
    capacity: usize,
    len: usize,
}

impl Place {
    fn of(word: u64) -> Self {
        let field = |shift: u32| (word >> shift) as usize & CAPACITY_MAX;
        Self { spot: Spot::of((word >> 32) as u32), capacity: field(16), len: field(0) }
    }

    fn word(self) -> u64 {
        u64::from(self.spot.number()) << 32 | (self.capacity as u64) << 16 | self.len as u64
    }

    fn read(self, texts: &Arena) -> &[u8] {
        texts.bytes_at(self.spot, self.len)
    }

    fn write(self, texts: &mut Arena, text: &[u8]) -> Self {
        let place = if text.len() <= self.capacity {
            Self { len: text.len(), ..self }
        } else {
            let capacity = text.len().max(2 * self.capacity).clamp(CAPACITY_MIN, CAPACITY_MAX);
            let spot = texts.take(capacity.div_ceil(size_of::<u64>()));
            Self { spot, capacity, len: text.len().min(capacity) }
        };
        texts.write_bytes(place.spot, text);
        place
    }
}
