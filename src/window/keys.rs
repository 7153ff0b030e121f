//! Which number stands for a key in the tables of a lane: its place among the declared keys, or else its hash.

use super::declared::Declared;
use foldhash::quality::FixedState;
use std::hash::BuildHasher;

/// Numbers the keys of one lane.
#[derive(Clone, Debug)]
pub struct Keys {
    hasher: FixedState,
    declared: Option<Declared>,
}

impl Keys {
    /// For keys that come from outside, with a seed drawn for each process; `declared` are all that may come.
    pub fn new(seed: u64, declared: Option<&[Box<[u8]>]>) -> Self {
        let hasher = FixedState::with_seed(seed);
        Self { declared: declared.map(|keys| Declared::new(&hasher, keys)), hasher }
    }

    /// How many keys are declared.
    pub fn declared(&self) -> Option<usize> {
        self.declared.as_ref().map(Declared::len)
    }

    /// The code of a key; `None` if keys are declared and this one is not. With declared keys no two have the same.
    #[inline]
    pub fn code(&self, key: &[u8]) -> Option<u32> {
        match &self.declared {
            None => Some((self.hasher.hash_one(key) >> 32) as u32),
            Some(declared) => declared.number(&self.hasher, key),
        }
    }
}
