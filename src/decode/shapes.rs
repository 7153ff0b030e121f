//! The shapes of the last records: everything but their scalars, byte for byte. A record that fits needs no parser.
//!
//! The shapes are a trie of steps: some literal bytes (brackets, names, colons, commas, white space) and then a scalar,
//! which is read by the full grammar. So whatever fits is one valid object whose names stand as they stood in a record
//! that the general reader has accepted. It never refuses a record: what does not fit goes to the general reader, and
//! its shape is learned.

use super::json::{self, Found, Kind};
use super::number;
use super::trail::{Scalar, Trail, UNREAD};
use super::words::{self, byte, word};
use std::iter::successors;
use std::ops::Range;

/// Most steps of all shapes together: four shapes of 60 members, or 30 of eight.
const STEPS_MAX: usize = 256;
/// Most words of literals beyond the first and last eight bytes of each.
const WORDS_MAX: usize = 2 * STEPS_MAX;
/// Most ways to go on from one step.
const WAYS_MAX: usize = 8;
/// Shapes were worth learning if so many records have fitted for each.
const WORTH: u64 = 8;
/// Records to be passed over when shapes were learned in vain: twice as many each time, within these bounds.
const REST: (u64, u64) = (64, 1 << 16);

/// No step.
const NONE: u32 = u32::MAX;
/// Instead of a slot: no scalar follows, the record ends.
const END: usize = usize::MAX - 1;

/// What the last records looked like.
#[derive(Debug)]
pub(super) struct Shapes {
    steps: Vec<Step>,
    /// Where every record begins.
    first: u32,
    words: Vec<u64>,
    /// Records that have fitted, and shapes learned, since all was last forgotten.
    pub(super) hits: u64,
    learned: u64,
    /// How many records to pass over after shapes were learned in vain, and how many of these are left.
    rest: u64,
    resting: u64,
}

/// Literal bytes, and the scalar or the end after them.
#[derive(Debug)]
struct Step {
    /// Of the literal, in bytes.
    length: u32,
    /// The first eight bytes, and which bits of them count.
    head: u64,
    mask: u64,
    /// The last eight bytes, if there are more than eight.
    tail: u64,
    /// In `words`: what is between.
    middle: Range<usize>,
    /// Where to note the scalar; or [`UNREAD`], or [`END`].
    slot: usize,
    /// The step after the scalar.
    next: u32,
    /// What to try instead. It is never longer, so that of two literals that begin alike the longer has its turn.
    other: u32,
}

impl Shapes {
    pub(super) fn new() -> Self {
        let (steps, words) = (Vec::with_capacity(STEPS_MAX), Vec::with_capacity(WORDS_MAX));
        Self { steps, first: NONE, words, hits: 0, learned: 0, rest: 0, resting: 0 }
    }

    /// Reads a value as [`json::read`] would; false, with anything in `found`, unless it has a shape that is known.
    #[inline(never)] // it needs all the registers there are
    pub(super) fn read(&mut self, bytes: &[u8], found: &mut [Found]) -> bool {
        found.fill(Found::MISSING);
        let (mut at, mut index, mut high, mut unread) = (0, self.first, false, Found::MISSING);
        loop {
            let Some(mut step) = self.get(index) else { return false };
            if !self.fits(step, bytes, at) {
                let Some(other) = self.other(step, bytes, at) else { return false };
                step = other;
            }
            let start = at + step.length;
            let place = match found.get_mut(step.slot) {
                Some(place) => place,
                None if step.slot == END && start as usize == bytes.len() => break,
                None => &mut unread,
            };
            let Some(end) = scalar(bytes, start, step.slot, &mut high, place) else { return false };
            (at, index) = (end, step.next);
        }
        self.hits += 1;
        !high || simdutf8::basic::from_utf8(bytes).is_ok()
    }

    /// Another step than this, whose literal does not stand at `at`.
    #[inline(never)]
    fn other(&self, step: &Step, bytes: &[u8], at: u32) -> Option<&Step> {
        let mut others = successors(self.get(step.other), |step| self.get(step.other));
        let ends = |step: &Step| step.slot != END || (at + step.length) as usize == bytes.len();
        others.find(|step| self.fits(step, bytes, at) && ends(step))
    }

    /// Whether to learn the shape of a record that did not fit.
    pub(super) fn learns(&mut self) -> bool {
        let learns = self.resting == 0;
        self.resting = self.resting.saturating_sub(1);
        learns
    }

