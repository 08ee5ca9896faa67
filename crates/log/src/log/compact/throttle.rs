//! Keeps compaction from taking the disk from those who wait for it.

use std::time::{Duration, Instant};

/// Spreads bytes over time.
pub(super) struct Throttle {
    per_second: Option<u64>,
    since: Instant,
    bytes: u64,
}

impl Throttle {
    pub(super) fn new(per_second: Option<u64>) -> Self {
        Throttle { per_second, since: Instant::now(), bytes: 0 }
    }

    /// Takes note of bytes read or written; waits when there were too many.
    pub(super) fn pass(&mut self, bytes: usize) {
        let Some(per_second) = self.per_second else { return };
        self.bytes += bytes as u64;
        let due = Duration::from_secs_f64(self.bytes as f64 / per_second.max(1) as f64);
        let ahead = due.saturating_sub(self.since.elapsed());
        // In short sleeps, so that a log that is closed need not wait; what is left over counts the next time.
        if ahead > Duration::from_millis(5) {
            std::thread::sleep(ahead.min(Duration::from_millis(100)));
        }
    }
}
