//! `tidemill schema`: the JSON Schema of a pipeline, for editors.

use std::io::{self, Write};

/// Prints the schema that `tidemill check` enforces.
pub fn schema(out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &crate::config::schema())?;
    writeln!(out)
}
