//! One task, record by record, beside the model: fates, windows, watermarks and what a commit would say.

use crate::support::generate::{self, Random, Record};
use crate::support::model::result::ModelWindow;
use crate::support::model::{Fate, GuardClock, ModelTask};
use crate::support::subject::{Subject, TOPIC_ID};
use std::time::Duration;
use tidemill::checkpoint::Checkpoint;
use tidemill::clock::ManualClock;
use tidemill::config::{Aggregate, AggregateKind, TimeSource};
use tidemill::task::ClosedBy;

/// Judges `record` by the model and its own wall clock.
pub(super) fn judge(model: &mut ModelTask, record: &Record) -> Fate {
    let (key, value) = (record.key.as_deref(), record.value.as_deref());
    model.record(record.offset, record.kafka_timestamp_ms, key, value, GuardClock::Now(record.now_ms))
}

/// What a commit says has to be what the model knows.
pub(super) fn compare_commit_point(subject: &Subject, model: &ModelTask) {
    let committed = subject.task.commit_point(&subject.context);
    let checkpoint = Checkpoint::decode(&committed.metadata).unwrap();
    assert_eq!(committed.offset, subject.task.position());
    assert_eq!(checkpoint.replay_from, model.replay_from().unwrap_or(committed.offset), "replay_from");
    assert_eq!(checkpoint.watermark_ms, model.watermark());
    assert_eq!(checkpoint.guard.last().map(|step| step.guard_ms), model.guard_clock(), "guard");
    assert!(checkpoint.guard.first().is_none_or(|step| step.offset >= checkpoint.replay_from));
    assert!(checkpoint.guard.len() <= 42, "{} guard steps", checkpoint.guard.len());
    assert_eq!((checkpoint.digest, checkpoint.topic_id), (subject.context.digest, TOPIC_ID));
}

fn by_watermark(windows: Vec<ModelWindow>) -> Vec<(ModelWindow, ClosedBy)> {
    windows.into_iter().map(|window| (window, ClosedBy::Watermark)).collect()
}

#[test]
fn a_task_judges_closes_and_commits_as_the_model_does() {
    let mut windows = 0;
    generate::for_each_seed(600, |seed| {
        let random = Random::new(seed);
        let pipeline = generate::pipeline(&random);
        let records = generate::records(&random, &pipeline, 300);
        let clock = ManualClock::at(0);
        let mut model = ModelTask::new(&pipeline);
        let mut subject = Subject::clean(&pipeline, records[0].offset, &clock);
        let (batch, tide) = (random.pick(&[2, 7, 1000]), random.pick(&[1, 9, 1000]));
        for record in &records {
            clock.set_wall_ms(record.now_ms);
            let expected = judge(&mut model, record);
            assert_eq!(subject.record(record), Some(expected), "{record:?}");
            assert_eq!(subject.task.watermark_ms(), model.watermark());
            let closed = subject.closed();
            windows += closed.len();
            assert_eq!(closed, by_watermark(model.closed()), "closed by {record:?}");
            compare_commit_point(&subject, &model);
            if random.between(1, batch) == 1 {
                subject.task.end_batch(Duration::ZERO);
            }
            if random.between(1, tide) == 1 {
                subject.commit_all();
            }
        }
    });
    assert!(std::env::var("TIDEMILL_SEED").is_ok() || windows > 10_000, "{windows} windows");
}

#[test]
fn hopping_windows_add_their_panes_by_ascending_start() {
    let numbers = ["1e308", "1e308", "-1e308", "1e16", "-1e16", "1", "-1", "0.1", "3e-17"];
    generate::for_each_seed(100, |seed| {
        let random = Random::new(seed);
        let mut pipeline = generate::pipeline(&random);
        pipeline.time = TimeSource::Kafka;
        (pipeline.max_ahead_ms, pipeline.keys) = (None, None);
        (pipeline.window.size_ms, pipeline.window.every_ms) = random.pick(&[(60, 5), (60, 15), (12, 3), (7, 2)]);
        let aggregate = |kind, name: &str| Aggregate { name: name.into(), kind, path: Some("x".into()) };
        pipeline.aggregates = vec![aggregate(AggregateKind::Sum, "sum"), aggregate(AggregateKind::Mean, "mean")];
        let clock = ManualClock::at(0);
        let (mut model, mut subject) = (ModelTask::new(&pipeline), Subject::clean(&pipeline, 0, &clock));
        for offset in 0..150 {
            let value = format!(r#"{{"x":{}}}"#, random.pick(&numbers)).into_bytes();
            let kafka_timestamp_ms = 1000 + 3 * offset + random.between(0, 30);
            let (key, value) = (Some(b"k".to_vec()), Some(value));
            let record = Record { offset, kafka_timestamp_ms, key, value, now_ms: 0 };
            assert_eq!(subject.record(&record), Some(judge(&mut model, &record)));
            assert_eq!(subject.closed(), by_watermark(model.closed()));
        }
    });
}
