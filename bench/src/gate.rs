//! The gate: instructions of the data path under callgrind, against `bench/gate.json`.
//!
//! Numbers are compared only under the compiler, libraries and processor features that they were counted under; else
//! the commit that wrote the baseline is built and counted anew. It measures no time, so it may run on a busy machine.

mod count;

use crate::report::{self, root};
use crate::subject::said;
use anyhow::{Context, ensure};
use count::{Counted, count};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Growth that fails, as a share of what it was; the same share less is an improvement worth keeping.
const TOLERATED: f64 = 0.03;
const BASELINE: &str = "bench/gate.json";
const UPDATE: &str = "cargo run -p tidemill-bench -- gate --update";

/// Counts instructions of decode, merge and close under callgrind; fails if they grew by more than 3 %
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Writes what is counted to bench/gate.json
    #[arg(long)]
    update: bool,
    /// Counts the commit that wrote bench/gate.json anew, even if its numbers hold here
    #[arg(long)]
    anew: bool,
}

/// Instructions for each record (close: for each result), by step.
type Instructions = BTreeMap<String, f64>;

/// `bench/gate.json`.
#[derive(Debug, Deserialize, Serialize)]
struct Baseline {
    counted_under: BTreeMap<String, String>,
    instructions: Instructions,
}

/// Counts, compares, and says what it found.
///
/// # Errors
/// A step grew, or something needed for counting is missing.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let now = count(root())?;
    if args.update {
        let baseline = Baseline { counted_under: now.under, instructions: now.instructions };
        let text = serde_json::to_string_pretty(&baseline)? + "\n";
        report::write(&root().join(BASELINE), &text)?;
        print!("{text}");
        return Ok(());
    }
    let text = fs::read_to_string(root().join(BASELINE)).with_context(|| format!("no {BASELINE}: run {UPDATE}"))?;
    let baseline: Baseline = serde_json::from_str(&text).with_context(|| BASELINE.to_owned())?;
    let before = if baseline.counted_under == now.under && !args.anew {
        baseline.instructions
    } else {
        println!("the baseline was counted under {:?}, this is {:?}", baseline.counted_under, now.under);
        match count_baseline()? {
            Some(counted) => counted.instructions,
            None => return Ok(()),
        }
    };
    let verdict = compare(&before, &now.instructions);
    print!("{}", verdict.text);
    ensure!(
        verdict.grown.is_empty(),
        "{} grew by more than {:.0} %. Mend it, or, if it is worth it, say so in the same commit: {UPDATE}",
        verdict.grown.join(", "),
        TOLERATED * 100.0
    );
    Ok(())
}

struct Verdict {
    text: String,
    grown: Vec<String>,
}

fn compare(before: &Instructions, now: &Instructions) -> Verdict {
    let mut verdict = Verdict { text: String::new(), grown: Vec::new() };
    for (step, now) in now {
        let Some(before) = before.get(step) else {
            verdict.text += &format!("{step}: {now:.1} instructions, for the first time: {UPDATE}\n");
            continue;
        };
        let growth = now / before - 1.0;
        let note = if growth < -TOLERATED { format!(": update the baseline: {UPDATE}") } else { String::new() };
        verdict.text += &format!("{step}: {before:.1} → {now:.1} instructions ({:+.1} %){note}\n", growth * 100.0);
        if growth > TOLERATED {
            verdict.grown.push(step.clone());
        }
    }
    for step in before.keys().filter(|step| !now.contains_key(*step)) {
        verdict.text += &format!("{step}: no longer counted: {UPDATE}\n");
    }
    verdict
}

/// Counts the commit that wrote the baseline; `None` if that is what stands here.
fn count_baseline() -> anyhow::Result<Option<Counted>> {
    if !git(&["status", "--porcelain", "--", BASELINE])?.is_empty() {
        println!("{BASELINE} is about to change: there is nothing to compare with");
        return Ok(None);
    }
    let commit = git(&["log", "-1", "--format=%H", "--", BASELINE])?;
    ensure!(!commit.is_empty(), "no commit here wrote {BASELINE}: fetch the history (git fetch --unshallow)");
    if commit == git(&["rev-parse", "HEAD"])? && git(&["status", "--porcelain"])?.is_empty() {
        println!("{BASELINE} changed in this very commit: there is nothing to compare with");
        return Ok(None);
    }
    println!("counting {commit}, which wrote the baseline");
    let checkout = Checkout::of(&commit)?;
    count(&checkout.0).map(Some)
}

/// A commit beside the working tree, for a while.
struct Checkout(PathBuf);

impl Checkout {
    fn of(commit: &str) -> anyhow::Result<Self> {
        let checkout = Self(root().join("target/gate-baseline"));
        checkout.remove();
        git(&["worktree", "add", "--quiet", "--detach", "--force", &checkout.0.to_string_lossy(), commit])?;
        Ok(checkout)
    }

    fn remove(&self) {
        // What is not there need not go.
        let _ = git(&["worktree", "remove", "--force", &self.0.to_string_lossy()]);
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        self.remove();
    }
}

fn git(args: &[&str]) -> anyhow::Result<String> {
    said(Command::new("git").args(args), root())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instructions(steps: &[(&str, f64)]) -> Instructions {
        steps.iter().map(|(step, count)| ((*step).to_owned(), *count)).collect()
    }

    #[test]
    fn growth_beyond_the_tolerance_fails_and_an_improvement_asks_for_a_new_baseline() {
        let before = instructions(&[("decode", 100.0), ("merge", 100.0), ("close", 100.0), ("gone", 1.0)]);
        let now = instructions(&[("decode", 103.1), ("merge", 102.9), ("close", 96.0), ("new", 1.0)]);
        let verdict = compare(&before, &now);
        assert_eq!(verdict.grown, ["decode"]);
        let lines: Vec<_> = verdict.text.lines().collect();
        assert!(lines[0].starts_with("close: 100.0 → 96.0 instructions (-4.0 %): update the baseline"), "{lines:?}");
        assert_eq!(lines[2], "merge: 100.0 → 102.9 instructions (+2.9 %)");
        assert!(lines[3].contains("for the first time") && lines[4].contains("no longer"), "{lines:?}");
    }
}
