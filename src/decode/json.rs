//! A strict reader of RFC 8259: one pass over the whole value, which notes where the wanted members stand.
//!
//! It never builds a tree, never recurses (its stack is a recycled vector of at most [`MAX_DEPTH`] frames), and never
//! asks what a number or a string means.

use super::detail::{Detail, What};
use super::number::{self, Short};
use super::paths::{Paths, ROOT, UNREAD};
use super::string;
use super::trail::Trail;
use super::words;

/// Most levels of objects and arrays; the root is level 1.
pub(super) const MAX_DEPTH: usize = 128;

/// What stands in a JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Missing,
    Null,
    Bool,
    Number,
    String { escaped: bool },
    Object,
    Array,
}

/// What was found for one path, and its range of bytes; of an object or array only the start counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) kind: Kind,
    pub(super) start: u32,
    pub(super) end: u32,
    /// What it says, if it is a short number.
    pub(super) short: Short,
}

/// One open object or array.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// The bracket that closes it, which also says what it is.
    closer: u8,
    /// Which of its members are wanted.
    node: usize,
}

/// Reads one value; the last of a duplicate member is what remains in `found`. The trail leads past its scalars.
///
/// # Errors
/// The first place where the value is not one JSON object.
pub(super) fn read(
    bytes: &[u8],
    paths: &Paths,
    stack: &mut Vec<Frame>,
    found: &mut [Found],
    trail: Option<&mut Trail>,
) -> Result<(), Detail> {
    if simdutf8::basic::from_utf8(bytes).is_err() {
        let at = str::from_utf8(bytes).map_or_else(|error| error.valid_up_to() as u32, |_| 0);
        return Err(Detail::new(What::NotUtf8, Some(at)));
    }
    stack.clear();
    found.fill(Found::MISSING);
    Reader { bytes, at: 0, paths, stack, found, trail }.read()
}

impl Found {
    pub(super) const MISSING: Self = Self { kind: Kind::Missing, start: 0, end: 0, short: Short::NOT };

    /// The double, if this is a number that is easy to round.
    #[inline]
    pub(super) fn exact(&self) -> Option<f64> {
        if self.kind == Kind::Number { self.short.exact() } else { None }
    }

    /// The number, if it is whole and short.
    #[inline]
    pub(super) fn whole(&self) -> Option<i64> {
        if self.kind == Kind::Number { self.short.whole() } else { None }
    }

    /// The bytes as they stand in the value.
    pub(super) fn text<'a>(&self, value: &'a [u8]) -> &'a [u8] {
        value.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// The bytes between the quotes of a string.
    pub(super) fn inside<'a>(&self, value: &'a [u8]) -> &'a [u8] {
        value.get(self.start as usize + 1..(self.end as usize).saturating_sub(1)).unwrap_or_default()
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: u32,
    paths: &'a Paths,
    stack: &'a mut Vec<Frame>,
    found: &'a mut [Found],
    trail: Option<&'a mut Trail>,
}

