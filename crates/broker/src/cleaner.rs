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

/// A log that could not be compacted is tried again after so long, ms: the reason is most likely still there.
const RETRY_MS: i64 = 15 * 60_000;

/// Compacts the logs whose topics say so, on a thread of its own.
pub(crate) struct Cleaner {
    alarm: Arc<Alarm>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Cleaner {
    /// Starts the thread.
    pub(crate) fn start(topics: &Arc<Topics>, configs: Arc<Configs>) -> std::io::Result<Cleaner> {
        let alarm = Arc::new(Alarm::new());
        let (topics, at) = (Arc::downgrade(topics), Arc::clone(&alarm));
        at.at(Some(at.now() + configs.cleaner_backoff_ms()));
        let thread = std::thread::Builder::new().name("log-cleaner".into()).spawn(move || {
            let mut failed = HashMap::new();
            while at.wait() {
                let Some(()) = clean(&topics, &mut failed) else { return };
                at.at(Some(at.now() + configs.cleaner_backoff_ms()));
            }
        })?;
        Ok(Cleaner { alarm, thread: Mutex::new(Some(thread)) })
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
fn clean(topics: &Weak<Topics>, failed: &mut HashMap<(Arc<str>, i32), i64>) -> Option<()> {
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
    for (ratio, partition) in due {
        match partition.log().compact(now_ms()) {
            Ok(done) => tracing::debug!(?partition, ratio, ?done, "compacted"),
            Err(_) if partition.is_deleted() => {}
            Err(LogError::Closed { .. }) => return None,
            Err(error) => {
                tracing::warn!(?partition, %error, "cannot compact; tried again in 15 minutes");
                failed.insert((Arc::clone(&partition.topic), partition.index), now + RETRY_MS);
            }
        }
    }
    Some(())
}
