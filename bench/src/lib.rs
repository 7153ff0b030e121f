//! The questions of the bench, a file each, and what they share: where results go ([`report`]), how they are drawn
//! ([`plot`]), what is told of many numbers ([`stats`]).

pub mod gate;
pub mod memory;
pub mod plot;
pub mod report;
pub mod stats;
pub mod subject;
