//! Values of single keys of a test file: instants, keys, payloads, fates, rows of what is expected.

use super::super::complaint::Complaints;
use super::super::node::{Kind, Node, Scalar, Span, Value};
use super::super::read::{At, Form, Read, Shape, Wrong, entries, one_of, scalar};
use crate::fate::Reason;
use serde_json::json;

/// An instant as a case says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// So many ms from the start of the case.
    Offset(i64),
    /// Unix ms.
    Instant(i64),
}

impl Moment {
    /// In Unix ms, in a case that starts at `start_ms`.
    pub(super) fn ms(self, start_ms: i64) -> i64 {
        match self {
            Self::Offset(ms) => start_ms.saturating_add(ms),
            Self::Instant(ms) => ms,
        }
    }
}

impl Form for Moment {
    const WHAT: &'static str =
        "a time such as `2026-05-01T12:00:00Z`, or one from the start of the case such as `90s` or `-1m`";
    const SHAPE: Shape = Shape::Pattern(
        r"-?([0-9]+ *(ms|s|m|h|d|w) *)+|[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9:.]+([Zz]|[+-][0-9]{2}:?[0-9]{2})",
    );
    const UNITS: &'static [&'static str] = &["s", "ms"];

    fn parse(text: &str) -> Result<Self, Wrong> {
        let span = text.strip_prefix('-').unwrap_or(text);
        if let Ok(span) = humantime::parse_duration(span.trim()) {
            let ms = i64::try_from(span.as_millis()).map_err(|_| "this span is too long".to_owned())?;
            return Ok(Self::Offset(if text.starts_with('-') { -ms } else { ms }));
        }
        let instant = text.parse::<jiff::Timestamp>();
        instant.map(|at| Self::Instant(at.as_millisecond())).map_err(|_| "there is no such time".to_owned().into())
    }
}

/// `start` of a case: an instant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start(pub(super) i64);

impl Form for Start {
    const WHAT: &'static str = "a time such as `2026-05-01T12:00:00Z`";
    const SHAPE: Shape = Shape::Pattern(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9:.]+([Zz]|[+-][0-9]{2}:?[0-9]{2})");

    fn parse(text: &str) -> Result<Self, Wrong> {
        match Moment::parse(text)? {
            Moment::Instant(ms) | Moment::Offset(ms) => Ok(Self(ms)),
        }
    }
}

/// A record's key; `null` is none.
#[derive(Clone, Debug)]
pub(super) struct Key(pub(super) Option<String>);

impl Read for Key {
    fn schema() -> serde_json::Value {
        json!({ "title": "text, or `null` for none", "type": ["string", "number", "boolean", "null"] })
    }

    fn read(node: &Node, out: &mut Complaints) -> Option<Self> {
        let scalar = scalar(node, "a key", out)?;
        Some(Self((scalar.kind() != Kind::Null).then(|| scalar.written.clone())))
    }
}

/// A number of a partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Partition(pub(super) i32);

/// More partitions than any case needs.
const PARTITION_MAX: i32 = 999;

impl Read for Partition {
    fn schema() -> serde_json::Value {
        json!({ "title": "a number from 0 to 999", "type": "integer", "minimum": 0, "maximum": PARTITION_MAX })
    }

    fn read(node: &Node, out: &mut Complaints) -> Option<Self> {
        let scalar = scalar(node, "the number of a partition", out)?;
        let number = scalar.written.parse().ok().filter(|number| (0..=PARTITION_MAX).contains(number));
        if number.is_none() || scalar.kind() != Kind::Integer {
            out.error(node.span, format!("`{}` is not a number from 0 to {PARTITION_MAX}", scalar.shown()));
            return None;
        }
        number.map(Self)
    }
}

/// What a record must become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fated {
    /// Merged, into some of its windows at least.
    Merged,
    /// Not merged, for this reason.
    Refused(Reason),
}

impl Fated {
    /// Every word for it, in the order of the rules.
    pub const WORDS: &'static [&'static str] = &[
        "merged",
        "late",
        "tombstone",
        "null_key",
        "too_large",
        "unknown_key",
        "malformed",
        "number_out_of_range",
        "bad_time",
        "future",
        "bad_field",
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Merged => "merged",
            Self::Refused(reason) => reason.as_str(),
        }
    }
}

impl Form for Fated {
    const WHAT: &'static str = "what becomes of a record";
    const SHAPE: Shape = Shape::Words(Self::WORDS);

    fn parse(text: &str) -> Result<Self, Wrong> {
        let reason = Reason::ALL.into_iter().find(|reason| reason.as_str() == text);
        Ok(reason.map_or(Self::Merged, Self::Refused))
    }
}

/// A record's value: text as it is, anything with a structure as JSON.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Payload {
    /// A tombstone.
    Null,
    /// These bytes.
    Raw(String),
    /// A list or a mapping.
    Json(Json),
}

/// A JSON value whose numbers keep their text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    /// A number, a boolean or null, as it is written.
    Word(String),
    Text(String),
    List(Vec<Json>),
    Map(Vec<(String, Json)>),
}

impl Read for Payload {
    fn schema() -> serde_json::Value {
        json!({ "title": "a mapping, or text for a value that is none" })
    }

