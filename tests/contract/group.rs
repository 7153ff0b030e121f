//! Claims about the group: who owns what, and who may still commit.

use crate::driver::{Driver, at, until};
use crate::harness::{Harness, Rec, Spec};
use std::collections::BTreeSet;
use std::time::Duration;
use tidemill::broker::{Event, TopicPartition};
use tidemill::error::ErrorKind;

fn spec<H: Harness>(h: &mut H, partitions: i32) -> Spec {
    let (topic, sink) = (h.fresh("source"), h.fresh("sink"));
    h.create_topic(&topic, partitions);
    h.create_topic(&sink, 1);
    Spec::new(&h.fresh("group"), &h.fresh("id"), &[&topic], &sink)
}

fn sibling<H: Harness>(h: &mut H, spec: &Spec) -> Driver<H> {
    let spec = Spec { transactional_id: h.fresh("id"), ..spec.clone() };
    Driver::new(h, &spec)
}

fn owned<H: Harness>(driver: &Driver<H>) -> BTreeSet<TopicPartition> {
    driver.slots.iter().map(|(_, partition)| partition.clone()).collect()
}

/// Polls both until they own so many partitions; at no time do they own the same one.
fn share<H: Harness>(h: &mut H, first: &mut Driver<H>, second: &mut Driver<H>, counts: (usize, usize)) {
    until(h, &format!("the partitions are shared {counts:?}"), |_| {
        first.poll();
        second.poll();
        let overlap: Vec<_> = owned(first).intersection(&owned(second)).cloned().collect();
        assert_eq!(overlap, [], "owned by both");
        ((first.slots.len(), second.slots.len()) == counts).then_some(())
    });
}

pub fn a_single_member_gets_every_partition<H: Harness>(h: &mut H) {
    let spec = spec(h, 4);
    let mut driver = Driver::new(h, &spec);
    driver.poll_assigned(h, 4);
    assert_eq!(owned(&driver), (0..4).map(|partition| at(&spec.topics[0], partition)).collect());
}

pub fn two_members_share_without_overlap<H: Harness>(h: &mut H) {
    let spec = spec(h, 4);
    let mut first = Driver::new(h, &spec);
    first.poll_assigned(h, 4);
    let mut second = sibling(h, &spec);
    share(h, &mut first, &mut second, (2, 2));
    let taken_from_first = first.events.iter().filter(|event| matches!(event, Event::Lost(_))).count();
    assert_eq!(taken_from_first, 0, "revoked, not lost");
}

pub fn a_partition_is_revoked_before_it_is_given_away<H: Harness>(h: &mut H) {
    let spec = spec(h, 2);
    let mut first = Driver::new(h, &spec);
    first.poll_assigned(h, 2);
    first.gives_back = false;
    let mut second = sibling(h, &spec);
    let mut revoked = until(h, "a partition is revoked", |_| {
        first.poll();
        second.poll();
        first.events.iter().find_map(|event| match event {
            Event::Revoked(partitions) if !partitions.is_empty() => Some(partitions.clone()),
            _ => None,
        })
    });
    for _ in 0..50 {
        first.poll();
        second.poll();
        h.pass(Duration::from_millis(10));
    }
    assert_eq!(owned(&second), BTreeSet::new(), "the first has not let go yet");
    first.gives_back = true;
    first.give_back(&revoked);
    share(h, &mut first, &mut second, (1, 1));
    revoked.sort();
    assert_eq!(owned(&second), revoked.into_iter().collect());
}

pub fn a_revoked_partition_may_still_be_committed<H: Harness>(h: &mut H) {
    let spec = spec(h, 2);
    let mut first = Driver::new(h, &spec);
    first.poll_assigned(h, 2);
    first.gives_back = false;
    let mut second = sibling(h, &spec);
    let revoked = until(h, "a partition is revoked", |_| {
        first.poll();
        second.poll();
        first.events.iter().find_map(|event| match event {
            Event::Revoked(partitions) => partitions.first().cloned(),
            _ => None,
        })
    });
    first.begin(h, &["last words"]);
    first.send(h, &revoked, 5, "last words").expect("send_offsets");
    first.commit(h).expect("commit");
    first.give_back(std::slice::from_ref(&revoked));
    first.gives_back = true;
    share(h, &mut first, &mut second, (1, 1));
    assert_eq!(second.committed(h, &revoked).map(|committed| committed.offset), Some(5));
}

pub fn a_member_that_leaves_gives_its_partitions_to_the_others<H: Harness>(h: &mut H) {
    let spec = spec(h, 2);
    let mut first = Driver::new(h, &spec);
    first.poll_assigned(h, 2);
    let mut second = sibling(h, &spec);
    share(h, &mut first, &mut second, (1, 1));
    tidemill::broker::Broker::close(&mut second.broker, Duration::from_secs(5));
    first.poll_assigned(h, 2);
}

pub fn a_silent_member_loses_its_partitions<H: Harness>(h: &mut H) {
    let spec = spec(h, 2);
    let mut first = Driver::new(h, &spec);
    let mut second = sibling(h, &spec);
    share(h, &mut first, &mut second, (1, 1));
    let before = owned(&first);
    first.events.clear();
    second.poll_assigned(h, 2);
    let lost = first.poll_event(h, "the silent one learns that it has lost", |event| matches!(event, Event::Lost(_)));
    assert_eq!(lost, Event::Lost(before.into_iter().collect()));
    share(h, &mut first, &mut second, (1, 1));
}

pub fn the_offsets_of_a_stale_member_are_refused<H: Harness>(h: &mut H) {
    let spec = spec(h, 1);
    let source = at(&spec.topics[0], 0);
    h.append(&spec.topics[0], 0, &Rec::new("key", "value"));
    let mut first = Driver::new(h, &spec);
    first.poll_assigned(h, 1);
    let mut second = sibling(h, &spec);
    first.begin(h, &["stale"]);
    second.poll_assigned(h, 1);
    let sent = first.send_without_serving(h, &source, 1, "stale");
    let error = sent.and_then(|()| first.commit(h)).expect_err("another one owns the partition");
    assert_eq!(error.kind, ErrorKind::Abort, "{error}");
    first.abort(h).expect("abort");
    assert_eq!(second.committed(h, &source), None);
    assert_eq!(h.read_committed(&spec.sink, 0), []);
    first.renew(h, false);
    first.begin(h, &["without offsets"]);
    first.commit(h).expect("the producer is still good");
}

pub fn an_expression_finds_topics_that_are_created_later<H: Harness>(h: &mut H) {
    let stem = h.fresh("flights");
    let mut spec = spec(h, 1);
    spec.topics = vec![format!("^{stem}-.*")];
    let (early, late, other) = (format!("{stem}-early"), format!("{stem}-late"), format!("not-{stem}-x"));
    h.create_topic(&early, 1);
    h.create_topic(&other, 1);
    let mut driver = Driver::new(h, &spec);
    driver.poll_assigned(h, 1);
    h.create_topic(&late, 2);
    driver.poll_assigned(h, 3);
    assert_eq!(owned(&driver), [at(&early, 0), at(&late, 0), at(&late, 1)].into());
}
