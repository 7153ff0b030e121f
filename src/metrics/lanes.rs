//! What lanes have counted, all of them together, in the order of the verbs.

use super::counts::{CloseReason, LaneCounts, TransactionResult};
use super::family::{Family, Kind, Sample, Value, each, one};
use super::histogram::{Buckets, Histogram, Scale};
use crate::broker::Outlet;
use crate::fate::{Fate, Reason};

pub(super) const FAMILIES: &[Family<LaneCounts>] = &[
    Family {
        name: "tidemill_poll_records_total",
        help: "Records read from the source, restores left out.",
        kind: Kind::Counter,
        labels: &[],
        read: |counts| one(counts.fates.read as f64),
    },
    Family {
        name: "tidemill_poll_bytes_total",
        help: "Bytes of their keys, values and headers.",
        kind: Kind::Counter,
        labels: &[],
        read: |counts| one(counts.fates.read_bytes as f64),
    },
    Family {
        name: "tidemill_poll_offset_gaps_total",
        help: "Offsets that the source does not have (control records, aborted records, compaction) and that were \
               stepped over.",
        kind: Kind::Counter,
        labels: &[],
        read: |counts| one(counts.offset_gaps as f64),
    },
    Family {
        name: "tidemill_poll_restored_records_total",
        help: "Records read again to rebuild open windows after an assignment.",
        kind: Kind::Counter,
        labels: &[],
        read: |counts| one(counts.restored_records as f64),
    },
    Family {
        name: "tidemill_poll_restore_duration_seconds",
        help: "From the moment a partition's position was known to the end of its restore; partitions without anything \
               to restore are left out.",
        kind: Kind::Histogram,
        labels: &[],
        read: |counts| spread(&counts.restores),
    },
    Family {
        name: "tidemill_decode_failures_total",
        help: "Records whose value could not be decoded, by reason; part of the dead of tidemill_merge_records_total.",
        kind: Kind::Counter,
        labels: &["reason"],
        read: |counts| each(DECODING, Reason::as_str, |reason| counts.fates.reason(reason) as f64),
    },
    Family {
        name: "tidemill_merge_batch_records",
        help: "Records that one poll brought to a lane and that were merged in one go.",
        kind: Kind::Histogram,
        labels: &[],
        read: |counts| spread(&counts.batches),
    },
    Family {
        name: "tidemill_merge_records_total",
        help: "Records judged, by fate and reason. Their sum is tidemill_poll_records_total at every commit.",
        kind: Kind::Counter,
        labels: &["fate", "reason"],
        read: |counts| of_fates(counts.fates.merged, |reason| counts.fates.reason(reason)),
    },
    Family {
        name: "tidemill_merge_bytes_total",
        help: "Bytes of keys, values and headers of the records judged, by fate and reason.",
        kind: Kind::Counter,
        labels: &["fate", "reason"],
        read: |counts| of_fates(counts.fates.merged_bytes(), |reason| counts.fates.reason_bytes(reason)),
    },
    Family {
        name: "tidemill_merge_partly_late_records_total",
        help: "Merged records that were too late for some of their windows.",
        kind: Kind::Counter,
        labels: &[],
        read: |counts| one(counts.fates.partly_late as f64),
    },
    Family {
        name: "tidemill_merge_behind_seconds",
        help: "How far records were behind the watermark of their partition, merged and late ones; those that were not \
               behind are left out. A grace period covers what is to the left of it.",
        kind: Kind::Histogram,
        labels: &[],
        read: |counts| vec![(Vec::new(), Value::Buckets(Buckets::from(&counts.fates.behind)))],
    },
    Family {
        name: "tidemill_close_windows_total",
        help: "Windows of a key that are closed and visible, by what raised the watermark over their end and grace.",
        kind: Kind::Counter,
        labels: &["reason"],
        read: |counts| each(CloseReason::ALL, CloseReason::as_str, |reason| counts.windows_closed(reason) as f64),
    },
    Family {
        name: "tidemill_encode_bytes_total",
        help: "Bytes of result values, attempts that came to nothing included.",
        kind: Kind::Counter,
        labels: &[],
        read: |counts| one(counts.encoded_bytes as f64),
    },
    Family {
        name: "tidemill_encode_sums_not_finite_total",
        help: "Sums and means that left the range of a double and came out as null.",
        kind: Kind::Counter,
        labels: &[],
        read: |counts| one(counts.sums_not_finite as f64),
    },
    Family {
        name: "tidemill_produce_records_total",
        help: "Records in committed transactions, by outlet.",
        kind: Kind::Counter,
        labels: &["outlet"],
        read: |counts| each(OUTLETS, outlet_name, |outlet| counts.produced.of(outlet) as f64),
    },
    Family {
        name: "tidemill_produce_dropped_records_total",
        help: "Records that had to be dropped because no topic is configured for them, by outlet.",
        kind: Kind::Counter,
        labels: &["outlet"],
        read: |counts| each([Outlet::Late, Outlet::DeadLetter], outlet_name, |outlet| counts.dropped.of(outlet) as f64),
    },
    Family {
        name: "tidemill_commit_transactions_total",
        help: "Transactions by result; unknown ones are settled from the committed positions.",
        kind: Kind::Counter,
        labels: &["result"],
        read: |counts| {
            let ended = |result| counts.transactions(result).count() as f64;
            each(TransactionResult::ALL, TransactionResult::as_str, ended)
        },
    },
    Family {
        name: "tidemill_commit_duration_seconds",
        help: "From the beginning of a transaction to its end, by result.",
        kind: Kind::Histogram,
        labels: &["result"],
        read: |counts| {
            let of = |result: TransactionResult| {
                (vec![result.as_str().to_owned()], Value::Buckets(counts.transactions(result).buckets()))
            };
            TransactionResult::ALL.map(of).into()
        },
    },
    Family {
        name: "tidemill_commit_latency_seconds",
        help: "From the close of a window end to the commit that made its results visible.",
        kind: Kind::Histogram,
        labels: &[],
        read: |counts| spread(&counts.close_latency),
    },
    Family {
        name: "tidemill_commit_partition_seconds_total",
        help: "Time of owned partitions, counted in whole minutes. In an available minute the partition was live all the \
               time, and no closed window waited for its commit for more than 60 s.",
        kind: Kind::Counter,
        labels: &["result"],
        read: |counts| {
            let of = |word: &str, minutes: u64| (vec![word.to_owned()], Value::Number(60.0 * minutes as f64));
            vec![of("available", counts.minutes.available), of("unavailable", counts.minutes.unavailable)]
        },
    },
];

/// What decoding fails for.
const DECODING: [Reason; 4] = [Reason::Malformed, Reason::NumberOutOfRange, Reason::BadTime, Reason::BadField];

const OUTLETS: [Outlet; 3] = [Outlet::Sink, Outlet::Late, Outlet::DeadLetter];

const fn outlet_name(outlet: Outlet) -> &'static str {
    match outlet {
        Outlet::Sink => "sink",
        Outlet::Late => "late",
        Outlet::DeadLetter => "dead_letter",
    }
}

fn spread<S: Scale>(histogram: &Histogram<S>) -> Vec<Sample> {
    vec![(Vec::new(), Value::Buckets(histogram.buckets()))]
}

/// A merged record has no reason but that.
fn of_fates(merged: u64, refused: impl Fn(Reason) -> u64) -> Vec<Sample> {
    let sample = |fate: Fate, reason: &str, number: u64| {
        (vec![fate.as_str().to_owned(), reason.to_owned()], Value::Number(number as f64))
    };
    let merged = sample(Fate::Merged, Fate::Merged.as_str(), merged);
    let refused = Reason::ALL.map(|reason| sample(reason.fate(), reason.as_str(), refused(reason)));
    [vec![merged], refused.into()].concat()
}
