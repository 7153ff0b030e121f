//! Size classes: powers of four from 4 KiB to 4 MiB.

use std::fmt;

/// The size of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Class(u8);

impl Class {
    /// All classes, the smallest first.
    pub const ALL: [Self; 6] = [Self(0), Self(1), Self(2), Self(3), Self(4), Self(5)];
    /// 4 KiB.
    pub const SMALLEST: Self = Self(0);
    /// 4 MiB.
    pub const LARGEST: Self = Self(5);

    /// Bytes of a buffer.
    pub const fn bytes(self) -> usize {
        4096 << (2 * self.0)
    }

    /// Index into [`Self::ALL`].
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The smallest class whose buffers hold `bytes`; `None` beyond the largest.
    pub fn holding(bytes: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.bytes() >= bytes)
    }

    /// The largest class whose buffers are at most `bytes`; the smallest class if all are larger.
    pub fn within(bytes: usize) -> Self {
        Self::ALL.into_iter().rev().find(|class| class.bytes() <= bytes).unwrap_or(Self::SMALLEST)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bytes() >> 10 {
            kib @ ..1024 => write!(f, "{kib} KiB"),
            kib => write!(f, "{} MiB", kib >> 10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_holds_what_it_says() {
        for (bytes, holding, within) in [
            (0, Some(0), 0),
            (4096, Some(0), 0),
            (4097, Some(1), 0),
            (16384, Some(1), 1),
            (1 << 20, Some(4), 4),
            (4 << 20, Some(5), 5),
            ((4 << 20) + 1, None, 5),
        ] {
            assert_eq!(Class::holding(bytes), holding.map(Class), "{bytes}");
            assert_eq!(Class::within(bytes), Class(within), "{bytes}");
        }
    }
}
