//! tidemill: arguments → command → exit code. Everything else is in the library.

use clap::Parser;
use std::process::ExitCode;

/// One allocator for Rust and for librdkafka (its `override` replaces malloc for the C side).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match tidemill::cli::Arguments::parse().execute() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("tidemill: {error:#}");
            ExitCode::from(1)
        }
    }
}
