//! Log lines: text for people, JSON for machines, both to stderr, one line for each event.
//!
//! Sets the process up once; everybody else writes with `tracing` and knows nothing of formats.

mod limit;
mod noise;

pub use limit::Limiter;

use anyhow::Context;
use noise::Noise;
use std::io::{IsTerminal, stderr};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

/// The environment variable that sets the level where `--log` does not.
pub const LEVEL_VARIABLE: &str = "TIDEMILL_LOG";

/// `--log-format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Lines for people.
    Text,
    /// One JSON object on each line.
    Json,
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
}

/// Sets up the log of the process. `level` (from `--log`) wins over [`LEVEL_VARIABLE`]; unless one of them is set,
/// `info`. Both take what `tracing-subscriber` calls directives: `debug`, `info,librdkafka=debug`.
///
/// # Errors
/// The level cannot be understood, or a log has been set up already.
pub fn init(format: Format, level: Option<&str>) -> anyhow::Result<()> {
    let variable = std::env::var(LEVEL_VARIABLE).ok();
    let (level, from) = match (level, variable.as_deref()) {
        (Some(level), _) => (level, "--log"),
        (None, Some(level)) if !level.is_empty() => (level, LEVEL_VARIABLE),
        _ => ("info", "the default"),
    };
    let filter = EnvFilter::try_new(level).with_context(|| {
        format!("{from} is not a level: {level:?}; write error, warn, info, debug or trace, or parts=level,parts=level")
    })?;
    tracing_subscriber::registry()
        .with(lines(format, stderr().is_terminal()))
        .with(filter)
        .with(Noise::default())
        .try_init()
        .context("the log is set up already")
}

fn lines(format: Format, terminal: bool) -> Box<dyn Layer<Registry> + Send + Sync> {
    let lines = fmt::layer().with_writer(stderr);
    match (format, terminal) {
        (Format::Json, _) | (Format::Auto, false) => {
            lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
        }
        (Format::Text | Format::Auto, _) => lines.with_ansi(terminal).boxed(),
    }
}
