//! `first` and `last`: the scalar at the lowest or highest (event time, offset).
//!
//! Three words: event time, offset, and where the JSON text lies in the table's text arena (offset 32 bits, capacity
//! 16, length 16; length 0 is "nothing yet", no JSON scalar is empty). A longer text moves to a place of at least
//! twice the capacity, so a row wastes at most as much again as its longest text.

use super::{At, NULL, set, word};

pub(super) const IDENTITY: [u64; 3] = [0, 0, 0];

const CAPACITY_MIN: usize = 16;

/// Which end of the order is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    First,
    Last,
}

#[inline]
pub(super) fn add(order: Order, words: &mut [u64], texts: &mut Vec<u8>, at: At, text: &[u8]) {
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

pub(super) fn merge(order: Order, words: &mut [u64], texts: &mut Vec<u8>, other: &[u64], other_texts: &[u8]) {
    let text = Place::of(word(other, 2)).read(other_texts);
    if !text.is_empty() {
        let at = At { time_ms: word(other, 0) as i64, offset: word(other, 1) as i64 };
        add(order, words, texts, at, text);
    }
}

pub(super) fn write(words: &[u64], texts: &[u8], out: &mut Vec<u8>) {
    let text = Place::of(word(words, 2)).read(texts);
    out.extend_from_slice(if text.is_empty() { NULL } else { text });
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    at: usize,
    capacity: usize,
    len: usize,
}

impl Place {
    fn of(word: u64) -> Self {
        let field = |shift: u32, bits: u64| ((word >> shift) & bits) as usize;
        Self { at: field(32, 0xffff_ffff), capacity: field(16, 0xffff), len: field(0, 0xffff) }
    }

    fn word(self) -> u64 {
        (self.at as u64) << 32 | (self.capacity as u64) << 16 | self.len as u64
    }

    fn read(self, texts: &[u8]) -> &[u8] {
        texts.get(self.at..self.at + self.len).unwrap_or_default()
    }

    fn write(self, texts: &mut Vec<u8>, text: &[u8]) -> Self {
        let place = if text.len() <= self.capacity {
            Self { len: text.len(), ..self }
        } else {
            let capacity = text.len().max(2 * self.capacity).max(CAPACITY_MIN);
            let at = texts.len();
            texts.resize(at + capacity, 0);
            Self { at, capacity, len: text.len() }
        };
        if let Some(target) = texts.get_mut(place.at..place.at + place.len) {
            target.copy_from_slice(text);
        }
        place
    }
}
