//! The last offset of each key, in bounded memory.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

/// What one key takes, in bytes, while the table grows too.
const ENTRY_BYTES: usize = 40;

/// A key: two hashes of it with random seeds, 128 bits together. Kafka keeps an MD5 instead; either way two keys are taken for
/// one with a chance that no log will ever meet, and with seeds nobody can make them meet.
type Fingerprint = (u64, u64);

/// The hashes are spread already.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u64(&mut self, hash: u64) {
        self.0 ^= hash;
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

/// Keys of the part of a log that is being compacted, and where each comes last.
pub(super) struct OffsetMap {
    seeds: (RandomState, RandomState),
    offsets: HashMap<Fingerprint, i64, BuildHasherDefault<Spread>>,
    most: usize,
    /// The last offset that the map knows of.
    pub(super) latest: i64,
}

impl OffsetMap {
    /// With at most `bytes` of memory.
    pub(super) fn new(bytes: usize) -> Self {
        OffsetMap {
            seeds: (RandomState::new(), RandomState::new()),
            offsets: HashMap::default(),
            most: (bytes / ENTRY_BYTES).max(1),
            latest: -1,
        }
    }

    fn fingerprint(&self, key: &[u8]) -> Fingerprint {
        (self.seeds.0.hash_one(key), self.seeds.1.hash_one(key))
    }

    /// Whether `keys` more may be put.
    pub(super) fn has_room(&self, keys: usize) -> bool {
        self.offsets.len().saturating_add(keys) <= self.most
    }

    pub(super) fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// A later offset of the key.
    pub(super) fn put(&mut self, key: &[u8], offset: i64) {
        let fingerprint = self.fingerprint(key);
        self.offsets.insert(fingerprint, offset);
    }

    /// Whether the record of `key` at `offset` is the last one that the map knows of, or comes after all of them.
    pub(super) fn is_last(&self, key: &[u8], offset: i64) -> bool {
        offset > self.latest
            || self.offsets.get(&self.fingerprint(key)).is_none_or(|latest| offset >= *latest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_offset_of_a_key_counts_and_memory_is_bounded() {
        let mut map = OffsetMap::new(400);
        for (offset, key) in ["a", "b", "a"].iter().enumerate() {
            map.put(key.as_bytes(), offset as i64);
            map.latest = offset as i64;
        }
        assert!(!map.is_last(b"a", 0) && map.is_last(b"b", 1) && map.is_last(b"a", 2));
        assert!(map.is_last(b"unknown", 0) && map.is_last(b"a", 3), "what it does not know of stays");
        assert!(map.has_room(8) && !map.has_room(9));
    }
}
