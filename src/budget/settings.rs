//! What the budget makes of a lane: the limits of its queues, its fetches and its record batch.
//!
//! Small budgets get small queues; a record of `source.max_record` passes through the smallest. Knows bytes, and no
//! property of librdkafka by name.

use super::Mib;
use crate::config::Config;
use std::fmt;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// Of what one lane may have in all, its queue of records is this part.
const QUEUE_SHARE: u64 = 64;
/// A queue below this waits for the network, one above it only for its own cache misses.
const QUEUE_BYTES: [u64; 2] = [256 * KIB, 8 * MIB];
const FETCH_BYTES: [u64; 2] = [128 * KIB, 4 * MIB];
/// One partition in one response; what stays in the processor's cache.
const PARTITION_FETCH_BYTES_MAX: u64 = MIB;
/// What librdkafka's producer takes unless `message.max.bytes` says otherwise.
const MESSAGE_BYTES_MAX: u64 = 1_000_000;
/// The longest text that `first` and `last` keep.
const TEXT_BYTES_MAX: u64 = 65_535;
/// A record that waits in a queue of librdkafka costs this much beside its value (109 bytes measured as 420 in all).
pub const RECORD_OVERHEAD_BYTES: u64 = 420;
/// The smallest record that a full fetch response is made of, in bytes; smaller ones cost more than is counted.
pub(super) const RESPONSE_RECORD_BYTES: u64 = 64;

/// The limits of one lane's buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of records that may wait in the consumer's queue.
    pub consumer_queue_bytes: u64,
    /// Records that may wait there.
    pub consumer_queue_records: u64,
    /// Largest response to a fetch; a single batch of records may be larger.
    pub fetch_bytes: u64,
    /// Share of one partition in it.
    pub partition_fetch_bytes: u64,
    /// Bytes of values that may wait in the producer's queue.
    pub producer_queue_bytes: u64,
    /// Records that may wait there.
    pub producer_queue_records: u64,
    /// Capacity of the record batch in bytes.
    pub batch_bytes: u64,
    /// Capacity of the record batch in records.
    pub batch_records: u64,
}

impl Default for Settings {
    /// Those of a lane with the default budget for itself.
    fn default() -> Self {
        Self::within(256 * MIB, MESSAGE_BYTES_MAX)
    }
}

impl Settings {
    /// The smallest that a lane may have.
    pub fn least() -> Self {
        Self::within(0, MESSAGE_BYTES_MAX)
    }

    /// The settings of a lane that has `lane_bytes` in all.
    pub(super) fn of(config: &Config, lane_bytes: u64) -> Self {
        Self::within(lane_bytes, message_bytes_max(config))
    }

    fn within(lane_bytes: u64, message_bytes_max: u64) -> Self {
        let queue = within(lane_bytes / QUEUE_SHARE, QUEUE_BYTES);
        let fetch = within(queue / 4, FETCH_BYTES);
        // A record that the producer takes must find room in an empty queue, or it would wait for ever.
        let producer_queue = queue.max(message_bytes_max + KIB);
        // librdkafka hides what is queued while it is drained, and goes on fetching: only a queue that is emptied every
        // time stays within its limit. So a batch takes what may lie there: the queue, and one response beyond.
        let batch_records = queue / RECORD_OVERHEAD_BYTES + fetch / RESPONSE_RECORD_BYTES;
        Self {
            consumer_queue_bytes: queue,
            consumer_queue_records: queue / RECORD_OVERHEAD_BYTES,
            fetch_bytes: fetch,
            partition_fetch_bytes: fetch.min(PARTITION_FETCH_BYTES_MAX),
            producer_queue_bytes: producer_queue,
            producer_queue_records: producer_queue / RECORD_OVERHEAD_BYTES,
            batch_bytes: queue + fetch,
            batch_records,
        }
    }
}

/// The largest key and value that are not dead letters, in bytes.
pub(super) fn record_bytes_max(config: &Config) -> u64 {
    (config.pipeline.max_record_bytes + config.pipeline.max_key_bytes) as u64
}

/// The largest result that this configuration can make, in bytes: every byte of its key escaped, every text as long
/// as texts can be.
pub(super) fn result_bytes_max(config: &Config) -> u64 {
    use crate::config::AggregateKind::{First, Last};
    /// Braces, member names and numbers of the window, a topic's name.
    const FRAME: u64 = 512;
    const NUMBER: u64 = 32;
    let escaped_key = 6 * config.pipeline.max_key_bytes as u64;
    let aggregates = config.pipeline.aggregates.iter().map(|aggregate| {
        let value = if matches!(aggregate.kind, First | Last) { TEXT_BYTES_MAX } else { NUMBER };
        aggregate.name.len() as u64 + 4 + value
    });
    FRAME + escaped_key + aggregates.sum::<u64>()
}

/// The largest record that the producer takes, in bytes: `message.max.bytes`.
fn message_bytes_max(config: &Config) -> u64 {
    const NAME: &str = "message.max.bytes";
    let set = config.kafka.producer_properties.get(NAME).or_else(|| config.kafka.properties.get(NAME));
    set.and_then(|bytes| bytes.parse().ok()).unwrap_or(MESSAGE_BYTES_MAX)
}

fn within(bytes: u64, [min, max]: [u64; 2]) -> u64 {
    bytes.clamp(min, max) / KIB * KIB
}

impl fmt::Display for Settings {
    /// A line for each buffer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, bytes: u64, more: fmt::Arguments<'_>| {
            writeln!(f, "  {name:<16}{:>10}  {more}", Mib(bytes).to_string())
        };
        let Self { consumer_queue_records, partition_fetch_bytes, producer_queue_records, batch_records, .. } = *self;
        line("consumer queue", self.consumer_queue_bytes, format_args!("or {consumer_queue_records} records"))?;
        line("fetch response", self.fetch_bytes, format_args!("{} of one partition", Mib(partition_fetch_bytes)))?;
        line("producer queue", self.producer_queue_bytes, format_args!("or {producer_queue_records} records"))?;
        line("batch", self.batch_bytes, format_args!("or {batch_records} records"))
    }
}
