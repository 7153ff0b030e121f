//! The flights into a topic, at a chosen pace. Creates no topic, and reads nothing back.

use super::flights;
use crate::broker::Headers;
use crate::clock::{Clock, SystemClock};
use crate::config::Kafka;
use crate::kafka::Loader;
use anyhow::Context;
use std::num::NonZeroU32;
use std::time::Duration;

/// How long the cluster may take for what is still on its way at the end.
const FLUSH_MAX: Duration = Duration::from_secs(120);
/// Sleeps are not shorter: the pace holds over several records, not between two.
const AHEAD_MAX: Duration = Duration::from_millis(10);

/// `tidemill demo --load`: all flights into `topic`, `rate` a second if there is one.
///
/// # Errors
/// A record was refused, or could not be written in time.
pub(super) fn run(mut kafka: Kafka, brokers: &str, topic: &str, rate: Option<NonZeroU32>) -> anyhow::Result<()> {
    kafka.brokers = brokers.to_owned();
    let clock = SystemClock::new();
    eprintln!("loading {} flights into {topic} of {brokers}", flights::COUNT);
    let began = clock.monotonic();
    let mut sent: u32 = 0;
    pour(&kafka, topic, || {
        let due = began + rate.map_or(Duration::ZERO, |rate| Duration::from_secs(1) * sent / rate.get());
        let ahead = due.saturating_sub(clock.monotonic());
        if ahead >= AHEAD_MAX {
            std::thread::sleep(ahead);
        }
        sent += 1;
    })?;
    eprintln!("loaded in {:.1} s", (clock.monotonic() - began).as_secs_f64());
    Ok(())
}

/// Writes every flight, asking `wait` before each, and returns when the brokers have them.
pub(super) fn pour(kafka: &Kafka, topic: &str, mut wait: impl FnMut()) -> anyhow::Result<()> {
    let mut loader = Loader::open(kafka, topic)?;
    flights::each(|flight| {
        wait();
        let (key, value) = (Some(flight.carrier.as_bytes()), Some(flight.json.as_bytes()));
        Ok(loader.send(-1, flight.seen_ms, key, value, Headers::default())?)
    })?;
    loader.flush(FLUSH_MAX).with_context(|| format!("the flights are not all in {topic}"))
}
