//! One seed's run: a cluster, lanes that come and go, records over time, faults, and at the end calm until all is done.
//!
//! One thread and one clock that the world turns. Judges nothing but the lanes' own complaints.

use super::journal::{Journal, Point};
use super::plan::{DEAD, GROUP, LATE, Plan, SESSION, SINK, Tight};
use super::script::Writer;
use super::spy::{Mistake, Spy, Watch};
use super::tally::Tally;
use crate::support::generate::Random;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tidemill::broker::{RecordBatch, TopicPartition};
use tidemill::budget::Ladder;
use tidemill::checkpoint::Checkpoint;
use tidemill::clock::{Clock, ManualClock};
use tidemill::config::Idle;
use tidemill::fate::Fate;
use tidemill::lane::{Holding, Lane, Progress};
use tidemill::metrics::LaneCounts;
use tidemill::pool::Pool;
use tidemill::sim::{Cluster, Faults, Injector};
use tidemill::task::State;

/// So long a pool that does not suffice may stand still in the calm; then everybody gets more.
const TIGHT_ROUNDS: usize = 600;
/// Silence and transactions without an answer take some minutes, bursts of which each window is committed alone an hour.
const CALM_ROUNDS: usize = 20_000;

pub struct World {
    pub plan: Plan,
    pub cluster: Cluster,
    pub journal: Rc<RefCell<Journal>>,
    pub complaints: Vec<String>,
    pub tally: Tally,
    pub clock: ManualClock,
    pub random: Random,
    /// Where the stream has come to, in Unix ms.
    pub clock_ms: i64,
    pub writer: Writer,
    watch: Rc<Watch>,
    places: Vec<Place>,
    /// Frozen predecessors of lanes that run under the same transactional id.
    twins: Vec<Running>,
    lanes: usize,
    ids: usize,
    down_until: Duration,
    /// The memory of each place, or of all of them.
    memories: Vec<Ladder>,
}

#[derive(Default)]
struct Place {
    id: String,
    running: Option<Running>,
    /// Nothing happens here before.
    until: Duration,
}

struct Running {
    number: usize,
    lane: Lane<Spy, ManualClock>,
    injector: Injector,
    counts: LaneCounts,
}

impl Running {
    fn show(&self) -> String {
        let holding = |holding: &Holding| match holding {
            Holding::Running(task) => format!("{} {:?} at {}", task.partition, task.state(), task.position()),
            other => format!("{other:?}"),
        };
        let holdings: Vec<_> = self.lane.holdings().map(holding).collect();
        let (number, trouble) = (self.number, self.lane.trouble());
        format!("lane {number}: trouble {trouble:?}, holds {holdings:?}, closing {}", self.lane.is_closing())
    }
}

impl World {
    pub fn new(plan: Plan, mistake: Option<Mistake>) -> Self {
        let clock = ManualClock::at(plan.clock_ms);
        let cluster = Cluster::virtual_time(&clock);
        for (topic, partitions) in [SINK, LATE, DEAD].into_iter().zip(plan.outlets) {
            cluster.create_topic(topic, partitions);
        }
        for (topic, partitions) in &plan.sources {
            cluster.create_topic(topic, if plan.grows { 1 } else { *partitions });
        }
        if plan.limits {
            cluster.set_max_message_bytes(LATE, 1_000);
            cluster.set_max_message_bytes(DEAD, 1_000);
        }
        let journal = Rc::new(RefCell::new(Journal::default()));
        let pipeline = plan.pipeline.as_ref().clone();
        let watch =
            Watch { cluster: cluster.clone(), clock: clock.clone(), journal: Rc::clone(&journal), pipeline, mistake };
        let places = (0..plan.places).map(|place| Place { id: format!("id-{place}"), ..Place::default() });
        let mut world = Self {
            random: Random::new(plan.seed),
            clock_ms: plan.clock_ms,
            places: places.collect(),
            plan,
            cluster,
            journal,
            complaints: Vec::new(),
            tally: Tally::default(),
            watch: Rc::new(watch),
            clock,
            twins: Vec::new(),
            writer: Writer::default(),
            lanes: 0,
            ids: 0,
            down_until: Duration::ZERO,
            memories: Vec::new(),
        };
        if let Some(Tight { limits, shared }) = world.plan.tight {
            let count = if shared { 1 } else { world.places.len() };
            world.memories = (0..count).map(|_| Ladder::new(Pool::new(limits), None)).collect();
        }
        world.note();
        world
    }

