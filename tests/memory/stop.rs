//! `memory.when_full: stop`.

use super::cell::{self, End};
use super::load::Load;
use crate::stage::Stage;
use crate::support::kafka::Kafka;

#[test]
fn a_full_worker_that_is_to_stop_says_what_helps_and_loses_nothing() {
    let load = Load::Keys(300_000);
    let mut setup = load.setup(32);
    setup.rest = setup.rest.replace("memory: {", "memory: { when_full: stop,");
    let mut stage = Stage::without_topics(Kafka::shared(), "stop", setup);
    load.write(&stage);
    let mut worker = stage.worker("one");
    assert_eq!(worker.ended().0, Some(1));
    assert!(worker.said(&["no memory is left for its next record", "`tidemill plan FILE --connect` says how large"]));
    drop(worker);
    let enough_mib = cell::planned(&stage, load);
    stage.setup = load.setup(enough_mib);
    assert_eq!(cell::attempt(&stage, load, enough_mib, load.expected()).end, End::Equal);
}
