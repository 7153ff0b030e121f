//! The systems that are measured: how each is started on a topic.

use crate::apache::{Apache, class_path, java};
use crate::expected::{TUMBLING, Windows};
use crate::process::Pinned;
use crate::report::root;
use anyhow::{Context, ensure};
use clap::ValueEnum;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Somebody who reads a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum System {
    /// The worker, as released
    Tidemill,
    /// The worker's own client and nothing else: records are copied to the arena and forgotten
    Transport,
    /// What a user would write first: StreamConsumer, serde_json, HashMap, at-least-once
    Naive,
    /// Apache Flink, exactly-once sink, heap state
    Flink,
    /// Kafka Streams, EOS v2, in-memory store, suppress
    Streams,
}

/// What a system is to do.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// Group, and names of what it leaves behind.
    pub(crate) name: String,
    pub(crate) source: String,
    pub(crate) sink: String,
    pub(crate) windows: Windows,
    /// For tidemill: the member that holds the event time, in Unix ms.
    pub(crate) time: &'static str,
    /// For tidemill: lines of YAML under `aggregate`.
    pub(crate) aggregates: String,
    /// For tidemill: lines of YAML under `kafka`.
    pub(crate) kafka: String,
    /// For tidemill: lines of YAML for the top level, `http` among them.
    pub(crate) extra: String,
    /// Tidemill's commit interval, Flink's time between checkpoints, Streams' commit interval; `None`: each its own.
    pub(crate) commit_ms: Option<u64>,
    pub(crate) core: usize,
}

/// Count, sum, min and max of one field: what every system here can do.
pub(crate) const FOUR: &str = "  count: count\n  sum: {sum: amount}\n  min: {min: amount}\n  max: {max: amount}\n";

/// No pages, which nobody would look at, and a budget: 256 MiB is also what the transport's queues follow from.
pub(crate) fn within(budget: &str) -> String {
    format!("http: off\nmemory: {{budget: {budget}}}\n")
}

/// Heap of Flink and Streams: the smallest at which more makes neither faster.
const FLINK_HEAP_MIB: u32 = 1024;
const STREAMS_HEAP_MIB: u32 = 2048;

impl Job {
    /// Tumbling windows and four aggregates; `name` is the group's, and a part of the names of its topics.
    pub(crate) fn new(name: &str, source: &str, core: usize) -> Self {
        Self {
            name: name.into(),
            source: source.into(),
            sink: format!("{name}-results"),
            windows: TUMBLING,
            time: "time",
            aggregates: FOUR.into(),
            kafka: String::new(),
            extra: within("256MiB"),
            commit_ms: None,
            core,
        }
    }
}

