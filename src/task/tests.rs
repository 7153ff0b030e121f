//! Tasks by hand: what each rule does to state, position and commit points. The whole contract is compared with a
//! naive model in `tests/`.

use super::*;
use crate::config::{Aggregate, AggregateKind, Idle, StartAt, TimeFormat, TimeSource, Window};

/// Count and sum of `v` over tumbling windows of 10 ms, grace 5 ms, time in `t`.
pub(crate) fn pipeline() -> Pipeline {
    Pipeline {
        start: StartAt::Earliest,
        time: TimeSource::Field { path: "t".into(), format: TimeFormat::UnixMs },
        max_record_bytes: 1000,
        max_key_bytes: 100,
        max_ahead_ms: Some(1000),
        keys: None,
        window: Window { size_ms: 10, every_ms: 10, offset_ms: 0, grace_ms: 5, idle: Idle::Advance { after_ms: 100 } },
        aggregates: vec![
            Aggregate { name: "n".into(), kind: AggregateKind::Count, path: None },
            Aggregate { name: "sum".into(), kind: AggregateKind::Sum, path: Some("v".into()) },
        ],
    }
}
