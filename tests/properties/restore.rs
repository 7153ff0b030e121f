//! Crashes anywhere: what was visible before plus what becomes visible after is the uninterrupted run, nothing twice,
//! no verdict contradicted, whatever the wall clock did meanwhile.

use super::fates::compare_commit_point;
use crate::support::generate::{self, Random, Record};
use crate::support::model::result::ModelWindow;
use crate::support::model::{Fate, GuardClock, ModelTask};
use crate::support::subject::Subject;
use std::time::Duration;
use tidemill::broker::{Committed, Ends};
use tidemill::checkpoint::Checkpoint;
use tidemill::clock::{Clock, ManualClock};
use tidemill::config::{Idle, Pipeline};
use tidemill::task::State;

/// What the wall clock shows when a record is judged again.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wall {
    /// The same as the first time: the whole run equals one without crashes.
    Same,
    /// Anything.
    Jumps,
}

/// What has become visible.
#[derive(Default)]
struct Visible {
    fates: Vec<(i64, Fate)>,
    windows: Vec<ModelWindow>,
}

/// How often each thing was met, to see that the test tests.
#[derive(Debug, Default)]
struct Met {
    restores: u64,
    restores_broken_off: u64,
    splits: u64,
    ends_by_event: u64,
    guard_steps: usize,
    raises: u64,
}

struct Run<'a> {
    random: &'a Random,
    pipeline: &'a Pipeline,
    records: &'a [Record],
    wall: Wall,
    clock: ManualClock,
    subject: Subject,
    committed: Option<Committed>,
    /// Judged, and not visible yet.
    pending: Vec<(i64, Fate)>,
    visible: Visible,
    guard_steps: usize,
    /// The same run without any crash: fate, watermark, guard; only with [`Wall::Same`].
    whole: Vec<(Fate, Option<i64>, Option<i64>)>,
    /// What silence did: position and watermark, without what a crash has undone; only with [`Wall::Jumps`].
    raises: Vec<(i64, i64)>,
}

impl<'a> Run<'a> {
    fn new(random: &'a Random, pipeline: &'a Pipeline, records: &'a [Record], wall: Wall) -> Self {
        let clock = ManualClock::at(0);
        let subject = Subject::clean(pipeline, records[0].offset, &clock);
        let mut model = ModelTask::new(pipeline);
        let whole = records.iter().map(|record| {
            let fate = super::fates::judge(&mut model, record);
            (fate, model.watermark(), model.guard_clock())
        });
        let whole = whole.collect();
        let (committed, pending, visible) = (None, Vec::new(), Visible::default());
        let (guard_steps, raises) = (0, Vec::new());
        Self {
            random,
            pipeline,
            records,
            wall,
            clock,
            subject,
            committed,
            pending,
            visible,
            guard_steps,
            whole,
            raises,
        }
    }

    fn go(&mut self, crash_permille: i64, met: &mut Met) {
        let mut next = 0;
        let (mut restored_from, mut crashes) = (None, 0);
        while let Some(record) = self.records.get(next) {
            self.see_end_before(record, met);
            let jump_ms = if self.wall == Wall::Jumps { self.random.pick(&[0, 0, -5000, 50, 3_600_000]) } else { 0 };
            self.clock.set_wall_ms((record.now_ms + jump_ms).max(0));
            if let Some(fate) = self.subject.record(record) {
                self.pending.push((record.offset, fate));
                if self.wall == Wall::Same {
                    let (expected, watermark_ms, _) = self.whole[next];
                    assert_eq!((fate, self.subject.task.watermark_ms()), (expected, watermark_ms), "{record:?}");
                }
            }
            next += 1;
            if self.subject.task.state() == State::Live {
                if let Some(committed) = restored_from.take() {
                    self.compare_restored(&committed);
                }
                self.fall_silent(met);
                self.commit(met);
            }
            if crashes < 60 && self.random.chance(crash_permille) {
                crashes += 1;
                met.restores += 1;
                met.restores_broken_off += u64::from(self.subject.task.state() != State::Live);
                restored_from = self.crash();
                next = self.records.partition_point(|record| record.offset < self.subject.task.position());
            }
        }
        self.commit_all();
    }

