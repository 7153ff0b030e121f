//! What is kept, in which order it goes, and who gets what back.

use super::*;
use crate::aggregate::At;
use crate::config;
use crate::decode::Value;
use crate::pool::{Limits, Need, Pool};
use crate::window::table::Source;
use std::path::Path;

const SEED: u64 = 7;

fn config() -> Config {
    let text = "name: p\nkafka: { brokers: b }\nsource: { topics: [in] }\nwindow: { tumbling: 10ms, grace: 0s }\n\
                aggregate: { n: count }\nsink: { topic: out }\n";
    config::parse("p.yaml", text, Path::new("."), &|_| None).unwrap_or_else(|all| panic!("{all:?}")).config
}

fn partition(number: i32) -> TopicPartition {
    TopicPartition { topic: "in".into(), partition: number }
}

/// A table of so many keys, `0`, `1`, …, seen once each.
fn table(keys: usize) -> Table {
    let (layout, numbers) = (Layout::new(&config().pipeline.aggregates), Keys::new(SEED, None));
    let mut hot = Pool::new(Limits::UNBOUNDED).hot();
    let mut source = Source { hot: &mut hot, need: Need::Merge };
    let mut table = Table::default();
    for key in 0..keys {
        let key = key.to_string();
        let code = numbers.code(key.as_bytes()).unwrap();
        let at = At { time_ms: 0, offset: 0 };
        table.add(&mut source, &layout, code, key.as_bytes(), at, |_| Value::Missing).unwrap();
    }
    table
}

fn ends(recent: &Recent, key: &str) -> Vec<i64> {
    recent.results(key.as_bytes()).iter().map(|answer| answer.end_ms).collect()
}

#[test]
fn a_window_is_read_as_it_was_written_the_newest_first() {
    let recent = Recent::within(1 << 20, &config(), SEED);
    assert!(recent.keep(&partition(0), 10, table(3)).is_none());
    assert!(recent.keep(&partition(1), 20, table(5)).is_none());
    assert_eq!((ends(&recent, "2"), ends(&recent, "4"), ends(&recent, "5")), (vec![20, 10], vec![20], vec![]));
    let result = String::from_utf8(recent.results(b"4").remove(0).result).unwrap();
    assert_eq!(result, r#"{"key":"4","window_start":10,"window_end":20,"n":1}"#);
}

#[test]
fn the_oldest_go_first_and_never_more_is_held_than_allowed() {
    let one = table(1000).bytes();
    let recent = Recent::within(3 * one + one / 2, &config(), SEED);
    for end in 1..=10 {
        assert!(recent.keep(&partition(0), end, table(1000)).is_none());
        assert!(recent.bytes() <= 3 * one + one / 2, "{} after {end}", recent.bytes());
    }
    assert_eq!(ends(&recent, "999"), [10, 9, 8]);
    let large = recent.keep(&partition(0), 11, table(20_000)).unwrap();
    assert_eq!((large.len(), ends(&recent, "999")), (20_000, vec![10, 9, 8]), "it comes back, and displaces nothing");
}

#[test]
fn shrinking_gives_back_the_older_half_and_clearing_gives_back_all() {
    let recent = Recent::within(1 << 20, &config(), SEED);
    (1..=5).for_each(|end| drop(recent.keep(&partition(0), end, table(10))));
    recent.shrink();
    assert_eq!(ends(&recent, "0"), [5, 4]);
    assert!(recent.keep(&partition(0), 6, table(10)).is_some(), "memory is short");
    recent.grow();
    assert!(recent.keep(&partition(0), 7, table(10)).is_none());
    let before = recent.bytes();
    recent.clear();
    assert!(before > 0 && recent.bytes() == 0 && ends(&recent, "0").is_empty());
}

#[test]
fn what_is_off_gives_every_table_back() {
    for recent in [Recent::off(), Recent::within(0, &config(), SEED)] {
        assert_eq!(recent.keep(&partition(0), 1, table(2)).map(|table| table.len()), Some(2));
        recent.shrink();
        assert!(!recent.is_on() && recent.bytes() == 0);
    }
}

#[test]
fn a_mailbox_takes_so_many_questions_and_answers_each_once() {
    let mailbox = Mailbox::default();
    mailbox.answer(|_| panic!("nobody has asked"));
    let asked: Vec<_> = (0..20).map(|number: u8| mailbox.ask(Question::Key(vec![number]))).collect();
    assert_eq!(asked.iter().filter(|receiver| receiver.is_some()).count(), 16);
    drop(asked);
    let mut receiver = mailbox.ask(Question::Open).unwrap();
    let mut count = 0;
    mailbox.answer(|_| {
        count += 1;
        Answers::Open(Vec::new())
    });
    assert_eq!(count, 1, "those who have gone are not answered");
    assert!(matches!(receiver.try_recv(), Ok(Answers::Open(windows)) if windows.is_empty()));
    mailbox.answer(|_| panic!("all is answered"));
}
