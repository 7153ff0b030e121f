//! What a lane says about itself, carried to metrics and status a few times a second; never for each record.

use super::Shared;
use super::headroom::{Trail, headroom_ms};
use super::minutes::Minute;
use crate::broker::{Broker, TopicPartition};
use crate::clock::Clock;
use crate::lane::{Holding, Lane, Standing};
use crate::status::{OpenWindows, PartitionState, PartitionStatus, Phase};
use crate::task::{State, Task, TaskContext};
use std::collections::BTreeMap;
use std::time::Duration;

const EVERY: Duration = Duration::from_millis(200);

/// A closed window that waits longer than this for its commit is not available.
const COMMITTED_WITHIN: Duration = Duration::from_secs(60);

/// What is remembered of a partition from one visit to the next.
#[derive(Debug)]
struct Shown {
    minute: Minute,
    trail: Option<Trail>,
}

/// Carries one lane's counts and states to where the process shows them.
#[derive(Debug)]
pub struct Reporter {
    number: usize,
    shared: Shared,
    shown: BTreeMap<TopicPartition, Shown>,
    next_at: Duration,
}

impl Reporter {
    /// A reporter for lane number `number`, which begins to step at `now`.
    pub fn new(number: usize, shared: Shared, now: Duration) -> Self {
        shared.status.lane(number, now, Phase::Starting);
        Self { number, shared, shown: BTreeMap::new(), next_at: Duration::ZERO }
    }

    /// What the worker's threads share.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Call it after each step; it does something only now and then.
    pub fn visit<B: Broker, C: Clock>(&mut self, lane: &mut Lane<B, C>, now: Duration) {
        if now >= self.next_at {
            self.next_at = now + EVERY;
            self.carry(lane, now);
        }
    }

    /// Carries everything at once.
    pub fn carry<B: Broker, C: Clock>(&mut self, lane: &mut Lane<B, C>, now: Duration) {
        let phase = match lane.trouble() {
            _ if lane.is_closing() => Phase::Draining,
            Some(trouble) => Phase::Waiting(trouble.to_owned()),
            None if lane.is_starting() => Phase::Starting,
            None => Phase::Running,
        };
        self.carry_as(lane, now, phase);
    }

    /// The lane has ended: everything that it counted is carried, its partitions are no longer shown.
    pub fn finish<B: Broker, C: Clock>(&mut self, lane: &mut Lane<B, C>, now: Duration) {
        self.carry_as(lane, now, Phase::Stopped);
        for partition in std::mem::take(&mut self.shown).into_keys() {
            self.forget(&partition);
        }
    }

    fn carry_as<B: Broker, C: Clock>(&mut self, lane: &mut Lane<B, C>, now: Duration, phase: Phase) {
        let mut counts = std::mem::take(&mut lane.counts);
        let now_ms = lane.clock().now_ms();
        let mut gone = std::mem::take(&mut self.shown);
        for holding in lane.holdings() {
            let partition = holding.partition();
            let mut shown = gone.remove(partition).unwrap_or(Shown { minute: Minute::new(now), trail: None });
            let standing = holding.task().map_or(Standing::Goes, |task| lane.standing(task.slot));
            let mut status = partition_status(holding, lane.context(), standing, (now, now_ms));
            status.lane = self.number;
            if let Some(task) = holding.task() {
                let retention_ms = self.shared.retention_ms(&partition.topic);
                status.lag_ms = lag_ms(task, now_ms);
                status.headroom_ms =
                    retention_ms.map(|retention_ms| headroom_ms(retention_ms, shown.needed_since_ms(task), now_ms));
            }
            shown.minute.look(now, is_available(holding, &status, now), &mut counts.minutes);
            self.shown.insert(partition.clone(), shown);
            self.shared.metrics.partition(&status, &lane.context().pipeline.window, now);
            self.shared.status.partition(status);
        }
        self.shared.metrics.add(&counts);
        self.shared.status.lane(self.number, now, phase);
        for partition in gone.into_keys() {
            self.forget(&partition);
        }
    }

    fn forget(&self, partition: &TopicPartition) {
        self.shared.metrics.drop_partition(partition);
        self.shared.status.drop_partition(partition);
    }
}

impl Shown {
    /// When the oldest record that is still needed was written (Unix ms): the first of an open window, or else the next
    /// to be read, if there is one.
    fn needed_since_ms(&mut self, task: &Task) -> Option<i64> {
        let (first_ms, last_ms) = task.read_ms()?;
        let trail = self.trail.get_or_insert_with(|| Trail::new(task.began_at(), first_ms));
        trail.mark(task.position(), last_ms);
        let behind = task.lag_records().is_some_and(|records| records > 0).then(|| task.position());
        trail.written_ms(task.panes().first_offset().or(behind)?)
    }
}

/// What a lane says about one of its partitions at this moment: monotonic, and Unix ms on the wall.
pub fn partition_status(
    holding: &Holding,
    context: &TaskContext,
    standing: Standing<'_>,
    (now, now_ms): (Duration, i64),
) -> PartitionStatus {
    // Nobody listens to it: that is no quiet.
    let unread =
        |state| PartitionStatus { quiet_since: now, ..PartitionStatus::new(holding.partition().clone(), state) };
    match holding {
        Holding::Running(task) => running(task, context, standing, now_ms),
        Holding::Taking { .. } => unread(PartitionState::Restoring),
        Holding::Refused { why, .. } => {
            PartitionStatus { held_because: Some(why.clone()), ..unread(PartitionState::Held) }
        }
    }
}

