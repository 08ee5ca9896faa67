//! Time: which part is shown, and in how wide intervals.

use std::time::{SystemTime, UNIX_EPOCH};

/// The clock, ms since epoch.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// About so many intervals are shown.
const INTERVALS: i64 = 100;
/// No more than so many, whatever the file says.
const MAX_INTERVALS: i64 = 1000;

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const STEPS: [i64; 22] = [
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    15 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    7 * DAY,
    30 * DAY,
    90 * DAY,
    365 * DAY,
];

/// A span of time cut into intervals of one width; ms since epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// The start of the first interval, a multiple of the width.
    pub(super) from: i64,
    /// The end of the last one, exclusive.
    pub(super) to: i64,
    /// The width.
    pub(super) interval: i64,
}

impl Window {
    /// Covers `from..=to`; the width is that of the file, or fits the span.
    pub(super) fn new(from: i64, to: i64, interval: Option<u64>) -> Self {
        let span = to.saturating_sub(from).max(1);
        let fitting = || STEPS.into_iter().find(|s| span / s <= INTERVALS).unwrap_or(365 * DAY);
        let given = interval.and_then(|i| i64::try_from(i).ok()).map(|i| i.max(span / MAX_INTERVALS));
        let interval = given.unwrap_or_else(fitting).max(1);
        let end = to.div_euclid(interval).saturating_add(1).saturating_mul(interval);
        let count = (span / interval).clamp(1, MAX_INTERVALS);
        Self { from: end.saturating_sub((count + 1) * interval), to: end, interval }
    }

    /// The starts of the intervals.
    pub(super) fn starts(&self) -> Vec<i64> {
        let count = self.count();
        (0..count).map(|i| self.from + i as i64 * self.interval).collect()
    }

    pub(super) fn count(&self) -> usize {
        usize::try_from((self.to - self.from) / self.interval).unwrap_or(0)
    }

    /// The interval that `time` lies in.
    pub(super) fn place(&self, time: i64) -> Option<usize> {
        let at = time.checked_sub(self.from)?.div_euclid(self.interval);
        usize::try_from(at).ok().filter(|i| *i < self.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_fit_the_span() {
        for (span, width) in [(15 * MINUTE, 10 * SECOND), (HOUR, MINUTE), (DAY, 15 * MINUTE), (1, SECOND)] {
            let window = Window::new(1_000_000_000_000 - span, 1_000_000_000_000, None);
            assert_eq!(window.interval, width);
            assert!(window.count() <= 102 && window.from % width == 0);
            assert!(window.from <= 1_000_000_000_000 - span && window.to > 1_000_000_000_000);
        }
    }

    #[test]
    fn nothing_makes_too_many_intervals() {
        assert!(Window::new(0, 100 * 365 * DAY, Some(1)).count() <= 1001);
        assert!(Window::new(i64::MIN, i64::MAX, None).count() <= 1001);
    }

    #[test]
    fn times_find_their_interval() {
        let window = Window::new(0, 9_999, Some(1000));
        assert_eq!(window.starts().len(), window.count());
        assert_eq!(window.place(window.from - 1), None);
        assert_eq!(window.place(window.to), None);
        assert_eq!(window.place(window.to - 1), Some(window.count() - 1));
    }
}
