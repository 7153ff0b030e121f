//! librdkafka repeats itself while a broker is away: a few of its lines pass, the rest are counted.

use super::Limiter;
use crate::clock::{Clock, SystemClock};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Targets of events that come from the client library.
const NOISY: [&str; 2] = ["librdkafka", "rdkafka"];

/// Lines of the client library that pass in each [`PER`].
const BURST: u32 = 20;
const PER: Duration = Duration::from_secs(10);

/// Leaves out events of the client library that come too often; the next one that passes is followed by their number.
pub(super) struct Noise {
    clock: SystemClock,
    limiter: Mutex<Limiter>,
    left_out: AtomicU64,
}

impl Default for Noise {
    fn default() -> Self {
        let limiter = Mutex::new(Limiter::new(PER, BURST));
        Self { clock: SystemClock::new(), limiter, left_out: AtomicU64::new(0) }
    }
}

impl<S: Subscriber> Layer<S> for Noise {
    fn event_enabled(&self, event: &Event<'_>, _context: Context<'_, S>) -> bool {
        if !is_noisy(event) {
            return true;
        }
        match self.limiter.lock().unwrap_or_else(PoisonError::into_inner).allow(self.clock.monotonic()) {
            Some(left_out) => {
                self.left_out.fetch_add(left_out, Ordering::Relaxed);
                true
            }
            None => false,
        }
    }

    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        if is_noisy(event) {
            let left_out = self.left_out.swap(0, Ordering::Relaxed);
            if left_out > 0 {
                tracing::info!(left_out, "lines of librdkafka left out: they came too often");
            }
        }
    }
}

fn is_noisy(event: &Event<'_>) -> bool {
    let target = event.metadata().target();
    NOISY.iter().any(|noisy| target.strip_prefix(noisy).is_some_and(|rest| rest.is_empty() || rest.starts_with(':')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tracing_subscriber::layer::SubscriberExt;

    /// Counts what gets through.
    #[derive(Clone, Default)]
    struct Count(Arc<AtomicU64>);

    impl<S: Subscriber> Layer<S> for Count {
        fn on_event(&self, _event: &Event<'_>, _context: Context<'_, S>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn passed(of: u32, say: impl Fn()) -> u64 {
        let count = Count::default();
        let subscriber = tracing_subscriber::registry().with(count.clone()).with(Noise::default());
        tracing::subscriber::with_default(subscriber, || (0..of).for_each(|_| say()));
        count.0.load(Ordering::Relaxed)
    }

    #[test]
    fn only_the_client_library_is_limited() {
        assert_eq!(passed(100, || tracing::warn!("ours")), 100);
        assert_eq!(passed(100, || tracing::warn!(target: "librdkafka", "theirs")), u64::from(BURST));
        assert_eq!(passed(100, || tracing::warn!(target: "rdkafka::client", "theirs")), u64::from(BURST));
        assert_eq!(passed(100, || tracing::warn!(target: "librdkafkaesque", "ours")), 100);
    }
}
