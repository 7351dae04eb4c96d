//! The Java client's partitioning of a key, so that outboxd and Java producers agree where a key lives (I3).
//!
//! Not librdkafka's: its `murmur2` partitioner treats empty keys in another way, and its default is CRC32.

use std::num::NonZeroU32;

/// The partition of a record with this key: `Utils.toPositive(Utils.murmur2(key)) % partitions`.
pub fn partition(key: &[u8], partitions: NonZeroU32) -> i32 {
    let positive = murmur2(key) & 0x7fff_ffff;
    (positive % partitions).cast_signed()
}

/// 32-bit MurmurHash2 with the seed of Kafka's Java client (`org.apache.kafka.common.utils.Utils.murmur2`).
pub fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;

    // Java's length is 32 bits wide too; longer keys do not exist in Kafka.
    let length = u32::try_from(data.len() & 0xffff_ffff).unwrap_or(u32::MAX);
    let mut hash = SEED ^ length;
    let (words, rest) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    if !rest.is_empty() {
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u32::from_le_bytes(last)).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_six(key: impl AsRef<[u8]>) -> i32 {
        partition(key.as_ref(), NonZeroU32::new(6).unwrap())
    }

    /// Written by Kafka Connect's Java producer to topics of six partitions.
    #[test]
    fn agrees_with_the_java_client_on_text_keys() {
        let golden = [
            ("", 3),
            ("a", 4),
            ("ab", 2),
            ("abc", 3),
            ("abcd", 2),
            ("abcde", 1),
            ("0", 2),
            ("1", 3),
            ("2", 2),
            ("3", 5),
            ("4", 1),
            ("5", 0),
            ("6", 4),
            ("7", 3),
            ("8", 3),
            ("9", 5),
            ("10711fa5", 5),
            ("user-1", 2),
            ("user-2", 2),
            ("user-3", 5),
            ("order/42", 4),
            ("é", 3),
            ("ü", 2),
            ("ключ", 2),
            ("日本語", 4),
            ("😀", 3),
            ("😀😀", 1),
            ("\u{7f}", 0),
            ("ÿ", 1),
            ("da8d6de6-3b77-45ff-8f44-57db55a7a06c", 1),
            ("The quick brown fox", 3),
        ];
        for (key, expected) in golden {
            assert_eq!(of_six(key), expected, "key {key:?}");
        }
        assert_eq!(of_six("x".repeat(255)), 5);
    }

    #[test]
    fn agrees_with_the_java_client_on_binary_keys() {
        let golden: [(&[u8], i32); 9] = [
            (b"", 3),
            (b"\x00", 2),
            (b"\xff", 3),
            (b"\x80\xff", 2),
            (b"\xff\x80\xff", 1),
            (b"\x80\x81\x82\x83", 2),
            (b"\xff\xff\xff\xff\xff", 0),
            (b"\x7f\x80", 5),
            (b"\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7", 0),
        ];
        for (key, expected) in golden {
            assert_eq!(of_six(key), expected, "key {key:02x?}");
        }
    }

    /// Values from Apache Kafka's own `UtilsTest.testMurmur2`.
    #[test]
    fn agrees_with_kafkas_unit_test() {
        let golden = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (key, expected) in golden {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), expected, "key {key:?}");
        }
    }

    #[test]
    fn every_partition_is_legal() {
        for n in [1, 2, 7, u32::from(u16::MAX), 0x7fff_ffff] {
            let partitions = NonZeroU32::new(n).unwrap();
            (0..2000_u32).for_each(|key| {
                let partition = partition(&key.to_le_bytes(), partitions);
                assert!(partition >= 0 && partition.cast_unsigned() < n);
            });
        }
    }
}