impl Reader<'_> {
    fn read(&mut self) -> Result<(), Detail> {
        self.space();
        if !self.eat(b'{') {
            return Err(self.expected(What::ExpectedObject));
        }
        let mut frame = Frame { closer: b'}', node: ROOT };
        let mut opened = true;
        loop {
            self.space();
            if self.eat(frame.closer) {
                let Some(outer) = self.stack.pop() else { break };
                (frame, opened) = (outer, false);
                continue;
            }
            if !opened {
                if !self.eat(b',') {
                    return Err(self.expected(What::ExpectedCommaOrEnd));
                }
                self.space();
            }
            let node = if frame.closer == b'}' { self.name(frame.node)? } else { UNREAD };
            let found @ Found { kind, start, .. } = self.value()?;
            self.at = found.end;
            opened = matches!(kind, Kind::Object | Kind::Array);
            self.note(node, found);
            if opened {
                // `frame` is one level more than the stack holds, the new one another.
                if self.stack.len() + 2 > MAX_DEPTH {
                    return Err(Detail::new(What::TooDeep, Some(start)));
                }
                self.stack.push(frame);
                frame = match kind {
                    Kind::Object => Frame { closer: b'}', node },
                    _ => Frame { closer: b']', node: UNREAD },
                };
            }
        }
        self.space();
        if (self.at as usize) < self.bytes.len() { Err(self.expected(What::ExpectedNothing)) } else { Ok(()) }
    }

    /// `"name":` and the white space around it; the node of that member.
    #[inline]
    fn name(&mut self, parent: usize) -> Result<usize, Detail> {
        if self.peek() != b'"' {
            return Err(self.expected(What::ExpectedName));
        }
        let start = self.at + 1;
        let (end, escaped) = string::scan(self.bytes, self.at, &mut false)?;
        self.at = end;
        self.space();
        if !self.eat(b':') {
            return Err(self.expected(What::ExpectedColon));
        }
        self.space();
        if parent == UNREAD {
            return Ok(UNREAD);
        }
        let name = self.bytes.get(start as usize..end as usize - 1).unwrap_or_default();
        Ok(if escaped { self.paths.child_escaped(parent, name) } else { self.paths.child(parent, name) })
    }

    /// A scalar up to its end, or only the opening bracket of a container.
    #[inline]
    fn value(&self) -> Result<Found, Detail> {
        let (kind, bytes) = match self.peek() {
            b'{' => (Kind::Object, 1),
            b'[' => (Kind::Array, 1),
            _ => return scalar(self.bytes, self.at, &mut false), // UTF-8 is known
        };
        Ok(Found { kind, start: self.at, end: self.at + bytes, short: Short::NOT })
    }

    /// Replaces whatever an earlier member of the same name had left, at this path and beneath it.
    #[inline]
    fn note(&mut self, node: usize, new: Found) {
        let (slot, subtree) = if node == UNREAD { (None, 0..0) } else { self.paths.slots_of(node) };
        let old = self.found.get_mut(subtree).unwrap_or_default();
        if let Some(trail) = &mut self.trail {
            trail.note(slot, new, old);
        }
        old.fill(Found::MISSING);
        if let Some(found) = slot.and_then(|slot| self.found.get_mut(slot)) {
            *found = new;
        }
    }

    /// The next byte; 0, which no grammar takes, after the last.
    #[inline]
    fn peek(&self) -> u8 {
        words::byte(self.bytes, self.at)
    }

    #[inline]
    fn eat(&mut self, byte: u8) -> bool {
        let is = self.peek() == byte;
        self.at += u32::from(is);
        is
    }

    #[inline]
    fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    #[cold]
    fn expected(&self, what: What) -> Detail {
        expected(what, self.bytes, self.at)
    }
}

/// Reads the string, number or word that begins at `start`. If there is more than ASCII in it, `high` becomes true: it
/// does not look at UTF-8.
///
/// # Errors
/// The first place where it is none of these.
pub(super) fn scalar(bytes: &[u8], start: u32, high: &mut bool) -> Result<Found, Detail> {
    let found = |kind, end| Ok(Found { kind, start, end, short: Short::NOT });
    let word = words::word(bytes, start);
    let [first, ..] = word.to_le_bytes();
    if first == b'"' {
        let (end, escaped) = string::scan(bytes, start, high)?;
        return found(Kind::String { escaped }, end);
    }
    if first.is_ascii_digit() || first == b'-' {
        let mut short = Short::NOT;
        return match number::read(bytes, start, &mut short) {
            Ok(end) => Ok(Found { kind: Kind::Number, start, end, short }),
            Err(at) => Err(expected(What::ExpectedDigit, bytes, at)),
        };
    }
    match &word.to_le_bytes() {
        [b't', b'r', b'u', b'e', ..] => found(Kind::Bool, start + 4),
        [b'f', b'a', b'l', b's', b'e', ..] => found(Kind::Bool, start + 5),
        [b'n', b'u', b'l', b'l', ..] => found(Kind::Null, start + 4),
        _ => Err(expected(What::ExpectedValue, bytes, start)),
    }
}

#[cold]
fn expected(what: What, bytes: &[u8], at: u32) -> Detail {
    Detail::new(if (at as usize) < bytes.len() { what } else { What::Truncated }, Some(at))
}
