//! What a scrape shows of a pool that is used and a ladder that is climbed.

use super::*;
use crate::budget::{Budget, Lanes};
use crate::config;
use crate::metrics::Metrics;
use crate::pool::Need;
use std::path::Path;

/// The memory of one lane with 64 MiB.
pub(in crate::metrics) fn memory() -> Memory {
    let text = "name: p\nkafka: { brokers: b }\nsource: { topics: [in] }\nwindow: { tumbling: 1h, grace: 1h }\n\
                aggregate: { n: count }\nsink: { topic: out }\n";
    let config = config::parse("p.yaml", text, Path::new("."), &|_| None).unwrap().config;
    Memory::new(Budget::of(&config, 64 << 20, Lanes::Exactly(1)).unwrap(), &config.memory.pool)
}

#[test]
fn what_is_lent_and_the_step_are_seen_at_the_next_scrape() {
    let memory = memory();
    let metrics = Metrics::new().unwrap();
    metrics.show_memory(&memory).unwrap();
    let value = |series: &str| {
        let text = metrics.text().unwrap();
        let line = text.lines().find(|line| line.rsplit_once(' ').is_some_and(|(name, _)| name == series));
        line.unwrap_or_else(|| panic!("no {series} in {text}")).rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()
    };
    let lent = r#"tidemill_release_pool_lent_bytes{class_bytes="65536"}"#;
    assert_eq!(value(lent), 0.0);
    let mut hot = memory.pool.hot();
    let lease = hot.acquire(Class::within(65536), Need::Merge).unwrap();
    assert_eq!((value(lent), value(r#"tidemill_memory_accounted_bytes{holder="pool"}"#)), (65536.0, 65536.0));
    hot.release(lease);
    assert_eq!(value(lent), 0.0);
    assert_eq!(value(r#"tidemill_release_pool_parked_bytes{class_bytes="65536",tier="hot"}"#), 65536.0);
    assert_eq!(value(r#"tidemill_release_pool_misses_total{class_bytes="65536"}"#), 1.0);
    assert_eq!(value("tidemill_memory_budget_bytes"), f64::from(64 << 20));
    assert_eq!(value("tidemill_memory_ladder_step"), 0.0);
    memory.ladder.say_full();
    memory.ladder.look(std::time::Duration::from_secs(5));
    assert_eq!(value("tidemill_memory_ladder_step"), 3.0);
    assert_eq!(value(r#"tidemill_memory_ladder_entered_total{step="back_pressure"}"#), 1.0);
    assert!(value("tidemill_memory_resident_bytes") > 0.0);
    value("tidemill_memory_unaccounted_bytes");
}
