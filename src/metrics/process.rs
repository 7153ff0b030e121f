//! The process itself: which build, since when, and what it takes of the machine.
//!
//! Reads `/proc/self` at each scrape; where there is none, its series are absent rather than wrong.

use super::family::{Family, Kind, Sample, Value, one};
use std::fs;
use std::time::Duration;

/// What does not change while the process runs.
pub(super) struct Build {
    /// Version of librdkafka.
    pub(super) librdkafka: String,
}

pub(super) const BUILD: &[Family<Build>] = &[Family {
    name: "tidemill_build_info",
    help: "1, with the versions of this build.",
    kind: Kind::Gauge,
    labels: &["librdkafka", "version"],
    read: |build| vec![(vec![build.librdkafka.clone(), env!("CARGO_PKG_VERSION").to_owned()], Value::Number(1.0))],
}];

pub(super) const FAMILIES: &[Family<Process>] = &[
    Family {
        name: "process_cpu_seconds_total",
        help: "Time that the process spent on processors, in user and kernel.",
        kind: Kind::Counter,
        labels: &[],
        read: |process| one(process.cpu.as_secs_f64()),
    },
    Family {
        name: "process_open_fds",
        help: "Open files and connections.",
        kind: Kind::Gauge,
        labels: &[],
        read: |process| some(process.open_fds),
    },
    Family {
        name: "process_max_fds",
        help: "How many of them the system allows.",
        kind: Kind::Gauge,
        labels: &[],
        read: |process| some(process.max_fds),
    },
    Family {
        name: "process_resident_memory_bytes",
        help: "Resident memory of the process.",
        kind: Kind::Gauge,
        labels: &[],
        read: |_| some(resident_bytes()),
    },
    Family {
        name: "process_start_time_seconds",
        help: "When the process started, in Unix seconds.",
        kind: Kind::Gauge,
        labels: &[],
        read: |process| process.started.map(one).unwrap_or_default(),
    },
    Family {
        name: "process_threads",
        help: "Threads of the process.",
        kind: Kind::Gauge,
        labels: &[],
        read: |process| one(process.threads as f64),
    },
];

fn some(number: Option<u64>) -> Vec<Sample> {
    number.map(|number| one(number as f64)).unwrap_or_default()
}

/// What the system says of this process.
pub(super) struct Process {
    cpu: Duration,
    threads: u64,
    open_fds: Option<u64>,
    max_fds: Option<u64>,
    started: Option<f64>,
}

impl Process {
    pub(super) fn look() -> Option<Self> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // The second field is the name in parentheses, with whatever is in it.
        let fields: Vec<u64> = stat.rsplit_once(')')?.1.split_whitespace().map(|it| it.parse().unwrap_or(0)).collect();
        let (user, system) = (*fields.get(11)?, *fields.get(12)?);
        let ticks = ticks_per_second();
        let boot = fs::read_to_string("/proc/stat")
            .ok()
            .and_then(|stat| stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse::<f64>().ok());
        let since_boot = *fields.get(19)? as f64 / ticks;
        let limits = fs::read_to_string("/proc/self/limits").ok();
        Some(Self {
            cpu: Duration::from_secs_f64((user + system) as f64 / ticks),
            threads: *fields.get(17)?,
            open_fds: fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as u64),
            max_fds: limits.and_then(|limits| {
                let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
                line.split_whitespace().next()?.parse().ok()
            }),
            started: boot.map(|boot| boot + since_boot),
        })
    }
}

fn ticks_per_second() -> f64 {
    // SAFETY: asks for a constant of the system.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    if ticks > 0 { ticks as f64 } else { 100.0 }
}

/// Resident bytes of this process now; `None` where there is no `/proc`.
pub fn resident_bytes() -> Option<u64> {
    from_proc("VmRSS:")
}

/// The most that was ever resident, in bytes; `None` where there is no `/proc`.
pub fn peak_resident_bytes() -> Option<u64> {
    from_proc("VmHWM:")
}

/// A line of `/proc/self/status`, which counts in KiB.
fn from_proc(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok()?.checked_mul(1024)
}
