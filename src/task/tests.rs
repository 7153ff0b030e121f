//! Tasks by hand: what each rule does to state, position and commit points. The whole contract is compared with a
//! naive model in `tests/`.

use super::*;
use crate::broker::Ends;
use crate::broker::Headers;
use crate::clock::ManualClock;
use crate::config::Pipeline;
use crate::config::{Aggregate, AggregateKind, Idle, StartAt, TimeFormat, TimeSource, Window};
use crate::pool::{Hot, Limits, Pool};
use std::sync::Arc;

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

const NOW_MS: i64 = 1_000_000;

fn hot() -> Hot {
    Pool::new(Limits::UNBOUNDED).hot()
}

fn partition() -> TopicPartition {
    TopicPartition { topic: "t".into(), partition: 0 }
}

/// A context, a task without a past, and its clock.
fn clean(pipeline: Pipeline) -> (TaskContext, Task, ManualClock) {
    let clock = ManualClock::at(NOW_MS);
    let context = TaskContext::new(Arc::new(pipeline), 1, true, true, hot());
    let task = Task::clean(&context, 0, partition(), TopicId([1; 16]), 0, Duration::ZERO);
    (context, task, clock)
}

fn resumed(context: &TaskContext, committed: &Committed) -> Task {
    let checkpoint = Checkpoint::decode(&committed.metadata).unwrap();
    Task::resumed(context, 0, partition(), committed.clone(), checkpoint, Duration::ZERO)
}

