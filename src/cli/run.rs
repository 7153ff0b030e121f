//! `tidemill run FILE`: the worker on Apache Kafka.
//!
//! HTTP answers from the first moment, so that an operator sees what the worker waits for; brokers and topics that are
//! not there yet are waited for, not died of.

use super::plan;
use super::preflight::{self, ClusterFacts, Severity};
use super::sizing;
use crate::broker::TopicPartition;
use crate::budget::{Memory, Mib, TooSmall};
use crate::checkpoint::{Checkpoint, Digest};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, StartAt};
use crate::error::{BrokerError, ErrorKind};
use crate::http;
use crate::instance::{Instance, transactional_id};
use crate::kafka::{Admin, KafkaBroker, Options, init_transactional_ids, pin_start, source_partitions};
use crate::lane::{Lane, LaneOptions};
use crate::logs::Logs;
use crate::metrics::Metrics;
use crate::recent::{Mailbox, Recent};
use crate::status::{Phase, step_max};
use crate::traces::{Exporter, Origin, Traces};
use crate::worker::{self, Lanes, Shared};
use anyhow::{Context, bail};
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// How long one answer of the cluster may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Between two looks at a cluster that is not ready.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What `tidemill run` takes.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The pipeline
    file: PathBuf,
    /// Rebuild open windows that were filled under the configuration with this digest
    #[arg(long, value_name = "DIGEST")]
    accept_config_change: Option<Digest>,
}

/// Runs a pipeline until SIGTERM or SIGINT.
///
/// # Errors
/// What it had to stop for.
pub fn run(arguments: &Arguments, logs: Logs) -> anyhow::Result<u8> {
    let Some(config) = super::load(&arguments.file)? else { return Ok(2) };
    let clock = SystemClock::new();
    let mut shared = Shared::new(Metrics::of(&config.name, &crate::kafka::version())?);
    shared.logs = logs;
    let mut instance = Instance::claim(&config.kafka.group, &config.kafka.brokers, config.kafka.instance.as_deref())?;
    tracing::info!(name = config.name, instance = instance.name(), digest = %Digest::of(&config.pipeline),
        version = env!("CARGO_PKG_VERSION"), librdkafka = crate::kafka::version(), "starting");
    let runtime = surroundings(&config, instance.name(), &shared, &clock)?;
    let origin = Origin { pipeline: config.name.clone(), instance: instance.name().to_owned() };
    let exporter = Exporter::start(config.traces.as_ref(), &origin, shared.metrics.spans(), clock)
        .context("cannot start the thread for traces")?;
    let traces = exporter.traces();
    let code = match start(&config, &mut instance, &shared, clock, arguments.accept_config_change, traces) {
        Ok(Some(lanes)) => {
            let code = until_the_end(lanes, &shared, clock, config.shutdown_timeout);
            // Between what lanes may take and the end of the process by force.
            exporter.finish(config.shutdown_timeout.mul_f64(0.1));
            code
        }
        Ok(None) => 0,
        Err(error) if error.is::<TooSmall>() => {
            tracing::error!("{error}");
            eprintln!("tidemill: {error}");
            2
        }
        Err(error) => return Err(error),
    };
    runtime.shutdown_background();
    tracing::info!(code, "stopped");
    Ok(code)
}

/// HTTP and signals, on a runtime of their own.
pub(super) fn surroundings<C>(config: &Config, instance: &str, shared: &Shared, clock: &C) -> anyhow::Result<Runtime>
where
    C: Clock + Clone + Send + Sync + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("http")
        .enable_all()
        .build()
        .context("cannot start the HTTP runtime")?;
    shared.metrics.show_status(&shared.status, clock.clone(), step_max(config.commit.timeout))?;
    if let Some(listen) = config.http.as_ref().map(|http| http.listen) {
        let (metrics, status) = (shared.metrics.clone(), shared.status.clone());
        let pages = http::Pages::new(config, instance, metrics, status, shared.logs.clone(), Arc::new(clock.clone()))
            .with_desk(shared.desk.clone());
        let listener = runtime.block_on(http::bind(listen))?;
        tracing::info!(address = %listener.local_addr()?, "metrics and health");
        runtime.spawn(worker::sample(shared.clone()));
        runtime.spawn(async move {
            if let Err(error) = http::serve(listener, pages, std::future::pending()).await {
                tracing::error!(error = format!("{error:#}"), "HTTP has ended");
            }
        });
    }
    runtime
        .block_on(async { worker::on_signals(shared.clone(), config.shutdown_timeout) })
        .context("cannot listen for signals")?;
    Ok(runtime)
}

