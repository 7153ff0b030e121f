//! What a lane answers about its open windows, once a step; a question costs what it asks for, and none costs nothing.

use super::{Holding, Lane};
use crate::broker::Broker;
use crate::clock::Clock;
use crate::encode::Encoder;
use crate::recent::{Answer, Answers, OpenWindow, Question};
use crate::task::Task;
use crate::window::panes::PaneContext;

impl<B: Broker, C: Clock> Lane<B, C> {
    pub(super) fn answer(&mut self) {
        let Self { options, context, holdings, encoder, .. } = self;
        let tasks = || holdings.values().filter_map(Holding::task);
        options.mailbox.answer(|question| match question {
            Question::Open => Answers::Open(tasks().flat_map(|task| open(task, &context.panes)).collect()),
            Question::Key(key) => {
                Answers::Key(tasks().flat_map(|task| live(task, &mut context.panes, encoder, key)).collect())
            }
        });
    }
}

fn open(task: &Task, context: &PaneContext) -> Vec<OpenWindow> {
    let bounds = context.bounds;
    let window = |(end_ms, keys): (i64, usize)| OpenWindow {
        partition: task.partition.clone(),
        start_ms: end_ms - bounds.size_ms(),
        end_ms,
        keys,
        closes_at_ms: end_ms + bounds.grace_ms(),
        watermark_ms: task.watermark_ms(),
    };
    task.panes().open(context).map(window).collect()
}

/// Without memory to put windows together, the answer has fewer of them.
fn live(task: &Task, context: &mut PaneContext, encoder: &Encoder, key: &[u8]) -> Vec<Answer> {
    let mut answers = Vec::new();
    let looked = task.panes().look(context, key, |end_ms, layout, row| {
        let mut result = Vec::new();
        encoder.encode(&encoder.frame(&task.partition, end_ms), layout, row, &mut result);
        answers.push(Answer { partition: task.partition.clone(), end_ms, result });
    });
    if looked.is_err() {
        tracing::debug!(partition = %task.partition, "no memory to show all open windows of a key");
    }
    answers
}
