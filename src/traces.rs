//! Spans of transactions: what one holds when it is over, and the way out of the process.
//!
//! A lane hands a span over and goes on: what finds no room is dropped and counted. Only a build with the feature
//! `traces` has an exporter; without it nobody makes a [`Traces`], and nothing here costs anything.

#[cfg(feature = "traces")]
mod otlp;

use crate::clock::Clock;
use crate::config;
use crate::logs::Ids;
use crate::metrics::{OutletCounts, SpanCounts, SpanResult, TransactionResult};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// One transaction of a lane, from its beginning to the moment in which its outcome was known.
#[derive(Clone, Debug, PartialEq)]
pub struct TideSpan {
    /// The same as in the lines of the log.
    pub ids: Ids,
    /// Number of the lane in its process.
    pub lane: usize,
    /// When it began, in Unix ms.
    pub began_ms: i64,
    /// From then to its end.
    pub took: Duration,
    /// What happened in it, and how long after its beginning.
    pub marks: Vec<(&'static str, Duration)>,
    /// Partitions with a position in it.
    pub partitions: usize,
    /// Their names, as far as a span should hold them.
    pub names: Vec<String>,
    /// The lowest of their watermarks, in Unix ms; `None` before the first record.
    pub watermark_ms: Option<i64>,
    /// Window ends that it was to make visible.
    pub windows: usize,
    /// Records that the producer took.
    pub records: u64,
    /// Bytes of result values in them.
    pub bytes: u64,
    /// What became visible by it.
    pub visible: OutletCounts,
    /// How it ended.
    pub result: TransactionResult,
    /// Why it was not committed.
    pub why: Option<String>,
}

/// Where lanes hand over spans that are over; clones are handles of the same.
#[derive(Clone, Debug)]
pub struct Traces {
    /// What makes ids of the numbers that follow; one for all lanes.
    hash: RandomState,
    number: Arc<AtomicU64>,
    spans: SyncSender<TideSpan>,
    counts: SpanCounts,
}

impl Traces {
    /// A way for `room` spans at once.
    pub fn new(room: usize, counts: SpanCounts) -> (Self, Receiver<TideSpan>) {
        let (spans, receiver) = sync_channel(room);
        (Self { hash: RandomState::new(), number: Arc::default(), spans, counts }, receiver)
    }

    /// Ids for a span that begins a trace.
    pub fn ids(&self) -> Ids {
        Ids { trace: (u128::from(self.random()) << 64) | u128::from(self.random()), span: self.random() }
    }

    /// Never waits.
    pub fn hand_over(&self, span: TideSpan) {
        if self.spans.try_send(span).is_err() {
            self.counts.add(SpanResult::Dropped, 1);
        }
    }

    /// A number that is not zero.
    fn random(&self) -> u64 {
        self.hash.hash_one(self.number.fetch_add(1, Ordering::Relaxed)).max(1)
    }
}

/// Which process the spans are from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// `name` of the configuration.
    pub pipeline: String,
    /// Its place in the deployment.
    pub instance: String,
}

/// The thread that sends spans, if the configuration wants one.
#[derive(Debug, Default)]
pub struct Exporter {
    traces: Option<Traces>,
    /// Closed when the thread has ended.
    ended: Option<Receiver<()>>,
}

impl Exporter {
    /// Starts the thread. A build without the feature has none, and no configuration that asks for it.
    ///
    /// # Errors
    /// The system has no thread to give.
    #[cfg_attr(not(feature = "traces"), expect(unused_variables, reason = "nobody is there to be told"))]
    pub fn start<C>(
        to: Option<&config::Traces>,
        origin: &Origin,
        counts: &SpanCounts,
        clock: C,
    ) -> std::io::Result<Self>
    where
        C: Clock + Send + 'static,
    {
        #[cfg(feature = "traces")]
        if let Some(to) = to {
            let (traces, ended) = otlp::start(&to.url, origin, counts, clock)?;
            return Ok(Self { traces: Some(traces), ended: Some(ended) });
        }
        Ok(Self::default())
    }

    /// For the lanes.
    pub fn traces(&self) -> Option<Traces> {
        self.traces.clone()
    }

    /// The lanes are gone: waits at most so long until the last spans are sent.
    pub fn finish(self, within: Duration) {
        drop(self.traces);
        if let Some(ended) = self.ended {
            // Nothing is ever said: it ends, or the time does.
            let _ = ended.recv_timeout(within);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_never_the_same_and_never_zero() {
        let ways = [0, 0].map(|room| Traces::new(room, SpanCounts::default()).0);
        let ids: Vec<_> = (0..1000).flat_map(|_| ways.each_ref().map(Traces::ids)).collect();
        let (traces, spans): (BTreeSet<_>, BTreeSet<_>) = ids.iter().map(|ids| (ids.trace, ids.span)).unzip();
        assert_eq!((traces.len(), spans.len()), (2000, 2000));
        assert!(!traces.contains(&0) && !spans.contains(&0));
    }
}