    /// Learns the shape of a record from the way that the general reader went.
    pub(super) fn learn(&mut self, bytes: &[u8], trail: &Trail) {
        let Some(scalars) = trail.scalars() else { return };
        let length = bytes.len() as u32;
        let end = Scalar { start: length, end: length, slot: END };
        let (mut at, mut last) = (0, NONE);
        for scalar in scalars.iter().chain([&end]) {
            let literal = bytes.get(at as usize..scalar.start as usize).unwrap_or_default();
            let Some(step) = self.step(last, literal, scalar.slot) else { return self.forget() };
            (at, last) = (scalar.end, step);
        }
        self.learned += 1;
    }

    /// Whether the literal of `step` stands at `at`. No literal has a zero in it, which stands for what is beyond the end.
    #[inline(always)]
    fn fits(&self, step: &Step, bytes: &[u8], at: u32) -> bool {
        if (word(bytes, at) ^ step.head) & step.mask != 0 {
            return false;
        }
        step.length <= 8
            || (word(bytes, at + step.length - 8) == step.tail && (step.length <= 16 || self.goes_on(step, bytes, at)))
    }

    #[inline(never)]
    fn goes_on(&self, step: &Step, bytes: &[u8], at: u32) -> bool {
        let middle = self.words.get(step.middle.clone()).unwrap_or_default();
        (1..).zip(middle).all(|(index, &middle)| word(bytes, at + 8 * index) == middle)
    }

    /// The step with this literal after `last`, if need be a new one; `None` when there is no room.
    fn step(&mut self, last: u32, literal: &[u8], slot: usize) -> Option<u32> {
        let length = literal.len() as u32;
        let (mut before, mut index) = (NONE, self.after(last));
        let ways = successors(self.get(index), |step| self.get(step.other)).count();
        while let Some(step) = self.get(index).filter(|step| step.length >= length) {
            if step.length == length && self.fits(step, literal, 0) {
                return Some(index);
            }
            (before, index) = (index, step.other);
        }
        // Whole words only: the tail covers the rest.
        let middle = self.words.len()..self.words.len() + literal.len().saturating_sub(9) / 8;
        if self.steps.len() == STEPS_MAX || middle.end > WORDS_MAX || ways == WAYS_MAX {
            return None;
        }
        self.words.extend((1..).zip(middle.clone()).map(|(index, _)| word(literal, 8 * index)));
        let mask = u64::MAX.checked_shr(64 - 8 * length.min(8)).unwrap_or(0);
        let (head, tail) = (word(literal, 0), word(literal, length.saturating_sub(8)));
        let new = self.steps.len() as u32;
        self.steps.push(Step { length, head, mask, tail, middle, slot, next: NONE, other: index });
        match (self.steps.get_mut(before as usize), last) {
            (Some(before), _) => before.other = new,
            (None, NONE) => self.first = new,
            (None, last) => self.steps.get_mut(last as usize)?.next = new,
        }
        Some(new)
    }

    fn get(&self, index: u32) -> Option<&Step> {
        self.steps.get(index as usize)
    }

    fn after(&self, last: u32) -> u32 {
        if last == NONE { self.first } else { self.get(last).map_or(NONE, |step| step.next) }
    }

    #[cfg(test)]
    pub(super) fn used(&self) -> usize {
        self.steps.len()
    }

    #[cfg(test)]
    pub(super) fn room(&self) -> (usize, usize) {
        (self.steps.capacity(), self.words.capacity())
    }

    /// Makes room for other shapes; after a rest, if these were not worth it.
    fn forget(&mut self) {
        let worth = self.hits >= WORTH * self.learned;
        self.rest = if worth { 0 } else { (2 * self.rest).clamp(REST.0, REST.1) };
        self.resting = self.rest;
        (self.hits, self.learned, self.first) = (0, 0, NONE);
        self.steps.clear();
        self.words.clear();
    }
}

/// Reads what [`json::scalar`] reads, as far as it is common; the offset after it.
///
/// It writes every part of `place` by itself: a copy of the whole would have to wait for the writes.
#[inline(always)]
fn scalar(bytes: &[u8], start: u32, slot: usize, high: &mut bool, place: &mut Found) -> Option<u32> {
    let first = byte(bytes, start);
    let end;
    if first == b'"' {
        let quote = words::plain(bytes, start + 1, high);
        if byte(bytes, quote) != b'"' {
            return rare(bytes, start, high, place);
        }
        end = quote + 1;
        place.kind = Kind::String { escaped: false };
    } else if first <= b'9' {
        if slot == UNREAD {
            return number::skip(bytes, start).ok();
        }
        end = number::read(bytes, start, &mut place.short).ok()?;
        place.kind = Kind::Number;
    } else {
        return rare(bytes, start, high, place);
    }
    (place.start, place.end) = (start, end);
    Some(end)
}

#[inline(never)]
fn rare(bytes: &[u8], start: u32, high: &mut bool, place: &mut Found) -> Option<u32> {
    *place = json::scalar(bytes, start, high).ok()?;
    Some(place.end)
}
