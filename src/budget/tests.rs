//! The sum over many budgets: it never exceeds what there is, and says so when it would.

use super::*;
use crate::config;
use crate::pool::{Class, Need};
use std::path::Path;

fn config(more: &str) -> Config {
    let text = format!(
        "name: p\nkafka: {{ brokers: b }}\nwindow: {{ tumbling: 1h, grace: 1h }}\nsink: {{ topic: out }}\n{}{more}",
        if more.contains("source:") { "" } else { "source: { topics: [in] }\n" }
    );
    let text = if more.contains("aggregate:") { text } else { format!("{text}\naggregate: {{ n: count }}") };
    match config::parse("p.yaml", &text, Path::new("."), &|_| None) {
        Ok(loaded) => loaded.config,
        Err(complaints) => panic!("{}", complaints.iter().map(ToString::to_string).collect::<String>()),
    }
}

fn sum(budget: &Budget) -> u64 {
    Holder::ALL.iter().map(|holder| budget.share(*holder)).sum()
}

#[test]
fn the_pool_parks_and_trims_as_the_file_says() {
    let held_after = |pool: &str| {
        let config = config(&format!("memory: {{ pool: {{ {pool} }} }}\n"));
        let memory = Memory::new(Budget::of(&config, 256 << 20, Lanes::Exactly(1)).unwrap(), &config.memory.pool);
        let mut hot = memory.pool.hot();
        let class = Class::holding(64 << 10).unwrap();
        let leases: Vec<_> = (0..400).map(|_| hot.acquire(class, Need::Merge).unwrap()).collect();
        leases.into_iter().for_each(|lease| hot.release(lease));
        (0..8).for_each(|_| hot.maintain());
        memory.pool.held_bytes() >> 10
    };
    assert_eq!(held_after("hot: 16"), 0);
    assert_eq!(held_after("hot: 1, warm: 1000, warm_every: 1000"), 400 * 64);
    // What no tier has room for goes back at once, and the cold share is never trimmed.
    let cold = held_after("cold: 2, warm: 1, hot: 17, warm_every: 3, cold_every: 1000");
    assert!((1..400 * 64).contains(&cold), "{cold} KiB");
}

#[test]
fn a_budget_gives_so_many_lanes_and_so_much_to_the_pool() {
    // MiB, lanes wanted, lanes, MiB of the pool.
    for (total, wanted, expected) in [
        (16, Lanes::AtMost(1), None),
        (32, Lanes::AtMost(2), Some((1, 6..12))),
        (34, Lanes::Exactly(2), Some((2, 2..4))),
        (32, Lanes::Exactly(2), None),
        (64, Lanes::AtMost(2), Some((2, 20..40))),
        (128, Lanes::AtMost(2), Some((2, 70..100))),
        (256, Lanes::AtMost(2), Some((2, 170..210))),
        (512, Lanes::AtMost(2), Some((2, 350..450))),
        (4096, Lanes::AtMost(64), Some((64, 1500..3500))),
        (4096, Lanes::Exactly(1), Some((1, 3700..4000))),
    ] {
        let found = Budget::of(&config(""), total << 20, wanted);
        match (&found, expected) {
            (Err(_), None) => {}
            (Ok(budget), Some((lanes, pool))) => {
                let pool_mib = budget.share(Holder::Pool) >> 20;
                assert!(budget.lanes == lanes && pool.contains(&pool_mib), "{total} MiB: {budget}");
            }
            _ => panic!("{total} MiB: {found:?}"),
        }
    }
}

#[test]
fn the_holders_never_add_up_to_more_than_the_budget_and_the_refused_have_a_way_out() {
    let configs = [
        config(""),
        config("source: { topics: [in], max_record: 1KiB, max_key: 100B }\n"),
        config("source: { topics: [in], max_record: 20MiB }\nmemory: { budget: 1GiB }\n"),
        config("aggregate: { a: { first: x }, b: { last: y } }\nmemory: { recent: 64MiB }\n"),
    ];
    let (mut fit, mut refused) = (0, 0);
    for config in &configs {
        for total_mib in (16..300).chain((300..5000).step_by(97)) {
            for lanes in [Lanes::AtMost(1), Lanes::AtMost(8), Lanes::Exactly(1), Lanes::Exactly(3), Lanes::Exactly(64)]
            {
                match Budget::of(config, total_mib << 20, lanes) {
                    Ok(budget) => {
                        fit += 1;
                        assert!(sum(&budget) <= budget.total_bytes, "{budget}");
                        let Limits { ceiling_bytes, reserve_bytes } = budget.limits;
                        assert_eq!(ceiling_bytes as u64, budget.share(Holder::Pool));
                        assert!(reserve_bytes <= ceiling_bytes / 4 && budget.recent_bytes <= ceiling_bytes / 2);
                        assert!(budget.lanes <= lanes.max());
                    }
                    Err(refusal) => {
                        refused += 1;
                        assert!(refusal.enough_bytes > refusal.total_bytes, "{refusal}");
                        let enough = Budget::of(config, refusal.enough_bytes, lanes);
                        assert!(enough.is_ok(), "{refusal}");
                        let one_less = Budget::of(config, refusal.enough_bytes - MIB, lanes);
                        assert!(one_less.is_err(), "{total_mib} MiB would have been refused in vain: {refusal}");
                    }
                }
            }
        }
    }
    assert!(fit > 1000 && refused > 100, "{fit} {refused}");
}

#[test]
fn a_record_that_may_come_finds_room_in_every_queue() {
    let mut config = config("source: { topics: [in], max_record: 4MiB }\n");
    for (total_mib, message_bytes_max) in [(64, 5_000_000), (100, 1_000_000), (1000, 5_000_000), (8000, 5_000_000)] {
        config.kafka.properties.insert("message.max.bytes".into(), message_bytes_max.to_string());
        let settings = Settings::of(&config, total_mib << 20);
        assert!(settings.producer_queue_bytes >= message_bytes_max, "{settings:?}");
        assert!(settings.consumer_queue_records > 500 && settings.batch_records > 500, "{settings:?}");
    }
}

#[test]
fn a_refusal_shows_the_arithmetic_and_the_way_out() {
    let refusal = Budget::of(&config(""), 24 << 20, Lanes::Exactly(2)).unwrap_err();
    insta::assert_snapshot!(refusal, @r"
    memory.budget of 24.0 MiB does not hold 2 lanes:
      fixed             14.0 MiB  binary, runtime, HTTP, allocator
      clients            3.0 MiB  Kafka clients, idle
      consumer_queues    3.0 MiB  records fetched, and one response
      producer_queues    5.7 MiB  records on their way to the broker
      batches            4.2 MiB  records polled
      scratch            0.2 MiB  the result being encoded
      slack              0.8 MiB  what allocators keep beside it
      pool               2.0 MiB  windows, at the very least
      sum               32.9 MiB
    give it 34.0 MiB (`memory.budget: 34MiB`), or fewer `lanes`
    ");
}

#[test]
fn lanes_follow_the_file_then_cores_and_partitions() {
    for (lanes, cores, partitions, expected) in [
        ("lanes: auto", 8, None, Lanes::AtMost(8)),
        ("lanes: auto", 8, Some(3), Lanes::AtMost(3)),
        ("lanes: 4", 8, None, Lanes::Exactly(4)),
        ("lanes: 4", 8, Some(3), Lanes::Exactly(3)),
        ("lanes: auto", 8, Some(0), Lanes::AtMost(1)),
    ] {
        assert_eq!(Lanes::of(&config(lanes), cores, partitions), expected, "{lanes} {cores} {partitions:?}");
    }
}
