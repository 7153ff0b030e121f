//! A strict reader of RFC 8259: one pass over the whole value, which notes where the wanted members stand.
//!
//! It never builds a tree, never recurses (its stack is a recycled vector of at most [`MAX_DEPTH`] frames), and never
//! asks what a number or a string means.

use super::detail::{Detail, What};
use super::paths::{Paths, ROOT, UNREAD};
use super::string;

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
    pub(super) start: usize,
    pub(super) end: usize,
}

/// One open object or array.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// The bracket that closes it, which also says what it is.
    closer: u8,
    /// Which of its members are wanted.
    node: usize,
}

/// Reads one value; the last of a duplicate member is what remains in `found`, which starts out all missing.
///
/// # Errors
/// The first place where the value is not one JSON object.
pub(super) fn read(bytes: &[u8], paths: &Paths, stack: &mut Vec<Frame>, found: &mut [Found]) -> Result<(), Detail> {
    if simdutf8::basic::from_utf8(bytes).is_err() {
        let at = str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), |_| 0);
        return Err(Detail::new(What::NotUtf8, Some(at)));
    }
    stack.clear();
    Reader { bytes, at: 0, paths, stack, found }.read()
}

impl Found {
    pub(super) const MISSING: Self = Self { kind: Kind::Missing, start: 0, end: 0 };

    /// The bytes as they stand in the value.
    pub(super) fn text<'a>(&self, value: &'a [u8]) -> &'a [u8] {
        value.get(self.start..self.end).unwrap_or_default()
    }

    /// The bytes between the quotes of a string.
    pub(super) fn inside<'a>(&self, value: &'a [u8]) -> &'a [u8] {
        value.get(self.start + 1..self.end.saturating_sub(1)).unwrap_or_default()
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    paths: &'a Paths,
    stack: &'a mut Vec<Frame>,
    found: &'a mut [Found],
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
            let start = self.at;
            let kind = self.value()?;
            if node != UNREAD {
                self.note(node, Found { kind, start, end: self.at });
            }
            opened = matches!(kind, Kind::Object | Kind::Array);
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
        if self.at < self.bytes.len() { Err(self.expected(What::ExpectedNothing)) } else { Ok(()) }
    }

    /// `"name":` and the white space around it; the node of that member.
    #[inline]
    fn name(&mut self, parent: usize) -> Result<usize, Detail> {
        if self.peek() != b'"' {
            return Err(self.expected(What::ExpectedName));
        }
        let start = self.at + 1;
        let (end, escaped) = string::scan(self.bytes, self.at)?;
        self.at = end;
        self.space();
        if !self.eat(b':') {
            return Err(self.expected(What::ExpectedColon));
        }
        self.space();
        if parent == UNREAD {
            return Ok(UNREAD);
        }
        let name = self.bytes.get(start..end - 1).unwrap_or_default();
        Ok(if escaped { self.paths.child_escaped(parent, name) } else { self.paths.child(parent, name) })
    }

    /// A scalar up to its end, or only the opening bracket of a container.
    #[inline]
    fn value(&mut self) -> Result<Kind, Detail> {
        match self.peek() {
            b'"' => {
                let (end, escaped) = string::scan(self.bytes, self.at)?;
                self.at = end;
                Ok(Kind::String { escaped })
            }
            b'-' | b'0'..=b'9' => self.number(),
            b'{' => self.advance(1, Kind::Object),
            b'[' => self.advance(1, Kind::Array),
            b't' if self.rest().starts_with(b"true") => self.advance(4, Kind::Bool),
            b'f' if self.rest().starts_with(b"false") => self.advance(5, Kind::Bool),
            b'n' if self.rest().starts_with(b"null") => self.advance(4, Kind::Null),
            _ => Err(self.expected(What::ExpectedValue)),
        }
    }

    fn number(&mut self) -> Result<Kind, Detail> {
        self.eat(b'-');
        // After a leading zero a further digit is where a comma should be.
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _sign = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        Ok(Kind::Number)
    }

    #[inline]
    fn digits(&mut self) -> Result<(), Detail> {
        if !self.peek().is_ascii_digit() {
            return Err(self.expected(What::ExpectedDigit));
        }
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        Ok(())
    }

    /// Replaces whatever an earlier member of the same name had left, at this path and beneath it.
    fn note(&mut self, node: usize, new: Found) {
        let (slot, subtree) = self.paths.slots_of(node);
        if let Some(old) = self.found.get_mut(subtree) {
            old.fill(Found::MISSING);
        }
        if let Some(found) = slot.and_then(|slot| self.found.get_mut(slot)) {
            *found = new;
        }
    }

    /// The next byte; 0, which no grammar takes, after the last.
    #[inline]
    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    #[inline]
    fn eat(&mut self, byte: u8) -> bool {
        let is = self.peek() == byte;
        self.at += usize::from(is);
        is
    }

    #[inline]
    fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    fn advance(&mut self, bytes: usize, kind: Kind) -> Result<Kind, Detail> {
        self.at += bytes;
        Ok(kind)
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    #[cold]
    fn expected(&self, what: What) -> Detail {
        Detail::new(if self.at < self.bytes.len() { what } else { What::Truncated }, Some(self.at))
    }
}
