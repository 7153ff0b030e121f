//! Counts each step of the subject of a checkout.

use super::Instructions;
use crate::report::root;
use crate::subject::{self, said};
use anyhow::{Context, ensure};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The arguments of the subject.
const STEPS: [&str; 3] = ["decode", "merge", "close"];

/// What was counted, and under what.
pub(super) struct Counted {
    pub(super) under: BTreeMap<String, String>,
    pub(super) instructions: Instructions,
}

/// Counts the sources of a checkout.
pub(super) fn count(checkout: &Path) -> anyhow::Result<Counted> {
    let program = subject::build(checkout)?;
    let mut counted = Counted { under: surroundings()?, instructions: Instructions::new() };
    for step in STEPS {
        let out = program.with_extension(format!("{step}.callgrind"));
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--tool=callgrind", "--quiet", "--toggle-collect=*::collected*"]);
        valgrind.arg(format!("--callgrind-out-file={}", out.display())).arg(&program).args(["gate", step]);
        let told = said(&mut valgrind, checkout).context("valgrind counts the instructions: install it")?;
        let (units, features) = told.split_once(' ').with_context(|| format!("{step} told {told:?}"))?;
        let profile = fs::read_to_string(&out).with_context(|| out.display().to_string())?;
        let instructions = total(&profile).with_context(|| format!("no total in {}", out.display()))?;
        ensure!(instructions > 0, "{step}: nothing was collected");
        counted.under.insert("features".into(), features.into());
        counted.instructions.insert(step.into(), per(instructions, units.parse()?));
    }
    Ok(counted)
}

/// To a tenth: more digits would only make the baseline's diffs noisy.
fn per(instructions: u64, units: u64) -> f64 {
    (instructions as f64 / units as f64 * 10.0).round() / 10.0
}

/// What else decides how many instructions a program needs.
fn surroundings() -> anyhow::Result<BTreeMap<String, String>> {
    let rustc = said(Command::new("rustc").arg("-vV"), root())?;
    let line = |name: &str| rustc.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
    Ok(BTreeMap::from([
        ("rustc".into(), rustc.lines().next().unwrap_or_default().to_owned()),
        ("target".into(), line("host: ")),
        ("libc".into(), said(Command::new("getconf").arg("GNU_LIBC_VERSION"), root())?),
        ("valgrind".into(), said(Command::new("valgrind").arg("--version"), root())?),
    ]))
}

/// The total of a callgrind profile.
fn total(profile: &str) -> Option<u64> {
    profile.lines().find_map(|line| line.strip_prefix("totals:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_a_profile_is_read() {
        assert_eq!(total("events: Ir\nfn=(1) x\n1 2\ntotals: 12345\n"), Some(12345));
        assert_eq!(total("events: Ir\n"), None);
        assert!((per(1_000_049, 1000) - 1000.0).abs() < 1e-9);
    }
}
