//! tidemill's own merge path, each strategy switched by what the product offers for it or by who calls it; the path
//! itself has no switches.

use super::{Emitted, Strategies, Subject, feed};
use crate::broker::{Committed, RecordBatch, TopicId, TopicPartition};
use crate::clock::ManualClock;
use crate::config::Config;
use crate::encode::{Encoder, Frame};
use crate::pool::{Limits, Pool, PoolOptions, Shares};
use crate::task::{AHEAD, Task, TaskContext};
use anyhow::bail;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

/// A commit comes every so many steps: in the time of four windows, as with `commit.interval: 100ms` at this rate.
const TIDE_STEPS: u64 = 4 * feed::WINDOW_STEPS;

pub(super) struct Ours {
    strategies: Strategies,
    context: TaskContext,
    task: Task,
    encoder: Encoder,
    frame: Frame,
    clock: ManualClock,
    out: Vec<u8>,
    /// Closed windows that were encoded and wait for the tide.
    encoded: usize,
    steps: u64,
    emitted: Emitted,
}

impl Ours {
    pub(super) fn new(config: &Config, keys: u64, strategies: Strategies) -> Self {
        let mut pipeline = (*config.pipeline).clone();
        if strategies.dense {
            pipeline.keys = Some(Arc::new(feed::Feed::keys(keys)));
        }
        let options = PoolOptions::new(Limits::UNBOUNDED);
        // Without shares nothing is parked: what is released goes back to the system.
        let none = Shares { hot: 0, warm: 0, cold: 0 };
        let options = if strategies.pools { options } else { PoolOptions { shares: none, ..options } };
        let context = TaskContext::new(Arc::new(pipeline), 1, false, false, Pool::with(options).hot());
        let partition = TopicPartition { topic: "in".into(), partition: 0 };
        let task = Task::clean(&context, 0, partition, TopicId([1; 16]), 0, Duration::ZERO);
        Self {
            strategies,
            context,
            task,
            encoder: Encoder::new(config),
            frame: Frame::default(),
            clock: ManualClock::at(0),
            out: Vec::new(),
            encoded: 0,
            steps: 0,
            emitted: Emitted::default(),
        }
    }

    /// **encode** of what has closed since the last time.
    fn encode(&mut self) {
        let layout = &self.context.panes.layout;
        for closed in self.task.closed.iter().skip(self.encoded) {
            self.encoder.write_frame(&self.task.partition, closed.end_ms, &mut self.frame);
            for row in closed.table.rows(layout) {
                if self.strategies.views {
                    self.out.clear();
                    self.encoder.encode(&self.frame, layout, &row, &mut self.out);
                    self.emitted.add(black_box(&self.out));
                } else {
                    let copy = black_box((row.key.to_vec(), row.words.to_vec()));
                    let mut out = Vec::new();
                    self.encoder.encode(&self.frame, layout, &row, &mut out);
                    self.emitted.add(black_box(&out));
                    drop(copy);
                }
            }
        }
        self.encoded = self.task.closed.len();
    }

    /// **release** of everything that was encoded.
    fn release(&mut self) {
        let windows = std::mem::take(&mut self.encoded);
        self.task.release(&mut self.context, windows, 0, Committed::default());
        self.context.panes.hot.end_tide();
    }
}

impl Subject for Ours {
    fn step(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        for (index, record) in batch.iter().enumerate() {
            if index.is_multiple_of(AHEAD) {
                self.context.foresee(batch.from(index));
                self.task.foresee(&self.context);
            }
            if let Err(unmerged) = self.task.merge(&mut self.context, &record, &self.clock) {
                bail!("{unmerged}");
            }
        }
        self.steps += 1;
        if self.encoded < self.task.closed.len() {
            self.encode();
        }
        let tide = self.steps.is_multiple_of(TIDE_STEPS);
        if self.encoded > 0 && (tide || !self.strategies.batched) {
            self.release();
        }
        Ok(())
    }

    fn emitted(&self) -> Emitted {
        self.emitted
    }
}
