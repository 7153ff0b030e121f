//! `tidemill schema`: the JSON Schema of a pipeline or of its test cases, for editors.

use crate::config;
use std::io::{self, Write};

/// What `tidemill schema` takes.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The schema of test files instead
    #[arg(long)]
    test: bool,
}

/// Prints what is asked for.
pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> io::Result<()> {
    if arguments.test { cases(out) } else { schema(out) }
}

/// Prints the schema that `tidemill check` enforces.
pub fn schema(out: &mut dyn Write) -> io::Result<()> {
    print(&config::schema(), out)
}

/// Prints the schema that `tidemill test` enforces.
pub fn cases(out: &mut dyn Write) -> io::Result<()> {
    print(&config::cases::schema(), out)
}

fn print(schema: &serde_json::Value, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, schema)?;
    writeln!(out)
}
