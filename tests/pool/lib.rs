//! `src/pool.rs` and nothing else, compiled for Miri and loom.

#[path = "../../src"]
mod tidemill {
    pub mod pool;
}

pub use tidemill::pool;
