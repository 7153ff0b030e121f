//! Expectations written anew, in the text as it is: an `expect` that has failed is replaced, one that is missing at the
//! end of a case is added, a wrong `fate` gets the right word. Every other byte of the file stays.
//!
//! Comments inside of a replaced `expect` that have a line of their own are kept above its rows.

use super::judge::Check;
use crate::config::cases::{Case, Expect, Place, Row, Style};
use std::fmt::Write;

/// What came of an update.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Updated {
    /// The new text.
    pub text: String,
    /// Expectations and fates that were written.
    pub written: usize,
    /// What could not be: its line, and why.
    pub left: Vec<(usize, &'static str)>,
}

/// A part of the text, and what takes its place.
struct Edit {
    bytes: (usize, usize),
    new: String,
}

/// The text with every failed expectation of these cases as it would have to be.
pub fn update(text: &str, cases: &[(&Case, &[Check])]) -> Updated {
    let (mut edits, mut left) = (Vec::new(), Vec::new());
    for (case, checks) in cases {
        for check in checks.iter().filter(|check| check.differs()) {
            for fate in &check.fates {
                match fate.written {
                    Some(place) => edits.push(Edit { bytes: place.bytes, new: fate.is.to_owned() }),
                    None => left.push((fate.record.line, "a step `late` says so itself; make it a `record`")),
                }
            }
            if check.groups.iter().all(|group| group.name == "record") {
                continue;
            }
            let edit = match check.place {
                Some(place) => replaced(text, place, check, case.style),
                None => added(text, case.last_step, &check.actual, case.style),
            };
            match edit {
                Some(edit) => edits.push(edit),
                None => {
                    let line = check.place.unwrap_or(case.last_step).line;
                    left.push((line, "it stands inside of braces; give it lines of its own"));
                }
            }
        }
    }
    edits.sort_by_key(|edit| std::cmp::Reverse(edit.bytes));
    let (mut text, written) = (text.to_owned(), edits.len());
    for edit in edits {
        text.replace_range(edit.bytes.0..edit.bytes.1, &edit.new);
    }
    Updated { text, written, left }
}

fn replaced(text: &str, place: Place, check: &Check, style: Style) -> Option<Edit> {
    let from = place.bytes.0;
    let indent = indent(text, from)?;
    let to = end_of_block(text, from, indent);
    let block = text.get(from..to)?;
    let comments = block.lines().skip(1).map(str::trim).filter(|line| line.starts_with('#'));
    let comments: Vec<String> = comments.map(|comment| format!("{comment}\n")).collect();
    let head = block.lines().next().and_then(|line| line.strip_prefix("expect:"));
    let comment = head.map(str::trim).filter(|rest| rest.starts_with('#'));
    Some(Edit { bytes: (from, to), new: written(&check.actual, style, indent, comment, &comments) })
}

fn added(text: &str, last: Place, actual: &Expect, style: Style) -> Option<Edit> {
    let from = last.bytes.0;
    let line = from - indent(text, from)?;
    let dash = text.get(line..from)?.rfind('-')?;
    let at = end_of_block(text, from, dash);
    let block = written(actual, style, dash + 2, None, &[]);
    Some(Edit { bytes: (at, at), new: format!("\n{}- {block}", " ".repeat(dash)) })
}

/// Column of a key that begins its line but for spaces and dashes.
fn indent(text: &str, at: usize) -> Option<usize> {
    let start = text.get(..at)?.rfind('\n').map_or(0, |newline| newline + 1);
    let before = text.get(start..at)?;
    before.chars().all(|c| c == ' ' || c == '-').then_some(at - start)
}

/// Where the last line ends that stands deeper than `indent`, from the line of `from` on.
fn end_of_block(text: &str, from: usize, indent: usize) -> usize {
    let first = text.get(from..).and_then(|rest| rest.find('\n')).map_or(text.len(), |at| from + at);
    let (mut end, mut at) = (first, first);
    for line in text.get(first..).unwrap_or_default().split('\n').skip(1) {
        let next = at + 1 + line.len();
        let depth = line.len() - line.trim_start().len();
        if !line.trim().is_empty() {
            if depth <= indent {
                break;
            }
            end = next;
        }
        at = next;
    }
    end
}

/// An expectation as it is written in a file; the first line stands at its place already.
fn written(actual: &Expect, style: Style, indent: usize, comment: Option<&str>, comments: &[String]) -> String {
    let (deep, deeper) = (" ".repeat(indent + 2), " ".repeat(indent + 4));
    let mut out = String::new();
    comments.iter().for_each(|comment| out.extend([deep.as_str(), comment.as_str()]));
    let mut list = |name: &str, rows: &[Row], always: bool| {
        if rows.is_empty() && !always {
            return;
        }
        // Writing into memory cannot fail.
        let _ = writeln!(out, "{deep}{name}:{}", if rows.is_empty() { " []" } else { "" });
        for row in rows {
            let _ = writeln!(out, "{deeper}- {}", row.text(style));
        }
    };
    list("windows", &actual.windows, false);
    list("late", &actual.late, false);
    list("dead", &actual.dead, false);
    if let Some(open) = &actual.open {
        list("open", open, true);
    }
    if let Some(fates) = &actual.fates {
        let _ = writeln!(out, "{deep}fates: {}", fates.text(style));
    }
    let comment = comment.map_or(String::new(), |comment| format!(" {comment}"));
    match out.trim_end() {
        "" => format!("expect: {{}}{comment}"),
        rows => format!("expect:{comment}\n{rows}"),
    }
}
