//! The world's clock: stored in DATA, it never goes back.

use crate::files;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How far ahead of the clock its bound is stored (real time).
const AHEAD: Duration = Duration::from_secs(2);

#[derive(Serialize, Deserialize)]
struct Stored {
    /// No time after this one was ever given, ms since epoch.
    bound_ms: i64,
}

/// World time. It begins at the later of wall-clock time and the stored time, and runs `speed` times as fast as real time; at speed 1
/// it is wall-clock time, or stands still until that has caught up.
///
/// A bound is stored before any time below it is given; after a kill the next clock begins at that bound.
#[derive(Debug)]
pub struct WorldClock {
    path: PathBuf,
    speed: f64,
    began: Instant,
    began_ms: i64,
    last_ms: i64,
    bound_ms: i64,
}

/// Wall-clock time, ms since epoch.
pub fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl WorldClock {
    /// The clock stored in that file, or a new one.
    ///
    /// # Errors
    /// The file system's.
    pub fn open(path: &Path, speed: f64) -> Result<Self> {
        Self::open_at(path, speed, wall_ms())
    }

    /// The same with another wall-clock time than the system's.
    ///
    /// # Errors
    /// The file system's.
    pub fn open_at(path: &Path, speed: f64, wall_ms: i64) -> Result<Self> {
        let stored = files::read_json::<Stored>(path)?.map_or(i64::MIN, |s| s.bound_ms);
        let last_ms = wall_ms.max(stored);
        // At another speed there is no wall clock to wait for.
        let began_ms = if speed == 1.0 { wall_ms } else { last_ms };
        Ok(Self { path: path.to_owned(), speed, began: Instant::now(), began_ms, last_ms, bound_ms: stored })
    }

    /// The time, ms since epoch: at least what was given before.
    ///
    /// # Errors
    /// The bound cannot be stored.
    pub fn now_ms(&mut self) -> Result<i64> {
        let passed = self.began.elapsed().as_secs_f64() * 1000.0 * self.speed;
        let now = self.began_ms.saturating_add(passed as i64).max(self.last_ms);
        if now > self.bound_ms {
            let ahead = (AHEAD.as_secs_f64() * 1000.0 * self.speed) as i64;
            self.store(now.saturating_add(ahead))?;
        }
        self.last_ms = now;
        Ok(now)
    }

    /// Stores the time as it is, so that the next clock does not begin ahead of it.
    ///
    /// # Errors
    /// The file system's.
    pub fn close(mut self) -> Result<()> {
        let last = self.last_ms;
        self.store(last)
    }

    fn store(&mut self, bound_ms: i64) -> Result<()> {
        files::write_json(&self.path, &Stored { bound_ms })?;
        self.bound_ms = bound_ms;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_killed_or_whose_system_clock_went_back_never_goes_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clock");
        let mut clock = WorldClock::open_at(&path, 1.0, 1_000_000).unwrap();
        let last = clock.now_ms().unwrap();
        assert!((1_000_000..1_001_000).contains(&last));
        drop(clock);
        let mut clock = WorldClock::open_at(&path, 1.0, 500_000).unwrap();
        assert!(clock.now_ms().unwrap() >= last);
        let mut clock = WorldClock::open_at(&path, 1.0, 2_000_000).unwrap();
        assert!(clock.now_ms().unwrap() >= 2_000_000);
    }

    #[test]
    fn a_clock_that_was_closed_goes_on_from_where_it_stood_however_fast_it_ran() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clock");
        let mut clock = WorldClock::open_at(&path, 1_000_000.0, 1_000).unwrap();
        let mut last = clock.now_ms().unwrap();
        while last < 10_000_000 {
            let now = clock.now_ms().unwrap();
            assert!(now >= last);
            last = now;
        }
        clock.close().unwrap();
        let next = WorldClock::open_at(&path, 1.0, 2_000).unwrap().now_ms().unwrap();
        assert_eq!(next, last, "it stands still until the wall clock has caught up");
    }
}
