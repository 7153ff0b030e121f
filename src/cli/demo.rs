//! `tidemill demo`: the flights of 2013, merged by airline and hour.
//!
//! On the embedded broker in virtual time, or on a real Kafka with `--brokers`. The input is loaded first, so that the
//! seconds are the worker's own; silence at the end of the input closes the last windows.

mod apache;
mod embedded;
mod flights;
mod load;
mod show;

use crate::config::{self, Config, Idle};
use crate::logs::Logs;
use crate::metrics::Metrics;
use crate::worker::Shared;
use anyhow::anyhow;
use show::Show;
use std::io::Write;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The pipeline of the demo is one that people can start from.
const PIPELINE: &str = include_str!("../../config/flights.yaml");
/// How long the input has to be silent until the last windows close, in ms.
const IDLE_AFTER_MS: i64 = 2_000;
const PARTITIONS: i32 = 4;

/// What `tidemill demo` takes.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Run on this Kafka (`bootstrap.servers`) instead of the embedded broker; creates topics of its own, which stay
    #[arg(long, value_name = "HOST:PORT")]
    brokers: Option<String>,
    /// Stay up afterwards, serving metrics and health, until SIGINT
    #[arg(long)]
    keep: bool,
    /// End with one line of JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Write every result to this file, one JSON object on each line
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
    /// Only write the flights to this topic of `--brokers`, which is there already, and end
    #[arg(long, value_name = "TOPIC", requires = "brokers", conflicts_with_all = ["keep", "json", "results"])]
    load: Option<String>,
    /// With --load: so many flights a second, instead of as many as go
    #[arg(long, value_name = "FLIGHTS", requires = "load")]
    rate: Option<NonZeroU32>,
}

/// Runs the demo and prints its summary.
///
/// # Errors
/// The worker stopped, or a file cannot be written.
pub fn demo(arguments: &Arguments, logs: Logs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let config = pipeline()?;
    if let (Some(brokers), Some(topic)) = (&arguments.brokers, &arguments.load) {
        return load::run(config.kafka, brokers, topic, arguments.rate).map(|()| 0);
    }
    let mut show = Show::new(arguments.json, arguments.results.as_deref())?;
    let mut shared = Shared::new(Metrics::of(&config.name, &crate::kafka::version())?);
    shared.logs = logs;
    match &arguments.brokers {
        None => embedded::run(&config, &shared, &mut show, arguments.keep, out),
        Some(brokers) => apache::run(config, brokers, &shared, &mut show, arguments.keep, out),
    }
}

fn pipeline() -> anyhow::Result<Config> {
    let loaded = config::parse("config/flights.yaml", PIPELINE, Path::new("."), &|_| None)
        .map_err(|complaints| anyhow!("{}", complaints.iter().map(ToString::to_string).collect::<String>()))?;
    let mut config = loaded.config;
    let mut pipeline = (*config.pipeline).clone();
    pipeline.window.idle = Idle::Close { after_ms: IDLE_AFTER_MS };
    config.pipeline = Arc::new(pipeline);
    Ok(config)
}
