//! What a case is played on: topics, one worker (two during a rebalance), and the clock of both.
//!
//! Records reach the worker while its commits are held back, so that a crash right after them loses something; they
//! stand still on the monotonic clock, so that only `silence` is silence. Judges nothing.

use super::seen::{Seen, Sent};
use crate::broker::Outlet;
use crate::clock::{Clock, ManualClock};
use crate::config::Config;
use crate::config::cases::{Case, Does, Place, Record, Row};
use crate::fate::FateCounts;
use crate::lane::{Lane, LaneOptions, Progress, Stop};
use crate::recent::{Answers, Mailbox, Question};
use crate::sim::{ClientOptions, Cluster, Faults, Injector};
use crate::status::Waits;
use crate::worker::partition_status;
use std::collections::BTreeMap;
use std::time::Duration;

/// Nobody is put out of the group because the clock leapt.
const FOREVER: Duration = Duration::from_secs(20 * 366 * 86_400);
/// What passes when a lane waits for nothing but time.
const TICK: Duration = Duration::from_millis(1);
/// A lane that waits for so many steps waits for time.
const PATIENCE: usize = 64;
/// Between two looks of a lane at the silence of its tasks.
const LOOK: Duration = Duration::from_millis(10);
/// No case needs more steps between two of its own.
const STEPS_MAX: usize = 1_000_000;
const ALWAYS: u32 = 1_000_000;

/// The broker answers every commit some calls later: what a commit holds can be looked at after it is visible.
const ANSWERS_SLOWLY: Faults = Faults { answer_slow: ALWAYS, ..NO_FAULTS };
/// No transaction begins.
const HOLDS_BACK: Faults = Faults { retry: ALWAYS, ..NO_FAULTS };
const NO_FAULTS: Faults = Faults {
    seed: 0,
    crash: 0,
    retry: 0,
    abort: 0,
    fatal: 0,
    fenced: 0,
    full: 0,
    answer_lost: 0,
    answer_slow: 0,
    in_flight: 0,
    lost: 0,
    rebalance: 0,
    redeliver: 0,
    stale_end: 0,
    short: 0,
    unanswered: 0,
};

/// A lane on the in-memory broker.
pub(super) type SimLane = Lane<crate::sim::SimClient, ManualClock>;

struct Worker {
    lane: SimLane,
    injector: Injector,
    mailbox: Mailbox,
    /// Fates that no commit covers yet.
    pending: FateCounts,
}

/// Everything that one case needs.
pub(super) struct Stage<'a> {
    pub(super) config: &'a Config,
    pub(super) seen: Seen,
    cluster: Cluster,
    clock: ManualClock,
    workers: Vec<Worker>,
    started: usize,
    /// Commits of positions so far.
    commits: usize,
    committed: FateCounts,
}

impl<'a> Stage<'a> {
    /// Empty topics, and a worker that has taken all partitions.
    pub(super) fn new(case: &Case, config: &'a Config) -> Result<Self, Stop> {
        let clock = ManualClock::at(case.style.start_ms);
        let cluster = Cluster::virtual_time(&clock);
        let mut partitions: BTreeMap<&str, i32> = BTreeMap::new();
        for step in &case.steps {
            if let Does::Record(record) = &step.does {
                let count = partitions.entry(&record.topic).or_default();
                *count = (*count).max(record.partition + 1);
            }
        }
        for (topic, count) in &partitions {
            cluster.create_topic(topic, *count);
        }
        for (_, topic) in outlets(config) {
            cluster.create_topic(topic, 1);
        }
        let seen = Seen::default();
        let (workers, started, commits, committed) = (Vec::new(), 0, 0, FateCounts::default());
        let mut stage = Self { config, seen, cluster, clock, workers, started, commits, committed };
        stage.start();
        stage.settle()?;
        Ok(stage)
    }

    /// A record arrives, and is judged.
    pub(super) fn record(&mut self, record: &Record, place: Place) -> Result<(), Stop> {
        self.clock.set_wall_ms(record.arrives_ms.max(self.clock.now_ms()));
        let timestamp_ms = record.at_ms.unwrap_or(record.arrives_ms);
        let (key, value) = (record.key.as_deref().map(str::as_bytes), record.value.as_deref().map(str::as_bytes));
        let offset = self.cluster.append(&record.topic, record.partition, timestamp_ms, key, value, &[]);
        let offset = offset.ok_or_else(|| Stop(format!("no partition {} of {}", record.partition, record.topic)))?;
        self.seen.sent.push(Sent { record: record.clone(), offset, place });
        self.hold(HOLDS_BACK);
        self.pump()
    }