/// The memory of the process: divided, said, and shown.
fn memory(config: &Config, shared: &Shared, partitions: usize) -> anyhow::Result<Memory> {
    let total = sizing::total(config);
    let memory = Memory::new(sizing::divide(config, &total, Some(partitions))?, &config.memory.pool);
    let (lanes, pool) = (memory.budget.lanes, memory.budget.limits.ceiling_bytes as u64);
    memory.pool.reserve_addresses().context("cannot reserve the addresses of memory.budget: raise `ulimit -v`")?;
    tracing::info!(budget = %Mib(total.bytes), from = total.from, lanes, pool = %Mib(pool), "memory is divided");
    shared.show(&memory)?;
    Ok(memory)
}

/// Waits for the cluster, then starts the lanes; `None` if it was told to stop first.
pub(super) fn start(
    config: &Config,
    instance: &mut Instance,
    shared: &Shared,
    clock: SystemClock,
    accept_digest: Option<Digest>,
    traces: Option<Traces>,
) -> anyhow::Result<Option<Lanes>> {
    let mut admin = Admin::connect(&config.kafka, ANSWER_MAX)?;
    let Some(partitions) = wait_for(shared, clock, || topics(&mut admin, config))? else { return Ok(None) };
    let Some(facts) = wait_for(shared, clock, || preflight::facts(&mut admin, config))? else { return Ok(None) };
    for finding in preflight::judge(config, &facts) {
        match finding.severity {
            Severity::Fatal => bail!("{finding}"),
            Severity::Error => tracing::error!(help = finding.help(), "{}", finding.text),
            Severity::Warning => tracing::warn!(help = finding.help(), "{}", finding.text),
        }
    }
    let retention = facts.sources.iter().filter_map(|topic| Some((topic.name.clone(), topic.retention_ms()?)));
    shared.know_retention(retention.collect());
    if config.pipeline.start == StartAt::Latest
        && wait_for(shared, clock, || pin(&mut admin, config, &facts))?.is_none()
    {
        return Ok(None);
    }
    let memory = memory(config, shared, partitions.len())?;
    plan::foresee(config, &facts, &memory.budget, &|| !shared.is_stopping());
    if shared.is_stopping() {
        return Ok(None);
    }
    let count = memory.budget.lanes;
    let id = |lane: usize| transactional_id(&config.kafka.group, instance.name(), lane);
    let stale: Vec<_> = instance.stale_lanes(count).map(id).collect();
    for id in stale {
        let ids = [id];
        if wait_for(shared, clock, || init_transactional_ids(&config.kafka, &ids, ANSWER_MAX))?.is_none() {
            return Ok(None);
        }
    }
    let seed = RandomState::new().hash_one(std::process::id());
    let recent = Recent::within(memory.budget.recent_bytes, config, seed);
    let mailboxes: Vec<_> = (0..count).map(|_| Mailbox::default()).collect();
    let mut lanes = Vec::new();
    for (lane, mailbox) in mailboxes.iter().enumerate() {
        let broker = KafkaBroker::connect(Options {
            kafka: config.kafka.clone(),
            topics: config.topics.patterns.clone(),
            sink: config.sink.topic.clone(),
            late: config.late.clone(),
            dead_letter: config.dead_letter.clone(),
            transactional_id: id(lane),
            instance: config.kafka.static_membership.then(|| format!("{}-{lane}", instance.name())),
            commit_timeout: config.commit.timeout,
            settings: memory.budget.settings,
            compression: config.sink.compression.clone(),
            reports: Some(shared.metrics.clients().lane(lane)),
        })?;
        let options = LaneOptions {
            seed,
            accept_digest,
            recent: recent.clone(),
            mailbox: mailbox.clone(),
            traces: traces.clone(),
            ..LaneOptions::within(lane, config, &memory)
        };
        lanes.push(Lane::new(config.clone(), options, broker, clock));
    }
    shared.desk.open(recent, mailboxes);
    instance.record_lanes(count)?;
    tracing::info!(lanes = count, partitions = partitions.len(), "lanes start");
    worker::start(lanes, clock, shared, config.shutdown_timeout).context("cannot start a lane").map(Some)
}

