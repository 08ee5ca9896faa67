//! Random numbers that follow from the seed, what they are for, and a number: in any order, always the same.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A source of random numbers.
pub type Random = ChaCha8Rng;

/// The source for `what`, number `n`.
pub fn of(seed: u64, what: &str, n: u64) -> Random {
    // FNV-1a of the name: the same in every build.
    let name =
        what.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    let mut key = [0; 32];
    for (place, word) in [seed, name, n, 0].iter().enumerate() {
        key[place * 8..place * 8 + 8].copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// Whether something of that probability happens.
pub fn chance(random: &mut Random, probability: f64) -> bool {
    random.random::<f64>() < probability
}

/// A number from `low` to `high`, both included.
pub fn between(random: &mut Random, low: i64, high: i64) -> i64 {
    random.random_range(low..=high.max(low))
}

/// One of some; `default` where there is none.
pub fn pick<T: Copy>(random: &mut Random, some: &[T], default: T) -> T {
    if some.is_empty() { default } else { some[random.random_range(0..some.len())] }
}

/// The place of a weight, drawn by the weights; 0 where there is none.
pub fn weighted(random: &mut Random, weights: &[f64]) -> usize {
    let sum: f64 = weights.iter().sum();
    let mut left = random.random::<f64>() * sum;
    for (place, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return place;
        }
    }
    weights.len().saturating_sub(1)
}
