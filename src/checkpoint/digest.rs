//! Digest of everything that changes a fate or a window, so that a replay under other rules is noticed.
//!
//! FNV-1a of an explicit description, not of `Debug` output: it must stay the same over releases that judge the same.

use crate::config::{AggregateKind, Pipeline, TimeFormat, TimeSource};
use std::fmt;

/// Raised whenever a release changes a verdict or a result.
const SEMANTICS_VERSION: u32 = 1;

/// Digest of the resolved configuration values that decide fates and windows.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub u64);

impl Digest {
    /// The digest of a pipeline. `start` and `idle` are no part of it: what they did is in offsets and watermarks.
    pub fn of(pipeline: &Pipeline) -> Self {
        let mut fnv = Fnv(0xcbf2_9ce4_8422_2325);
        let window = &pipeline.window;
        fnv.number(i64::from(SEMANTICS_VERSION));
        for number in [window.size_ms, window.every_ms, window.offset_ms, window.grace_ms] {
            fnv.number(number);
        }
        match &pipeline.time {
            TimeSource::Kafka => fnv.text("kafka"),
            TimeSource::Field { path, format } => {
                fnv.text(path);
                fnv.text(time_format(*format));
            }
        }
        fnv.number(pipeline.max_record_bytes as i64);
        fnv.number(pipeline.max_key_bytes as i64);
        fnv.number(pipeline.max_ahead_ms.unwrap_or(-1));
        for aggregate in &pipeline.aggregates {
            fnv.text(&aggregate.name);
            fnv.text(aggregate_kind(aggregate.kind));
            fnv.text(aggregate.path.as_deref().unwrap_or(""));
        }
        if let Some(keys) = &pipeline.keys {
            // Their order decides nothing.
            let mut keys: Vec<_> = keys.iter().collect();
            keys.sort();
            fnv.text("keys");
            keys.into_iter().for_each(|key| fnv.bytes(key));
        }
        Self(fnv.0)
    }
}

fn time_format(format: TimeFormat) -> &'static str {
    match format {
        TimeFormat::UnixS => "unix_s",
        TimeFormat::UnixMs => "unix_ms",
        TimeFormat::UnixUs => "unix_us",
        TimeFormat::UnixNs => "unix_ns",
        TimeFormat::Rfc3339 => "rfc3339",
    }
}

fn aggregate_kind(kind: AggregateKind) -> &'static str {
    match kind {
        AggregateKind::Count => "count",
        AggregateKind::Sum => "sum",
        AggregateKind::Min => "min",
        AggregateKind::Max => "max",
        AggregateKind::Mean => "mean",
        AggregateKind::First => "first",
        AggregateKind::Last => "last",
    }
}

/// FNV-1a, 64 bits; each part is preceded by its length, so that parts cannot run together.
struct Fnv(u64);

impl Fnv {
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in (bytes.len() as u64).to_le_bytes().iter().chain(bytes) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn number(&mut self, number: i64) {
        self.bytes(&number.to_le_bytes());
    }
}

/// A text is no digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotADigest;

impl fmt::Display for NotADigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a digest has 16 hexadecimal digits, as in the message that names it")
    }
}

impl std::error::Error for NotADigest {}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match u64::from_str_radix(text, 16) {
            Ok(digest) if text.len() == 16 => Ok(Self(digest)),
            _ => Err(NotADigest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Idle;
    use std::sync::Arc;

    type Change = fn(&mut Pipeline);

    #[test]
    fn whatever_changes_a_fate_or_a_window_changes_the_digest() {
        let changes: [Change; 10] = [
            |p| p.window.size_ms += 1,
            |p| p.window.every_ms -= 1,
            |p| p.window.offset_ms += 1,
            |p| p.window.grace_ms += 1,
            |p| p.time = TimeSource::Kafka,
            |p| p.max_record_bytes += 1,
            |p| p.max_key_bytes += 1,
            |p| p.max_ahead_ms = None,
            |p| p.aggregates[0].name.push('x'),
            |p| p.keys = Some(Arc::new(vec![])),
        ];
        let pipeline = crate::task::tests::pipeline();
        let before = Digest::of(&pipeline);
        for (index, change) in changes.iter().enumerate() {
            let mut changed = pipeline.clone();
            change(&mut changed);
            assert_ne!(Digest::of(&changed), before, "change {index}");
        }
    }

    #[test]
    fn what_changes_neither_leaves_the_digest_alone() {
        let mut pipeline = crate::task::tests::pipeline();
        pipeline.keys = Some(Arc::new(vec![(*b"a").into(), (*b"b").into()]));
        let before = Digest::of(&pipeline);
        pipeline.window.idle = Idle::Off;
        pipeline.keys = Some(Arc::new(vec![(*b"b").into(), (*b"a").into()]));
        assert_eq!(Digest::of(&pipeline), before);
    }

    #[test]
    fn a_release_that_judges_the_same_has_the_same_digest() {
        assert_eq!(Digest::of(&crate::task::tests::pipeline()).to_string(), "6b4b8cbc363705ca");
    }
}