/// Asks until there is an answer; `None` if the worker is told to stop meanwhile.
fn wait_for<T>(
    shared: &Shared,
    clock: SystemClock,
    mut ask: impl FnMut() -> Result<T, BrokerError>,
) -> anyhow::Result<Option<T>> {
    let mut said = String::new();
    while !shared.is_stopping() {
        match ask() {
            Ok(answer) => return Ok(Some(answer)),
            Err(error) if error.kind == ErrorKind::Retry => {
                if said != error.message {
                    tracing::warn!("waiting: {error}");
                    said.clone_from(&error.message);
                }
                shared.status.lane(0, clock.monotonic(), Phase::Waiting(error.message));
                std::thread::sleep(LOOK_EVERY);
            }
            Err(error) => bail!(error),
        }
    }
    Ok(None)
}

/// All partitions of the source. Every topic that is named must be there, those written to as well.
fn topics(admin: &mut Admin, config: &Config) -> Result<Vec<TopicPartition>, BrokerError> {
    let own: Vec<_> = [Some(&config.sink.topic), config.late.as_ref(), config.dead_letter.as_ref()]
        .into_iter()
        .flatten()
        .cloned()
        .collect();
    let there = admin.topics()?;
    let named = config.topics.patterns.iter().filter(|pattern| !pattern.starts_with('^'));
    for name in named.chain(&own) {
        if !there.iter().any(|(topic, _)| topic == name) {
            return Err(BrokerError::retry(format!(
                "topic `{name}` is missing: `tidemill check FILE --connect` prints the command that creates it"
            )));
        }
    }
    source_partitions(admin, &config.topics.patterns, &own)
}

/// `source.start: latest` for a group without any position: the ends are committed before anybody joins, or a partition
/// that moves early would begin somewhere else.
fn pin(admin: &mut Admin, config: &Config, facts: &ClusterFacts) -> Result<(), BrokerError> {
    let ids: BTreeMap<_, _> = facts.source_partitions().map(|(topic, partition)| (partition, topic.id)).collect();
    let partitions: Vec<_> = ids.keys().cloned().collect();
    let digest = Digest::of(&config.pipeline);
    let nothing_open = |partition: &TopicPartition, offset: i64| {
        let topic_id = ids.get(partition).copied();
        let checkpoint = topic_id.map(|topic_id| Checkpoint {
            replay_from: offset,
            watermark_ms: None,
            guard: Vec::new(),
            digest,
            topic_id,
        });
        checkpoint.map(|checkpoint| checkpoint.encode()).unwrap_or_default()
    };
    pin_start(admin, &partitions, nothing_open).map(|pinned| {
        if pinned {
            tracing::info!(partitions = partitions.len(), "source.start is latest: the group begins at the ends");
        }
    })
}

/// Waits for the lanes; the first that fails stops the others. The exit code.
pub(super) fn until_the_end(lanes: Lanes, shared: &Shared, clock: SystemClock, shutdown_timeout: Duration) -> u8 {
    let mut running = lanes.len();
    let mut code = 0;
    let mut deadline = None;
    while running > 0 {
        match lanes.wait(Duration::from_millis(50)) {
            Some((_, Ok(()))) => running -= 1,
            Some((lane, Err(stop))) => {
                running -= 1;
                code = 1;
                tracing::error!(lane, "{stop}");
                eprintln!("tidemill: {stop}");
                shared.stop();
            }
            None => {}
        }
        if shared.is_stopping() {
            let now = clock.monotonic();
            if now >= *deadline.get_or_insert(now + shutdown_timeout.mul_f64(0.85)) {
                tracing::warn!(
                    running,
                    "shutdown.timeout is over: leaving lanes behind. Nothing is lost: the next \
                    owner reads again from the last commit"
                );
                return code;
            }
        }
    }
    if let Some((recent, _)) = shared.desk.get() {
        recent.clear();
    }
    lanes.join();
    code
}
