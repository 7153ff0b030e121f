//! The metadata string that is committed with every offset: what a replay may rely on.
//!
//! ASCII, versioned, checksummed, at most [`LEN_MAX`] bytes:
//!
//! ```text
//! tm1 <replay_from> <watermark or -> <guard steps or -> <config digest> <topic id> <crc32>
//! ```
//!
//! A guard step is `offset:guard` in base 36, the first relative to `replay_from` and 1970, each further one relative
//! to the one before (docs/guarantees.md, "The guard clock").

mod digest;

pub use digest::Digest;

use crate::broker::TopicId;
use std::fmt::{self, Write};

/// Brokers allow 4,096 bytes unless set; over the limit is an endless abort.
pub const LEN_MAX: usize = 1_000;

const VERSION: &str = "tm1";

/// What is committed beside the offset of one partition. `G` is anything that yields the guard's steps, so that a task
/// can say what it would commit without a copy of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint<G = Vec<GuardStep>> {
    /// Lowest offset of a record in a still open window; the committed offset if none is open.
    pub replay_from: i64,
    /// The watermark at this commit in Unix milliseconds; `None` before the first merged record.
    pub watermark_ms: Option<i64>,
    /// Steps of the guard clock since `replay_from`.
    pub guard: G,
    /// Digest of everything that changes a fate or a window.
    pub digest: Digest,
    /// The source topic's identity.
    pub topic_id: TopicId,
}

/// The guard clock from an offset on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardStep {
    /// First offset at which it is in force.
    pub offset: i64,
    /// What it shows, in Unix milliseconds.
    pub guard_ms: i64,
}

/// Why a metadata string was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It does not begin as any version of ours does.
    Foreign,
    /// A version that this release does not know.
    Version,
    /// The checksum does not fit.
    Checksum,
    /// The checksum fits, the fields do not.
    Fields,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Foreign => "it was not written by tidemill",
            Self::Version => "it was written by a release of tidemill that this one does not know",
            Self::Checksum => "its checksum does not fit: it was damaged or edited",
            Self::Fields => "its fields cannot be read",
        })
    }
}

impl<G: Clone + IntoIterator<Item = GuardStep>> Checkpoint<G> {
    /// The string to commit.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        self.encode_into(&mut text);
        text
    }

    /// The string to commit, instead of what stood in `text`.
    pub fn encode_into(&self, text: &mut String) {
        text.clear();
        // Writing into memory cannot fail.
        let _ = self.write(text);
        debug_assert!(text.len() <= LEN_MAX, "{text}");
    }

    /// True if `text` is the string to commit.
    pub fn is(&self, text: &str) -> bool {
        let mut same = Same { rest: text };
        self.write(&mut same).is_ok() && same.rest.is_empty()
    }

    fn write(&self, out: &mut impl Write) -> fmt::Result {
        let mut out = Summed { out, sum: crc32fast::Hasher::new() };
        write!(out, "{VERSION} {} ", self.replay_from)?;
        match self.watermark_ms {
            Some(watermark_ms) => write!(out, "{watermark_ms} ")?,
            None => out.write_str("- ")?,
        }
        let (mut offset, mut guard_ms) = (self.replay_from, 0);
        let mut separator = "";
        for step in self.guard.clone() {
            out.write_str(separator)?;
            write_base36(step.offset - offset, &mut out)?;
            out.write_str(":")?;
            write_base36(step.guard_ms - guard_ms, &mut out)?;
            (offset, guard_ms, separator) = (step.offset, step.guard_ms, ",");
        }
        if separator.is_empty() {
            out.write_str("-")?;
        }
        write!(out, " {} {:032x}", self.digest, u128::from_be_bytes(self.topic_id.0))?;
        let checksum = out.sum.clone().finalize();
        write!(out, " {checksum:08x}")
    }
}

impl Checkpoint {
    /// Reads a committed string.
    ///
    /// # Errors
    /// Why it cannot be trusted.
    pub fn decode(text: &str) -> Result<Self, Unreadable> {
        let version = text.split(' ').next().unwrap_or_default();
        if version != VERSION {
            let ours = version.strip_prefix("tm").is_some_and(|number| number.parse::<u32>().is_ok());
            return Err(if ours { Unreadable::Version } else { Unreadable::Foreign });
        }
        let (body, checksum) = text.rsplit_once(' ').ok_or(Unreadable::Checksum)?;
        if checksum.len() != 8 || u32::from_str_radix(checksum, 16) != Ok(crc32fast::hash(body.as_bytes())) {
            return Err(Unreadable::Checksum);
        }
        Self::decode_body(body).ok_or(Unreadable::Fields)
    }

    /// The first field alone, of a string that is known to be ours.
    pub fn replay_from(text: &str) -> Option<i64> {
        text.split(' ').nth(1)?.parse().ok()
    }

