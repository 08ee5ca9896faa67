//! The second half of every end: markers in all partitions, then the record that says that they are there. And the clock of
//! open transactions.

use super::coordinator::{Entry, TxnCoordinator};
use super::state::{TxnMeta, TxnState};
use crate::error::code_of;
use crate::metrics::Coordinated;
use crate::partition::Partition;
use crate::topics::OFFSETS_TOPIC;
use crate::wait::{Gather, blocking, now_ms};
use bd_log::LogError;
use kafka_protocol::ResponseError as E;
use std::sync::Arc;

/// What could not be completed is tried again after so long.
const RETRY_MS: i64 = 1_000;
/// An id that is in the middle of another step is looked at again after so long.
const BUSY_MS: i64 = 100;
/// So many time-outs are handled at once, sharing their fsyncs.
const BATCH: usize = 1_000;

/// One marker to write.
struct Marker {
    /// Which of the entries it belongs to.
    entry: usize,
    partition: Arc<Partition>,
    producer_id: i64,
    commit: bool,
}

fn is_open(partition: &Partition, producer_id: i64) -> bool {
    partition.log().producer_state(producer_id).is_some_and(|p| p.txn_first_offset.is_some())
}

impl TxnCoordinator {
    /// Completes one decided transaction; the caller holds the id's step. Nothing to do where none is decided.
    pub(super) fn complete(&self, entry: &Arc<Entry>) -> Result<(), E> {
        let result = self.complete_all(std::slice::from_ref(entry)).pop().unwrap_or(Ok(()));
        if result.is_err() {
            self.look_at(&entry.id, now_ms() + RETRY_MS);
        }
        result
    }

    /// Completes decided transactions, all with the same few fsyncs; the caller holds the steps of all.
    pub(super) fn complete_all(&self, entries: &[Arc<Entry>]) -> Vec<Result<(), E>> {
        let mut results: Vec<Result<Option<TxnMeta>, E>> = Vec::with_capacity(entries.len());
        for entry in entries {
            let (meta, end) = {
                let stored = entry.state.read();
                (stored.meta.clone().filter(|m| m.state.is_prepared()), stored.end)
            };
            // No marker before the decision is durable: a crash would abort what readers have seen.
            results.push(match meta {
                Some(meta) => self.wait_stored(entry, end).map(|()| Some(meta)),
                None => Ok(None),
            });
        }
        let written = self.write_markers(&results);
        let mut finished = Vec::with_capacity(entries.len());
        for ((entry, result), written) in entries.iter().zip(results).zip(written) {
            finished.push(match result {
                Ok(Some(_)) => written.and_then(|()| self.note_complete(entry)),
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            });
        }
        finished
    }

    /// Writes the markers and waits until they are durable; one result for each of `decided`.
    fn write_markers(&self, decided: &[Result<Option<TxnMeta>, E>]) -> Vec<Result<(), E>> {
        let mut markers: Vec<Marker> = Vec::new();
        let mut appended: Vec<Result<i64, LogError>> = Vec::new();
        for (entry, meta) in decided.iter().enumerate() {
            let Ok(Some(meta)) = meta else { continue };
            let commit = meta.state == TxnState::PrepareCommit;
            for (topic, index) in &meta.partitions {
                // A topic that was deleted meanwhile needs no marker.
                let Some(partition) = self.topics.partition(topic, *index) else { continue };
                let marker = partition.append_marker(meta.producer_id, meta.epoch, commit);
                appended.push(marker.map(|a| a.base_offset));
                markers.push(Marker { entry, partition, producer_id: meta.producer_id, commit });
            }
        }
        let (done, wait) = blocking();
        let gather = Gather::new(markers.len(), Box::new(done));
        for (slot, (marker, appended)) in markers.iter().zip(appended).enumerate() {
            let gather = Arc::clone(&gather);
            match appended {
                Ok(at) => marker.partition.when_durable(at + 1, move |durable| {
                    gather.set(slot, durable.map(|_| at));
                }),
                Err(error) => gather.set(slot, Err(error)),
            }
        }
        let Some(durable) = wait() else { return vec![Err(E::CoordinatorNotAvailable); decided.len()] };
        let mut results = vec![Ok(()); decided.len()];
        for (marker, durable) in markers.iter().zip(durable) {
            if let Err(code) = self.marked(marker, durable)
                && let Some(result) = results.get_mut(marker.entry)
            {
                *result = Err(code);
            }
        }
        results
    }

