//! What was found in a value that cannot be taken, and at which byte: for people.
//!
//! Small and `Copy`, so that a flood of bad records allocates nothing until somebody asks for the text.
//! It never shows the value itself: records may hold secrets, and details go to logs.

use std::fmt;

use super::json::Kind;
use super::time::BadTime;
use crate::config::TimeFormat;

/// What was found and where; `Display` gives one short sentence without a full stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detail {
    what: What,
    at: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    TooLarge,
    NotUtf8,
    Truncated,
    ExpectedObject,
    ExpectedName,
    ExpectedColon,
    ExpectedValue,
    ExpectedCommaOrEnd,
    ExpectedNothing,
    ExpectedDigit,
    BadEscape,
    ControlCharacter,
    TooDeep,
    NumberOutOfRange,
    BadTime(BadTime),
    NotATime(Kind, TimeFormat),
    NotANumber(Kind),
    NotAScalar(Kind),
    TooLong(Kind),
}

impl Detail {
    pub(super) fn new(what: What, at: Option<u32>) -> Self {
        Self { what, at }
    }

    /// Offset in the value, in bytes; `None` for what is not there.
    pub fn at(&self) -> Option<usize> {
        self.at.map(|at| at as usize)
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        self.at.map_or(Ok(()), |at| write!(f, " at byte {at}"))
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("2 GiB or more"),
            Self::NotUtf8 => f.write_str("not UTF-8"),
            Self::Truncated => f.write_str("the value ends too early,"),
            Self::ExpectedObject => f.write_str("expected a JSON object"),
            Self::ExpectedName => f.write_str("expected a member name in quotes"),
            Self::ExpectedColon => f.write_str("expected a colon"),
            Self::ExpectedValue => f.write_str("expected a JSON value"),
            Self::ExpectedCommaOrEnd => f.write_str("expected a comma or the closing bracket"),
            Self::ExpectedNothing => f.write_str("expected nothing after the object, but found more"),
            Self::ExpectedDigit => f.write_str("expected a digit"),
            Self::BadEscape => f.write_str("not a JSON escape"),
            Self::ControlCharacter => f.write_str("control character in a string"),
            Self::TooDeep => write!(f, "more than {} levels", super::json::MAX_DEPTH),
            Self::NumberOutOfRange => f.write_str("the number does not fit a double"),
            Self::BadTime(bad) => f.write_str(match bad {
                BadTime::Missing => "the time is missing or null",
                BadTime::Format => "the time is not in RFC 3339 form",
                BadTime::NotWhole => "the time is not a whole number",
                BadTime::BeforeEpoch => "the time is before 1970",
                BadTime::TooLate => "the time is after the year 9999",
            }),
            Self::NotATime(kind, format) => {
                let wanted = if *format == TimeFormat::Rfc3339 { "an RFC 3339 string" } else { "a number" };
                write!(f, "the time should be {wanted}, but is {kind}")
            }
            Self::NotANumber(kind) => write!(f, "expected a number, but found {kind}"),
            Self::NotAScalar(kind) => write!(f, "expected a string, a number or a boolean, but found {kind}"),
            Self::TooLong(kind) => write!(f, "{kind} of more than {} bytes", super::MAX_SCALAR_BYTES),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "nothing",
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Number => "a number",
            Self::String { .. } => "a string",
            Self::Object => "an object",
            Self::Array => "an array",
        })
    }
}
