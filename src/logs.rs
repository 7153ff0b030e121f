//! Log lines: text for people, JSON for machines, both to stderr, one line for each event.
//!
//! Sets the process up once; everybody else writes with `tracing` and knows nothing of formats.

mod carry;
mod ids;
mod limit;
mod noise;
mod recent;

pub use ids::{Carried, Ids};
pub use limit::Limiter;
pub use recent::{Line, Recent};

use anyhow::{Context, ensure};
use carry::{JsonLine, TextFields};
use noise::Noise;
use std::io::{IsTerminal, stderr};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::Layered;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

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

type Lines = Box<dyn Layer<Registry> + Send + Sync>;
type Level = reload::Handle<EnvFilter, Layered<Recent, Layered<Lines, Registry>>>;

/// The log of the process, as far as it can be seen and changed while it runs; clones are handles of the same.
#[derive(Clone, Default)]
pub struct Logs {
    /// The last lines of note.
    pub recent: Recent,
    level: Option<Level>,
}

impl std::fmt::Debug for Logs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Logs").field("level", &self.level()).finish_non_exhaustive()
    }
}

impl Logs {
    /// Which lines are written.
    pub fn level(&self) -> String {
        let level = self.level.as_ref().and_then(|level| level.with_current(ToString::to_string).ok());
        level.unwrap_or_else(|| "off".to_owned())
    }

    /// Writes other lines from now on.
    ///
    /// # Errors
    /// The level cannot be understood, or no log was set up.
    pub fn set_level(&self, level: &str) -> anyhow::Result<()> {
        let filter = filter(level, "level")?;
        let handle = self.level.as_ref().context("this process has no log")?;
        handle.reload(filter).context("the log is gone")
    }
}

/// Sets up the log of the process. `level` (from `--log`) wins over [`LEVEL_VARIABLE`]; unless one of them is set,
/// `info`. Both take what `tracing-subscriber` calls directives: `debug`, `info,librdkafka=debug`.
///
/// # Errors
/// The level cannot be understood, or a log has been set up already.
pub fn init(format: Format, level: Option<&str>) -> anyhow::Result<Logs> {
    let variable = std::env::var(LEVEL_VARIABLE).ok();
    let filter = match (level, variable.as_deref()) {
        (Some(level), _) => filter(level, "--log")?,
        (None, Some(level)) if !level.is_empty() => filter(level, LEVEL_VARIABLE)?,
        _ => filter("info", "the default")?,
    };
    let (filter, level) = reload::Layer::new(filter);
    let recent = Recent::default();
    tracing_subscriber::registry()
        .with(lines(format, stderr().is_terminal(), stderr))
        .with(recent.clone())
        .with(filter)
        .with(Noise::default())
        .try_init()
        .context("the log is set up already")?;
    Ok(Logs { recent, level: Some(level) })
}

/// The lines that a text asks for; `from` is where it was written.
fn filter(level: &str, from: &str) -> anyhow::Result<EnvFilter> {
    // A bare word that is no level would be taken for the name of a part, and silence everything else.
    let words = level.split(',').map(str::trim).filter(|word| !word.contains('='));
    for word in words {
        ensure!(
            word.parse::<LevelFilter>().is_ok(),
            "{from}: `{word}` is no level: write error, warn, info, debug or trace, or part=level,part=level"
        );
    }
    EnvFilter::try_new(level).with_context(|| {
        format!("{from} is not a level: {level:?}; write error, warn, info, debug or trace, or parts=level,parts=level")
    })
}

fn lines<W>(format: Format, terminal: bool, writer: W) -> Lines
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(writer);
    match (format, terminal) {
        (Format::Json, _) | (Format::Auto, false) => {
            let json = lines.json().flatten_event(true).with_current_span(false).with_span_list(false);
            json.map_event_format(JsonLine).boxed()
        }
        (Format::Text | Format::Auto, _) => lines.with_ansi(terminal).fmt_fields(TextFields::default()).boxed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek};
    use std::sync::Arc;

    fn line(format: Format, terminal: bool) -> String {
        let mut file = tempfile::tempfile().unwrap();
        let writer = Arc::new(file.try_clone().unwrap());
        let subscriber = tracing_subscriber::registry().with(lines(format, terminal, writer));
        tracing::subscriber::with_default(subscriber, || tracing::warn!(partition = 3, "held \"x\""));
        file.rewind().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn text_is_for_terminals_and_json_for_everything_else_unless_said() {
        for (format, terminal, json, colour) in [
            (Format::Auto, false, true, false),
            (Format::Auto, true, false, true),
            (Format::Json, true, true, false),
            (Format::Text, false, false, false),
        ] {
            let line = line(format, terminal);
            let parsed: Result<serde_json::Value, _> = serde_json::from_str(&line);
            assert_eq!(parsed.is_ok(), json, "{format:?} {terminal}: {line}");
            assert_eq!(line.contains('\x1b'), colour, "{format:?} {terminal}: {line}");
            if let Ok(value) = parsed {
                assert_eq!((&value["partition"], &value["message"]), (&3.into(), &"held \"x\"".into()));
            }
            assert_eq!(line.lines().count(), 1, "{line}");
        }
    }

    #[test]
    fn a_line_has_the_ids_behind_its_fields_while_they_are_carried_and_is_as_ever_otherwise() {
        let (trace, span) = (format!("{:0>32}", "abc"), format!("{:0>16}", "def"));
        let text = format!(" trace_id={trace} span_id={span}");
        let json = format!(r#","trace_id":"{trace}","span_id":"{span}""#);
        for (format, terminal, ids) in
            [(Format::Text, false, &text), (Format::Text, true, &text), (Format::Json, false, &json)]
        {
            let carried = Carried::new(Ids { trace: 0xabc, span: 0xdef });
            let with = line(format, terminal);
            drop(carried);
            let without = line(format, terminal);
            // All but the time, which comes first.
            let rest = |line: &str| line.split_once("WARN").map(|(_, rest)| rest.to_owned());
            assert!(with.contains(ids.as_str()) && rest(&without).is_some(), "{with}");
            assert_eq!(rest(&with.replace(ids.as_str(), "")), rest(&without));
            if format == Format::Json {
                let value: serde_json::Value = serde_json::from_str(&with).unwrap();
                assert_eq!((&value["trace_id"], &value["partition"]), (&trace.clone().into(), &3.into()));
            }
        }
    }

    #[test]
    fn a_level_that_cannot_be_understood_is_refused_with_the_words_that_can() {
        let refusal = init(Format::Auto, Some("tidemill=loud")).unwrap_err().to_string();
        assert!(refusal.contains("--log is not a level: \"tidemill=loud\"; write error, warn"), "{refusal}");
    }
}
