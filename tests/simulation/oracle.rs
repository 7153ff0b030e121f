//! The comparison: what is visible against the naive model, source partition by source partition.
//!
//! Where a clock had a say, the model is told what was committed about it; that is never taken on trust: each raise and
//! each verdict must have been possible when it was made, and every commit must say exactly what the model says there.

use super::journal::{Commit, Point};
use super::plan::{DEAD, LATE};
use super::visible::{Rejected, Visible};
use super::world::World;
use crate::support::model::result::ModelWindow;
use crate::support::model::{Fate, GuardClock, ModelTask, json::Json, murmur2, time};
use std::collections::BTreeMap;
use tidemill::broker::TopicPartition;
use tidemill::checkpoint::{Checkpoint, LEN_MAX};
use tidemill::config::Idle;
use tidemill::sim::{Isolation, Stored};

/// What the model counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Verdicts {
    pub records: usize,
    pub ignored: usize,
    pub dead: usize,
    pub future: usize,
    pub late: usize,
    pub merged: usize,
    pub partly_late: usize,
    pub windows: usize,
    pub raises: usize,
    pub splits: usize,
    pub commits: usize,
    pub guard_steps_max: usize,
    pub metadata_bytes_max: usize,
}

impl Verdicts {
    pub fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.ignored += other.ignored;
        self.dead += other.dead;
        self.future += other.future;
        self.late += other.late;
        self.merged += other.merged;
        self.partly_late += other.partly_late;
        self.windows += other.windows;
        self.raises += other.raises;
        self.splits += other.splits;
        self.commits += other.commits;
        self.guard_steps_max = self.guard_steps_max.max(other.guard_steps_max);
        self.metadata_bytes_max = self.metadata_bytes_max.max(other.metadata_bytes_max);
    }
}

/// Compares; complaints are empty if all is as it must be.
pub fn judge(world: &World, complaints: &mut Vec<String>) -> Verdicts {
    let mut visible = Visible::read(&world.plan, &world.cluster, complaints);
    let mut verdicts = Verdicts::default();
    for partition in world.plan.partitions() {
        let mut trial = Trial {
            rejected: visible.rejected.remove(&partition).unwrap_or_default(),
            records: world.cluster.read(&partition.topic, partition.partition, Isolation::Committed),
            model: ModelTask::new(&world.plan.pipeline),
            windows: Vec::new(),
            accepted: Vec::new(),
            last_merged: -1,
            next: 0,
            split: None,
            world,
            verdicts: &mut verdicts,
            complaints: Vec::new(),
        };
        trial.run(&partition);
        let mut windows = std::mem::take(&mut trial.windows);
        trial.compare(&mut windows, visible.windows.remove(&partition).unwrap_or_default());
        complaints.extend(trial.complaints.into_iter().map(|complaint| format!("{partition}: {complaint}")));
    }
    if !visible.windows.is_empty() || !visible.rejected.is_empty() {
        complaints.push("output of partitions that do not exist".to_owned());
    }
    verdicts
}

/// One source partition.
struct Trial<'a> {
    world: &'a World,
    records: Vec<Stored>,
    rejected: BTreeMap<i64, Vec<Rejected>>,
    model: ModelTask,
    windows: Vec<ModelWindow>,
    /// Offset and time of records that met rule 8, and whether they were accepted.
    accepted: Vec<(i64, i64, bool)>,
    last_merged: i64,
    /// Index of the next record.
    next: usize,
    /// A commit between window ends says that the next record is merged and at or after this time.
    split: Option<i64>,
    verdicts: &'a mut Verdicts,
    complaints: Vec<String>,
}

