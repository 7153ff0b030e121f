//! The commands, one file each: they print, and return an exit code.
//!
//! 0: as it should be. 1: it failed while running. 2: the configuration or the command line is not usable.

pub mod check;
pub mod demo;
pub mod plan;
pub mod preflight;
pub mod run;
pub mod schema;
mod sizing;
pub mod state;
pub mod test;
pub mod top;

use crate::config::{self, Complaint, Config, Loaded};
use crate::{kafka, logs};
use clap::{Parser, Subcommand};
use std::io::{self, Write};
use std::path::Path;

/// Merges keyed Kafka events into event-time windows, exactly once, inside one memory budget.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// How log lines are written (to stderr)
    #[arg(long, global = true, value_enum, default_value_t)]
    log_format: logs::Format,
    /// Which log lines: error, warn, info, debug, trace, or part=level,… [env: TIDEMILL_LOG] [default: info]
    #[arg(long, global = true, value_name = "LEVEL")]
    log: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a pipeline until SIGTERM or SIGINT
    Run(run::Arguments),
    /// Say everything that is wrong with a pipeline; with --connect, with its topics and brokers as well
    Check(check::Arguments),
    /// Say what a pipeline will need: memory, time, lanes; from a sample of its topic or from given numbers
    Plan(plan::Arguments),
    /// Try pipelines without a broker: run the cases of test files in virtual time
    Test(test::Arguments),
    /// Show the group: positions, watermarks, lag, what a restart reads again, who owns what; or reset positions
    State(state::Arguments),
    /// Watch a running worker: what it does, and what each partition waits for
    Top(top::Arguments),
    /// The flights of 2013 through an embedded broker: what tidemill does, in some seconds
    Demo(demo::Arguments),
    /// Print the JSON Schema of a pipeline, or of its test cases
    Schema(schema::Arguments),
}

impl Arguments {
    /// Runs the command and returns the exit code.
    ///
    /// # Errors
    /// It failed while running; the message is for people.
    pub fn execute(self) -> anyhow::Result<u8> {
        let out = &mut io::stdout().lock();
        match &self.command {
            Command::Check(arguments) => {
                self.logs_if_asked()?;
                Ok(check::run(arguments, out)?)
            }
            Command::Plan(arguments) => {
                self.logs_if_asked()?;
                plan::plan(arguments, out)
            }
            Command::Test(arguments) => {
                self.logs_if_asked()?;
                test::test(arguments, out)
            }
            Command::State(arguments) => {
                self.logs_if_asked()?;
                state::state(arguments, out)
            }
            Command::Top(arguments) => top::top(arguments, out),
            Command::Schema(arguments) => Ok(schema::run(arguments, out).map(|()| 0)?),
            Command::Run(arguments) => {
                let logs = logs::init(self.log_format, self.log.as_deref())?;
                run::run(arguments, logs)
            }
            Command::Demo(arguments) => {
                let logs = logs::init(self.log_format, Some(self.log.as_deref().unwrap_or("warn")))?;
                demo::demo(arguments, logs, out)
            }
        }
    }

    /// A command whose output is the answer logs only if somebody wants to see how it came about.
    fn logs_if_asked(&self) -> anyhow::Result<()> {
        match self.log.is_some() || std::env::var_os(logs::LEVEL_VARIABLE).is_some() {
            true => logs::init(self.log_format, self.log.as_deref()).map(drop),
            false => Ok(()),
        }
    }
}

/// Reads a file with the variables of this process and the properties that librdkafka takes.
fn read(path: &Path) -> Result<Loaded, Vec<Complaint>> {
    config::load_with(path, &|name| std::env::var(name).ok(), &kafka::check_property)
}

/// Reads a pipeline for a command that needs a valid one: complaints go to stderr, `None` means exit code 2.
fn load(path: &Path) -> io::Result<Option<Config>> {
    let read = read(path);
    let complaints: &[Complaint] = match &read {
        Ok(loaded) => &loaded.warnings,
        Err(complaints) => complaints,
    };
    let mut err = io::stderr().lock();
    for complaint in complaints {
        writeln!(err, "{complaint}")?;
    }
    Ok(read.ok().map(|loaded| loaded.config))
}