    fn marked(&self, marker: &Marker, durable: Result<i64, LogError>) -> Result<(), E> {
        let partition = &marker.partition;
        match durable {
            Ok(at) => {
                if partition.topic.as_ref() == OFFSETS_TOPIC {
                    self.groups.end_txn(marker.producer_id, marker.commit, at);
                }
                Ok(())
            }
            Err(_) if partition.is_deleted() => Ok(()),
            // Marked before: since then the producer's epoch was raised here (see `recover`).
            Err(LogError::InvalidProducerEpoch { .. }) if !is_open(partition, marker.producer_id) => Ok(()),
            Err(error) => {
                tracing::error!(?partition, %error, "cannot write a transaction marker; it is tried again");
                Err(match code_of(&error) {
                    E::KafkaStorageError => E::CoordinatorNotAvailable,
                    code => code,
                })
            }
        }
    }

    /// All markers are durable. That they are needs no fsync of its own: the id's next record comes after this one.
    fn note_complete(&self, entry: &Entry) -> Result<(), E> {
        let mut stored = entry.state.write();
        let Some(next) = stored.meta.as_ref().and_then(|m| m.completed(now_ms())) else { return Ok(()) };
        let end = stored.end;
        self.put(entry, &mut stored, next)?;
        stored.end = end;
        Ok(())
    }

    /// Starts or stops an id's clock as its state changes.
    pub(super) fn keep_time(&self, id: &str, before: Option<&TxnMeta>, after: &TxnMeta) {
        let (before, after) = (before.and_then(TxnMeta::deadline_ms), after.deadline_ms());
        if before == after {
            return;
        }
        if let Some(before) = before {
            self.timers.lock().remove(&(before, id.to_owned()));
        }
        if let Some(after) = after {
            self.look_at(id, after);
        }
    }

    /// Has the id looked at at that time, ms since epoch.
    pub(super) fn look_at(&self, id: &str, at_ms: i64) {
        self.timers.lock().insert((at_ms, id.to_owned()));
        self.alarm.at(Some(self.alarm.now() + (at_ms - now_ms()).max(0)));
    }

    /// Aborts transactions that last too long, completes those that could not be completed before.
    pub(crate) fn tick(&self) {
        loop {
            let now = now_ms();
            let mut due = Vec::new();
            {
                let mut timers = self.timers.lock();
                while due.len() < BATCH && timers.first().is_some_and(|(at, _)| *at <= now) {
                    due.extend(timers.pop_first().and_then(|(_, id)| self.entry(&id)));
                }
                if due.is_empty() {
                    let next = timers.first().map(|(at, _)| self.alarm.now() + (at - now).max(0));
                    if next.is_some() {
                        self.alarm.at(next);
                    }
                    return;
                }
            }
            self.end_due(&due, now);
        }
    }

    fn end_due(&self, due: &[Arc<Entry>], now: i64) {
        let mut steps = Vec::new();
        let mut ending = Vec::new();
        for entry in due {
            let Some(step) = entry.step.try_lock() else {
                // Perhaps its end, just now.
                self.look_at(&entry.id, now + BUSY_MS);
                continue;
            };
            let mut stored = entry.state.write();
            match stored.meta.as_ref().and_then(TxnMeta::deadline_ms) {
                Some(at) if at > now => {
                    self.look_at(&entry.id, at);
                    continue;
                }
                Some(_) => {
                    tracing::info!(transactional_id = entry.id, "aborts a transaction that lasts too long");
                    if self.fence(entry, &mut stored).is_err() {
                        self.look_at(&entry.id, now + RETRY_MS);
                        continue;
                    }
                    self.topics.counters().coordinated(Coordinated::TxnTimeout);
                }
                None => {}
            }
            drop(stored);
            steps.push(step);
            ending.push(Arc::clone(entry));
        }
        for (entry, result) in ending.iter().zip(self.complete_all(&ending)) {
            if let Err(error) = result {
                tracing::warn!(transactional_id = entry.id, %error, "cannot end a transaction; it is tried again");
                self.look_at(&entry.id, now + RETRY_MS);
            }
        }
    }
}
