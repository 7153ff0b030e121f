//! Everything that a person wants to see of a running process, as `/v1/status` says it and `tidemill top` reads it.
//!
//! Names of members are part of the interface: members come, none goes or changes its meaning without a new version
//! of the path. A reader takes what it knows and has a default for the rest.

use super::history::{Memory, Rates, Totals};
use super::waits::Waits;
use super::{LaneStatus, NotReady, PartitionStatus, Phase, Status, step_max};
use crate::config::{Config, Idle, Window};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What does not change while the process runs.
#[derive(Clone, Debug)]
pub struct About {
    /// Name of the pipeline.
    pub name: String,
    /// The consumer group.
    pub group: String,
    /// Place of this process in the deployment.
    pub instance: String,
    /// The windows.
    pub window: Window,
    /// The longest that a lane may take for one step.
    pub step_max: Duration,
}

/// The process at one moment. Times are Unix milliseconds where the name ends with `_ms` and says a time, else spans.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct View {
    /// Name of the pipeline.
    pub name: String,
    /// The consumer group.
    pub group: String,
    /// Place of this process in the deployment.
    pub instance: String,
    /// Version of tidemill.
    pub version: String,
    /// The wall clock of the process.
    pub now_ms: i64,
    /// How long the process has been running.
    pub up_s: f64,
    /// What `/readyz` says: empty when ready.
    pub not_ready: Vec<String>,
    /// The windows as configured.
    pub window: WindowView,
    /// Totals since the start, as of the last second.
    pub totals: Totals,
    /// Memory as of the last second.
    pub memory: Memory,
    /// The last minutes.
    pub history: Rates,
    /// The lanes.
    pub lanes: Vec<LaneView>,
    /// The partitions of this process, by topic and number.
    pub partitions: Vec<PartitionView>,
    /// The last log lines of note, oldest first.
    pub log: Vec<Line>,
}

/// The windows as configured.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WindowView {
    /// Length.
    pub size_ms: i64,
    /// Distance of two starts.
    pub every_ms: i64,
    /// How long after its end a window takes records.
    pub grace_ms: i64,
    /// `off`, `advance` or `close`.
    pub idle: String,
    /// `window.idle.after`; absent when idle is off.
    pub idle_after_ms: Option<i64>,
}

/// A lane.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LaneView {
    /// Its number.
    pub lane: usize,
    /// What it is doing.
    pub phase: String,
    /// What it waits for, if it does.
    pub why: Option<String>,
    /// Since its last step; 0 once none is expected any more.
    pub silent_ms: u64,
    /// Whether that is longer than it may be: `/livez` fails.
    pub stuck: bool,
    /// Partitions that it owns.
    pub partitions: usize,
}

/// A partition.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PartitionView {
    /// Its topic.
    pub topic: String,
    /// Its number.
    pub partition: i32,
    /// The lane that owns it.
    pub lane: usize,
    /// What its task is doing: `restoring`, `live`, `held` or `paused`.
    pub state: String,
    /// The watermark; absent before the first record.
    pub watermark_ms: Option<i64>,
    /// The wall clock minus the watermark.
    pub behind_ms: Option<i64>,
    /// Next offset to read.
    pub position: i64,
    /// Records up to the last stable offset.
    pub lag: Option<i64>,
    /// Share of the restore that is done, from 0 to 1.
    pub restored: f64,
    /// Panes that are open, or closed and not committed.
    pub open_panes: u64,
    /// Windows that are open.
    pub open_windows: u64,
    /// Of them by the wall clock at their end or past it.
    pub ended_windows: u64,
    /// Of these past their grace, too.
    pub overdue_windows: u64,
    /// End of the oldest open window; it closes `window.grace_ms` later.
    pub oldest_end_ms: Option<i64>,
    /// End of the newest open window.
    pub newest_end_ms: Option<i64>,
    /// Windows closed and not committed.
    pub closed_windows: u64,
    /// Since the last merged record.
    pub quiet_ms: u64,
    /// What the next close waits for, in one word.
    pub waits_for: String,
    /// And in one sentence.
    pub sentence: String,
}

