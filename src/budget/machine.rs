//! What a container or a machine has: the source of `memory.budget: auto`.
//!
//! Control groups of both versions, found as the process itself is described under `/proc`; a limit of any parent
//! counts. Reads files below a root, which tests make up.

use crate::config::Memory;
use std::fs;
use std::path::{Path, PathBuf};

const MIB: u64 = 1 << 20;
/// The share of a limit that `auto` takes, in percent: the rest is for the kernel's own pages and for whatever else
/// runs in the container.
const SHARE_PERCENT: u64 = 80;
/// Without a limit nobody has said that the machine is ours: `auto` takes no more than this.
const UNLIMITED_BYTES_MAX: u64 = 1 << 30;
/// What version 1 writes where there is no limit is the largest multiple of a page; no machine has as much.
const LIMIT_BYTES_MAX: u64 = 1 << 62;

/// Where to look.
#[derive(Clone, Debug)]
pub struct Machine {
    root: PathBuf,
}

/// What `auto` comes to, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auto {
    /// The budget in bytes.
    pub bytes: u64,
    /// Where it comes from, for people.
    pub from: String,
}

impl Default for Machine {
    fn default() -> Self {
        Self { root: "/".into() }
    }
}

impl Machine {
    /// The machine as a tree of files below `root`.
    pub fn at(root: &Path) -> Self {
        Self { root: root.into() }
    }

    /// What `memory.budget` comes to.
    pub fn budget(&self, memory: &Memory) -> Auto {
        let written = |bytes| Auto { bytes, from: "as written".into() };
        memory.budget_bytes.map_or_else(|| self.auto(), written)
    }

    /// What `memory.budget: auto` comes to.
    pub fn auto(&self) -> Auto {
        let share = |bytes: u64| (bytes / 100 * SHARE_PERCENT) / MIB * MIB;
        let machine = self.machine_bytes();
        // A limit beyond the machine's memory limits nothing.
        if let Some((bytes, file)) = self.limit().filter(|(bytes, _)| machine.is_none_or(|machine| *bytes < machine)) {
            let from = format!("{SHARE_PERCENT} % of the {} MiB in {}", bytes / MIB, file.display());
            return Auto { bytes: share(bytes), from };
        }
        let Some(machine) = machine else {
            return Auto { bytes: UNLIMITED_BYTES_MAX, from: "nothing says how much memory there is".into() };
        };
        match share(machine) {
            bytes if bytes <= UNLIMITED_BYTES_MAX => {
                Auto { bytes, from: format!("{SHARE_PERCENT} % of the machine's {} MiB", machine / MIB) }
            }
            _ => Auto {
                bytes: UNLIMITED_BYTES_MAX,
                from: "the most that `auto` takes of a machine without a limit; write a size to take more".into(),
            },
        }
    }

    /// The smallest limit of the process's control groups and their parents, and the file that has it.
    fn limit(&self) -> Option<(u64, PathBuf)> {
        let groups = self.read("proc/self/cgroup")?;
        let mounts = self.read("proc/self/mountinfo")?;
        let hierarchies = [("cgroup", "memory", "memory.limit_in_bytes"), ("cgroup2", "", "memory.max")];
        let limits = hierarchies.into_iter().flat_map(|(kind, controller, file)| {
            let group = group(&groups, controller);
            let folders = group.and_then(|group| folders(&mounts, kind, controller, group));
            folders.into_iter().flatten().filter_map(move |folder| {
                let path = folder.join(file);
                let bytes = self.read(path.strip_prefix("/").ok()?.to_str()?)?.trim().parse::<u64>().ok()?;
                (bytes < LIMIT_BYTES_MAX).then_some((bytes, path))
            })
        });
        limits.min_by_key(|(bytes, _)| *bytes)
    }

    fn machine_bytes(&self) -> Option<u64> {
        let meminfo = self.read("proc/meminfo")?;
        let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    }

    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.root.join(path)).ok()
    }
}

/// The process's group below a controller, from lines such as `4:memory:/a/b`; version 2 has no controller's name.
fn group<'a>(groups: &'a str, controller: &str) -> Option<&'a str> {
    groups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        controllers.split(',').any(|name| name == controller).then_some(path)
    })
}

