//! What the next close of a partition waits for: one word for machines, one sentence for people.
//!
//! A function of what the lane said and of the time; asks nobody.

use super::{PartitionState, PartitionStatus};
use crate::config::{Idle, Window};
use std::time::Duration;

/// Shorter quiet is only the pause between two records.
const QUIET_MIN: Duration = Duration::from_secs(1);

/// What a close waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WaitsFor {
    /// The restore of what was open before.
    Restore,
    /// A person: the partition is held.
    Operator,
    /// Room in memory or in the sink.
    Room,
    /// The commit of what is closed already.
    Commit,
    /// Any record: nothing is open.
    Record,
    /// A record with a later event time.
    Event,
    /// Such a record, or more of the silence that has begun.
    Silence,
    /// The broker's word that nothing more is there.
    Answer,
}

impl WaitsFor {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Restore,
        Self::Operator,
        Self::Room,
        Self::Commit,
        Self::Record,
        Self::Event,
        Self::Silence,
        Self::Answer,
    ];

    /// The word for it in metrics and on pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Restore => "restore",
            Self::Operator => "operator",
            Self::Room => "room",
            Self::Commit => "commit",
            Self::Record => "record",
            Self::Event => "event",
            Self::Silence => "silence",
            Self::Answer => "answer",
        }
    }
}

/// What the next close of one partition waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waits {
    /// The word.
    pub on: WaitsFor,
    /// The sentence, without a full stop.
    pub sentence: String,
}

impl Waits {
    /// Judges a partition at `now` (monotonic, the clock of `quiet_since`).
    pub fn of(partition: &PartitionStatus, window: &Window, now: Duration) -> Self {
        let because = |otherwise: &str| partition.held_because.clone().unwrap_or_else(|| otherwise.to_owned());
        let (on, sentence) = match partition.state {
            PartitionState::Restoring => (WaitsFor::Restore, restoring(partition)),
            PartitionState::Held => (WaitsFor::Operator, format!("held because {}", because("of an unknown reason"))),
            PartitionState::Paused => {
                (WaitsFor::Room, format!("paused because {}", because("memory or the sink has no room")))
            }
            PartitionState::Live if partition.closed_windows > 0 => (WaitsFor::Commit, committing(partition)),
            PartitionState::Live => live(partition, window, now),
        };
        Self { on, sentence }
    }
}

fn restoring(partition: &PartitionStatus) -> String {
    match partition.restore {
        Some(_) => format!(
            "restoring: {:.0} % of what its open windows hold has been read again",
            partition.restored_ratio() * 100.0
        ),
        None => "restoring: what the group has committed is being looked up".to_owned(),
    }
}

fn committing(partition: &PartitionStatus) -> String {
    match partition.closed_windows {
        1 => "a window is closed and waits for its commit".to_owned(),
        windows => format!("{windows} windows are closed and wait for their commit"),
    }
}

fn live(partition: &PartitionStatus, window: &Window, now: Duration) -> (WaitsFor, String) {
    let Some(open) = partition.open else {
        let sentence = match partition.watermark_ms {
            None => "nothing is open: no record has been merged yet",
            Some(_) => "nothing is open: every window so far has closed",
        };
        return (WaitsFor::Record, sentence.to_owned());
    };
    let close_ms = open.next_end_ms.saturating_add(window.grace_ms);
    let short_ms = close_ms.saturating_sub(partition.watermark_ms.unwrap_or(close_ms)).max(0);
    let until = format!(
        "window {} closes when an event of {} or later arrives",
        span(open.next_end_ms.saturating_sub(window.size_ms), open.next_end_ms),
        time(close_ms, open.next_end_ms),
    );
    let short = format!("the watermark is {} short of that", human(short_ms));
    if let Some(lag) = partition.lag.filter(|lag| *lag > 0) {
        let records = if lag == 1 { "1 record is".to_owned() } else { format!("{lag} records are") };
        return (WaitsFor::Event, format!("{until}; {short}, and {records} still to be read"));
    }
    let after_ms = match window.idle {
        Idle::Off => return (WaitsFor::Event, format!("{until}; {short}, and silence never closes it: idle is off")),
        Idle::Close { after_ms } => after_ms,
        Idle::Advance { after_ms } => after_ms.saturating_add(short_ms),
    };
    let quiet = now.saturating_sub(partition.quiet_since);
    if quiet < QUIET_MIN {
        return (WaitsFor::Event, format!("{until}; {short}"));
    }
    let quiet_ms = i64::try_from(quiet.as_millis()).unwrap_or(i64::MAX);
    let quiet_for = format!("the partition has been quiet for {}", human(quiet_ms));
    match after_ms - quiet_ms {
        left_ms if left_ms > 0 => {
            (WaitsFor::Silence, format!("{until}; {quiet_for}, silence closes it in {}", human(left_ms)))
        }
        _ => (WaitsFor::Answer, format!("{until}; {quiet_for}, and the broker is asked whether anything is left")),
    }
}

/// `2013-01-01 10:00–11:00`: a window in UTC.
fn span(start_ms: i64, end_ms: i64) -> String {
    format!("{}–{}", time(start_ms, i64::MIN), time(end_ms, start_ms))
}

/// A time in UTC as short as it can be; with its date unless that is the date of `known_ms`.
fn time(ms: i64, known_ms: i64) -> String {
    let Ok(at) = jiff::Timestamp::from_millisecond(ms) else { return format!("{ms} ms") };
    let clock = match ms {
        ms if ms.rem_euclid(60_000) == 0 => "%H:%M",
        ms if ms.rem_euclid(1000) == 0 => "%H:%M:%S",
        _ => "%H:%M:%S%.3f",
    };
    const DAY_MS: i64 = 24 * 3600 * 1000;
    let same_day = ms.div_euclid(DAY_MS) == known_ms.div_euclid(DAY_MS);
    let date = if same_day { "" } else { "%Y-%m-%d " };
    at.strftime(&format!("{date}{clock}")).to_string()
}

/// A span of time in the one or two largest units: `18 s`, `1 h 30 min`.
pub fn human(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |large: i64, unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{large} {unit}"),
        small => format!("{large} {unit} {small} {small_unit}"),
    };
    match seconds {
        0 => format!("{} ms", ms.max(0)),
        1..60 => format!("{seconds} s"),
        60..3600 => two(minutes, "min", seconds % 60, "s"),
        3600..172_800 => two(hours, "h", minutes % 60, "min"),
        172_800..2_592_000 => two(days, "days", hours % 24, "h"),
        _ => format!("{days} days"),
    }
}

#[cfg(test)]
mod tests;
