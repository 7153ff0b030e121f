//! One lane: one consumer, one transactional producer, the tasks of the partitions that they own.
//!
//! [`Lane::step`] is a plain function of a broker, a clock and the lane's own state: it never sleeps longer than it is
//! told to, and a simulator can drive a thousand lanes through a million faults on one thread. Its body is the eight
//! verbs. A lane shares nothing with other lanes.

mod due;
mod fencing;
mod inquiry;
mod membership;
mod options;
mod pressure;
mod produce;
mod span;
mod tide;

pub use membership::Holding;
pub use options::LaneOptions;
pub use pressure::Standing;

use crate::broker::{Broker, Event, RecordBatch, Slot, TopicPartition};
use crate::clock::Clock;
use crate::config::Config;
use crate::encode::Encoder;
use crate::error::BrokerError;
use crate::logs::Limiter;
use crate::metrics::LaneCounts;
use crate::pool::Pool;
use crate::task::{AHEAD, State, Task, TaskContext, Unmerged};
use membership::Membership;
use pressure::Pressure;
use produce::Scratch;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use tide::Tide;

/// Positions and watermarks alone are committed this often.
const POSITIONS_EVERY: Duration = Duration::from_secs(5);
/// How often silence and positions are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// One lane.
#[derive(Debug)]
pub struct Lane<B, C> {
    /// What was counted since the counts were last taken.
    pub counts: LaneCounts,
    options: LaneOptions,
    config: Config,
    broker: B,
    clock: C,
    context: TaskContext,
    encoder: Encoder,
    scratch: Scratch,
    batch: RecordBatch,
    events: Vec<Event>,
    /// What is owned, by slot; slots are never used twice.
    holdings: BTreeMap<Slot, Holding>,
    membership: Membership,
    tide: Tide,
    pressure: Pressure,
    trouble: Option<String>,
    trouble_lines: Limiter,
    dropped_lines: Limiter,
    look_at: Duration,
    /// Since when nothing is read, because a transaction or a rebalance is under way: that is no silence.
    blocked_since: Option<Duration>,
    closing: bool,
    closed: bool,
}

/// The lane cannot go on, and neither can its process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop(pub String);

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Stop {}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Something: step again at once.
    Busy,
    /// Nothing but an answer to wait for: step again in a millisecond or so.
    Waiting,
    /// Nothing was there to do, and the wait is over.
    Idle,
    /// The lane has left the group; it is not to be stepped again.
    Closed,
}

impl<B: Broker, C: Clock> Lane<B, C> {
    /// A lane that owns nothing yet.
    pub fn new(config: Config, options: LaneOptions, broker: B, clock: C) -> Self {
        let keep = (config.late.is_some(), config.dead_letter.is_some());
        let now = clock.monotonic();
        let mut context = TaskContext::new(config.pipeline.clone(), options.seed, keep.0, keep.1, options.pool.hot());
        context.recent = options.recent.clone();
        Self {
            counts: LaneCounts::default(),
            context,
            encoder: Encoder::new(&config),
            scratch: Scratch::default(),
            batch: RecordBatch::new(options.batch_bytes, options.batch_records),
            events: Vec::new(),
            holdings: BTreeMap::new(),
            membership: Membership::default(),
            tide: Tide::new(now),
            pressure: Pressure::new(options.ladder.join(), now),
            trouble: None,
            // A broker that is away is reported at every attempt to reach it.
            trouble_lines: Limiter::new(Duration::from_secs(10), 2),
            dropped_lines: Limiter::new(Duration::from_secs(10), 2),
            look_at: now,
            blocked_since: None,
            closing: false,
            closed: false,
            options,
            config,
            broker,
            clock,
        }
    }

    /// One round of the eight verbs; waits at most `wait` for records.
    ///
    /// # Errors
    /// What the process has to stop for, with what to do next.
    pub fn step(&mut self, wait: Duration) -> Result<Progress, Stop> {
        if self.closed {
            return Ok(Progress::Closed);
        }
        let before = self.tide.progress();
        self.feel_pressure()?;
        self.poll(wait)?;
        let moved = !self.batch.is_empty() || self.events.iter().any(|event| !matches!(event, Event::Ends { .. }));
        self.merge();
        self.answer();
        self.close()?;
        self.produce()?;
        self.commit()?;
        if self.is_done() {
            self.leave();
            return Ok(Progress::Closed);
        }
        self.release();
        Ok(if moved || self.tide.progress() != before {
            Progress::Busy
        } else if self.tide.is_running() || self.membership.is_busy() || self.is_pressed() {
            Progress::Waiting
        } else {
            Progress::Idle
        })
    }

