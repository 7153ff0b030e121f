//! A real task in the shape of the naive model: one record in, one fate out, windows in a form that can be compared.
//!
//! Everything goes through the public face of [`Task`]; nothing here decides what is right.

#![allow(dead_code, unreachable_pub)] // each test program uses a part of it

use crate::support::generate::Record;
use crate::support::model::Fate;
use crate::support::model::result::{ModelWindow, read_result};
use crate::support::rig::{self, Home};
use std::sync::Arc;
use std::time::Duration;
use tidemill::broker::{Committed, Headers, RecordBatch, TopicId, TopicPartition};
use tidemill::checkpoint::Checkpoint;
use tidemill::clock::{Clock, ManualClock};
use tidemill::config::Pipeline;
use tidemill::encode::Encoder;
use tidemill::fate::{FateCounts, Reason};
use tidemill::pool::{Limits, Pool};
use tidemill::task::{ClosedBy, State, Task, TaskContext, Unmerged};

pub const TOPIC_ID: TopicId = TopicId([7; 16]);

/// A task with its context and its clock.
pub struct Subject {
    pub context: TaskContext,
    pub task: Task,
    pub clock: ManualClock,
    encoder: Encoder,
    pipeline: Arc<Pipeline>,
    /// Windows and rejected records that were looked at already.
    seen: (usize, usize),
    last_end_ms: Option<i64>,
    /// Last: nobody else holds anything any more.
    _home: Home,
}

fn partition() -> TopicPartition {
    TopicPartition { topic: "events".into(), partition: 3 }
}

impl Subject {
    /// A task without a past that begins at `offset`.
    pub fn clean(pipeline: &Pipeline, offset: i64, clock: &ManualClock) -> Self {
        Self::clean_within(pipeline, offset, clock, Limits::UNBOUNDED)
    }

    /// The same in a pool with these limits.
    pub fn clean_within(pipeline: &Pipeline, offset: i64, clock: &ManualClock, limits: Limits) -> Self {
        Self::new(pipeline, clock, limits, |context, now| Task::clean(context, 5, partition(), TOPIC_ID, offset, now))
    }

    /// A task that goes on from a commit, in a process of its own.
    pub fn resumed(pipeline: &Pipeline, committed: &Committed, clock: &ManualClock) -> Self {
        let checkpoint = Checkpoint::decode(&committed.metadata).unwrap();
        assert_eq!(checkpoint.topic_id, TOPIC_ID);
        Self::new(pipeline, clock, Limits::UNBOUNDED, |context, now| {
            Task::resumed(context, 5, partition(), committed.clone(), checkpoint, now)
        })
    }

    fn new(
        pipeline: &Pipeline,
        clock: &ManualClock,
        limits: Limits,
        begin: impl FnOnce(&TaskContext, Duration) -> Task,
    ) -> Self {
        let config = rig::config(pipeline);
        let pipeline = config.pipeline.clone();
        let pool = Pool::new(limits);
        let context = TaskContext::new(pipeline.clone(), 11, true, true, pool.hot());
        let task = begin(&context, clock.monotonic());
        let encoder = Encoder::new(&config);
        let (clock, seen, last_end_ms) = (clock.clone(), (0, 0), None);
        Self { context, task, clock, encoder, pipeline, seen, last_end_ms, _home: Home(pool) }
    }

    /// Merges one record; `None` while restoring.
    pub fn record(&mut self, record: &Record) -> Option<Fate> {
        self.try_record(record).unwrap()
    }

    /// Merges one record, if there is memory for it; if not, nothing of it may show.
    pub fn try_record(&mut self, record: &Record) -> Result<Option<Fate>, Unmerged> {
        let mut batch = RecordBatch::new(1 << 20, 1);
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        batch.push(5, record.offset, record.kafka_timestamp_ms, key, value, |_| ());
        let before = self.task.counts;
        let watermark_ms = self.task.watermark_ms();
        let restores = matches!(self.task.state(), State::Restoring { until, .. } if record.offset < until);
        for record in batch.iter() {
            let waited = self.task.rejected.len();
            if let Err(unmerged) = self.task.merge(&mut self.context, &record, &self.clock) {
                assert_eq!((self.task.counts, self.task.watermark_ms()), (before, watermark_ms), "{unmerged}");
                assert_eq!(self.task.rejected.len(), waited);
                assert!(self.task.position() <= record.offset, "{} {}", self.task.position(), record.offset);
                return Err(unmerged);
            }
        }
        if restores {
            assert_eq!(self.task.counts, before, "restoring counts no fate");
            assert_eq!(self.task.watermark_ms(), watermark_ms, "restoring moves no watermark");
            assert!(!self.task.is_waiting(), "restoring brings nothing out");
            return Ok(None);
        }
        assert!(self.task.counts.balanced());
        Ok(Some(self.fate(&before, record)))
    }

