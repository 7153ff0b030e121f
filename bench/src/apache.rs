//! Apache Kafka for the bench: one broker on one core, its logs in memory, loopback only.
//!
//! Jars, class path and common settings are those of the tests on a real broker.

use crate::process::Pinned;
use crate::report::root;
use anyhow::{Context, ensure};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tidemill::config::{self, Protocol};
use tidemill::kafka::{Admin, NewTopic};

/// What runs, and what Kafka Streams and the clients of Flink come from: tests/kafka/broker/pom.xml.
pub(crate) const KAFKA: &str = "4.3.1";

/// In memory; the number of the process follows.
const FOLDER: &str = "/dev/shm/tidemill-bench-";
const READY_WITHIN: Duration = Duration::from_secs(90);
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
const FORMAT: &[&str] = &["kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c"];

/// A running broker; it and its folder are gone when this is dropped.
pub(crate) struct Apache {
    /// In memory, for logs, states and checkpoints: gone with the broker.
    pub(crate) folder: PathBuf,
    port: u16,
    broker: Option<Pinned>,
}

impl Apache {
    /// Starts a broker on `core` and waits until it answers.
    pub(crate) fn start(core: usize) -> anyhow::Result<Self> {
        clear_up()?;
        let folder = PathBuf::from(format!("{FOLDER}{}", std::process::id()));
        fs::create_dir_all(&folder).context("the bench keeps Kafka's logs in /dev/shm")?;
        let listeners = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
        let [port, controller] = [listeners[0].local_addr()?.port(), listeners[1].local_addr()?.port()];
        drop(listeners);
        let mut apache = Self { folder, port, broker: None };
        let properties = apache.folder.join("server.properties");
        fs::write(&properties, settings(&apache.folder, port, controller))?;
        let class_path = class_path(&root().join("tests/kafka/broker"))?;
        let formatted = java(&class_path, 256).args(FORMAT).arg(&properties).output()?;
        ensure!(formatted.status.success(), "cannot format Kafka's storage: {formatted:?}");
        let mut broker = java(&class_path, 1024);
        broker.arg("kafka.Kafka").arg(&properties);
        apache.broker = Some(Pinned::start(&broker, core, &apache.folder.join("broker.log"), false)?);
        let deadline = Instant::now() + READY_WITHIN;
        while Admin::connect(&apache.config(""), Duration::from_secs(1))?.topics().is_err() {
            apache.check()?;
            ensure!(Instant::now() < deadline, "Kafka does not answer");
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(apache)
    }

    /// Fails if the broker has ended.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        self.broker.as_mut().map_or(Ok(()), Pinned::check).context("the broker")
    }

    /// `bootstrap.servers`.
    pub(crate) fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A client configuration with nothing special in it.
    pub(crate) fn config(&self, group: &str) -> config::Kafka {
        kafka(&self.brokers(), group)
    }

    /// A client for questions.
    pub(crate) fn admin(&self, group: &str) -> anyhow::Result<Admin> {
        Ok(Admin::connect(&self.config(group), ANSWER_WITHIN)?)
    }

    /// Creates a topic that keeps everything. `codec`: how its records are compressed at rest, `none` as they come.
    pub(crate) fn topic(&self, name: &str, partitions: i32, codec: &str) -> anyhow::Result<()> {
        let codec = if codec == "none" { "uncompressed" } else { codec };
        let config = vec![("retention.ms".into(), "-1".into()), ("compression.type".into(), codec.into())];
        let topic = NewTopic { name: name.into(), partitions, replication: 1, config };
        Ok(self.admin("")?.create_topics(&[topic])?)
    }

