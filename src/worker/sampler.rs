//! Once a second: how the whole process is doing, for the status page.

use super::Shared;
use crate::budget::Resident;
use crate::clock::{Clock, SystemClock};
use crate::fate::Fate;
use crate::metrics::{CloseReason, LaneCounts};
use crate::status::{Memory, Sample, Totals};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

const EVERY: Duration = Duration::from_secs(1);

/// Samples until it is dropped.
pub async fn sample(shared: Shared) {
    let clock = SystemClock::new();
    let mut every = interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        shared.status.sample(look(&shared, clock.monotonic()));
    }
}

fn look(shared: &Shared, at: Duration) -> Sample {
    let lag = shared.status.partitions().iter().filter_map(|partition| partition.lag).sum::<i64>();
    Sample { at, totals: totals(&shared.totals()), lag: lag.unsigned_abs(), memory: memory(shared) }
}

fn totals(counts: &LaneCounts) -> Totals {
    Totals {
        read: counts.fates.read,
        merged: counts.fates.merged,
        late: counts.fates.fate(Fate::Late),
        dead: counts.fates.fate(Fate::Dead),
        ignored: counts.fates.fate(Fate::Ignored),
        closed: CloseReason::ALL.into_iter().map(|reason| counts.windows_closed(reason)).sum(),
        results: counts.produced.sink,
        committed: counts.committed.count(),
        failed: counts.aborted.count() + counts.unknown.count(),
    }
}

fn memory(shared: &Shared) -> Memory {
    let resident_bytes = Resident::look().map(|resident| resident.now_bytes);
    let Some(memory) = shared.memory() else { return Memory { resident_bytes, ..Memory::default() } };
    let (pool, step) = (&memory.pool, memory.ladder.step());
    let lent_bytes = pool.lent_bytes() as u64;
    Memory {
        resident_bytes,
        budget_bytes: Some(memory.budget.total_bytes),
        pool_bytes: Some(pool.limits().ceiling_bytes as u64),
        lent_bytes,
        parked_bytes: (pool.held_bytes() as u64).saturating_sub(lent_bytes),
        step: step as u8,
        step_name: step.as_str().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn a_sample_says_what_was_counted_and_what_is_resident() {
        let shared = Shared::new(Metrics::new().unwrap());
        let mut counts = LaneCounts { closed_by_idle: 2, ..LaneCounts::default() };
        (0..3).for_each(|_| counts.committed.observe(0.1));
        [&mut counts.aborted, &mut counts.unknown].into_iter().for_each(|failed| failed.observe(0.1));
        shared.metrics.add(&counts);
        let sample = look(&shared, Duration::from_secs(7));
        let expected = Totals { committed: 3, failed: 2, closed: 2, ..Totals::default() };
        assert_eq!((sample.totals, sample.at), (expected, Duration::from_secs(7)));
        assert!(sample.memory.resident_bytes.is_some_and(|bytes| bytes > 1 << 20), "{:?}", sample.memory);
    }
}