/// A line of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Line {
    /// When.
    pub at_ms: i64,
    /// `ERROR` or `WARN`.
    pub level: String,
    /// The part of the program.
    pub target: String,
    /// What happened, then its fields.
    pub text: String,
}

impl About {
    /// Of a configuration, in this place of the deployment.
    pub fn new(config: &Config, instance: &str) -> Self {
        Self {
            name: config.name.clone(),
            group: config.kafka.group.clone(),
            instance: instance.to_owned(),
            window: config.pipeline.window,
            step_max: step_max(config.commit.timeout),
        }
    }
}

impl View {
    /// The process at `now` (the clock that lanes report by), `now_ms` on the wall; the log is left empty.
    pub fn of(status: &Status, about: &About, now: Duration, now_ms: i64) -> Self {
        let partitions = status.partitions();
        let owned = |lane: usize| partitions.iter().filter(|partition| partition.lane == lane).count();
        let lanes = status.lanes().into_iter();
        let history = status.history();
        let last = history.last().cloned().unwrap_or_default();
        Self {
            name: about.name.clone(),
            group: about.group.clone(),
            instance: about.instance.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            now_ms,
            up_s: last.at.as_secs_f64().round(),
            not_ready: status.not_ready(now, about.step_max).iter().map(NotReady::to_string).collect(),
            window: WindowView::of(&about.window),
            totals: last.totals,
            memory: last.memory,
            history: history.rates(),
            lanes: lanes.map(|(number, lane)| LaneView::of(number, &lane, about, now, owned(number))).collect(),
            partitions: partitions.iter().map(|it| PartitionView::of(it, &about.window, now, now_ms)).collect(),
            ..Self::default()
        }
    }
}

impl WindowView {
    fn of(window: &Window) -> Self {
        let (idle, idle_after_ms) = match window.idle {
            Idle::Off => ("off", None),
            Idle::Advance { after_ms } => ("advance", Some(after_ms)),
            Idle::Close { after_ms } => ("close", Some(after_ms)),
        };
        Self {
            size_ms: window.size_ms,
            every_ms: window.every_ms,
            grace_ms: window.grace_ms,
            idle: idle.to_owned(),
            idle_after_ms,
        }
    }
}

impl LaneView {
    fn of(number: usize, lane: &LaneStatus, about: &About, now: Duration, partitions: usize) -> Self {
        let why = match &lane.phase {
            Phase::Waiting(why) => Some(why.clone()),
            _ => None,
        };
        let silence = lane.silence(now).unwrap_or_default();
        let (silent_ms, stuck) = (ms(silence), silence > about.step_max);
        Self { lane: number, phase: lane.phase.as_str().to_owned(), why, silent_ms, stuck, partitions }
    }
}

impl PartitionView {
    fn of(status: &PartitionStatus, window: &Window, now: Duration, now_ms: i64) -> Self {
        let waits = Waits::of(status, window, now);
        Self {
            topic: status.partition.topic.to_string(),
            partition: status.partition.partition,
            lane: status.lane,
            state: status.state.as_str().to_owned(),
            watermark_ms: status.watermark_ms,
            behind_ms: status.watermark_ms.map(|watermark_ms| now_ms.saturating_sub(watermark_ms)),
            position: status.position,
            lag: status.lag,
            restored: (status.restored_ratio() * 1000.0).round() / 1000.0,
            open_panes: status.open_panes,
            open_windows: status.open.map_or(0, |open| open.windows),
            ended_windows: status.open.map_or(0, |open| open.ended),
            overdue_windows: status.open.map_or(0, |open| open.overdue),
            oldest_end_ms: status.open.map(|open| open.next_end_ms),
            newest_end_ms: status.open.map(|open| open.last_end_ms),
            closed_windows: status.closed_windows,
            quiet_ms: ms(now.saturating_sub(status.quiet_since)),
            waits_for: waits.on.as_str().to_owned(),
            sentence: waits.sentence,
        }
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