    /// The whole run.
    pub fn run(&mut self) {
        let mut quiet_until = Duration::ZERO;
        for tick in 0..self.plan.ticks {
            let now = self.clock.monotonic();
            if tick == self.plan.ticks / 3 {
                for (topic, partitions) in &self.plan.sources {
                    self.cluster.create_topic(topic, *partitions);
                }
            }
            if now >= self.down_until {
                self.cluster.set_down(false);
            }
            if now >= quiet_until && self.random.chance(300) {
                self.write();
            }
            if self.random.chance(8) {
                quiet_until = now + Duration::from_millis(self.random.pick(&[100, 1_000, 5_000]));
                tracing::debug!(?quiet_until, "the sources fall silent");
            }
            if self.plan.restless && self.random.chance(15) {
                self.unrest();
            }
            self.step_one();
            let by = match self.random.between(1, 100) {
                1 => 700,
                _ if now < quiet_until => self.random.between(0, 200),
                _ => self.random.pick(&[0, 0, 1, 5, 20]),
            };
            self.advance(Duration::from_millis(by as u64));
            if !self.complaints.is_empty() {
                return;
            }
        }
        self.calm();
        self.collect();
    }

    /// One lane, now and then one that was forgotten for long.
    fn step_one(&mut self) {
        let now = self.clock.monotonic();
        if !self.twins.is_empty() && self.random.chance(30) {
            let at = self.random.between(0, self.twins.len() as i64 - 1) as usize;
            let mut twin = self.twins.swap_remove(at);
            if self.step(&mut twin) {
                self.twins.push(twin);
            } else {
                self.bury(twin);
            }
        }
        let at = self.random.between(0, self.places.len() as i64 - 1) as usize;
        if self.places[at].until > now {
            return;
        }
        let Some(mut running) = self.places[at].running.take() else {
            self.start(at);
            return;
        };
        let mut alive = true;
        for _ in 0..self.random.between(1, 4) {
            alive = alive && self.step(&mut running);
        }
        if alive {
            self.places[at].running = Some(running);
        } else {
            self.bury(running);
            self.places[at].until = now + Duration::from_millis(self.random.pick(&[0, 100, 3_000]));
            if !self.plan.static_members && self.random.chance(200) {
                self.ids += 1;
                self.places[at].id = format!("other-{}", self.ids);
            }
        }
    }

    fn start(&mut self, at: usize) {
        let number = self.lanes;
        self.lanes += 1;
        let seed = self.random.next();
        let id = self.places[at].id.clone();
        tracing::info!(lane = number, %id, "starts");
        let faults = if self.plan.faults == Faults::default() {
            Faults::default()
        } else {
            Faults { seed, ..self.plan.faults.clone() }
        };
        let client = self.cluster.client(self.plan.client_options(&id, at, faults));
        let injector = client.injector();
        let mut pipeline = self.plan.pipeline.as_ref().clone();
        match self.watch.mistake {
            Some(Mistake::GraceOff) if pipeline.window.grace_ms > 0 => pipeline.window.grace_ms -= 1,
            Some(Mistake::GraceOff) => pipeline.window.grace_ms = 1,
            Some(Mistake::SizeOff) => {
                let tumbling = pipeline.window.every_ms == pipeline.window.size_ms;
                pipeline.window.size_ms += 1;
                pipeline.window.every_ms += i64::from(tumbling);
            }
            _ => {}
        }
        let config = self.plan.config(Arc::new(pipeline));
        let mut options = self.plan.lane_options(&config, number, seed);
        if let Some(ladder) = self.memories.get(at % self.memories.len().max(1)) {
            (options.pool, options.ladder) = (ladder.pool().clone(), ladder.clone());
        }
        let batch = RecordBatch::new(options.batch_bytes, options.batch_records);
        let spy = Spy::new(client, Rc::clone(&self.watch), number, seed, batch);
        let lane = Lane::new(config, options, spy, self.clock.clone());
        self.places[at].running = Some(Running { number, lane, injector, counts: LaneCounts::default() });
    }

    /// One step of a lane; false if it is gone.
    fn step(&mut self, running: &mut Running) -> bool {
        self.progress(running).is_some_and(|progress| progress != Progress::Closed)
    }