    fn read(node: &Node, out: &mut Complaints) -> Option<Self> {
        match &node.value {
            Value::Scalar(scalar) if scalar.kind() == Kind::Null => Some(Self::Null),
            Value::Scalar(scalar) => Some(Self::Raw(scalar.written.clone())),
            _ => Json::read(node, out).map(Self::Json),
        }
    }
}

impl Json {
    fn read(node: &Node, out: &mut Complaints) -> Option<Self> {
        Some(match &node.value {
            Value::Bad => return None,
            Value::List(items) => Self::List(items.iter().map(|item| Self::read(item, out)).collect::<Option<_>>()?),
            Value::Map(entries) => {
                let member =
                    |entry: &super::super::node::Entry| Some((entry.key.clone(), Self::read(&entry.node, out)?));
                Self::Map(entries.iter().map(member).collect::<Option<_>>()?)
            }
            Value::Scalar(scalar) => match scalar.kind() {
                Kind::Null => Self::Word("null".to_owned()),
                Kind::Bool => Self::Word(scalar.written.to_ascii_lowercase()),
                Kind::Integer | Kind::Float if !is_json_number(&scalar.written) => {
                    out.error(node.span, format!("`{}` is no number in JSON", scalar.shown()))
                        .help("write it in digits, or quote it to make it text");
                    return None;
                }
                Kind::Integer | Kind::Float => Self::Word(scalar.written.clone()),
                Kind::Text | Kind::Substituted => Self::Text(scalar.written.clone()),
            },
        })
    }

    /// Appends it as JSON.
    pub(super) fn write(&self, out: &mut String) {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match self {
            Self::Word(word) => out.push_str(word),
            Self::Text(text) => out.push_str(&quoted(text)),
            Self::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    out.push(if index == 0 { '[' } else { ',' });
                    item.write(out);
                }
                out.push_str(if items.is_empty() { "[]" } else { "]" });
            }
            Self::Map(members) => {
                for (index, (name, value)) in members.iter().enumerate() {
                    out.push(if index == 0 { '{' } else { ',' });
                    out.push_str(&quoted(name));
                    out.push(':');
                    value.write(out);
                }
                out.push_str(if members.is_empty() { "{}" } else { "}" });
            }
        }
    }

    /// Puts `value` at a path of members, unless something stands there or in the way.
    pub(super) fn put(&mut self, path: &str, value: Self) {
        let Self::Map(members) = self else { return };
        let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
        let found = members.iter_mut().find(|(name, _)| name == first);
        match (found, rest) {
            (Some((_, inner)), Some(rest)) => inner.put(rest, value),
            (Some(_), None) => {}
            (None, None) => members.push((first.to_owned(), value)),
            (None, Some(rest)) => {
                let mut inner = Self::Map(Vec::new());
                inner.put(rest, value);
                members.push((first.to_owned(), inner));
            }
        }
    }
}

/// RFC 8259's grammar: no sign but `-`, no leading zeros, digits around the point.
fn is_json_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = text.split_once(['e', 'E']).map_or((text, None), |(m, e)| (m, Some(e)));
    let mantissa = mantissa.strip_prefix('-').unwrap_or(mantissa);
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(w, f)| (w, Some(f)));
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)))
}

/// One member of a row, as it is written.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) name_span: Span,
    pub(super) scalar: Scalar,
    pub(super) span: Span,
}

/// A mapping of names to scalars; which names there are is known later.
#[derive(Clone, Debug)]
pub(super) struct Members(pub(super) Vec<Member>);

impl Read for Members {
    fn schema() -> serde_json::Value {
        json!({ "type": "object", "additionalProperties": { "type": ["string", "number", "boolean", "null"] } })
    }

    fn read(node: &Node, out: &mut Complaints) -> Option<Self> {
        let help = || "a row is written as { key: A, window_start: 0s, … }".to_owned();
        let mut members = Vec::new();
        for entry in entries(node, help, out)? {
            let scalar = scalar(&entry.node, "a single value", out)?.clone();
            let (name, name_span, span) = (entry.key.clone(), entry.key_span, entry.node.span);
            members.push(Member { name, name_span, scalar, span });
        }
        Some(Self(members))
    }
}

/// A list of rows, which may be empty.
#[derive(Clone, Debug)]
pub(super) struct Rows(pub(super) Vec<At<Members>>);

impl Read for Rows {
    fn schema() -> serde_json::Value {
        json!({ "type": "array", "items": Members::schema() })
    }

    fn read(node: &Node, out: &mut Complaints) -> Option<Self> {
        match &node.value {
            Value::List(items) if items.is_empty() => Some(Self(Vec::new())),
            _ => Vec::<At<Members>>::read(node, out).map(Self),
        }
    }
}

/// A step that is a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Crash,
    Rebalance,
}

impl Word {
    /// A step that is no mapping.
    pub(super) fn read(node: &Node, out: &mut Complaints) -> Option<Self> {
        const STEPS: &[&str] = &["crash", "rebalance", "record", "records", "late", "advance", "silence", "expect"];
        let scalar = scalar(node, "a step", out)?;
        match scalar.written.as_str() {
            "crash" => Some(Self::Crash),
            "rebalance" => Some(Self::Rebalance),
            _ => {
                let shown = scalar.shown();
                out.error(node.span, format!("`{shown}` is not a step by itself")).help(one_of(STEPS, &shown));
                None
            }
        }
    }
}
