//! How a written type is read from a node, and what JSON Schema says of it: one trait with both, side by side, so that
//! `tidemill schema` prints what `tidemill check` enforces.
//!
//! A reader complains and goes on; it never stops the others. `None` means: it was complained about.

use super::complaint::{Complaints, FILE};
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

/// The entries of a section on their way into its type.
pub(super) struct Keys<'n> {
    span: Span,
    entries: &'n [Entry],
    /// Known keys that unknown ones were probably meant to be: they are not missing, they are misspelt.
    misspelt: Vec<&'n str>,
}

impl<'n> Keys<'n> {
    /// The entries of a section; the ones that are not in `known` are complained about.
    pub(super) fn open(node: &'n Node, known: &[&'n str], out: &mut Complaints) -> Option<Self> {
        let entries = entries(node, || format!("its keys are {}", quoted(known)), out)?;
        let mut misspelt = Vec::new();
        for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            misspelt.extend(nearest(known, &entry.key));
            let help = match entry.key.as_str() {
                "<<" => "YAML 1.2 has no merge keys: write the keys out".to_owned(),
                key => match (nearest(known, key), super::written::home_of(key)) {
                    (None, Some(home)) => format!("it belongs under `{home}`"),
                    _ => one_of(known, key),
                },
            };
            out.error(entry.key_span, format!("unknown key `{}`", entry.key.escape_debug())).help(help);
        }
        Some(Self { span: node.span, entries, misspelt })
    }

    /// A key that may be missing.
    pub(super) fn optional<T: Read>(&self, key: &str, _docs: &[&str], out: &mut Complaints) -> Option<At<T>> {
        At::read(self.node(key)?, out)
    }

    /// A key that must be there.
    pub(super) fn required<T: Read>(&self, key: &str, docs: &[&str], out: &mut Complaints) -> Option<At<T>> {
        if self.node(key).is_none() && !self.misspelt.contains(&key) {
            out.error(self.span, format!("the key `{key}` is missing")).help(text(docs));
        }
        self.optional(key, docs, out)
    }

    /// A key that is read as if it said `default` where it is missing.
    pub(super) fn preset<T: Read>(
        &self,
        key: &str,
        _docs: &[&str],
        out: &mut Complaints,
        default: &str,
    ) -> Option<At<T>> {
        match self.node(key) {
            Some(node) => At::read(node, out),
            None => At::read(&preset_node(default), out),
        }
    }

    /// Complains unless exactly one of `keys` is there.
    pub(super) fn exactly_one(&self, keys: &[&str], out: &mut Complaints) {
        let found: Vec<&Entry> = self.entries.iter().filter(|entry| keys.contains(&entry.key.as_str())).collect();
        match found.as_slice() {
            [_] => {}
            [] if keys.iter().any(|key| self.misspelt.contains(key)) => {}
            [] => {
                out.error(self.span, format!("one of {} is missing", quoted(keys)));
            }
            [_, second, ..] => {
                out.error(second.key_span, format!("only one of {} can be there", quoted(keys)))
                    .help("take out all but one");
            }
        }
    }

    fn node(&self, key: &str) -> Option<&'n Node> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }
}

/// `default` as if it had been written: `{}` or a word.
fn preset_node(default: &str) -> Node {
    let value = match default {
        "{}" => Value::Map(Vec::new()),
        word => Value::Scalar(Scalar { written: word.into(), plain: true, substituted: None, secret: false }),
    };
    Node { span: FILE, value }
}

/// One key of a section, for its schema.
pub(super) struct KeyDoc {
    pub(super) key: &'static str,
    pub(super) docs: &'static [&'static str],
    pub(super) required: bool,
    pub(super) default: Option<&'static str>,
    pub(super) schema: serde_json::Value,
}

/// Lines of documentation as one.
fn text(docs: &[&str]) -> String {
    docs.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// The schema of a section.
pub(super) fn section_schema(docs: &[&str], keys: Vec<KeyDoc>, exactly_one: &[&str]) -> serde_json::Value {
    let required: Vec<_> = keys.iter().filter(|key| key.required).map(|key| key.key).collect();
    let mut properties = serde_json::Map::new();
    for KeyDoc { key, docs, default, mut schema, .. } in keys {
        schema["description"] = text(docs).into();
        match default {
            Some("{}") => schema["default"] = json!({}),
            Some("false") => schema["default"] = json!(false),
            Some(default) => schema["default"] = default.into(),
            None => {}
        }
        properties.insert(key.into(), schema);
    }
    let mut schema = json!({
        "description": text(docs), "type": "object", "properties": properties,
        "required": required, "additionalProperties": false,
    });
    if !exactly_one.is_empty() {
        schema["oneOf"] = exactly_one.iter().map(|key| json!({ "required": [key] })).collect();
    }
    schema
}

/// Declares a section: its type, its reader and its schema from one list of keys.
///
/// `key: required T`, `key: optional T`, or `key: preset T = "default"`, each after its documentation.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $section:ident $([exactly one of $($one:ident),+])? {
            $($(#[doc = $doc:literal])+ $key:ident: $need:ident $type:ty $(= $default:literal)?,)+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug)]
        pub(super) struct $section {
            $($(#[doc = $doc])+ pub(super) $key: Option<At<$type>>,)+
        }

        impl Read for $section {
            fn schema() -> serde_json::Value {
                let keys = vec![$(KeyDoc {
                    key: stringify!($key),
                    docs: &[$($doc),+],
                    required: stringify!($need) == "required",
                    default: None::<&str>$(.or(Some($default)))?,
                    schema: <$type as Read>::schema(),
                }),+];
                section_schema(&[$($about),+], keys, &[$($(stringify!($one)),+)?])
            }

            fn read(node: &Node, out: &mut Complaints) -> Option<Self> {
                let keys = Keys::open(node, &[$(stringify!($key)),+], out)?;
                $(keys.exactly_one(&[$(stringify!($one)),+], out);)?
                Some(Self { $($key: keys.$need(stringify!($key), &[$($doc),+], out $(, $default)?),)+ })
            }
        }
    };
}
pub(super) use section;

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