impl Trial<'_> {
    fn run(&mut self, partition: &TopicPartition) {
        let journal = self.world.journal.borrow();
        let commits: Vec<&Commit> = journal.commits.iter().filter(|commit| commit.partition == *partition).collect();
        let moments = journal.appended.get(partition).cloned().unwrap_or_default();
        let mut last: Option<Checkpoint> = None;
        for commit in commits {
            self.verdicts.commits += 1;
            let offset = commit.committed.offset;
            let Some(checkpoint) = self.read_checkpoint(commit, last.as_ref()) else { return };
            let points = commit.by.and_then(|life| journal.lives.get(&life)).map_or(&[][..], Vec::as_slice);
            let mut point = 0;
            while self.records.get(self.next).is_some_and(|record| record.offset < offset) {
                let record = self.records[self.next].clone();
                self.next += 1;
                self.follow(points, &mut point, record.offset, i64::MAX);
                let moment = moments.get(record.offset as usize).copied().unwrap_or_default();
                self.record(&record, moment..commit.moment + 1);
            }
            let raised_ms = checkpoint.watermark_ms;
            self.follow(points, &mut point, offset, raised_ms.unwrap_or(i64::MIN));
            if raised_ms > self.model.watermark() {
                self.raise_by_commit(offset, raised_ms.unwrap_or_default(), points);
            }
            self.hold(&checkpoint, offset);
            last = Some(checkpoint);
        }
        let left = self.records.len() - self.next;
        if left > 0 {
            self.complaints.push(format!("{left} records are not committed"));
        }
        let end = self.world.cluster.bounds(&partition.topic, partition.partition).map(|(_, ends)| ends.high_watermark);
        let committed = self.world.cluster.committed(super::plan::GROUP).get(partition).map(|it| it.offset);
        if committed != end {
            self.complaints.push(format!("committed is {committed:?}, the end is {end:?}"));
        }
        for (offset, left) in std::mem::take(&mut self.rejected) {
            self.complaints.push(format!("@{offset}: rejected without a reason: {left:?}"));
        }
    }

    fn read_checkpoint(&mut self, commit: &Commit, last: Option<&Checkpoint>) -> Option<Checkpoint> {
        let (offset, metadata) = (commit.committed.offset, &commit.committed.metadata);
        let checkpoint = match Checkpoint::decode(metadata) {
            Ok(checkpoint) => checkpoint,
            Err(error) => {
                self.complaints.push(format!("commit at {offset}: {metadata:?}: {error}"));
                return None;
            }
        };
        self.verdicts.guard_steps_max = self.verdicts.guard_steps_max.max(checkpoint.guard.len());
        self.verdicts.metadata_bytes_max = self.verdicts.metadata_bytes_max.max(metadata.len());
        let mut demand = |is_so: bool, what: &str| {
            if !is_so {
                self.complaints.push(format!("commit at {offset}: {what}: {checkpoint:?}, before: {last:?}"));
            }
        };
        demand(metadata.len() <= LEN_MAX, "too long");
        demand(checkpoint.guard.len() <= 48, "too many guard steps");
        demand(checkpoint.replay_from <= offset, "replays from behind the offset");
        demand(last.is_none_or(|last| last.watermark_ms <= checkpoint.watermark_ms), "the watermark went back");
        demand(last.is_none_or(|last| last.replay_from <= checkpoint.replay_from), "the replay went back");
        Some(checkpoint)
    }

    /// What the model says at a commit is what the commit says.
    fn hold(&mut self, checkpoint: &Checkpoint, offset: i64) {
        if self.model.watermark() != checkpoint.watermark_ms {
            let watermark = self.model.watermark();
            self.complaints.push(format!("commit at {offset}: watermark {watermark:?} in {checkpoint:?}"));
        }
        let replay_from = self.model.replay_from().unwrap_or(offset);
        if replay_from != checkpoint.replay_from {
            self.complaints.push(format!("commit at {offset}: a replay needs {replay_from}: {checkpoint:?}"));
        }
        let ahead_ms = self.world.plan.pipeline.max_ahead_ms.unwrap_or(0);
        let needed = self.accepted.partition_point(|(offset, ..)| *offset < replay_from);
        for &(at, time_ms, accepted) in &self.accepted[needed..] {
            let in_force = checkpoint.guard.iter().rev().find(|step| step.offset <= at);
            if accepted != in_force.is_some_and(|step| time_ms <= step.guard_ms + ahead_ms) {
                self.complaints.push(format!(
                    "commit at {offset}: the record at {at} with time {time_ms} was accepted: {accepted}, and a replay \
                     would say otherwise: {checkpoint:?}"
                ));
            }
        }
    }

    /// Raises the model as silence raised the task, where its position was at most `offset`.
    fn follow(&mut self, points: &[Point], point: &mut usize, offset: i64, at_most_ms: i64) {
        while let Some(now) = points.get(*point).filter(|now| now.position <= offset) {
            *point += 1;
            let Some(raised_ms) = now.watermark_ms.filter(|raised_ms| Some(*raised_ms) > self.model.watermark()) else {
                continue;
            };
            if raised_ms > at_most_ms {
                continue;
            }
            self.doubt(now, raised_ms, points);
            self.verdicts.raises += 1;
            self.raise(raised_ms);
        }
    }

    fn raise(&mut self, raised_ms: i64) {
        self.model.raise(raised_ms);
        self.windows.extend(self.model.closed());
    }

    /// A raise must have been possible: an end that is reached, quiet for long enough, and no further than documented.
    fn doubt(&mut self, now: &Point, raised_ms: i64, points: &[Point]) {
        let since = points.iter().find(|point| point.position > self.last_merged).unwrap_or(now);
        let quiet_ms = now.at.saturating_sub(since.at).as_millis() as i64;
        let last_ms = self.model.last_close().unwrap_or(i64::MIN);
        let most_ms = match self.world.plan.pipeline.window.idle {
            Idle::Off => i64::MIN,
            Idle::Close { after_ms } if quiet_ms >= after_ms => last_ms,
            Idle::Advance { after_ms } if quiet_ms >= after_ms => {
                last_ms.min(since.watermark_ms.unwrap_or(i64::MIN).saturating_add(quiet_ms - after_ms))
            }
            _ => i64::MIN,
        };
        if raised_ms > most_ms || now.high != now.position {
            self.complaints.push(format!(
                "silence raised {:?} to {raised_ms} at {now:?}; quiet since {since:?}, last close {last_ms}",
                self.model.watermark()
            ));
        }
    }

    /// A commit between window ends: they closed at the next record, or in a longer silence here.
    fn raise_by_commit(&mut self, offset: i64, raised_ms: i64, points: &[Point]) {
        let grace_ms = self.world.plan.pipeline.window.grace_ms;
        let silence = points.iter().find(|point| point.position == offset && point.watermark_ms > Some(raised_ms));
        self.verdicts.splits += 1;
        if !self.model.open().iter().any(|window| window.end_ms + grace_ms == raised_ms) {
            self.complaints.push(format!("commit at {offset}: raised to {raised_ms}, where no window closes"));
        }
        match silence {
            Some(point) => self.doubt(point, raised_ms, points),
            None => self.split = Some(raised_ms),
        }
        self.raise(raised_ms);
    }

    /// One record, judged between these moments.
    fn record(&mut self, record: &Stored, moments: std::ops::Range<usize>) {
        let pipeline = &self.world.plan.pipeline;
        let rejected = self.rejected.remove(&record.offset).unwrap_or_default();
        let future = rejected.first().is_some_and(|rejected| rejected.reason() == "future");
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        let fate = self.model.record(record.offset, record.timestamp_ms, key, value, GuardClock::Told(future));
        self.windows.extend(self.model.closed());
        self.verdicts.records += 1;
        match fate {
            Fate::Ignored => self.verdicts.ignored += 1,
            Fate::Dead(reason) => {
                self.verdicts.dead += 1;
                self.verdicts.future += usize::from(reason == "future");
            }
            Fate::Late { .. } => self.verdicts.late += 1,
            Fate::Merged { partly_late } => {
                self.verdicts.merged += 1;
                self.verdicts.partly_late += usize::from(partly_late);
                self.last_merged = record.offset;
            }
        }
        let time_ms = value
            .and_then(Json::read)
            .and_then(|value| time::event_time_ms(&pipeline.time, &value, record.timestamp_ms));
        if let Some(split_ms) = self.split.take()
            && !(matches!(fate, Fate::Merged { .. }) && time_ms >= Some(split_ms))
        {
            self.complaints.push(format!("@{}: {fate:?} does not close what ends before {split_ms}", record.offset));
        }
        if let Some(time_ms) = time_ms {
            self.doubt_guard(record.offset, time_ms, fate, moments);
        }
        let complaint = match (fate.reason(), rejected.as_slice()) {
            (None | Some("tombstone"), []) => None,
            (Some(reason), [one]) => mismatch(self.world, fate, reason, record, one),
            (_, all) => Some(format!("is visible {} times: {all:?}", all.len())),
        };
        if let Some(complaint) = complaint {
            self.complaints.push(format!("@{}, {fate:?}: {complaint}", record.offset));
        }
    }

    /// A verdict about the future must have been possible by some reading of the wall clock.
    fn doubt_guard(&mut self, offset: i64, time_ms: i64, fate: Fate, moments: std::ops::Range<usize>) {
        let pipeline = &self.world.plan.pipeline;
        let ahead_ms = pipeline.max_ahead_ms.unwrap_or(0);
        let step_ms = self.world.plan.guard_step_ms();
        let journal = self.world.journal.borrow();
        match fate {
            Fate::Dead("future") => {
                self.accepted.push((offset, time_ms, false));
                let walls = journal.walls.get(moments).unwrap_or_default();
                if walls.iter().all(|wall_ms| time_ms <= up(*wall_ms, step_ms) * step_ms + ahead_ms) {
                    self.complaints.push(format!("@{offset}: {time_ms} was never in the future: {walls:?}"));
                }
            }
            Fate::Merged { .. } => {
                self.accepted.push((offset, time_ms, true));
                let latest_ms = journal.walls.get(..moments.end).unwrap_or_default().iter().max().copied();
                if latest_ms.is_none_or(|wall_ms| time_ms > up(wall_ms, step_ms) * step_ms + ahead_ms) {
                    self.complaints.push(format!("@{offset}: {time_ms} was always in the future: {latest_ms:?}"));
                }
            }
            _ => {}
        }
    }

    /// Every window once.
    fn compare(&mut self, expected: &mut Vec<ModelWindow>, mut seen: Vec<ModelWindow>) {
        self.verdicts.windows += expected.len();
        expected.sort();
        seen.sort();
        if *expected == seen {
            return;
        }
        let count = |windows: &[ModelWindow], window: &ModelWindow| windows.iter().filter(|it| *it == window).count();
        let mut all: Vec<&ModelWindow> = expected.iter().chain(&seen).collect();
        all.sort();
        all.dedup();
        for window in all {
            let (wanted, found) = (count(expected, window), count(&seen, window));
            if wanted != found {
                self.complaints.push(format!("expected {wanted} times, visible {found} times: {window:?}"));
            }
        }
    }
}

