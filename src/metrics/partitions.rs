//! The partitions that this process owns, as their lanes last said; whoever loses one takes its series away.

use super::family::{Family, Kind, Sample, Value};
use crate::status::{PartitionState, PartitionStatus};

const PARTITION: &[&str] = &["partition", "topic"];

pub(super) const FAMILIES: &[Family<Vec<PartitionStatus>>] = &[
    Family {
        name: "tidemill_poll_lag_records",
        help: "Offsets between the position and the last stable offset, by partition; absent until the broker has said.",
        kind: Kind::Gauge,
        labels: PARTITION,
        read: |all| some(all, |it| it.lag.map(|records| records as f64)),
    },
    Family {
        name: "tidemill_poll_lag_seconds",
        help: "Age of the last record read, by its Kafka timestamp, while more records wait behind it; 0 when none do. \
               Absent until the broker has said.",
        kind: Kind::Gauge,
        labels: PARTITION,
        read: |all| some(all, |it| it.lag_ms.map(seconds)),
    },
    Family {
        name: "tidemill_poll_partition_state",
        help: "1 for the state that the partition is in, 0 for the others.",
        kind: Kind::Gauge,
        labels: &["partition", "state", "topic"],
        read: |all| {
            let sample = |it: &PartitionStatus, state: PartitionState| {
                let labels = vec![number_of(it), state.as_str().to_owned(), topic_of(it)];
                (labels, Value::Number(f64::from(u8::from(it.state == state))))
            };
            all.iter().flat_map(|it| PartitionState::ALL.map(|state| sample(it, state))).collect()
        },
    },
    Family {
        name: "tidemill_poll_restored_ratio",
        help: "Share of the partition's restore that is done, from 0 to 1; 1 when there is nothing to restore.",
        kind: Kind::Gauge,
        labels: PARTITION,
        read: |all| some(all, |it| Some(it.restored_ratio())),
    },
    Family {
        name: "tidemill_poll_retention_headroom_seconds",
        help: "How long until retention.ms may delete the oldest record that is still needed (the first of an open \
               window, or the next to be read), by its Kafka timestamp and retention.ms as it was when the worker \
               started; retention.bytes is left out. Absent without a limit of time.",
        kind: Kind::Gauge,
        labels: PARTITION,
        read: |all| some(all, |it| it.headroom_ms.map(seconds)),
    },
    Family {
        name: "tidemill_merge_watermark_timestamp_seconds",
        help: "Watermark of the partition in Unix seconds; absent before its first record.",
        kind: Kind::Gauge,
        labels: PARTITION,
        read: |all| some(all, |it| it.watermark_ms.map(seconds)),
    },
    Family {
        name: "tidemill_close_open_panes",
        help: "Panes (slices of event time) that are open, or closed and not committed yet, by partition.",
        kind: Kind::Gauge,
        labels: PARTITION,
        read: |all| some(all, |it| Some(it.open_panes as f64)),
    },
    Family {
        name: "tidemill_close_open_rows",
        help: "Rows (keys) of those panes, by partition.",
        kind: Kind::Gauge,
        labels: PARTITION,
        read: |all| some(all, |it| Some(it.rows as f64)),
    },
    Family {
        name: "tidemill_close_uncommitted_windows",
        help: "Window ends that are closed and wait for their commit, by partition.",
        kind: Kind::Gauge,
        labels: PARTITION,
        read: |all| some(all, |it| Some(it.closed_windows as f64)),
    },
    Family {
        name: "tidemill_close_due_timestamp_seconds",
        help: "Watermark in Unix seconds that closes the oldest open window: its end plus grace. Absent while nothing is \
               open.",
        kind: Kind::Gauge,
        labels: PARTITION,
        read: |all| some(all, |it| it.due_ms.map(seconds)),
    },
];

fn some(all: &[PartitionStatus], number: impl Fn(&PartitionStatus) -> Option<f64>) -> Vec<Sample> {
    let sample = |it: &PartitionStatus| Some((vec![number_of(it), topic_of(it)], Value::Number(number(it)?)));
    all.iter().filter_map(sample).collect()
}

fn number_of(it: &PartitionStatus) -> String {
    it.partition.partition.to_string()
}

fn topic_of(it: &PartitionStatus) -> String {
    it.partition.topic.to_string()
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}
