//! Taking partitions over from a cluster that is slow to answer.

use crate::support::generate::{self, Random};
use crate::support::rig::Rig;
use std::time::Duration;
use tidemill::lane::Holding;
use tidemill::sim::Faults;

/// Each question that was answered stays answered: else all would have to be answered in one go, which twelve partitions
/// with even chances never are.
#[test]
fn a_takeover_ends_although_every_second_answer_is_try_again() {
    let pipeline = generate::pipeline(&Random::new(1));
    let mut rig = Rig::new(&pipeline, (12, 1), 1_700_000_000_000);
    rig.start(100, |client, _| client.faults = Faults { seed: 1, retry: 500_000, ..Faults::default() });
    rig.run(Duration::from_secs(60)).unwrap();
    let lane = rig.lane.as_ref().unwrap();
    assert_eq!(lane.holdings().count(), 12);
    assert!(lane.holdings().all(|holding| matches!(holding, Holding::Running(_))), "{:?}", lane.trouble());
}
