//! `memory.budget` as a sum: one term for each holder of memory, and what is left is the pool.
//!
//! Pure arithmetic over the configuration: it measures nothing, allocates nothing and asks nobody. What the sum says
//! is obeyed elsewhere: queues by librdkafka, the batch by the lane, everything else by the pool.

mod bytes;
mod ladder;
mod machine;
mod memory;
mod refusal;
mod resident;
mod settings;

pub use bytes::Mib;
pub use ladder::{Ladder, Step, Voice};
pub use machine::{Auto, Machine};
pub use memory::Memory;
pub use refusal::TooSmall;
pub use resident::Resident;
pub use settings::{RECORD_OVERHEAD_BYTES, Settings};

use crate::config::{Config, Recent};
use crate::pool::Limits;
use settings::{RESPONSE_RECORD_BYTES, record_bytes_max, result_bytes_max};
use std::fmt;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// An idle process without lanes, resident: 7 MiB of the binary's own pages, the rest runtime, HTTP and allocator.
const FIXED_BYTES: u64 = 14 * MIB;
/// An idle consumer and producer with their threads.
const CLIENTS_BYTES: u64 = 3 * MIB / 2;
/// Of the whole budget, what allocators keep beside what they were asked for: 1/32.
const SLACK_SHARE: u64 = 32;
/// What a lane keeps of each record of its batch beside the bytes: its place in the batch, and room for the buffers to grow.
const BATCH_RECORD_OVERHEAD_BYTES: u64 = 176;
/// A scratch is at least one page.
const SCRATCH_BYTES_MIN: u64 = 4 * KIB;
/// The reserve is a tenth of the budget, but no more than a quarter of the pool.
const RESERVE_SHARE: u64 = 10;
const RESERVE_OF_POOL: u64 = 4;
/// Below this a lane cannot keep even one small window beside the one that waits for its commit.
const POOL_BYTES_MIN: u64 = 2 * MIB;
/// `lanes: auto` takes fewer lanes rather than leave less than this part of the budget to the pool.
const AUTO_POOL_SHARE: u64 = 4;
/// Recent results have at most this part of the pool: they are a convenience.
const RECENT_OF_POOL: u64 = 2;

/// Who holds memory; the words of the metrics' label `holder`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// Binary, runtime, HTTP, allocator.
    Fixed,
    /// Each lane's consumer and producer, without their queues.
    Clients,
    /// Records fetched and not polled yet, in librdkafka.
    ConsumerQueues,
    /// Records produced and not acknowledged yet, in librdkafka.
    ProducerQueues,
    /// Records polled and not merged yet.
    Batches,
    /// The result that is being encoded.
    Scratch,
    /// What allocators keep beside what they were asked for.
    Slack,
    /// Windows, late records and dead letters until their commit, recent results.
    Pool,
}

impl Holder {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 8] = [
        Self::Fixed,
        Self::Clients,
        Self::ConsumerQueues,
        Self::ProducerQueues,
        Self::Batches,
        Self::Scratch,
        Self::Slack,
        Self::Pool,
    ];

    /// The word for it in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Clients => "clients",
            Self::ConsumerQueues => "consumer_queues",
            Self::ProducerQueues => "producer_queues",
            Self::Batches => "batches",
            Self::Scratch => "scratch",
            Self::Slack => "slack",
            Self::Pool => "pool",
        }
    }

    /// What it is, for people.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Fixed => "binary, runtime, HTTP, allocator",
            Self::Clients => "Kafka clients, idle",
            Self::ConsumerQueues => "records fetched, and one response",
            Self::ProducerQueues => "records on their way to the broker",
            Self::Batches => "records polled",
            Self::Scratch => "the result being encoded",
            Self::Slack => "what allocators keep beside it",
            Self::Pool => "windows, what waits for a commit, recent results",
        }
    }
}

/// How many lanes there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lanes {
    /// As `lanes` says: fewer are no answer.
    Exactly(usize),
    /// `lanes: auto`: one for each core, capped by partitions; fewer if the budget asks for it.
    AtMost(usize),
}

impl Lanes {
    /// What `config` says on a machine with `cores`; `partitions` where they are known.
    pub fn of(config: &Config, cores: usize, partitions: Option<usize>) -> Self {
        let cap = |lanes: usize| lanes.min(partitions.unwrap_or(usize::MAX)).max(1);
        config.lanes.map_or(Self::AtMost(cap(cores)), |lanes| Self::Exactly(cap(lanes)))
    }

    /// The largest number.
    pub const fn max(self) -> usize {
        match self {
            Self::Exactly(lanes) | Self::AtMost(lanes) => lanes,
        }
    }
}

/// A budget that fits: who may hold how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// All of it, in bytes.
    pub total_bytes: u64,
    /// Number of lanes.
    pub lanes: usize,
    /// The limits of each lane's buffers.
    pub settings: Settings,
    /// What the pool may hold, and its reserve.
    pub limits: Limits,
    /// What recent results may hold of the pool, in bytes; 0 is off.
    pub recent_bytes: usize,
    shares: Shares,
}

