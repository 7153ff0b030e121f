//! Windows of event time: which ones a record belongs to, when they are closed, and what they hold.
//!
//! Knows nothing of partitions, brokers or clocks.

pub mod bounds;
mod declared;
mod dense;
mod index;
pub mod keys;
pub mod panes;
mod prefetch;
pub mod table;
