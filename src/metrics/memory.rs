//! Memory as the process accounts for it: budget, holders, resident size, ladder and pool, read when they are asked for.
//!
//! Counts nothing itself, and makes no lane wait. `fixed`, `clients`, the queues, `batches`, `scratch` and `slack` are
//! given with the bounds that hold them; the pool with what it holds.

use super::family::{self, Family, Kind, Sample, Value, each, one};
use crate::budget::{Holder, Memory, Resident, Step};
use crate::pool::{Class, ClassCounts, Tier};
use prometheus::Registry;

const CLASS: &[&str] = &["class_bytes"];
const CLASS_AND_TIER: &[&str] = &["class_bytes", "tier"];

const FAMILIES: &[Family<Memory>] = &[
    Family {
        name: "tidemill_memory_budget_bytes",
        help: "memory.budget as it was read or found: what the process obeys.",
        kind: Kind::Gauge,
        labels: &[],
        read: |memory| one(memory.budget.total_bytes as f64),
    },
    Family {
        name: "tidemill_memory_share_bytes",
        help: "What the budget gives to each holder; their sum is the budget at most.",
        kind: Kind::Gauge,
        labels: &["holder"],
        read: |memory| of_holders(|holder| memory.budget.share(holder)),
    },
    Family {
        name: "tidemill_memory_accounted_bytes",
        help: "What each holder is accounted with: the pool with the bytes that it has taken from the system, every other \
               holder with its configured bound (librdkafka's queues and the batches hold that at most, not now).",
        kind: Kind::Gauge,
        labels: &["holder"],
        read: |memory| of_holders(|holder| accounted(memory, holder)),
    },
    Family {
        name: "tidemill_memory_resident_bytes",
        help: "Resident memory of the process, as the system says.",
        kind: Kind::Gauge,
        labels: &[],
        read: |_| resident(|resident| resident.now_bytes as f64),
    },
    Family {
        name: "tidemill_memory_resident_peak_bytes",
        help: "The most that was ever resident, as the system says.",
        kind: Kind::Gauge,
        labels: &[],
        read: |_| resident(|resident| resident.peak_bytes as f64),
    },
    Family {
        name: "tidemill_memory_unaccounted_bytes",
        help: "Resident minus accounted bytes. Negative while holders have not filled their bounds; above zero, something \
               holds memory that nobody accounts for.",
        kind: Kind::Gauge,
        labels: &[],
        read: |memory| {
            let accounted: u64 = Holder::ALL.into_iter().map(|holder| accounted(memory, holder)).sum();
            resident(|resident| resident.now_bytes as f64 - accounted as f64)
        },
    },
    Family {
        name: "tidemill_memory_ladder_step",
        help: "How far pressure has gone: 0 normal, 1 shared_views, 2 reserve, 3 back_pressure.",
        kind: Kind::Gauge,
        labels: &[],
        read: |memory| one(f64::from(memory.ladder.step() as u8)),
    },
    Family {
        name: "tidemill_memory_ladder_entered_total",
        help: "How often each step was entered, from below or from above.",
        kind: Kind::Counter,
        labels: &["step"],
        read: |memory| each(Step::ALL, Step::as_str, |step| memory.ladder.entered(step) as f64),
    },
    Family {
        name: "tidemill_memory_held_tasks",
        help: "Partitions that stand still because there is no memory for them (memory.when_full: hold).",
        kind: Kind::Gauge,
        labels: &[],
        read: |memory| one(memory.ladder.held() as f64),
    },
    Family {
        name: "tidemill_memory_holds_total",
        help: "How often a partition began to stand still because there was no memory for it.",
        kind: Kind::Counter,
        labels: &[],
        read: |memory| one(memory.ladder.holds() as f64),
    },
    Family {
        name: "tidemill_release_pool_ceiling_bytes",
        help: "What the pool may hold, its reserve included.",
        kind: Kind::Gauge,
        labels: &[],
        read: |memory| one(memory.pool.limits().ceiling_bytes as f64),
    },
    Family {
        name: "tidemill_release_pool_reserve_bytes",
        help: "The part of the ceiling that is set aside to finish what must be finished.",
        kind: Kind::Gauge,
        labels: &[],
        read: |memory| one(memory.pool.limits().reserve_bytes as f64),
    },
    Family {
        name: "tidemill_release_pool_lent_bytes",
        help: "Bytes of buffers in use, by the size of a buffer.",
        kind: Kind::Gauge,
        labels: CLASS,
        read: |memory| of_classes(memory, |class, counts| counts.lent as f64 * class.bytes() as f64),
    },
    Family {
        name: "tidemill_release_pool_parked_bytes",
        help: "Bytes of buffers that wait to be used again, by the size of a buffer and where it lies.",
        kind: Kind::Gauge,
        labels: CLASS_AND_TIER,
        read: |memory| of_tiers(memory, |class, counts, tier| (counts.parked[tier] * class.bytes()) as f64),
    },
    Family {
        name: "tidemill_release_pool_hits_total",
        help: "Buffers lent again from a tier, by the size of a buffer.",
        kind: Kind::Counter,
        labels: CLASS_AND_TIER,
        read: |memory| of_tiers(memory, |_, counts, tier| counts.hits[tier] as f64),
    },
    Family {
        name: "tidemill_release_pool_misses_total",
        help: "Buffers lent that took fresh memory, by the size of a buffer.",
        kind: Kind::Counter,
        labels: CLASS,
        read: |memory| of_classes(memory, |_, counts| counts.misses as f64),
    },
    Family {
        name: "tidemill_release_pool_refusals_total",
        help: "Times that there was no room for a buffer, by its size.",
        kind: Kind::Counter,
        labels: CLASS,
        read: |memory| of_classes(memory, |_, counts| counts.refused as f64),
    },
    Family {
        name: "tidemill_release_pool_promotions_total",
        help: "Buffers that went up to the hot tier from this one, by the size of a buffer.",
        kind: Kind::Counter,
        labels: CLASS_AND_TIER,
        read: |memory| of_tiers(memory, |_, counts, tier| counts.promoted[tier] as f64),
    },
    Family {
        name: "tidemill_release_pool_demotions_total",
        help: "Buffers that went down from this tier, by the size of a buffer.",
        kind: Kind::Counter,
        labels: CLASS_AND_TIER,
        read: |memory| of_tiers(memory, |_, counts, tier| counts.demoted[tier] as f64),
    },
    Family {
        name: "tidemill_release_pool_trims_total",
        help: "Buffers given back to the system, by the size of a buffer.",
        kind: Kind::Counter,
        labels: CLASS,
        read: |memory| of_classes(memory, |_, counts| counts.trimmed as f64),
    },
];