/// Bytes for each of [`Holder::ALL`].
type Shares = [u64; Holder::ALL.len()];

impl Budget {
    /// Divides `total_bytes`.
    ///
    /// # Errors
    /// They do not suffice: the arithmetic, and what would.
    pub fn of(config: &Config, total_bytes: u64, lanes: Lanes) -> Result<Self, TooSmall> {
        let fewest = if matches!(lanes, Lanes::AtMost(_)) { 1 } else { lanes.max() };
        for count in (fewest..=lanes.max()).rev() {
            let shares = shares(config, total_bytes, count);
            let pool = pool_bytes(total_bytes, &shares);
            let is_last = count == fewest;
            if pool >= (if is_last { POOL_BYTES_MIN } else { total_bytes / AUTO_POOL_SHARE }) {
                return Ok(Self::new(config, total_bytes, count, shares, pool));
            }
        }
        Err(TooSmall::new(config, total_bytes, fewest))
    }

    fn new(config: &Config, total_bytes: u64, lanes: usize, mut shares: Shares, pool: u64) -> Self {
        shares[Holder::Pool as usize] = pool;
        let reserve = (total_bytes / RESERVE_SHARE).min(pool / RESERVE_OF_POOL);
        let recent = match config.memory.recent {
            Recent::Off => 0,
            Recent::Share { percent } => pool * percent / 100,
            Recent::Bytes(bytes) => bytes,
        };
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        Self {
            total_bytes,
            lanes,
            settings: Settings::of(config, total_bytes / lanes as u64),
            limits: Limits { ceiling_bytes: size(pool), reserve_bytes: size(reserve) },
            recent_bytes: size(recent.min(pool / RECENT_OF_POOL)),
            shares,
        }
    }

    /// What a holder may hold, in bytes.
    pub const fn share(&self, holder: Holder) -> u64 {
        self.shares[holder as usize]
    }
}

/// The sum: bytes that each holder takes of a budget, with nothing for the pool.
fn shares(config: &Config, total_bytes: u64, lanes: usize) -> Shares {
    let lanes = lanes as u64;
    let settings = Settings::of(config, total_bytes / lanes);
    let record = record_bytes_max(config);
    // Full responses are of small records; a single large batch is returned even if it exceeds the response's limit.
    let records_in_response = settings.fetch_bytes / RESPONSE_RECORD_BYTES;
    let response =
        (settings.fetch_bytes + records_in_response * RECORD_OVERHEAD_BYTES).max(settings.fetch_bytes + record);
    Holder::ALL.map(|holder| match holder {
        // Measured: see `FIXED_BYTES`.
        Holder::Fixed => FIXED_BYTES,
        // Measured, for each lane: see `CLIENTS_BYTES`.
        Holder::Clients => lanes * CLIENTS_BYTES,
        // Two limits, bytes and records, whichever comes first; librdkafka looks at them before it fetches, not after.
        Holder::ConsumerQueues => {
            lanes * (settings.consumer_queue_bytes + settings.consumer_queue_records * RECORD_OVERHEAD_BYTES + response)
        }
        // Values and their overhead (keys and headers with it), and once more the values, in requests not answered yet.
        Holder::ProducerQueues => {
            lanes * (2 * settings.producer_queue_bytes + settings.producer_queue_records * RECORD_OVERHEAD_BYTES)
        }
        // The batch is full when it has reached its limit, so one record may lie beyond; it grows by doubling.
        Holder::Batches => {
            lanes * (2 * settings.batch_bytes + record + settings.batch_records * BATCH_RECORD_OVERHEAD_BYTES)
        }
        // One result at a time.
        Holder::Scratch => lanes * result_bytes_max(config).max(SCRATCH_BYTES_MIN),
        Holder::Slack => total_bytes / SLACK_SHARE,
        Holder::Pool => 0,
    })
}

/// What is left of the budget, in whole pages.
fn pool_bytes(total_bytes: u64, shares: &Shares) -> u64 {
    const PAGE: u64 = 4 * KIB;
    total_bytes.saturating_sub(shares.iter().sum()) / PAGE * PAGE
}

impl fmt::Display for Budget {
    /// A line for each holder, each setting, and the sum.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lanes = if self.lanes == 1 { "lane" } else { "lanes" };
        writeln!(f, "memory.budget {} for {} {lanes}:", Mib(self.total_bytes), self.lanes)?;
        for holder in Holder::ALL {
            let bytes = Mib(self.share(holder)).to_string();
            writeln!(f, "  {:<16}{bytes:>10}  {}", holder.as_str(), holder.meaning())?;
        }
        let Limits { reserve_bytes, .. } = self.limits;
        writeln!(
            f,
            "of the pool, {} are the reserve, and recent results have at most {}",
            Mib(reserve_bytes as u64),
            Mib(self.recent_bytes as u64)
        )?;
        writeln!(f, "for each lane:")?;
        self.settings.fmt(f)
    }
}

#[cfg(test)]
mod tests;
