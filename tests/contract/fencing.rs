//! Claims about who may still write.

use crate::driver::{Driver, at};
use crate::harness::{Harness, Spec};
use std::time::Duration;
use tidemill::error::{BrokerError, ErrorKind};

fn spec<H: Harness>(h: &mut H) -> Spec {
    let (topic, sink) = (h.fresh("source"), h.fresh("sink"));
    h.create_topic(&topic, 1);
    h.create_topic(&sink, 1);
    Spec::new(&h.fresh("group"), &h.fresh("id"), &[&topic], &sink)
}

fn is_fenced(error: &BrokerError) {
    assert!(error.kind == ErrorKind::Fatal && error.fenced, "{error:?}");
}

pub fn a_second_producer_fences_the_first_and_settles_its_transaction<H: Harness>(h: &mut H) {
    let spec = spec(h);
    let source = at(&spec.topics[0], 0);
    let mut first = Driver::new(h, &spec);
    first.poll_assigned(h, 1);
    first.begin(h, &["from the first"]);
    first.send(h, &source, 7, "from the first").expect("send_offsets");
    first.flush(h);
    let mut second = Driver::new(h, &spec);
    assert_eq!(second.committed(h, &source), None, "the first one's transaction is settled, and not pending");
    is_fenced(&first.commit(h).expect_err("the second has the id"));
    second.begin(h, &["from the second"]);
    second.commit(h).expect("commit");
    let values: Vec<_> = h.read_committed(&spec.sink, 0).into_iter().map(|(_, record)| record.value).collect();
    assert_eq!(values, [Some(b"from the second".to_vec())]);
}

pub fn a_renewed_producer_settles_its_own_transaction<H: Harness>(h: &mut H) {
    let spec = spec(h);
    let source = at(&spec.topics[0], 0);
    let mut driver = Driver::new(h, &spec);
    driver.poll_assigned(h, 1);
    driver.begin(h, &["lost"]);
    driver.send(h, &source, 7, "lost").expect("send_offsets");
    driver.flush(h);
    driver.renew(h, false);
    assert_eq!(driver.committed(h, &source), None);
    assert_eq!(h.read_committed(&spec.sink, 0), []);
}

pub fn a_transaction_open_for_too_long_is_fenced<H: Harness>(h: &mut H) {
    let mut spec = spec(h);
    spec.transaction_timeout = Duration::from_secs(2);
    let mut driver = Driver::new(h, &spec);
    driver.begin(h, &["too slow"]);
    driver.flush(h);
    // Brokers look for expired transactions every ten seconds.
    for _ in 0..130 {
        h.pass(Duration::from_millis(100));
        driver.serve();
    }
    is_fenced(&driver.commit(h).expect_err("the transaction has expired"));
    assert_eq!(h.read_committed(&spec.sink, 0), []);
}

pub fn a_fenced_producer_is_good_again_when_renewed<H: Harness>(h: &mut H) {
    let spec = spec(h);
    let mut first = Driver::new(h, &spec);
    let mut second = Driver::new(h, &spec);
    first.begin(h, &["fenced"]);
    is_fenced(&first.commit(h).expect_err("the second has the id"));
    first.renew(h, false);
    first.begin(h, &["from the first"]);
    first.commit(h).expect("commit");
    second.begin(h, &["fenced"]);
    is_fenced(&second.commit(h).expect_err("the first has it again"));
    assert_eq!(h.read_committed(&spec.sink, 0).len(), 1);
}

pub fn producers_with_other_ids_do_not_meet<H: Harness>(h: &mut H) {
    let spec = spec(h);
    let mut first = Driver::new(h, &spec);
    first.begin(h, &["from the first"]);
    first.flush(h);
    let other = Spec { transactional_id: h.fresh("id"), ..spec.clone() };
    let mut second = Driver::new(h, &other);
    second.begin(h, &["from the second"]);
    second.commit(h).expect("commit");
    first.commit(h).expect("commit");
    assert_eq!(h.read_committed(&spec.sink, 0).len(), 2);
}
