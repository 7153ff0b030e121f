//! Transport alone: the worker's own client, a group of one, every record copied to the arena and forgotten.
//!
//! What the worker's CPU time is held against. Run as a process of its own by the bench.

use crate::apache::kafka;
use std::io::Write;
use std::time::Duration;
use tidemill::broker::{Broker, Event, RecordBatch, Start, TopicPartition};
use tidemill::budget::Settings;
use tidemill::config;
use tidemill::kafka::{KafkaBroker, Options};

/// What the child process is told.
#[derive(clap::Args)]
pub struct Arguments {
    brokers: String,
    group: String,
    source: String,
}

/// Reads until it is killed; says on standard output how many records it has read.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut broker = KafkaBroker::connect(options(kafka(&arguments.brokers, &arguments.group), &arguments.source, ""))?;
    let Settings { batch_bytes, batch_records, .. } = Settings::default();
    let mut batch = RecordBatch::new(batch_bytes as usize, batch_records as usize);
    let mut events = Vec::new();
    let mut read = 0;
    let mut slots = Vec::<TopicPartition>::new();
    loop {
        batch.clear();
        broker.poll(&mut batch, &mut events, Duration::from_millis(100))?;
        for event in events.drain(..) {
            match event {
                Event::Assigned(partitions) => {
                    let starts: Vec<_> = partitions
                        .into_iter()
                        .map(|partition| {
                            slots.push(partition.clone());
                            Start { partition, slot: slots.len() as u32 - 1, offset: 0 }
                        })
                        .collect();
                    broker.assign(&starts)?;
                }
                Event::Revoked(partitions) | Event::Lost(partitions) => broker.unassign(&partitions)?,
                _ => {}
            }
        }
        if !batch.is_empty() {
            read += batch.len() as u64;
            writeln!(std::io::stdout(), "{read}")?;
        }
    }
}

/// The worker's client as the worker has it, with its default budget on one core.
pub(crate) fn options(kafka: config::Kafka, source: &str, sink: &str) -> Options {
    Options {
        topics: vec![source.into()],
        sink: sink.into(),
        late: None,
        dead_letter: None,
        transactional_id: kafka.group.clone(),
        instance: None,
        commit_timeout: Duration::from_secs(30),
        settings: Settings::default(),
        compression: "lz4".into(),
        reports: None,
        kafka,
    }
}
