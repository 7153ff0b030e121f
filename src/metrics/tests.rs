//! The names, the completeness and the arithmetic of what is scraped.

mod page;

use super::*;
use crate::broker::Outlet;
use crate::clock::ManualClock;
use crate::config::Idle;
use crate::fate::Reason;
use crate::status::{OpenWindows, PartitionState, Phase, WaitsFor};
use std::collections::BTreeSet;

const NOW: Duration = Duration::from_secs(100);
const STEP_MAX: Duration = Duration::from_secs(60);
const HOUR: Window = Window {
    size_ms: 3_600_000,
    every_ms: 3_600_000,
    offset_ms: 0,
    grace_ms: 0,
    idle: Idle::Close { after_ms: 60_000 },
};
const VERBS: [&str; 8] = ["poll", "decode", "merge", "close", "encode", "produce", "commit", "release"];

/// Base units, then what is counted.
const UNITS: &str = "seconds bytes ratio records windows panes rows transactions spans lanes brokers reasons tasks failures \
                     gaps demotions promotions hits misses refusals trims holds entered finite";

/// They have no unit: which of some states it is.
const STATES: [&str; 3] = ["tidemill_poll_partition_state", "tidemill_close_waits_for", "tidemill_memory_ladder_step"];

fn partition() -> PartitionStatus {
    let partition = TopicPartition { topic: "flights".into(), partition: 3 };
    PartitionStatus {
        watermark_ms: Some(1_500),
        position: 25,
        lag: Some(7),
        restore: Some((0, 100)),
        open_panes: 4,
        rows: 40,
        closed_windows: 1,
        late_records: 9,
        deferred_records: 12,
        deferred_bytes: 4096,
        due_ms: Some(3_600_000),
        open: Some(OpenWindows { next_end_ms: 3_600_000, last_end_ms: 7_200_000, windows: 2, ended: 1, overdue: 0 }),
        lag_ms: Some(250),
        headroom_ms: Some(86_400_000),
        quiet_since: Duration::from_millis(98_500),
        ..PartitionStatus::new(partition, PartitionState::Restoring)
    }
}

/// Metrics with everything that a worker shows.
fn all(lanes: usize, partitions: i32) -> Metrics {
    let metrics = Metrics::of("flights", "2.12.1").unwrap();
    let status = Status::new();
    metrics.show_status(&status, ManualClock::at(0), STEP_MAX).unwrap();
    metrics.show_memory(&memory::tests::memory()).unwrap();
    for lane in 0..lanes {
        status.lane(lane, Duration::ZERO, Phase::Running);
        metrics.clients().lane(lane);
    }
    for number in 0..partitions {
        let partition = TopicPartition { partition: number, ..partition().partition };
        metrics.partition(&PartitionStatus { partition, ..self::partition() }, &HOUR, NOW);
    }
    metrics
}

