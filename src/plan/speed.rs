//! How fast a lane is: what a plan assumes, rounded, of one core; it says so wherever it uses it.

/// Records that a lane merges in a second.
pub(super) const RECORDS: f64 = 400_000.0;
/// Records that a lane reads again in a second after a restart: it merges them, and produces nothing.
pub(super) const RESTORED_RECORDS: f64 = 500_000.0;
/// Results that a lane encodes, produces and commits in a second.
pub(super) const RESULTS: f64 = 300_000.0;
/// A lane is planned to this part of its speed: the rest is for catching up after an outage.
pub(super) const LOAD_SHARE: f64 = 0.7;
/// Where these numbers come from, for people.
pub(super) const SOURCE: &str = "assumed of one core; tidemill_poll_records_total shows yours";
