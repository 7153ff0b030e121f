//! The process itself: which build, and how much of it is resident.
//!
//! Reads `/proc`; where there is none, the series of resident bytes is absent rather than wrong.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, IntGaugeVec, Opts, Registry};

pub(super) fn register(registry: &Registry) -> Result<(), prometheus::Error> {
    let build = IntGaugeVec::new(Opts::new("tidemill_build_info", "1, with the version of this build."), &["version"])?;
    build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    registry.register(Box::new(build))?;
    let resident = IntGauge::new("process_resident_memory_bytes", "Resident memory of the process.")?;
    registry.register(Box::new(Resident(resident)))
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
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok()?.checked_mul(1024)
}

/// A gauge that looks when it is asked.
struct Resident(IntGauge);

impl Collector for Resident {
    fn desc(&self) -> Vec<&Desc> {
        self.0.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        match resident_bytes().and_then(|bytes| i64::try_from(bytes).ok()) {
            Some(bytes) => {
                self.0.set(bytes);
                self.0.collect()
            }
            None => Vec::new(),
        }
    }
}
