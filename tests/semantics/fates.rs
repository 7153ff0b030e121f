//! One task, record by record, beside the model; then the same through a whole lane in batches of any size.

use crate::support::generate::{self, Random, Record};
use crate::support::model::json::Json;
use crate::support::model::result::{ModelWindow, read_result};
use crate::support::model::{Fate, GuardClock, ModelTask, murmur2};
use crate::support::rig::{self, DEAD, EVENTS, LATE, Rig, SINK};
use crate::support::subject::{Subject, TOPIC_ID};
use std::collections::BTreeMap;
use std::time::Duration;
use tidemill::checkpoint::Checkpoint;
use tidemill::clock::ManualClock;
use tidemill::config::{Idle, Pipeline};
use tidemill::fate::Reason;
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

pub(super) fn by_watermark(windows: Vec<ModelWindow>) -> Vec<(ModelWindow, ClosedBy)> {
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

/// What a read_committed reader sees: by outlet, its partition and the source partition, in order.
type Seen = BTreeMap<(&'static str, usize, i32), Vec<Output>>;

/// Timestamp, key, value, headers: everything but the offset.
type Output = (i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(Vec<u8>, Option<Vec<u8>>)>);

fn seen(rig: &Rig) -> Seen {
    let mut seen = Seen::new();
    for topic in [SINK, LATE, DEAD] {
        for (partition, records) in rig.read(topic).into_iter().enumerate() {
            for record in records {
                let source = match rig::header(&record, "tidemill.partition") {
                    Some(source) => source.parse().unwrap(),
                    None => source_of(record.value.as_deref().unwrap()),
                };
                let output = (record.timestamp_ms, record.key, record.value, record.headers);
                seen.entry((topic, partition, source)).or_default().push(output);
            }
        }
    }
    seen
}

fn source_of(value: &[u8]) -> i32 {
    let Some(Json::Number(source)) = Json::read(value).unwrap().at("partition").cloned() else { panic!("{value:?}") };
    source.parse().unwrap()
}

/// What the model says that a reader must see, for records of one source partition.
fn expect(pipeline: &Pipeline, source: i32, records: &[Record], wall_ms: i64, out: &mut Expected) {
    let mut model = ModelTask::new(pipeline);
    let place = |key: Option<&[u8]>| key.map_or(source % OUTLETS, |key| murmur2::partition(key, OUTLETS)) as usize;
    for record in records {
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        let time_ms = record.kafka_timestamp_ms;
        let fate = model.record(record.offset, time_ms, key, value, GuardClock::Now(wall_ms));
        let (topic, late) = match fate {
            Fate::Late { watermark_ms, window_end_ms } => (LATE, Some((watermark_ms, window_end_ms))),
            Fate::Dead(_) => (DEAD, None),
            _ => continue,
        };
        let timestamp_ms = if time_ms < 0 { wall_ms } else { time_ms.min(wall_ms) }.max(1);
        let reason = fate.reason().unwrap();
        let rejected = (record.offset, timestamp_ms, reason, late);
        out.rejected.entry((topic, place(key), source)).or_default().push(rejected);
    }
    if let Some(last_ms) = model.last_close() {
        model.raise(last_ms);
    }
    for window in model.closed() {
        let timestamp_ms = (window.end_ms - 1).min(wall_ms).max(1);
        out.windows.entry((place(Some(&window.key)), source)).or_default().push((timestamp_ms, window));
    }
}

type Rejected = (i64, i64, &'static str, Option<(i64, i64)>);

#[derive(Default)]
struct Expected {
    windows: BTreeMap<(usize, i32), Vec<(i64, ModelWindow)>>,
    rejected: BTreeMap<(&'static str, usize, i32), Vec<Rejected>>,
}

const OUTLETS: i32 = 3;

/// Compares by value; windows of one end may come in any order.
fn compare(pipeline: &Pipeline, seen: &Seen, expected: &Expected) {
    let mut windows: BTreeMap<(usize, i32), Vec<(i64, ModelWindow)>> = BTreeMap::new();
    let mut rejected: BTreeMap<(&str, usize, i32), Vec<Rejected>> = BTreeMap::new();
    for (&(topic, partition, source), outputs) in seen {
        for (timestamp_ms, key, value, headers) in outputs {
            if topic == SINK {
                let window = read_result(pipeline, value.as_deref().unwrap()).unwrap();
                assert_eq!(key.as_deref(), Some(&*window.key));
                assert!(headers.is_empty());
                windows.entry((partition, source)).or_default().push((*timestamp_ms, window));
                continue;
            }
            let header = |name: &str| {
                let found = headers.iter().rfind(|(other, _)| other == name.as_bytes());
                found.map(|(_, value)| std::str::from_utf8(value.as_ref().unwrap()).unwrap())
            };
            let number = |name: &str| header(name).map(|text| text.parse::<i64>().unwrap());
            let reason = Reason::ALL.iter().find(|reason| Some(reason.as_str()) == header("tidemill.reason")).unwrap();
            let late = number("tidemill.watermark").zip(number("tidemill.window_end"));
            let offset = number("tidemill.offset").unwrap();
            rejected.entry((topic, partition, source)).or_default().push((
                offset,
                *timestamp_ms,
                reason.as_str(),
                late,
            ));
        }
    }
    for windows in windows.values_mut() {
        assert!(windows.is_sorted_by_key(|(_, window)| window.end_ms), "results come in order of their end");
        windows.sort_by(|(_, a), (_, b)| (a.end_ms, &a.key).cmp(&(b.end_ms, &b.key)));
    }
    assert_eq!(windows, expected.windows);
    assert_eq!(rejected, expected.rejected);
}

#[test]
fn what_a_lane_makes_visible_is_what_the_model_says_whatever_the_batches() {
    generate::for_each_seed(60, |seed| {
        let random = Random::new(seed);
        let mut pipeline = generate::pipeline(&random);
        pipeline.window.idle = random.pick(&[Idle::Close { after_ms: 1000 }, Idle::Advance { after_ms: 1000 }]);
        let sources = random.between(1, 3) as i32;
        let mut streams: Vec<Vec<Record>> =
            (0..sources).map(|_| generate::records(&random, &pipeline, 120)).collect();
        let wall_ms = random.pick(&streams[0]).now_ms + random.pick(&[0, 0, 1_000_000]);
        for stream in &mut streams {
            (0..).zip(stream).for_each(|(offset, record)| record.offset = offset);
        }
        let mut expected = Expected::default();
        for (source, records) in (0..).zip(&streams) {
            expect(&pipeline, source, records, wall_ms, &mut expected);
        }
        let mut first: Option<Seen> = None;
        for batch_records in [1, 2, 7, 8192] {
            let mut rig = Rig::new(&pipeline, (sources, OUTLETS), wall_ms);
            for (source, records) in (0..).zip(&streams) {
                for record in records {
                    let (key, value) = (record.key.as_deref(), record.value.as_deref());
                    let offset = rig.cluster.append(EVENTS, source, record.kafka_timestamp_ms, key, value, &[]);
                    assert_eq!(offset, Some(record.offset));
                }
            }
            rig.run_to_the_end(batch_records);
            let seen = seen(&rig);
            if first.is_none() {
                compare(&pipeline, &seen, &expected);
            }
            assert_eq!(first.get_or_insert_with(|| seen.clone()), &seen, "batches of {batch_records}");
            assert!(rig.counts.fates.balanced());
            assert_eq!(rig.counts.fates.read, streams.iter().map(|stream| stream.len() as u64).sum::<u64>());
            for (partition, committed) in rig.cluster.committed("test") {
                assert_eq!(committed.offset, streams[partition.partition as usize].len() as i64, "{partition}");
            }
        }
    });
}
