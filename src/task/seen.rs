//! What a task says about itself; changes nothing.

use super::{State, Task};
use crate::window::panes::Panes;

impl Task {
    /// What it is doing.
    pub fn state(&self) -> State {
        self.state
    }

    /// First offset that was to be read.
    pub fn began_at(&self) -> i64 {
        self.began_at
    }

    /// Next offset to read.
    pub fn position(&self) -> i64 {
        self.position
    }

    /// Kafka timestamps of the first and the last record read, in Unix ms; `None` before the first, or without them.
    pub fn read_ms(&self) -> Option<(i64, i64)> {
        self.read_ms.filter(|(first_ms, last_ms)| *first_ms >= 0 && *last_ms >= 0)
    }

    /// The watermark in Unix ms.
    pub fn watermark_ms(&self) -> Option<i64> {
        self.watermark_ms
    }

    /// The open windows.
    pub fn panes(&self) -> &Panes {
        &self.panes
    }
}
