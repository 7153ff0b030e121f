//! The questions of the bench, a file each, and what they share: where results go ([`report`]), how they are drawn
//! ([`plot`]), what is told of many numbers ([`stats`]); on Kafka, what records are like (`shape`), what must come of
//! them (`expected`; `flights`), who reads them (`system`) and at what cost (`measure`).

pub mod allocations;
pub mod answer;
pub mod burst;
pub mod commit;
pub mod gate;
pub mod latency;
pub mod memory;
pub mod plot;
pub mod report;
pub mod restore;
pub mod scale;
pub mod stats;
pub mod subject;
pub mod tiers;
pub mod transport;
pub mod variants;
pub mod w1;

mod apache;
mod expected;
mod feed;
mod flights;
mod load;
mod measure;
mod process;
mod shape;
mod system;
mod targets;
