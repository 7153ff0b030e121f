//! The inside of JSON strings: where they end, and what their escapes mean. It never allocates for what it only compares.
//!
//! Everything but [`scan`] takes the bytes between the quotes of a string that `scan` has accepted.

use super::detail::{Detail, What};
use super::words;

/// A decoded string went over its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// A stretch of a decoded string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'a> {
    Plain(&'a [u8]),
    Char(char),
    /// Half of a surrogate pair without the other half: it has no UTF-8.
    Lone(u16),
}

/// Reads the string whose opening quote is at `open`: the offset after its closing quote, and whether it has escapes.
/// `high` becomes true if there is more than ASCII in it.
pub(super) fn scan(bytes: &[u8], open: u32, high: &mut bool) -> Result<(u32, bool), Detail> {
    let mut at = words::plain(bytes, open + 1, high);
    let mut escaped = false;
    loop {
        match bytes.get(at as usize) {
            Some(b'"') => return Ok((at + 1, escaped)),
            Some(b'\\') => at = words::plain(bytes, escape_end(bytes, at)?, high),
            Some(_) => return Err(Detail::new(What::ControlCharacter, Some(at))),
            None => return Err(Detail::new(What::Truncated, Some(at))),
        }
        escaped = true;
    }
}

/// Whether a string with escapes, decoded, is this name.
pub(super) fn equals(inside: &[u8], name: &[u8]) -> bool {
    let mut rest = name;
    for piece in pieces(inside) {
        let mut utf8 = [0; 4];
        let part = match piece {
            Piece::Plain(bytes) => bytes,
            Piece::Char(char) => char.encode_utf8(&mut utf8).as_bytes(),
            Piece::Lone(_) => return false,
        };
        let Some(after) = rest.strip_prefix(part) else { return false };
        rest = after;
    }
    rest.is_empty()
}

/// The decoded string's bytes, with 0xff (which is in no text) for what is not ASCII.
pub(super) fn ascii(inside: &[u8]) -> impl Iterator<Item = u8> {
    pieces(inside).flat_map(|piece| {
        let (plain, char) = match piece {
            Piece::Plain(bytes) => (bytes, None),
            Piece::Char(char) => (&[][..], Some(if char.is_ascii() { char as u8 } else { 0xff })),
            Piece::Lone(_) => (&[][..], Some(0xff)),
        };
        plain.iter().map(|&byte| if byte.is_ascii() { byte } else { 0xff }).chain(char)
    })
}

/// Appends the string to `out` as JSON with as few escapes as there can be, and with quotes; a lone surrogate stays an
/// escape and counts three bytes. On error, `out` is as before.
pub(super) fn rewrite(inside: &[u8], max_bytes: usize, out: &mut Vec<u8>) -> Result<(), TooLong> {
    let start = out.len();
    let mut bytes_left = max_bytes;
    out.push(b'"');
    for piece in pieces(inside) {
        let length = match piece {
            Piece::Plain(bytes) => bytes.len(),
            Piece::Char(char) => char.len_utf8(),
            Piece::Lone(_) => 3,
        };
        let Some(left) = bytes_left.checked_sub(length) else {
            out.truncate(start);
            return Err(TooLong);
        };
        bytes_left = left;
        match piece {
            Piece::Plain(bytes) => out.extend_from_slice(bytes),
            Piece::Char(char) => write_char(char, out),
            Piece::Lone(unit) => write_escape(unit, out),
        }
    }
    out.push(b'"');
    Ok(())
}

fn write_char(char: char, out: &mut Vec<u8>) {
    let short = match char {
        '"' | '\\' => char as u8,
        '\u{8}' => b'b',
        '\u{c}' => b'f',
        '\n' => b'n',
        '\r' => b'r',
        '\t' => b't',
        control @ '\0'..='\u{1f}' => return write_escape(control as u16, out),
        other => return out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
    };
    out.extend_from_slice(&[b'\\', short]);
}

fn write_escape(unit: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\\u");
    for shift in [12, 8, 4, 0] {
        let digit = (unit >> shift & 0xf) as u8;
        out.push(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 });
    }
}

/// Offset after the escape whose backslash is at `at`.
fn escape_end(bytes: &[u8], at: u32) -> Result<u32, Detail> {
    match bytes.get(at as usize + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') if unit(bytes.get(at as usize..).unwrap_or_default()).is_some() => Ok(at + 6),
        _ => Err(Detail::new(What::BadEscape, Some(at))),
    }
}

/// The code unit of a `\uXXXX` at the beginning of `bytes`.
fn unit(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.strip_prefix(b"\\u")?.first_chunk::<4>()?;
    digits.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)? as u16))
}

fn pieces(inside: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = inside;
    std::iter::from_fn(move || {
        let plain = words::plain(rest, 0, &mut false) as usize;
        if plain > 0 {
            let (piece, after) = rest.split_at_checked(plain)?;
            rest = after;
            return Some(Piece::Plain(piece));
        }
        let (piece, length) = escape(rest)?;
        rest = rest.get(length..)?;
        Some(piece)
    })
}

/// The escape at the beginning of `bytes`, and its length; two halves of a surrogate pair are one.
fn escape(bytes: &[u8]) -> Option<(Piece<'_>, usize)> {
    let short = match bytes.get(1)? {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let first = unit(bytes)?;
            if let Some(char) = char::from_u32(u32::from(first)) {
                return Some((Piece::Char(char), 6));
            }
            let second = bytes.get(6..).and_then(unit);
            let pair = second.and_then(|second| char::decode_utf16([first, second]).next()?.ok());
            return Some(pair.map_or((Piece::Lone(first), 6), |char| (Piece::Char(char), 12)));
        }
        &other => char::from(other),
    };
    Some((Piece::Char(short), 2))
}
