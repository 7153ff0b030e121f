//! The demo on a real Kafka: topics of its own, the flights loaded into them, then a worker as `run` starts it.

use super::show::Show;
use super::{PARTITIONS, flights, load};
use crate::broker::{Event, RecordBatch};
use crate::cli::run::{start, surroundings, until_the_end};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::instance::Instance;
use crate::kafka::{Admin, NewTopic, Reader};
use crate::worker::Shared;
use anyhow::{anyhow, bail};
use std::io::Write;
use std::time::Duration;

/// How long the cluster may take for one answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);
const WAIT: Duration = Duration::from_millis(20);

/// Loads the input, runs a worker until every window is closed, and shows the results as they become visible.
pub(super) fn run(
    mut config: Config,
    brokers: &str,
    shared: &Shared,
    show: &mut Show,
    keep: bool,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    let clock = SystemClock::new();
    name_topics(&mut config, brokers, clock.now_ms());
    fill(&config, show)?;
    if !keep {
        config.http = None;
    }
    let runtime = surroundings(&config, "demo", shared, &clock)?;
    let mut instance = Instance::claim(&config.kafka.group, brokers, None)?;
    let mut reader = Reader::open(&config.kafka, &config.sink.topic, 0..PARTITIONS)?;
    let (mut batch, mut events) = (RecordBatch::new(1 << 18, 4096), Vec::<Event>::new());
    let began = clock.monotonic();
    let Some(lanes) = start(&config, &mut instance, shared, clock, None, None)? else { return Ok(0) };
    while !shared.is_stopping() {
        batch.clear();
        events.clear();
        reader.poll(&mut batch, &mut events, WAIT)?;
        for record in batch.iter() {
            show.result(record.value.unwrap_or_default())?;
        }
        if let Some((_, ended)) = lanes.wait(Duration::ZERO) {
            shared.stop();
            ended?;
            bail!("a lane ended before its time");
        }
        // In this order: counts must not be older than the rest that they are to explain.
        let at_rest = shared.status.partitions().iter().all(|partition| partition.open_panes == 0);
        let counts = shared.totals();
        let visible = show.progress(&counts, clock.monotonic() - began);
        if visible && at_rest {
            show.summary(&counts, out)?;
            if !keep {
                shared.stop();
                break;
            }
            show.say("staying up: metrics and health as in config/flights.yaml, SIGINT ends it");
            while !shared.is_stopping() {
                std::thread::sleep(WAIT);
            }
        }
    }
    let code = until_the_end(lanes, shared, clock, config.shutdown_timeout);
    runtime.shutdown_background();
    Ok(code)
}

/// Topics and a group that nobody else has, so that the demo can be run again and again.
fn name_topics(config: &mut Config, brokers: &str, now_ms: i64) {
    let prefix = format!("tidemill-demo-{}", now_ms / 1000);
    config.kafka.brokers = brokers.to_owned();
    config.kafka.group.clone_from(&prefix);
    let named = |topic: &str| format!("{prefix}-{topic}");
    config.topics.patterns = config.topics.patterns.iter().map(|topic| named(topic)).collect();
    config.sink.topic = named(&config.sink.topic);
    config.late = config.late.as_deref().map(named);
    config.dead_letter = config.dead_letter.as_deref().map(named);
}

fn fill(config: &Config, show: &Show) -> anyhow::Result<()> {
    let source = config.topics.patterns.first().ok_or_else(|| anyhow!("the demo has no source topic"))?;
    let names = [Some(source), Some(&config.sink.topic), config.late.as_ref(), config.dead_letter.as_ref()];
    let topics: Vec<_> = names
        .into_iter()
        .flatten()
        .map(|name| NewTopic {
            name: name.clone(),
            partitions: PARTITIONS,
            replication: -1,
            // Event times of 2013 would be deleted at once.
            config: vec![("retention.ms".to_owned(), "-1".to_owned())],
        })
        .collect();
    let mut admin = Admin::connect(&config.kafka, ANSWER_MAX)?;
    admin.create_topics(&topics)?;
    for topic in &topics {
        show.say(&format!("created topic {} ({PARTITIONS} partitions, retention.ms=-1)", topic.name));
    }
    load::pour(&config.kafka, source, || ())?;
    show.say(&format!("loaded {} flights into {source}; the topics stay until you delete them", flights::COUNT));
    Ok(())
}
