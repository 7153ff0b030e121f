//! The number of a declared key: linear probing over places that lie together, and the keys' bytes behind one another.

use std::hash::BuildHasher;

/// All declared keys, by hash.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    /// A power of two of them, at most half of them taken.
    places: Box<[Place]>,
    bytes: Box<[u8]>,
    len: usize,
}

/// Where a key lies. Nothing lies in a place of length [`FREE`].
#[derive(Clone, Copy, Debug)]
struct Place {
    hash: u32,
    number: u32,
    start: usize,
    len: usize,
}

/// No key is that long.
const FREE: usize = usize::MAX;

impl Declared {
    /// Numbers the keys by their order; of two that are the same the first counts.
    pub(super) fn new(hasher: &impl BuildHasher, keys: &[Box<[u8]>]) -> Self {
        let free = Place { hash: 0, number: 0, start: 0, len: FREE };
        let places = vec![free; (keys.len() * 2).next_power_of_two()].into_boxed_slice();
        let mut declared = Self { places, bytes: keys.concat().into_boxed_slice(), len: keys.len() };
        let mut start = 0;
        for (number, key) in (0..).zip(keys) {
            let hash = hash(hasher, key);
            if let Err(at) = declared.find(hash, key)
                && let Some(place) = declared.places.get_mut(at)
            {
                *place = Place { hash, number, start, len: key.len() };
            }
            start += key.len();
        }
        declared
    }

    /// How many keys were declared.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The number of a key, if it is declared.
    #[inline]
    pub(super) fn number(&self, hasher: &impl BuildHasher, key: &[u8]) -> Option<u32> {
        self.find(hash(hasher, key), key).ok()
    }

    /// The number of a key, or the free place in which it would lie.
    #[inline]
    fn find(&self, hash: u32, key: &[u8]) -> Result<u32, usize> {
        let mask = self.places.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            match self.places.get(at) {
                Some(place) if place.len != FREE => {
                    if place.hash == hash && self.bytes.get(place.start..place.start + place.len) == Some(key) {
                        return Ok(place.number);
                    }
                }
                _ => return Err(at),
            }
            at = (at + 1) & mask;
        }
    }
}

#[inline]
fn hash(hasher: &impl BuildHasher, key: &[u8]) -> u32 {
    (hasher.hash_one(key) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use foldhash::quality::FixedState;

    #[test]
    fn every_declared_key_has_its_number_and_no_other_has_one() {
        let keys: Vec<Box<[u8]>> = (0..1_000).map(|number: u32| number.to_string().into_bytes().into()).collect();
        for hasher in [FixedState::with_seed(1), FixedState::with_seed(2)] {
            let declared = Declared::new(&hasher, &keys);
            for (number, key) in (0..).zip(&keys) {
                assert_eq!(declared.number(&hasher, key), Some(number));
            }
            for stranger in [&b""[..], b"1000", b"01", b"1 "] {
                assert_eq!(declared.number(&hasher, stranger), None);
            }
        }
    }

    /// A hasher that finds all keys alike.
    struct Alike;

    impl BuildHasher for Alike {
        type Hasher = Zero;

        fn build_hasher(&self) -> Zero {
            Zero
        }
    }

    struct Zero;

    impl std::hash::Hasher for Zero {
        fn finish(&self) -> u64 {
            0
        }

        fn write(&mut self, _: &[u8]) {}
    }

    #[test]
    fn keys_of_one_hash_are_told_apart_and_of_two_equal_ones_the_first_counts() {
        let keys = [&b"a"[..], b"ab", b"", b"a"].map(Box::from);
        let declared = Declared::new(&Alike, &keys);
        let number = |key: &[u8]| declared.number(&Alike, key);
        assert_eq!([number(b"a"), number(b"ab"), number(b""), number(b"b")], [Some(0), Some(1), Some(2), None]);
    }

    #[test]
    fn no_key_at_all_is_declared() {
        assert_eq!(Declared::new(&FixedState::with_seed(1), &[]).number(&FixedState::with_seed(1), b"a"), None);
    }
}
