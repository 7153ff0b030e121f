//! The report in JUnit's XML, as CI systems read it. Decides nothing.

use super::Report;
use crate::trial::Line;
use std::fmt::Write;

/// All files, one suite each.
pub(super) fn xml(reports: &[Report]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"tidemill test\">\n");
    for report in reports {
        // Writing into memory cannot fail.
        let _ = suite(report, &mut out);
    }
    out.push_str("</testsuites>\n");
    out
}

fn suite(Report { file, cases }: &Report, out: &mut String) -> std::fmt::Result {
    let name = escaped(file);
    let outcomes = match cases {
        Ok(outcomes) => outcomes,
        Err(complaints) => {
            let message = complaints.first().map_or(String::new(), |complaint| complaint.message.clone());
            let text: String = complaints.iter().map(ToString::to_string).collect();
            writeln!(out, "  <testsuite name=\"{name}\" tests=\"1\" failures=\"0\" errors=\"1\" time=\"0.000\">")?;
            writeln!(
                out,
                "    <testcase name=\"the file can be used\" classname=\"{name}\" file=\"{name}\" time=\"0.000\">"
            )?;
            writeln!(out, "      <error message=\"{}\">{}</error>", escaped(&message), escaped(&text))?;
            return writeln!(out, "    </testcase>\n  </testsuite>");
        }
    };
    let failures = outcomes.iter().filter(|outcome| !outcome.failure.is_empty()).count();
    let seconds: f64 = outcomes.iter().map(|outcome| outcome.took.as_secs_f64()).sum();
    writeln!(
        out,
        "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" time=\"{seconds:.3}\">",
        outcomes.len()
    )?;
    for outcome in outcomes {
        let (case, line, seconds) = (escaped(&outcome.case.name), outcome.case.place.line, outcome.took.as_secs_f64());
        write!(
            out,
            "    <testcase name=\"{case}\" classname=\"{name}\" file=\"{name}\" line=\"{line}\" time=\"{seconds:.3}\""
        )?;
        if outcome.failure.is_empty() {
            writeln!(out, "/>")?;
            continue;
        }
        let lines: Vec<_> = outcome.failure.iter().map(Line::text).collect();
        let message = lines.first().cloned().unwrap_or_default();
        let text: Vec<_> = lines.iter().map(|line| line.trim_end()).collect();
        writeln!(out, ">\n      <failure message=\"{}\">{}</failure>", escaped(&message), escaped(&text.join("\n")))?;
        writeln!(out, "    </testcase>")?;
    }
    writeln!(out, "  </testsuite>")
}

/// Text in XML: what would be markup is escaped, what XML cannot hold becomes a question mark.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => out.push('?'),
            _ => out.push(c),
        }
    }
    out
}
