//! Silence against a direct reading of the contract ("Silent partitions"): when the broker is asked, which answers
//! count, and how far the watermark rises.

use super::fates::{compare_commit_point, judge};
use crate::support::generate::{self, Random, Record};
use crate::support::model::{Fate, ModelTask};
use crate::support::subject::Subject;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tidemill::broker::Ends;
use tidemill::clock::{Clock, ManualClock};
use tidemill::config::{Idle, Pipeline};
use tidemill::task::ClosedBy;

/// An unanswered question is given up after this.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// The contract, read directly.
struct Reading {
    idle: Idle,
    quiet_since: Duration,
    quiet_watermark_ms: Option<i64>,
    /// Questions on their way: whether the answer still counts, and when they were asked.
    asked: VecDeque<(bool, Duration)>,
}

impl Reading {
    fn restart(&mut self, now: Duration, watermark_ms: Option<i64>) {
        self.quiet_since = now;
        self.quiet_watermark_ms = watermark_ms;
        self.asked.iter_mut().for_each(|(counts, _)| *counts = false);
    }

    /// What `W` would be if the silence were confirmed now; `None` if nothing would move.
    fn raise_ms(&self, now: Duration, model: &ModelTask) -> Option<i64> {
        let (watermark_ms, last_ms) = (model.watermark()?, model.last_close()?);
        let quiet_ms = now.saturating_sub(self.quiet_since).as_millis() as i64;
        let raised_ms = match self.idle {
            Idle::Off => return None,
            Idle::Close { after_ms } => (quiet_ms >= after_ms).then_some(last_ms)?,
            Idle::Advance { after_ms } => last_ms.min(self.quiet_watermark_ms? + quiet_ms - after_ms),
        };
        (raised_ms > watermark_ms).then_some(raised_ms)
    }

    /// tidemill raises `W` only where that closes a window.
    fn closes(&self, now: Duration, model: &ModelTask, grace_ms: i64) -> bool {
        let next_ms = model.open().first().map(|window| window.end_ms + grace_ms);
        self.raise_ms(now, model).is_some_and(|raise_ms| next_ms.is_some_and(|next_ms| raise_ms >= next_ms))
    }
}

struct Run<'a> {
    random: &'a Random,
    pipeline: &'a Pipeline,
    clock: ManualClock,
    model: ModelTask,
    subject: Subject,
    reading: Reading,
    met: &'a mut BTreeMap<&'static str, u64>,
}

