//! The demo on the embedded broker: one lane on this thread, in virtual time.
//!
//! While there is work, virtual time goes as real time does; when there is none, it leaps, so that nobody waits for
//! the silence that closes the last windows.

use super::PARTITIONS;
use super::flights::Flight;
use super::show::{Outcome, Show};
use crate::broker::{Broker, Event, Outlet, RecordBatch, Start, TopicPartition};
use crate::clock::{Clock, ManualClock, SystemClock};
use crate::config::Config;
use crate::lane::{Lane, LaneOptions, Progress};
use crate::metrics::LaneCounts;
use crate::partitioner;
use crate::sim::{ClientOptions, Cluster, SimClient};
use std::time::Duration;

const LEAP: Duration = Duration::from_millis(50);

/// Loads the input, runs the worker until every window is closed, and shows the results as they become visible.
pub(super) fn run(config: &Config, flights: &[Flight], show: &mut Show) -> anyhow::Result<Outcome> {
    let system = SystemClock::new();
    let clock = ManualClock::at(system.now_ms());
    let cluster = Cluster::virtual_time(&clock);
    let source = config.topics.patterns.first().map_or("flights", String::as_str);
    let outlets = [
        (Outlet::Sink, Some(&config.sink.topic)),
        (Outlet::Late, config.late.as_ref()),
        (Outlet::DeadLetter, config.dead_letter.as_ref()),
    ];
    cluster.create_topic(source, PARTITIONS);
    let mut options = ClientOptions::new(&config.kafka.group, "demo", &[source], &config.sink.topic);
    for (outlet, topic) in outlets {
        if let Some(topic) = topic {
            cluster.create_topic(topic, PARTITIONS);
            options = options.outlet(outlet, topic);
        }
    }
    for flight in flights {
        let key = flight.carrier.as_bytes();
        let partition = partitioner::partition(Some(key), 0, PARTITIONS);
        cluster.append(source, partition, flight.seen_ms, Some(key), Some(flight.json.as_bytes()), &[]);
    }
    let mut reader = Reader::new(&cluster, &config.sink.topic)?;
    let mut lane = Lane::new(config.clone(), LaneOptions::new(0, config), cluster.client(options), clock.clone());
    let mut counts = LaneCounts::default();
    let began = system.monotonic();
    let mut shown = began;
    loop {
        let progress = lane.step(Duration::ZERO)?;
        counts.add(&std::mem::take(&mut lane.counts));
        reader.read(show)?;
        show.progress(counts.fates.read);
        let now = system.monotonic();
        clock.advance(if progress == Progress::Idle { LEAP } else { now - shown });
        shown = now;
        let done = counts.fates.read == flights.len() as u64
            && lane
                .holdings()
                .filter_map(|holding| holding.task())
                .all(|task| task.panes().is_empty() && !task.is_waiting());
        if done && show.results() == counts.closed_by_watermark + counts.closed_by_idle {
            let took = now - began;
            lane.leave();
            return Ok(Outcome { counts, took });
        }
    }
}

/// A read_committed reader of the results.
struct Reader {
    client: SimClient,
    batch: RecordBatch,
    events: Vec<Event>,
}

impl Reader {
    fn new(cluster: &Cluster, topic: &str) -> anyhow::Result<Self> {
        let client = cluster.client(ClientOptions::new("demo-reader", "demo-reader", &[topic], "none"));
        Ok(Self { client, batch: RecordBatch::new(1 << 18, 4096), events: Vec::new() })
    }

    fn read(&mut self, show: &mut Show) -> anyhow::Result<()> {
        self.batch.clear();
        self.events.clear();
        self.client.poll(&mut self.batch, &mut self.events, Duration::ZERO)?;
        for record in self.batch.iter() {
            show.result(record.value.unwrap_or_default())?;
        }
        for event in self.events.drain(..) {
            if let Event::Assigned(partitions) = event {
                let start = |partition: TopicPartition| Start {
                    slot: partition.partition.cast_unsigned(),
                    partition,
                    offset: 0,
                };
                let starts: Vec<_> = partitions.into_iter().map(start).collect();
                self.client.assign(&starts)?;
            }
        }
        Ok(())
    }
}
