//! What the world notes while it runs: the wall clock, when records came, who sent which positions, and the states that
//! each task went through.
//!
//! Only notes; the oracle judges. A note never makes anything right: it names one way in which things may have gone,
//! and the oracle follows that way by the documented rules.

use std::collections::BTreeMap;
use std::time::Duration;
use tidemill::broker::{CommitOffset, Committed, Slot, TopicPartition};

/// One task's life: from one start or restore of a partition at a lane to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Life {
    pub lane: usize,
    pub slot: Slot,
    pub number: u32,
}

/// Where a live task stood after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    pub position: i64,
    pub watermark_ms: Option<i64>,
    /// The partition's high watermark then.
    pub high: i64,
    pub at: Duration,
}

/// Positions that were added to a transaction.
#[derive(Clone, Debug)]
struct Sent {
    offset: CommitOffset,
    by: Life,
}

/// A commit that became visible.
#[derive(Clone, Debug)]
pub struct Commit {
    pub partition: TopicPartition,
    pub committed: Committed,
    pub by: Option<Life>,
    pub moment: usize,
}

#[derive(Debug, Default)]
pub struct Journal {
    /// The wall clock at each moment: a moment is the time between two turns of it.
    pub walls: Vec<i64>,
    /// By partition and offset: the moment when the record came.
    pub appended: BTreeMap<TopicPartition, Vec<usize>>,
    pub commits: Vec<Commit>,
    pub lives: BTreeMap<Life, Vec<Point>>,
    sent: Vec<Sent>,
}

impl Journal {
    pub fn moment(&self) -> usize {
        self.walls.len().saturating_sub(1)
    }

    /// Everything below `high` is there.
    pub fn append(&mut self, partition: &TopicPartition, high: i64) {
        let moment = self.moment();
        self.appended.entry(partition.clone()).or_default().resize(high as usize, moment);
    }

    pub fn send(&mut self, offset: CommitOffset, by: Life) {
        self.sent.push(Sent { offset, by });
    }

    /// Takes over what is new in the group's history.
    pub fn commit(&mut self, news: Vec<(TopicPartition, Committed)>) {
        for (partition, committed) in news {
            let same = |sent: &&Sent| sent.offset.partition == partition && sent.offset.committed == committed;
            let by = self.sent.iter().rev().find(same).map(|sent| sent.by);
            let moment = self.moment();
            self.commits.push(Commit { partition, committed, by, moment });
        }
    }

    pub fn observe(&mut self, life: Life, point: Point) {
        let points = self.lives.entry(life).or_default();
        let known = |last: &Point| (last.position, last.watermark_ms) == (point.position, point.watermark_ms);
        if !points.last().is_some_and(known) {
            points.push(point);
        }
    }
}
