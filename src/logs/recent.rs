//! The last lines of note, warnings and errors, kept for the status page.
//!
//! Nothing is kept that was not logged, and what is logged holds no secrets.

use crate::clock::{Clock, SystemClock};
use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

const LINES_MAX: usize = 100;
/// A longer line is cut: a page is no place for it.
const LINE_BYTES_MAX: usize = 1000;

/// The last lines of note; clones are handles of the same.
#[derive(Clone, Debug, Default)]
pub struct Recent {
    clock: SystemClock,
    lines: Arc<Mutex<VecDeque<Line>>>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When, in Unix ms.
    pub at_ms: i64,
    /// How bad it is.
    pub level: Level,
    /// The part of the program.
    pub target: String,
    /// The message, then the fields as `name=value`.
    pub text: String,
}

impl Recent {
    /// A copy of the lines, oldest first.
    pub fn lines(&self) -> Vec<Line> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

impl<S: Subscriber> Layer<S> for Recent {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let metadata = event.metadata();
        if *metadata.level() > Level::WARN {
            return;
        }
        let mut text = Text::default();
        event.record(&mut text);
        let text = text.finish();
        let line =
            Line { at_ms: self.clock.now_ms(), level: *metadata.level(), target: metadata.target().to_owned(), text };
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

/// Puts an event into one line.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Text {
    fn finish(self) -> String {
        let mut text = format!("{}{}", self.message, self.fields).replace(['\n', '\r'], " ");
        if text.len() > LINE_BYTES_MAX {
            text.truncate(text.floor_char_boundary(LINE_BYTES_MAX));
            text.push('…');
        }
        text
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;

    fn kept(say: impl FnOnce()) -> Vec<Line> {
        let recent = Recent::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(recent.clone()), say);
        recent.lines()
    }

    #[test]
    fn warnings_and_errors_are_kept_with_their_fields() {
        let lines = kept(|| {
            tracing::info!("not of note");
            tracing::warn!(lane = 3, why = "two\nlines", "transaction is aborted");
            tracing::error!(error = %"x", "over");
        });
        let texts: Vec<_> = lines.iter().map(|line| (line.level, line.text.as_str())).collect();
        assert_eq!(
            texts,
            [(Level::WARN, "transaction is aborted lane=3 why=two lines"), (Level::ERROR, "over error=x")]
        );
        assert!(lines.iter().all(|line| line.at_ms > 1_700_000_000_000 && line.target.contains("recent")), "{lines:?}");
    }

    #[test]
    fn the_oldest_line_is_forgotten_first_and_long_lines_are_cut() {
        let lines = kept(|| (0..LINES_MAX + 5).for_each(|number| tracing::warn!("{number} {}", "ä".repeat(1000))));
        assert_eq!((lines.len(), lines[0].text.starts_with("5 ")), (LINES_MAX, true));
        assert!(lines[0].text.len() < LINE_BYTES_MAX + 5 && lines[0].text.ends_with("ä…"), "{}", lines[0].text);
    }
}
