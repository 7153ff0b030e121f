//! A running `tidemill run FILE`: started, asked, signalled, and never left behind.

#![allow(dead_code)] // each test program uses a part of it

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Longest wait for anything that must come.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
pub const LOOK: Duration = Duration::from_millis(5);
/// Lines of its log that a failing test shows.
const SHOWN: usize = 100;

/// One process. Dropping it kills it; while a test fails, the end of its log is shown.
pub struct Worker {
    name: String,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    pub started: Instant,
}

impl Worker {
    /// Starts the worker; `name` is for people.
    pub fn start(name: &str, file: &Path) -> Self {
        Self::start_with(name, file, &[])
    }

    /// The same with further arguments.
    pub fn start_with(name: &str, file: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidemill"));
        command.arg("run").arg(file).args(arguments).env_remove("TIDEMILL_LOG");
        Self::spawn(name, command)
    }

    /// Starts what the command says.
    pub fn spawn(name: &str, mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = command.spawn().unwrap();
        let log = Arc::<Mutex<Vec<String>>>::default();
        let pipes: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stderr.take().unwrap()), Box::new(child.stdout.take().unwrap())];
        for pipe in pipes {
            let log = log.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    log.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                }
            });
        }
        Self { name: name.to_owned(), child, log, started }
    }

    /// All lines of its log so far, errors for people included.
    pub fn log(&self) -> MutexGuard<'_, Vec<String>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if a line of the log holds all of `words`.
    pub fn said(&self, words: &[&str]) -> bool {
        self.log().iter().any(|line| words.iter().all(|word| line.contains(word)))
    }

    /// Waits for a line that holds all of `words`.
    pub fn until_said(&self, words: &[&str]) {
        until(&format!("{} says {words:?}", self.name), || self.said(words));
    }

    /// Where its pages are; waits until it says so.
    pub fn address(&self) -> SocketAddr {
        let find = || {
            let log = self.log();
            let line = log.iter().find(|line| line.contains("metrics and health"))?;
            let address = line.split_once(r#""address":""#)?.1.split_once('"')?.0;
            address.parse().ok()
        };
        wait(&format!("{} has an address", self.name), PATIENCE, find)
    }

    /// Status and text of a page; `None` while nobody answers.
    pub fn page(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect_timeout(&self.address(), Duration::from_secs(1)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// Waits until `/readyz` answers 503 and names all of `words`.
    pub fn until_not_ready(&self, words: &[&str]) {
        until(&format!("{} is not ready because of {words:?}", self.name), || {
            self.page("/readyz").is_some_and(|(status, text)| status == 503 && words.iter().all(|it| text.contains(it)))
        });
    }

    /// Waits until it is ready and owns `partitions` partitions, all of them live.
    pub fn until_live(&self, partitions: usize) {
        until(&format!("{} has {partitions} live partitions", self.name), || {
            self.page("/readyz").is_some_and(|(status, _)| status == 200)
                && self.sum("tidemill_poll_partition_state", &[r#"state="live""#]) == partitions as f64
        });
    }

    /// The sum of all series of a metric that hold all of `labels`.
    pub fn sum(&self, metric: &str, labels: &[&str]) -> f64 {
        let (_, text) = self.page("/metrics").unwrap_or_default();
        let series = text.lines().filter(|line| {
            line.strip_prefix(metric).is_some_and(|rest| rest.starts_with(['{', ' ']))
                && labels.iter().all(|label| line.contains(label))
        });
        series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// The most that was ever resident, in bytes; `None` once it has ended.
    pub fn peak_bytes(&self) -> Option<u64> {
        self.status("VmHWM:")
    }

    /// What is resident, in bytes; 0 once it has ended.
    pub fn resident_bytes(&self) -> u64 {
        self.status("VmRSS:").unwrap_or_default()
    }

    /// Of it heap and stacks, in bytes; the rest are pages of the binary. 0 once it has ended.
    pub fn anonymous_bytes(&self) -> u64 {
        self.status("RssAnon:").unwrap_or_default()
    }

    fn status(&self, name: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok()?.checked_mul(1024)
    }

    /// Sends `TERM`, `INT`, `KILL`, `STOP` or `CONT`.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([&format!("-{signal}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success(), "cannot send {signal} to {}", self.name);
    }

    /// True until it has ended.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end: the exit code (`None`: killed) and how long that took.
    pub fn ended(&mut self) -> (Option<i32>, Duration) {
        let since = Instant::now();
        let child = &mut self.child;
        let status = wait(&format!("the end of {}", self.name), PATIENCE, || child.try_wait().unwrap());
        (status.code(), since.elapsed())
    }

    /// SIGTERM, and its end.
    pub fn stop(&mut self) -> (Option<i32>, Duration) {
        self.signal("TERM");
        self.ended()
    }

    /// SIGTERM, which must end with exit code 0.
    pub fn stop_well(mut self) {
        assert_eq!(self.stop().0, Some(0), "{} did not stop well", self.name);
    }

    /// SIGKILL, and its end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.log().is_empty() && self.child.try_wait().is_ok_and(|end| end.is_none()) {
            self.signal("CONT");
            eprintln!("--- {} says of itself: {:?}", self.name, self.page("/readyz"));
        }
        self.kill();
        if std::thread::panicking() || std::env::var_os("TIDEMILL_TEST_LOG").is_some() {
            let log = self.log();
            let from = log.len().saturating_sub(SHOWN);
            eprintln!("--- {}, the last of {} lines:\n{}", self.name, log.len(), log[from..].join("\n"));
        }
    }
}

/// Looks again and again until `look` finds something.
pub fn wait<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{patience:?} are over, and not yet: {what}");
        std::thread::sleep(LOOK);
    }
}

/// Looks again and again until it is so.
pub fn until(what: &str, mut look: impl FnMut() -> bool) {
    wait(what, PATIENCE, || look().then_some(()));
}