fn scrape(metrics: &Metrics) -> BTreeSet<String> {
    metrics.text().unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn names_begin_with_a_verb_end_with_a_unit_and_carry_help() {
    let metrics = all(1, 1);
    for family in metrics.registry.gather() {
        let name = family.name();
        assert!(!family.help().is_empty(), "{name} needs HELP");
        if name == "tidemill_build_info" || name.starts_with("process_") {
            continue;
        }
        let name_of_a_verb = name.replace("tidemill_memory_", "tidemill_release_memory_");
        let verb = name_of_a_verb.strip_prefix("tidemill_").and_then(|rest| rest.split('_').next()).unwrap();
        assert!(VERBS.contains(&verb), "{name} must begin with tidemill_ and one of {VERBS:?}");
        let is_counter = family.get_field_type() == prometheus::proto::MetricType::COUNTER;
        assert_eq!(name.ends_with("_total"), is_counter, "{name}: counters, and only they, end with _total");
        let unit = name.strip_suffix("_total").unwrap_or(name).rsplit('_').next().unwrap();
        let is_state = STATES.contains(&name);
        assert_ne!(
            UNITS.split(' ').any(|it| it == unit),
            is_state,
            "{name}: {unit} is no base unit, and nothing that is counted"
        );
    }
}

#[test]
fn every_label_combination_is_there_from_the_start() {
    let lines = scrape(&Metrics::new().unwrap());
    for reason in Reason::ALL {
        let line = format!(r#"tidemill_merge_records_total{{fate="{}",reason="{reason}"}} 0"#, reason.fate());
        assert!(lines.contains(&line), "{line}");
    }
    for line in [
        r#"tidemill_merge_records_total{fate="merged",reason="merged"} 0"#,
        r#"tidemill_close_windows_total{reason="watermark"} 0"#,
        r#"tidemill_close_windows_total{reason="idle"} 0"#,
        r#"tidemill_produce_records_total{outlet="sink"} 0"#,
        r#"tidemill_produce_dropped_records_total{outlet="dead_letter"} 0"#,
        r#"tidemill_commit_transactions_total{result="committed"} 0"#,
        r#"tidemill_commit_transactions_total{result="aborted"} 0"#,
        r#"tidemill_commit_transactions_total{result="unknown"} 0"#,
        r#"tidemill_commit_duration_seconds_count{result="committed"} 0"#,
        r#"tidemill_commit_spans_total{result="dropped"} 0"#,
        r#"tidemill_commit_partition_seconds_total{result="unavailable"} 0"#,
        r#"tidemill_decode_failures_total{reason="malformed"} 0"#,
    ] {
        assert!(lines.contains(line), "{line}");
    }
    assert!(lines.iter().any(|line| line.starts_with("tidemill_build_info{librdkafka=")));
}

#[test]
fn what_lanes_hand_over_adds_up() {
    let metrics = Metrics::new().unwrap();
    let mut counts = LaneCounts { offset_gaps: 2, closed_by_idle: 5, ..LaneCounts::default() };
    counts.fates.read = 3;
    counts.fates.merged = 2;
    counts.fates.read_bytes = 900;
    counts.fates.refuse(Reason::BadTime, 100);
    counts.fates.behind.observe(3_000);
    counts.batches.observe(3.0);
    counts.minutes.available = 7;
    counts.produced.add(Outlet::Sink, 5);
    counts.dropped.add(Outlet::DeadLetter, 1);
    for ms in [1, 5, 6, 600_000] {
        counts.committed.took(Duration::from_millis(ms));
    }
    metrics.add(&counts);
    metrics.add(&counts);
    let lines = scrape(&metrics);
    for line in [
        "tidemill_poll_records_total 6",
        "tidemill_poll_bytes_total 1800",
        "tidemill_poll_offset_gaps_total 4",
        r#"tidemill_merge_records_total{fate="merged",reason="merged"} 4"#,
        r#"tidemill_merge_records_total{fate="dead",reason="bad_time"} 2"#,
        r#"tidemill_close_windows_total{reason="idle"} 10"#,
        r#"tidemill_produce_records_total{outlet="sink"} 10"#,
        r#"tidemill_produce_dropped_records_total{outlet="dead_letter"} 2"#,
        r#"tidemill_merge_bytes_total{fate="merged",reason="merged"} 1600"#,
        r#"tidemill_merge_bytes_total{fate="dead",reason="bad_time"} 200"#,
        r#"tidemill_decode_failures_total{reason="bad_time"} 2"#,
        r#"tidemill_merge_behind_seconds_bucket{le="1.024"} 0"#,
        r#"tidemill_merge_behind_seconds_bucket{le="4.096"} 2"#,
        "tidemill_merge_behind_seconds_sum 6",
        r#"tidemill_merge_batch_records_bucket{le="4"} 2"#,
        r#"tidemill_commit_partition_seconds_total{result="available"} 840"#,
        r#"tidemill_commit_transactions_total{result="committed"} 8"#,
        r#"tidemill_commit_duration_seconds_bucket{result="committed",le="0.001"} 2"#,
        r#"tidemill_commit_duration_seconds_bucket{result="committed",le="0.005"} 4"#,
        r#"tidemill_commit_duration_seconds_bucket{result="committed",le="30"} 6"#,
        r#"tidemill_commit_duration_seconds_bucket{result="committed",le="+Inf"} 8"#,
        r#"tidemill_commit_duration_seconds_count{result="committed"} 8"#,
    ] {
        assert!(lines.contains(line), "{line} is not in {lines:#?}");
    }
}

#[test]
fn a_partition_shows_while_it_is_owned_and_no_longer() {
    let metrics = Metrics::new().unwrap();
    let before = scrape(&metrics).len();
    let mut status = partition();
    metrics.partition(&status, &HOUR, NOW);
    let lines = scrape(&metrics);
    for line in [
        r#"tidemill_merge_watermark_timestamp_seconds{partition="3",topic="flights"} 1.5"#,
        r#"tidemill_poll_lag_records{partition="3",topic="flights"} 7"#,
        r#"tidemill_poll_restored_ratio{partition="3",topic="flights"} 0.25"#,
        r#"tidemill_close_open_panes{partition="3",topic="flights"} 4"#,
        r#"tidemill_close_open_windows{partition="3",topic="flights"} 2"#,
        r#"tidemill_merge_partition_late_records_total{partition="3",topic="flights"} 9"#,
        r#"tidemill_close_due_timestamp_seconds{partition="3",topic="flights"} 3600"#,
        r#"tidemill_poll_lag_seconds{partition="3",topic="flights"} 0.25"#,
        r#"tidemill_poll_retention_headroom_seconds{partition="3",topic="flights"} 86400"#,
        r#"tidemill_poll_partition_state{partition="3",state="restoring",topic="flights"} 1"#,
        r#"tidemill_poll_partition_state{partition="3",state="live",topic="flights"} 0"#,
        r#"tidemill_poll_quiet_seconds{partition="3",topic="flights"} 1.5"#,
        r#"tidemill_close_waits_for{partition="3",topic="flights",what="restore"} 1"#,
        r#"tidemill_close_waits_for{partition="3",topic="flights",what="commit"} 0"#,
        r#"tidemill_release_deferred_records{partition="3",topic="flights"} 12"#,
        r#"tidemill_release_deferred_bytes{partition="3",topic="flights"} 4096"#,
    ] {
        assert!(lines.contains(line), "{line} is not in {lines:#?}");
    }
    status.lag = None;
    metrics.partition(&status, &HOUR, NOW);
    assert!(!scrape(&metrics).iter().any(|line| line.starts_with("tidemill_poll_lag_records{")));
    metrics.drop_partition(&status.partition);
    let after = scrape(&metrics);
    assert!(!after.iter().any(|line| line.contains("flights")), "{after:#?}");
    assert_eq!(after.len(), before);
}

#[test]
fn a_partition_waits_for_one_thing_at_a_time() {
    let metrics = Metrics::new().unwrap();
    let live = PartitionStatus { state: PartitionState::Live, closed_windows: 0, lag: Some(0), ..partition() };
    let open = Some(OpenWindows { next_end_ms: 3_600_000, last_end_ms: 3_600_000, windows: 1, ended: 0, overdue: 0 });
    for (status, what) in [
        (PartitionStatus { open, ..live.clone() }, "silence"),
        (PartitionStatus { open, lag: Some(7), ..live.clone() }, "event"),
        (PartitionStatus { open, quiet_since: Duration::ZERO, ..live.clone() }, "answer"),
        (PartitionStatus { closed_windows: 2, ..live.clone() }, "commit"),
        (PartitionStatus { open: None, ..live }, "record"),
    ] {
        metrics.partition(&status, &HOUR, NOW);
        let waits: Vec<_> =
            scrape(&metrics).into_iter().filter(|line| line.starts_with("tidemill_close_waits_for{")).collect();
        assert_eq!(waits.len(), WaitsFor::ALL.len());
        let ones: Vec<_> = waits.iter().filter(|line| line.ends_with(" 1")).collect();
        assert_eq!(ones, [&format!(r#"tidemill_close_waits_for{{partition="3",topic="flights",what="{what}"}} 1"#)]);
    }
}

#[test]
fn clients_count_on_when_one_is_made_anew() {
    let metrics = Metrics::new().unwrap();
    let lane = metrics.clients().lane(2);
    let lines = scrape(&metrics);
    assert!(lines.contains(r#"tidemill_produce_client_brokers{lane="2",state="up"} 0"#), "{lines:#?}");
    for (sent_bytes, queue_records) in [(10, 1), (25, 2), (5, 3)] {
        let statistics = ClientStatistics { sent_bytes, queue_records, brokers: [3, 0, 1, 0], ..Default::default() };
        lane.report(ClientRole::Producer, statistics);
    }
    let lines = scrape(&metrics);
    for line in [
        r#"tidemill_produce_client_sent_bytes_total{lane="2"} 30"#,
        r#"tidemill_produce_client_queue_records{lane="2"} 3"#,
        r#"tidemill_produce_client_brokers{lane="2",state="up"} 3"#,
        r#"tidemill_produce_client_brokers{lane="2",state="down"} 1"#,
        r#"tidemill_poll_client_sent_bytes_total{lane="2"} 0"#,
    ] {
        assert!(lines.contains(line), "{line} is not in {lines:#?}");
    }
}

#[test]
fn readiness_is_shown_by_reason() {
    let metrics = Metrics::of("p", "v").unwrap();
    let status = Status::new();
    metrics.show_status(&status, ManualClock::at(0), STEP_MAX).unwrap();
    assert!(scrape(&metrics).contains(r#"tidemill_poll_not_ready_reasons{reason="starting",pipeline="p"} 1"#));
    status.lane(0, Duration::ZERO, Phase::Running);
    status.partition(PartitionStatus { state: PartitionState::Held, ..partition() });
    let lines = scrape(&metrics);
    assert!(lines.contains(r#"tidemill_poll_not_ready_reasons{reason="starting",pipeline="p"} 0"#));
    assert!(lines.contains(r#"tidemill_poll_not_ready_reasons{reason="held",pipeline="p"} 1"#));
    assert!(lines.contains(r#"tidemill_poll_lanes{phase="running",pipeline="p"} 1"#));
}

#[test]
fn the_last_step_of_a_lane_ages_while_nobody_speaks_for_it() {
    let metrics = Metrics::of("p", "v").unwrap();
    let (status, clock) = (Status::new(), ManualClock::at(0));
    metrics.show_status(&status, clock.clone(), STEP_MAX).unwrap();
    status.lane(0, Duration::ZERO, Phase::Running);
    status.lane(1, Duration::ZERO, Phase::Stopped);
    for (after, stuck) in [(0, 0), (60, 0), (61, 1)] {
        clock.advance(Duration::from_secs(after) - clock.monotonic());
        let lines = scrape(&metrics);
        let ages: Vec<_> = lines.iter().filter(|line| line.starts_with("tidemill_poll_step_age_seconds{")).collect();
        assert_eq!(ages, [&format!(r#"tidemill_poll_step_age_seconds{{lane="0",pipeline="p"}} {after}"#)]);
        let reason = format!(r#"tidemill_poll_not_ready_reasons{{reason="stuck",pipeline="p"}} {stuck}"#);
        assert!(lines.contains(&reason), "{reason} is not in {lines:#?}");
    }
}

#[test]
fn series_have_a_ceiling_by_lanes_and_partitions() {
    let series = |metrics: &Metrics| scrape(metrics).iter().filter(|line| !line.starts_with('#')).count();
    let fixed = series(&all(0, 0));
    let lane = series(&all(3, 0)) - series(&all(2, 0));
    let partition = series(&all(0, 3)) - series(&all(0, 2));
    assert!(fixed <= 400 && lane <= 24 && partition <= 26, "{fixed} fixed, {lane} a lane, {partition} a partition");
    let many = series(&all(2, 500));
    assert_eq!(many, fixed + 2 * lane + 500 * partition);
}

#[test]
fn resident_memory_is_more_than_nothing() {
    let (now, peak) = (resident_bytes().unwrap(), peak_resident_bytes().unwrap());
    assert!(now > 100_000 && peak > 100_000, "{now} {peak}");
}
