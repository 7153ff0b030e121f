//! Closed windows that stay readable for a while after their commit, within a number of bytes.
//!
//! A lane hands a window's table over as it is: nothing is copied or encoded until somebody asks, so a lane pays for a
//! window and never for a record. Weighed by window, not by key; the oldest go first. Nobody waits for anybody.

mod desk;
mod mailbox;

pub use desk::Desk;
pub use mailbox::{Answer, Answers, Mailbox, OpenWindow, Question};

use crate::aggregate::Layout;
use crate::broker::TopicPartition;
use crate::config::Config;
use crate::encode::Encoder;
use crate::window::keys::Keys;
use crate::window::table::Table;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};

/// Weights are in units of this, so that they fit 32 bits whatever a window holds.
const UNIT_BYTES: usize = 1 << 10;

/// The recent windows of the process; clones are handles of the same.
#[derive(Clone, Default)]
pub struct Recent(Option<Arc<Kept>>);

struct Kept {
    windows: Cache<Place, Arc<Window>>,
    limit_bytes: usize,
    layout: Layout,
    encoder: Encoder,
    keys: Keys,
    /// Whether memory is short: then nothing is added.
    is_pressed: AtomicBool,
}

/// A window of a partition, by its end.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Place {
    end_ms: i64,
    partition: TopicPartition,
}

/// The rows of one window, until they are evicted: whoever looks at them then finds none.
struct Window(RwLock<Option<Table>>);

impl fmt::Debug for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recent").field("bytes", &self.bytes()).finish()
    }
}

impl Recent {
    /// Keeps nothing.
    pub fn off() -> Self {
        Self(None)
    }

    /// Keeps windows of this pipeline within so many bytes; `seed` is that of the lanes' hash of keys. 0 bytes: nothing.
    pub fn within(limit_bytes: usize, config: &Config, seed: u64) -> Self {
        if limit_bytes == 0 {
            return Self::off();
        }
        let windows = Cache::builder()
            .max_capacity((limit_bytes / UNIT_BYTES) as u64)
            .weigher(|_, window: &Arc<Window>| window.weight())
            .eviction_policy(EvictionPolicy::lru())
            // The cache itself lets go of what it held some time later: pages go home at once.
            .eviction_listener(|_, window, _| window.empty())
            .build();
        Self(Some(Arc::new(Kept {
            windows,
            limit_bytes,
            layout: Layout::new(&config.pipeline.aggregates),
            encoder: Encoder::new(config),
            keys: Keys::new(seed, config.pipeline.keys.as_deref().map(|keys| &keys[..])),
            is_pressed: AtomicBool::new(false),
        })))
    }

    /// Takes a committed window; one that is not kept comes back, to be used again.
    pub fn keep(&self, partition: &TopicPartition, end_ms: i64, table: Table) -> Option<Table> {
        let Some(kept) = self.0.as_ref().filter(|kept| kept.takes(&table)) else { return Some(table) };
        let place = Place { end_ms, partition: partition.clone() };
        kept.windows.insert(place, Arc::new(Window(RwLock::new(Some(table)))));
        kept.windows.run_pending_tasks();
        None
    }

    /// Memory is short: gives back the older half, and takes nothing until it may grow again.
    pub fn shrink(&self) {
        let Some(kept) = &self.0 else { return };
        kept.is_pressed.store(true, Ordering::Relaxed);
        if kept.windows.entry_count() == 0 {
            return;
        }
        let places = kept.places();
        places.iter().take(places.len().div_ceil(2)).for_each(|place| kept.windows.invalidate(place));
        kept.windows.run_pending_tasks();
    }

    /// Memory is not short any more.
    pub fn grow(&self) {
        if let Some(kept) = self.0.as_ref().filter(|kept| kept.is_pressed.load(Ordering::Relaxed)) {
            kept.is_pressed.store(false, Ordering::Relaxed);
        }
    }

    /// Gives everything back.
    pub fn clear(&self) {
        let Some(kept) = &self.0 else { return };
        kept.places().iter().for_each(|place| kept.windows.invalidate(place));
        kept.windows.run_pending_tasks();
    }

    /// True if windows are kept at all.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |kept| kept.windows.weighted_size() as usize * UNIT_BYTES)
    }

    /// The results of a key, as they were written, the newest first.
    pub fn results(&self, key: &[u8]) -> Vec<Answer> {
        let Some(kept) = &self.0 else { return Vec::new() };
        let Some(code) = kept.keys.code(key) else { return Vec::new() };
        let answer = |place: Place| {
            let window = kept.windows.get(&place)?;
            let table = window.0.read().ok()?;
            let row = table.as_ref()?.find(&kept.layout, code, key)?;
            let mut result = Vec::new();
            let frame = kept.encoder.frame(&place.partition, place.end_ms);
            kept.encoder.encode(&frame, &kept.layout, &row, &mut result);
            Some(Answer { partition: place.partition, end_ms: place.end_ms, result })
        };
        kept.places().into_iter().rev().filter_map(answer).collect()
    }
}

impl Kept {
    fn takes(&self, table: &Table) -> bool {
        table.bytes() <= self.limit_bytes && !self.is_pressed.load(Ordering::Relaxed)
    }

    /// In order of window end.
    fn places(&self) -> Vec<Place> {
        let mut places: Vec<_> = self.windows.iter().map(|(place, _)| (*place).clone()).collect();
        places.sort_unstable();
        places
    }
}

impl Window {
    fn weight(&self) -> u32 {
        let bytes = self.0.read().ok().and_then(|table| table.as_ref().map(Table::bytes)).unwrap_or_default();
        u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX)
    }

    /// Lets go of the rows, unless somebody looks at them just now: then whoever is last lets go.
    fn empty(&self) {
        if let Ok(mut table) = self.0.try_write() {
            *table = None;
        }
    }
}

#[cfg(test)]
mod tests;
