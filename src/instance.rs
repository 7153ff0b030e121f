//! The place of this process in the deployment: a name that no other running process has, and the transactional ids
//! made of it.
//!
//! A restarted worker that gets its predecessor's ids ends its open transactions at once; two workers with the same
//! ids would fence each other in turn. So a place is claimed by an exclusive lock, held for the process's life. The
//! lock protects workers of one machine and one user; across machines the host name does. Nothing is ever deleted:
//! removing a file that somebody else is about to lock would give one place to two.

use anyhow::{Context, bail};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// More workers of one group on one machine than anybody runs.
const SLOTS_MAX: usize = 1024;

/// More lanes than any machine has cores; a larger number in the file is garbage.
const LANES_MAX: usize = 4096;

/// A claimed place. Dropping it gives the place back.
#[derive(Debug)]
pub struct Instance {
    name: String,
    file: File,
    path: PathBuf,
    lanes_before: usize,
}

impl Instance {
    /// Claims `configured` (`kafka.instance`), or else the first free slot of this host, for a group on some brokers.
    ///
    /// # Errors
    /// The configured place is taken (two workers would fence each other in turn), or no lock can be had.
    pub fn claim(group: &str, brokers: &str, configured: Option<&str>) -> anyhow::Result<Self> {
        Self::claim_in(&directory(), &host_name()?, group, brokers, configured)
    }

    fn claim_in(dir: &Path, host: &str, group: &str, brokers: &str, configured: Option<&str>) -> anyhow::Result<Self> {
        let path = |name: &str| dir.join(format!("tidemill-{:016x}.lock", hash(&[group, brokers, name])));
        if let Some(name) = configured {
            if name.is_empty() || name.contains('/') {
                bail!("kafka.instance is {name:?}: it must be a name without a slash");
            }
            return match Self::lock(name, &path(name))? {
                Some(instance) => Ok(instance),
                None => bail!(
                    "kafka.instance {name:?} of group {group:?} is taken by a running process (lock {}): stop that one, \
                     give this one another name, or leave kafka.instance out",
                    path(name).display()
                ),
            };
        }
        for slot in 0..SLOTS_MAX {
            let name = format!("{host}-{slot}");
            if let Some(instance) = Self::lock(&name, &path(&name))? {
                return Ok(instance);
            }
        }
        bail!(
            "none of {SLOTS_MAX} places on this host is free for group {group:?} in {}: set kafka.instance, or \
             XDG_RUNTIME_DIR to a directory that this user may write to",
            dir.display()
        )
    }

    /// `None` if a running process has it, or another user made the file (whose worker may be running).
    fn lock(name: &str, path: &Path) -> anyhow::Result<Option<Self>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(libc::O_NOFOLLOW);
        let opened = match options.open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::PermissionDenied && path.exists() => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot open the lock {}", path.display())),
        };
        match opened.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        let mut text = String::new();
        // What cannot be read was not written by us: then nothing is known of lanes before.
        let _ = (&opened).take(4096).read_to_string(&mut text);
        let lanes_before = text.lines().find_map(|line| line.strip_prefix("lanes ")?.parse().ok()).unwrap_or(0);
        let lanes_before = if lanes_before > LANES_MAX { 0 } else { lanes_before };
        Ok(Some(Self { name: name.to_owned(), file: opened, path: path.to_owned(), lanes_before }))
    }

    /// The name of the place: `host-slot`, or `kafka.instance`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Lanes of the last run that this one does not have: the transactional id of each must be initialised once, so
    /// that a transaction it left open holds nobody. Then [`Self::record_lanes`].
    pub fn stale_lanes(&self, lanes_now: usize) -> Range<usize> {
        lanes_now..self.lanes_before.max(lanes_now)
    }

    /// Writes down the number of lanes for the next run, before they start and after the stale ones were initialised.
    /// Once a day later on, so that cleaners of temporary files see that the file is in use.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn record_lanes(&mut self, lanes_now: usize) -> anyhow::Result<()> {
        let text = format!("instance {}\npid {}\nlanes {lanes_now}\n", self.name, std::process::id());
        let write = |mut file: &File| {
            file.seek(SeekFrom::Start(0))?;
            file.write_all(text.as_bytes())?;
            file.set_len(text.len() as u64)
        };
        write(&self.file).with_context(|| format!("cannot write {}", self.path.display()))?;
        self.lanes_before = lanes_now;
        Ok(())
    }
}

