//! A real Kafka broker for tests, without containers: jars from Maven Central, one JVM, free loopback ports.
//!
//! Needs `java` (17 or newer) and `mvn` on the path. A broker never outlives its test process, however that ends.

#![allow(dead_code)] // each test program uses a part of it

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tidemill::config::{self, Protocol};
use tidemill::kafka::{Admin, NewTopic};

/// How long a broker may take to answer after its start.
const READY: Duration = Duration::from_secs(90);

/// One broker with a folder and ports of its own.
pub struct Kafka {
    folder: PathBuf,
    port: u16,
    running: Mutex<Option<Running>>,
    /// The controller, where it is a process of its own that outlives the broker's restarts.
    controller: Option<Running>,
}

/// The JVM, and a shell that kills it and removes its folder when its standard input ends: with this process at the
/// latest. A line on it says that the JVM has ended and the folder is to stay.
struct Running {
    pid: u32,
    shell: Child,
    stdin: ChildStdin,
}

const SERVER: &str = "server.properties";
const CONTROLLER: &str = "controller.properties";

const SHELL: &str = r#"folder=$1; shift; "$@" <&- >&2 & echo $!; exec >&-
read line || { kill -9 $!; rm -rf "$folder"; }; wait"#;

impl Kafka {
    /// The broker that all tests of this binary share. Do not stop it: see [`Self::start`].
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Kafka> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A broker of one's own, to be stopped, killed and paused.
    pub fn start() -> Self {
        Self::start_behind_proxy().0
    }

    /// The same, and a door for clients that must not reach it directly: whoever comes to the returned listener is to
    /// be passed on to the returned address, and will come there again for everything that it asks.
    pub fn start_behind_proxy() -> (Self, TcpListener, SocketAddr) {
        let folder = new_folder();
        let door = free_port();
        let ports = [free_port(), free_port(), free_port()].map(|listener| port_of(&listener));
        write_properties(&folder, ports, port_of(&door));
        format_storage(&folder, SERVER);
        let kafka = Self { folder, port: ports[0], running: Mutex::default(), controller: None };
        kafka.resume_after_stop();
        (kafka, door, SocketAddr::from(([127, 0, 0, 1], ports[2])))
    }

    /// A broker with these properties, and a folder of its own; `port` is one of its listeners on loopback.
    pub fn start_as(port: u16, properties: &[(String, String)]) -> Self {
        let folder = new_folder();
        let lines: String = properties.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        let own = format!("log.dirs={}\n", folder.join("data").display());
        fs::write(folder.join(SERVER), lines + &own).unwrap();
        format_storage(&folder, SERVER);
        let kafka = Self { folder, port, running: Mutex::default(), controller: None };
        kafka.resume_after_stop();
        kafka
    }

    /// A broker whose controller goes on while it restarts, as in every cluster that is worth the name. (A broker that is
    /// its own controller can forget the markers of a transaction that was ending when it was killed: until its old
    /// registration expires its partitions have no leader, and the coordinator takes that for "deleted".)
    pub fn start_with_controller() -> Self {
        let folder = new_folder();
        let ports = [free_port(), free_port()].map(|listener| port_of(&listener));
        write_properties_apart(&folder, ports);
        format_storage(&folder, CONTROLLER);
        format_storage(&folder, SERVER);
        let controller = Some(launch(&folder, CONTROLLER));
        let kafka = Self { folder, port: ports[0], running: Mutex::default(), controller };
        kafka.resume_after_stop();
        kafka
    }

    /// `bootstrap.servers`.
    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A configuration for this broker, with a short session.
    pub fn config(&self, group: &str) -> config::Kafka {
        let properties = [("session.timeout.ms", "6000"), ("heartbeat.interval.ms", "500")];
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        config::Kafka {
            brokers: self.brokers(),
            group: group.into(),
            instance: None,
            static_membership: false,
            protocol: Protocol::Classic,
            properties: Default::default(),
            consumer_properties: properties.into_iter().map(own).collect(),
            producer_properties: Default::default(),
        }
    }

    /// A client for questions.
    pub fn admin(&self, group: &str) -> Admin {
        Admin::connect(&self.config(group), Duration::from_secs(20)).unwrap()
    }

    /// Creates a topic with a name of its own that begins with `hint`.
    pub fn topic(&self, hint: &str, partitions: i32) -> String {
        let name = unique(hint);
        let topic = NewTopic { name: name.clone(), partitions, replication: 1, config: Vec::new() };
        self.admin("").create_topics(&[topic]).unwrap();
        name
    }

    /// Ends the broker as an operator would, or, with `kill`, as a power cut would; its data stays.
    pub fn stop(&self, kill: bool) {
        let mut running = self.running();
        if let Some(old) = running.take() {
            old.end(if kill { "-KILL" } else { "-TERM" });
        }
    }

