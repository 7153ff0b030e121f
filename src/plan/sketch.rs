//! Counting keys in bounded memory: distinct ones by HyperLogLog, hot ones by frequent items, and some chosen by hash.
//!
//! Sees hashes of keys only.

use super::keys::Seen;
use datasketches::frequencies::{ErrorType, FrequentItemsSketch};
use datasketches::hll::{HllSketch, HllType, HllUnion};
use foldhash::quality::FixedState;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hash};

/// 2^15 registers: a standard error of 0.6 % in 32 KiB.
const DISTINCT_LG_K: u8 = 15;
/// 2^12 registers for each window: 1.6 % in 4 KiB.
const WINDOW_LG_K: u8 = 12;
/// Entries of the frequent items: counts are at most 1/5000 of the records too high.
const HOT_ENTRIES: usize = 1 << 14;
/// So many of the hottest keys are taken one by one.
const HOT_KEYS: usize = 64;
/// At most so many keys are chosen.
const CHOSEN_MAX: usize = 1 << 16;

/// The hash of a key; the seed stands still, so that the same topic gives the same plan.
pub(super) fn hash(key: impl Hash) -> u64 {
    FixedState::with_seed(0).hash_one(key)
}

/// Distinct keys alone.
#[derive(Clone)]
pub(super) struct Distinct(Option<HllSketch>);

impl Distinct {
    /// For all of a stream.
    pub(super) fn of_stream() -> Self {
        Self(HllSketch::new(DISTINCT_LG_K, HllType::Hll8).ok())
    }

    /// For one window of many.
    pub(super) fn of_window() -> Self {
        Self(HllSketch::new(WINDOW_LG_K, HllType::Hll8).ok())
    }

    pub(super) fn add(&mut self, hash: u64) {
        if let Some(sketch) = &mut self.0 {
            sketch.update(hash);
        }
    }

    /// The keys of several panes together.
    pub(super) fn union<'d>(all: impl IntoIterator<Item = &'d Self>) -> Self {
        let Ok(mut union) = HllUnion::new(WINDOW_LG_K) else { return Self(None) };
        all.into_iter().filter_map(|one| one.0.as_ref()).for_each(|sketch| union.update(sketch));
        Self(Some(union.to_sketch(HllType::Hll8)))
    }

    pub(super) fn estimate(&self) -> f64 {
        self.0.as_ref().map_or(0.0, HllSketch::estimate)
    }
}

/// Everything that a plan asks about keys.
pub(super) struct Sketch {
    records: u64,
    distinct: Distinct,
    hot: Option<FrequentItemsSketch<u64>>,
    /// Counts and lengths of the keys whose hash has `zeros` zeros at its end.
    chosen: HashMap<u64, (u64, usize), FixedState>,
    zeros: u32,
}

impl Sketch {
    pub(super) fn new() -> Self {
        Self {
            records: 0,
            distinct: Distinct::of_stream(),
            hot: FrequentItemsSketch::new(HOT_ENTRIES).ok(),
            chosen: HashMap::with_hasher(FixedState::with_seed(1)),
            zeros: 0,
        }
    }

    /// Counts one record by the hash and the length of its key.
    pub(super) fn add(&mut self, hash: u64, key_bytes: usize) {
        self.records += 1;
        self.distinct.add(hash);
        if let Some(hot) = &mut self.hot {
            hot.update(hash);
        }
        if hash.trailing_zeros() >= self.zeros {
            self.chosen.entry(hash).or_insert((0, key_bytes)).0 += 1;
            if self.chosen.len() > CHOSEN_MAX {
                self.zeros += 1;
                self.chosen.retain(|hash, _| hash.trailing_zeros() >= self.zeros);
            }
        }
    }

    /// Mean length of the keys in bytes: each key once, however often it came.
    pub(super) fn key_bytes(&self) -> f64 {
        let sum = self.chosen.values().map(|(_, bytes)| *bytes as f64).sum::<f64>();
        sum / self.chosen.len().max(1) as f64
    }

    pub(super) fn finish(&self) -> Seen {
        let rows = self.hot.as_ref().map(|hot| hot.frequent_items(ErrorType::NoFalsePositives)).unwrap_or_default();
        let hot: Vec<_> = rows.iter().take(HOT_KEYS).map(|row| (*row.item(), row.estimate())).collect();
        let names: HashSet<u64> = hot.iter().map(|(hash, _)| *hash).collect();
        let mut others: Vec<_> =
            self.chosen.iter().filter(|(hash, _)| !names.contains(*hash)).map(|(_, (count, _))| *count).collect();
        others.sort_unstable();
        Seen {
            records: self.records,
            distinct: self.distinct.estimate(),
            hottest: hot.into_iter().map(|(_, count)| count).collect(),
            others,
        }
    }
}
