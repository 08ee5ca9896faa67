//! Counting distinct values: exact up to a threshold, then by HyperLogLog (Flajolet et al. 2007) with 2^14 registers.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};

const BITS: u32 = 14;
const REGISTERS: usize = 1 << BITS;

/// Hashes of values seen, or registers.
#[derive(Debug, Clone)]
pub(crate) struct Distinct {
    threshold: usize,
    exact: HashSet<u64>,
    registers: Vec<u8>,
}

/// A hash that is the same in all segments and runs.
pub(crate) fn hash(value: impl Hash) -> u64 {
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    value.hash(&mut hasher);
    // The finalizer of splitmix64: all bits depend on all.
    let mut bits = hasher.0;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}

impl Distinct {
    pub(crate) fn new(threshold: usize) -> Distinct {
        Distinct { threshold, exact: HashSet::new(), registers: Vec::new() }
    }

    pub(crate) fn add(&mut self, hash: u64) {
        if !self.registers.is_empty() {
            return self.register(hash);
        }
        self.exact.insert(hash);
        if self.exact.len() > self.threshold {
            self.registers = vec![0; REGISTERS];
            for hash in std::mem::take(&mut self.exact) {
                self.register(hash);
            }
        }
    }

    fn register(&mut self, hash: u64) {
        let rank = ((hash << BITS) | 1 << (BITS - 1)).leading_zeros() as u8 + 1;
        if let Some(register) = self.registers.get_mut((hash >> (64 - BITS)) as usize) {
            *register = rank.max(*register);
        }
    }

    pub(crate) fn merge(&mut self, other: Distinct) {
        for hash in other.exact {
            self.add(hash);
        }
        if other.registers.is_empty() {
            return;
        }
        if self.registers.is_empty() {
            let mine = std::mem::replace(&mut self.registers, other.registers);
            debug_assert!(mine.is_empty());
            for hash in std::mem::take(&mut self.exact) {
                self.register(hash);
            }
            return;
        }
        for (mine, theirs) in self.registers.iter_mut().zip(other.registers) {
            *mine = theirs.max(*mine);
        }
    }

    pub(crate) fn count(&self) -> u64 {
        if self.registers.is_empty() {
            return self.exact.len() as u64;
        }
        let m = REGISTERS as f64;
        let sum: f64 = self.registers.iter().map(|rank| 2f64.powi(-i32::from(*rank))).sum();
        let raw = 0.7213 / (1.0 + 1.079 / m) * m * m / sum;
        let zeros = self.registers.iter().filter(|rank| **rank == 0).count();
        let linear = m * (m / zeros as f64).ln();
        (if zeros > 0 && linear < 3.0 * m { linear } else { raw }).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_exact_below_the_threshold_and_near_above() {
        for (count, threshold, error) in
            [(0, 3000, 0.0), (3000, 3000, 0.0), (3001, 3000, 0.02), (200_000, 100, 0.03)]
        {
            let (mut all, mut other) = (Distinct::new(threshold), Distinct::new(threshold));
            for i in 0..count {
                // Each twice, in two parts that overlap.
                all.add(hash(i));
                if i % 2 == 0 { other.add(hash(i)) } else { all.add(hash(i)) }
            }
            all.merge(other.clone());
            other.merge(all.clone());
            for counted in [all.count(), other.count()] {
                let off = (counted as f64 - f64::from(count)).abs();
                assert!(off <= f64::from(count) * error, "{count}: {counted}");
            }
        }
    }
}
