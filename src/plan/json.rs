//! A plan as one JSON object, for machines. Members only ever grow; what is not known is null.

use super::load::{Load, Origin};
use super::{Plan, speed};
use serde_json::{Value, json};

impl Plan {
    /// The object: docs/operations.md lists its members.
    pub fn json(&self) -> Value {
        let Self { state, scale, burst, restore, .. } = self;
        let shares = self.shares.iter().map(|share| {
            json!({
                "holder": share.holder.as_str(),
                "expected_bytes": share.expected_bytes as u64,
                "bound_bytes": share.bound_bytes,
            })
        });
        let problems = self.problems.iter();
        let problems =
            problems.map(|problem| json!({ "kind": problem.kind, "text": problem.text, "ways": problem.ways }));
        json!({
            "name": self.name,
            "possible": self.is_possible(),
            "problems": problems.collect::<Vec<_>>(),
            "load": load(&self.load),
            "window": {
                "text": self.window,
                "open": state.open,
                "panes": state.panes,
                "rows": state.window_rows.max as u64,
                "rows_mean": state.window_rows.mean as u64,
                "bytes": state.window_bytes as u64,
                "rows_open": state.rows as u64,
                "bytes_open": state.bytes as u64,
            },
            "memory": {
                "budget_bytes": self.place.budget_bytes,
                "budget_from": self.place.budget_from,
                "expected_peak_bytes": self.peak_bytes() as u64,
                "smallest_budget_bytes": self.enough_bytes,
                "holders": shares.collect::<Vec<_>>(),
            },
            "burst": {
                "results": burst.results as u64,
                "bytes": burst.bytes as u64,
                "seconds": burst.seconds,
                "partition_seconds": burst.partition_seconds,
                "commit_timeout_seconds": burst.timeout.as_secs_f64(),
            },
            "restore": {
                "span_ms": restore.span_ms,
                "records": restore.records as u64,
                "seconds": restore.seconds,
            },
            "retention": { "needed_ms": restore.span_ms, "present_ms": self.place.retention_ms },
            "scale": {
                "load_factor": scale.load_factor,
                "skew_factor": scale.skew_factor,
                "lanes": scale.lanes,
                "lanes_per_worker": scale.lanes_per_worker,
                "workers": scale.workers,
            },
            "assumed": {
                "lane_records_per_second": speed::RECORDS,
                "lane_restored_records_per_second": speed::RESTORED_RECORDS,
                "lane_results_per_second": speed::RESULTS,
            },
        })
    }
}

fn load(load: &Load) -> Value {
    let sampled = match load.origin {
        Origin::Given => Value::Null,
        Origin::Sampled(sample) => json!({
            "records": sample.records,
            "span_ms": sample.span_ms,
            "late_share": sample.late,
            "dead_share": sample.dead,
            "disorder_ms": sample.disorder_ms,
            "windows": load.rows.map_or(0, |rows| rows.windows),
        }),
    };
    json!({
        "sampled": sampled,
        "partitions": load.partitions,
        "records_per_second": load.rate,
        "keys": load.keys.distinct().round() as u64,
        "entropy": load.keys.entropy(),
        "hottest_key_share": load.keys.hottest(),
        "hottest_partition_share": load.hottest_partition,
        "key_bytes": load.key_bytes,
        "value_bytes": load.value_bytes,
    })
}
