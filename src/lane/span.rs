//! A tide as it is seen from outside: counted by its result, and, where traces are on, a span whose ids are in the log.
//!
//! Decides nothing. Without traces it only counts, and allocates nothing.

use super::Lane;
use super::tide::Phase;
use crate::broker::Broker;
use crate::clock::Clock;
use crate::logs::Carried;
use crate::metrics::{OutletCounts, TransactionResult};
use crate::task::Task;
use crate::traces::TideSpan;
use std::fmt;
use std::time::Duration;

/// Names of partitions that a span holds; the others are a number.
const NAMES_MAX: usize = 32;

/// The span of a tide that is under way.
#[derive(Debug)]
pub(super) struct Open {
    span: TideSpan,
    began: Duration,
    /// Lines of the lane's thread have the ids for so long.
    _ids: Carried,
}

impl Open {
    fn mark(&mut self, what: &'static str, now: Duration) {
        self.span.marks.push((what, now.saturating_sub(self.began)));
    }
}

impl<B: Broker, C: Clock> Lane<B, C> {
    /// A transaction began at `now`.
    pub(super) fn open_span(&mut self, now: Duration) {
        let Some(traces) = &self.options.traces else { return };
        let ids = traces.ids();
        let tasks = self.tide.parts.iter().filter_map(|part| self.holdings.get(&part.slot)?.task());
        let span = TideSpan {
            ids,
            lane: self.options.lane,
            began_ms: self.clock.now_ms(),
            took: Duration::ZERO,
            marks: Vec::new(),
            partitions: 0,
            names: Vec::new(),
            watermark_ms: tasks.filter_map(Task::watermark_ms).min(),
            windows: 0,
            records: 0,
            bytes: 0,
            visible: OutletCounts::default(),
            result: TransactionResult::Aborted,
            why: None,
        };
        self.tide.span = Some(Open { span, began: now, _ids: Carried::new(ids) });
        self.mark("begun");
    }

    /// The transaction got so far.
    pub(super) fn mark(&mut self, what: &'static str) {
        if let Some(open) = &mut self.tide.span {
            open.mark(what, self.clock.monotonic());
        }
    }

    /// Why the transaction will not be committed; what was said first counts.
    pub(super) fn blame(&mut self, why: fmt::Arguments<'_>) {
        if let Some(open) = &mut self.tide.span {
            open.span.why.get_or_insert_with(|| why.to_string());
        }
    }

    /// The transaction has ended like this, or nobody knows how; what became visible is said by [`Self::finish_parts`].
    pub(super) fn ended(&mut self, result: TransactionResult) {
        let took = self.clock.monotonic().saturating_sub(self.tide.began);
        let (durations, mark) = match result {
            TransactionResult::Committed => (&mut self.counts.committed, "commit answered"),
            TransactionResult::Aborted => (&mut self.counts.aborted, "given up"),
            TransactionResult::Unknown => (&mut self.counts.unknown, "outcome unknown"),
        };
        durations.took(took);
        self.mark(mark);
        if let Some(open) = &mut self.tide.span {
            open.span.result = result;
        }
        if result == TransactionResult::Aborted {
            self.close_span(OutletCounts::default());
        }
    }

    /// These parts of the transaction are visible, and it is over.
    pub(super) fn finish_parts(&mut self, visible: impl IntoIterator<Item = usize>) {
        let before = self.counts.produced;
        visible.into_iter().for_each(|index| self.finish_part(index));
        self.close_span(self.counts.produced.since(before));
        self.tide.parts.clear();
    }

    /// The lane leaves: whatever is under way is left to the broker.
    pub(super) fn leave_span(&mut self) {
        self.blame(format_args!("the lane has left"));
        if let Some(open) = &mut self.tide.span
            && !matches!(self.tide.phase, Phase::Producing | Phase::Sending | Phase::Aborting)
        {
            open.span.result = TransactionResult::Unknown;
        }
        self.close_span(OutletCounts::default());
    }

    /// Says what the transaction was, under its ids, and hands its span over.
    fn close_span(&mut self, visible: OutletCounts) {
        let Some(Open { mut span, began, _ids }) = self.tide.span.take() else { return };
        span.took = self.clock.monotonic().saturating_sub(began);
        span.partitions = self.tide.parts.len();
        let parts = self.tide.offsets.iter().take(span.partitions);
        span.names = parts.take(NAMES_MAX).map(|offset| offset.partition.to_string()).collect();
        span.windows = self.tide.parts.iter().map(|part| part.windows).sum();
        (span.records, span.bytes, span.visible) = (self.tide.tokens, self.tide.bytes, visible);
        if span.result == TransactionResult::Committed {
            tracing::debug!(lane = span.lane, partitions = span.partitions, windows = span.windows,
                results = visible.sink, late = visible.late, dead_letters = visible.dead_letter, took = ?span.took,
                "tide committed");
        }
        if let Some(traces) = &self.options.traces {
            traces.hand_over(span);
        }
    }
}
