//! The coordinator of all transactional ids.
//!
//! Every step is durable in `__transaction_state` before it is answered, and each id takes one step at a time. A commit is
//!
//! ```text
//!  PrepareCommit durable ─▶ markers in all partitions, __consumer_offsets too, durable ─▶ CompleteCommit ─▶ answer
//!       decided                      visible to read_committed
//! ```
//! A crash before the first arrow aborts the transaction, one after it completes it at the next start. `CompleteCommit` need not
//! be durable for the answer: the records of the id's next transaction come after it in the same log.
//!
//! Calls block until their records are durable; tasks call them from a blocking thread.

use super::state::{EndStep, InitStep, TxnMeta, TxnState};
use crate::alarm::Alarm;
use crate::error::code_of;
use crate::group::{GroupCoordinator, partition_of};
use crate::partition::Partition;
use crate::producer_ids::ProducerIds;
use crate::store::txn_records;
use crate::topics::{OFFSETS_TOPIC, TXN_TOPIC, Topics};
use crate::wait::{Gather, blocking, now_ms};
use bd_log::batch::BatchBuilder;
use kafka_protocol::ResponseError as E;
use parking_lot::RwLock;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Kafka's bound on a transactional id is that of its strings.
const MAX_ID: usize = i16::MAX as usize;

/// Who a producer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerIdentity {
    /// The producer id.
    pub producer_id: i64,
    /// The epoch; a higher one fences it.
    pub epoch: i16,
}

/// One transactional id. Writers of its state hold the lock for the whole step; those who append as part of its transaction hold
/// it shared, so that no record can slip in after the marker.
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) meta: RwLock<Option<TxnMeta>>,
}

/// See the module's documentation.
pub struct TxnCoordinator {
    pub(super) topics: Arc<Topics>,
    pub(super) groups: Arc<GroupCoordinator>,
    pub(super) alarm: Arc<Alarm>,
    producer_ids: ProducerIds,
    partitions: i32,
    max_timeout_ms: i32,
    pub(super) expiration_ms: i64,
    pub(super) entries: RwLock<HashMap<String, Arc<Entry>>>,
}

impl TxnCoordinator {
    pub(crate) fn new(
        topics: Arc<Topics>,
        groups: Arc<GroupCoordinator>,
        alarm: Arc<Alarm>,
        producer_ids: ProducerIds,
        config: &crate::BrokerConfig,
    ) -> Self {
        Self {
            topics,
            groups,
            alarm,
            producer_ids,
            partitions: config.txn_partitions,
            max_timeout_ms: config.transaction_max_timeout_ms,
            expiration_ms: config.transactional_id_expiration_ms,
            entries: RwLock::default(),
        }
    }

    /// The partition of `__transaction_state` that keeps an id; the topic is created at its first use.
    pub fn partition_for(&self, transactional_id: &str) -> Result<Arc<Partition>, E> {
        let topic = match self.topics.get(TXN_TOPIC) {
            Some(topic) => topic,
            None => {
                let configs = BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
                match self.topics.create(TXN_TOPIC, self.partitions, configs) {
                    Ok(topic) => topic,
                    Err(_) => self.topics.get(TXN_TOPIC).ok_or(E::CoordinatorNotAvailable)?,
                }
            }
        };
        let index = partition_of(transactional_id, topic.partition_count());
        topic.partition(index).ok_or(E::CoordinatorNotAvailable)
    }

    pub(super) fn entry(&self, transactional_id: &str) -> Option<Arc<Entry>> {
        self.entries.read().get(transactional_id).cloned()
    }

    pub(super) fn entry_or_new(&self, transactional_id: &str) -> Arc<Entry> {
        let new = || Arc::new(Entry { id: transactional_id.to_owned(), meta: RwLock::new(None) });
        if let Some(entry) = self.entry(transactional_id) {
            return entry;
        }
        Arc::clone(self.entries.write().entry(transactional_id.to_owned()).or_insert_with(new))
    }