impl System {
    /// Its name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tidemill => "tidemill",
            Self::Transport => "transport alone",
            Self::Naive => "naive Rust worker",
            Self::Flink => "Flink 2.0.1",
            Self::Streams => "Kafka Streams 4.3.1",
        }
    }

    /// One word for topics and files.
    pub(crate) fn word(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// At-least-once may write a result twice.
    pub(crate) fn is_exact(self) -> bool {
        self != Self::Naive
    }

    /// Whether it writes results at all.
    pub(crate) fn writes(self) -> bool {
        self != Self::Transport
    }

    /// Builds what it needs; not measured.
    pub(crate) fn prepare(self) -> anyhow::Result<()> {
        match self {
            Self::Transport => Ok(()),
            Self::Tidemill | Self::Naive => build(),
            Self::Flink => class_path(&rival("flink")).map(drop),
            Self::Streams => class_path(&rival("streams")).map(drop),
        }
    }

    /// Starts it.
    pub(crate) fn start(self, apache: &Apache, job: &Job) -> anyhow::Result<Pinned> {
        let log = apache.folder.join(format!("{}.log", job.name));
        let command = self.command(apache, job)?;
        Pinned::start(&command, job.core, &log, self == Self::Transport).with_context(|| self.name())
    }

    /// What starts it.
    pub(crate) fn command(self, apache: &Apache, job: &Job) -> anyhow::Result<Command> {
        Ok(match self {
            Self::Tidemill => tidemill(apache, job)?,
            Self::Transport => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["transport", &apache.brokers(), &job.name, &job.source]);
                command
            }
            Self::Naive => {
                let mut command = Command::new(sibling("tidemill-naive")?);
                command.args(common(apache, job));
                command
            }
            Self::Flink | Self::Streams => self.jvm(apache, job)?,
        })
    }

    fn jvm(self, apache: &Apache, job: &Job) -> anyhow::Result<Command> {
        let (heap, class) = match self {
            Self::Flink => (FLINK_HEAP_MIB, "tidemill.Flink"),
            _ => (STREAMS_HEAP_MIB, "tidemill.Streams"),
        };
        let mut command = java(&class_path(&rival(&self.word()))?, heap);
        if self == Self::Flink {
            // As Flink's own start scripts do for Java 17.
            for package in ["lang", "util", "time", "util.concurrent"] {
                command.arg(format!("--add-opens=java.base/java.{package}=ALL-UNNAMED"));
            }
        }
        let state = apache.folder.join(format!("{}-state", job.name));
        command.arg(class).args(common(apache, job)).arg(state);
        command.args(job.commit_ms.map(|ms| if self == Self::Flink { format!("{ms} ms") } else { ms.to_string() }));
        Ok(command)
    }
}

fn common(apache: &Apache, job: &Job) -> [String; 6] {
    let Windows { size_ms, grace_ms, .. } = job.windows;
    [
        apache.brokers(),
        job.name.clone(),
        job.source.clone(),
        job.sink.clone(),
        size_ms.to_string(),
        grace_ms.to_string(),
    ]
}

/// The worker, with a pipeline that differs from the defaults only in what the experiment asks for.
fn tidemill(apache: &Apache, job: &Job) -> anyhow::Result<Command> {
    let Job { name, source, sink, time, aggregates, kafka, extra, .. } = job;
    let Windows { size_ms, every_ms, grace_ms } = job.windows;
    let window = match size_ms == every_ms {
        true => format!("tumbling: {size_ms}ms"),
        false => format!("hopping: {{size: {size_ms}ms, every: {every_ms}ms}}"),
    };
    let commit = job.commit_ms.map(|ms| format!("commit: {{interval: {ms}ms}}\n")).unwrap_or_default();
    let brokers = apache.brokers();
    let pipeline = format!(
        "name: {name}\nkafka:\n  brokers: {brokers}\n{kafka}source:\n  topics: [{source}]\n  \
         time: {{field: {time}, format: unix_ms}}\nwindow:\n  {window}\n  grace: {grace_ms}ms\n  idle: off\n\
         aggregate:\n{aggregates}sink:\n  topic: {sink}\n{commit}{extra}"
    );
    let file = apache.folder.join(format!("{name}.yaml"));
    fs::write(&file, pipeline)?;
    let mut command = Command::new(sibling("tidemill")?);
    command.arg("run").arg(file).env_remove("TIDEMILL_LOG");
    Ok(command)
}

fn rival(name: &str) -> PathBuf {
    root().join("bench/rivals").join(name)
}

/// A program that was built beside this one.
fn sibling(name: &str) -> anyhow::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(name))
}

/// Builds worker and naive worker as this program was built, and with it: one set of features, one build of each crate.
fn build() -> anyhow::Result<()> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root()).args(["build", "--quiet", "--locked"]);
    cargo.args(["-p", "tidemill", "-p", "tidemill-naive", "-p", "tidemill-bench"]);
    if std::env::current_exe()?.parent().is_some_and(|folder| folder.ends_with("release")) {
        cargo.arg("--release");
    }
    ensure!(cargo.status().context("cargo")?.success(), "cannot build the workers");
    Ok(())
}
