//! How a written type is read from a node, and what JSON Schema says of it: one trait with both, side by side, so that
//! `tidemill schema` prints what `tidemill check` enforces.
//!
//! A reader complains and goes on; it never stops the others. `None` means: it was complained about.

use super::complaint::Complaints;
use super::node::{Entry, Kind, Node, Scalar, Span, Value};
use regex::Regex;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// A type of the file as written.
pub(super) trait Read: Sized {
    /// The JSON Schema of what [`Read::read`] takes.
    fn schema() -> serde_json::Value;
    /// The value, or `None` after a complaint.
    fn read(node: &Node, out: &mut Complaints) -> Option<Self>;
}

/// A value, and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) span: Span,
}

impl<T: Read> At<T> {
    pub(super) fn read(node: &Node, out: &mut Complaints) -> Option<Self> {
        Some(Self { value: T::read(node, out)?, span: node.span })
    }
}

/// A scalar with a grammar of its own: every `Form` is a [`Read`].
pub(super) trait Form: Sized {
    /// What it is, for "this is not …".
    const WHAT: &'static str;
    /// What the schema can say of it.
    const SHAPE: Shape;
    /// What a bare number could have meant.
    const UNITS: &'static [&'static str] = &[];
    /// Reads a text of that shape.
    fn parse(text: &str) -> Result<Self, Wrong>;
}

/// What JSON Schema can say of a text.
pub(super) enum Shape {
    /// A regular expression for the whole of it.
    Pattern(&'static str),
    /// One of these words.
    Words(&'static [&'static str]),
}

/// Why a text of the right shape is wrong all the same.
pub(super) struct Wrong {
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl From<String> for Wrong {
    fn from(message: String) -> Self {
        Self { message, help: None }
    }
}

impl<T: Form> Read for T {
    fn schema() -> serde_json::Value {
        match T::SHAPE {
            // A substitution is text that may stand for anything; what it becomes is checked after it was filled in.
            Shape::Pattern(pattern) => {
                json!({ "title": T::WHAT, "type": "string", "pattern": format!(r"^(?:{pattern})$|\$\{{") })
            }
            Shape::Words(words) => json!({ "title": T::WHAT, "anyOf": [{ "enum": words }, substitution()] }),
        }
    }

    fn read(node: &Node, out: &mut Complaints) -> Option<Self> {
        let scalar = scalar(node, T::WHAT, out)?;
        let (text, shown) = (scalar.text(), scalar.shown());
        if !matches!(scalar.kind(), Kind::Text | Kind::Substituted) {
            let wrong = out.error(node.span, format!("{} stands here, not {}", kind_name(scalar.kind()), T::WHAT));
            if scalar.kind() != Kind::Null {
                wrong.maybe_help(instead_of::<T>(&shown));
            }
            return None;
        }
        let fits = match T::SHAPE {
            Shape::Pattern(pattern) => matches(pattern, text),
            Shape::Words(words) => words.contains(&text),
        };
        if !fits {
            let draft = out.error(node.span, format!("`{shown}` is not {}", T::WHAT));
            if let Shape::Words(words) = T::SHAPE {
                draft.help(one_of(words, &shown));
            }
            return None;
        }
        T::parse(text).map_err(|wrong| out.error(node.span, wrong.message).maybe_help(wrong.help)).ok()
    }
}

/// What to do about `5` where `5s`, `"5"` or another word was meant.
fn instead_of<T: Form>(shown: &str) -> Option<String> {
    match T::SHAPE {
        Shape::Words(words) => Some(one_of(words, shown)),
        Shape::Pattern(pattern) if matches(pattern, shown) => Some(format!("quote it: \"{shown}\"")),
        Shape::Pattern(_) if T::UNITS.is_empty() => None,
        Shape::Pattern(_) => {
            let written: Vec<_> = T::UNITS.iter().map(|unit| format!("`{shown}{unit}`")).collect();
            Some(format!("add the unit: {}", written.join(" or ")))
        }
    }
}

/// Whether the whole text has this pattern.
fn matches(pattern: &'static str, text: &str) -> bool {
    // A list can have a million items, and compiling takes longer than matching.
    static COMPILED: Mutex<BTreeMap<&str, Regex>> = Mutex::new(BTreeMap::new());
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(expression) = compiled.get(pattern) {
        return expression.is_match(text);
    }
    let Ok(expression) = Regex::new(&format!("^(?:{pattern})$")) else { return false };
    compiled.entry(pattern).or_insert(expression).is_match(text)
}

/// The schema of a text with a substitution in it.
pub(super) fn substitution() -> serde_json::Value {
    json!({ "type": "string", "pattern": r"\$\{" })
}

/// The scalar of a node, or a complaint that `what` should stand there.
pub(super) fn scalar<'n>(node: &'n Node, what: &str, out: &mut Complaints) -> Option<&'n Scalar> {
    let found = match &node.value {
        Value::Scalar(scalar) => return Some(scalar),
        Value::Bad => return None,
        Value::List(_) => "a list",
        Value::Map(_) => "a section",
    };
    out.error(node.span, format!("{found} stands here, not {what}"));
    None
}

