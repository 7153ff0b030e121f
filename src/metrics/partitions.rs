//! The partitions that this process owns, as their lanes last said; whoever loses one takes its series away.

use super::family::{Family, Kind, Sample, Value};
use crate::config::Window;
use crate::status::{PartitionState, PartitionStatus, Waits, WaitsFor};
use std::time::Duration;

/// A partition, and what follows from its windows and the time.
#[derive(Clone, Debug)]
pub(super) struct Owned {
    status: PartitionStatus,
    quiet: Duration,
    waits_for: WaitsFor,
}

impl Owned {
    /// At `now`, on the clock of `quiet_since`.
    pub(super) fn new(status: &PartitionStatus, window: &Window, now: Duration) -> Self {
        Self {
            status: status.clone(),
            quiet: now.saturating_sub(status.quiet_since),
            waits_for: Waits::of(status, window, now).on,
        }
    }
}

const PARTITION: &[&str] = &["partition", "topic"];

pub(super) const FAMILIES: &[Family<Vec<Owned>>] = &[
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
            let sample = |Owned { status, .. }: &Owned, state: PartitionState| {
                let labels = vec![number_of(status), state.as_str().to_owned(), topic_of(status)];
                (labels, truth(status.state == state))
            };
            all.iter().flat_map(|it| PartitionState::ALL.map(|state| sample(it, state))).collect()
        },
    },
    Family {
        name: "tidemill_poll_quiet_seconds",
        help: "How long the partition has been silent: since its last merged record, times left out in which nothing could \
               be read.",
        kind: Kind::Gauge,
        labels: PARTITION,
        read: |all| {
            let sample =
                |it: &Owned| (vec![number_of(&it.status), topic_of(&it.status)], Value::Number(it.quiet.as_secs_f64()));
            all.iter().map(sample).collect()
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
        name: "tidemill_merge_partition_late_records_total",
        help: "Records of the partition that were late since its assignment, by partition; tidemill_merge_records_total has \
               them for all.",
        kind: Kind::Counter,
        labels: PARTITION,
        read: |all| some(all, |it| Some(it.late_records as f64)),
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
        name: "tidemill_close_open_windows",
        help: "Windows of event time that are open, by partition, each with all its keys; those that nothing has come for are \
               none.",
        kind: Kind::Gauge,
        labels: PARTITION,
        read: |all| some(all, |it| Some(it.open.map_or(0.0, |open| open.windows as f64))),
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
    Family {
        name: "tidemill_close_waits_for",
        help: "1 for what the next close of the partition waits for, 0 for the others; the status page has it as a sentence.",
        kind: Kind::Gauge,
        labels: &["partition", "topic", "what"],
        read: |all| {
            let sample = |Owned { status, waits_for, .. }: &Owned, what: WaitsFor| {
                (vec![number_of(status), topic_of(status), what.as_str().to_owned()], truth(*waits_for == what))
            };
            all.iter().flat_map(|it| WaitsFor::ALL.map(|what| sample(it, what))).collect()
        },
    },
    Family {
        name: "tidemill_release_deferred_bytes",
        help: "Bytes of buffers with closed windows, late records and dead letters that are held until the commit that makes \
               them visible, by partition.",
        kind: Kind::Gauge,
        labels: PARTITION,
        read: |all| some(all, |it| Some(it.deferred_bytes as f64)),
    },
    Family {
        name: "tidemill_release_deferred_records",
        help: "Results, late records and dead letters in them, by partition.",
        kind: Kind::Gauge,
        labels: PARTITION,
        read: |all| some(all, |it| Some(it.deferred_records as f64)),
    },
];

fn some(all: &[Owned], number: impl Fn(&PartitionStatus) -> Option<f64>) -> Vec<Sample> {
    let sample = |Owned { status, .. }: &Owned| {
        Some((vec![number_of(status), topic_of(status)], Value::Number(number(status)?)))
    };
    all.iter().filter_map(sample).collect()
}

fn truth(it_is: bool) -> Value {
    Value::Number(f64::from(u8::from(it_is)))
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