    /// A producer starts. With a transactional id it fences its predecessors and, before this returns, ends their open
    /// transaction: by completing it where its outcome is decided, else by aborting it.
    pub fn init_producer(
        &self,
        transactional_id: Option<&str>,
        timeout_ms: i32,
        known: Option<ProducerIdentity>,
    ) -> Result<ProducerIdentity, E> {
        let Some(id) = transactional_id else {
            return Ok(ProducerIdentity { producer_id: self.producer_ids.next()?, epoch: 0 });
        };
        if id.is_empty() || id.len() > MAX_ID {
            return Err(E::InvalidRequest);
        }
        if timeout_ms <= 0 || timeout_ms > self.max_timeout_ms {
            return Err(E::InvalidTransactionTimeout);
        }
        let mut known = known.map(|k| (k.producer_id, k.epoch));
        let entry = self.entry_or_new(id);
        let mut meta = entry.meta.write();
        if !self.entry(id).is_some_and(|e| Arc::ptr_eq(&e, &entry)) {
            // It expired just now; the producer asks again.
            return Err(E::ConcurrentTransactions);
        }
        loop {
            let step = match meta.as_ref() {
                Some(current) => current.init(known, timeout_ms, now_ms())?,
                None => InitStep::NewProducerId(TxnMeta::new(-1, 0, timeout_ms, now_ms())),
            };
            match step {
                InitStep::Again => break,
                InitStep::Ready(next) => {
                    self.store(&entry, &mut meta, next)?;
                    break;
                }
                InitStep::NewProducerId(mut next) => {
                    next.producer_id = self.producer_ids.next()?;
                    self.store(&entry, &mut meta, next)?;
                    break;
                }
                InitStep::AbortFirst(next) => {
                    // A producer that named itself was found to be the right one; the abort has now raised its epoch.
                    known = None;
                    self.store(&entry, &mut meta, next)?;
                    self.complete(&entry, &mut meta)?;
                }
                InitStep::CompleteFirst => self.complete(&entry, &mut meta)?,
            }
        }
        let current = meta.as_ref().ok_or(E::CoordinatorNotAvailable)?;
        Ok(ProducerIdentity { producer_id: current.producer_id, epoch: current.epoch })
    }

    /// Makes a step durable, then takes it.
    pub(super) fn store(&self, entry: &Entry, meta: &mut Option<TxnMeta>, next: TxnMeta) -> Result<(), E> {
        let partition = self.partition_for(&entry.id)?;
        let end = self.append(&partition, &entry.id, Some(&next))?;
        // A failed fsync leaves the outcome open, as a time-out does: whoever retries is told by what was stored.
        partition.wait_durable(end).map_err(|_| E::CoordinatorNotAvailable)?;
        if next.state == TxnState::Ongoing {
            let in_ms = next.started_ms + i64::from(next.timeout_ms) - now_ms();
            self.alarm.at(Some(self.alarm.now() + in_ms.max(0)));
        }
        *meta = Some(next);
        Ok(())
    }

    pub(super) fn append(&self, partition: &Partition, id: &str, meta: Option<&TxnMeta>) -> Result<i64, E> {
        let mut batch = BatchBuilder::new();
        let value = meta.map(txn_records::value);
        batch.append(now_ms(), Some(&txn_records::key(id)), value.as_deref(), &[]);
        let appended = partition.append(batch.build()).map_err(|error| {
            tracing::error!(transactional_id = id, %error, "cannot store a transaction");
            E::CoordinatorNotAvailable
        })?;
        Ok(appended.last_offset + 1)
    }

