//! Where questions about windows are taken: the recent ones, and a mailbox of each lane, once lanes run.

use super::{Mailbox, Recent};
use std::sync::{Arc, OnceLock};

/// Everything that can be asked about windows; clones are handles of the same.
#[derive(Clone, Debug, Default)]
pub struct Desk(Arc<OnceLock<(Recent, Vec<Mailbox>)>>);

impl Desk {
    /// From now on these answer; only the first call counts.
    pub fn open(&self, recent: Recent, mailboxes: Vec<Mailbox>) {
        // A second set of lanes there is not.
        let _ = self.0.set((recent, mailboxes));
    }

    /// Recent windows and the lanes' mailboxes, in the order of their numbers; `None` until lanes run.
    pub fn get(&self) -> Option<(&Recent, &[Mailbox])> {
        self.0.get().map(|(recent, mailboxes)| (recent, mailboxes.as_slice()))
    }
}
