//! What a commit would say of a task, now or as of one of its closed windows. Asks nobody, changes nothing.

use super::{Task, TaskContext};
use crate::broker::Committed;
use crate::checkpoint::{Checkpoint, GuardStep};

impl Task {
    /// What a commit of everything up to now would say; only for live tasks, a restoring one has nothing new to say.
    /// While windows are due that found no memory to close, "now" is the moment before the next of them.
    pub fn commit_point(&self, context: &TaskContext) -> Committed {
        Committed { offset: self.reached(), metadata: self.checkpoint(context).encode() }
    }

    /// [`Self::commit_point`] instead of what `committed` said, in its memory.
    pub fn write_commit_point(&self, context: &TaskContext, committed: &mut Committed) {
        committed.offset = self.reached();
        self.checkpoint(context).encode_into(&mut committed.metadata);
    }

    /// True if [`Self::commit_point`] is what the group holds.
    pub fn is_committed(&self, context: &TaskContext) -> bool {
        let committed = self.committed.as_ref().filter(|committed| committed.offset == self.reached());
        committed.is_some_and(|committed| self.checkpoint(context).is(&committed.metadata))
    }

    /// The position, as far as everything below it is done.
    fn reached(&self) -> i64 {
        self.due.map_or(self.position, |due| due.offset)
    }

    fn checkpoint(&self, context: &TaskContext) -> Checkpoint<impl Iterator<Item = GuardStep> + Clone> {
        let offset = self.reached();
        let replay_from = self.panes.first_offset().unwrap_or(offset).min(offset);
        Checkpoint {
            replay_from,
            watermark_ms: self.due.map_or(self.watermark_ms, |due| due.watermark_ms),
            guard: self.guard.steps_since(replay_from, self.guard.mark()),
            digest: context.digest,
            topic_id: self.topic_id,
        }
    }

    /// What a commit that ends with the `index`-th waiting window would say.
    pub fn commit_point_after(&self, context: &TaskContext, index: usize) -> Option<Committed> {
        let closed = self.closed.get(index)?;
        let mark = closed.mark;
        let checkpoint = Checkpoint {
            replay_from: mark.replay_from,
            watermark_ms: Some(closed.end_ms + context.panes.bounds.grace_ms()),
            guard: self.guard.steps_since(mark.replay_from, mark.guard),
            digest: context.digest,
            topic_id: self.topic_id,
        };
        Some(Committed { offset: mark.offset, metadata: checkpoint.encode() })
    }
}
