//! `aggregate`: names, kinds and fields, in the order of the file.

use super::AggregateKind;
use super::complaint::Complaints;
use super::names::FieldPath;
use super::node::{Kind, Node, Value};
use super::read::{At, Read, entries, nearest, quoted, substitution};
use super::section::{KeyDoc, Keys, section, section_schema};
use serde_json::json;

/// `aggregate`.
#[derive(Debug)]
pub(super) struct Aggregates(pub(super) Vec<(String, AggregateKind, Option<String>)>);

/// More than any result needs, few enough for a row's layout.
const AGGREGATES_MAX: usize = 100;
/// Members that every result can have besides.
const RESERVED: &[&str] = &["key", "key_base64", "topic", "partition", "window_start", "window_end"];
/// Names that need no escape in JSON and no quotes in a query.
const NAME: &str = "^[A-Za-z_][A-Za-z0-9_-]{0,63}$";

impl Read for Aggregates {
    fn schema() -> serde_json::Value {
        json!({
            "type": "object", "minProperties": 1, "maxProperties": AGGREGATES_MAX,
            "propertyNames": { "pattern": NAME, "not": { "enum": RESERVED } },
            "additionalProperties": { "anyOf": [
                { "title": "records merged", "enum": ["count"] }, substitution(), OfField::schema(),
            ] },
        })
    }

    fn read(node: &Node, out: &mut Complaints) -> Option<Self> {
        let help = || "aggregates are written as `name: count` or `name: { kind: field }`".to_owned();
        let entries = entries(node, help, out)?;
        if entries.is_empty() {
            out.error(node.span, "a result needs at least one aggregate").help("add one: `records: count`");
        }
        if let Some(entry) = entries.get(AGGREGATES_MAX) {
            out.error(entry.key_span, format!("more than {AGGREGATES_MAX} aggregates"));
        }
        let name = regex::Regex::new(NAME).ok()?;
        let mut aggregates = Vec::new();
        for entry in entries {
            if RESERVED.contains(&entry.key.as_str()) {
                out.error(entry.key_span, format!("every result can have a member `{}` already", entry.key))
                    .help("give the aggregate another name");
            } else if !name.is_match(&entry.key) {
                out.error(entry.key_span, format!("`{}` is not a name for an aggregate", entry.key.escape_debug()))
                    .help("letters, digits, `_` and `-`, beginning with a letter or `_`, at most 64");
            }
            if let Some((kind, path)) = aggregate(&entry.node, out) {
                aggregates.push((entry.key.clone(), kind, path));
            }
        }
        Some(Self(aggregates))
    }
}

/// `count`, or `{ kind: field }`.
fn aggregate(node: &Node, out: &mut Complaints) -> Option<(AggregateKind, Option<String>)> {
    const KINDS: &[&str] = &["count", "sum", "min", "max", "mean", "first", "last"];
    if let Value::Scalar(scalar) = &node.value {
        let (text, shown) = (scalar.text(), scalar.shown());
        if text == "count" && matches!(scalar.kind(), Kind::Text | Kind::Substituted) {
            return Some((AggregateKind::Count, None));
        }
        let draft = out.error(node.span, format!("`{shown}` is not an aggregate"));
        match nearest(KINDS, &shown) {
            Some("count") => draft.help("did you mean `count`?"),
            Some(kind) => draft.help(format!("`{kind}` needs a field: {{ {kind}: field }}")),
            None => draft.help(format!("write `count`, or {{ kind: field }} with one of {}", quoted(KINDS))),
        };
        return None;
    }
    let of = OfField::read(node, out)?;
    [
        (AggregateKind::Count, of.count),
        (AggregateKind::Sum, of.sum),
        (AggregateKind::Min, of.min),
        (AggregateKind::Max, of.max),
        (AggregateKind::Mean, of.mean),
        (AggregateKind::First, of.first),
        (AggregateKind::Last, of.last),
    ]
    .into_iter()
    .find_map(|(kind, path)| Some((kind, Some(path?.value.0))))
}

section! {
    /// One aggregate of a field: `{ kind: field }`.
    OfField [exactly one of count, sum, min, max, mean, first, last] {
        /// Records in which the field is not null.
        count: optional FieldPath,
        /// Sum of the field, a compensated double.
        sum: optional FieldPath,
        /// Smallest number.
        min: optional FieldPath,
        /// Largest number.
        max: optional FieldPath,
        /// Sum divided by count.
        mean: optional FieldPath,
        /// The field's value at the lowest event time.
        first: optional FieldPath,
        /// The field's value at the highest event time.
        last: optional FieldPath,
    }
}
