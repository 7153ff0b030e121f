//! Durations and sizes as people write them.
//!
//! Every number has its unit, and a unit always means the same: so no months, no years, no bare numbers.

use super::read::{Form, Shape, Wrong};

/// `30s`, `1h 30m`.
const DURATION: &str = "([0-9]+ *(ms|millis|msec|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?) *)+";
/// What a bare number of a size could have meant.
pub(super) const SIZE_UNITS: &[&str] = &["KiB", "B"];
/// `900KiB`, `1.5 GiB`.
const SIZE: &str = r"[0-9]+(\.[0-9]+)? *(B|kB|KB|KiB|MB|MiB|GB|GiB|TB|TiB)";

/// A duration in whole milliseconds, at least 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Millis(pub(super) i64);

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bytes(pub(super) u64);

impl Form for Millis {
    const WHAT: &'static str = "a duration such as `30s`, `1h 30m` or `2d`";
    const SHAPE: Shape = Shape::Pattern(DURATION);
    const UNITS: &'static [&'static str] = &["s", "ms"];

    fn parse(text: &str) -> Result<Self, Wrong> {
        let duration = humantime::parse_duration(text.trim()).ok();
        let millis = duration.and_then(|duration| i64::try_from(duration.as_millis()).ok());
        millis.map(Self).ok_or_else(|| "this duration is too long".to_owned().into())
    }
}

impl Form for Bytes {
    const WHAT: &'static str = "a size such as `900KiB` or `256MiB`";
    const SHAPE: Shape = Shape::Pattern(SIZE);
    const UNITS: &'static [&'static str] = SIZE_UNITS;

    fn parse(text: &str) -> Result<Self, Wrong> {
        let size = text.parse::<bytesize::ByteSize>().ok();
        size.map(|size| Self(size.as_u64())).ok_or_else(|| "this size is too large".to_owned().into())
    }
}

impl std::fmt::Display for Millis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Days at most: the years of humantime have no whole number of them.
        let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
        let whole = units.iter().find(|(_, ms)| self.0 != 0 && self.0 % ms == 0).unwrap_or(&("s", 1000));
        write!(f, "{}{}", self.0 / whole.1, whole.0)
    }
}

impl std::fmt::Display for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
        let whole = units.iter().find(|(_, bytes)| self.0 != 0 && self.0.is_multiple_of(*bytes)).unwrap_or(&("B", 1));
        write!(f, "{}{}", self.0 / whole.1, whole.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_add_up_in_milliseconds() {
        for (text, ms) in [("0s", 0), ("100ms", 100), ("1h 30m", 5_400_000), ("2d", 172_800_000), ("1w", 604_800_000)] {
            assert_eq!(Millis::parse(text).ok(), Some(Millis(ms)), "{text}");
        }
    }

    #[test]
    fn sizes_know_both_kinds_of_kilo() {
        for (text, bytes) in [("1KiB", 1024), ("1kB", 1000), ("1.5 GiB", 3 << 29), ("0B", 0), ("900KiB", 921_600)] {
            assert_eq!(Bytes::parse(text).ok(), Some(Bytes(bytes)), "{text}");
        }
    }

    #[test]
    fn what_no_integer_holds_is_too_large() {
        assert!(Millis::parse("99999999999999999999999w").is_err());
        assert!(Millis::parse("18446744073709551615s").is_err());
    }

    #[test]
    fn both_are_shown_as_they_are_written() {
        for (ms, text) in [(0, "0s"), (1, "1ms"), (5_400_000, "90m"), (366 * 86_400_000, "366d")] {
            assert_eq!(Millis(ms).to_string(), text);
        }
        assert_eq!(Bytes(256 << 20).to_string(), "256MiB");
    }
}
