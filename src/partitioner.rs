//! Which partition of a topic a key belongs to: as the Java client places it, so that outputs stay co-partitioned.

/// murmur2 as in `org.apache.kafka.common.utils.Utils.murmur2` (Austin Appleby's, seed 0x9747b28c).
pub fn murmur2(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    const SEED: u32 = 0x9747_b28c;
    let mix = |word: u32| {
        let word = word.wrapping_mul(M);
        (word ^ (word >> 24)).wrapping_mul(M)
    };
    let mut hash = SEED ^ key.len() as u32;
    let (words, rest) = key.as_chunks::<4>();
    for word in words {
        hash = hash.wrapping_mul(M) ^ mix(u32::from_le_bytes(*word));
    }
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |tail, byte| tail << 8 | u32::from(*byte));
        hash = (hash ^ tail).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// The partition of a record: by its key; without one, its source partition modulo the number of partitions.
pub fn partition(key: Option<&[u8]>, source_partition: i32, partitions: i32) -> i32 {
    let partitions = partitions.max(1);
    match key {
        Some(key) => (murmur2(key) & 0x7fff_ffff) as i32 % partitions,
        None => source_partition.rem_euclid(partitions),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From Kafka's own `UtilsTest.testMurmur2`.
    #[test]
    fn murmur2_is_that_of_the_java_client() {
        let table: [(&[u8], i32); 6] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            (b"abc", 479_470_107),
        ];
        for (key, hash) in table {
            assert_eq!(murmur2(key) as i32, hash, "{key:?}");
        }
    }

    #[test]
    fn a_null_key_keeps_its_partition_modulo_the_count() {
        assert_eq!(partition(None, 7, 4), 3);
        assert_eq!(partition(Some(b"abc"), 7, 4), 479_470_107 % 4);
    }
}