    /// Sometimes the end of the partition is seen before the next record, or in a gap of offsets.
    fn see_end_before(&mut self, record: &Record, met: &mut Met) {
        let position = self.subject.task.position();
        if record.offset > position && self.random.chance(500) {
            let restored = self.subject.task.state() != State::Live;
            self.subject.task.reach_end(self.random.between(position, record.offset), &self.clock);
            met.ends_by_event += u64::from(restored && self.subject.task.state() == State::Live);
            if self.subject.task.state() == State::Live && self.random.chance(500) {
                self.commit_all();
            }
        }
    }

    /// Sometimes silence closes windows.
    fn fall_silent(&mut self, met: &mut Met) {
        if self.wall == Wall::Same || !self.random.chance(30) {
            return;
        }
        self.subject.task.end_batch(self.clock.monotonic());
        let window = &self.pipeline.window;
        let long_ms = self.random.between(1, window.size_ms + window.grace_ms);
        self.clock.advance(Duration::from_millis(long_ms as u64));
        let (now, before) = (self.clock.monotonic(), self.subject.task.watermark_ms());
        if self.subject.task.ask_silence(&self.subject.context, now) {
            let position = self.subject.task.position();
            let ends = Ends { last_stable: position, high_watermark: position };
            self.subject.task.answer_silence(&mut self.subject.context, Some(ends), now);
            let raised_ms = self.subject.task.watermark_ms();
            assert!(raised_ms > before);
            self.raises.extend(raised_ms.map(|raised_ms| (position, raised_ms)));
            met.raises += 1;
        }
    }

    /// A task that was restored and has judged nothing yet would commit what was committed.
    fn compare_restored(&self, committed: &Committed) {
        if self.subject.task.counts.read == 0 && self.subject.task.position() == committed.offset {
            assert_eq!(self.subject.task.commit_point(&self.subject.context), *committed);
        }
    }

    fn commit(&mut self, met: &mut Met) {
        if self.random.chance(100) {
            self.commit_all();
        }
        let waiting = self.subject.task.closed.len();
        if waiting > 0 && self.random.chance(200) {
            let index = self.random.between(0, waiting as i64 - 1) as usize;
            let committed = self.subject.task.commit_point_after(&self.subject.context, index).unwrap();
            met.splits += 1;
            self.compare_split(&committed, index);
            self.make_visible(committed, index + 1);
        }
    }

    /// A split says what stood when the record that closed its last window had been judged.
    fn compare_split(&self, committed: &Committed, index: usize) {
        let checkpoint = Checkpoint::decode(&committed.metadata).unwrap();
        let end_ms = self.subject.task.closed[index].end_ms;
        assert_eq!(checkpoint.watermark_ms, Some(end_ms + self.pipeline.window.grace_ms));
        if self.wall == Wall::Same {
            let record = self.records.iter().position(|record| record.offset == committed.offset).unwrap();
            let (_, _, guard_ms) = self.whole[record];
            assert_eq!(checkpoint.guard.last().map(|step| step.guard_ms), guard_ms, "with that record's own step");
        }
    }

    fn commit_all(&mut self) {
        let committed = self.subject.task.commit_point(&self.subject.context);
        self.make_visible(committed, self.subject.task.closed.len());
    }

    fn make_visible(&mut self, committed: Committed, windows: usize) {
        for index in 0..windows {
            self.visible.windows.extend(self.subject.windows(index));
        }
        let below = |(offset, fate): &&(i64, Fate)| {
            *offset < committed.offset && matches!(fate, Fate::Dead(_) | Fate::Late { .. })
        };
        let rejected = self.pending.iter().filter(below).count();
        assert_eq!(self.subject.task.rejected.count_below(committed.offset), rejected, "rejected before the commit");
        let (visible, pending) = self.pending.drain(..).partition(|(offset, _)| *offset < committed.offset);
        self.pending = pending;
        let visible: Vec<(i64, Fate)> = visible;
        self.visible.fates.extend(visible);
        self.subject.commit(&committed, windows);
        let steps = Checkpoint::decode(&committed.metadata).unwrap().guard.len();
        self.guard_steps = self.guard_steps.max(steps);
        self.committed = Some(committed);
    }

