//! Sections: their type, their reader and their schema, declared once by [`section!`].

use super::complaint::{Complaints, FILE};
use super::node::{Entry, Node, Scalar, Span, Value};
use super::read::{At, Read, entries, nearest, one_of, quoted};
use serde_json::json;

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
                key => match (nearest(known, key), (out.genre.stray)(key)) {
                    (None, Some(stray)) => stray,
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
            Some(default) => {
                schema["default"] = default.parse::<u64>().map_or_else(|_| default.into(), Into::into);
            }
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
