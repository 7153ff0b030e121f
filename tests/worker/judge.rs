//! What ought to be in the topics, by the naive model from the source as it is, and whether it is.

use crate::read_back::{self, Read};
use crate::stage::Stage;
use crate::support::model::result::{ModelWindow, read_result};
use crate::support::model::{Fate, GuardClock, ModelTask, murmur2};
use std::collections::BTreeMap;
use std::fmt::Debug;
use tidemill::config::Pipeline;

/// What the model says about a whole topic.
#[derive(Default)]
pub struct Truth {
    pub read: usize,
    pub merged: usize,
    pub partly_late: usize,
    pub ignored: usize,
    /// Windows by partition.
    windows: Vec<Vec<ModelWindow>>,
    /// By partition and offset.
    late: BTreeMap<(i32, i64), (Read, Fate)>,
    dead: BTreeMap<(i32, i64), (Read, Fate)>,
}

impl Truth {
    /// Judges the source as it stands; `silence` closes what is open at its end.
    pub fn of(stage: &Stage<'_>, silence: bool) -> Self {
        let pipeline = stage.config().pipeline;
        let partitions = stage.setup.partitions;
        Self::of_records(&pipeline, partitions, read_back::all(stage.kafka, &stage.source, partitions), silence)
    }

    /// Judges records in the order of their offsets.
    pub fn of_records(pipeline: &Pipeline, partitions: i32, records: Vec<Read>, silence: bool) -> Self {
        let mut truth = Self { read: records.len(), ..Self::default() };
        let mut tasks: Vec<_> = (0..partitions).map(|_| ModelTask::new(pipeline)).collect();
        for record in records {
            let task = &mut tasks[record.partition as usize];
            let (key, value) = (record.key.as_deref(), record.value.as_deref());
            let fate = task.record(record.offset, record.timestamp_ms, key, value, GuardClock::Told(false));
            let place = (record.partition, record.offset);
            match fate {
                Fate::Ignored => truth.ignored += 1,
                Fate::Merged { partly_late } => {
                    truth.merged += 1;
                    truth.partly_late += usize::from(partly_late);
                }
                Fate::Late { .. } => drop(truth.late.insert(place, (record, fate))),
                Fate::Dead(_) => drop(truth.dead.insert(place, (record, fate))),
            }
        }
        for mut task in tasks {
            let mut windows = task.closed();
            if let (true, Some(last)) = (silence, task.last_close()) {
                task.raise(last);
                windows.extend(task.closed());
            }
            truth.windows.push(windows);
        }
        truth
    }

    pub fn windows(&self) -> usize {
        self.windows.iter().map(Vec::len).sum()
    }

    pub fn late(&self) -> usize {
        self.late.len()
    }

    pub fn dead(&self) -> usize {
        self.dead.len()
    }

    pub fn all_windows(&self) -> impl Iterator<Item = &ModelWindow> {
        self.windows.iter().flatten()
    }

    /// Demands that the topics hold exactly this.
    pub fn hold(&self, stage: &Stage<'_>) {
        let partitions = stage.setup.partitions;
        self.hold_windows(stage, &read_back::all(stage.kafka, &stage.sink, partitions));
        let all = |topic: &str| read_back::all(stage.kafka, topic, partitions);
        self.hold_rejected("late", &self.late, &all(&stage.late), stage);
        self.hold_rejected("dead", &self.dead, &all(&stage.dead), stage);
    }

    pub fn hold_windows(&self, stage: &Stage<'_>, results: &[Read]) {
        let pipeline = stage.config().pipeline;
        let mut found: Vec<Vec<ModelWindow>> = vec![Vec::new(); self.windows.len()];
        for read in results {
            let value = read.value.as_deref().unwrap_or_default();
            let window = read_result(&pipeline, value).unwrap_or_else(|why| panic!("{why}: {read:?}"));
            assert_eq!(read.key.as_ref(), Some(&window.key), "{read:?}");
            assert_eq!(read.timestamp_ms, window.end_ms - 1, "{read:?}");
            assert_eq!(read.partition, murmur2::partition(&window.key, stage.setup.partitions), "{read:?}");
            found[read.partition as usize].push(window);
        }
        for (partition, (mut found, expected)) in found.into_iter().zip(&self.windows).enumerate() {
            let order = found.windows(2).find(|pair| pair[0].end_ms > pair[1].end_ms);
            assert!(order.is_none(), "results of partition {partition} are out of order: {order:#?}");
            let mut expected = expected.clone();
            found.sort();
            expected.sort();
            same(&format!("windows of partition {partition}"), &found, &expected);
        }
    }

    fn hold_rejected(
        &self,
        what: &str,
        expected: &BTreeMap<(i32, i64), (Read, Fate)>,
        found: &[Read],
        stage: &Stage<'_>,
    ) {
        let place = |read: &Read| -> (i32, i64) {
            (read.header("tidemill.partition").parse().unwrap(), read.header("tidemill.offset").parse().unwrap())
        };
        let mut places: Vec<_> = found.iter().map(place).collect();
        places.sort_unstable();
        same(&format!("places of {what} records"), &places, &expected.keys().copied().collect::<Vec<_>>());
        for read in found {
            let (source, fate) = &expected[&place(read)];
            assert_eq!(read.header("tidemill.reason"), fate.reason().unwrap(), "{read:?}");
            assert_eq!(read.header("tidemill.topic"), stage.source, "{read:?}");
            assert_eq!(read.header("tidemill.timestamp"), source.timestamp_ms.to_string(), "{read:?}");
            let whole = read.header("tidemill.truncated").is_empty() && read.header("tidemill.key_length").is_empty();
            if whole {
                assert_eq!((&read.key, &read.value), (&source.key, &source.value), "{read:?}");
            }
            if let Fate::Late { watermark_ms, window_end_ms } = fate {
                assert_eq!(read.header("tidemill.watermark"), watermark_ms.to_string(), "{read:?}");
                assert_eq!(read.header("tidemill.window_end"), window_end_ms.to_string(), "{read:?}");
            }
        }
    }
}

/// Equal, or the first differences; both are sorted.
fn same<T: Ord + Debug>(what: &str, found: &[T], expected: &[T]) {
    let (mut found, mut expected) = (found.iter().peekable(), expected.iter().peekable());
    let (mut only_found, mut only_expected) = (Vec::new(), Vec::new());
    loop {
        match (found.peek(), expected.peek()) {
            (None, None) => break,
            (Some(a), Some(b)) if a == b => drop((found.next(), expected.next())),
            (Some(a), Some(b)) if a > b => only_expected.extend(expected.next()),
            (None, Some(_)) => only_expected.extend(expected.next()),
            (Some(_), _) => only_found.extend(found.next()),
        }
    }
    let first = |all: &[&T]| all.iter().take(5).map(|it| format!("{it:?}")).collect::<Vec<_>>().join("\n  ");
    assert!(
        only_found.is_empty() && only_expected.is_empty(),
        "{what}: {} too many or wrong:\n  {}\n{} missing:\n  {}",
        only_found.len(),
        first(&only_found),
        only_expected.len(),
        first(&only_expected)
    );
}