    /// Everything that is not committed is gone.
    fn crash(&mut self) -> Option<Committed> {
        self.pending.clear();
        let stands = self.committed.as_ref().map_or((i64::MIN, None), |committed| {
            (committed.offset, Checkpoint::decode(&committed.metadata).unwrap().watermark_ms)
        });
        self.raises.retain(|(position, _)| *position <= stands.0);
        for (_, raised_ms) in &mut self.raises {
            *raised_ms = stands.1.map_or(*raised_ms, |watermark_ms| watermark_ms.min(*raised_ms));
        }
        self.subject = match &self.committed {
            Some(committed) => Subject::resumed(self.pipeline, committed, &self.clock),
            None => Subject::clean(self.pipeline, self.records[0].offset, &self.clock),
        };
        let committed = self.committed.clone();
        if self.subject.task.state() == State::Live
            && let Some(committed) = &committed
        {
            self.compare_restored(committed);
        }
        committed
    }

    /// The model judges everything once, told only what was said about the future.
    fn compare(&mut self) {
        let offsets: Vec<_> = self.visible.fates.iter().map(|(offset, _)| *offset).collect();
        let all: Vec<_> = self.records.iter().map(|record| record.offset).collect();
        assert_eq!(offsets, all, "every record becomes visible once, in order");
        let mut model = ModelTask::new(self.pipeline);
        let mut raises = self.raises.iter().peekable();
        for (record, (_, seen)) in self.records.iter().zip(&self.visible.fates) {
            while let Some((_, raised_ms)) = raises.next_if(|(position, _)| *position <= record.offset) {
                model.raise(*raised_ms);
            }
            let clock = match self.wall {
                Wall::Same => GuardClock::Now(record.now_ms),
                Wall::Jumps => GuardClock::Told(*seen == Fate::Dead("future")),
            };
            let (key, value) = (record.key.as_deref(), record.value.as_deref());
            let fate = model.record(record.offset, record.kafka_timestamp_ms, key, value, clock);
            assert_eq!(*seen, fate, "{record:?}");
        }
        raises.for_each(|(_, raised_ms)| model.raise(*raised_ms));
        assert_eq!(self.visible.windows, model.closed());
        if self.wall == Wall::Same {
            compare_commit_point(&self.subject, &model);
        }
    }
}

fn crash_everywhere(wall: Wall, seeds: u64) {
    let mut met = Met::default();
    generate::for_each_seed(seeds, |seed| {
        let random = Random::new(seed);
        let mut pipeline = generate::pipeline(&random);
        if random.chance(500) {
            // Long windows and a short lead: many steps of the guard in one replay.
            pipeline.max_ahead_ms = Some(random.pick(&[1, pipeline.window.size_ms]));
            pipeline.window.grace_ms = 20 * pipeline.window.size_ms;
        }
        let after_ms = 1;
        pipeline.window.idle =
            random.pick(&[Idle::Advance { after_ms }, Idle::Advance { after_ms }, Idle::Close { after_ms }]);
        let mut records = generate::records(&random, &pipeline, 250);
        if random.chance(500) {
            // The wall goes with the stream, so that devices just inside and just outside the lead alternate.
            let mut wall_ms = 0;
            for record in &mut records {
                wall_ms = wall_ms.max(record.now_ms);
                record.now_ms = wall_ms;
            }
        }
        let mut run = Run::new(&random, &pipeline, &records, wall);
        run.go(random.pick(&[0, 10, 50, 200]), &mut met);
        run.compare();
        met.guard_steps = met.guard_steps.max(run.guard_steps);
    });
    println!("{met:?}");
    let enough = met.restores > 1000 && met.restores_broken_off > 100 && met.splits > 1000 && met.ends_by_event > 20;
    assert!(
        std::env::var("TIDEMILL_SEED").is_ok()
            || (enough && met.guard_steps >= 3 && (wall == Wall::Same || met.raises > 500)),
        "{met:?}"
    );
}

#[test]
fn a_run_with_crashes_is_the_run_without_them() {
    crash_everywhere(Wall::Same, 400);
}

#[test]
fn what_is_visible_is_never_contradicted_when_the_clock_jumps() {
    crash_everywhere(Wall::Jumps, 400);
}
