//! Producing what a tide makes visible, and releasing it afterwards.
//!
//! Results are encoded one at a time into a recycled buffer; the broker copies. Everything stays where it is until the
//! commit, so that an aborted tide produces the same again.

use super::tide::{Cursor, Phase};
use super::{Lane, Stop};
use crate::broker::{Broker, Headers, Outgoing, Outlet, ProduceError, Slot, write_text_header};
use crate::clock::Clock;
use crate::encode::Frame;
use crate::error::{BrokerError, ErrorKind};
use crate::metrics::LaneCounts;
use crate::partitioner;
use crate::pool::Spot;
use crate::task::{ClosedBy, Task};

/// Recycled bytes of the record that is being encoded.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    value: Vec<u8>,
    headers: Vec<u8>,
    frame: Frame,
    /// The partition and window that the frame is for.
    framed: Option<(Slot, i64)>,
    /// Partitions of the outlet that was asked for last in this step.
    partitions: Option<(Outlet, i32)>,
}

/// What became of one record.
enum Sent {
    Queued,
    /// The cursor stands behind the last record.
    Nothing,
    Full,
    Refused(String),
    Failed(BrokerError),
}

impl<B: Broker, C: Clock> Lane<B, C> {
    /// **encode**, **produce**: begins a transaction if one is due, and queues as much as the producer takes.
    pub(super) fn produce(&mut self) -> Result<(), Stop> {
        if self.tide.phase == Phase::Idle {
            self.begin_tide()?;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let before = self.counts.encoded_bytes;
        let produced = self.produce_all(&mut scratch);
        self.tide.bytes += self.counts.encoded_bytes - before;
        self.scratch = scratch;
        produced
    }

    fn produce_all(&mut self, scratch: &mut Scratch) -> Result<(), Stop> {
        let now_ms = self.clock.now_ms();
        scratch.partitions = None;
        while self.tide.phase == Phase::Producing {
            self.advance();
            if self.is_burst_too_long() {
                self.split();
            }
            match self.produce_one(scratch, now_ms) {
                Sent::Queued => self.step_cursor(),
                Sent::Nothing => {
                    self.mark("produced");
                    self.tide.phase = Phase::Sending;
                }
                Sent::Full if self.tide.is_overdue(self.clock.monotonic()) => {
                    let error = BrokerError::fatal("the queue stayed full until the transaction's deadline");
                    self.lose_producer("producing", &error, false)?;
                }
                Sent::Full => return Ok(()),
                Sent::Refused(why) => self.truncate_at(self.tide.cursor, &why)?,
                Sent::Failed(error) => {
                    let same_again = error.kind == ErrorKind::Retry;
                    self.failed("producing", error, false)?;
                    if same_again {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// **release**: what the last commit made visible was released with it; counts move on to the lane.
    pub(super) fn release(&mut self) {
        let now = self.clock.monotonic();
        for holding in self.holdings.values_mut() {
            let Some(task) = holding.task_mut() else { continue };
            if let Some((offset, reason)) = task.dropped_last.take()
                && let Some(left_out) = self.dropped_lines.allow(now)
            {
                tracing::warn!(partition = %task.partition, offset, %reason, left_out,
                    "record dropped: no topic is configured for it");
            }
            self.counts.take(task);
        }
    }

    /// The commit stands: nothing of this part is needed any more.
    pub(super) fn finish_part(&mut self, index: usize) {
        let Some(part) = self.tide.parts.get(index).copied() else { return };
        let Some(offset) = self.tide.offsets.get_mut(index) else { return };
        let Some(task) = self.holdings.get_mut(&part.slot).and_then(super::Holding::task_mut) else { return };
        let now = self.clock.monotonic();
        for closed in task.closed.iter().take(part.windows) {
            self.counts.close_latency.took(now.saturating_sub(closed.at.unwrap_or(now)));
            match closed.by {
                ClosedBy::Watermark => self.counts.closed_by_watermark += closed.table.len() as u64,
                ClosedBy::Idle => self.counts.closed_by_idle += closed.table.len() as u64,
            }
            self.counts.produced.add(Outlet::Sink, closed.table.len() as u64);
        }
        for index in 0..part.rejected {
            if let Some(rejected) = task.rejected.get(index, usize::MAX) {
                self.counts.produced.add(if rejected.is_late() { Outlet::Late } else { Outlet::DeadLetter }, 1);
            }
        }
        let committed = std::mem::take(&mut offset.committed);
        let before = task.release(&mut self.context, part.windows, part.rejected, committed);
        offset.committed = before.unwrap_or_default();
    }

    /// The broker refused records for good: those go out without their value. Without isolation the named ones may be
    /// innocent companions, so the next attempt isolates.
    pub(super) fn learn_refusals(&mut self) -> Result<(), Stop> {
        let mut refused = Vec::new();
        self.broker.refused(&mut refused);
        if refused.is_empty() {
            return Ok(());
        }
        if !std::mem::replace(&mut self.tide.isolate, true) {
            return Ok(());
        }
        for (token, why) in refused {
            if let Some(cursor) = self.cursor_of(token) {
                self.truncate_at(cursor, &why)?;
                self.tide.forget_failures();
            }
        }
        Ok(())
    }

    /// Moves the cursor over finished windows, parts and vanished tasks, to the next record if there is one.
    fn advance(&mut self) {
        while let Some(part) = self.tide.parts.get(self.tide.cursor.part) {
            let cursor = self.tide.cursor;
            let task = self.holdings.get(&part.slot).and_then(super::Holding::task);
            let next = match task {
                None => Cursor { part: cursor.part + 1, ..Cursor::default() },
                Some(task) => match task.closed.get(cursor.window).filter(|_| cursor.window < part.windows) {
                    Some(closed) if cursor.row < closed.table.len() => return,
                    Some(_) => Cursor { window: cursor.window + 1, row: 0, spot: Spot::default(), ..cursor },
                    None if cursor.rejected < part.rejected => return,
                    None => Cursor { part: cursor.part + 1, ..Cursor::default() },
                },
            };
            self.tide.cursor = next;
        }
    }

    fn step_cursor(&mut self) {
        self.tide.tokens += 1;
        let cursor = &mut self.tide.cursor;
        let Some(part) = self.tide.parts.get(cursor.part) else { return };
        if cursor.window >= part.windows {
            cursor.rejected += 1;
            return;
        }
        let task = self.holdings.get(&part.slot).and_then(super::Holding::task);
        let closed = task.and_then(|task| task.closed.get(cursor.window));
        let next = closed.and_then(|closed| closed.table.next(&self.context.panes.layout, cursor.spot));
        cursor.row += 1;
        cursor.spot = next.unwrap_or_default();
    }

    /// True between two window ends, or two partitions, of a burst that has taken its share of the transaction's time.
    fn is_burst_too_long(&self) -> bool {
        let cursor = self.tide.cursor;
        let Some(part) = self.tide.parts.get(cursor.part) else { return false };
        let between_ends = cursor.row == 0 && cursor.window > 0 && cursor.window < part.windows;
        let between_parts = cursor.part > 0 && cursor == Cursor { part: cursor.part, ..Cursor::default() };
        (between_ends || between_parts)
            && self.clock.monotonic().saturating_sub(self.tide.began) >= self.options.split_after
    }

    /// Ends the transaction after the last whole window end, or partition: the rest goes into the next.
    fn split(&mut self) {
        let cursor = self.tide.cursor;
        let Some(part) = self.tide.parts.get_mut(cursor.part) else { return };
        self.tide.first_slot = part.slot;
        if cursor.window == 0 {
            self.tide.parts.truncate(cursor.part);
            return;
        }
        let Some(task) = self.holdings.get(&part.slot).and_then(super::Holding::task) else { return };
        let Some(committed) = task.commit_point_after(&self.context, cursor.window - 1) else { return };
        tracing::info!(partition = %task.partition, windows = cursor.window, of = part.windows,
            "burst is split between window ends");
        part.windows = cursor.window;
        part.rejected = task.rejected.count_below(committed.offset);
        if let Some(offset) = self.tide.offsets.get_mut(cursor.part) {
            offset.committed = committed;
        }
        self.tide.parts.truncate(cursor.part + 1);
        self.advance();
    }

    /// `now_ms`: no result is from later than that.
    fn produce_one(&mut self, scratch: &mut Scratch, now_ms: i64) -> Sent {
        let cursor = self.tide.cursor;
        let Some(part) = self.tide.parts.get(cursor.part) else { return Sent::Nothing };
        let Some(task) = self.holdings.get(&part.slot).and_then(super::Holding::task) else { return Sent::Nothing };
        scratch.value.clear();
        scratch.headers.clear();
        let (outlet, whole_key, key, value, timestamp_ms);
        let mut not_finite = 0;
        if cursor.window < part.windows {
            let layout = &self.context.panes.layout;
            let Some(closed) = task.closed.get(cursor.window) else { return Sent::Nothing };
            let Some(row) = closed.table.row(layout, cursor.spot) else { return Sent::Nothing };
            if scratch.framed != Some((part.slot, closed.end_ms)) {
                scratch.framed = Some((part.slot, closed.end_ms));
                self.encoder.write_frame(&task.partition, closed.end_ms, &mut scratch.frame);
            }
            not_finite = self.encoder.encode(&scratch.frame, layout, &row, &mut scratch.value);
            let truncated = closed.truncated.contains(&cursor.row);
            if truncated {
                let len = scratch.value.len();
                write_text_header(&mut scratch.headers, b"tidemill.truncated", format_args!("{len}"));
            }
            outlet = Outlet::Sink;
            whole_key = Some(row.key);
            key = Some(row.key);
            value = (!truncated).then_some(&*scratch.value);
            timestamp_ms = (closed.end_ms - 1).min(now_ms);
        } else {
            let key_max = self.context.pipeline.max_key_bytes;
            let Some(rejected) = task.rejected.get(cursor.rejected, key_max) else { return Sent::Nothing };
            rejected.write_headers(&task.partition, &mut scratch.headers);
            outlet = if rejected.is_late() { Outlet::Late } else { Outlet::DeadLetter };
            whole_key = rejected.key;
            key = rejected.key_out();
            value = rejected.value;
            timestamp_ms = if rejected.timestamp_ms < 0 { now_ms } else { rejected.timestamp_ms.min(now_ms) };
        }
        let partitions = match scratch.partitions {
            Some((asked, partitions)) if asked == outlet => partitions,
            _ => match self.broker.partitions(outlet) {
                Ok(partitions) => scratch.partitions.insert((outlet, partitions)).1,
                Err(error) => return Sent::Failed(error),
            },
        };
        let outgoing = Outgoing {
            outlet,
            partition: partitioner::partition(whole_key, task.partition.partition, partitions),
            timestamp_ms: timestamp_ms.max(1),
            key,
            value,
            headers: Headers(&scratch.headers),
            token: self.tide.tokens,
        };
        match self.broker.produce(&outgoing) {
            Ok(()) => {
                self.counts.sums_not_finite += not_finite as u64;
                self.counts.encoded_bytes += scratch.value.len() as u64;
                Sent::Queued
            }
            Err(ProduceError::Full) => Sent::Full,
            Err(ProduceError::Refused(why)) => Sent::Refused(why),
            Err(ProduceError::Broker(error)) => Sent::Failed(error),
        }
    }

    /// The record under the cursor goes out without its value from now on.
    fn truncate_at(&mut self, cursor: Cursor, why: &str) -> Result<(), Stop> {
        let Some(part) = self.tide.parts.get(cursor.part) else { return Ok(()) };
        let in_windows = cursor.window < part.windows;
        let Some(task) = self.holdings.get_mut(&part.slot).and_then(super::Holding::task_mut) else { return Ok(()) };
        let partition = task.partition.clone();
        let (what, fresh) = if in_windows {
            let Some(closed) = task.closed.get_mut(cursor.window) else { return Ok(()) };
            let fresh = !closed.truncated.contains(&cursor.row);
            closed.truncated.push(cursor.row);
            let at = closed.offset();
            (
                format!("result {} of the window that ends at {} (closed at offset {at})", cursor.row, closed.end_ms),
                fresh,
            )
        } else {
            let offset = task.rejected.get(cursor.rejected, 0).map_or(-1, |rejected| rejected.offset);
            (format!("the record at offset {offset}"), task.rejected.truncate(cursor.rejected))
        };
        if fresh {
            tracing::warn!(%partition, why, "{what} is refused for good: it goes out without its value");
            return Ok(());
        }
        Err(Stop(format!(
            "{partition}: {what} is refused for good, even without its value ({why}). Raise `max.message.bytes` of the \
             topic it goes to, or mend what the broker names, and start again: nothing is lost"
        )))
    }

    /// Where the cursor stood when a token was given: the order of producing is the same again. `None` if a task has
    /// gone since: then nobody can say.
    fn cursor_of(&self, token: u64) -> Option<Cursor> {
        let mut rest = usize::try_from(token).ok()?;
        for (index, part) in self.tide.parts.iter().enumerate() {
            let task = self.holdings.get(&part.slot).and_then(super::Holding::task)?;
            for (window, closed) in task.closed.iter().take(part.windows).enumerate() {
                if rest < closed.table.len() {
                    let spot = closed.table.spot_of(&self.context.panes.layout, rest)?;
                    return Some(Cursor { part: index, window, row: rest, spot, rejected: 0 });
                }
                rest -= closed.table.len();
            }
            if rest < part.rejected {
                return Some(Cursor { part: index, window: part.windows, rejected: rest, ..Cursor::default() });
            }
            rest -= part.rejected;
        }
        None
    }
}

impl LaneCounts {
    /// Takes over what a task has counted.
    pub(super) fn take(&mut self, task: &mut Task) {
        self.fates.add(&std::mem::take(&mut task.counts));
        self.offset_gaps += std::mem::take(&mut task.gap_offsets);
        self.restored_records += std::mem::take(&mut task.restored_records);
        if let Some(took) = task.restored_in.take() {
            self.restores.took(took);
        }
        self.dropped.late += std::mem::take(&mut task.dropped_late);
        self.dropped.dead_letter += std::mem::take(&mut task.dropped_dead);
    }
}
