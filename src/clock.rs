//! What time is it: the wall for the guard and for timestamps, a monotonic clock for silence and deadlines.
//!
//! The core never asks the system: it is handed a [`Clock`], so that a simulator can turn the hands.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Two clocks in one: wall time may jump, monotonic time never goes back.
pub trait Clock {
    /// The wall clock in Unix milliseconds.
    fn now_ms(&self) -> i64;

    /// Monotonic time since some fixed instant of this clock.
    fn monotonic(&self) -> Duration;
}

/// The clocks of the operating system.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts at zero now.
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
    fn now_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A clock that moves only when it is told to; clones show the same time.
#[derive(Clone, Debug)]
pub struct ManualClock {
    wall_ms: Arc<AtomicI64>,
    monotonic_us: Arc<AtomicU64>,
}

impl ManualClock {
    /// A clock that shows `wall_ms` (Unix milliseconds) and monotonic zero.
    pub fn at(wall_ms: i64) -> Self {
        Self { wall_ms: Arc::new(AtomicI64::new(wall_ms)), monotonic_us: Arc::default() }
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        let us = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
        let before = self.monotonic_us.fetch_add(us, Ordering::SeqCst);
        let ms = (before + us) / 1000 - before / 1000;
        self.wall_ms.fetch_add(i64::try_from(ms).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    /// Sets the wall clock alone, also backwards.
    pub fn set_wall_ms(&self, wall_ms: i64) {
        self.wall_ms.store(wall_ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        self.wall_ms.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.monotonic_us.load(Ordering::SeqCst))
    }
}
