//! The demo on the embedded broker: one lane on this thread, in virtual time.
//!
//! While there is work, virtual time goes as real time does; when there is none, it leaps, so that nobody waits for
//! the silence that closes the last windows.

use super::show::Show;
use super::{PARTITIONS, flights};
use crate::broker::{Broker, Event, Outlet, RecordBatch, Start, TopicPartition};
use crate::budget::{Budget, Lanes, Memory};
use crate::cli::run::surroundings;
use crate::cli::sizing;
use crate::clock::{Clock, ManualClock, SystemClock};
use crate::config::Config;
use crate::lane::{Lane, LaneOptions, Progress};
use crate::partitioner;
use crate::sim::{ClientOptions, Cluster, SimClient};
use crate::worker::{Reporter, Shared};
use std::io::Write;
use std::time::Duration;

const LEAP: Duration = Duration::from_millis(50);

/// Loads the input, runs the worker until every window is closed, and shows the results as they become visible.
pub(super) fn run(
    config: &Config,
    shared: &Shared,
    show: &mut Show,
    keep: bool,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    let system = SystemClock::new();
    let clock = ManualClock::at(system.now_ms());
    let cluster = Cluster::virtual_time(&clock);
    let client = load(&cluster, config)?;
    let mut reader = Reader::new(&cluster, &config.sink.topic);
    let runtime = keep.then(|| surroundings(config, "demo", shared, &clock)).transpose()?;
    let total = sizing::total(config);
    let memory = Memory::new(Budget::of(config, total.bytes, Lanes::Exactly(1))?, &config.memory.pool);
    shared.show(&memory)?;
    let mut lane = Lane::new(config.clone(), LaneOptions::within(0, config, &memory), client, clock.clone());
    let mut reporter = Reporter::new(0, shared.clone(), clock.monotonic());
    let began = system.monotonic();
    let (mut last, mut finished) = (began, false);
    while !shared.is_stopping() {
        let progress = lane.step(Duration::ZERO)?;
        reporter.carry(&mut lane, clock.monotonic());
        reader.read(show)?;
        let now = system.monotonic();
        let idle = progress == Progress::Idle;
        if finished {
            // Only virtual time ends the silence of a poll that never waits.
            std::thread::sleep(LEAP);
        }
        clock.advance(if idle { LEAP } else { now - last });
        last = now;
        let counts = shared.totals();
        let visible = show.progress(&counts, now - began);
        let at_rest = || lane.holdings().all(|holding| holding.task().is_some_and(|task| task.panes().is_empty()));
        if !finished && visible && at_rest() && !lane.is_waiting() {
            finished = true;
            show.summary(&counts, out)?;
            if !keep {
                break;
            }
            show.say("staying up: metrics and health as in config/flights.yaml, SIGINT ends it");
        }
    }
    lane.leave();
    drop(runtime);
    Ok(0)
}

/// Topics with the flights in them, and the client that reads them.
fn load(cluster: &Cluster, config: &Config) -> anyhow::Result<SimClient> {
    let source = config.topics.patterns.first().map_or("flights", String::as_str);
    cluster.create_topic(source, PARTITIONS);
    let mut options = ClientOptions::new(&config.kafka.group, "demo", &[source], &config.sink.topic);
    let outlets = [
        (Outlet::Sink, Some(&config.sink.topic)),
        (Outlet::Late, config.late.as_ref()),
        (Outlet::DeadLetter, config.dead_letter.as_ref()),
    ];
    for (outlet, topic) in outlets {
        if let Some(topic) = topic {
            cluster.create_topic(topic, PARTITIONS);
            options = options.outlet(outlet, topic);
        }
    }
    flights::each(|flight| {
        let key = flight.carrier.as_bytes();
        let partition = partitioner::partition(Some(key), 0, PARTITIONS);
        cluster.append(source, partition, flight.seen_ms, Some(key), Some(flight.json.as_bytes()), &[]);
        Ok(())
    })?;
    Ok(cluster.client(options))
}

/// A read_committed reader of the results.
struct Reader {
    client: SimClient,
    batch: RecordBatch,
    events: Vec<Event>,
}

impl Reader {
    fn new(cluster: &Cluster, topic: &str) -> Self {
        let client = cluster.client(ClientOptions::new("demo-reader", "demo-reader", &[topic], "none"));
        Self { client, batch: RecordBatch::new(1 << 18, 4096), events: Vec::new() }
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
