//! Budgets against loads. In CI a part that takes a minute or two; all of it with `TIDEMILL_MATRIX=full`:
//! `TIDEMILL_MATRIX=full cargo test --release --test memory matrix -- --nocapture --test-threads=1`

use super::cell::{self, End, mib};
use super::load::{CODECS, Load};
use super::trouble::Cluster;
use crate::proxy::Proxy;
use crate::support::kafka::Kafka;

fn is_full() -> bool {
    std::env::var("TIDEMILL_MATRIX").is_ok_and(|which| which == "full")
}

/// Runs the load under each of these budgets, or under all of them.
fn row(load: Load, budgets_mib: &[u64]) -> Vec<End> {
    let budgets_mib = if is_full() { &[32, 64, 128, 512][..] } else { budgets_mib };
    budgets_mib.iter().map(|budget_mib| cell::run(&Cluster::shared(), load, *budget_mib).end).collect()
}

/// Runs a load of so many keys with its trouble on a cluster of its own. With much memory a worker is through a small load
/// before the trouble begins.
fn trouble(load: fn(u64) -> Load) {
    let (kafka, door, behind) = Kafka::start_behind_proxy();
    let address = door.local_addr().unwrap().to_string();
    let proxy = Proxy::start(door, behind);
    let cluster = Cluster { kafka: &kafka, proxy: Some((&proxy, address)) };
    let full = [(32, 20_000), (64, 20_000), (128, 20_000), (512, 100_000)];
    for (budget_mib, keys) in if is_full() { &full[..] } else { &[(32, 5_000)] } {
        assert_eq!(cell::run(&cluster, load(*keys), *budget_mib).end, End::Equal);
    }
}

#[test]
fn more_keys_than_fit_are_held_and_come_out_with_a_larger_budget() {
    let ends = row(Load::Keys(if is_full() { 10_000_000 } else { 600_000 }), &[32]);
    assert_eq!(ends[0], End::Held);
}

#[test]
fn one_hot_key_needs_no_memory() {
    let ends = row(Load::HotKey(if is_full() { 5_000_000 } else { 300_000 }), &[32]);
    assert!(ends.iter().all(|end| *end == End::Equal), "{ends:?}");
}

#[test]
fn records_of_a_megabyte_pass_or_are_refused_with_the_arithmetic() {
    let ends = row(Load::Large(if is_full() { 1_000 } else { 100 }), &[32, 64]);
    assert!(ends.iter().all(|end| *end != End::Held), "{ends:?}");
}

#[test]
fn ten_thousand_open_windows_are_held_or_come_out() {
    row(Load::Windows(10_000), &[64]);
}

#[test]
fn a_broker_that_stands_still_changes_nothing() {
    trouble(Load::StalledBroker);
}

#[test]
fn a_topic_of_results_that_takes_nothing_changes_nothing() {
    trouble(Load::BlockedSink);
}

#[test]
fn bombs_are_unpacked_and_counted_in_every_codec() {
    let budgets_mib = if is_full() { &[32, 64, 128, 512][..] } else { &[64] };
    for (codec, budget_mib) in CODECS.iter().flat_map(|codec| budgets_mib.iter().map(move |mib| (*codec, *mib))) {
        let seen = cell::run(&Cluster::shared(), Load::Bomb { codec, records: 40 }, budget_mib);
        assert_eq!(seen.end, End::Equal, "{codec}, {budget_mib} MiB");
        println!("{codec}, {budget_mib} MiB: peak {:.1} MiB", mib(seen.peak_bytes));
    }
}
