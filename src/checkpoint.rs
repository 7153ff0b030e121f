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
use std::fmt;

/// Brokers allow 4,096 bytes unless set; over the limit is an endless abort.
pub const LEN_MAX: usize = 1_000;

const VERSION: &str = "tm1";

/// What is committed beside the offset of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Lowest offset of a record in a still open window; the committed offset if none is open.
    pub replay_from: i64,
    /// The watermark at this commit in Unix milliseconds; `None` before the first merged record.
    pub watermark_ms: Option<i64>,
    /// Steps of the guard clock since `replay_from`.
    pub guard: Vec<GuardStep>,
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

impl Checkpoint {
    /// The string to commit.
    pub fn encode(&self) -> String {
        let mut text = format!("{VERSION} {} ", self.replay_from);
        match self.watermark_ms {
            Some(watermark_ms) => text.push_str(&watermark_ms.to_string()),
            None => text.push('-'),
        }
        text.push(' ');
        let (mut offset, mut guard_ms) = (self.replay_from, 0);
        for (index, step) in self.guard.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            push_base36(step.offset - offset, &mut text);
            text.push(':');
            push_base36(step.guard_ms - guard_ms, &mut text);
            (offset, guard_ms) = (step.offset, step.guard_ms);
        }
        if self.guard.is_empty() {
            text.push('-');
        }
        text.push_str(&format!(" {} ", self.digest));
        self.topic_id.0.iter().for_each(|byte| text.push_str(&format!("{byte:02x}")));
        let checksum = crc32fast::hash(text.as_bytes());
        text.push_str(&format!(" {checksum:08x}"));
        debug_assert!(text.len() <= LEN_MAX, "{text}");
        text
    }

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

fn push_base36(number: i64, text: &mut String) {
    if number < 0 {
        text.push('-');
    }
    let mut digits = [0_u8; 13];
    let mut rest = number.unsigned_abs();
    let mut used = 0;
    for digit in &mut digits {
        *digit = b"0123456789abcdefghijklmnopqrstuvwxyz".get((rest % 36) as usize).copied().unwrap_or(b'0');
        rest /= 36;
        used += 1;
        if rest == 0 {
            break;
        }
    }
    text.extend(digits.iter().take(used).rev().map(|digit| char::from(*digit)));
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
            prop_assert!(Checkpoint::decode(std::str::from_utf8(&text).unwrap()).is_err());
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
