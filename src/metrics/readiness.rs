//! Whether the process is ready, and if not, why, and whether its lanes step: `/readyz` and `/livez`, as numbers.

use super::family::{Family, Kind, Value, each};
use crate::status::{NotReady, Phase, Status};
use std::time::Duration;

/// The process at the moment of a scrape: what a lane does not say for itself grows all the same.
pub(super) struct Readiness {
    pub(super) status: Status,
    /// On the clock of the lanes.
    pub(super) now: Duration,
    pub(super) step_max: Duration,
}

pub(super) const FAMILIES: &[Family<Readiness>] = &[
    Family {
        name: "tidemill_poll_lanes",
        help: "Lanes by what they are doing.",
        kind: Kind::Gauge,
        labels: &["phase"],
        read: |it| {
            let lanes = it.status.lanes();
            each(PHASES, |word| word, |word| lanes.values().filter(|lane| phase(&lane.phase) == word).count() as f64)
        },
    },
    Family {
        name: "tidemill_poll_not_ready_reasons",
        help: "Reasons why the process is not ready, by kind; none when it is. /readyz has the same in words.",
        kind: Kind::Gauge,
        labels: &["reason"],
        read: |it| {
            let reasons = it.status.not_ready(it.now, it.step_max);
            each(REASONS, |word| word, |word| reasons.iter().filter(|it| reason(it) == word).count() as f64)
        },
    },
    Family {
        name: "tidemill_poll_step_age_seconds",
        help: "How long ago each lane said that it had made a step, by lane; 0.2 s and the length of a step in a healthy \
               one. /livez fails beyond commit.timeout + 30 s. Absent once the lane has ended.",
        kind: Kind::Gauge,
        labels: &["lane"],
        read: |it| {
            let lanes = it.status.lanes().into_iter();
            let ages = lanes.filter_map(|(number, lane)| Some((number, lane.silence(it.now)?)));
            ages.map(|(number, age)| (vec![number.to_string()], Value::Number(age.as_secs_f64()))).collect()
        },
    },
];

const PHASES: [&str; 5] = ["starting", "waiting", "running", "draining", "stopped"];
const REASONS: [&str; 6] = ["starting", "draining", "stuck", "waiting_for_broker", "restoring", "held"];

const fn phase(phase: &Phase) -> &'static str {
    match phase {
        Phase::Starting => "starting",
        Phase::Waiting(_) => "waiting",
        Phase::Running => "running",
        Phase::Draining => "draining",
        Phase::Stopped => "stopped",
    }
}

const fn reason(reason: &NotReady) -> &'static str {
    match reason {
        NotReady::Starting => "starting",
        NotReady::Draining => "draining",
        NotReady::Stuck(..) => "stuck",
        NotReady::WaitingForBroker(_) => "waiting_for_broker",
        NotReady::Restoring(..) => "restoring",
        NotReady::Held(..) => "held",
    }
}
