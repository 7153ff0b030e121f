//! Windows of event time: which ones a record belongs to, when they are closed, and what they hold.
//!
//! Knows nothing of partitions, brokers or clocks.

pub mod bounds;
pub mod panes;
pub mod table;