    /// Starts the broker again after [`Self::stop`], on the same ports, and waits until it answers.
    pub fn resume_after_stop(&self) {
        let mut running = self.running();
        assert!(running.is_none(), "the broker is running");
        *running = Some(launch(&self.folder, SERVER));
        drop(running);
        let deadline = Instant::now() + READY;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() || self.probe().is_err() {
            assert!(Instant::now() < deadline, "Kafka does not answer: see {}", self.folder.join("log").display());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Stops the JVM without ending it: its connections stay open and silent.
    pub fn pause(&self) {
        signal("-STOP", self.running().as_ref().unwrap().pid);
    }

    /// Ends [`Self::pause`].
    pub fn go_on(&self) {
        signal("-CONT", self.running().as_ref().unwrap().pid);
    }

    fn probe(&self) -> Result<(), tidemill::error::BrokerError> {
        Admin::connect(&self.config(""), Duration::from_secs(1))?.topics().map(drop)
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            eprintln!("--- the end of the broker's log:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
        self.stop(true);
        if let Some(controller) = self.controller.take() {
            controller.end("-KILL");
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Running {
    fn end(mut self, how: &str) {
        signal(how, self.pid);
        let _ = self.stdin.write_all(b"ended\n");
        self.shell.wait().unwrap();
    }
}

/// Starts the JVM of one file of properties; its output goes to a file beside it.
fn launch(folder: &Path, properties: &str) -> Running {
    let log = fs::File::create(folder.join(if properties == SERVER { "log" } else { "controller.log" })).unwrap();
    let java = java();
    let mut shell = Command::new("sh");
    shell.args(["-c", SHELL, "kafka"]).arg(folder);
    shell.arg(java.get_program()).args(java.get_args());
    shell.arg("kafka.Kafka").arg(folder.join(properties));
    shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
    let mut shell = shell.spawn().unwrap();
    let stdin = shell.stdin.take().unwrap();
    let mut pid = String::new();
    BufReader::new(shell.stdout.take().unwrap()).read_line(&mut pid).unwrap();
    Running { pid: pid.trim().parse().unwrap(), shell, stdin }
}

fn format_storage(folder: &Path, properties: &str) {
    let mut format = java();
    format.args(["kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c"]);
    let formatted = format.arg(folder.join(properties)).output().unwrap();
    assert!(formatted.status.success(), "cannot format Kafka's storage: {formatted:?}");
}

fn new_folder() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::SeqCst);
    let folder = target().join("tmp").join(format!("kafka-{}-{number}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A name that no other test uses.
pub fn unique(hint: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("{hint}-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::SeqCst))
}

fn signal(signal: &str, pid: u32) {
    let sent = Command::new("kill").args([signal, &pid.to_string()]).status().unwrap();
    assert!(sent.success(), "cannot send {signal} to {pid}");
}

/// Ports that nobody has now.
pub fn free_ports<const N: usize>() -> [u16; N] {
    [(); N].map(|()| free_port()).map(|listener| port_of(&listener))
}

fn free_port() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

fn port_of(listener: &TcpListener) -> u16 {
    listener.local_addr().unwrap().port()
}

fn write_properties(folder: &Path, [port, controller, behind]: [u16; 3], door: u16) {
    let common = include_str!("../kafka/broker/server.properties");
    let own = format!(
        "log.dirs={}\nlisteners=PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{behind},\
         CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{door}\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n",
        folder.join("data").display()
    );
    fs::write(folder.join(SERVER), format!("{common}{own}")).unwrap();
}

/// Broker and controller as two processes; the later line of a key counts.
fn write_properties_apart(folder: &Path, [port, controller]: [u16; 2]) {
    let common = include_str!("../kafka/broker/server.properties");
    // A broker that was killed may come back as soon as its registration has expired.
    let quorum = format!(
        "controller.quorum.voters=100@127.0.0.1:{controller}\nbroker.session.timeout.ms=2000\n\
         broker.heartbeat.interval.ms=300\n"
    );
    let broker = format!(
        "process.roles=broker\nlog.dirs={}\nlisteners=PLAINTEXT://127.0.0.1:{port}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n",
        folder.join("data").display()
    );
    let apart = format!(
        "process.roles=controller\nnode.id=100\nlog.dirs={}\nlisteners=CONTROLLER://127.0.0.1:{controller}\n",
        folder.join("controller").display()
    );
    fs::write(folder.join(SERVER), format!("{common}{quorum}{broker}")).unwrap();
    fs::write(folder.join(CONTROLLER), format!("{common}{quorum}{apart}")).unwrap();
}

/// A JVM with Kafka on its class path.
fn java() -> Command {
    let log4j = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kafka/broker/log4j2.properties");
    let mut java = Command::new("java");
    java.args(["-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"]);
    java.arg(format!("-Dlog4j2.configurationFile={}", log4j.display()));
    java.arg("-cp").arg(class_path());
    java
}

/// Kafka's jars: from the last resolution while all of them are there, else from Maven.
fn class_path() -> &'static str {
    static CLASS_PATH: OnceLock<String> = OnceLock::new();
    CLASS_PATH.get_or_init(|| {
        let cache = target().join("kafka").join("classpath.txt");
        let known = |path: &String| !path.is_empty() && path.split(':').all(|jar| Path::new(jar.trim()).exists());
        if let Some(path) = fs::read_to_string(&cache).ok().filter(known) {
            return path;
        }
        fs::create_dir_all(target().join("kafka")).unwrap();
        // Two test binaries may resolve at once: each into a file of its own, the last one wins.
        let fresh = cache.with_extension(std::process::id().to_string());
        let pom = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kafka/broker/pom.xml");
        let mut maven = Command::new("mvn");
        maven.args(["-q", "-B", "dependency:build-classpath", "-f"]).arg(pom);
        maven.arg(format!("-Dmdep.outputFile={}", fresh.display()));
        let outcome = maven.status().expect("Maven fetches Kafka for the tests: install `mvn` and a JDK 17 or newer");
        assert!(outcome.success(), "Maven could not fetch Kafka: {outcome}");
        fs::rename(&fresh, &cache).unwrap();
        fs::read_to_string(&cache).unwrap()
    })
}

/// The target folder of this build.
fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap()
}
