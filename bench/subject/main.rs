//! The data path in a process of its own: for callgrind, which counts the instructions of one step (`gate STEP`), and
//! for the experiment of memory (`memory VARIANT KEYS WINDOWS`). It says one line and judges nothing.

mod counting;
mod gate;
mod memory;
#[path = "../src/stats.rs"]
#[allow(dead_code, reason = "the bench uses the rest")]
mod stats;

use anyhow::{anyhow, bail};
use std::path::Path;

// The sources as they are, without what they do not need: librdkafka alone takes longer to build than all of this.
#[path = "../../src"]
#[allow(dead_code, unused_imports, reason = "a part of the whole")]
mod tidemill {
    pub mod aggregate;
    pub mod broker;
    pub mod checkpoint;
    pub mod clock;
    pub mod config;
    pub mod decode;
    pub mod encode;
    pub mod error;
    pub mod fate;
    pub mod pool;
    pub mod recent;
    pub mod task;
    pub mod window;
}
#[allow(unused_imports, reason = "what the sources call their crate")]
use tidemill::{aggregate, broker, checkpoint, clock, config, decode, encode, error, fate, pool, recent, task, window};

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        // Instructions are only compared under the same features.
        ["gate", step] => println!("{} {}", gate::run(step)?, features().join(",")),
        ["memory", variant, keys, windows] => {
            println!("{}", serde_json::to_string(&memory::measure(variant, keys.parse()?, windows.parse()?)?)?);
        }
        _ => bail!("gate STEP, or memory VARIANT KEYS WINDOWS"),
    }
    Ok(())
}

/// The pipeline of a text.
fn configured(name: &str, text: &str) -> anyhow::Result<config::Config> {
    let loaded = config::parse(name, text, Path::new(""), &|_| None);
    loaded.map(|loaded| loaded.config).map_err(|complaints| anyhow!("{complaints:?}"))
}

/// SplitMix64 of one number.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What the processor, as the counter imitates it, offers to code that looks.
fn features() -> Vec<&'static str> {
    #[allow(unused_mut, reason = "only x86-64 is asked")]
    let mut found = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        macro_rules! ask {
            ($($feature:tt)*) => { $(if is_x86_feature_detected!($feature) { found.push($feature); })* };
        }
        ask!("sse3" "ssse3" "sse4.1" "sse4.2" "popcnt" "avx" "avx2" "bmi1" "bmi2" "fma" "aes" "pclmulqdq" "avx512f" "avx512vbmi2");
    }
    found
}
