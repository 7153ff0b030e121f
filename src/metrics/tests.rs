//! The names, the completeness and the arithmetic of what is scraped.

use super::*;
use std::collections::BTreeSet;
use std::time::Duration;

const VERBS: [&str; 8] = ["poll", "decode", "merge", "close", "encode", "produce", "commit", "release"];

fn partition() -> PartitionStatus {
    PartitionStatus {
        partition: TopicPartition { topic: "flights".into(), partition: 3 },
        state: PartitionState::Restoring,
        watermark_ms: Some(1_500),
        position: 25,
        lag: Some(7),
        restore: Some((0, 100)),
        held_because: None,
        open_panes: 4,
    }
}

fn scrape(metrics: &Metrics) -> BTreeSet<String> {
    metrics.text().unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn names_begin_with_a_verb_end_with_a_unit_and_carry_help() {
    let metrics = Metrics::new().unwrap();
    metrics.partition(&partition());
    metrics.show_memory(&memory::tests::memory()).unwrap();
    for family in metrics.registry.gather() {
        let name = family.name();
        assert!(!family.help().is_empty(), "{name} needs HELP");
        if ["tidemill_build_info", "process_resident_memory_bytes"].contains(&name) {
            continue;
        }
        let name_of_a_verb = name.replace("tidemill_memory_", "tidemill_release_memory_");
        let verb = name_of_a_verb.strip_prefix("tidemill_").and_then(|rest| rest.split('_').next()).unwrap();
        assert!(VERBS.contains(&verb), "{name} must begin with tidemill_ and one of {VERBS:?}");
        let is_counter = family.get_field_type() == prometheus::proto::MetricType::COUNTER;
        assert_eq!(name.ends_with("_total"), is_counter, "{name}: counters, and only they, end with _total");
        assert!(!name.contains("_ms") && !name.contains("milli"), "{name}: base units only");
    }
}

#[test]
fn the_operations_page_names_every_metric_and_no_other() {
    let metrics = Metrics::new().unwrap();
    metrics.partition(&partition());
    metrics.show_memory(&memory::tests::memory()).unwrap();
    let shown: BTreeSet<String> = metrics.registry.gather().iter().map(|family| family.name().to_owned()).collect();
    let names = regex::Regex::new(r"\b(tidemill|process)_[a-z]+(_[a-z]+)+").unwrap();
    let page = include_str!("../../docs/operations.md");
    let written: BTreeSet<String> = names.find_iter(page).map(|name| name.as_str().to_owned()).collect();
    assert_eq!(shown, written);
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
        r#"tidemill_commit_duration_seconds_count 0"#,
    ] {
        assert!(lines.contains(line), "{line}");
    }
    assert!(lines.iter().any(|line| line.starts_with("tidemill_build_info{version=")));
}

#[test]
fn what_lanes_hand_over_adds_up() {
    let metrics = Metrics::new().unwrap();
    let mut counts = LaneCounts { read_bytes: 900, offset_gaps: 2, closed_by_idle: 5, ..LaneCounts::default() };
    counts.fates.read = 3;
    counts.fates.merged = 2;
    counts.fates.refuse(Reason::BadTime);
    counts.produced.add(Outlet::Sink, 5);
    counts.dropped.add(Outlet::DeadLetter, 1);
    counts.committed = 1;
    for ms in [1, 5, 6, 60_000] {
        counts.commit_durations.observe(Duration::from_millis(ms));
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
        r#"tidemill_commit_transactions_total{result="committed"} 2"#,
        r#"tidemill_commit_duration_seconds_bucket{le="0.001"} 2"#,
        r#"tidemill_commit_duration_seconds_bucket{le="0.005"} 4"#,
        r#"tidemill_commit_duration_seconds_bucket{le="30"} 6"#,
        r#"tidemill_commit_duration_seconds_bucket{le="+Inf"} 8"#,
        "tidemill_commit_duration_seconds_count 8",
    ] {
        assert!(lines.contains(line), "{line} is not in {lines:#?}");
    }
}

#[test]
fn a_partition_shows_while_it_is_owned_and_no_longer() {
    let metrics = Metrics::new().unwrap();
    let before = scrape(&metrics).len();
    let mut status = partition();
    metrics.partition(&status);
    let lines = scrape(&metrics);
    for line in [
        r#"tidemill_merge_watermark_timestamp_seconds{partition="3",topic="flights"} 1.5"#,
        r#"tidemill_poll_lag_records{partition="3",topic="flights"} 7"#,
        r#"tidemill_poll_restored_ratio{partition="3",topic="flights"} 0.25"#,
        r#"tidemill_close_open_panes{partition="3",topic="flights"} 4"#,
        r#"tidemill_poll_partition_state{partition="3",state="restoring",topic="flights"} 1"#,
        r#"tidemill_poll_partition_state{partition="3",state="live",topic="flights"} 0"#,
    ] {
        assert!(lines.contains(line), "{line} is not in {lines:#?}");
    }
    status.lag = None;
    metrics.partition(&status);
    assert!(!scrape(&metrics).iter().any(|line| line.starts_with("tidemill_poll_lag_records{")));
    metrics.drop_partition(&status.partition);
    let after = scrape(&metrics);
    assert!(!after.iter().any(|line| line.contains("flights")), "{after:#?}");
    assert_eq!(after.len(), before);
}

#[test]
fn resident_memory_is_more_than_nothing() {
    let (now, peak) = (resident_bytes().unwrap(), peak_resident_bytes().unwrap());
    assert!(now > 100_000 && peak > 100_000, "{now} {peak}");
}
