//! A failed check as lines for people: expected and seen beside each other, member below member.

use super::judge::{Check, Difference};
use crate::config::cases::{Case, Place, Row, Style};

/// One line of a diff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Where, and of what.
    Place(String),
    /// Expected, and not seen.
    Expected(String),
    /// Seen, and not expected.
    Actual(String),
    /// Why.
    Note(String),
}

impl Line {
    /// The line with its mark.
    pub fn text(&self) -> String {
        match self {
            Self::Place(text) => text.clone(),
            Self::Expected(text) => format!("  - {text}"),
            Self::Actual(text) => format!("  + {text}"),
            Self::Note(text) => format!("    {text}"),
        }
    }
}

/// Everything that differs.
pub fn lines(file: &str, case: &Case, check: &Check) -> Vec<Line> {
    let mut lines = Vec::new();
    for group in &check.groups {
        let first = group.differences.iter().find_map(|difference| difference.place);
        let place = first.or(check.place).unwrap_or(case.last_step);
        let what = match (group.name, check.place) {
            (name, Some(_)) => name.to_owned(),
            (name, None) => format!("{name}, after the last step, where nothing is expected"),
        };
        lines.push(Line::Place(format!("{}: {what}", at(file, place))));
        group.differences.iter().for_each(|difference| push(difference, case.style, &mut lines));
    }
    lines
}

/// `file:line:column`.
fn at(file: &str, place: Place) -> String {
    format!("{file}:{}:{}", place.line, place.column)
}

fn push(difference: &Difference, style: Style, lines: &mut Vec<Line>) {
    match (&difference.expected, &difference.actual) {
        (Some(expected), Some(actual)) => {
            let (expected, actual) = beside(expected, actual, style);
            lines.extend([Line::Expected(expected), Line::Actual(actual)]);
        }
        (Some(expected), None) => lines.push(Line::Expected(expected.text(style))),
        (None, Some(actual)) => lines.push(Line::Actual(actual.text(style))),
        (None, None) => {}
    }
    lines.extend(difference.note.clone().filter(|note| !note.is_empty()).map(Line::Note));
}

/// Two rows of the same members; where they differ, the shorter one is as wide as the other.
fn beside(expected: &Row, actual: &Row, style: Style) -> (String, String) {
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for cell in &expected.cells {
        let seen = actual.cells.iter().find(|other| other.name == cell.name).map_or(String::new(), |it| it.text(style));
        let wanted = cell.text(style);
        let width = wanted.chars().count().max(seen.chars().count());
        left.push(format!("{wanted:width$}"));
        right.push(format!("{seen:width$}"));
    }
    (format!("{{ {} }}", left.join(", ")), format!("{{ {} }}", right.join(", ")))
}
