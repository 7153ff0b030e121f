//! `source.keys`: the declared keys, in the file or in one of their own.

use super::complaint::Complaints;
use super::names::Text;
use super::node::{Node, Span, Value};
use super::read::{At, Form, Read, Shape, Wrong};
use super::section::{KeyDoc, Keys, section, section_schema};
use super::substitute::read_at_most;
use serde_json::json;
use std::collections::HashSet;
use std::path::Path;

/// A file of declared keys.
const KEYS_FILE_BYTES_MAX: u64 = 256 << 20;

/// `source.keys`.
#[derive(Debug)]
pub(super) enum DeclaredKeys {
    List(Vec<At<Key>>),
    File(KeysFile),
}

impl Read for DeclaredKeys {
    fn schema() -> serde_json::Value {
        json!({ "anyOf": [<Vec<At<Key>> as Read>::schema(), KeysFile::schema()] })
    }

    fn read(node: &Node, out: &mut Complaints) -> Option<Self> {
        match node.value {
            Value::Map(_) => KeysFile::read(node, out).map(Self::File),
            _ => Read::read(node, out).map(Self::List),
        }
    }
}

/// A key: any text, also an empty one.
#[derive(Debug)]
pub(super) struct Key(pub(super) String);

impl Form for Key {
    const WHAT: &'static str = "text";
    const SHAPE: Shape = Shape::Pattern(r"[\s\S]*");

    fn parse(text: &str) -> Result<Self, Wrong> {
        Ok(Self(text.into()))
    }
}

section! {
    /// A file with one key on each line.
    KeysFile {
        /// Its path, relative to this file.
        file: required Text,
    }
}

/// The declared keys in the order of declaration.
pub(super) fn check(
    keys: At<DeclaredKeys>,
    key_bytes_max: Option<usize>,
    dir: &Path,
    out: &mut Complaints,
) -> Option<Vec<Box<[u8]>>> {
    let span = keys.span;
    // Each with its place, and its line where that is in another file.
    let keys: Vec<(Box<[u8]>, Span, Option<usize>)> = match keys.value {
        DeclaredKeys::List(keys) => {
            keys.into_iter().map(|key| (key.value.0.into_bytes().into(), key.span, None)).collect()
        }
        DeclaredKeys::File(file) => {
            let file = file.file?;
            let path = dir.join(&file.value.0);
            let bytes = read_at_most(&path, KEYS_FILE_BYTES_MAX)
                .map_err(|problem| {
                    out.error(file.span, format!("cannot read the keys: {problem}"))
                        .help("the path is relative to the configuration file");
                })
                .ok()?;
            lines(&bytes).enumerate().map(|(at, line)| (line.into(), file.span, Some(at + 1))).collect()
        }
    };
    if keys.is_empty() {
        out.error(span, "the file holds no keys: every record would be a dead letter");
        return None;
    }
    let mut seen = HashSet::new();
    let mut wrong = 0;
    for (key, span, line) in &keys {
        let in_line = line.map(|line| format!(" in line {line} of the file")).unwrap_or_default();
        let (problem, help) = if !seen.insert(key) {
            ("is declared twice", "take it out")
        } else if key_bytes_max.is_some_and(|max| key.len() > max) {
            (
                "is longer than `source.max_key`",
                "such a record is a dead letter: take it out, or raise `source.max_key`",
            )
        } else if key.is_empty() && line.is_some() {
            ("is empty", "take the line out; an empty key can only be declared in a list")
        } else {
            continue;
        };
        wrong += 1;
        if wrong <= 10 {
            out.error(*span, format!("the key{in_line} {problem}")).help(help);
        }
    }
    (wrong == 0).then(|| keys.into_iter().map(|(key, ..)| key).collect())
}

/// Lines without their ends; a last line break ends the last line and begins no other.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let lines = (!bytes.is_empty()).then(|| bytes.split(|byte| *byte == b'\n'));
    lines.into_iter().flatten().map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}