/// The folders of a group and its parents, from the line of `mountinfo` that mounts its hierarchy:
/// `35 31 0:32 /a /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory`.
fn folders(mounts: &str, kind: &str, controller: &str, group: &str) -> Option<Vec<PathBuf>> {
    mounts.lines().find_map(|line| {
        let (place, system) = line.split_once(" - ")?;
        let mut system = system.split(' ');
        let is_kind = system.next()? == kind;
        let has = controller.is_empty() || system.nth(1)?.split(',').any(|option| option == controller);
        if !(is_kind && has) {
            return None;
        }
        let mut place = place.split(' ').skip(3);
        let (root, mounted) = (place.next()?, Path::new(place.next()?));
        // Inside a container the mount may begin below the top, or the path lead above it: then only the mount counts.
        let below = Path::new(group).strip_prefix(root).unwrap_or(Path::new(""));
        let is_inside = !below.components().any(|part| part == std::path::Component::ParentDir);
        let below = if is_inside { below } else { Path::new("") };
        Some(below.ancestors().map(|path| mounted.join(path)).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
        35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n";
    const V1_CONTAINER: &str = "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
    const V2: &str = "29 22 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
    const UNLIMITED: &str = "9223372036854771712";

    fn machine(mounts: &str, group: &str, files: &[(&str, &str)], total_kib: u64) -> (tempfile::TempDir, Machine) {
        let root = tempfile::tempdir().unwrap();
        let meminfo = format!("MemTotal:       {total_kib} kB\nMemFree: 5 kB\n");
        let own = [("proc/self/mountinfo", mounts), ("proc/self/cgroup", group), ("proc/meminfo", &meminfo)];
        for (path, text) in own.iter().chain(files) {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let machine = Machine::at(root.path());
        (root, machine)
    }

    #[test]
    fn auto_is_four_fifths_of_the_tightest_limit() {
        let gib = 1_048_576;
        let v1 = "4:memory:/a/b\n1:cpu:/\n0::/\n";
        let (own, parent) =
            ("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "sys/fs/cgroup/memory/a/memory.limit_in_bytes");
        let v2 = ("sys/fs/cgroup/a/memory.max", "sys/fs/cgroup/a/b/memory.max");
        type Case<'a> = (&'a str, &'a str, &'a str, Vec<(&'a str, &'a str)>, u64, u64);
        let cases: [Case<'_>; 11] = [
            ("v1, its own", V1, v1, vec![(own, "104857600"), (parent, UNLIMITED)], 8 * gib, 80),
            ("v1, its parent's", V1, v1, vec![(own, UNLIMITED), (parent, "209715200")], 8 * gib, 160),
            ("v1, no limit", V1, v1, vec![(own, UNLIMITED)], gib / 2, 409),
            (
                "v1, in a container",
                V1_CONTAINER,
                "4:memory:/docker/abc\n",
                vec![("sys/fs/cgroup/memory/memory.limit_in_bytes", "104857600")],
                8 * gib,
                80,
            ),
            (
                "v1, a group seen from outside",
                V1_CONTAINER,
                "4:memory:/elsewhere\n",
                vec![("sys/fs/cgroup/memory/memory.limit_in_bytes", "104857600")],
                8 * gib,
                80,
            ),
            ("v2, its own", V2, "0::/a/b\n", vec![(v2.1, "104857600\n"), (v2.0, "max\n")], 8 * gib, 80),
            ("v2, its parent's", V2, "0::/a/b\n", vec![(v2.1, "max"), (v2.0, "104857600")], 8 * gib, 80),
            ("v2, above the mount", V2, "0::/../../a\n", vec![("sys/fs/cgroup/memory.max", "104857600")], 8 * gib, 80),
            ("v2, no limit: the cap", V2, "0::/\n", vec![], 8 * gib, 1024),
            ("a limit beyond the machine", V2, "0::/a\n", vec![(v2.0, "99999999999")], gib, 819),
            ("no control groups at all", "", "", vec![], gib, 819),
        ];
        for (name, mounts, group, files, total_kib, expected_mib) in cases {
            let (_root, machine) = machine(mounts, group, &files, total_kib);
            let auto = machine.auto();
            assert_eq!(auto.bytes / MIB, expected_mib, "{name}: {auto:?}");
        }
    }

    #[test]
    fn auto_says_where_it_comes_from() {
        let files = [("sys/fs/cgroup/a/memory.max", "104857600")];
        let (_root, machine) = machine(V2, "0::/a\n", &files, 8 << 20);
        assert_eq!(machine.auto().from, "80 % of the 100 MiB in /sys/fs/cgroup/a/memory.max");
        assert_eq!(Machine::at(Path::new("nowhere")).auto().bytes, UNLIMITED_BYTES_MAX);
        assert!(Machine::default().auto().bytes > 0);
    }
}
