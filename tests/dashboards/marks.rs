//! Where an alert has a mark, so has a panel: the colour changes there to that of the alert's severity.

use super::source::{Panel, Threshold};
use crate::panels::Rule;
use regex::Regex;

/// Everything that the thresholds of a panel and the marks of its alerts disagree on.
pub fn panel(panel: &Panel, rules: &[Rule]) -> Vec<String> {
    let wrong = |alert: &&String| {
        let rule = rules.iter().find(|rule| rule.is_alert && rule.name == **alert);
        rule.is_none_or(|rule| !marks(&rule.expr).iter().any(|mark| agrees(panel, rule, *mark)))
    };
    let say =
        |alert: &String| format!("{}: no threshold is the mark of {alert}, or it has another colour", panel.title);
    panel.alerts.iter().filter(wrong).map(say).collect()
}

/// Numbers that the expression compares with: just where it is true, and just where it is not. Whether something is there
/// at all, or grows, is a mark only where there is no other.
pub fn marks(expr: &str) -> Vec<(f64, f64)> {
    let comparison = Regex::new(r"(==|>|<) ([0-9.]+(?: \* [0-9.]+)*)").unwrap();
    let read = |found: regex::Captures<'_>| {
        let number: f64 = found[2].split(" * ").map(|factor| factor.parse::<f64>().unwrap()).product();
        (found[1].to_owned(), number)
    };
    let all: Vec<_> = comparison.captures_iter(expr).map(read).collect();
    let has_other = all.iter().any(|(_, number)| *number != 0.0);
    let mark = |(operator, number): &(String, f64)| {
        let number = *number;
        match (&**operator, number) {
            ("==", 0.0) => (0.0, 1.0),
            ("==", _) => (number, number - 1.0),
            // Of something that is counted.
            (">", 0.0) => (1.0, 0.0),
            (">", _) => (number * 1.000_001, number * 0.999_999),
            _ => (number * 0.999_999, number * 1.000_001),
        }
    };
    all.iter().filter(|(_, number)| !has_other || *number != 0.0).map(mark).collect()
}

fn agrees(panel: &Panel, rule: &Rule, (within, without): (f64, f64)) -> bool {
    let severity = if rule.severity == "critical" { "red" } else { "orange" };
    colour(panel, within) == severity && rank(colour(panel, without)) < rank(severity)
}

fn rank(colour: &str) -> usize {
    ["green", "orange", "red"].iter().position(|it| *it == colour).unwrap()
}

/// The colour of a number, as Grafana gives it.
fn colour(panel: &Panel, number: f64) -> &str {
    let step = |(index, threshold)| match threshold {
        &Threshold::Base(_) => Some("green"),
        Threshold::From(text) => {
            let (colour, from) = text.split_once('@').unwrap();
            (index == 0 || number >= from.parse::<f64>().unwrap()).then_some(colour)
        }
    };
    panel.thresholds.iter().enumerate().filter_map(step).next_back().unwrap()
}
