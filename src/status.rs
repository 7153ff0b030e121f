//! What the lanes say about themselves, for health checks and people.
//!
//! Lanes write it now and then (never for each record), HTTP reads it. Records never pass through it, and nothing in
//! the core reads it back.

mod history;
mod partition;
pub mod view;
mod waits;

pub use history::{History, Memory, Rates, Sample, Totals};
pub use partition::{OpenWindows, PartitionState, PartitionStatus};
pub use view::{About, View};
pub use waits::{Waits, WaitsFor, human};

use crate::broker::TopicPartition;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// On top of `commit.timeout`, the longest that a lane may take for one step.
const STEP_ALLOWANCE: Duration = Duration::from_secs(30);

/// The longest that a lane may take for one step; beyond it, it is stuck.
pub const fn step_max(commit_timeout: Duration) -> Duration {
    commit_timeout.saturating_add(STEP_ALLOWANCE)
}

/// The state of the process, shared by its threads; clones are handles of the same.
#[derive(Clone, Debug, Default)]
pub struct Status(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    draining: bool,
    lanes: BTreeMap<usize, LaneStatus>,
    partitions: BTreeMap<TopicPartition, PartitionStatus>,
    history: History,
}

/// What a lane is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not yet a member of the group.
    Starting,
    /// Waiting for a broker; what for, for people (`"no broker reachable at localhost:9092"`).
    Waiting(String),
    /// Stepping.
    Running,
    /// Committing what is closed before it leaves.
    Draining,
    /// Left for good; no steps are expected any more.
    Stopped,
}

impl Phase {
    /// The word for it on pages.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Waiting(_) => "waiting",
            Self::Running => "running",
            Self::Draining => "draining",
            Self::Stopped => "stopped",
        }
    }
}

/// One lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneStatus {
    /// Monotonic time of its last step, by the process's clock.
    pub last_step: Duration,
    /// What it is doing.
    pub phase: Phase,
}

impl LaneStatus {
    /// How long it has made no step at `now`; `None` if none is expected any more.
    pub fn silence(&self, now: Duration) -> Option<Duration> {
        (self.phase != Phase::Stopped).then(|| now.saturating_sub(self.last_step))
    }
}

/// One reason why the process is not ready.
#[derive(Clone, Debug, PartialEq)]
pub enum NotReady {
    /// No lane has said anything, or this one is not yet a member of the group.
    Starting,
    /// SIGTERM came, or a lane has ended.
    Draining,
    /// A lane has made no step for longer than it may; which one, and for how long.
    Stuck(usize, Duration),
    /// A lane waits for a broker; what for.
    WaitingForBroker(String),
    /// A partition is being restored; the share that is done.
    Restoring(TopicPartition, f64),
    /// A partition stands still; why.
    Held(TopicPartition, String),
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("starting"),
            Self::Draining => f.write_str("draining"),
            Self::Stuck(lane, silence) => write!(f, "lane {lane} stuck: no step for {} s", silence.as_secs()),
            Self::WaitingForBroker(why) => write!(f, "waiting for broker: {why}"),
            Self::Restoring(partition, ratio) => write!(f, "restoring {partition}: {:.0} %", ratio * 100.0),
            Self::Held(partition, why) => write!(f, "held {partition} because {why}"),
        }
    }
}

impl Status {
    /// No lane yet: not ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// A lane says that it has made a step at `now` (monotonic), and what it is doing. Call it before the first step
    /// too: silence counts from there.
    pub fn lane(&self, lane: usize, now: Duration, phase: Phase) {
        self.lock().lanes.insert(lane, LaneStatus { last_step: now, phase });
    }

    /// A lane tells about a partition that it owns.
    pub fn partition(&self, status: PartitionStatus) {
        self.lock().partitions.insert(status.partition.clone(), status);
    }

    /// The partition is no longer ours.
    pub fn drop_partition(&self, partition: &TopicPartition) {
        self.lock().partitions.remove(partition);
    }

    /// The process is on its way out: not ready from here on.
    pub fn drain(&self) {
        self.lock().draining = true;
    }

