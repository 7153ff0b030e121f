//! SIGTERM and SIGINT: the first asks the lanes to leave, the second ends the process at once.

use super::Shared;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Exit code of a process that was ended by a second signal, as a shell would show it.
const KILLED: i32 = 130;

/// Listens from now on, and ends the process shortly before `shutdown_timeout` is over; call it inside of a tokio runtime.
///
/// # Errors
/// The system refuses a handler.
pub fn on_signals(shared: Shared, shutdown_timeout: Duration) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        let first = either(&mut terminate, &mut interrupt).await;
        tracing::info!(signal = first, "leaving: what is closed is committed, open windows are left to the next owner");
        shared.stop();
        tokio::select! {
            second = either(&mut terminate, &mut interrupt) => {
                tracing::warn!(signal = second, "second signal: ending at once");
                std::process::exit(KILLED);
            }
            // Whatever is waited for, also before the lanes have started. Nothing is lost by it.
            () = tokio::time::sleep(shutdown_timeout.mul_f64(0.95)) => {
                tracing::warn!("shutdown.timeout is over");
                std::process::exit(0);
            }
        }
    });
    Ok(())
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}
