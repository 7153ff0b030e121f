//! A process that is measured: on one core, with its CPU time and its peak of resident memory.
//!
//! It never outlives the bench: the kernel kills it when its parent dies.

use anyhow::{Context, bail};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// `/proc` counts CPU time in these, whatever the kernel's own clock.
const TICKS_PER_SECOND: u64 = 100;
/// How long a process may take to end when it is asked to.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

/// A running child, pinned to one core; killed when dropped.
pub(crate) struct Pinned {
    child: Child,
    log: PathBuf,
}

impl Pinned {
    /// Starts `command` on `core`; what it prints goes to the file `log`, its standard output to a pipe with `piped`.
    pub(crate) fn start(command: &Command, core: usize, log: &Path, piped: bool) -> anyhow::Result<Self> {
        // By the main thread, or the kernel takes the end of another one for the end of the parent.
        let mut pinned = Command::new("setpriv");
        pinned.args(["--pdeathsig", "KILL", "taskset", "-c", &core.to_string()]);
        pinned.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => pinned.env(name, value),
                None => pinned.env_remove(name),
            };
        }
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let out = if piped { Stdio::piped() } else { Stdio::from(file.try_clone()?) };
        pinned.stdin(Stdio::null()).stdout(out).stderr(file);
        let child = pinned.spawn().context("cannot start setpriv and taskset (Debian: util-linux)")?;
        Ok(Self { child, log: log.to_owned() })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its standard output, where it was piped and not yet taken.
    pub(crate) fn output(&mut self) -> Option<std::process::ChildStdout> {
        self.child.stdout.take()
    }

    /// User and system time of all its threads so far; to 10 ms.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid()))?;
        cpu_of(&stat).context("/proc/PID/stat is of another form")
    }

    /// The most memory it has held resident so far, bytes.
    pub(crate) fn peak_bytes(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("there is no VmHWM")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1024)
    }

    /// Fails with the end of its log if it has ended.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("it has ended ({status}):\n{}", self.last_lines()),
        }
    }

    /// The end of its log.
    pub(crate) fn last_lines(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// SIGTERM, and SIGKILL where that is not enough; waits for its end.
    pub(crate) fn stop(self) -> anyhow::Result<()> {
        self.stop_within(ENDS_WITHIN)
    }

    /// The same for one that may take longer.
    pub(crate) fn stop_within(mut self, time: Duration) -> anyhow::Result<()> {
        signal("-TERM", self.pid())?;
        let deadline = Instant::now() + time;
        while Instant::now() < deadline {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn signal(signal: &str, pid: u32) -> anyhow::Result<()> {
    let sent = Command::new("kill").args([signal, &pid.to_string()]).status()?;
    anyhow::ensure!(sent.success(), "cannot send {signal} to {pid}");
    Ok(())
}

/// Fields 14 and 15, counted behind the name in brackets, which may hold anything.
fn cpu_of(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis((user + system) * 1000 / TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_user_and_system_behind_any_name() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0 20 0 9 0";
        assert_eq!(cpu_of(stat), Some(Duration::from_millis(1750)));
        assert_eq!(cpu_of("7 (a"), None);
    }
}
