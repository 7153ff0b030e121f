//! A control group with a limit for one process, where the machine lets us make one; elsewhere nothing but the high-water
//! mark bounds it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

const V1: &str = "/sys/fs/cgroup/memory";

/// A group of its own; removed when it is dropped, which must be after its process has ended.
pub struct Cgroup(PathBuf);

impl Cgroup {
    /// A group that the kernel holds to so many bytes; `None` where none can be made.
    pub fn new(limit_bytes: u64) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let folder = PathBuf::from(V1).join(format!("tidemill-test-{}-{number}", std::process::id()));
        fs::create_dir(&folder).ok()?;
        let group = Self(folder);
        fs::write(group.0.join("memory.limit_in_bytes"), limit_bytes.to_string()).ok()?;
        Some(group)
    }

    /// `command`, which begins in the group.
    pub fn enclose(&self, command: Command) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", r#"echo $$ > "$0" && exec "$@""#]).arg(self.0.join("cgroup.procs"));
        shell.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}