/// The transactional id of a lane. Neither instance nor lane holds a slash, so no two triples share an id, and an
/// access rule can name the ids of a group by their prefix.
pub fn transactional_id(group: &str, instance: &str, lane: usize) -> String {
    format!("{group}/{instance}/{lane}")
}

/// Where locks live: emptied at boot, or not emptied at all.
fn directory() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from) {
        Some(dir) if dir.is_dir() => dir,
        _ => std::env::temp_dir(),
    }
}

fn host_name() -> anyhow::Result<String> {
    let name = ["/proc/sys/kernel/hostname", "/etc/hostname"].iter().find_map(|path| {
        let name = std::fs::read_to_string(path).ok()?.trim().replace('/', "-");
        (!name.is_empty()).then_some(name)
    });
    name.context("this machine tells no host name: set kafka.instance")
}

/// FNV-1a over the parts, kept apart by a byte that text cannot hold; stable, because it names files between releases.
fn hash(parts: &[&str]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0xff]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn claim(dir: &Path, group: &str, configured: Option<&str>) -> anyhow::Result<Instance> {
        Instance::claim_in(dir, "host", group, "localhost:9092", configured)
    }

    #[test]
    fn each_process_gets_the_first_free_slot() {
        let dir = tempfile::tempdir().unwrap();
        let first = claim(dir.path(), "g", None).unwrap();
        let second = claim(dir.path(), "g", None).unwrap();
        let other_group = claim(dir.path(), "h", None).unwrap();
        assert_eq!([first.name(), second.name(), other_group.name()], ["host-0", "host-1", "host-0"]);
        drop(first);
        assert_eq!(claim(dir.path(), "g", None).unwrap().name(), "host-0");
    }

    #[test]
    fn a_place_set_by_hand_and_taken_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let held = claim(dir.path(), "g", Some("blue")).unwrap();
        let refusal = claim(dir.path(), "g", Some("blue")).unwrap_err().to_string();
        assert!(refusal.contains("\"blue\"") && refusal.contains("give this one another name"), "{refusal}");
        claim(dir.path(), "g", Some("green")).unwrap();
        drop(held);
        claim(dir.path(), "g", Some("blue")).unwrap();
        for bad in ["", "a/b"] {
            assert!(claim(dir.path(), "g", Some(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_slot_by_number_and_the_same_name_by_hand_are_one_place() {
        let dir = tempfile::tempdir().unwrap();
        let _slot = claim(dir.path(), "g", None).unwrap();
        assert!(claim(dir.path(), "g", Some("host-0")).is_err());
    }

    #[test]
    fn lanes_of_the_last_run_that_are_gone_are_stale_until_recorded() {
        let dir = tempfile::tempdir().unwrap();
        let mut run = claim(dir.path(), "g", None).unwrap();
        assert!(run.stale_lanes(4).is_empty());
        run.record_lanes(12).unwrap();
        drop(run);
        let mut run = claim(dir.path(), "g", None).unwrap();
        assert_eq!(run.stale_lanes(2), 2..12);
        assert!(run.stale_lanes(13).is_empty());
        run.record_lanes(2).unwrap();
        drop(run);
        assert!(claim(dir.path(), "g", None).unwrap().stale_lanes(2).is_empty());
    }

    #[test]
    fn the_file_is_ours_alone_and_garbage_in_it_is_no_lane() {
        let dir = tempfile::tempdir().unwrap();
        let run = claim(dir.path(), "g", None).unwrap();
        let path = run.path.clone();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(run);
        for garbage in [&b"lanes 99999999\n"[..], b"lanes -1", b"\xff\xfe", b""] {
            std::fs::write(&path, garbage).unwrap();
            assert!(claim(dir.path(), "g", None).unwrap().stale_lanes(1).is_empty(), "{garbage:?}");
        }
    }

    #[test]
    fn a_link_in_the_place_of_the_lock_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let path = claim(dir.path(), "g", None).unwrap().path.clone();
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), &path).unwrap();
        assert!(claim(dir.path(), "g", None).is_err());
        assert!(!dir.path().join("elsewhere").exists());
    }

    #[test]
    fn transactional_ids_tell_groups_places_and_lanes_apart() {
        assert_eq!(transactional_id("flights", "host-0", 3), "flights/host-0/3");
        assert_ne!(transactional_id("a", "b-1", 2), transactional_id("a-b", "1", 2));
    }
}