    /// Begins to leave: what is closed is still committed, open windows are left to the next owner's replay.
    pub fn shut_down(&mut self) {
        self.closing = true;
    }

    /// Leaves at once, committing nothing more.
    pub fn leave(&mut self) {
        if !self.closed {
            self.broker.close(Duration::from_secs(1));
            self.leave_span();
            self.closed = true;
        }
    }

    /// The broker, for what tests and tools want to do with it.
    pub fn broker_mut(&mut self) -> &mut B {
        &mut self.broker
    }

    /// What all its tasks share.
    pub fn context(&self) -> &TaskContext {
        &self.context
    }

    /// What time it is for the lane.
    pub fn clock(&self) -> &C {
        &self.clock
    }

    /// Where its state lives.
    pub fn pool(&self) -> &Pool {
        &self.options.pool
    }

    /// What the lane owns.
    pub fn holdings(&self) -> impl Iterator<Item = &Holding> {
        self.holdings.values()
    }

    /// True if results, late records or dead letters wait for a commit.
    pub fn is_waiting(&self) -> bool {
        self.tasks().any(Task::is_waiting)
    }

    /// Why the lane makes no progress, if it knows.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// True until the first producer has taken its transactional id.
    pub fn is_starting(&self) -> bool {
        self.tide.is_first_fencing()
    }

    /// True from [`Self::shut_down`] on.
    pub fn is_closing(&self) -> bool {
        self.closing
    }

    /// **poll**: records unless a transaction is under way (what it commits must stand still), and events.
    fn poll(&mut self, wait: Duration) -> Result<(), Stop> {
        self.batch.clear();
        self.events.clear();
        let busy = self.tide.is_running() || self.membership.is_revoking();
        let reads = !busy && !self.closing && !self.is_pressed();
        let now = self.clock.monotonic();
        let polled = if reads {
            if let Some(since) = self.blocked_since.take() {
                self.tasks_mut().for_each(|task| task.discount_silence(now.saturating_sub(since)));
            }
            let wait = self.patience(wait);
            self.broker.poll(&mut self.batch, &mut self.events, wait)
        } else {
            self.blocked_since.get_or_insert(now);
            self.broker.serve(&mut self.events)
        };
        polled.map_err(|error| self.stop("reading", &error))?;
        if !self.batch.is_empty() {
            self.counts.batches.observe(self.batch.len() as f64);
            self.trouble = None;
        }
        Ok(())
    }

    /// **decode**, **merge**, and **close** by watermark: record by record, in order, so that nobody can observe the
    /// batch.
    fn merge(&mut self) {
        let now = self.clock.monotonic();
        let (mut untrusted, mut starving) = (Vec::new(), Vec::new());
        let mut touched: Option<Slot> = None;
        let mut task: Option<&mut Task> = None;
        for (index, record) in self.batch.iter().enumerate() {
            if touched != Some(record.slot) {
                if let Some(task) = task.take() {
                    task.end_batch(now);
                }
                touched = Some(record.slot);
                let stands = self.pressure.stops(record.slot) || starving.contains(&record.slot);
                let holding = self.holdings.get_mut(&record.slot).filter(|_| !stands);
                task = holding.and_then(Holding::task_mut);
            }
            if index.is_multiple_of(AHEAD) {
                self.context.foresee(self.batch.from(index));
                if let Some(task) = task.as_deref() {
                    task.foresee(&self.context);
                }
            }
            let Some(running) = task.as_deref_mut() else { continue };
            match running.merge(&mut self.context, &record, &self.clock) {
                Ok(()) => continue,
                Err(Unmerged::Full) => starving.push(record.slot),
                Err(redelivered) => untrusted.push((record.slot, redelivered.to_string())),
            }
            running.end_batch(now);
            task = None;
        }
        if let Some(task) = task {
            task.end_batch(now);
        }
        for (slot, why) in untrusted {
            self.take_again(slot, &why);
        }
        starving.into_iter().for_each(|slot| self.starve(slot));
    }

