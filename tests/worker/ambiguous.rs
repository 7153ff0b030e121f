//! Answers that never come: above all the one to EndTxn, after which nobody knows whether the transaction is visible.

use crate::chaos::{close_all, short_session};
use crate::judge::Truth;
use crate::process::until;
use crate::proxy::{self, After, Proxy};
use crate::read_back::Tail;
use crate::stage::{Setup, Stage};
use crate::support::kafka::Kafka;
use std::sync::OnceLock;
use std::time::Instant;

/// All workers of these tests reach the shared broker through one proxy each in turn: it advertises one address.
fn through_proxy() -> (&'static Kafka, &'static Proxy, String) {
    static PROXY: OnceLock<(Kafka, Proxy, String)> = OnceLock::new();
    let (kafka, proxy, address) = PROXY.get_or_init(|| {
        let (kafka, listener, broker) = Kafka::start_behind_proxy();
        let address = listener.local_addr().unwrap().to_string();
        (kafka, Proxy::start(listener, broker), address)
    });
    (kafka, proxy, address.clone())
}

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
    let (kafka, proxy, brokers) = through_proxy();
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
        ("EndTxn", proxy::END_TXN, After::Silence),
        ("EndTxn", proxy::END_TXN, After::Close),
        ("EndTxn again", proxy::END_TXN, After::Silence),
        ("TxnOffsetCommit", proxy::TXN_OFFSET_COMMIT, After::Silence),
        ("TxnOffsetCommit", proxy::TXN_OFFSET_COMMIT, After::Close),
        ("Produce", proxy::PRODUCE, After::Silence),
        ("Produce", proxy::PRODUCE, After::Close),
        ("AddOffsetsToTxn", proxy::ADD_OFFSETS_TO_TXN, After::Close),
    ];
    let mut results = Tail::new(kafka, &stage.sink, 4);
    for (number, (name, kind, after)) in (0..).zip(losses) {
        proxy.lose(kind, 1, after);
        stage.load(records(number * 40..number * 40 + 20));
        until(&format!("the answer to {name} is lost"), || {
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
        println!("an answer to {name} lost, then {after:?}: windows go on after {:?}", since.elapsed());
    }
    println!("unknown outcomes: {}", worker.sum("tidemill_commit_transactions_total", &[r#"result="unknown""#]));
    assert!(worker.sum("tidemill_commit_transactions_total", &[r#"result="unknown""#]) >= 1.0);
    close_all(&stage, "t");
    let truth = Truth::of(&stage, false);
    results.until(truth.windows());
    worker.stop_well();
    truth.hold(&stage);
}