    /// The wall clock goes on.
    pub(super) fn advance(&self, ms: i64) {
        self.clock.set_wall_ms(self.clock.now_ms().saturating_add(ms));
    }

    /// Both clocks go on, from one moment at which silence closes something to the next.
    pub(super) fn silence(&mut self, ms: i64) -> Result<(), Stop> {
        self.settle()?;
        let (wall_ms, until) = (self.clock.now_ms().saturating_add(ms), self.clock.monotonic() + millis(ms));
        for _ in 0..STEPS_MAX {
            let now = self.clock.monotonic();
            match self.silence_due_at() {
                // It is time, but the lane has looked a moment ago.
                Some(due_at) if due_at <= now => self.tick(LOOK),
                _ if now >= until => {
                    self.clock.set_wall_ms(wall_ms);
                    return Ok(());
                }
                due_at => self.clock.advance(due_at.unwrap_or(until).min(until) - now),
            }
            self.settle()?;
        }
        Err(self.restless())
    }

    fn silence_due_at(&self) -> Option<Duration> {
        let lanes = self.workers.iter().map(|worker| &worker.lane);
        let tasks = lanes.flat_map(|lane| lane.holdings().filter_map(move |holding| Some((lane, holding.task()?))));
        tasks.filter_map(|(lane, task)| task.silence_due_at(lane.context())).min()
    }

    /// The worker is gone with everything that it had not committed; another takes its place at once.
    pub(super) fn crash(&mut self) -> Result<(), Stop> {
        self.workers.clear();
        self.cluster.remove_members(&self.config.kafka.group);
        self.start();
        self.pump()
    }

    /// Another worker joins and takes its share; then the first one leaves, and it takes the rest.
    pub(super) fn rebalance(&mut self) -> Result<(), Stop> {
        self.hold(ANSWERS_SLOWLY);
        self.start();
        self.pump()?;
        if let Some(first) = self.workers.first_mut() {
            first.lane.shut_down();
        }
        self.settle()
    }

    /// Everything that is closed, late or dead becomes visible.
    pub(super) fn settle(&mut self) -> Result<(), Stop> {
        self.hold(ANSWERS_SLOWLY);
        for _ in 0..STEPS_MAX {
            self.pump()?;
            if !self.workers.iter().any(|worker| worker.lane.is_waiting() || worker.lane.is_closing()) {
                return Ok(());
            }
            self.tick(TICK);
        }
        Err(self.restless())
    }

    /// Fates of all records so far, each counted once however often it was read.
    pub(super) fn fates(&self) -> FateCounts {
        let mut fates = self.committed;
        self.workers.iter().for_each(|worker| fates.add(&worker.pending));
        fates
    }

    /// What the next close of a partition waits for.
    pub(super) fn waits(&self, topic: &str, partition: i32) -> Option<String> {
        let now = (self.clock.monotonic(), self.clock.now_ms());
        self.workers.iter().find_map(|Worker { lane, .. }| {
            let mut holdings = lane.holdings();
            let is_it = |name: &crate::broker::TopicPartition| &*name.topic == topic && name.partition == partition;
            let holding = holdings.find(|holding| is_it(holding.partition()))?;
            let standing = lane.standing(holding.task()?.slot);
            let status = partition_status(holding, lane.context(), standing, now);
            Some(Waits::of(&status, &self.config.pipeline.window, now.0).sentence)
        })
    }

    /// The windows of a key that are open, as results.
    pub(super) fn open(&mut self, key: &str) -> Result<Vec<Row>, Stop> {
        let mut rows = Vec::new();
        for worker in &mut self.workers {
            let Some(mut answer) = worker.mailbox.ask(Question::Key(key.as_bytes().to_vec())) else { continue };
            worker.lane.step(Duration::ZERO)?;
            if let Ok(Answers::Key(answers)) = answer.try_recv() {
                let row = |result: &Vec<u8>| Row::of_json(std::str::from_utf8(result).ok()?);
                rows.extend(answers.iter().filter_map(|answer| row(&answer.result)));
            }
        }
        Ok(rows)
    }

    fn start(&mut self) {
        let (config, kafka) = (self.config, &self.config.kafka);
        let topics: Vec<&str> = config.topics.patterns.iter().map(String::as_str).collect();
        let id = format!("{}-{}", kafka.group, self.started);
        let mut options = ClientOptions::new(&kafka.group, &id, &topics, &config.sink.topic);
        for (outlet, topic) in outlets(config) {
            options = options.outlet(outlet, topic);
        }
        (options.session_timeout, options.max_poll_interval) = (FOREVER, FOREVER);
        options.faults = ANSWERS_SLOWLY;
        let client = self.cluster.client(options);
        let (injector, options) = (client.injector(), LaneOptions::new(self.started, config));
        let mailbox = options.mailbox.clone();
        let lane = Lane::new(config.clone(), options, client, self.clock.clone());
        self.workers.push(Worker { lane, injector, mailbox, pending: FateCounts::default() });
        self.started += 1;
    }

