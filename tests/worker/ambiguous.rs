//! Answers that never come: above all the one to EndTxn, after which nobody knows whether the transaction is visible.

use crate::chaos::{close_all, short_session};
use crate::judge::Truth;
use crate::process::until;
use crate::proxy::{self, Lost, Proxy};
use crate::read_back::Tail;
use crate::stage::{Setup, Stage};
use crate::support::kafka::Kafka;
use std::time::Instant;

/// Rounds of a few seconds of event time each, with some disorder.
fn records(rounds: std::ops::Range<i64>) -> impl Iterator<Item = (String, String)> {
    rounds.flat_map(|round| {
        (0..10).map(move |key| {
            let time = 1_700_000_000_000 + round * 2_000 - (round % 7) * (key % 3) * 3_000;
            (format!("key-{key}"), format!(r#"{{"t":{time},"v":{}}}"#, round * key))
        })
    })
}

#[test]
fn lost_answers_change_nothing() {
    let (kafka, door, behind) = Kafka::start_behind_proxy();
    let brokers = door.local_addr().unwrap().to_string();
    let (kafka, proxy) = (&kafka, Proxy::start(door, behind));
    let setup = Setup {
        brokers: Some(brokers),
        kafka: short_session(),
        rest: "lanes: 1\ncommit: { timeout: 4s, interval: 10ms }\n".into(),
        ..Setup::default()
    };
    let stage = Stage::new(kafka, "ambiguous", setup);
    let mut worker = stage.worker("a");
    worker.until_live(4);
    let losses = [
        ("EndTxn", proxy::END_TXN, Lost::Answer),
        ("EndTxn", proxy::END_TXN, Lost::Request),
        ("EndTxn", proxy::END_TXN, Lost::AnswerAndConnection),
        ("TxnOffsetCommit", proxy::TXN_OFFSET_COMMIT, Lost::Answer),
        ("TxnOffsetCommit", proxy::TXN_OFFSET_COMMIT, Lost::AnswerAndConnection),
        ("Produce", proxy::PRODUCE, Lost::Answer),
        ("Produce", proxy::PRODUCE, Lost::AnswerAndConnection),
        // The transaction is aborted while nobody knows whether the broker holds its records.
        ("Produce", proxy::PRODUCE, Lost::AnswerAndConnectionWith(proxy::TXN_OFFSET_COMMIT)),
        ("AddOffsetsToTxn", proxy::ADD_OFFSETS_TO_TXN, Lost::Request),
    ];
    let mut results = Tail::new(kafka, &stage.sink, 4);
    for (number, (name, kind, lost)) in (0..).zip(losses) {
        proxy.lose(kind, 1, lost);
        stage.load(records(number * 40..number * 40 + 20));
        until(&format!("{lost:?} of {name} is lost"), || {
            // Something has to be committed for an answer to come.
            stage.load(records(number * 40 + 20..number * 40 + 21));
            proxy.lost() > number as u32
        });
        let since = Instant::now();
        stage.load(records(number * 40 + 21..number * 40 + 40));
        let expected = Truth::of(&stage, false).windows();
        until("all windows are there", || {
            results.read();
            results.records.len() >= expected
        });
        assert!(worker.is_running(), "the worker has ended");
        println!("{name}, {lost:?} lost: windows go on after {:?}", since.elapsed());
    }
    let unknown = worker.sum("tidemill_commit_transactions_total", &[r#"result="unknown""#]);
    assert!(unknown >= 2.0, "{unknown} outcomes were unknown");
    close_all(&stage, "t");
    let truth = Truth::of(&stage, false);
    results.until(truth.windows());
    worker.stop_well();
    truth.hold(&stage);
}