/// The entries of a section, or a complaint with help that says what belongs into it.
pub(super) fn entries<'n>(node: &'n Node, help: impl Fn() -> String, out: &mut Complaints) -> Option<&'n [Entry]> {
    let found = match &node.value {
        Value::Map(entries) => return Some(entries),
        Value::Bad => return None,
        Value::List(_) => "a list",
        Value::Scalar(scalar) => kind_name(scalar.kind()),
    };
    out.error(node.span, format!("{found} stands here, not a section")).help(help());
    None
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Null => "nothing",
        Kind::Bool => "a boolean",
        Kind::Integer | Kind::Float => "a number",
        Kind::Text | Kind::Substituted => "text",
    }
}

/// "did you mean …", or all there is to choose from.
pub(super) fn one_of(known: &[&str], found: &str) -> String {
    match nearest(known, found) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("it is one of {}", quoted(known)),
    }
}

pub(super) fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The known word that was probably meant.
pub(super) fn nearest<'k>(known: &[&'k str], found: &str) -> Option<&'k str> {
    let distance = |word: &&str| strsim::damerau_levenshtein(word, &found.to_ascii_lowercase().replace('-', "_"));
    let nearest = known.iter().copied().min_by_key(distance)?;
    (distance(&nearest) <= (nearest.len() / 3).max(1)).then_some(nearest)
}

impl Read for bool {
    fn schema() -> serde_json::Value {
        json!({ "title": "`true` or `false`", "anyOf": [{ "type": "boolean" }, substitution()] })
    }

    fn read(node: &Node, out: &mut Complaints) -> Option<Self> {
        let scalar = scalar(node, "`true` or `false`", out)?;
        match (scalar.kind(), scalar.text().to_ascii_lowercase().as_str()) {
            (Kind::Bool | Kind::Substituted, "true") => Some(true),
            (Kind::Bool | Kind::Substituted, "false") => Some(false),
            _ => {
                out.error(node.span, format!("`{}` is not `true` or `false`", scalar.shown()));
                None
            }
        }
    }
}

/// A list with at least one item.
impl<T: Read> Read for Vec<At<T>> {
    fn schema() -> serde_json::Value {
        json!({ "type": "array", "minItems": 1, "items": T::schema() })
    }

    fn read(node: &Node, out: &mut Complaints) -> Option<Self> {
        let items = match &node.value {
            Value::List(items) => items,
            Value::Bad => return None,
            Value::Map(_) => {
                out.error(node.span, "a section stands here, not a list");
                return None;
            }
            Value::Scalar(scalar) => {
                let help = format!("write it as a list: [{}]", scalar.shown());
                out.error(node.span, format!("{} stands here, not a list", kind_name(scalar.kind()))).help(help);
                return None;
            }
        };
        if items.is_empty() {
            out.error(node.span, "this list is empty").help("it needs at least one item");
            return None;
        }
        let read: Vec<_> = items.iter().filter_map(|item| At::read(item, out)).collect();
        (read.len() == items.len()).then_some(read)
    }
}

/// Something that can be switched off with `off` or `false`.
#[derive(Clone, Copy, Debug)]
pub(super) enum OrOff<T> {
    Off,
    On(T),
}

impl<T: Read> Read for OrOff<T> {
    fn schema() -> serde_json::Value {
        json!({ "anyOf": [{ "enum": ["off", false] }, T::schema(), substitution()] })
    }

    fn read(node: &Node, out: &mut Complaints) -> Option<Self> {
        if let Value::Scalar(scalar) = &node.value {
            match (scalar.kind(), scalar.text()) {
                (Kind::Text | Kind::Substituted, "off") => return Some(Self::Off),
                (Kind::Bool, "false" | "False" | "FALSE") | (Kind::Substituted, "false") => return Some(Self::Off),
                _ => {}
            }
        }
        let before = out.count();
        let on = T::read(node, out).map(Self::On);
        if let (None, Value::Scalar(_), Some(complaint)) = (&on, &node.value, out.since(before)) {
            complaint.help("or write `off`");
        }
        on
    }
}

/// Declares the words of an enumeration: `Type, "what it is": { "word" => Type::Variant, … }`.
macro_rules! words {
    ($type:ty, $what:literal: { $($word:literal => $value:expr),+ $(,)? }) => {
        impl Form for $type {
            const WHAT: &'static str = $what;
            const SHAPE: Shape = Shape::Words(&[$($word),+]);
            fn parse(text: &str) -> Result<Self, Wrong> {
                match text {
                    $($word => Ok($value),)+
                    other => Err(format!("`{other}` is not {}", Self::WHAT).into()),
                }
            }
        }
    };
}
pub(super) use words;
