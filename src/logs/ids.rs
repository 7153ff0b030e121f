//! The ids that every line of a thread carries for a while: those of the tide that is open there.
//!
//! Knows nothing of traces; where nothing is carried, a line costs one look at a thread's own cell.

use std::cell::Cell;

thread_local! {
    static CARRIED: Cell<Option<Ids>> = const { Cell::new(None) };
}

/// The ids of a span, as OpenTelemetry has them; neither is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    /// Of its trace: 32 hexadecimal digits in a line.
    pub trace: u128,
    /// Its own: 16 hexadecimal digits in a line.
    pub span: u64,
}

impl Ids {
    /// What lines of this thread carry now.
    pub fn carried() -> Option<Self> {
        CARRIED.get()
    }
}

/// While it lives, lines of the thread that made it carry its ids.
#[derive(Debug)]
pub struct Carried(());

impl Carried {
    /// From now on; the ids of an earlier one are forgotten.
    pub fn new(ids: Ids) -> Self {
        CARRIED.set(Some(ids));
        Self(())
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        CARRIED.set(None);
    }
}
