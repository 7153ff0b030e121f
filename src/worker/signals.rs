//! SIGTERM and SIGINT: the first asks the lanes to leave, the second ends the process at once.

use super::Shared;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Exit code of a process that was ended by a second signal, as a shell would show it.
const KILLED: i32 = 130;

/// Listens from now on; call it inside of a tokio runtime.
///
/// # Errors
/// The system refuses a handler.
pub fn on_signals(shared: Shared) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        let first = either(&mut terminate, &mut interrupt).await;
        tracing::info!(signal = first, "leaving: what is closed is committed, open windows are left to the next owner");
        shared.stop();
        let second = either(&mut terminate, &mut interrupt).await;
        tracing::warn!(signal = second, "second signal: ending at once");
        std::process::exit(KILLED);
    });
    Ok(())
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}