/// Merges a record with key `k` and this time.
fn merge(
    context: &mut TaskContext,
    task: &mut Task,
    clock: &ManualClock,
    offset: i64,
    time_ms: i64,
) -> Result<(), Unmerged> {
    let value = format!(r#"{{"t":{time_ms},"v":1}}"#);
    let headers = Headers::default();
    let record = Record { slot: 0, offset, timestamp_ms: 0, key: Some(b"k"), value: Some(value.as_bytes()), headers };
    task.merge(context, &record, clock)
}

/// Offset, where a replay begins, and watermark.
fn said(committed: &Committed) -> (i64, i64, Option<i64>) {
    let checkpoint = Checkpoint::decode(&committed.metadata).unwrap();
    (committed.offset, checkpoint.replay_from, checkpoint.watermark_ms)
}

fn ends(task: &Task) -> Vec<(i64, ClosedBy)> {
    task.closed.iter().map(|closed| (closed.end_ms, closed.by)).collect()
}

#[test]
fn a_commit_point_is_the_next_offset_the_oldest_open_record_and_the_watermark() {
    let (mut context, mut task, clock) = clean(pipeline());
    assert_eq!(said(&task.commit_point(&context)), (0, 0, None));
    for (offset, time_ms, expected) in [
        (0, 3, (1, 0, Some(3))),
        (2, 14, (3, 0, Some(14))),   // offset 1 does not exist
        (3, 15, (4, 2, Some(15))),   // closes [0, 10)
        (4, 4, (5, 2, Some(15))),    // late
        (5, 100, (6, 5, Some(100))), // closes [10, 20)
    ] {
        merge(&mut context, &mut task, &clock, offset, time_ms).unwrap();
        assert_eq!(said(&task.commit_point(&context)), expected, "offset {offset}");
    }
    assert_eq!(ends(&task), [(10, ClosedBy::Watermark), (20, ClosedBy::Watermark)]);
    assert_eq!((task.gap_offsets, task.rejected.len()), (1, 1));
    task.reach_end(9, &clock);
    assert_eq!(said(&task.commit_point(&context)), (9, 5, Some(100)));
    task.reach_end(7, &clock);
    assert_eq!(task.position(), 9, "an end never moves back");
}

#[test]
fn a_split_commit_ends_before_the_record_that_closed_its_last_window() {
    let (mut context, mut task, clock) = clean(pipeline());
    for (offset, time_ms) in [(0, 3), (1, 12), (2, 1000), (3, 1001)] {
        merge(&mut context, &mut task, &clock, offset, time_ms).unwrap();
    }
    assert_eq!(ends(&task), [(10, ClosedBy::Watermark), (20, ClosedBy::Watermark)]);
    let points = [0, 1].map(|index| task.commit_point_after(&context, index).unwrap());
    assert_eq!(points.each_ref().map(said), [(2, 1, Some(15)), (2, 2, Some(25))]);
    assert_eq!(task.commit_point_after(&context, 2), None);
    for (point, expected) in points.iter().zip([vec![(20, ClosedBy::Watermark)], vec![]]) {
        let mut after = resumed(&context, point);
        for (offset, time_ms) in [(1, 12), (2, 1000)].into_iter().skip(after.position() as usize - 1) {
            merge(&mut context, &mut after, &clock, offset, time_ms).unwrap();
        }
        assert_eq!(ends(&after), expected);
        assert_eq!((after.watermark_ms(), after.counts.read), (Some(1000), 1));
    }
}

#[test]
fn windows_closed_by_silence_are_split_at_the_position() {
    let (mut context, mut task, clock) = clean(pipeline());
    for (offset, time_ms) in [(0, 3), (1, 12)] {
        merge(&mut context, &mut task, &clock, offset, time_ms).unwrap();
    }
    task.end_batch(Duration::ZERO);
    task.reach_end(5, &clock);
    let late = Duration::from_millis(1000);
    assert!(task.ask_silence(&context, late));
    task.answer_silence(&mut context, Some(Ends { last_stable: 5, high_watermark: 5 }), late);
    assert_eq!(ends(&task), [(10, ClosedBy::Idle), (20, ClosedBy::Idle)]);
    assert_eq!(said(&task.commit_point(&context)), (5, 5, Some(25)), "no further than the last window needs");
    assert_eq!(task.commit_point_after(&context, 0).as_ref().map(said), Some((5, 1, Some(15))));
}

#[test]
fn restoring_ends_at_the_committed_offset_by_a_record_or_by_the_end_of_the_partition() {
    let (mut context, mut task, clock) = clean(pipeline());
    merge(&mut context, &mut task, &clock, 0, 3).unwrap();
    task.reach_end(4, &clock);
    let committed = task.commit_point(&context);
    assert_eq!(said(&committed), (4, 0, Some(3)));
    let restoring = State::Restoring { until: 4, same_rules: true };
    for by_record in [true, false] {
        let mut task = resumed(&context, &committed);
        merge(&mut context, &mut task, &clock, 0, 3).unwrap();
        task.reach_end(3, &clock);
        assert_eq!((task.state(), task.restored_records, task.counts.read), (restoring, 1, 0));
        if by_record {
            merge(&mut context, &mut task, &clock, 6, 4).unwrap();
        } else {
            task.reach_end(4, &clock);
        }
        assert_eq!((task.state(), task.counts.read), (State::Live, u64::from(by_record)));
        task.reach_end(7, &clock);
        assert_eq!(said(&task.commit_point(&context)), (7, 0, Some(if by_record { 4 } else { 3 })));
    }
}

#[test]
fn a_restoring_task_is_never_silent() {
    let (mut context, mut task, clock) = clean(pipeline());
    merge(&mut context, &mut task, &clock, 0, 3).unwrap();
    merge(&mut context, &mut task, &clock, 1, 4).unwrap();
    let mut task = resumed(&context, &task.commit_point(&context));
    merge(&mut context, &mut task, &clock, 0, 3).unwrap();
    assert!(!task.ask_silence(&context, Duration::from_secs(3600)));
    clock.advance(Duration::from_secs(7200));
    merge(&mut context, &mut task, &clock, 1, 4).unwrap();
    assert!(!task.ask_silence(&context, Duration::from_secs(7200)), "quiet begins when restoring ends");
    assert!(task.ask_silence(&context, Duration::from_secs(7201)));
}

#[test]
fn a_task_that_is_not_read_learns_how_much_waits_and_nothing_of_silence() {
    let (mut context, mut task, clock) = clean(pipeline());
    merge(&mut context, &mut task, &clock, 0, 5).unwrap();
    task.end_batch(Duration::ZERO);
    assert!(task.ask_lag(Duration::ZERO) && !task.ask_lag(Duration::from_secs(1)));
    task.answer_lag(Some(Ends { last_stable: 7, high_watermark: 7 }), Duration::from_secs(1));
    assert_eq!(task.lag_records(), Some(6));
    // Asked when it was still read, answered when it is no more: that would have closed the window.
    let late = Duration::from_secs(3600);
    assert!(task.ask_silence(&context, late) && !task.ask_lag(late));
    task.answer_lag(Some(Ends { last_stable: 1, high_watermark: 1 }), late);
    assert_eq!((task.closed.len(), task.lag_records(), task.quiet_since()), (0, Some(0), late));
    assert!(task.ask_lag(late));
}

#[test]
fn a_record_that_was_delivered_before_is_refused_and_changes_nothing() {
    let (mut context, mut task, clock) = clean(pipeline());
    merge(&mut context, &mut task, &clock, 3, 3).unwrap();
    let (point, counts) = (task.commit_point(&context), task.counts);
    for offset in [0, 3] {
        let refused = merge(&mut context, &mut task, &clock, offset, 500);
        assert_eq!(refused, Err(Unmerged::Redelivered { offset, position: 4 }));
        assert_eq!((task.commit_point(&context), task.counts), (point.clone(), counts));
    }
}

#[test]
fn rules_that_changed_judge_the_future_by_the_clock_and_emit_nothing_at_or_below_the_watermark() {
    let (mut context, mut task, clock) = clean(pipeline());
    for (offset, time_ms) in [(0, 3), (1, 12), (2, 16)] {
        merge(&mut context, &mut task, &clock, offset, time_ms).unwrap();
    }
    let committed = task.commit_point(&context);
    let mut wider = pipeline();
    wider.window.size_ms = 5;
    wider.window.every_ms = 5;
    let (mut context, _, clock) = clean(wider);
    let mut task = resumed(&context, &committed);
    assert_eq!(task.state(), State::Restoring { until: 3, same_rules: false });
    for (offset, time_ms) in [(1, 12), (2, 16), (3, 500)] {
        merge(&mut context, &mut task, &clock, offset, time_ms).unwrap();
    }
    assert_eq!(ends(&task), [(15, ClosedBy::Watermark), (20, ClosedBy::Watermark)]);
}

#[test]
fn what_no_topic_was_configured_for_is_counted_and_dropped() {
    let clock = ManualClock::at(NOW_MS);
    let mut context = TaskContext::new(Arc::new(pipeline()), 1, false, false, hot());
    let mut task = Task::clean(&context, 0, partition(), TopicId([1; 16]), 0, Duration::ZERO);
    for (offset, time_ms) in [(0, 100), (1, 3), (2, -1), (3, 2 * NOW_MS)] {
        merge(&mut context, &mut task, &clock, offset, time_ms).unwrap();
    }
    assert!(task.rejected.is_empty() && task.counts.balanced());
    assert_eq!((task.dropped_late, task.dropped_dead), (1, 2));
    assert!(task.dropped_last.is_some());
    assert_eq!([Reason::Late, Reason::BadTime, Reason::Future].map(|reason| task.counts.reason(reason)), [1, 1, 1]);
    assert_eq!(task.late_records, 1);
}
