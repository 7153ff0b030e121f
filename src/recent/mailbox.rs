//! Questions to a lane about its open windows: it looks once a step, and answers at once or not at all.
//!
//! Whoever asks never waits for a lock that a lane holds for longer than it takes to move some pointers; a lane never
//! waits for whoever asks.

use crate::broker::TopicPartition;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::oneshot;

/// Questions that may wait for one lane; a further one is refused at once.
const QUESTIONS_MAX: usize = 16;

/// What a lane can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// What is open.
    Open,
    /// The values of a key in the windows that are open.
    Key(Vec<u8>),
}

/// What a lane says.
#[derive(Debug)]
pub enum Answers {
    /// To [`Question::Open`].
    Open(Vec<OpenWindow>),
    /// To [`Question::Key`].
    Key(Vec<Answer>),
}

/// One window of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Where the key came from.
    pub partition: TopicPartition,
    /// End of the window, Unix ms.
    pub end_ms: i64,
    /// The result as it is, or would be, written: one JSON object.
    pub result: Vec<u8>,
}

/// One open window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenWindow {
    /// Its partition.
    pub partition: TopicPartition,
    /// Start, Unix ms.
    pub start_ms: i64,
    /// End, Unix ms.
    pub end_ms: i64,
    /// Keys in it; where windows overlap, those of each pane for itself.
    pub keys: usize,
    /// It closes when the watermark reaches this, Unix ms.
    pub closes_at_ms: i64,
    /// The partition's watermark, Unix ms.
    pub watermark_ms: Option<i64>,
}

type Mail = (Question, oneshot::Sender<Answers>);

/// The mailbox of one lane; clones are handles of the same.
#[derive(Clone, Default)]
pub struct Mailbox(Arc<Inner>);

#[derive(Default)]
struct Inner {
    has_mail: AtomicBool,
    mail: Mutex<Vec<Mail>>,
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("has_mail", &self.0.has_mail).finish()
    }
}

impl Mailbox {
    /// Asks; `None` if too many questions wait already.
    pub fn ask(&self, question: Question) -> Option<oneshot::Receiver<Answers>> {
        let mut mail = self.0.mail.lock().ok()?;
        // Who has gone away needs no answer.
        mail.retain(|(_, sender)| !sender.is_closed());
        if mail.len() >= QUESTIONS_MAX {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        mail.push((question, sender));
        self.0.has_mail.store(true, Ordering::Release);
        Some(receiver)
    }

    /// For the lane, once a step: one load if nobody asks.
    pub fn answer(&self, mut answer: impl FnMut(&Question) -> Answers) {
        if !self.0.has_mail.load(Ordering::Acquire) {
            return;
        }
        let Ok(mut mail) = self.0.mail.try_lock() else { return };
        self.0.has_mail.store(false, Ordering::Relaxed);
        let mail = std::mem::take(&mut *mail);
        for (question, sender) in mail {
            // Nobody may be there any more: then the answer is dropped.
            let _ = sender.send(answer(&question));
        }
    }
}
