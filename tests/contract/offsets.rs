//! Claims about committed offsets and their metadata.

use crate::driver::{Driver, at};
use crate::harness::{Harness, Spec};
use tidemill::broker::{Broker, Committed};
use tidemill::error::ErrorKind;

/// A source, and a client that is a member of its group: only a member may commit.
fn member<H: Harness>(h: &mut H) -> (Spec, Driver<H>) {
    let (topic, sink) = (h.fresh("source"), h.fresh("sink"));
    h.create_topic(&topic, 1);
    h.create_topic(&sink, 1);
    let spec = Spec::new(&h.fresh("group"), &h.fresh("id"), &[&topic], &sink);
    let mut driver = Driver::new(h, &spec);
    driver.poll_assigned(h, 1);
    (spec, driver)
}

fn committed(offset: i64, metadata: &str) -> Option<Committed> {
    Some(Committed { offset, metadata: metadata.to_owned() })
}

pub fn a_group_that_committed_nothing_has_nothing<H: Harness>(h: &mut H) {
    let (spec, mut driver) = member(h);
    assert_eq!(driver.committed(h, &at(&spec.topics[0], 0)), None);
}

pub fn offsets_and_metadata_come_back_byte_for_byte<H: Harness>(h: &mut H) {
    let (spec, mut driver) = member(h);
    let source = at(&spec.topics[0], 0);
    let printable: String = (' '..='~').collect();
    for (offset, metadata) in [(0, String::new()), (5, printable), (i64::MAX / 2, "x".repeat(1_000)), (3, "y".into())] {
        driver.begin(h, &[]);
        driver.send(h, &source, offset, &metadata).expect("send_offsets");
        driver.commit(h).expect("commit");
        assert_eq!(driver.committed(h, &source), committed(offset, &metadata));
    }
}

pub fn an_abort_leaves_offsets_alone<H: Harness>(h: &mut H) {
    let (spec, mut driver) = member(h);
    let source = at(&spec.topics[0], 0);
    driver.begin(h, &["committed"]);
    driver.send(h, &source, 1, "first").expect("send_offsets");
    driver.commit(h).expect("commit");
    driver.begin(h, &["aborted"]);
    driver.send(h, &source, 2, "second").expect("send_offsets");
    driver.abort(h).expect("abort");
    assert_eq!(driver.committed(h, &source), committed(1, "first"));
    assert_eq!(h.read_committed(&spec.sink, 0).len(), 1);
}

pub fn committed_waits_for_a_pending_transaction<H: Harness>(h: &mut H) {
    let (spec, mut driver) = member(h);
    let source = at(&spec.topics[0], 0);
    let successor = Spec { transactional_id: h.fresh("id"), ..spec.clone() };
    let mut other = Driver::without_producer(h, &successor);
    driver.begin(h, &["pending"]);
    driver.send(h, &source, 9, "pending").expect("send_offsets");
    let error = other.broker.committed(std::slice::from_ref(&source)).expect_err("the transaction is open");
    assert_eq!(error.kind, ErrorKind::Retry, "{error}");
    driver.commit(h).expect("commit");
    assert_eq!(other.committed(h, &source), committed(9, "pending"));
}

pub fn groups_do_not_share_offsets<H: Harness>(h: &mut H) {
    let (spec, mut driver) = member(h);
    let source = at(&spec.topics[0], 0);
    driver.begin(h, &[]);
    driver.send(h, &source, 9, "ours").expect("send_offsets");
    driver.commit(h).expect("commit");
    let theirs = Spec { group: h.fresh("group"), transactional_id: h.fresh("id"), ..spec };
    assert_eq!(Driver::without_producer(h, &theirs).committed(h, &source), None);
}

pub fn too_much_metadata_is_an_abort<H: Harness>(h: &mut H) {
    let (spec, mut driver) = member(h);
    let source = at(&spec.topics[0], 0);
    driver.begin(h, &[]);
    let sent = driver.send(h, &source, 1, &"x".repeat(5_000));
    let error = sent.and_then(|()| driver.commit(h)).expect_err("metadata is limited to 4,096 bytes");
    assert_eq!(error.kind, ErrorKind::Abort, "{error}");
    driver.abort(h).expect("abort");
    assert_eq!(driver.committed(h, &source), None);
}
