//! Counts the records of a few topics as they become readable.
//!
//! Offsets alone are not records: every transaction leaves a marker in each partition that it wrote. So the records are read; of
//! a topic that is faster than that, some are skipped and counted by how many records the offsets held that were read.

use crate::dashboard::{Range, TopicMetric};
use crate::panel::now_ms;
use bd_cluster::{Cluster, ClusterError, OffsetSpec, Reader, ReaderConfig, Records, TopicPartition};
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So far behind the end, records are skipped.
const MAX_BEHIND: i64 = 20_000;
/// From there they are read on.
const KEEP: i64 = 1000;
/// So many older records tell when the newest one was written.
const PRIMED: i64 = 50;
const POLL_BYTES: usize = 1 << 20;
/// So many polls a turn at most.
const MAX_POLLS: usize = 64;
/// Topics that were not there are looked for again after so long.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// A rate is that of the last so many ms.
const RATE_OVER: i64 = 3000;
/// One sample a second is kept for so many seconds.
const HISTORY: usize = 3600;

/// The counts; read by panels while [`Tap::turn`] works.
pub(crate) struct Tap {
    counts: Mutex<BTreeMap<String, Count>>,
}

#[derive(Default)]
struct Count {
    exists: bool,
    /// Whether it was looked for at all.
    looked: bool,
    /// Records seen since the console started.
    seen: f64,
    /// Records and offsets that were read, of late.
    density: (f64, f64),
    /// When the newest record was seen, or its own timestamp where it was there before.
    newest: Option<i64>,
    /// Records that can be read, about.
    held: i64,
    /// (ms, seen), of the last seconds.
    recent: VecDeque<(i64, f64)>,
    /// (ms, seen), one a second.
    history: VecDeque<(i64, f64)>,
}

/// The reading half, owned by one thread.
pub(crate) struct Tapping {
    cluster: Arc<dyn Cluster>,
    reader: Option<Box<dyn Reader>>,
    partitions: Vec<Watched>,
    looked: Option<Instant>,
}

struct Watched {
    at: TopicPartition,
    /// Records from here on are new; older ones only tell when the newest one was written.
    live: i64,
}

impl Tapping {
    pub(crate) fn new(cluster: Arc<dyn Cluster>) -> Self {
        Self { cluster, reader: None, partitions: Vec::new(), looked: None }
    }
}

impl Tap {
    pub(crate) fn new(topics: impl IntoIterator<Item = String>) -> Self {
        let counts = topics.into_iter().map(|t| (t, Count::default())).collect();
        Self { counts: Mutex::new(counts) }
    }

    /// Whether there is a topic to watch.
    pub(crate) fn is_empty(&self) -> bool {
        self.counts.lock().is_empty()
    }

    /// Reads what is new.
    pub(crate) fn turn(&self, tapping: &mut Tapping) {
        let done = self.try_turn(tapping);
        if let Err(error) = done {
            tracing::debug!("watching topics: {error}");
            // From the start again: topics may have been deleted or trimmed.
            *tapping = Tapping { looked: Some(Instant::now()), ..Tapping::new(tapping.cluster.clone()) };
        }
        let now = now_ms();
        self.counts.lock().values_mut().for_each(|c| c.sample(now));
    }

    fn try_turn(&self, tapping: &mut Tapping) -> Result<(), ClusterError> {
        if tapping.looked.is_none_or(|at| at.elapsed() >= LOOK_AGAIN) {
            tapping.looked = Some(Instant::now());
            self.look(tapping)?;
        }
        let Tapping { cluster, reader: Some(reader), partitions, .. } = tapping else { return Ok(()) };
        self.skip(cluster.as_ref(), reader.as_mut(), partitions)?;
        for _ in 0..MAX_POLLS {
            let before: Vec<i64> = partitions.iter().map(|p| reader.position(&p.at).unwrap_or(0)).collect();
            let Some(records) = reader.poll(POLL_BYTES, Duration::ZERO)? else { break };
            let found = partitions.iter().zip(before).find(|(p, _)| p.at == records.partition);
            if let Some((watched, before)) = found {
                self.count(&records, watched.live, records.next_offset - before);
            }
        }
        Ok(())
    }

