//! The shortest commit: a transaction of 100 results by the worker's own client, on an idle machine.

use crate::answer::Answer;
use crate::apache::Apache;
use crate::load::names;
use crate::report::table;
use crate::stats::median;
use crate::transport::options;
use clap::Args;
use serde::Serialize;
use std::time::{Duration, Instant};
use tidemill::broker::{Broker, CommitOffset, Committed, Event, Headers, Outgoing, Outlet, Start, TopicPartition};
use tidemill::error::ErrorKind;
use tidemill::kafka::KafkaBroker;

const SOURCE: &str = "commit-source";
const SINK: &str = "commit-sink";
const PARTITIONS: i32 = 4;
const JOINED_WITHIN: Duration = Duration::from_secs(60);

/// What to measure.
#[derive(Args)]
pub struct Arguments {
    /// Results in each transaction
    #[arg(long, default_value_t = 100)]
    results: u64,
    /// Transactions
    #[arg(long, default_value_t = 300)]
    rounds: u32,
    /// Transactions before those, until the broker's code is compiled
    #[arg(long, default_value_t = 3000)]
    warm_up: u32,
    /// Milliseconds of rest between them
    #[arg(long, default_value_t = 20)]
    rest_ms: u64,
    /// The core of the broker; the client is this process
    #[arg(long, default_value_t = 0)]
    broker_core: usize,
    /// The core of the client
    #[arg(long, default_value_t = 1)]
    core: usize,
}

/// Begin, produce, send offsets, commit.
#[derive(Debug, Serialize)]
struct Results {
    /// Results in each transaction.
    results: u64,
    /// Each transaction, milliseconds, from the first to the last.
    all_ms: Vec<f64>,
    /// The middle one.
    median_ms: f64,
}

/// Commits again and again.
///
/// # Errors
/// The client fails.
pub fn run(arguments: &Arguments) -> anyhow::Result<Answer> {
    let apache = Apache::start(arguments.broker_core)?;
    crate::apache::pin_self(arguments.core)?;
    apache.topic(SOURCE, 1, "producer")?;
    apache.topic(SINK, PARTITIONS, "producer")?;
    let mut broker = KafkaBroker::connect(options(apache.config("commit"), SOURCE, SINK))?;
    let member = join(&mut broker)?;
    let mut all_ms = Vec::new();
    for round in 0..arguments.warm_up + arguments.rounds {
        let begun = Instant::now();
        transaction(&mut broker, &member, arguments.results, i64::from(round))?;
        if round < arguments.warm_up {
            continue;
        }
        all_ms.push(begun.elapsed().as_secs_f64() * 1000.0);
        let rested = Instant::now();
        while rested.elapsed() < Duration::from_millis(arguments.rest_ms) {
            broker.serve(&mut Vec::new())?;
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    broker.close(Duration::from_secs(5));
    let results = Results { results: arguments.results, median_ms: median(&all_ms), all_ms };
    Answer::new("commit", &results, section(&results))
}

fn section(results: &Results) -> String {
    let mut sorted = results.all_ms.clone();
    sorted.sort_by(f64::total_cmp);
    let p99 = sorted.get(sorted.len() * 99 / 100).copied().unwrap_or(f64::NAN);
    let row = [results.results.to_string(), format!("{:.2}", results.median_ms), format!("{p99:.2}")];
    table(["results in a transaction", "median ms", "p99 ms"], &[row])
}

/// Joins the group and makes the producer.
fn join(broker: &mut KafkaBroker) -> anyhow::Result<Vec<TopicPartition>> {
    let member = names(SOURCE, 1);
    let mut batch = tidemill::broker::RecordBatch::new(1 << 16, 100);
    let mut events = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < JOINED_WITHIN {
        broker.poll(&mut batch, &mut events, Duration::from_millis(100))?;
        for event in events.drain(..) {
            if let Event::Assigned(partitions) = event {
                let start = |partition| Start { partition, slot: 0, offset: 0 };
                broker.assign(&partitions.into_iter().map(start).collect::<Vec<_>>())?;
                while let Err(error) = broker.renew_producer(false) {
                    anyhow::ensure!(error.kind == ErrorKind::Retry, "{error}");
                }
                return Ok(member);
            }
        }
    }
    anyhow::bail!("the client gets no partition")
}

fn transaction(broker: &mut KafkaBroker, member: &[TopicPartition], results: u64, round: i64) -> anyhow::Result<()> {
    let value = br#"{"key":"k0000000000","window_start":1700000000000,"window_end":1700000010000,"count":1,"sum":2,"min":2,"max":2}"#;
    broker.begin()?;
    for token in 0..results {
        let key = format!("k{token:010}");
        let record = Outgoing {
            outlet: Outlet::Sink,
            partition: token as i32 % PARTITIONS,
            timestamp_ms: 1,
            key: Some(key.as_bytes()),
            value: Some(value),
            headers: Headers::default(),
            token,
        };
        broker.produce(&record).map_err(|error| anyhow::anyhow!("{error:?}"))?;
    }
    let offset = |partition: &TopicPartition| CommitOffset {
        partition: partition.clone(),
        committed: Committed { offset: round, metadata: String::new() },
    };
    let offsets: Vec<_> = member.iter().map(offset).collect();
    while let Err(error) = broker.send_offsets(&offsets) {
        anyhow::ensure!(error.kind == ErrorKind::Retry, "{error}");
    }
    while let Err(error) = broker.commit() {
        anyhow::ensure!(error.kind == ErrorKind::Retry, "{error}");
    }
    Ok(())
}