impl Run<'_> {
    fn merge(&mut self, record: &Record) {
        self.clock.set_wall_ms(record.now_ms);
        let fate = judge(&mut self.model, record);
        assert_eq!(self.subject.record(record), Some(fate));
        if matches!(fate, Fate::Merged { .. }) {
            self.reading.restart(self.clock.monotonic(), self.model.watermark());
        }
        self.subject.task.end_batch(self.clock.monotonic());
        self.compare(ClosedBy::Watermark);
    }

    fn wait(&mut self) {
        let window = &self.pipeline.window;
        let long_ms = window.size_ms + window.grace_ms;
        let ms = self.random.pick(&[0, 1, 99, 100, 101, window.size_ms, long_ms, 40_000]);
        self.clock.advance(Duration::from_millis(ms as u64));
        if self.random.chance(100) {
            // The lane was blocked: that was not quiet.
            let blocked = Duration::from_millis(self.random.between(0, ms) as u64);
            self.subject.task.discount_silence(blocked);
            self.reading.quiet_since += blocked;
        }
    }

    fn look(&mut self) {
        let now = self.clock.monotonic();
        let grace_ms = self.pipeline.window.grace_ms;
        let waits = self.reading.asked.iter().find(|(counts, _)| *counts).map(|(_, asked_at)| *asked_at);
        let due_at = self.subject.task.silence_due_at(&self.subject.context);
        let asks = self.subject.task.ask_silence(&self.subject.context, now);
        match waits {
            Some(asked_at) if !self.model.open().is_empty() && now >= asked_at + ANSWER_MAX => {
                self.reading.restart(now, self.model.watermark());
                assert!(!asks, "no answer: the time starts anew");
                self.count("no answer");
            }
            Some(_) => assert!(!asks, "one question at a time"),
            None => {
                let closes = self.reading.closes(now, &self.model, grace_ms);
                assert_eq!(asks, closes, "asked as soon as a confirmed silence would close a window");
                assert_eq!(due_at.is_some_and(|due_at| due_at <= now), closes);
                if asks {
                    self.reading.asked.push_back((true, now));
                }
            }
        }
    }

    fn answer(&mut self) {
        let Some((counts, _)) = self.reading.asked.pop_front() else { return };
        let now = self.clock.monotonic();
        let position = self.subject.task.position();
        let ends = |last_stable, high_watermark| Some(Ends { last_stable, high_watermark });
        let (name, ends) = self.random.pick(&[
            ("confirmed", ends(position, position)),
            ("confirmed", ends(position, position)),
            ("confirmed", ends(position, position)),
            ("unanswered", None),
            ("an open transaction", ends(position, position + 1)),
            ("records to come", ends(position + 1, position + 1)),
            ("a leader that has less", ends(position - 1, position - 1)),
            ("a leader that has less", ends(position - 1, position)),
        ]);
        let raise_ms = self.reading.raise_ms(now, &self.model).filter(|_| name == "confirmed");
        self.subject.task.answer_silence(&mut self.subject.context, ends, now);
        match raise_ms {
            _ if !counts => self.count("an answer that came too late"),
            Some(raise_ms) => {
                assert!(Some(raise_ms) <= self.model.last_close(), "never beyond L");
                self.model.raise(raise_ms);
                self.count(name);
            }
            None => {
                self.reading.restart(now, self.model.watermark());
                self.count(name);
            }
        }
        self.compare(ClosedBy::Idle);
    }

    fn compare(&mut self, by: ClosedBy) {
        assert_eq!(self.subject.task.watermark_ms(), self.model.watermark());
        let windows: Vec<_> = self.model.closed().into_iter().map(|window| (window, by)).collect();
        assert_eq!(self.subject.closed(), windows);
        compare_commit_point(&self.subject, &self.model);
    }

    fn count(&mut self, what: &'static str) {
        *self.met.entry(what).or_default() += 1;
    }
}

#[test]
fn silence_raises_the_watermark_exactly_as_documented() {
    let mut met = BTreeMap::new();
    generate::for_each_seed(400, |seed| {
        let random = Random::new(seed);
        let mut pipeline = generate::pipeline(&random);
        let after_ms = random.pick(&[1, 100, 30_000]);
        let advance = Idle::Advance { after_ms };
        pipeline.window.idle = random.pick(&[Idle::Off, Idle::Close { after_ms }, advance, advance]);
        let records = generate::records(&random, &pipeline, 100);
        let clock = ManualClock::at(0);
        let subject = Subject::clean(&pipeline, records[0].offset, &clock);
        let (quiet_since, asked) = (Duration::ZERO, VecDeque::new());
        let reading = Reading { idle: pipeline.window.idle, quiet_since, quiet_watermark_ms: None, asked };
        let model = ModelTask::new(&pipeline);
        let (random, pipeline, met) = (&random, &pipeline, &mut met);
        let mut run = Run { random, pipeline, clock, model, subject, reading, met };
        for record in &records {
            run.merge(record);
            for _ in 0..random.pick(&[0, 0, 2, 12]) {
                match random.between(1, 4) {
                    1 => run.wait(),
                    2 => run.answer(),
                    _ => run.look(),
                }
            }
        }
        // Left in peace, every window closes in the end; without silence none does.
        for _ in 0..100 {
            run.clock.advance(Duration::from_secs(30));
            run.look();
            run.answer();
        }
        let off = pipeline.window.idle == Idle::Off;
        assert!(off || run.model.open().is_empty(), "{:?}", run.model.open());
        *met.entry("off").or_default() += u64::from(off);
    });
    println!("{met:#?}");
    assert!(std::env::var("TIDEMILL_SEED").is_ok() || met.len() == 8 && met.values().all(|met| *met > 50), "{met:?}");
}