    /// Finds topics and partitions that are new; they are counted from their ends.
    fn look(&self, tapping: &mut Tapping) -> Result<(), ClusterError> {
        let topics: Vec<String> = self.counts.lock().keys().cloned().collect();
        for topic in topics {
            let info = tapping.cluster.topic(&topic)?;
            let mut held = 0;
            for partition in 0..info.as_ref().map_or(0, |t| t.partitions) {
                let at = TopicPartition::new(topic.as_str(), partition);
                let end = tapping.cluster.offset(&at, OffsetSpec::Stable)?;
                let start = tapping.cluster.offset(&at, OffsetSpec::Earliest)?;
                held += (end - start).max(0);
                if tapping.partitions.iter().any(|p| p.at == at) {
                    continue;
                }
                let mut reader = match tapping.reader.take() {
                    Some(reader) => reader,
                    None => {
                        let client_id = "bd-console".into();
                        tapping.cluster.open_reader(ReaderConfig { client_id, ..ReaderConfig::default() })?
                    }
                };
                let assigned = reader.assign(&at, start.max(end - PRIMED));
                tapping.reader = Some(reader);
                assigned?;
                // What came between the look for the topic and now is new too, where the topic itself is.
                let live = if self.known(&topic) { end } else { start };
                tapping.partitions.push(Watched { at, live });
            }
            self.at(&topic, |c| {
                c.looked = true;
                c.exists = info.is_some();
                c.held = held;
            });
        }
        Ok(())
    }

    /// Whether records of the topic may have been there before it was looked at.
    fn known(&self, topic: &str) -> bool {
        self.counts.lock().get(topic).is_none_or(|c| !c.looked || c.exists)
    }

    /// Steps over records where there are too many.
    fn skip(
        &self,
        cluster: &dyn Cluster,
        reader: &mut dyn Reader,
        partitions: &[Watched],
    ) -> Result<(), ClusterError> {
        for Watched { at, .. } in partitions {
            let end = cluster.offset(at, OffsetSpec::Stable)?;
            let behind = end - reader.position(at).unwrap_or(end);
            if behind > MAX_BEHIND {
                reader.seek(at, end - KEEP)?;
                self.at(&at.topic, |c| c.seen += c.density() * (behind - KEEP) as f64);
            }
        }
        Ok(())
    }

    fn count(&self, records: &Records, live: i64, offsets: i64) {
        let now = now_ms();
        let new = records.offsets.iter().filter(|o| **o >= live).count() as f64;
        let newest = records.timestamps.iter().max().map(|t| (*t).min(now));
        self.at(&records.partition.topic, |c| {
            c.seen += new;
            c.density = (c.density.0 * 0.9 + records.len() as f64, c.density.1 * 0.9 + offsets.max(0) as f64);
            c.newest = c.newest.max(if new > 0.0 { Some(now) } else { newest });
        });
    }

    fn at(&self, topic: &str, change: impl FnOnce(&mut Count)) {
        if let Some(count) = self.counts.lock().get_mut(topic) {
            change(count);
        }
    }

    /// A number made of topics: for `age`, when the newest record was appended (ms since epoch). None where it is not known
    /// yet; the topics that do not exist, if none does.
    pub(crate) fn now(&self, topics: &[String], metric: TopicMetric) -> Result<Option<f64>, Vec<String>> {
        let counts = self.counts.lock();
        let found: Vec<&Count> = topics.iter().filter_map(|t| counts.get(t)).filter(|c| c.exists).collect();
        if found.is_empty() {
            return Err(topics.to_vec());
        }
        Ok(match metric {
            TopicMetric::Rate => found.iter().map(|c| c.rate()).sum::<Option<f64>>(),
            TopicMetric::Records => Some(found.iter().map(|c| c.held as f64).sum()),
            TopicMetric::Age => found.iter().filter_map(|c| c.newest).max().map(|t| t as f64),
        })
    }

    /// Records a second over time: `(ms, records seen so far)` of each topic, one a second, oldest first.
    pub(crate) fn history(&self, topics: &[String], range: Range) -> Vec<(String, Vec<(i64, f64)>)> {
        let from = if let Range::Last(ms) = range { now_ms() - ms as i64 } else { 0 };
        let counts = self.counts.lock();
        let of = |topic: &String| {
            let count = counts.get(topic).filter(|c| c.exists)?;
            let samples = count.history.iter().filter(|(t, _)| *t >= from).copied().collect();
            Some((topic.clone(), samples))
        };
        topics.iter().filter_map(of).collect()
    }
}

impl Count {
    fn density(&self) -> f64 {
        if self.density.1 > 0.0 { (self.density.0 / self.density.1).min(1.0) } else { 1.0 }
    }

    fn sample(&mut self, now: i64) {
        if !self.exists {
            return;
        }
        self.recent.push_back((now, self.seen));
        while self.recent.len() > 2 && self.recent.get(1).is_some_and(|(t, _)| now - t >= RATE_OVER) {
            self.recent.pop_front();
        }
        if self.history.back().is_none_or(|(t, _)| now - t >= 1000) {
            self.history.push_back((now, self.seen));
            if self.history.len() > HISTORY {
                self.history.pop_front();
            }
        }
    }

    fn rate(&self) -> Option<f64> {
        let ((from, before), (to, seen)) = (self.recent.front()?, self.recent.back()?);
        (to - from >= 500).then(|| ((seen - before) * 1000.0 / (to - from) as f64).max(0.0))
    }
}

#[cfg(test)]
#[path = "tap_tests.rs"]
mod tests;
