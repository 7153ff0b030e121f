//! How many distinct keys so many records have: from a law (uniform, Zipf) or from what was seen of the stream.
//!
//! Knows counts, and no key.

/// Ranks that are summed one by one; beyond them, blocks of ranks that are nearly alike.
const RANKS_EXACT: u64 = 4096;
/// A block of ranks is this much longer than its first rank.
const BLOCK_SHARE: u64 = 64;

/// The keys of a stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Keys {
    /// The key of rank `r` has a share in proportion to `r^−exponent`; 0 is uniform.
    Zipf {
        /// Distinct keys.
        keys: u64,
        /// The exponent.
        exponent: f64,
    },
    /// Seen in a sample of the stream.
    Seen(Seen),
}

/// What a sample says of its keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// Records in the sample.
    pub records: u64,
    /// Distinct keys in it, by the sketch.
    pub distinct: f64,
    /// How often the hottest keys came, the hottest first.
    pub hottest: Vec<u64>,
    /// How often some others came: chosen by their hash, so that they stand for all of them.
    pub others: Vec<u64>,
}

impl Keys {
    /// Distinct keys in all.
    pub fn distinct(&self) -> f64 {
        match self {
            Self::Zipf { keys, .. } => *keys as f64,
            Self::Seen(seen) => seen.distinct,
        }
    }

    /// Share of the hottest key, 0 to 1.
    pub fn hottest(&self) -> f64 {
        match self {
            Self::Zipf { keys, exponent } => 1.0 / harmonic(*keys, *exponent),
            Self::Seen(seen) => seen.share(seen.hottest.first().copied().unwrap_or_default()),
        }
    }

    /// Expected number of distinct keys among so many records.
    pub fn among(&self, records: f64) -> f64 {
        match self {
            Self::Zipf { keys, exponent } => {
                let sum = harmonic(*keys, *exponent);
                // Poisson: a key of share p is missing among n records with probability e^(−n p).
                ranks(*keys, |rank| -(-records * rank.powf(-exponent) / sum).exp_m1())
            }
            Self::Seen(seen) => seen.among(records),
        }
    }

    /// Entropy of the keys as a share of what it would be if all were alike: 1 is uniform, 0 is one key.
    pub fn entropy(&self) -> f64 {
        let (bits, keys) = match self {
            Self::Zipf { keys, exponent } => {
                let sum = harmonic(*keys, *exponent);
                let share = |rank: f64| rank.powf(-exponent) / sum;
                (ranks(*keys, |rank| -share(rank) * share(rank).log2()), *keys as f64)
            }
            Self::Seen(seen) => (seen.entropy(), seen.distinct),
        };
        if keys <= 1.0 { 0.0 } else { (bits / keys.log2()).clamp(0.0, 1.0) }
    }
}

impl Seen {
    fn share(&self, count: u64) -> f64 {
        count as f64 / self.records.max(1) as f64
    }

    /// Sum over all keys: each of the hottest counts once, each of the others for as many as it stands for.
    fn sum(&self, of: impl Fn(u64) -> f64) -> f64 {
        let stands_for = (self.distinct - self.hottest.len() as f64).max(0.0) / self.others.len().max(1) as f64;
        let sum = |counts: &[u64]| counts.iter().map(|count| of(*count)).sum::<f64>();
        sum(&self.hottest) + sum(&self.others) * stands_for
    }

    /// Within the sample by rarefaction, beyond it by Chao and Jost (Ecology 2012): as many keys are still unseen as those
    /// seen once and twice let one expect.
    fn among(&self, records: f64) -> f64 {
        let all = self.records.max(1) as f64;
        if records <= all {
            let missed = (1.0 - records / all).clamp(0.0, 1.0);
            return self.sum(|count| 1.0 - missed.powf(count as f64));
        }
        let times = |wanted: u64| self.sum(|count| f64::from(u8::from(count == wanted)));
        let (once, twice) = (times(1), times(2));
        let unseen = if twice > 0.0 { once * once / (2.0 * twice) } else { once * (once - 1.0).max(0.0) / 2.0 };
        if unseen <= 0.0 {
            return self.distinct;
        }
        self.distinct - unseen * (-(records - all) * once / (all * unseen)).exp_m1()
    }

    /// In bits.
    fn entropy(&self) -> f64 {
        self.sum(|count| match self.share(count) {
            share if share > 0.0 => -share * share.log2(),
            _ => 0.0,
        })
    }
}

/// Sum of `r^−exponent` over all ranks.
fn harmonic(keys: u64, exponent: f64) -> f64 {
    ranks(keys, |rank| rank.powf(-exponent)).max(f64::MIN_POSITIVE)
}

/// Sum of `of(rank)` over ranks 1 to `keys`; smooth functions only.
fn ranks(keys: u64, of: impl Fn(f64) -> f64) -> f64 {
    let mut sum: f64 = (1..=keys.min(RANKS_EXACT)).map(|rank| of(rank as f64)).sum();
    let mut first = RANKS_EXACT + 1;
    while first <= keys {
        let length = (first / BLOCK_SHARE).min(keys - first + 1);
        sum += length as f64 * of(first as f64 + (length - 1) as f64 / 2.0);
        first += length;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: f64, expected: f64, share: f64, what: &str) {
        assert!((found - expected).abs() <= share * expected.abs(), "{what}: {found}, and not about {expected}");
    }

    #[test]
    fn uniform_keys_are_as_many_as_the_formula_of_the_collector_says() {
        let keys = Keys::Zipf { keys: 1000, exponent: 0.0 };
        near(keys.among(1000.0), 1000.0 * (1.0 - (-1.0_f64).exp()), 0.001, "as many records as keys");
        near(keys.among(1e9), 1000.0, 1e-9, "all of them");
        near(keys.entropy(), 1.0, 1e-9, "entropy");
        near(keys.hottest(), 0.001, 1e-9, "hottest");
        assert_eq!(Keys::Zipf { keys: 1, exponent: 1.0 }.entropy(), 0.0);
    }

    #[test]
    fn blocks_of_ranks_come_to_the_same_as_one_rank_after_the_other() {
        for exponent in [0.0, 0.5, 1.0, 1.5] {
            let one_by_one: f64 = (1..=1_000_000).map(|rank| f64::from(rank).powf(-exponent)).sum();
            near(harmonic(1_000_000, exponent), one_by_one, 1e-4, "harmonic");
        }
    }

    #[test]
    fn a_sample_tells_of_shorter_and_of_longer_stretches() {
        // 500 keys, each seen twice, one in five of them looked at.
        let seen = Seen { records: 1000, distinct: 500.0, hottest: vec![], others: vec![2; 100] };
        let keys = Keys::Seen(seen);
        near(keys.among(500.0), 500.0 * 0.75, 1e-9, "half of it");
        near(keys.among(1000.0), 500.0, 1e-9, "all of it");
        near(keys.among(5000.0), 500.0, 1e-9, "nothing was seen once, so nothing is unseen");
        near(keys.entropy(), 1.0, 1e-9, "all alike");
        let seen = Seen { records: 1000, distinct: 401.0, hottest: vec![600], others: vec![1; 400] };
        let keys = Keys::Seen(seen);
        assert!(keys.among(2000.0) > 700.0 && keys.entropy() < 0.8, "{} {}", keys.among(2000.0), keys.entropy());
        near(keys.hottest(), 0.6, 1e-9, "hottest");
    }
}
