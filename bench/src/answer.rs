//! What a question comes to: numbers for `bench/results`, a section of the page, plots beside it.

use crate::report::{Machine, root, splice, write, write_json};
use crate::targets::targets;
use serde::Serialize;
use serde_json::Value;

/// The page that the sections are on.
const PAGE: &str = "docs/performance.md";

/// One question's answer.
#[derive(Debug)]
pub struct Answer {
    name: &'static str,
    results: Value,
    section: String,
    plots: Vec<(&'static str, String)>,
}

impl Answer {
    /// `section` is Markdown: tables, and what they were measured with.
    pub(crate) fn new(name: &'static str, results: &impl Serialize, section: String) -> anyhow::Result<Self> {
        Ok(Self { name, results: serde_json::to_value(results)?, section, plots: Vec::new() })
    }

    /// Adds a plot, as `docs/performance/NAME.svg`, below the section.
    pub(crate) fn plot(mut self, name: &'static str, what: &str, svg: String) -> Self {
        self.section = format!("{}\n\n![{what}](performance/{name}.svg)", self.section.trim_end());
        self.plots.push((name, svg));
        self
    }

    /// The section, for people who only look.
    pub fn section(&self) -> &str {
        &self.section
    }

    /// Writes numbers, plots and section, and with them the table of targets.
    ///
    /// # Errors
    /// A file cannot be written, or the page lacks its markers.
    pub fn write(&self) -> anyhow::Result<()> {
        let command = command();
        write_json(self.name, &command, &self.results)?;
        for (name, svg) in &self.plots {
            write(&root().join(format!("docs/performance/{name}.svg")), svg)?;
        }
        let Machine { processor, cores, memory_bytes, .. } = Machine::this();
        let gib = (memory_bytes as f64 / f64::from(1 << 30)).round();
        let measured = format!("Measured by `{command}` on {cores} cores of an {processor} with {gib} GiB.");
        splice(PAGE, self.name, &format!("{}\n\n{measured}", self.section.trim_end()))?;
        splice(PAGE, "targets", &targets())
    }
}

/// What makes the same answer again, with what the release profile was told.
fn command() -> String {
    let mut profile: Vec<_> = std::env::vars().filter(|(name, _)| name.starts_with("CARGO_PROFILE_RELEASE_")).collect();
    profile.sort();
    let told: String = profile.iter().map(|(name, value)| format!("{name}={value} ")).collect();
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    format!("{told}cargo run --release -p tidemill-bench -- {}", arguments.join(" "))
}

/// A number of records, keys or bytes with its digits in groups.
pub(crate) fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Bytes as MB.
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_come_in_groups_of_three() {
        assert_eq!([0.4, 12.0, 1234.0, 1_234_567.0].map(grouped), ["0", "12", "1,234", "1,234,567"]);
    }

    #[test]
    fn a_plot_is_shown_below_its_section() {
        let answer = Answer::new("x", &1, "table\n".into()).unwrap().plot("x-plot", "what", "<svg/>".into());
        assert_eq!(answer.section(), "table\n\n![what](performance/x-plot.svg)");
    }
}
