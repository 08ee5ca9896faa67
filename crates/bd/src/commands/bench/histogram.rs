//! Latencies in buckets whose width grows with their value, so that percentiles are right to 1 % at any scale.

/// Values below this have a bucket each; above, each doubling has half as many.
const SUB: u64 = 256;
const SUB_BITS: u32 = SUB.trailing_zeros();
const BUCKETS: usize = ((64 - SUB_BITS) as usize + 2) * (SUB as usize / 2);

/// Counts of values (ns).
#[derive(Clone)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    count: u64,
    sum: u128,
    max: u64,
}

impl Histogram {
    pub(super) fn new() -> Self {
        Self { counts: vec![0; BUCKETS], count: 0, sum: 0, max: 0 }
    }

    pub(super) fn add(&mut self, value: u64, times: u64) {
        if let Some(count) = self.counts.get_mut(bucket(value)) {
            *count += times;
        }
        self.count += times;
        self.sum += u128::from(value) * u128::from(times);
        self.max = self.max.max(value);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.count += other.count;
        self.sum += other.sum;
        self.max = self.max.max(other.max);
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn mean(&self) -> u64 {
        if self.count == 0 { 0 } else { (self.sum / u128::from(self.count)) as u64 }
    }

    /// The least value that this part of all values does not exceed (to the bucket's upper bound).
    pub(super) fn percentile(&self, part: f64) -> u64 {
        let rank = ((self.count as f64 * part).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0;
        for (i, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper(i).min(self.max);
            }
        }
        self.max
    }
}

fn bucket(value: u64) -> usize {
    if value < SUB {
        return value as usize;
    }
    let shift = 63 - value.leading_zeros() - (SUB_BITS - 1);
    // In SUB/2..SUB.
    let within = value >> shift;
    (u64::from(shift) * (SUB / 2) + within) as usize
}

/// The greatest value of a bucket.
fn upper(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < SUB {
        return bucket;
    }
    let shift = bucket / (SUB / 2) - 1;
    let within = bucket - shift * (SUB / 2);
    ((u128::from(within + 1) << shift) - 1).min(u128::from(u64::MAX)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_within_its_bucket_and_buckets_are_narrow() {
        for bits in 0..64 {
            for value in
                [1_u64 << bits, (1 << bits) + 1, (1_u64 << bits) | (1 << bits >> 1), u64::MAX >> (63 - bits)]
            {
                let top = upper(bucket(value));
                assert!(top >= value && (top - value) as f64 <= value as f64 * 0.01, "{value}: {top}");
                assert!(bucket(value) < BUCKETS);
            }
        }
    }

    #[test]
    fn percentiles_are_those_of_the_values() {
        let mut histogram = Histogram::new();
        for value in 1..=100_000 {
            histogram.add(value, 1);
        }
        for (part, value) in [(0.5, 50_000.0), (0.99, 99_000.0), (1.0, 100_000.0)] {
            let found = histogram.percentile(part) as f64;
            assert!((found - value).abs() <= value * 0.01, "{part}: {found}");
        }
        assert_eq!(histogram.mean(), 50_000);
        let mut both = Histogram::new();
        both.add(7, 3);
        both.merge(&histogram);
        assert_eq!((both.count(), both.percentile(1.0)), (100_003, 100_000));
    }
}