    /// What the counts and the waiting records say became of the last record.
    fn fate(&mut self, before: &FateCounts, record: &Record) -> Fate {
        let after = self.task.counts;
        assert_eq!(after.read, before.read + 1);
        if after.merged > before.merged {
            assert_eq!(self.task.rejected.len(), self.seen.1, "a merged record is not rejected");
            return Fate::Merged { partly_late: after.partly_late > before.partly_late };
        }
        let reason = Reason::ALL.into_iter().find(|reason| after.reason(*reason) > before.reason(*reason)).unwrap();
        if reason == Reason::Tombstone {
            assert_eq!(self.task.rejected.len(), self.seen.1, "an ignored record goes nowhere");
            return Fate::Ignored;
        }
        self.seen.1 += 1;
        assert_eq!(self.task.rejected.len(), self.seen.1);
        let rejected = self.task.rejected.get(self.seen.1 - 1, usize::MAX).unwrap();
        assert_eq!(
            (rejected.offset, rejected.key, rejected.value, rejected.timestamp_ms, rejected.reason),
            (record.offset, record.key.as_deref(), record.value.as_deref(), record.kafka_timestamp_ms, reason)
        );
        let mut bytes = Vec::new();
        rejected.write_headers(&partition(), &mut bytes);
        let header = |name: &str| {
            let found = Headers(&bytes).iter().find(|(other, _)| *other == name.as_bytes());
            found.map(|(_, value)| std::str::from_utf8(value.unwrap()).unwrap().parse::<i64>().unwrap())
        };
        match reason {
            Reason::Late => Fate::Late {
                watermark_ms: header("tidemill.watermark").unwrap(),
                window_end_ms: header("tidemill.window_end").unwrap(),
            },
            reason => Fate::Dead(reason.as_str()),
        }
    }

    /// The windows that have closed since the last call, by end and key, and why; ends must rise.
    pub fn closed(&mut self) -> Vec<(ModelWindow, ClosedBy)> {
        let mut out = Vec::new();
        for index in self.seen.0..self.task.closed.len() {
            let end_ms = self.task.closed[index].end_ms;
            assert!(self.last_end_ms.is_none_or(|last| last < end_ms), "windows close in order of their end");
            self.last_end_ms = Some(end_ms);
            let by = self.task.closed[index].by;
            out.extend(self.windows(index).into_iter().map(|window| (window, by)));
        }
        self.seen.0 = self.task.closed.len();
        out
    }

    /// What the `index`-th waiting window end brings, by key.
    pub fn windows(&self, index: usize) -> Vec<ModelWindow> {
        let closed = &self.task.closed[index];
        let layout = &self.context.panes.layout;
        let frame = self.encoder.frame(&partition(), closed.end_ms);
        let rows = closed.table.rows(layout).map(|row| {
            let mut value = Vec::new();
            self.encoder.encode(&frame, layout, &row, &mut value);
            read_result(&self.pipeline, &value)
                .unwrap_or_else(|error| panic!("{}: {error}", String::from_utf8_lossy(&value)))
        });
        let mut windows: Vec<_> = rows.collect();
        assert!(!windows.is_empty(), "a closed window has a record");
        windows.sort();
        windows
    }

    /// Makes the first `windows` window ends and what was rejected below the committed offset visible.
    pub fn commit(&mut self, committed: &Committed, windows: usize) {
        let rejected = self.task.rejected.count_below(committed.offset);
        self.task.release(&mut self.context, windows, rejected, committed.clone());
        self.seen.0 -= windows.min(self.seen.0);
        self.seen.1 -= rejected;
    }

    /// Commits everything.
    pub fn commit_all(&mut self) -> Committed {
        let committed = self.task.commit_point(&self.context);
        self.commit(&committed, self.task.closed.len());
        assert!(!self.task.is_waiting());
        committed
    }
}
