//! `tidemill check FILE`: everything that is wrong with a pipeline, before anything is connected.
//!
//! It reads the file and what the file names; it never asks a broker.

use crate::config::{self, Complaint, Loaded};
use std::io::{self, Write};
use std::path::Path;

/// Prints all errors and warnings of the file at `path` and a last line that sums up. Returns the exit code:
/// 0 if the pipeline can run, 2 if it cannot.
pub fn check(path: &Path, out: &mut dyn Write) -> io::Result<u8> {
    let env = |name: &str| std::env::var(name).ok();
    report(path, config::load(path, &env), out)
}

fn report(path: &Path, read: Result<Loaded, Vec<Complaint>>, out: &mut dyn Write) -> io::Result<u8> {
    let (complaints, code) = match &read {
        Ok(loaded) => (&loaded.warnings, 0),
        Err(complaints) => (complaints, 2),
    };
    for complaint in complaints {
        writeln!(out, "{complaint}")?;
    }
    let errors = complaints.iter().filter(|complaint| complaint.is_error()).count();
    let warnings = complaints.len() - errors;
    let verdict = if code == 0 { "valid" } else { "not valid" };
    writeln!(out, "{}: {verdict}, {}, {}", path.display(), count(errors, "error"), count(warnings, "warning"))?;
    Ok(code)
}

fn count(number: usize, noun: &str) -> String {
    match number {
        0 => format!("no {noun}s"),
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}