fn running(task: &Task, context: &TaskContext, standing: Standing<'_>, now_ms: i64) -> PartitionStatus {
    let (state, restore) = match task.state() {
        State::Live => (PartitionState::Live, None),
        State::Restoring { until, .. } => (PartitionState::Restoring, Some((task.began_at(), until))),
    };
    let (state, held_because) = match standing {
        Standing::Goes => (state, None),
        Standing::Waits => (PartitionState::Paused, None),
        Standing::Held(why) => (PartitionState::Held, Some(why.to_owned())),
    };
    let panes = task.panes();
    let closed_rows: usize = task.closed.iter().map(|closed| closed.table.len()).sum();
    let closed_bytes: usize = task.closed.iter().map(|closed| closed.table.bytes()).sum();
    PartitionStatus {
        held_because,
        watermark_ms: task.watermark_ms(),
        position: task.position(),
        lag: task.lag_records(),
        restore,
        // A closed window counts until its commit: nobody has it before.
        open_panes: (panes.len() + task.closed.len()) as u64,
        rows: (panes.rows() + closed_rows) as u64,
        closed_windows: task.closed.len() as u64,
        late_records: task.late_records,
        deferred_records: (closed_rows + task.rejected.len()) as u64,
        deferred_bytes: (closed_bytes + task.rejected.bytes()) as u64,
        due_ms: task.due_ms(context),
        open: open_windows(task, context, now_ms),
        quiet_since: task.quiet_since(),
        ..PartitionStatus::new(task.partition.clone(), state)
    }
}

fn open_windows(task: &Task, context: &TaskContext, now_ms: i64) -> Option<OpenWindows> {
    let (panes, bounds) = (task.panes(), &context.panes.bounds);
    Some(OpenWindows {
        next_end_ms: panes.next_end_ms()?,
        last_end_ms: panes.last_end_ms(bounds)?,
        windows: panes.open_until(bounds, i64::MAX),
        ended: panes.open_until(bounds, now_ms),
        overdue: panes.open_until(bounds, now_ms.saturating_sub(bounds.grace_ms())),
    })
}

/// How old the last record read is while more wait behind it.
fn lag_ms(task: &Task, now_ms: i64) -> Option<i64> {
    match task.lag_records()? {
        0 => Some(0),
        _ => task.read_ms().map(|(_, last_ms)| now_ms.saturating_sub(last_ms).max(0)),
    }
}

/// Whether a reader of the results misses nothing that is due.
fn is_available(holding: &Holding, status: &PartitionStatus, now: Duration) -> bool {
    holding.task().is_some_and(|task| {
        let waiting_since = task.closed.front().and_then(|closed| closed.at);
        status.state == PartitionState::Live
            && waiting_since.is_none_or(|since| now.saturating_sub(since) <= COMMITTED_WITHIN)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::config::{self, Config};
    use crate::lane::LaneOptions;
    use crate::metrics::Metrics;
    use crate::sim::{ClientOptions, Cluster};
    use crate::status::step_max;

    fn flights() -> Config {
        let text = include_str!("../../config/flights.yaml");
        config::parse("flights.yaml", text, std::path::Path::new("."), &|_| None).unwrap().config
    }

    #[test]
    fn a_lane_lives_as_long_as_it_steps_however_long_the_brokers_are_away() {
        let clock = ManualClock::at(0);
        let (cluster, config) = (Cluster::virtual_time(&clock), flights());
        ["flights", "flight-delays", "flights-late", "flights-dead"].iter().for_each(|it| cluster.create_topic(it, 1));
        let client = cluster.client(ClientOptions::new("flight-delays", "here", &["flights"], "flight-delays"));
        let mut lane = Lane::new(config.clone(), LaneOptions::new(0, &config), client, clock.clone());
        let shared = Shared::new(Metrics::new().unwrap());
        let mut reporter = Reporter::new(0, shared.clone(), clock.monotonic());
        let step_max = step_max(config.commit.timeout);
        let mut steps = |seconds: u64| {
            for _ in 0..10 * seconds {
                lane.step(Duration::ZERO).unwrap();
                clock.advance(Duration::from_millis(100));
                reporter.visit(&mut lane, clock.monotonic());
                assert!(shared.status.stuck(clock.monotonic(), step_max).is_empty());
            }
            shared.status.lanes()[&0].phase.clone()
        };
        assert_eq!(steps(5), Phase::Running);
        cluster.set_down(true);
        assert!(matches!(steps(3 * step_max.as_secs()), Phase::Waiting(_)));
        cluster.set_down(false);
        assert_eq!(steps(60), Phase::Running);
        // The same time without steps is another matter.
        clock.advance(step_max + Duration::from_secs(1));
        assert_eq!(shared.status.stuck(clock.monotonic(), step_max).len(), 1);
    }
}
