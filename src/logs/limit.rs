//! How often the same thing may be said.
//!
//! Asks no clock: the caller says what time it is.

use std::time::Duration;

/// Allows `burst` lines in each `per`, and counts those that it does not.
#[derive(Clone, Debug)]
pub struct Limiter {
    per: Duration,
    burst: u32,
    since: Option<Duration>,
    said: u32,
    suppressed: u64,
}

impl Limiter {
    /// A limiter that has said nothing yet.
    pub const fn new(per: Duration, burst: u32) -> Self {
        Self { per, burst, since: None, said: 0, suppressed: 0 }
    }

    /// Whether to say it at `now` (monotonic): `Some` with the number of lines left out since the last one said, or
    /// `None` for no.
    pub fn allow(&mut self, now: Duration) -> Option<u64> {
        if self.since.is_none_or(|since| now.saturating_sub(since) >= self.per) {
            self.since = Some(now);
            self.said = 0;
        }
        if self.said < self.burst {
            self.said += 1;
            Some(std::mem::take(&mut self.suppressed))
        } else {
            self.suppressed += 1;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_the_rest_is_counted_and_time_heals() {
        let mut limiter = Limiter::new(Duration::from_secs(10), 2);
        let at = Duration::from_secs;
        assert_eq!([0, 1, 2, 9].map(|s| limiter.allow(at(s))), [Some(0), Some(0), None, None]);
        assert_eq!([10, 11, 12].map(|s| limiter.allow(at(s))), [Some(2), Some(0), None]);
        assert_eq!(limiter.allow(at(1000)), Some(1));
    }
}
