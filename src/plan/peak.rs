//! The expected peak of one worker, holder by holder, beside what the budget lets each have at the worst.
//!
//! The peak comes while a worker catches up: queues and batches are full then, and windows close faster than commits
//! come. At the pace of the stream itself the queues are nearly empty.

use super::load::Load;
use super::speed;
use super::state::State;
use crate::budget::{Budget, Holder, RECORD_OVERHEAD_BYTES};
use crate::config::Config;
use crate::pool::Need;

/// Its place and the like, for each record of a batch.
const BATCH_RECORD_BYTES: f64 = 176.0;
/// What allocators keep beside what they were asked for: one part in so many.
const SLACK_SHARE: f64 = 32.0;

/// Bytes of one holder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Who.
    pub holder: Holder,
    /// What it will have at its fullest.
    pub expected_bytes: f64,
    /// What the budget lets it have.
    pub bound_bytes: u64,
}

/// Bytes of each holder of `budget`, for a worker that has a share of the load and this `state` of it.
pub(super) fn shares(config: &Config, load: &Load, share: f64, budget: &Budget, state: &State) -> Vec<Share> {
    let lanes = budget.lanes as f64;
    let settings = &budget.settings;
    let overhead = RECORD_OVERHEAD_BYTES as f64;
    let record = load.key_bytes + load.value_bytes;
    let result = result_bytes(config, load);
    // Two limits, bytes and records, whichever comes first.
    let full = |bytes: u64, records: u64, each: f64| (bytes as f64 / each.max(1.0)).min(records as f64);
    let ends = windows_in_a_tide(config, load.rate * share, lanes);
    let mut expected = Holder::ALL.map(|holder| match holder {
        Holder::Fixed | Holder::Clients => budget.share(holder) as f64,
        Holder::ConsumerQueues => {
            let records = full(settings.consumer_queue_bytes, settings.consumer_queue_records, record);
            // The last response may come when the queue is nearly full.
            let response = settings.fetch_bytes as f64;
            lanes * (records * (record + overhead) + response + response / record.max(1.0) * overhead)
        }
        Holder::ProducerQueues => {
            let records = full(settings.producer_queue_bytes, settings.producer_queue_records, result)
                .min(state.window_rows.max / lanes * ends);
            lanes * records * (2.0 * result + overhead)
        }
        Holder::Batches => {
            let records = full(settings.batch_bytes, settings.batch_records, record);
            lanes * records * (record + BATCH_RECORD_BYTES)
        }
        Holder::Scratch => lanes * result.max(4096.0),
        Holder::Slack => 0.0,
        Holder::Pool => pool_bytes(budget, state, ends),
    });
    expected[Holder::Slack as usize] = expected.iter().sum::<f64>() / SLACK_SHARE;
    let share = |(holder, bytes): (Holder, f64)| {
        let bound_bytes = budget.share(holder);
        Share { holder, expected_bytes: bytes.min(bound_bytes as f64), bound_bytes }
    };
    Holder::ALL.into_iter().zip(expected).map(share).collect()
}

/// Open windows, those that wait for a commit while the worker catches up, and recent results, which grow to their limit.
fn pool_bytes(budget: &Budget, state: &State, ends: f64) -> f64 {
    let mean_share = state.window_rows.mean / state.window_rows.max.max(1.0);
    // Whole windows of a partition, as many as there is room for.
    let block = (state.window_bytes / state.partitions).max(1.0);
    let recent = (budget.recent_bytes as f64 / block).floor() * block;
    let allowed = budget.limits.allowed_bytes(Need::Merge) as f64;
    // Windows that wait never fill the pool: commits come early then.
    let waits = ((ends - 1.0) * state.window_bytes * mean_share).min((allowed - state.bytes - recent).max(0.0) / 2.0);
    state.bytes + waits + recent
}

/// Window ends that pass between two commits while records are read as fast as they can be; at least the one.
fn windows_in_a_tide(config: &Config, rate: f64, lanes: f64) -> f64 {
    let read = lanes * speed::RECORDS * config.commit.interval.as_secs_f64();
    let each = rate * config.pipeline.window.every_ms as f64 / 1000.0;
    if each > 0.0 { (read / each).ceil().max(1.0) } else { 1.0 }
}

/// Mean length of the value of a result, in bytes.
pub(super) fn result_bytes(config: &Config, load: &Load) -> f64 {
    use crate::config::AggregateKind::{First, Last};
    /// `{"key":"","window_start":1700000000000,"window_end":1700000000000}`
    const FRAME: f64 = 66.0;
    const NUMBER: f64 = 6.0;
    let aggregates = config.pipeline.aggregates.iter().map(|aggregate| {
        let value = if matches!(aggregate.kind, First | Last) { load.text_bytes } else { NUMBER };
        aggregate.name.len() as f64 + 4.0 + value
    });
    FRAME + load.key_bytes + aggregates.sum::<f64>()
}
