//! Whether the process is ready, and if not, why: the words of `/readyz`, as numbers.

use super::family::{Family, Kind, each};
use crate::status::{NotReady, Phase, Status};

pub(super) const FAMILIES: &[Family<Status>] = &[
    Family {
        name: "tidemill_poll_lanes",
        help: "Lanes by what they are doing.",
        kind: Kind::Gauge,
        labels: &["phase"],
        read: |status| {
            let lanes = status.lanes();
            each(PHASES, |word| word, |word| lanes.values().filter(|lane| phase(&lane.phase) == word).count() as f64)
        },
    },
    Family {
        name: "tidemill_poll_not_ready_reasons",
        help: "Reasons why the process is not ready, by kind; none when it is. /readyz has the same in words.",
        kind: Kind::Gauge,
        labels: &["reason"],
        read: |status| {
            let reasons = status.not_ready();
            each(REASONS, |word| word, |word| reasons.iter().filter(|it| reason(it) == word).count() as f64)
        },
    },
];

const PHASES: [&str; 5] = ["starting", "waiting", "running", "draining", "stopped"];
const REASONS: [&str; 5] = ["starting", "draining", "waiting_for_broker", "restoring", "held"];

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
        NotReady::WaitingForBroker(_) => "waiting_for_broker",
        NotReady::Restoring(..) => "restoring",
        NotReady::Held(..) => "held",
    }
}
