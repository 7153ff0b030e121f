//! One table: what a lane says of a partition, and the sentence for it.

use super::super::OpenWindows;
use super::*;
use crate::broker::TopicPartition;

/// 2013-01-01 11:00 UTC.
const ELEVEN_MS: i64 = 1_357_038_000_000;
const HOUR_MS: i64 = 3_600_000;
/// Now, on the monotonic clock.
const NOW: Duration = Duration::from_secs(10_000);

fn window(idle: Idle) -> Window {
    Window { size_ms: HOUR_MS, every_ms: HOUR_MS, offset_ms: 0, grace_ms: HOUR_MS, idle }
}

/// Live, quiet for so long, with the window until 11:00 open and the watermark at 11:43.
fn open(quiet_ms: u64) -> PartitionStatus {
    let partition = TopicPartition { topic: "flights".into(), partition: 0 };
    PartitionStatus {
        watermark_ms: Some(ELEVEN_MS + 43 * 60_000),
        open: Some(OpenWindows {
            next_end_ms: ELEVEN_MS,
            last_end_ms: ELEVEN_MS + HOUR_MS,
            windows: 2,
            ended: 0,
            overdue: 0,
        }),
        lag: Some(0),
        quiet_since: NOW - Duration::from_millis(quiet_ms),
        ..PartitionStatus::new(partition, PartitionState::Live)
    }
}

const UNTIL: &str = "window 2013-01-01 10:00–11:00 closes when an event of 12:00 or later arrives; ";
const ADVANCE: Idle = Idle::Advance { after_ms: 30_000 };
const CLOSE: Idle = Idle::Close { after_ms: 30_000 };

#[test]
fn each_state_has_its_sentence() {
    let because = |why: &str| Some(why.to_owned());
    let held = PartitionState::Held;
    let restoring = PartitionStatus { state: PartitionState::Restoring, ..open(0) };
    let paused = PartitionStatus { state: PartitionState::Paused, ..open(0) };
    let nothing = PartitionStatus { open: None, ..open(0) };
    let table = [
        (
            restoring.clone(),
            ADVANCE,
            WaitsFor::Restore,
            "restoring: what the group has committed is being looked up".to_owned(),
        ),
        (
            PartitionStatus { restore: Some((100, 200)), position: 140, ..restoring },
            ADVANCE,
            WaitsFor::Restore,
            "restoring: 40 % of what its open windows hold has been read again".to_owned(),
        ),
        (
            PartitionStatus { state: held, held_because: because("its metadata is garbage"), ..open(0) },
            ADVANCE,
            WaitsFor::Operator,
            "held because its metadata is garbage".to_owned(),
        ),
        (
            PartitionStatus { held_because: because("open windows fill the pool"), ..paused.clone() },
            ADVANCE,
            WaitsFor::Room,
            "paused because open windows fill the pool".to_owned(),
        ),
        (paused, ADVANCE, WaitsFor::Room, "paused because memory or the sink has no room".to_owned()),
        (
            PartitionStatus { closed_windows: 1, ..open(0) },
            ADVANCE,
            WaitsFor::Commit,
            "a window is closed and waits for its commit".to_owned(),
        ),
        (
            PartitionStatus { closed_windows: 3, ..open(0) },
            ADVANCE,
            WaitsFor::Commit,
            "3 windows are closed and wait for their commit".to_owned(),
        ),
        (
            PartitionStatus { watermark_ms: None, ..nothing.clone() },
            ADVANCE,
            WaitsFor::Record,
            "nothing is open: no record has been merged yet".to_owned(),
        ),
        (nothing, ADVANCE, WaitsFor::Record, "nothing is open: every window so far has closed".to_owned()),
        (open(999), ADVANCE, WaitsFor::Event, format!("{UNTIL}the watermark is 17 min short of that")),
        (
            PartitionStatus { lag: Some(1), ..open(60_000) },
            ADVANCE,
            WaitsFor::Event,
            format!("{UNTIL}the watermark is 17 min short of that, and 1 record is still to be read"),
        ),
        (
            PartitionStatus { lag: Some(1_200), ..open(60_000) },
            CLOSE,
            WaitsFor::Event,
            format!("{UNTIL}the watermark is 17 min short of that, and 1200 records are still to be read"),
        ),
        (
            open(60_000),
            Idle::Off,
            WaitsFor::Event,
            format!("{UNTIL}the watermark is 17 min short of that, and silence never closes it: idle is off"),
        ),
        (
            open(12_000),
            CLOSE,
            WaitsFor::Silence,
            format!("{UNTIL}the partition has been quiet for 12 s, silence closes it in 18 s"),
        ),
        (
            open(12_000),
            ADVANCE,
            WaitsFor::Silence,
            format!("{UNTIL}the partition has been quiet for 12 s, silence closes it in 17 min 18 s"),
        ),
        (
            open(30_000),
            CLOSE,
            WaitsFor::Answer,
            format!("{UNTIL}the partition has been quiet for 30 s, and the broker is asked whether anything is left"),
        ),
        (
            PartitionStatus { lag: None, ..open(17 * 60_000 + 30_000) },
            ADVANCE,
            WaitsFor::Answer,
            format!(
                "{UNTIL}the partition has been quiet for 17 min 30 s, and the broker is asked whether anything is left"
            ),
        ),
    ];
    for (partition, idle, on, sentence) in table {
        assert_eq!(Waits::of(&partition, &window(idle), NOW), Waits { on, sentence }, "{idle:?} {partition:?}");
    }
}

#[test]
fn times_are_short_and_say_their_date_where_it_changes() {
    for (start_ms, end_ms, expected) in [
        (ELEVEN_MS, ELEVEN_MS + 10_000, "2013-01-01 11:00–11:00:10"),
        (ELEVEN_MS, ELEVEN_MS + 250, "2013-01-01 11:00–11:00:00.250"),
        (ELEVEN_MS, ELEVEN_MS + 13 * HOUR_MS, "2013-01-01 11:00–2013-01-02 00:00"),
        (-1_000, 0, "1969-12-31 23:59:59–1970-01-01 00:00"),
        (i64::MAX - 1, i64::MAX, "9223372036854775806 ms–9223372036854775807 ms"),
    ] {
        assert_eq!(span(start_ms, end_ms), expected);
    }
}

#[test]
fn spans_of_time_have_two_units_at_most() {
    for (ms, expected) in [
        (-5, "0 ms"),
        (250, "250 ms"),
        (59_999, "59 s"),
        (60_000, "1 min"),
        (3_599_000, "59 min 59 s"),
        (5_400_000, "1 h 30 min"),
        (172_800_000, "2 days"),
        (180_000_000, "2 days 2 h"),
        (426_000_000_000, "4930 days"),
    ] {
        assert_eq!(human(ms), expected);
    }
}

#[test]
fn words_are_different() {
    let words: std::collections::BTreeSet<_> = WaitsFor::ALL.into_iter().map(WaitsFor::as_str).collect();
    assert_eq!(words.len(), WaitsFor::ALL.len());
}
