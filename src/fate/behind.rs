//! How far behind the watermark records come, in buckets of four times the one before.

/// Buckets, the last one without an upper bound.
const BUCKETS: usize = 15;

/// Records that were behind the watermark, merged or late; those at it or ahead of it are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Behind {
    counts: [u64; BUCKETS],
    sum_ms: u64,
}

impl Behind {
    /// Upper bounds in ms, inclusive: from 1 ms to 18.6 hours.
    pub const BOUNDS_MS: [u64; BUCKETS - 1] = {
        let mut bounds = [1; BUCKETS - 1];
        let mut at = 1;
        while at < BUCKETS - 1 {
            bounds[at] = bounds[at - 1] * 4;
            at += 1;
        }
        bounds
    };

    /// Counts one record that is `behind_ms` behind; 0 counts as 1.
    #[inline]
    pub fn observe(&mut self, behind_ms: u64) {
        // The smallest k with `behind_ms ≤ 4^k`: half the bits of what is below it, rounded up.
        let bits = u64::BITS - behind_ms.saturating_sub(1).leading_zeros();
        let bucket = (bits.div_ceil(2) as usize).min(BUCKETS - 1);
        self.counts[bucket] += 1; // capped above
        self.sum_ms = self.sum_ms.saturating_add(behind_ms);
    }

    /// Records by bucket; the last one is beyond all bounds.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// All records that were behind.
    pub fn records(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// By how much they were behind, added up.
    pub fn sum_ms(&self) -> u64 {
        self.sum_ms
    }

    /// Adds the records of `other`.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(other.counts) {
            *mine += theirs;
        }
        self.sum_ms = self.sum_ms.saturating_add(other.sum_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        let mut last = 1;
        for behind_ms in (0..200).chain([1 << 26, (1 << 26) + 1, u64::MAX]) {
            let mut behind = Behind::default();
            behind.observe(behind_ms);
            let expected = Behind::BOUNDS_MS.iter().position(|bound| behind_ms <= *bound).unwrap_or(BUCKETS - 1);
            assert_eq!(behind.counts().iter().position(|count| *count == 1), Some(expected), "{behind_ms}");
            assert!(expected + 1 >= last);
            last = expected;
        }
        assert_eq!(Behind::BOUNDS_MS[13], 1 << 26);
    }
}
