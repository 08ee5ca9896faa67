//! What the transaction coordinator does beside requests: reads its state back at start and ends what a crash left, forgets ids
//! that are not used.

use super::coordinator::TxnCoordinator;
use super::state::{TxnMeta, TxnState, TxnVersion};
use crate::internal_log::{self, Event, ReplayError};
use crate::partition::Partition;
use crate::store::txn_records;
use crate::topics::{OFFSETS_TOPIC, TXN_TOPIC};
use crate::wait::now_ms;
use bd_log::OpenTxn;
use kafka_protocol::ResponseError as E;
use std::collections::HashMap;
use std::sync::Arc;

/// Whether what is open in a partition belongs to the id's present transaction. What has the raised epoch of an end that is
/// decided is of the transaction after it.
fn is_part(txn: &OpenTxn, place: &(String, i32), meta: &TxnMeta) -> bool {
    let of_this = match meta.state {
        TxnState::Ongoing => txn.epoch == meta.epoch,
        state if state.is_prepared() => {
            txn.epoch < meta.epoch || (txn.epoch == meta.epoch && meta.client == TxnVersion::V1)
        }
        _ => false,
    };
    of_this && meta.partitions.contains(place)
}

impl TxnCoordinator {
    /// Reads `__transaction_state`.
    pub(crate) fn load(&self) -> Result<(), ReplayError> {
        let Some(topic) = self.topics.get(TXN_TOPIC) else { return Ok(()) };
        for partition in topic.partitions() {
            internal_log::replay(&partition, |event| {
                let Event::Record { offset, key, value, .. } = event else { return };
                match txn_records::read(key, value) {
                    Ok((id, meta)) => self.entry_or_new(&id).state.write().meta = meta,
                    Err(error) => tracing::warn!(?partition, offset, %error, "skipped a record"),
                }
            })?;
        }
        self.entries.write().retain(|_, entry| entry.state.read().meta.is_some());
        Ok(())
    }

    /// Ends what the last run left: completes decided transactions, and aborts what is open in some partition without being part
    /// of any id's transaction, so that no reader is held up. Before requests are served.
    ///
    /// The latter were never acknowledged: a crash took the record that begins the transaction, or adds the partition to it, and
    /// left records of it that were on their way to the disk at the same time. Their producer may be alive and send them again,
    /// so the abort raises its epoch there, lest they are taken for repeats of what is now aborted.
    pub(crate) fn recover(&self) -> Result<(), E> {
        let entries: Vec<_> = self.entries.read().values().cloned().collect();
        let metas: HashMap<i64, TxnMeta> = entries
            .iter()
            .filter_map(|e| e.state.read().meta.clone())
            .map(|meta| (meta.producer_id, meta))
            .collect();
        let mut aborted: Vec<(Arc<Partition>, i64)> = Vec::new();
        for partition in self.topics.all().iter().flat_map(|t| t.partitions()) {
            for txn in partition.log().open_transactions() {
                let place = (partition.topic.to_string(), partition.index);
                if metas.get(&txn.producer_id).is_some_and(|meta| is_part(&txn, &place, meta)) {
                    continue;
                }
                tracing::warn!(
                    ?partition,
                    producer_id = txn.producer_id,
                    "aborts the begin of a transaction that was never acknowledged"
                );
                let epoch = txn.epoch.saturating_add(1);
                let marker = partition.append_marker(txn.producer_id, epoch, false).map_err(|error| {
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
        self.complete_all(&entries).into_iter().collect::<Result<(), E>>()?;
        for entry in entries {
            if let Some(at) = entry.state.read().meta.as_ref().and_then(TxnMeta::deadline_ms) {
                self.look_at(&entry.id, at);
            }
        }
        Ok(())
    }

    /// Forgets ids that were not used for long.
    pub(crate) fn maintain(&self) {
        let before = now_ms() - self.expiration_ms;
        let entries: Vec<_> = self.entries.read().values().cloned().collect();
        for entry in &entries {
            let Some(_step) = entry.step.try_lock() else { continue };
            let mut stored = entry.state.write();
            let idle = stored.meta.as_ref().is_none_or(|m| {
                m.updated_ms < before && m.state != TxnState::Ongoing && !m.state.is_prepared()
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
                stored.meta = None;
                self.entries.write().remove(&entry.id);
            }
        }
    }
}