/// Adds the series of this memory.
pub(super) fn register(registry: &Registry, memory: &Memory) -> Result<(), prometheus::Error> {
    let memory = memory.clone();
    family::register(registry, FAMILIES, move || Some(memory.clone()))
}

/// Nothing where the system does not say.
fn resident(read: impl Fn(Resident) -> f64) -> Vec<Sample> {
    Resident::look().map(|resident| one(read(resident))).unwrap_or_default()
}

fn of_holders(read: impl Fn(Holder) -> u64) -> Vec<Sample> {
    each(Holder::ALL, Holder::as_str, |holder| read(holder) as f64)
}

fn of_classes(memory: &Memory, read: impl Fn(Class, &ClassCounts) -> f64) -> Vec<Sample> {
    let counts = memory.pool.counts();
    let of = |class: Class| {
        let number = read(class, &counts.classes[class.index()]);
        (vec![class.bytes().to_string()], Value::Number(number))
    };
    Class::ALL.map(of).into()
}

fn of_tiers(memory: &Memory, read: impl Fn(Class, &ClassCounts, usize) -> f64) -> Vec<Sample> {
    let counts = memory.pool.counts();
    let of = |class: Class, tier: Tier| {
        let labels = vec![class.bytes().to_string(), tier.name().to_owned()];
        (labels, Value::Number(read(class, &counts.classes[class.index()], tier as usize)))
    };
    Class::ALL.into_iter().flat_map(|class| Tier::ALL.map(|tier| of(class, tier))).collect()
}

fn accounted(memory: &Memory, holder: Holder) -> u64 {
    match holder {
        Holder::Pool => memory.pool.held_bytes() as u64,
        holder => memory.budget.share(holder),
    }
}

#[cfg(test)]
pub(super) mod tests;
