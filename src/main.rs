//! tidemill: arguments → command → exit code. Everything else is in the library.

use clap::Parser;
use std::process::ExitCode;
use std::time::Duration;

/// One allocator for Rust and for librdkafka (its `override` replaces malloc for the C side).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
/// Between two looks for memory that is free for long enough.
const PURGE_EVERY: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    // Freed memory goes back when something is freed after its delay: after a burst, nothing is.
    let purge = || loop {
        std::thread::sleep(PURGE_EVERY);
        tidemill::heap::give_back(false);
    };
    let purging = std::thread::Builder::new().name("purge".into()).spawn(purge);
    drop(purging);
    match tidemill::cli::Arguments::parse().execute() {
        Ok(code) => ExitCode::from(code),
        // Whoever read our output has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tidemill: {error:#}");
            ExitCode::from(1)
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
