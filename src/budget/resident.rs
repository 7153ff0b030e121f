//! What the system says that this process holds: resident bytes, now and at most, anonymous and of files.
//!
//! Reads `/proc/self/status`, a file of 1.5 KiB; where there is none, it says nothing rather than zero.

/// Resident memory in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resident {
    /// All of it, now.
    pub now_bytes: u64,
    /// The most that it ever was.
    pub peak_bytes: u64,
    /// Of `now_bytes`: heap and stacks. The rest are pages of the binary, which the kernel may drop and read again.
    pub anonymous_bytes: u64,
}

impl Resident {
    /// Looks; `None` where there is no `/proc`.
    pub fn look() -> Option<Self> {
        Self::parse(&std::fs::read_to_string("/proc/self/status").ok()?)
    }

    /// From the text of `/proc/self/status`, which counts in KiB.
    fn parse(status: &str) -> Option<Self> {
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok()?.checked_mul(1024)
        };
        Some(Self {
            now_bytes: bytes("VmRSS:")?,
            peak_bytes: bytes("VmHWM:")?,
            anonymous_bytes: bytes("RssAnon:").unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_bytes_are_read_from_the_lines_of_the_kernel() {
        let status = "Name:\tx\nVmHWM:\t    5000 kB\nVmRSS:\t    4000 kB\nRssAnon:\t    1000 kB\nRssFile:\t 3000 kB\n";
        let expected = Resident { now_bytes: 4_096_000, peak_bytes: 5_120_000, anonymous_bytes: 1_024_000 };
        assert_eq!(Resident::parse(status), Some(expected));
        assert_eq!(Resident::parse("Name:\tx\n"), None);
        let here = Resident::look().unwrap();
        assert!(here.peak_bytes >= here.anonymous_bytes && here.anonymous_bytes > 100_000, "{here:?}");
    }
}
