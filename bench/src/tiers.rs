//! What the shares and trims of the pool's tiers cost and spare: buffers that had to be fresh, and buffers that lay about.
//!
//! Two lanes fill and close a window each second of a virtual clock, on the real pool. Nothing is timed, so the counts are
//! the same on every machine.

use crate::report;
use anyhow::{anyhow, ensure};
use serde::Serialize;
use std::fmt::Write;
use tidemill::pool::{Class, Hot, Lease, Limits, Need, Pool, PoolOptions, Shares, Trim};

const COMMAND: &str = "cargo run -p tidemill-bench -- tiers";
const MIB: usize = 1 << 20;
/// The pool of a budget of 256 MiB.
const POOL_BYTES: usize = 192 * MIB;
const BUFFER_BYTES: usize = 64 << 10;
/// A window takes its buffers in so many steps; its predecessor is committed after the first.
const STEPS: usize = 10;
/// Before anything is counted.
const WARM_UP_SECONDS: usize = 60;
const SECONDS: usize = 600;
/// Buffers of a lane's window; half of them or half as many more where it varies.
const USUAL: usize = 200;
/// The load moves from one lane to the other after so many seconds; what it costs is the mean of them.
const MOVES_S: [usize; 4] = [3, 10, 20, 60];
/// Whatever is still there after so long stays.
const BURST_SECONDS_MAX: usize = 600;

/// Counts what other shares and trims of the pool would cost; writes a table of docs/memory.md
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Prints the table, and writes nothing
    #[arg(long)]
    dry: bool,
}

/// `memory.pool`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Setting {
    hot: u32,
    warm: u32,
    cold: u32,
    maintain_s: usize,
    warm_every: usize,
    cold_every: usize,
}

const DEFAULT: Setting = Setting { hot: 16, warm: 4, cold: 1, maintain_s: 5, warm_every: 3, cold_every: 1 };

const SETTINGS: [Setting; 11] = [
    DEFAULT,
    Setting { hot: 7, warm: 7, cold: 7, ..DEFAULT },
    Setting { hot: 4, warm: 16, cold: 1, ..DEFAULT },
    Setting { hot: 1, warm: 4, cold: 16, ..DEFAULT },
    Setting { maintain_s: 1, ..DEFAULT },
    Setting { maintain_s: 15, ..DEFAULT },
    Setting { maintain_s: 30, ..DEFAULT },
    Setting { warm_every: 1, ..DEFAULT },
    Setting { warm_every: 30, ..DEFAULT },
    Setting { cold_every: 10, ..DEFAULT },
    Setting { cold_every: 100, ..DEFAULT },
];

/// What became of a setting.
#[derive(Clone, Copy, Debug, Serialize)]
struct Outcome {
    setting: Setting,
    varying: Cost,
    moving: Cost,
    /// Until the pool holds no more than a tenth above its former level; `None`: not within ten minutes.
    burst_seconds: Option<usize>,
}

/// Under one load.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Cost {
    /// Of a thousand buffers, so many came fresh from the system.
    fresh_per_1000: f64,
    /// Mean of what is held and not lent, in bytes.
    parked_bytes: f64,
}

impl Cost {
    fn mean(costs: &[Self]) -> Self {
        let mean = |number: fn(&Self) -> f64| costs.iter().map(number).sum::<f64>() / costs.len() as f64;
        Self { fresh_per_1000: mean(|cost| cost.fresh_per_1000), parked_bytes: mean(|cost| cost.parked_bytes) }
    }
}

/// Counts everything, and tells it.
///
/// # Errors
/// The pool is too small for the load; a file cannot be written.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let outcomes = SETTINGS.into_iter().map(outcome).collect::<anyhow::Result<Vec<_>>>()?;
    let mut page = table(&outcomes);
    print!("{page}");
    if args.dry {
        return Ok(());
    }
    // Writing into memory cannot fail.
    let _ = writeln!(page, "\nCounted by `{COMMAND}`.");
    report::write_json("tiers", COMMAND, &outcomes)?;
    report::splice("docs/memory.md", "tiers", &page)
}

fn outcome(setting: Setting) -> anyhow::Result<Outcome> {
    let varying = cost(setting, |second, lane| USUAL / 2 + mix(second * 2 + lane) % (USUAL + 1))?;
    let moving = MOVES_S
        .map(|every| cost(setting, move |second, lane| if second / every % 2 == lane { 2 * USUAL } else { USUAL / 4 }));
    let moving = Cost::mean(&moving.into_iter().collect::<anyhow::Result<Vec<_>>>()?);
    Ok(Outcome { setting, varying, moving, burst_seconds: burst_seconds(setting)? })
}

/// What a load costs in the long run; `need` says how many buffers the window of a second and a lane fills.
fn cost(setting: Setting, need: impl Fn(usize, usize) -> usize) -> anyhow::Result<Cost> {
    let mut worker = Worker::new(setting)?;
    (0..WARM_UP_SECONDS).try_for_each(|second| worker.second(second, &need))?;
    let before = worker.pool.counts();
    let mut parked = 0;
    for second in WARM_UP_SECONDS..WARM_UP_SECONDS + SECONDS {
        worker.second(second, &need)?;
        parked += worker.pool.held_bytes() - worker.pool.lent_bytes();
    }
    let counts = worker.pool.counts();
    let (fresh, all) = (counts.misses() - before.misses(), counts.acquired() - before.acquired());
    Ok(Cost { fresh_per_1000: 1000.0 * fresh as f64 / all as f64, parked_bytes: parked as f64 / SECONDS as f64 })
}