    fn hold(&self, faults: Faults) {
        self.workers.iter().for_each(|worker| worker.injector.set(faults.clone()));
    }

    /// Steps until nobody has anything to do at this moment.
    fn pump(&mut self) -> Result<(), Stop> {
        let mut rests = 0;
        for step in 1..STEPS_MAX {
            let mut at_rest = true;
            for mut worker in std::mem::take(&mut self.workers) {
                let progress = worker.lane.step(Duration::ZERO)?;
                self.look(&mut worker);
                at_rest &= progress == Progress::Idle;
                if progress != Progress::Closed {
                    self.workers.push(worker);
                }
            }
            // The second look: the first may have asked the broker something.
            rests = if at_rest { rests + 1 } else { 0 };
            if rests == 2 {
                return Ok(());
            }
            if step.is_multiple_of(PATIENCE) {
                self.tick(TICK);
            }
        }
        Err(self.restless())
    }

    /// Notes what the last step of a worker has made visible.
    fn look(&mut self, worker: &mut Worker) {
        let counts = std::mem::take(&mut worker.lane.counts);
        worker.pending.add(&counts.fates);
        let commits = self.cluster.commit_history_from(&self.config.kafka.group, self.commits).len();
        if commits > 0 {
            // Nothing is merged while a transaction is under way: it covers all that was judged before.
            self.commits += commits;
            self.committed.add(&std::mem::take(&mut worker.pending));
        }
        for (outlet, topic) in outlets(self.config) {
            self.seen.read(&self.cluster, outlet, topic, &worker.lane);
        }
    }

    /// A little time, which the wall clock does not notice.
    fn tick(&self, by: Duration) {
        let wall_ms = self.clock.now_ms();
        self.clock.advance(by);
        self.clock.set_wall_ms(wall_ms);
    }

    fn restless(&self) -> Stop {
        let troubles: Vec<_> = self.workers.iter().filter_map(|worker| worker.lane.trouble()).collect();
        Stop(format!("the worker never comes to rest: {}", troubles.join("; ")))
    }
}

fn outlets(config: &Config) -> impl Iterator<Item = (Outlet, &str)> {
    let late = config.late.as_deref().map(|topic| (Outlet::Late, topic));
    let dead = config.dead_letter.as_deref().map(|topic| (Outlet::DeadLetter, topic));
    [Some((Outlet::Sink, config.sink.topic.as_str())), late, dead].into_iter().flatten()
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(ms.max(0).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::config::cases;
    use std::path::Path;

    #[test]
    fn a_crash_right_after_records_loses_what_they_closed_and_the_next_worker_writes_it_once() {
        let file = Path::new("config/flights.test.yaml");
        let cases = cases::load(file, &|path| config::load(path, &|_| None)).unwrap();
        let case = cases.cases.iter().find(|case| case.name.starts_with("a crash")).unwrap();
        let mut stage = Stage::new(case, &cases.config).unwrap();
        let records = case.steps.iter().filter_map(|step| match &step.does {
            Does::Record(record) => Some((record, step.place)),
            _ => None,
        });
        for (record, place) in records.take(3) {
            stage.record(record, place).unwrap();
        }
        let waiting = |stage: &Stage<'_>| stage.workers.iter().filter(|worker| worker.lane.is_waiting()).count();
        assert_eq!((waiting(&stage), stage.seen.windows.len(), stage.fates().merged), (1, 0, 3));
        stage.crash().unwrap();
        assert_eq!((waiting(&stage), stage.seen.windows.len(), stage.fates().merged), (0, 1, 3));
        assert_eq!((stage.started, stage.workers.len()), (2, 1));
    }

    #[test]
    fn a_rebalance_leaves_one_worker_that_has_everything_and_takes_no_time() {
        let file = Path::new("config/flights.test.yaml");
        let cases = cases::load(file, &|path| config::load(path, &|_| None)).unwrap();
        let case = cases.cases.iter().find(|case| case.name.starts_with("partitions move")).unwrap();
        let mut stage = Stage::new(case, &cases.config).unwrap();
        stage.rebalance().unwrap();
        let holdings: Vec<_> = stage.workers.iter().map(|worker| worker.lane.holdings().count()).collect();
        assert_eq!((stage.started, holdings), (2, vec![2]));
        assert_eq!(stage.clock.monotonic(), Duration::ZERO);
    }
}
