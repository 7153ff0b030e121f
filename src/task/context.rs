//! What all tasks of a lane share: the rules, the decoder, and memory to be used again.

use super::foreseen::Foreseen;
use super::unread::Unread;
use crate::aggregate::Layout;
use crate::broker::Record;
use crate::checkpoint::Digest;
use crate::config::Pipeline;
use crate::decode::Decoder;
use crate::pool::Hot;
use crate::recent::Recent;
use crate::window::bounds::Bounds;
use crate::window::keys::Keys;
use crate::window::panes::PaneContext;
use std::sync::Arc;

/// What all tasks of a lane share: the rules, and memory to be used again.
#[derive(Debug)]
pub struct TaskContext {
    /// What decides fates and windows.
    pub pipeline: Arc<Pipeline>,
    /// Digest of it.
    pub digest: Digest,
    /// Windows, layout of rows, what stands for keys, where state lives.
    pub panes: PaneContext,
    /// Whether late records are kept for a topic.
    pub keep_late: bool,
    /// Whether dead letters are kept for a topic.
    pub keep_dead: bool,
    /// Where committed windows go, if they are kept.
    pub recent: Recent,
    pub(super) decoder: Decoder,
    pub(super) foreseen: Foreseen,
}

impl TaskContext {
    /// The context for one pipeline; `seed` is for the hash of keys, `hot` is where state lives.
    pub fn new(pipeline: Arc<Pipeline>, seed: u64, keep_late: bool, keep_dead: bool, hot: Hot) -> Self {
        let layout = Layout::new(&pipeline.aggregates);
        let keys = Keys::new(seed, pipeline.keys.as_deref().map(|keys| &keys[..]));
        let panes = PaneContext::new(Bounds::new(&pipeline.window), layout, keys, hot);
        Self {
            digest: Digest::of(&pipeline),
            panes,
            keep_late,
            keep_dead,
            recent: Recent::off(),
            decoder: Decoder::new(&pipeline),
            foreseen: Foreseen::default(),
            pipeline,
        }
    }

    /// Rules 1 to 4: what the record is refused for before its value is read; else its key, and what stands for it.
    pub(super) fn read_key<'r>(&mut self, record: &Record<'r>) -> Result<(u32, &'r [u8]), Unread> {
        let value = record.value.ok_or(Unread::Tombstone)?;
        let key = record.key.ok_or(Unread::NullKey)?;
        let (key_max, value_max) = (self.pipeline.max_key_bytes, self.pipeline.max_record_bytes);
        if key.len() > key_max {
            return Err(Unread::KeyTooLarge { bytes: key.len(), max: key_max });
        }
        if value.len() > value_max {
            return Err(Unread::ValueTooLarge { bytes: value.len(), max: value_max });
        }
        self.code(record, key).map(|code| (code, key)).ok_or(Unread::UnknownKey)
    }
}
