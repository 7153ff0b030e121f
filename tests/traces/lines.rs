//! The lines of the log with the ids that they carry, of all tests of this program together.

use std::fmt::{Debug, Write};
use std::sync::{Mutex, OnceLock};
use tidemill::logs::Ids;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

static LINES: Mutex<Vec<Line>> = Mutex::new(Vec::new());

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    pub ids: Option<(u128, u64)>,
    /// The message and its fields.
    pub text: String,
}

/// Keeps lines from now on.
pub fn keep() {
    static KEPT: OnceLock<()> = OnceLock::new();
    KEPT.get_or_init(|| tracing_subscriber::registry().with(Keep).init());
}

/// Those so far that hold these words.
pub fn saying(words: &str) -> Vec<Line> {
    LINES.lock().unwrap().iter().filter(|line| line.text.contains(words)).cloned().collect()
}

/// Those so far that carry these ids.
pub fn carrying(ids: (u128, u64)) -> Vec<String> {
    LINES.lock().unwrap().iter().filter(|line| line.ids == Some(ids)).map(|line| line.text.clone()).collect()
}

struct Keep;

impl<S: Subscriber> Layer<S> for Keep {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        if event.metadata().target().starts_with("tidemill") {
            let mut text = Text::default();
            event.record(&mut text);
            let ids = Ids::carried().map(|Ids { trace, span }| (trace, span));
            LINES.lock().unwrap().push(Line { ids, text: text.0 });
        }
    }
}

#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "{}={value:?} ", field.name()).unwrap();
    }
}
