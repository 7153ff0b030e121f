//! What a lane needs to know beyond the configuration; plain values and handles.

use crate::budget::{Ladder, Memory};
use crate::checkpoint::Digest;
use crate::config::Config;
use crate::pool::{Limits, Pool};
use crate::recent::{Mailbox, Recent};
use crate::traces::Traces;
use std::time::Duration;

/// What a lane needs to know beyond the configuration.
#[derive(Clone, Debug)]
pub struct LaneOptions {
    /// Number of the lane in its process, for logs.
    pub lane: usize,
    /// Seed of the hash of keys: random for each process, because keys come from outside.
    pub seed: u64,
    /// Capacity of the record batch in bytes.
    pub batch_bytes: usize,
    /// Capacity of the record batch in records.
    pub batch_records: usize,
    /// How long a revoked partition may be kept for its last commit.
    pub revoke_timeout: Duration,
    /// The digest of a former configuration whose open windows may be rebuilt under the present rules.
    pub accept_digest: Option<Digest>,
    /// Longest time that producing may take before a burst is split between window ends.
    pub split_after: Duration,
    /// Where its state lives: one pool for the whole process.
    pub pool: Pool,
    /// How far that is filled: one ladder for the whole process.
    pub ladder: Ladder,
    /// Where committed windows stay readable for a while.
    pub recent: Recent,
    /// Where questions about open windows come in.
    pub mailbox: Mailbox,
    /// Where the spans of its transactions go; `None`: there are none. With it, a lane needs a thread of its own: the
    /// lines of that thread carry the ids.
    pub traces: Option<Traces>,
}

impl LaneOptions {
    /// The options of lane number `lane` for a configuration, without a budget.
    pub fn new(lane: usize, config: &Config) -> Self {
        let pool = Pool::new(Limits::UNBOUNDED);
        Self {
            lane,
            seed: 0,
            batch_bytes: 1 << 20,
            batch_records: 8192,
            revoke_timeout: config.commit.timeout.min(poll_interval(config) / 2),
            accept_digest: None,
            split_after: config.commit.timeout / 3,
            ladder: Ladder::new(pool.clone(), None),
            pool,
            recent: Recent::off(),
            mailbox: Mailbox::default(),
            traces: None,
        }
    }

    /// The same within the memory of a process.
    pub fn within(lane: usize, config: &Config, memory: &Memory) -> Self {
        let settings = &memory.budget.settings;
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        Self {
            batch_bytes: size(settings.batch_bytes),
            batch_records: size(settings.batch_records),
            pool: memory.pool.clone(),
            ladder: memory.ladder.clone(),
            ..Self::new(lane, config)
        }
    }
}

/// `max.poll.interval.ms`: a member that does not answer for longer is put out of the group.
fn poll_interval(config: &Config) -> Duration {
    const NAME: &str = "max.poll.interval.ms";
    const DEFAULT: Duration = Duration::from_secs(300);
    let set = config.kafka.consumer_properties.get(NAME).or_else(|| config.kafka.properties.get(NAME));
    set.and_then(|ms| ms.parse().ok()).map_or(DEFAULT, Duration::from_millis)
}
