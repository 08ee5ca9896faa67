//! Percentiles: exact while values are few, then of centroids (Dunning's merging t-digest).

/// Values are exact up to here.
const EXACT: usize = 5_000;
/// As in Elasticsearch's default.
const COMPRESSION: f64 = 100.0;

/// Values by (mean, count).
#[derive(Debug, Clone, Default)]
pub(crate) struct Digest {
    centroids: Vec<(f64, f64)>,
    compressed: bool,
}

impl Digest {
    pub(crate) fn add(&mut self, value: f64) {
        self.centroids.push((value, 1.0));
        if self.centroids.len() > EXACT {
            self.compress();
        }
    }

    pub(crate) fn merge(&mut self, other: Digest) {
        self.compressed |= other.compressed;
        self.centroids.extend(other.centroids);
        if self.centroids.len() > EXACT {
            self.compress();
        }
    }

    fn compress(&mut self) {
        self.compressed = true;
        self.centroids.sort_by(|a, b| a.0.total_cmp(&b.0));
        let total: f64 = self.centroids.iter().map(|(_, count)| count).sum();
        // The scale function k1: small centroids at both ends.
        let scale =
            |q: f64| COMPRESSION / (2.0 * std::f64::consts::PI) * (2.0 * q - 1.0).clamp(-1.0, 1.0).asin();
        let mut merged: Vec<(f64, f64)> = Vec::new();
        let (mut before, mut from) = (0.0, scale(0.0));
        for (mean, count) in std::mem::take(&mut self.centroids) {
            match merged.last_mut() {
                Some(last) if scale((before + last.1 + count) / total) - from <= 1.0 => {
                    last.1 += count;
                    last.0 += (mean - last.0) * count / last.1;
                }
                last => {
                    before += last.map_or(0.0, |last| last.1);
                    from = scale(before / total);
                    merged.push((mean, count));
                }
            }
        }
        self.centroids = merged;
    }

    /// The values below which so many percent lie.
    pub(crate) fn percentiles(mut self, percents: &[f64]) -> Vec<Option<f64>> {
        self.centroids.sort_by(|a, b| a.0.total_cmp(&b.0));
        let total: f64 = self.centroids.iter().map(|(_, count)| count).sum();
        percents.iter().map(|percent| self.quantile(percent / 100.0, total)).collect()
    }

    fn quantile(&self, q: f64, total: f64) -> Option<f64> {
        let (first, last) = (self.centroids.first()?, self.centroids.last()?);
        // Each centroid stands at the middle of its values; between two the line.
        let target = if self.compressed { q * total - 0.5 } else { q * (total - 1.0) };
        let (mut before, mut previous) = (0.0, None::<(f64, f64)>);
        for (mean, count) in &self.centroids {
            let at = before + (count - 1.0) / 2.0;
            if target <= at {
                return Some(match previous {
                    Some((p_at, p_mean)) if at > p_at => {
                        p_mean + (mean - p_mean) * (target - p_at) / (at - p_at)
                    }
                    _ => first.0,
                });
            }
            previous = Some((at, *mean));
            before += count;
        }
        Some(last.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_exact_for_few_and_near_for_many_values() {
        let mut few = Digest::default();
        (1..=5).for_each(|i| few.add(f64::from(i)));
        assert_eq!(few.percentiles(&[0.0, 50.0, 75.0, 100.0]), [Some(1.0), Some(3.0), Some(4.0), Some(5.0)]);
        assert_eq!(Digest::default().percentiles(&[50.0]), [None]);
        let (mut a, mut b) = (Digest::default(), Digest::default());
        for i in 0..100_000 {
            if i % 3 == 0 { a.add(f64::from(i)) } else { b.add(f64::from(i)) }
        }
        a.merge(b);
        for (found, wanted) in
            a.percentiles(&[1.0, 50.0, 99.0]).into_iter().zip([1_000.0, 50_000.0, 99_000.0])
        {
            assert!((found.unwrap() - wanted).abs() < 500.0, "{found:?} {wanted}");
        }
    }
}
