//! What all tasks of a lane share: the rules, the decoder, and memory to be used again.

use super::unread::Unread;
use crate::aggregate::Layout;
use crate::broker::Record;
use crate::checkpoint::Digest;
use crate::config::Pipeline;
use crate::decode::Decoder;
use crate::pool::Hot;
use crate::window::bounds::Bounds;
use crate::window::panes::PaneContext;
use crate::window::table::KeyHasher;
use std::collections::HashSet;
use std::sync::Arc;

/// What all tasks of a lane share: the rules, and memory to be used again.
#[derive(Debug)]
pub struct TaskContext {
    /// What decides fates and windows.
    pub pipeline: Arc<Pipeline>,
    /// Digest of it.
    pub digest: Digest,
    /// Windows, layout of rows, spare tables.
    pub panes: PaneContext,
    /// Whether late records are kept for a topic.
    pub keep_late: bool,
    /// Whether dead letters are kept for a topic.
    pub keep_dead: bool,
    pub(super) decoder: Decoder,
    keys: Option<HashSet<Box<[u8]>>>,
}

impl TaskContext {
    /// The context for one pipeline; `seed` is for the hash of keys, `hot` is where state lives.
    pub fn new(pipeline: Arc<Pipeline>, seed: u64, keep_late: bool, keep_dead: bool, hot: Hot) -> Self {
        let layout = Layout::new(&pipeline.aggregates);
        let panes = PaneContext::new(Bounds::new(&pipeline.window), layout, KeyHasher::new(seed), hot);
        Self {
            digest: Digest::of(&pipeline),
            panes,
            keep_late,
            keep_dead,
            decoder: Decoder::new(&pipeline),
            keys: pipeline.keys.as_ref().map(|keys| keys.iter().cloned().collect()),
            pipeline,
        }
    }

    /// Rules 1 to 4: what the record is refused for before its value is read.
    pub(super) fn refuse_unread(&self, record: &Record<'_>) -> Option<Unread> {
        let Some(value) = record.value else { return Some(Unread::Tombstone) };
        let Some(key) = record.key else { return Some(Unread::NullKey) };
        let (key_max, value_max) = (self.pipeline.max_key_bytes, self.pipeline.max_record_bytes);
        if key.len() > key_max {
            return Some(Unread::KeyTooLarge { bytes: key.len(), max: key_max });
        }
        if value.len() > value_max {
            return Some(Unread::ValueTooLarge { bytes: value.len(), max: value_max });
        }
        self.keys.as_ref().is_some_and(|keys| !keys.contains(key)).then_some(Unread::UnknownKey)
    }
}