    /// **close** by silence, and whatever else is not a record: events, rebalances, partitions to be taken over.
    fn close(&mut self) -> Result<(), Stop> {
        let mut events = std::mem::take(&mut self.events);
        events.drain(..).try_for_each(|event| self.handle(event))?;
        self.events = events;
        self.rebalance()?;
        let now = self.clock.monotonic();
        if now >= self.look_at && !self.tide.is_running() {
            self.look_at = now + LOOK_EVERY;
            for (slot, holding) in &mut self.holdings {
                let Some(task) = holding.task_mut() else { continue };
                let stops = self.pressure.stops(*slot);
                let asks = if stops { task.ask_lag(now) } else { task.ask_ends(&self.context, now) };
                if asks {
                    self.broker.ask_ends(*slot);
                }
            }
        }
        Ok(())
    }

    /// Everything that can wake a lane besides records.
    fn handle(&mut self, event: Event) -> Result<(), Stop> {
        match event {
            // Records before that end were left out, and are read again: it says nothing of what was merged.
            Event::End { slot, .. } if self.pressure.stops(slot) => {}
            Event::Ends { slot, ends } if self.pressure.stops(slot) => {
                let now = self.clock.monotonic();
                if let Some(task) = self.holdings.get_mut(&slot).and_then(Holding::task_mut) {
                    task.answer_lag(ends, now);
                }
            }
            Event::Assigned(partitions) => self.assigned(partitions),
            Event::Revoked(partitions) => self.revoked(partitions),
            Event::Lost(partitions) => self.lost(&partitions)?,
            Event::End { slot, offset } => {
                if let Some(task) = self.holdings.get_mut(&slot).and_then(Holding::task_mut) {
                    task.reach_end(offset, &self.clock);
                }
            }
            Event::Ends { slot, ends } => {
                if ends.is_some() && !self.tide.is_running() && !self.membership.is_busy() {
                    self.trouble = None;
                }
                let now = self.clock.monotonic();
                if let Some(task) = self.holdings.get_mut(&slot).and_then(Holding::task_mut) {
                    let before = task.closed.len();
                    task.answer_ends(&mut self.context, ends, now);
                    let closed = task.closed.len() - before;
                    if closed > 0 {
                        tracing::info!(partition = %task.partition, window_ends = closed, watermark_ms = task.watermark_ms(),
                            "windows closed by silence");
                    }
                }
            }
            Event::OutOfRange { slot, offset } => return Err(self.out_of_range(slot, offset)),
            Event::Trouble(what) => self.say_trouble(what),
        }
        Ok(())
    }

    /// Something that may heal by itself: shown as long as it lasts, logged now and then.
    fn say_trouble(&mut self, what: String) {
        if let Some(left_out) = self.trouble_lines.allow(self.clock.monotonic()) {
            tracing::warn!(lane = self.options.lane, left_out, "{what}");
        }
        self.trouble = Some(what);
    }

    /// How long a poll may wait without missing what is due.
    fn patience(&self, wait: Duration) -> Duration {
        if self.membership.is_busy() {
            return wait.min(LOOK_EVERY);
        }
        let now = self.clock.monotonic();
        let tide = self.tide_due_at().map_or(wait, |due_at| due_at.saturating_sub(now));
        wait.min(tide)
    }

    fn is_done(&self) -> bool {
        self.closing && !self.tide.is_running() && !self.tasks().any(|task| self.has_news(task))
    }

    fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.holdings.values().filter_map(Holding::task)
    }

    fn tasks_mut(&mut self) -> impl Iterator<Item = &mut Task> {
        self.holdings.values_mut().filter_map(Holding::task_mut)
    }

    /// True if a commit would say something that the last one did not.
    fn has_news(&self, task: &Task) -> bool {
        task.is_waiting() || (task.state() == State::Live && !task.is_committed(&self.context))
    }

    fn out_of_range(&self, slot: Slot, offset: i64) -> Stop {
        let name = self.holdings.get(&slot).map(Holding::partition).map_or_else(String::new, TopicPartition::to_string);
        Stop(format!(
            "{name}: offset {offset}, where reading must go on, no longer exists: the topic's retention or somebody \
             deleted it. Records are missing that open windows or the group still need. Raise the topic's retention; \
             to accept the loss, stop all workers and run `tidemill state FILE --reset {name}=earliest`"
        ))
    }

    fn stop(&self, doing: &str, error: &BrokerError) -> Stop {
        Stop(format!("lane {}: {doing}: {error}", self.options.lane))
    }
}