    /// Every reason why the process is not ready at `now`; empty when it is. A worker without partitions is ready.
    pub fn not_ready(&self, now: Duration, step_max: Duration) -> Vec<NotReady> {
        let mut reasons = self.stuck(now, step_max);
        let inner = self.lock();
        if inner.draining || inner.lanes.values().any(|lane| matches!(lane.phase, Phase::Draining | Phase::Stopped)) {
            reasons.push(NotReady::Draining);
        }
        if inner.lanes.is_empty() || inner.lanes.values().any(|lane| lane.phase == Phase::Starting) {
            reasons.push(NotReady::Starting);
        }
        for lane in inner.lanes.values() {
            if let Phase::Waiting(why) = &lane.phase {
                let reason = NotReady::WaitingForBroker(why.clone());
                if !reasons.contains(&reason) {
                    reasons.push(reason);
                }
            }
        }
        reasons.extend(inner.partitions.values().filter_map(|it| match it.state {
            PartitionState::Live | PartitionState::Paused => None,
            PartitionState::Restoring => Some(NotReady::Restoring(it.partition.clone(), it.restored_ratio())),
            PartitionState::Held => {
                let why = it.held_because.clone().unwrap_or_else(|| "of an unknown reason".to_owned());
                Some(NotReady::Held(it.partition.clone(), why))
            }
        }));
        reasons
    }

    /// Lanes without a step for longer than [`step_max`] at `now`, as [`NotReady::Stuck`]. A broker that is away stops
    /// nobody's steps.
    pub fn stuck(&self, now: Duration, step_max: Duration) -> Vec<NotReady> {
        let inner = self.lock();
        let silent = inner.lanes.iter().filter_map(|(number, lane)| Some((*number, lane.silence(now)?)));
        silent
            .filter(|(_, silence)| *silence > step_max)
            .map(|(lane, silence)| NotReady::Stuck(lane, silence))
            .collect()
    }

    /// All lanes as they last said.
    pub fn lanes(&self) -> BTreeMap<usize, LaneStatus> {
        self.lock().lanes.clone()
    }

    /// All partitions of this process as their lanes last said.
    pub fn partitions(&self) -> Vec<PartitionStatus> {
        self.lock().partitions.values().cloned().collect()
    }

    /// Records how the process as a whole is doing; once a second.
    pub fn sample(&self, sample: Sample) {
        self.lock().history.push(sample);
    }

    /// The samples of the last minutes.
    pub fn history(&self) -> History {
        self.lock().history.clone()
    }

    /// A thread that panicked while it wrote has replaced whole entries or none: what is there can be read.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);
    const LIMIT: Duration = Duration::from_secs(60);

    fn partition(number: i32, state: PartitionState) -> PartitionStatus {
        let partition = TopicPartition { topic: "flights".into(), partition: number };
        PartitionStatus {
            position: 150,
            restore: Some((100, 200)),
            held_because: (state == PartitionState::Held).then(|| "its metadata is garbage".to_owned()),
            ..PartitionStatus::new(partition, state)
        }
    }

    fn reasons(status: &Status) -> String {
        status.not_ready(NOW, LIMIT).iter().map(NotReady::to_string).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn readiness_names_each_reason() {
        let status = Status::new();
        assert_eq!(reasons(&status), "starting");
        status.lane(0, NOW, Phase::Starting);
        assert_eq!(reasons(&status), "starting");
        status.lane(0, NOW, Phase::Waiting("nobody at localhost:9092".into()));
        status.lane(1, NOW, Phase::Waiting("nobody at localhost:9092".into()));
        assert_eq!(reasons(&status), "waiting for broker: nobody at localhost:9092");
        status.lane(0, NOW, Phase::Running);
        status.lane(1, NOW, Phase::Running);
        assert_eq!(reasons(&status), "");
        status.partition(partition(0, PartitionState::Restoring));
        status.partition(partition(1, PartitionState::Held));
        status.partition(partition(2, PartitionState::Live));
        assert_eq!(reasons(&status), "restoring flights[0]: 50 %, held flights[1] because its metadata is garbage");
        status.partition(partition(0, PartitionState::Live));
        status.drop_partition(&partition(1, PartitionState::Held).partition);
        assert_eq!(reasons(&status), "");
        status.drain();
        assert_eq!(reasons(&status), "draining");
    }

    #[test]
    fn only_a_lane_without_steps_is_stuck() {
        let status = Status::new();
        assert!(status.stuck(NOW, LIMIT).is_empty());
        status.lane(0, NOW, Phase::Running);
        status.lane(1, NOW + LIMIT, Phase::Running);
        assert!(status.stuck(NOW + LIMIT, LIMIT).is_empty());
        let later = NOW + LIMIT + Duration::from_secs(1);
        assert_eq!(status.stuck(later, LIMIT), [NotReady::Stuck(0, Duration::from_secs(61))]);
        let said: Vec<_> = status.not_ready(later, LIMIT).iter().map(NotReady::to_string).collect();
        assert_eq!(said, ["lane 0 stuck: no step for 61 s"]);
        status.lane(0, NOW, Phase::Stopped);
        assert!(status.stuck(later, LIMIT).is_empty());
    }
}
