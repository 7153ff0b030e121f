//! Claims about producing: what is visible, and what is refused.

use crate::driver::Driver;
use crate::harness::{Harness, Rec, Spec, T0};
use tidemill::broker::{Broker, ProduceError};
use tidemill::error::ErrorKind;

/// A sink with two partitions and a client that writes to it.
fn writer<H: Harness>(h: &mut H) -> (String, Driver<H>) {
    let (topic, sink) = (h.fresh("source"), h.fresh("sink"));
    h.create_topic(&topic, 1);
    h.create_topic(&sink, 2);
    let spec = Spec::new(&h.fresh("group"), &h.fresh("id"), &[&topic], &sink);
    let driver = Driver::new(h, &spec);
    (sink, driver)
}

fn values<H: Harness>(h: &mut H, topic: &str, partition: i32) -> Vec<String> {
    let text = |value: Option<Vec<u8>>| String::from_utf8(value.unwrap_or_default()).expect("text");
    h.read_committed(topic, partition).into_iter().map(|(_, record)| text(record.value)).collect()
}

fn big(bytes: usize) -> Rec {
    Rec { value: Some(noise(bytes)), ..Rec::new("key", "") }
}

/// Bytes that no codec makes smaller.
fn noise(bytes: usize) -> Vec<u8> {
    let mut rng = tidemill::sim::Rng::new(1);
    (0..bytes).map(|_| rng.next_u64() as u8).collect()
}

pub fn a_produced_record_is_read_as_it_was_given<H: Harness>(h: &mut H) {
    let (sink, mut driver) = writer(h);
    let headers = vec![(b"name".to_vec(), Some(b"value".to_vec())), (b"name".to_vec(), None)];
    let given = [
        Rec { timestamp_ms: T0 + 5, key: Some(b"k".to_vec()), value: Some(b"v".to_vec()), headers },
        Rec { timestamp_ms: 1, key: None, value: None, headers: Vec::new() },
        Rec { timestamp_ms: T0, key: Some(Vec::new()), value: Some(Vec::new()), headers: Vec::new() },
    ];
    driver.begin(h, &[]);
    for (token, record) in (0..).zip(&given) {
        driver.produce(h, 1, record, token).expect("produce");
    }
    driver.commit(h).expect("commit");
    let read: Vec<_> = h.read_committed(&sink, 1).into_iter().map(|(_, record)| record).collect();
    assert_eq!(read, given);
    assert_eq!(h.read_committed(&sink, 0), []);
}

pub fn a_committed_transaction_is_visible_as_a_whole<H: Harness>(h: &mut H) {
    let (sink, mut driver) = writer(h);
    driver.begin(h, &["a", "b"]);
    driver.produce(h, 1, &Rec::new("key", "c"), 2).expect("produce");
    driver.flush(h);
    assert_eq!((values(h, &sink, 0).len(), values(h, &sink, 1).len()), (0, 0));
    driver.commit(h).expect("commit");
    assert_eq!((values(h, &sink, 0), values(h, &sink, 1)), (vec!["a".into(), "b".into()], vec!["c".into()]));
    assert_eq!(driver.refused(), [0u64; 0]);
}

pub fn an_abort_forgets_what_was_still_queued<H: Harness>(h: &mut H) {
    let (sink, mut driver) = writer(h);
    driver.begin(h, &["forgotten"]);
    driver.abort(h).expect("abort");
    driver.renew(h, false);
    driver.begin(h, &["kept"]);
    driver.commit(h).expect("commit");
    assert_eq!(values(h, &sink, 0), ["kept"]);
}

pub fn a_record_over_the_clients_limit_is_refused_at_once_and_harms_nothing<H: Harness>(h: &mut H) {
    let (sink, mut driver) = writer(h);
    driver.begin(h, &["small"]);
    let refused = driver.produce(h, 0, &big(3_000_000), 1);
    assert!(matches!(refused, Err(ProduceError::Refused(_))), "{refused:?}");
    driver.commit(h).expect("commit");
    assert_eq!(values(h, &sink, 0), ["small"]);
    assert_eq!(driver.refused(), [0u64; 0], "what was refused at once is not named again");
}

pub fn a_record_over_the_topics_limit_aborts_and_is_named<H: Harness>(h: &mut H) {
    let (sink, mut driver) = writer(h);
    h.limit_message_bytes(&sink, 2_000);
    driver.begin(h, &[]);
    driver.produce(h, 0, &big(5_000), 77).expect("the client takes it");
    let error = driver.commit(h).expect_err("the topic does not");
    assert_eq!(error.kind, ErrorKind::Abort, "{error}");
    assert_eq!(driver.refused(), [77]);
    assert_eq!(driver.refused(), [0u64; 0], "named once");
    driver.abort(h).expect("abort");
    assert_eq!(values(h, &sink, 0), [""; 0]);
}

pub fn an_isolated_refusal_names_only_the_record_at_fault<H: Harness>(h: &mut H) {
    let (sink, mut driver) = writer(h);
    h.limit_message_bytes(&sink, 2_000);
    driver.renew(h, true);
    driver.begin(h, &["zero", "one"]);
    driver.produce(h, 0, &big(5_000), 2).expect("the client takes it");
    driver.produce(h, 0, &Rec::new("key", "three"), 3).expect("produce");
    let error = driver.commit(h).expect_err("a delivery failed");
    assert_eq!(error.kind, ErrorKind::Abort, "{error}");
    assert_eq!(driver.refused(), [2]);
    driver.abort(h).expect("abort");
    driver.renew(h, false);
    driver.begin(h, &["zero", "one"]);
    driver.commit(h).expect("commit");
    assert_eq!(values(h, &sink, 0), ["zero", "one"]);
}

pub fn no_transaction_begins_after_an_abort_without_a_new_producer<H: Harness>(h: &mut H) {
    let (sink, mut driver) = writer(h);
    driver.begin(h, &["before"]);
    driver.abort(h).expect("abort");
    let error = driver.broker.begin().expect_err("the producer is spent");
    assert_eq!(error.kind, ErrorKind::Fatal, "{error}");
    driver.renew(h, false);
    driver.begin(h, &["after"]);
    driver.commit(h).expect("commit");
    assert_eq!(values(h, &sink, 0), ["after"]);
}

pub fn a_new_producer_forgets_what_was_queued<H: Harness>(h: &mut H) {
    let (sink, mut driver) = writer(h);
    driver.begin(h, &["forgotten"]);
    driver.renew(h, false);
    driver.broker.commit().expect_err("no transaction is open");
    driver.renew(h, false);
    driver.begin(h, &["kept"]);
    driver.commit(h).expect("commit");
    assert_eq!(values(h, &sink, 0), ["kept"]);
}