/// Windows of five times the size for five seconds: how long until that does not show any more?
fn burst_seconds(setting: Setting) -> anyhow::Result<Option<usize>> {
    let mut worker = Worker::new(setting)?;
    let usual = |_, _| USUAL;
    (0..WARM_UP_SECONDS).try_for_each(|second| worker.second(second, &usual))?;
    let level = worker.pool.held_bytes();
    (0..5).try_for_each(|second| worker.second(WARM_UP_SECONDS + second, &|_, _| 5 * USUAL / 2))?;
    let after = WARM_UP_SECONDS + 5;
    ensure!(worker.pool.held_bytes() > level + level / 10, "the burst does not show");
    for second in 0..BURST_SECONDS_MAX {
        if worker.pool.held_bytes() <= level + level / 10 {
            return Ok(Some(second));
        }
        worker.second(after + second, &usual)?;
    }
    Ok(None)
}

/// Two lanes on a pool.
struct Worker {
    pool: Pool,
    lanes: [Lane; 2],
    class: Class,
    maintain_s: usize,
}

struct Lane {
    hot: Hot,
    /// The window that fills.
    open: Vec<Lease>,
}

impl Worker {
    fn new(setting: Setting) -> anyhow::Result<Self> {
        let Setting { hot, warm, cold, maintain_s, warm_every, cold_every } = setting;
        let pool = Pool::with(PoolOptions {
            limits: Limits { ceiling_bytes: POOL_BYTES, reserve_bytes: 0 },
            shares: Shares { hot, warm, cold },
            trim: Trim { warm_every, cold_every },
        });
        let lanes = [(); 2].map(|()| Lane { hot: pool.hot(), open: Vec::new() });
        let class = Class::holding(BUFFER_BYTES).ok_or_else(|| anyhow!("no class holds {BUFFER_BYTES} bytes"))?;
        Ok(Self { pool, lanes, class, maintain_s })
    }

    /// One window of each lane, and the commit of the one before.
    fn second(&mut self, second: usize, need: &impl Fn(usize, usize) -> usize) -> anyhow::Result<()> {
        let mut closed = self.lanes.each_mut().map(|lane| std::mem::take(&mut lane.open));
        for step in 0..STEPS {
            for (number, lane) in self.lanes.iter_mut().enumerate() {
                let need = need(second, number);
                for _ in need * step / STEPS..need * (step + 1) / STEPS {
                    let lease = lane.hot.acquire(self.class, Need::Merge);
                    lane.open.push(lease.map_err(|full| anyhow!("{full}: make the pool larger"))?);
                }
                if step == 0 {
                    std::mem::take(&mut closed[number]).into_iter().for_each(|lease| lane.hot.release(lease));
                    lane.hot.end_tide();
                }
            }
        }
        if second.is_multiple_of(self.maintain_s) {
            self.lanes.iter_mut().for_each(|lane| lane.hot.maintain());
        }
        Ok(())
    }
}

fn table(outcomes: &[Outcome]) -> String {
    let rows: Vec<_> = outcomes
        .iter()
        .map(|Outcome { setting, varying, moving, burst_seconds }| {
            let mark = if *setting == DEFAULT { " (default)" } else { "" };
            let mib = |cost: &Cost| format!("{:.1}", cost.parked_bytes / MIB as f64);
            [
                format!("{}:{}:{}{mark}", setting.hot, setting.warm, setting.cold),
                format!("{}s", setting.maintain_s),
                setting.warm_every.to_string(),
                setting.cold_every.to_string(),
                format!("{:.1}", varying.fresh_per_1000),
                mib(varying),
                format!("{:.1}", moving.fresh_per_1000),
                mib(moving),
                burst_seconds.map_or_else(|| format!("> {BURST_SECONDS_MAX}"), |seconds| seconds.to_string()),
            ]
        })
        .collect();
    let head = [
        "hot:warm:cold",
        "maintain",
        "warm_every",
        "cold_every",
        "varying: fresh ‰",
        "parked MiB",
        "moving: fresh ‰",
        "parked MiB",
        "burst gone after s",
    ];
    report::table(head, &rows)
}

/// A number that looks like chance, and is the same everywhere (SplitMix64).
fn mix(number: usize) -> usize {
    let mut z = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_the_one_of_the_configuration() {
        let pool = tidemill::config::Memory::default().pool;
        let Setting { hot, warm, cold, maintain_s, warm_every, cold_every } = DEFAULT;
        assert_eq!((pool.hot, pool.warm, pool.cold), (hot, warm, cold));
        assert_eq!((pool.warm_every as usize, pool.cold_every as usize), (warm_every, cold_every));
        assert_eq!(pool.maintain.as_secs() as usize, maintain_s);
    }

    #[test]
    fn a_load_that_stands_still_needs_nothing_fresh() {
        assert_eq!(cost(DEFAULT, |_, _| USUAL).unwrap().fresh_per_1000, 0.0);
    }
}
