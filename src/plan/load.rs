//! What is known of a stream: given by hand, or seen in a sample. Numbers only.

use super::keys::Keys;

/// A stream as a plan takes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// Where the numbers come from.
    pub origin: Origin,
    /// Its keys.
    pub keys: Keys,
    /// Records that are merged in a second of event time, all partitions together.
    pub rate: f64,
    /// Mean length of a key, each key once.
    pub key_bytes: f64,
    /// Mean length of a value.
    pub value_bytes: f64,
    /// Mean length of a text that `first` or `last` keeps.
    pub text_bytes: f64,
    /// Partitions of the source.
    pub partitions: usize,
    /// Share of the records that the hottest partition has, 0 to 1.
    pub hottest_partition: f64,
    /// Rows of windows that were seen whole; `None`: none was.
    pub rows: Option<Rows>,
}

/// Where the numbers of a [`Load`] come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// From the command line.
    Given,
    /// From records of the real topic.
    Sampled(Sampled),
}

/// What a sample was like.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sampled {
    /// Records read.
    pub records: u64,
    /// Event time that they cover, of the partition that covers most.
    pub span_ms: i64,
    /// Share of them that would be late, 0 to 1.
    pub late: f64,
    /// Share of them that would be dead letters.
    pub dead: f64,
    /// How far a merged record was behind the watermark, at most.
    pub disorder_ms: i64,
}

/// Rows (a key of a partition each) in windows and in panes that were seen whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rows {
    /// Windows seen.
    pub windows: usize,
    /// Rows of one of them.
    pub window: MeanMax,
    /// Rows of one pane; where a window is one pane, the same.
    pub pane: MeanMax,
}

/// Of several numbers, the mean and the largest.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MeanMax {
    /// The mean.
    pub mean: f64,
    /// The largest.
    pub max: f64,
}

/// What a person says of a stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Given {
    /// Distinct keys.
    pub keys: u64,
    /// Records a second.
    pub rate: f64,
    /// Length of a key in bytes.
    pub key_bytes: f64,
    /// Length of a value in bytes.
    pub value_bytes: f64,
    /// Partitions of the source.
    pub partitions: usize,
    /// Exponent of Zipf's law; 0 is uniform.
    pub skew: f64,
}

impl Load {
    /// A stream as somebody describes it: keys are spread over the partitions by their hash.
    pub fn given(given: &Given) -> Self {
        let keys = Keys::Zipf { keys: given.keys.max(1), exponent: given.skew };
        let hottest = keys.hottest();
        Self {
            origin: Origin::Given,
            rate: given.rate,
            key_bytes: given.key_bytes,
            value_bytes: given.value_bytes,
            text_bytes: 16.0,
            partitions: given.partitions.max(1),
            hottest_partition: hottest + (1.0 - hottest) / given.partitions.max(1) as f64,
            rows: None,
            keys,
        }
    }

    /// The most that is known without looking: every declared key in every window. `bytes` are those of all keys.
    pub(super) fn declared(keys: usize, bytes: usize, partitions: usize) -> Self {
        let given = Given {
            keys: keys as u64,
            rate: f64::MAX.sqrt(),
            key_bytes: bytes as f64 / keys.max(1) as f64,
            value_bytes: 0.0,
            partitions,
            skew: 0.0,
        };
        Self::given(&given)
    }

    /// Rows that so long a stretch of event time fills: where windows of that length were seen, theirs; else what the
    /// law of the keys says.
    pub(super) fn rows(&self, stretch: Stretch) -> MeanMax {
        let among = |ms: i64| self.keys.among(self.rate * ms as f64 / 1000.0);
        let law = among(stretch.filled_ms);
        let Some(seen) = self.rows.map(|rows| if stretch.is_window { rows.window } else { rows.pane }) else {
            return MeanMax { mean: law, max: law };
        };
        // A part of it has as large a part of the rows as the law says.
        let whole = among(stretch.whole_ms);
        let part = if whole > 0.0 { (law / whole).min(1.0) } else { 1.0 };
        MeanMax { mean: seen.mean * part, max: seen.max * part }
    }
}

/// A window or a pane, and how much of it has gone by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stretch {
    pub(super) is_window: bool,
    pub(super) whole_ms: i64,
    pub(super) filled_ms: i64,
}
