//! The thread that compacts (Kafka's log cleaner): the dirtiest log first, one at a time.

use crate::alarm::Alarm;
use crate::configs::Configs;
use crate::topics::Topics;
use crate::wait::now_ms;
use bd_log::LogError;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A log that could not be compacted is tried again after so long, ms: the reason is most likely still there.
const RETRY_MS: i64 = 15 * 60_000;

/// What compaction has done, in the terms of Kafka's `LogCleaner` and `LogCleanerManager`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CleanerSnapshot {
    /// The dirtiest log that the last round found due: which part of its bytes was not compacted, from 0 to 1.
    pub max_dirty_ratio: f64,
    /// Bytes after by bytes before, over all compactions of the last round that had some.
    pub recopy_ratio: f64,
    /// The longest compaction of that round.
    pub max_clean_time: Duration,
    /// When the last round ended.
    pub last_round: Option<Instant>,
    /// Logs that could not be compacted and are left alone for a time.
    pub uncleanable: usize,
    /// Compactions since the start.
    pub compactions: u64,
    /// Records they dropped.
    pub records_removed: u64,
}

/// Compacts the logs whose topics say so, on a thread of its own.
pub(crate) struct Cleaner {
    seen: Arc<Mutex<CleanerSnapshot>>,
    alarm: Arc<Alarm>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Cleaner {
    /// Starts the thread.
    pub(crate) fn start(topics: &Arc<Topics>, configs: Arc<Configs>) -> std::io::Result<Cleaner> {
        let alarm = Arc::new(Alarm::new());
        let (topics, at) = (Arc::downgrade(topics), Arc::clone(&alarm));
        let seen = Arc::new(Mutex::new(CleanerSnapshot::default()));
        let stats = Arc::clone(&seen);
        at.at(Some(at.now() + configs.cleaner_backoff_ms()));
        let thread = std::thread::Builder::new().name("log-cleaner".into()).spawn(move || {
            let mut failed = HashMap::new();
            while at.wait() {
                let Some(()) = clean(&topics, &mut failed, &stats) else { return };
                at.at(Some(at.now() + configs.cleaner_backoff_ms()));
            }
        })?;
        Ok(Cleaner { seen, alarm, thread: Mutex::new(Some(thread)) })
    }

    /// What it has done so far.
    pub(crate) fn snapshot(&self) -> CleanerSnapshot {
        *self.seen.lock()
    }

    /// Looks again at once; for a change of its settings.
    pub(crate) fn wake(&self) {
        self.alarm.at(Some(0));
    }

    /// Ends the thread. A compaction that runs ends when its log is closed.
    pub(crate) fn stop(&self) {
        self.alarm.stop();
    }

    /// Waits for its end; the logs are closed by then.
    pub(crate) fn join(&self) {
        if let Some(thread) = self.thread.lock().take()
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

/// One round: all logs for which it is due, the dirtiest first. `None`: the topics are gone. `failed`: logs to be left alone, and
/// until when.
fn clean(
    topics: &Weak<Topics>,
    failed: &mut HashMap<(Arc<str>, i32), i64>,
    stats: &Mutex<CleanerSnapshot>,
) -> Option<()> {
    let now = now_ms();
    failed.retain(|_, until| *until > now);
    let mut due = Vec::new();
    for partition in topics.upgrade()?.all().iter().flat_map(|topic| topic.partitions()) {
        if failed.contains_key(&(Arc::clone(&partition.topic), partition.index)) {
            continue;
        }
        match partition.log().compaction_due(now) {
            Ok(Some(ratio)) => due.push((ratio, partition)),
            Ok(None) => {}
            Err(error) => tracing::warn!(?partition, %error, "cannot see whether compaction is due"),
        }
    }
    due.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let mut round = CleanerSnapshot {
        max_dirty_ratio: due.first().map_or(0.0, |(ratio, _)| *ratio),
        ..CleanerSnapshot::default()
    };
    let (mut before, mut after) = (0, 0);
    for (ratio, partition) in due {
        let begun = Instant::now();
        match partition.log().compact(now_ms()) {
            Ok(done) => {
                tracing::debug!(?partition, ratio, ?done, "compacted");
                (before, after) = (before + done.bytes_before, after + done.bytes_after);
                round.max_clean_time = round.max_clean_time.max(begun.elapsed());
                round.compactions += 1;
                round.records_removed += done.records_removed;
            }
            Err(_) if partition.is_deleted() => {}
            Err(LogError::Closed { .. }) => return None,
            Err(error) => {
                tracing::warn!(?partition, %error, "cannot compact; tried again in 15 minutes");
                failed.insert((Arc::clone(&partition.topic), partition.index), now + RETRY_MS);
            }
        }
    }
    let mut stats = stats.lock();
    round.compactions += stats.compactions;
    round.records_removed += stats.records_removed;
    round.uncleanable = failed.len();
    round.last_round = Some(Instant::now());
    round.recopy_ratio = if before == 0 { 0.0 } else { after as f64 / before as f64 };
    *stats = round;
    Some(())
}
