//! What the transaction coordinator does beside requests: reads its state back at start and ends what a crash left, aborts
//! transactions that last too long, forgets ids that are not used, keeps `__transaction_state` small.

use super::coordinator::TxnCoordinator;
use super::state::{TxnMeta, TxnState};
use crate::internal_log::{self, Event, ReplayError};
use crate::partition::Partition;
use crate::store::txn_records;
use crate::topics::{OFFSETS_TOPIC, TXN_TOPIC};
use crate::wait::now_ms;
use kafka_protocol::ResponseError as E;
use std::collections::HashMap;
use std::sync::Arc;

impl TxnCoordinator {
    /// Reads `__transaction_state`.
    pub(crate) fn load(&self) -> Result<(), ReplayError> {
        let Some(topic) = self.topics.get(TXN_TOPIC) else { return Ok(()) };
        for partition in topic.partitions() {
            internal_log::replay(&partition, |event| {
                let Event::Record { offset, key, value, .. } = event else { return };
                match txn_records::read(key, value) {
                    Ok((id, meta)) => *self.entry_or_new(&id).meta.write() = meta,
                    Err(error) => tracing::warn!(?partition, offset, %error, "skipped a record"),
                }
            })?;
        }
        self.entries.write().retain(|_, entry| entry.meta.read().is_some());
        Ok(())
    }

    /// Completes decided transactions, and aborts what is open in some partition without any id knowing of it (its begin was
    /// never acknowledged), so that no reader is held up. Before requests are served.
    pub(crate) fn recover(&self) -> Result<(), E> {
        let entries: Vec<_> = self.entries.read().values().cloned().collect();
        let mut open: HashMap<i64, TxnMeta> = HashMap::new();
        for entry in entries {
            let mut meta = entry.meta.write();
            self.complete(&entry, &mut meta)?;
            if let Some(meta) = meta.as_ref().filter(|m| m.state == TxnState::Ongoing) {
                open.insert(meta.producer_id, meta.clone());
            }
        }
        let mut aborted: Vec<(Arc<Partition>, i64)> = Vec::new();
        for partition in self.topics.all().iter().flat_map(|t| t.partitions()) {
            for txn in partition.log().open_transactions() {
                let place = (partition.topic.to_string(), partition.index);
                let known = open
                    .get(&txn.producer_id)
                    .is_some_and(|m| m.check_write(txn.producer_id, txn.epoch, &place).is_ok());
                if known {
                    continue;
                }
                tracing::warn!(
                    ?partition,
                    producer_id = txn.producer_id,
                    "aborts a transaction that nobody knows"
                );
                let marker = partition.append_marker(txn.producer_id, txn.epoch, false).map_err(|error| {
                    tracing::error!(?partition, %error, "cannot abort a transaction");
                    E::KafkaStorageError
                })?;
                if partition.topic.as_ref() == OFFSETS_TOPIC {
                    self.groups.end_txn(txn.producer_id, false, marker.base_offset);
                }
                aborted.push((Arc::clone(&partition), marker.last_offset + 1));
            }
        }
        for (partition, end) in aborted {
            partition.wait_durable(end).map_err(|_| E::KafkaStorageError)?;
        }
        self.alarm.at(Some(self.alarm.now()));
        Ok(())
    }

    /// Aborts transactions that last too long, completes those that could not be completed before.
    pub(crate) fn tick(&self) {
        let entries: Vec<_> = self.entries.read().values().cloned().collect();
        let now = now_ms();
        for entry in entries {
            // Whoever holds the lock is just taking a step, and sets the alarm if there is need.
            let Some(mut meta) = entry.meta.try_write() else {
                self.alarm.at(Some(self.alarm.now() + 100));
                continue;
            };
            let Some(current) = meta.as_ref() else { continue };
            let result = match current.state {
                TxnState::Ongoing if current.has_timed_out(now) => {
                    let next = current.fenced_abort(now);
                    self.store(&entry, &mut meta, next).and_then(|()| self.complete(&entry, &mut meta))
                }
                TxnState::Ongoing => {
                    let in_ms = current.started_ms + i64::from(current.timeout_ms) - now;
                    self.alarm.at(Some(self.alarm.now() + in_ms));
                    Ok(())
                }
                TxnState::PrepareCommit | TxnState::PrepareAbort => self.complete(&entry, &mut meta),
                _ => Ok(()),
            };
            if let Err(error) = result {
                tracing::warn!(transactional_id = entry.id, %error, "cannot end a transaction; it is tried again");
                self.alarm.at(Some(self.alarm.now() + 1000));
            }
        }
    }

    /// Forgets ids that were not used for long, and makes `__transaction_state` small again.
    pub(crate) fn maintain(&self) {
        let before = now_ms() - self.expiration_ms;
        let entries: Vec<_> = self.entries.read().values().cloned().collect();
        for entry in &entries {
            let Some(mut meta) = entry.meta.try_write() else { continue };
            let idle = meta.as_ref().is_none_or(|m| {
                m.updated_ms < before
                    && matches!(m.state, TxnState::Empty | TxnState::CompleteCommit | TxnState::CompleteAbort)
            });
            if !idle {
                continue;
            }
            let deleted = self.partition_for(&entry.id).and_then(|partition| {
                let end = self.append(&partition, &entry.id, None)?;
                partition.when_durable(end, |_| {});
                Ok(())
            });
            if deleted.is_ok() {
                // Whoever found the entry before it is removed sees that it is empty.
                *meta = None;
                self.entries.write().remove(&entry.id);
            }
        }
        let Some(topic) = self.topics.get(TXN_TOPIC) else { return };
        for partition in topic.partitions() {
            if let Err(error) = self.shrink(&partition) {
                tracing::warn!(?partition, %error, "cannot shrink");
            }
        }
    }

    fn shrink(&self, partition: &Arc<Partition>) -> Result<(), E> {
        let start = partition.log().end_offset();
        let entries: Vec<_> = self.entries.read().values().cloned().collect();
        if !internal_log::is_worth_shrinking(partition, entries.len() as i64) {
            return Ok(());
        }
        for entry in entries {
            if self.partition_for(&entry.id)?.index != partition.index {
                continue;
            }
            let meta = entry.meta.read();
            if let Some(meta) = meta.as_ref() {
                self.append(partition, &entry.id, Some(meta))?;
            }
        }
        internal_log::trim(partition, start).map_err(|_| E::KafkaStorageError)
    }
}