    /// Steps while there is something to do, within reason.
    fn step_much(&mut self, running: &mut Running) -> bool {
        for _ in 0..100 {
            match self.progress(running) {
                Some(Progress::Busy) => {}
                Some(Progress::Waiting) => self.advance(Duration::from_millis(1)),
                Some(Progress::Idle) => return true,
                Some(Progress::Closed) | None => return false,
            }
        }
        true
    }

    /// One step of a lane; `None` if it has stopped.
    fn progress(&mut self, running: &mut Running) -> Option<Progress> {
        let progress = running.lane.step(Duration::ZERO);
        self.observe(running);
        self.note();
        match progress {
            Ok(progress) => Some(progress),
            Err(stop) => {
                self.tally.stops += 1;
                let crashed = running.lane.broker_mut().is_dead();
                self.tally.crashes += usize::from(crashed);
                let fair = ["fenced twice", "transactions in a row failed", "FENCED_INSTANCE_ID"];
                let excused = self.plan.faults != Faults::default() || !self.twins.is_empty() || self.plan.restless;
                let is_fair = excused && fair.iter().any(|reason| stop.0.contains(reason));
                if !crashed && !is_fair {
                    self.complaints.push(format!("lane {} stopped: {stop}", running.number));
                }
                tracing::info!(lane = running.number, %stop, crashed, "stopped");
                None
            }
        }
    }

    /// Writes down where the lane's tasks stand, and checks that they count.
    fn observe(&mut self, running: &mut Running) {
        let mut points = Vec::new();
        for holding in running.lane.holdings() {
            match holding {
                Holding::Running(task) => {
                    let (_, ends) = self.cluster.bounds(&task.partition.topic, task.partition.partition).unwrap();
                    if task.state() == State::Live {
                        let at = self.clock.monotonic();
                        let (position, watermark_ms) = (task.position(), task.watermark_ms());
                        points.push((task.slot, Point { position, watermark_ms, high: ends.high_watermark, at }));
                    }
                }
                Holding::Refused { partition, why } => self.complaints.push(format!("{partition} is refused: {why}")),
                Holding::Taking { .. } => {}
            }
        }
        for (slot, point) in points {
            let life = running.lane.broker_mut().life(slot);
            self.journal.borrow_mut().observe(life, point);
        }
        let counts = &mut running.counts;
        let new = std::mem::take(&mut running.lane.counts);
        counts.fates.add(&new.fates);
        counts.closed_by_idle += new.closed_by_idle;
        counts.closed_by_watermark += new.closed_by_watermark;
        counts.aborted.add(&new.aborted);
        counts.unknown.add(&new.unknown);
        let fates = &counts.fates;
        let met = [Fate::Ignored, Fate::Dead, Fate::Late, Fate::Merged].map(|fate| fates.fate(fate));
        if fates.read != met.iter().sum::<u64>() {
            self.complaints.push(format!("lane {}: {} records read, fates {met:?}", running.number, fates.read));
        }
    }

    /// A lane's process is gone.
    fn bury(&mut self, running: Running) {
        self.tally.lanes += 1;
        self.tally.faults += running.injector.injected();
        self.tally.closed_by_idle += running.counts.closed_by_idle;
        self.tally.closed_by_watermark += running.counts.closed_by_watermark;
        self.tally.aborted += running.counts.aborted.count();
        self.tally.unknown += running.counts.unknown.count();
    }

    /// A lane dies, leaves, freezes, or freezes and is replaced.
    fn unrest(&mut self) {
        let now = self.clock.monotonic();
        let at = self.random.between(0, self.places.len() as i64 - 1) as usize;
        let Some(mut running) = self.places[at].running.take() else { return };
        match self.random.between(1, 11) {
            11 => {
                tracing::info!("the brokers are down");
                self.cluster.set_down(true);
                self.down_until = now + Duration::from_millis(self.random.pick(&[100, 1_000, 12_000]));
                self.places[at].running = Some(running);
            }
            1..=3 => {
                tracing::info!(lane = running.number, "is killed");
                self.bury(running);
                self.places[at].until = now + Duration::from_millis(self.random.pick(&[0, 50, 2_000, 8_000]));
            }
            4..=6 => {
                tracing::info!(lane = running.number, "is asked to shut down");
                running.lane.shut_down();
                self.places[at].running = Some(running);
            }
            7..=9 => {
                tracing::info!(lane = running.number, "freezes");
                let freeze = self.random.pick(&[SESSION / 2, SESSION, SESSION, 4 * SESSION]);
                self.places[at].until = now + freeze;
                self.places[at].running = Some(running);
                if self.random.chance(300) {
                    self.advance(SESSION / 2);
                }
            }
            _ => {
                tracing::info!(lane = running.number, "freezes and is replaced");
                self.twins.push(running);
            }
        }
    }