    fn decode_body(body: &str) -> Option<Self> {
        let mut fields = body.split(' ').skip(1);
        let replay_from = fields.next()?.parse().ok()?;
        let watermark_ms = match fields.next()? {
            "-" => None,
            number => Some(number.parse().ok()?),
        };
        let guard = match fields.next()? {
            "-" => Vec::new(),
            steps => decode_steps(steps, replay_from)?,
        };
        let digest = fields.next()?.parse().ok()?;
        let topic_id = TopicId(u128::from_str_radix(fields.next()?, 16).ok()?.to_be_bytes());
        fields.next().is_none().then_some(Self { replay_from, watermark_ms, guard, digest, topic_id })
    }
}

fn decode_steps(text: &str, replay_from: i64) -> Option<Vec<GuardStep>> {
    let mut last = GuardStep { offset: replay_from, guard_ms: 0 };
    text.split(',')
        .map(|step| {
            let (offset, guard_ms) = step.split_once(':')?;
            last = GuardStep {
                offset: last.offset.checked_add(i64::from_str_radix(offset, 36).ok()?)?,
                guard_ms: last.guard_ms.checked_add(i64::from_str_radix(guard_ms, 36).ok()?)?,
            };
            Some(last)
        })
        .collect()
}

fn write_base36(number: i64, out: &mut impl Write) -> fmt::Result {
    if number < 0 {
        out.write_char('-')?;
    }
    let mut digits = ['0'; 13];
    let mut rest = number.unsigned_abs();
    let mut used = 0;
    for digit in &mut digits {
        *digit = char::from_digit((rest % 36) as u32, 36).unwrap_or('0');
        rest /= 36;
        used += 1;
        if rest == 0 {
            break;
        }
    }
    digits.iter().take(used).rev().try_for_each(|digit| out.write_char(*digit))
}

/// Passes text on and sums it up.
struct Summed<'a, W> {
    out: &'a mut W,
    sum: crc32fast::Hasher,
}

impl<W: Write> Write for Summed<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.sum.update(text.as_bytes());
        self.out.write_str(text)
    }
}

/// Takes what is expected, and fails at the first difference.
struct Same<'a> {
    rest: &'a str,
}

impl Write for Same<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.rest = self.rest.strip_prefix(text).ok_or(fmt::Error)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn checkpoint() -> impl Strategy<Value = Checkpoint> {
        let step = (0..1_i64 << 40, 1..1_i64 << 38);
        (
            0..1_i64 << 50,
            proptest::option::of(0..1_i64 << 47),
            proptest::collection::vec(step, 0..48),
            any::<u64>(),
            any::<[u8; 16]>(),
        )
            .prop_map(|(replay_from, watermark_ms, steps, digest, topic_id)| {
                let (mut offset, mut guard_ms) = (replay_from, 1_700_000_000_000);
                let guard = steps
                    .into_iter()
                    .map(|(offset_by, guard_by)| {
                        offset += offset_by;
                        guard_ms += guard_by;
                        GuardStep { offset, guard_ms }
                    })
                    .collect();
                Checkpoint { replay_from, watermark_ms, guard, digest: Digest(digest), topic_id: TopicId(topic_id) }
            })
    }

    proptest! {
        #[test]
        fn what_was_committed_is_read_back_and_is_short(checkpoint in checkpoint()) {
            let text = checkpoint.encode();
            prop_assert!(text.is_ascii() && text.len() <= LEN_MAX, "{} bytes", text.len());
            prop_assert!(checkpoint.is(&text) && !checkpoint.is(&text[..text.len() - 1]) && !checkpoint.is(&(text.clone() + "0")));
            prop_assert_eq!(Checkpoint::replay_from(&text), Some(checkpoint.replay_from));
            prop_assert_eq!(Checkpoint::decode(&text), Ok(checkpoint));
        }

        #[test]
        fn one_changed_byte_is_refused(checkpoint in checkpoint(), at in any::<prop::sample::Index>(), to in b' '..=b'~') {
            let mut text = checkpoint.encode().into_bytes();
            let at = at.index(text.len());
            prop_assume!(text[at] != to);
            // The checksum's own digits may change case without changing their value.
            prop_assume!(!text[at].eq_ignore_ascii_case(&to));
            text[at] = to;
            let text = std::str::from_utf8(&text).unwrap();
            prop_assert!(Checkpoint::decode(text).is_err() && !checkpoint.is(text));
        }

        #[test]
        fn garbage_is_refused_and_never_panics(text in ".{0,80}") {
            prop_assert!(Checkpoint::decode(&text).is_err());
        }
    }

    #[test]
    fn the_reason_of_a_refusal_is_named() {
        let table = [
            ("hello", Unreadable::Foreign),
            ("tm2 1 2 - 0 0 0", Unreadable::Version),
            ("tm1 1 2 - 0 0 00000000", Unreadable::Checksum),
            ("tm1", Unreadable::Checksum),
        ];
        for (text, reason) in table {
            assert_eq!(Checkpoint::decode(text), Err(reason), "{text}");
        }
    }
}
