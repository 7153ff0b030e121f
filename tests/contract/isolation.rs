//! Claims about what a read_committed reader sees while others write in transactions.

use crate::driver::{Driver, at, until};
use crate::harness::{Harness, Rec, Spec};
use std::time::Duration;
use tidemill::broker::{Broker, Ends, Event};

/// A topic, a client that writes transactions into it, and another one that reads it.
fn pair<H: Harness>(h: &mut H, transaction_timeout: Duration) -> (String, Driver<H>, Driver<H>) {
    let (topic, other) = (h.fresh("topic"), h.fresh("other"));
    h.create_topic(&topic, 1);
    h.create_topic(&other, 1);
    let mut spec = Spec::new(&h.fresh("writers"), &h.fresh("id"), &[&other], &topic);
    spec.transaction_timeout = transaction_timeout;
    let writer = Driver::new(h, &spec);
    let spec = Spec::new(&h.fresh("readers"), &h.fresh("id"), &[&topic], &other);
    let reader = Driver::without_producer(h, &spec);
    (topic, writer, reader)
}

const LONG: Duration = Duration::from_secs(30);

pub fn reading_stops_at_an_open_transaction_and_goes_on_after_its_commit<H: Harness>(h: &mut H) {
    let (topic, mut writer, mut reader) = pair(h, LONG);
    h.append(&topic, 0, &Rec::new("key", "before"));
    writer.begin(h, &["open"]);
    writer.flush(h);
    h.append(&topic, 0, &Rec::new("key", "after"));
    reader.poll_end(h, 1);
    reader.poll_on(h);
    assert_eq!(reader.offsets(), [0]);
    writer.commit(h).expect("commit");
    reader.poll_end(h, 4);
    assert_eq!(reader.offsets(), [0, 1, 2]);
}

pub fn aborted_records_are_never_seen<H: Harness>(h: &mut H) {
    let (topic, mut writer, mut reader) = pair(h, LONG);
    writer.begin(h, &["aborted", "aborted too"]);
    writer.flush(h);
    writer.abort(h).expect("abort");
    writer.renew(h, false);
    writer.begin(h, &["committed"]);
    writer.commit(h).expect("commit");
    reader.poll_records(h, 1);
    reader.poll_on(h);
    let values: Vec<_> = reader.seen.iter().map(|(.., record)| record.value.clone()).collect();
    assert_eq!(values, [Some(b"committed".to_vec())]);
    assert_eq!(h.read_committed(&topic, 0).len(), 1);
}

pub fn control_records_take_offsets<H: Harness>(h: &mut H) {
    let (_, mut writer, mut reader) = pair(h, LONG);
    for value in ["first", "second"] {
        writer.begin(h, &[value]);
        writer.commit(h).expect("commit");
    }
    reader.poll_end(h, 4);
    assert_eq!(reader.offsets(), [0, 2]);
}

pub fn ends_tell_an_open_transaction_from_a_quiet_partition<H: Harness>(h: &mut H) {
    let (_, mut writer, mut reader) = pair(h, LONG);
    reader.poll_end(h, 0);
    writer.begin(h, &["open"]);
    writer.flush(h);
    let slot = reader.slot();
    let mut ends = |h: &mut H| {
        reader.broker.ask_ends(slot);
        reader.poll_event(h, "an answer about the ends", |event| matches!(event, Event::Ends { .. }))
    };
    let open = Ends { last_stable: 0, high_watermark: 1 };
    assert_eq!(ends(h), Event::Ends { slot, ends: Some(open) });
    writer.commit(h).expect("commit");
    let settled = Ends { last_stable: 2, high_watermark: 2 };
    until(h, "the transaction is settled", |h| (ends(h) == Event::Ends { slot, ends: Some(settled) }).then_some(()));
}

pub fn a_transaction_left_open_ends_by_its_timeout<H: Harness>(h: &mut H) {
    let (topic, mut writer, mut reader) = pair(h, Duration::from_secs(2));
    writer.begin(h, &["left behind"]);
    writer.flush(h);
    h.append(&topic, 0, &Rec::new("key", "after"));
    drop(writer);
    reader.poll_records(h, 1);
    assert_eq!(reader.offsets(), [1]);
    assert_eq!(reader.slots.first().map(|(_, partition)| partition.clone()), Some(at(&topic, 0)));
}
