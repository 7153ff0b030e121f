//! `tidemill state FILE`: the group, what it has committed, and what a restart would do with it; `--reset` is the way
//! out of positions that cannot be gone on from.
//!
//! It never joins the group, and changes nothing without `--reset`.

mod json;
mod reset;
mod table;
#[cfg(test)]
mod tests;
mod view;

use super::preflight::{self, ClusterFacts};
use crate::broker::{CommitOffset, Committed};
use crate::config::Config;
use crate::error::{BrokerError, ErrorKind};
use crate::kafka::Admin;
use anyhow::{Context, anyhow, bail};
use reset::{Change, Reset};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;
use view::View;

/// How long brokers have for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What `tidemill state` takes.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The pipeline
    file: PathBuf,
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
    /// Move a position while no worker runs: PARTITION is topic[3], topic:3 or all, WHERE is earliest, latest, an
    /// offset, or erase. The partition starts clean there; a partition that is named wins over `all`
    #[arg(long, value_name = "PARTITION=WHERE")]
    reset: Vec<Reset>,
}

/// Prints the state of the group, after moving positions if asked to. Returns the exit code: 0, or 2 if the file or
/// what is asked for cannot be used.
///
/// # Errors
/// The brokers do not answer, or refuse; the group has members and positions were to be moved.
pub fn state(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<u8> {
    let Some(config) = super::load(&arguments.file)? else { return Ok(2) };
    let mut admin = Admin::connect(&config.kafka, PATIENCE)?;
    let facts = ask(&mut admin, &config)?;
    if arguments.reset.is_empty() {
        print(&View::new(&config, &facts)?, &[], arguments.json, out)?;
        return Ok(0);
    }
    let changes = match reset::plan(&arguments.reset, &facts) {
        Ok(changes) => changes,
        Err(complaints) => {
            let mut err = io::stderr().lock();
            complaints.iter().try_for_each(|complaint| writeln!(err, "error: {complaint}"))?;
            writeln!(err, "nothing was changed")?;
            return Ok(2);
        }
    };
    nobody_there(&View::new(&config, &facts)?)?;
    apply(&mut admin, &changes).map_err(|error| match error.kind {
        ErrorKind::Abort => anyhow!("{error}. The positions are as they were, or partly moved: look again"),
        _ => anyhow!(error),
    })?;
    print(&View::new(&config, &ask(&mut admin, &config)?)?, &changes, arguments.json, out)?;
    Ok(0)
}

fn ask(admin: &mut Admin, config: &Config) -> anyhow::Result<ClusterFacts> {
    preflight::facts_and_group(admin, config)
        .with_context(|| format!("cannot ask the brokers at {}", config.kafka.brokers))
}

/// The coordinator would refuse as well; here the members have names.
fn nobody_there(view: &View) -> anyhow::Result<()> {
    if view.members.is_empty() {
        return Ok(());
    }
    let mut members = String::new();
    for member in &view.members {
        members.push_str(&format!("\n  {} on {}, owns {}", member.id, member.host, member.owns()));
    }
    bail!(
        "nothing was changed: the group `{}` has members. Stop these workers first (one that was killed leaves when its \
         session ends), then run this again:{members}",
        view.group
    )
}

fn apply(admin: &mut Admin, changes: &[Change]) -> Result<(), BrokerError> {
    let mut positions = Vec::new();
    let mut erased = Vec::new();
    for change in changes {
        match change.to {
            // Without metadata: that is what says "start clean here".
            Some(offset) => positions.push(CommitOffset {
                partition: change.partition.clone(),
                committed: Committed { offset, metadata: String::new() },
            }),
            None => erased.push(change.partition.clone()),
        }
    }
    if !positions.is_empty() {
        admin.set_positions(&positions)?;
    }
    if !erased.is_empty() {
        admin.delete_positions(&erased)?;
    }
    Ok(())
}

fn print(view: &View, changes: &[Change], as_json: bool, out: &mut dyn Write) -> io::Result<()> {
    if as_json {
        return writeln!(out, "{}", json::of(view, changes));
    }
    for change in changes {
        writeln!(out, "{change}")?;
    }
    if !changes.is_empty() {
        writeln!(out)?;
    }
    table::write(view, out)
}
