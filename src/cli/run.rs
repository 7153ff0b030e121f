//! `tidemill run FILE`: the worker.

use std::path::PathBuf;

/// What `tidemill run` takes.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The pipeline
    file: PathBuf,
}

/// Runs a pipeline until it is told to stop.
///
/// # Errors
/// What it had to stop for.
pub fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    let Some(config) = super::load(&arguments.file)? else { return Ok(2) };
    anyhow::bail!("{}", config.name)
}
