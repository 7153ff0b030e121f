//! The data path as a program of its own (`bench/subject`), built from any checkout.

use crate::report::root;
use anyhow::{Context, bail};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the subject of a checkout, below the bench's own target folder: what two checkouts share is built once.
///
/// # Errors
/// It does not build.
pub fn build(checkout: &Path) -> anyhow::Result<PathBuf> {
    let target = root().join("target");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or(OsString::from("cargo")));
    cargo.args(["build", "--locked", "--quiet", "-p", "tidemill-subject", "--profile", "subject", "--target-dir"]);
    // The flags of whoever calls would make another program of it.
    said(cargo.arg(&target).env_remove("RUSTFLAGS"), checkout)?;
    Ok(target.join("subject/subject"))
}

/// What a command prints.
///
/// # Errors
/// It fails; with what it said.
pub fn said(command: &mut Command, folder: &Path) -> anyhow::Result<String> {
    let output = command.current_dir(folder).output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
