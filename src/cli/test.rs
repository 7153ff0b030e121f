//! `tidemill test FILE…`: the cases of test files, each on a broker of its own in this process, in virtual time.
//!
//! It connects to nothing, and writes nothing but its answer, the report that is asked for, and expectations with
//! `--update`.

mod junit;

use crate::clock::{Clock, SystemClock};
use crate::config::Complaint;
use crate::config::cases::{self, Case, Cases};
use crate::trial::{self, Check, Line, Updated};
use anyhow::Context;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What `tidemill test` takes.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Test files, such as config/flights.test.yaml for the pipeline config/flights.yaml
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Run only cases with this text in their names
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Write the expectations of failing cases anew, in place, and run them again
    #[arg(long)]
    update: bool,
    /// Write a report in JUnit's XML to this file as well
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// What became of one file.
struct Report {
    file: String,
    /// Its cases, or why it cannot be used.
    cases: Result<Vec<Outcome>, Vec<Complaint>>,
}

/// What became of one case.
struct Outcome {
    case: Case,
    took: Duration,
    /// Empty if it passed.
    failure: Vec<Line>,
}

/// Runs the files. Returns the exit code: 0 if every case passed, 1 if one failed, 2 if a file cannot be used or no case
/// is left to run.
///
/// # Errors
/// A file cannot be written.
pub fn test(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<u8> {
    let paint = Paint(std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    let mut reports = Vec::new();
    for path in &arguments.files {
        let report = one(path, arguments, out)?;
        report.show(paint, out)?;
        reports.push(report);
    }
    if let Some(path) = &arguments.junit {
        std::fs::write(path, junit::xml(&reports)).with_context(|| format!("cannot write {}", path.display()))?;
    }
    sum_up(&reports, out)
}

fn one(path: &Path, arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<Report> {
    let file = path.display().to_string();
    let cases = match cases::load(path, &super::read) {
        Ok(cases) => cases,
        Err(complaints) => return Ok(Report { file, cases: Err(complaints) }),
    };
    let (outcomes, checks) = run(&cases, arguments.filter.as_deref());
    if !arguments.update || outcomes.iter().all(|outcome| outcome.failure.is_empty()) {
        return Ok(Report { file, cases: Ok(outcomes) });
    }
    let failed: Vec<(&Case, &[Check])> = checks.iter().map(|(case, checks)| (*case, checks.as_slice())).collect();
    let Updated { text, written, left } = trial::update(&cases.text, &failed);
    std::fs::write(path, text).with_context(|| format!("cannot write {file}"))?;
    writeln!(out, "{file}: {}", count(written, "expectation written", "expectations written"))?;
    for (line, why) in left {
        writeln!(out, "{file}:{line}: not written: {why}")?;
    }
    let again = cases::load(path, &super::read).map(|cases| run(&cases, arguments.filter.as_deref()).0);
    Ok(Report { file, cases: again })
}

/// Runs the cases whose names are wanted.
fn run<'c>(cases: &'c Cases, filter: Option<&str>) -> (Vec<Outcome>, Vec<(&'c Case, Vec<Check>)>) {
    let clock = SystemClock::new();
    let (mut outcomes, mut all) = (Vec::new(), Vec::new());
    let wanted = cases.cases.iter().filter(|case| filter.is_none_or(|text| case.name.contains(text)));
    for case in wanted {
        let began = clock.monotonic();
        let ran = trial::run(case, &cases.config);
        let took = clock.monotonic().saturating_sub(began);
        let failure = match &ran {
            Ok(checks) => checks.iter().flat_map(|check| trial::lines(&cases.file, case, check)).collect(),
            Err(stop) => {
                let place = format!("{}:{}:{}: the worker stopped", cases.file, case.place.line, case.place.column);
                vec![Line::Place(place), Line::Note(stop.to_string())]
            }
        };
        outcomes.push(Outcome { case: case.clone(), took, failure });
        all.push((case, ran.unwrap_or_default()));
    }
    (outcomes, all)
}

impl Report {
    fn show(&self, paint: Paint, out: &mut dyn Write) -> std::io::Result<()> {
        let outcomes = match &self.cases {
            Ok(outcomes) => outcomes,
            Err(complaints) => return complaints.iter().try_for_each(|complaint| writeln!(out, "{complaint}")),
        };
        if !outcomes.is_empty() {
            writeln!(out, "{}", self.file)?;
        }
        for Outcome { case, failure, .. } in outcomes {
            if failure.is_empty() {
                writeln!(out, "  {}    {}", paint.green("ok"), case.name)?;
                continue;
            }
            writeln!(out, "  {}  {}", paint.red("FAIL"), case.name)?;
            for line in failure {
                let text = line.text();
                let text = match line {
                    Line::Expected(_) => paint.red(&text),
                    Line::Actual(_) => paint.green(&text),
                    Line::Place(_) | Line::Note(_) => text,
                };
                writeln!(out, "        {}", text.trim_end())?;
            }
        }
        Ok(())
    }
}

fn sum_up(reports: &[Report], out: &mut dyn Write) -> anyhow::Result<u8> {
    let outcomes = || reports.iter().filter_map(|report| report.cases.as_ref().ok()).flatten();
    let unusable = reports.iter().filter(|report| report.cases.is_err()).count();
    let failed = outcomes().filter(|outcome| !outcome.failure.is_empty()).count();
    let mut sum =
        format!("{}: {} ok, {failed} failed", count(outcomes().count(), "case", "cases"), outcomes().count() - failed);
    if unusable > 0 {
        sum += &format!(", {}", count(unusable, "file cannot be used", "files cannot be used"));
    }
    writeln!(out, "{sum}")?;
    Ok(match (unusable, failed) {
        _ if outcomes().count() == 0 => 2,
        (0, 0) => 0,
        (0, _) => 1,
        _ => 2,
    })
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Colours, for terminals.
#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn red(self, text: &str) -> String {
        self.with(31, text)
    }

    fn green(self, text: &str) -> String {
        self.with(32, text)
    }

    fn with(self, colour: u8, text: &str) -> String {
        if self.0 { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