    /// Waits until a process has joined its group and has its partitions.
    pub(crate) fn until_member(&self, group: &str, process: &mut Pinned) -> anyhow::Result<()> {
        let (mut admin, deadline) = (self.admin(group)?, Instant::now() + READY_WITHIN);
        loop {
            let group = admin.group()?;
            if group.state == "Stable" && group.members.iter().any(|member| !member.partitions.is_empty()) {
                return Ok(());
            }
            process.check()?;
            ensure!(Instant::now() < deadline, "it does not join its group");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Deletes a topic; its memory comes back a little later.
    pub(crate) fn delete(&self, name: &str) -> anyhow::Result<()> {
        Ok(self.admin("")?.delete_topic(name)?)
    }
}

impl Drop for Apache {
    fn drop(&mut self) {
        self.broker = None;
        // What is left would only hold memory until the machine restarts.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Removes what a bench left behind that was killed: it would hold memory until the machine restarts.
fn clear_up() -> anyhow::Result<()> {
    for entry in fs::read_dir("/dev/shm").context("the bench keeps Kafka's logs in /dev/shm")? {
        let path = entry?.path();
        let pid = path.to_str().and_then(|path| path.strip_prefix(FOLDER));
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            fs::remove_dir_all(path)?;
        }
    }
    Ok(())
}

/// A client configuration with nothing special in it.
pub(crate) fn kafka(brokers: &str, group: &str) -> config::Kafka {
    config::Kafka {
        brokers: brokers.into(),
        group: group.into(),
        instance: None,
        static_membership: false,
        protocol: Protocol::Classic,
        properties: Default::default(),
        consumer_properties: Default::default(),
        producer_properties: Default::default(),
    }
}

/// The jars that a Maven project depends on, fetched where they are missing, and its own classes if it has any.
pub(crate) fn class_path(project: &Path) -> anyhow::Result<String> {
    let name = project.file_name().and_then(|name| name.to_str()).context("a Maven project has a name")?;
    let target = root().join("target/bench").join(name);
    fs::create_dir_all(&target)?;
    let list = target.join("classpath.txt");
    let mut maven = Command::new("mvn");
    maven.args(["-q", "-B", "-f"]).arg(project.join("pom.xml"));
    if project.join("src").exists() {
        maven.arg("compile");
    }
    maven.arg("dependency:build-classpath").arg(format!("-Dmdep.outputFile={}", list.display()));
    let done = maven.output().context("Maven fetches Kafka and the rivals: install `mvn` and a JDK 17 or newer")?;
    ensure!(done.status.success(), "Maven failed: {}", String::from_utf8_lossy(&done.stdout));
    let jars = fs::read_to_string(&list)?;
    Ok(format!("{}:{}", project.join("target/classes").display(), jars.trim()))
}

/// A JVM for one core with a heap of so many MiB.
pub(crate) fn java(class_path: &str, heap_mib: u32) -> Command {
    let mut java = Command::new("java");
    java.args([&format!("-Xms{}m", heap_mib.min(256)), &format!("-Xmx{heap_mib}m")]);
    java.args(["-XX:+UseSerialGC", "-XX:-UsePerfData", "-cp", class_path]);
    java
}

fn settings(folder: &Path, port: u16, controller: u16) -> String {
    let common = include_str!("../../tests/kafka/broker/server.properties");
    format!(
        "{common}\nlog.dirs={}\nlisteners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         file.delete.delay.ms=1000\nlog.initial.task.delay.ms=500\nlog.cleaner.enable=false\n",
        folder.join("data").display()
    )
}

/// Keeps the bench itself on a core, its threads of later included: whatever it does must not disturb the other one.
pub(crate) fn pin_self(core: usize) -> anyhow::Result<()> {
    move_self(&core.to_string())
}

/// Lets the bench use all cores again, for loading.
pub(crate) fn unpin_self() -> anyhow::Result<()> {
    move_self("0-1023")
}

fn move_self(cores: &str) -> anyhow::Result<()> {
    let pid = std::process::id().to_string();
    let done = Command::new("taskset").args(["-acp", cores, &pid]).output()?;
    ensure!(done.status.success(), "cannot move the bench to core {cores}");
    Ok(())
}
