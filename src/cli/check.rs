//! `tidemill check FILE`: everything that is wrong with a pipeline, before a worker runs it.
//!
//! It reads the file and what the file names; it asks the brokers only with `--connect`, and changes nothing there.

use super::preflight::{self, ClusterFacts, Finding, TopicFacts};
use super::sizing;
use crate::budget::Mib;
use crate::config::{Complaint, Config, Loaded};
use crate::error::BrokerError;
use crate::kafka::{Admin, Reader};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long brokers have for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What `tidemill check` takes.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The pipeline
    file: PathBuf,
    /// Ask the brokers as well: topics, settings, permissions, the group's positions
    #[arg(long)]
    connect: bool,
}

/// Prints all errors and warnings of the file at `path` and a last line that sums up. Returns the exit code: 0 if the
/// pipeline can run, 2 if it cannot.
///
/// # Errors
/// The output cannot be written.
pub fn check(path: &Path, out: &mut dyn Write) -> io::Result<u8> {
    report(path, &super::read(path), false, out)
}

/// [`check`], and the same about the cluster if asked to.
///
/// # Errors
/// The output cannot be written.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> io::Result<u8> {
    let path = &arguments.file;
    let read = super::read(path);
    let code = report(path, &read, arguments.connect, out)?;
    match (&read, arguments.connect) {
        (_, false) => Ok(code),
        (Ok(loaded), true) => connect(path, &loaded.config, out),
        (Err(_), true) => {
            writeln!(out, "{}: not connected, because the file is not valid", path.display())?;
            Ok(code)
        }
    }
}

fn report(path: &Path, read: &Result<Loaded, Vec<Complaint>>, connect: bool, out: &mut dyn Write) -> io::Result<u8> {
    let (complaints, code) = match read {
        Ok(loaded) => (&loaded.warnings, 0),
        Err(complaints) => (complaints, 2),
    };
    for complaint in complaints {
        writeln!(out, "{complaint}")?;
    }
    let mut errors = complaints.iter().filter(|complaint| complaint.is_error()).count();
    let warnings = complaints.len() - errors;
    let mut code = code;
    // With the brokers asked, the number of partitions is known, and may make fewer lanes.
    if let (Ok(loaded), false) = (read, connect) {
        let fits = memory(&loaded.config, None, out)?;
        errors += usize::from(!fits);
        code = if fits { code } else { 2 };
    }
    let verdict = if code == 0 { "valid" } else { "not valid" };
    writeln!(out, "{}: {verdict}, {}, {}", path.display(), count(errors, "error"), count(warnings, "warning"))?;
    Ok(code)
}

/// Who gets how much memory; false if it does not suffice. `partitions` of the source where they are known.
fn memory(config: &Config, partitions: Option<usize>, out: &mut dyn Write) -> io::Result<bool> {
    let total = sizing::total(config);
    if config.memory.budget_bytes.is_none() {
        writeln!(out, "memory.budget: auto is {}: {}", Mib(total.bytes), total.from)?;
    }
    match sizing::divide(config, &total, partitions) {
        Ok(budget) => writeln!(out, "{budget}")?,
        Err(refusal) => {
            writeln!(out, "error: {refusal}\n")?;
            return Ok(false);
        }
    }
    Ok(true)
}

fn connect(path: &Path, config: &Config, out: &mut dyn Write) -> io::Result<u8> {
    out.flush()?;
    let facts = match ask(config) {
        Ok(facts) => facts,
        Err(error) => {
            let brokers = &config.kafka.brokers;
            writeln!(out, "\nerror: cannot ask the brokers at {brokers} (tried for {PATIENCE:?}): {error}")?;
            writeln!(out, " = help: see that they are up and that `kafka.brokers` and its properties are right\n")?;
            writeln!(out, "{}: not ready", path.display())?;
            return Ok(2);
        }
    };
    summary(config, &facts, out)?;
    let partitions = facts.source_partitions().count();
    let fits = memory(config, (partitions > 0).then_some(partitions), out)?;
    let findings = preflight::judge(config, &facts);
    for finding in &findings {
        writeln!(out, "{finding}")?;
    }
    let errors = findings.iter().filter(|finding| Finding::is_error(finding)).count() + usize::from(!fits);
    let verdict = if errors == 0 { "ready" } else { "not ready" };
    let (errors_in_words, warnings) =
        (count(errors, "error"), count(findings.len() + usize::from(!fits) - errors, "warning"));
    writeln!(out, "{} on {}: {verdict}, {errors_in_words}, {warnings}", path.display(), config.kafka.brokers)?;
    Ok(if errors == 0 { 0 } else { 2 })
}

fn ask(config: &Config) -> Result<ClusterFacts, BrokerError> {
    // Properties that only fit a consumer if all of them are taken together; it reads nothing.
    let settings =
        sizing::divide(config, &sizing::total(config), None).map(|budget| budget.settings).unwrap_or_default();
    drop(Reader::open_at(&config.kafka, &[], &settings)?);
    let mut admin = Admin::connect(&config.kafka, PATIENCE)?;
    let mut facts = preflight::facts_and_group(&mut admin, config)?;
    facts.transactional_id = Some(preflight::probe_transactional_id(&config.kafka, PATIENCE));
    Ok(facts)
}

/// What was found, before what is wrong with it.
fn summary(config: &Config, facts: &ClusterFacts, out: &mut dyn Write) -> io::Result<()> {
    let topic = |topic: &TopicFacts| match topic.found() {
        Some(found) => format!("{} ({})", topic.name, count(found.partitions.unsigned_abs() as usize, "partition")),
        None => format!("{} (not found)", topic.name),
    };
    let list = |topics: Vec<String>| if topics.is_empty() { "nothing yet".to_owned() } else { topics.join(", ") };
    writeln!(out, "\nreads   {}", list(facts.sources.iter().map(topic).collect()))?;
    writeln!(out, "writes  {}", list(facts.outlets.iter().map(|(_, outlet)| topic(outlet)).collect()))?;
    if let (Some(Ok(group)), Ok(positions)) = (&facts.group, &facts.positions) {
        let (members, positions) = (count(group.members.len(), "member"), count(positions.len(), "position"));
        writeln!(out, "group   {}: {members}, {positions}", config.kafka.group)?;
    }
    writeln!(out)
}

fn count(number: usize, noun: &str) -> String {
    match number {
        0 => format!("no {noun}s"),
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}