/// How a late record or dead letter differs from what it must be.
fn mismatch(world: &World, fate: Fate, reason: &str, record: &Stored, seen: &Rejected) -> Option<String> {
    let plan = &world.plan;
    let (topic, partitions) = if reason == "late" { (LATE, plan.outlets[1]) } else { (DEAD, plan.outlets[2]) };
    let from = seen.number("tidemill.partition").unwrap_or_default() as i32;
    let partition = record.key.as_ref().map_or(from % partitions, |key| murmur2::partition(key, partitions));
    let truncated = seen.number("tidemill.truncated");
    let value = record.value.as_ref().filter(|_| truncated.is_none());
    let lateness = match fate {
        Fate::Late { watermark_ms, window_end_ms } => (Some(watermark_ms), Some(window_end_ms)),
        _ => (None, None),
    };
    let key = match record.key.as_deref() {
        Some(key) if key.len() > plan.pipeline.max_key_bytes => Some(&key[..key.len().min(1024)]),
        key => key,
    };
    let checks = [
        ("reason", seen.reason() == reason),
        ("topic", seen.topic == topic),
        ("partition", seen.partition == partition),
        ("key", seen.record.key.as_deref() == key),
        ("value", seen.record.value.as_ref() == value),
        (
            "truncated",
            truncated.is_none_or(|len| plan.limits && record.value.as_ref().map(Vec::len) == Some(len as usize)),
        ),
        ("timestamp", seen.number("tidemill.timestamp") == Some(record.timestamp_ms)),
        ("lateness", (seen.number("tidemill.watermark"), seen.number("tidemill.window_end")) == lateness),
        ("headers", seen.record.headers.starts_with(&record.headers)),
    ];
    let wrong: Vec<_> = checks.iter().filter(|(_, right)| !right).map(|(name, _)| *name).collect();
    (!wrong.is_empty()).then(|| format!("wrong {wrong:?}: {seen:?}"))
}

/// `a / b`, rounded up.
fn up(a: i64, b: i64) -> i64 {
    -(-a).div_euclid(b)
}
