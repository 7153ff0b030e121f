//! `memory.when_full: stop`.

use super::cell::{self, End};
use super::load::Load;
use super::trouble::Cluster;
use crate::stage::Stage;

#[test]
fn a_full_worker_that_is_to_stop_says_what_helps_and_loses_nothing() {
    let cluster = Cluster::shared();
    let load = Load::Keys(600_000);
    let mut setup = load.setup(32);
    setup.rest = setup.rest.replace("memory: {", "memory: { when_full: stop,");
    let mut stage = Stage::without_topics(cluster.kafka, "stop", setup);
    load.write(&stage);
    let mut worker = stage.worker("one");
    assert_eq!(worker.ended().0, Some(1));
    assert!(worker.said(&["no memory is left for its next record", "`tidemill plan FILE --connect` says how large"]));
    drop(worker);
    let enough_mib = cell::planned(&stage, load);
    stage.setup = load.setup(enough_mib);
    assert_eq!(cell::attempt(&cluster, &stage, load, enough_mib, load.expected()).end, End::Equal);
}