    fn advance(&mut self, by: Duration) {
        self.clock.advance(by);
        self.note();
    }

    /// Writes down what can be seen from outside.
    pub fn note(&mut self) {
        let journal = &mut *self.journal.borrow_mut();
        let wall_ms = self.clock.now_ms();
        if journal.walls.last() != Some(&wall_ms) {
            journal.walls.push(wall_ms);
        }
        for partition in self.plan.partitions() {
            if let Some((_, ends)) = self.cluster.bounds(&partition.topic, partition.partition) {
                journal.append(&partition, ends.high_watermark);
            }
        }
        journal.commit(self.cluster.commit_history_from(GROUP, journal.commits.len()));
    }

    /// No more faults and no more records: everything must come to its end.
    fn calm(&mut self) {
        tracing::info!("calm");
        self.cluster.set_down(false);
        self.end_writing();
        for twin in std::mem::take(&mut self.twins) {
            self.bury(twin);
        }
        for at in 0..self.places.len() {
            self.places[at].until = Duration::ZERO;
            if let Some(running) = &self.places[at].running {
                running.injector.calm();
            }
        }
        self.plan.faults = Faults::default();
        for round in 0..CALM_ROUNDS {
            if round == TIGHT_ROUNDS && !self.memories.is_empty() {
                self.loosen();
            }
            for at in 0..self.places.len() {
                match self.places[at].running.take() {
                    None if at == 0 || round == 0 || round == TIGHT_ROUNDS => self.start(at),
                    None => {}
                    Some(mut running) => match self.step_much(&mut running) {
                        true => self.places[at].running = Some(running),
                        false => self.bury(running),
                    },
                }
            }
            if !self.complaints.is_empty() || (round % 16 == 0 && self.is_settled()) {
                return;
            }
            self.advance(Duration::from_millis(if round < 100 { 10 } else { 200 }));
        }
        let standing: Vec<_> =
            self.places.iter().filter_map(|place| place.running.as_ref()).map(Running::show).collect();
        self.complaints.push(format!("nothing settles: {}", standing.join("; ")));
    }

    /// The lanes are ended and start again with as much memory as they like.
    fn loosen(&mut self) {
        tracing::info!("restart with more memory");
        self.tally.loosened += 1;
        self.collect();
    }

    /// Every position is at the end, no window is open that silence will close, and no transaction hides results.
    fn is_settled(&self) -> bool {
        let is_stable = |(topic, partitions): (&str, i32)| {
            let ends = |partition| self.cluster.bounds(topic, partition).map(|(_, ends)| ends);
            (0..partitions).filter_map(ends).all(|ends| ends.last_stable == ends.high_watermark)
        };
        if ![SINK, LATE, DEAD].into_iter().zip(self.plan.outlets).all(is_stable) {
            return false;
        }
        let committed = self.cluster.committed(GROUP);
        let is_done = |partition: &TopicPartition| {
            let Some(committed) = committed.get(partition) else { return false };
            let Some((_, ends)) = self.cluster.bounds(&partition.topic, partition.partition) else { return false };
            let is_closed = || {
                self.plan.pipeline.window.idle == Idle::Off
                    || Checkpoint::decode(&committed.metadata).is_ok_and(|it| it.replay_from == committed.offset)
            };
            committed.offset >= ends.high_watermark && is_closed()
        };
        self.plan.partitions().iter().all(is_done)
    }

    fn collect(&mut self) {
        for at in 0..self.places.len() {
            if let Some(running) = self.places[at].running.take() {
                self.bury(running);
            }
        }
        self.twins.clear();
        for ladder in std::mem::take(&mut self.memories) {
            self.tally.holds += ladder.holds();
            self.tally.refused += ladder.pool().counts().classes.iter().map(|class| class.refused).sum::<u64>();
            if ladder.held() > 0 || ladder.may_release() {
                self.complaints.push(format!("lanes that have gone are still counted: {ladder:?}"));
            }
            if let Err(away) = ladder.pool().all_home() {
                self.complaints.push(away);
            }
        }
    }
}