    /// Writes the markers of a decided transaction, waits until they are durable, and notes that it is done.
    pub(super) fn complete(&self, entry: &Entry, meta: &mut Option<TxnMeta>) -> Result<(), E> {
        let Some(current) = meta.as_ref() else { return Ok(()) };
        let Some(next) = current.completed(now_ms()) else { return Ok(()) };
        let commit = current.state == TxnState::PrepareCommit;
        let (producer_id, epoch) = (current.producer_id, current.epoch);
        // A topic that was deleted meanwhile needs no marker.
        let partitions: Vec<_> = current
            .partitions
            .iter()
            .filter_map(|(topic, index)| self.topics.partition(topic, *index))
            .collect();
        let (done, wait) = blocking();
        let gather = Gather::new(partitions.len(), Box::new(done));
        for (slot, partition) in partitions.iter().enumerate() {
            let gather = Arc::clone(&gather);
            match partition.append_marker(producer_id, epoch, commit) {
                Ok(appended) => partition.when_durable(appended.last_offset + 1, move |durable| {
                    gather.set(slot, durable.map(|_| appended.base_offset));
                }),
                Err(error) => gather.set(slot, Err(error)),
            }
        }
        let results = wait().ok_or(E::CoordinatorNotAvailable)?;
        for (partition, result) in partitions.iter().zip(results) {
            match result {
                Ok(at) if partition.topic.as_ref() == OFFSETS_TOPIC => {
                    self.groups.end_txn(producer_id, commit, at)
                }
                Ok(_) => {}
                Err(_) if partition.is_deleted() => {}
                Err(error) => {
                    tracing::error!(?partition, %error, "cannot write a transaction marker; it is tried again");
                    return Err(match code_of(&error) {
                        E::KafkaStorageError => E::CoordinatorNotAvailable,
                        code => code,
                    });
                }
            }
        }
        let partition = self.partition_for(&entry.id)?;
        let end = self.append(&partition, &entry.id, Some(&next))?;
        partition.when_durable(end, |_| {});
        *meta = Some(next);
        Ok(())
    }

    /// Adds partitions to the open transaction, or begins one with them. The caller has checked that they exist.
    pub fn add_partitions(
        &self,
        transactional_id: &str,
        producer: ProducerIdentity,
        partitions: Vec<(String, i32)>,
    ) -> Result<(), E> {
        let entry = self.entry(transactional_id).ok_or(E::InvalidProducerIdMapping)?;
        let mut meta = entry.meta.write();
        let current = meta.as_ref().ok_or(E::InvalidProducerIdMapping)?;
        match current.add_partitions(producer.producer_id, producer.epoch, partitions, now_ms())? {
            Some(next) => self.store(&entry, &mut meta, next),
            None => Ok(()),
        }
    }

    /// Adds the partition of `__consumer_offsets` that keeps the group.
    pub fn add_offsets(
        &self,
        transactional_id: &str,
        producer: ProducerIdentity,
        group: &str,
    ) -> Result<(), E> {
        if group.is_empty() {
            return Err(E::InvalidGroupId);
        }
        let index = self.groups.partition_for(group)?.index;
        self.add_partitions(transactional_id, producer, vec![(OFFSETS_TOPIC.to_owned(), index)])
    }

    /// Runs `append` while the partition is surely part of the producer's open transaction.
    pub fn while_open<T>(
        &self,
        transactional_id: &str,
        producer: ProducerIdentity,
        partition: &(String, i32),
        append: impl FnOnce() -> T,
    ) -> Result<T, E> {
        let entry = self.entry(transactional_id).ok_or(E::InvalidProducerIdMapping)?;
        let meta = entry.meta.read();
        let current = meta.as_ref().ok_or(E::InvalidProducerIdMapping)?;
        current.check_write(producer.producer_id, producer.epoch, partition)?;
        Ok(append())
    }

    /// Commits or aborts; all of it is durable and visible when this returns.
    pub fn end(&self, transactional_id: &str, producer: ProducerIdentity, commit: bool) -> Result<(), E> {
        let entry = self.entry(transactional_id).ok_or(E::InvalidProducerIdMapping)?;
        let mut meta = entry.meta.write();
        let current = meta.as_ref().ok_or(E::InvalidProducerIdMapping)?;
        match current.end(producer.producer_id, producer.epoch, commit, now_ms())? {
            EndStep::Already => return Ok(()),
            EndStep::Prepare(next) => self.store(&entry, &mut meta, next)?,
            EndStep::CompleteFirst => {}
        }
        self.complete(&entry, &mut meta)
    }
}
