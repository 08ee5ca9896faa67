//! The coordinator of all transactional ids.
//!
//! Every step is durable in `__transaction_state` before it is answered. An end is
//!
//! ```text
//!  PrepareCommit durable ─▶ markers in all partitions, __consumer_offsets too, durable ─▶ CompleteCommit ─▶ answer
//!       decided                      visible to read_committed
//! ```
//! A crash before the first arrow aborts the transaction, one after it completes it at the next start. `CompleteCommit` need not
//! be durable for the answer: the records of the id's next transaction come after it in the same log.
//!
//! # Locks and fsyncs
//! An id's state changes in memory when its record is in the log, in the log's order, under a lock that is held shortly; who
//! answers by the state waits, without the lock, until what it rests on is durable (`Stored::end`). So the fsyncs of all ids are
//! shared, and a producer's first records of a transaction are written while the record that begins it is on its way to the disk.
//! A second lock of each id is held over whole steps (InitProducerId, EndTxn, time-outs): one after the other.
//!
//! Calls that wait block; tasks call them from a blocking thread.

use super::state::{EndStep, InitStep, TxnMeta, TxnState, TxnVersion};
use crate::alarm::Alarm;
use crate::group::{GroupCoordinator, partition_of};
use crate::internal_log;
use crate::metrics::Coordinated;
use crate::partition::Partition;
use crate::producer_ids::ProducerIds;
use crate::store::txn_records;
use crate::topics::{OFFSETS_TOPIC, TXN_TOPIC, Topics};
use crate::wait::now_ms;
use bd_log::batch::BatchBuilder;
use kafka_protocol::ResponseError as E;
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeSet, HashMap};
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

/// What is known of an id, and how much of `__transaction_state` must be durable for it to be so after a crash, too.
#[derive(Debug, Default)]
pub(super) struct Stored {
    pub(super) meta: Option<TxnMeta>,
    /// An end offset.
    pub(super) end: i64,
}

/// One transactional id. Those who append as part of its transaction hold the state's lock shared meanwhile, so that no record
/// can slip in after the marker.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: String,
    /// Held over whole steps; taken before `state`.
    pub(super) step: Mutex<()>,
    pub(super) state: RwLock<Stored>,
}

/// See the module's documentation.
pub struct TxnCoordinator {
    pub(super) topics: Arc<Topics>,
    pub(super) groups: Arc<GroupCoordinator>,
    pub(super) alarm: Arc<Alarm>,
    pub(super) producer_ids: ProducerIds,
    partitions: i32,
    max_timeout_ms: i32,
    pub(super) expiration_ms: i64,
    pub(super) entries: RwLock<HashMap<String, Arc<Entry>>>,
    /// When (ms since epoch) which id must be looked at: its transaction has lasted too long, or could not be completed.
    pub(super) timers: Mutex<BTreeSet<(i64, String)>>,
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
            timers: Mutex::default(),
        }
    }

    /// The partition of `__transaction_state` that keeps an id; the topic is created at its first use.
    pub fn partition_for(&self, transactional_id: &str) -> Result<Arc<Partition>, E> {
        let configs = [
            ("compression.type", "uncompressed"),
            ("min.insync.replicas", "1"),
            ("unclean.leader.election.enable", "false"),
        ];
        let topic = internal_log::topic(&self.topics, TXN_TOPIC, self.partitions, &configs)?;
        let index = partition_of(transactional_id, topic.partition_count());
        topic.partition(index).ok_or(E::CoordinatorNotAvailable)
    }

    pub(super) fn entry(&self, transactional_id: &str) -> Option<Arc<Entry>> {
        self.entries.read().get(transactional_id).cloned()
    }

    /// The entry of an id that some producer was initialised for.
    pub(super) fn known(&self, transactional_id: &str) -> Result<Arc<Entry>, E> {
        if transactional_id.is_empty() {
            return Err(E::InvalidRequest);
        }
        self.entry(transactional_id).ok_or(E::InvalidProducerIdMapping)
    }

    pub(super) fn entry_or_new(&self, transactional_id: &str) -> Arc<Entry> {
        let new = || {
            let id = transactional_id.to_owned();
            Arc::new(Entry { id, step: Mutex::default(), state: RwLock::default() })
        };
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
        let known = known.map(|k| (k.producer_id, k.epoch));
        let entry = self.entry_or_new(id);
        let _step = entry.step.lock();
        if !self.entry(id).is_some_and(|e| Arc::ptr_eq(&e, &entry)) {
            // It expired just now; the producer asks again.
            return Err(E::ConcurrentTransactions);
        }
        loop {
            let mut stored = entry.state.write();
            let step = match &stored.meta {
                Some(current) => current.init(known, timeout_ms, now_ms())?,
                None => InitStep::NewProducerId(TxnMeta::new(-1, 0, timeout_ms, now_ms())),
            };
            let next = match step {
                InitStep::Ready(next) => next,
                InitStep::NewProducerId(mut next) => {
                    next.producer_id = self.producer_ids.next()?;
                    next
                }
                InitStep::AbortFirst => {
                    self.fence(&entry, &mut stored)?;
                    drop(stored);
                    self.complete(&entry)?;
                    continue;
                }
                InitStep::CompleteFirst => {
                    drop(stored);
                    self.complete(&entry)?;
                    continue;
                }
            };
            let identity = ProducerIdentity { producer_id: next.producer_id, epoch: next.epoch };
            self.put(&entry, &mut stored, next)?;
            let end = stored.end;
            drop(stored);
            self.wait_stored(&entry, end)?;
            return Ok(identity);
        }
    }

    /// Decides that the open transaction is aborted, under the next epoch.
    pub(super) fn fence(&self, entry: &Entry, stored: &mut Stored) -> Result<(), E> {
        let Some(current) = &stored.meta else { return Ok(()) };
        let new_id = self.new_id_for(current, TxnVersion::V2)?;
        let next = current.fenced_abort(new_id, now_ms());
        self.put(entry, stored, next)
    }

    /// The producer id that takes over where an end uses the last epoch up.
    fn new_id_for(&self, meta: &TxnMeta, client: TxnVersion) -> Result<Option<i64>, E> {
        let needed = client == TxnVersion::V2 && meta.is_epoch_exhausted();
        needed.then(|| self.producer_ids.next()).transpose()
    }

    /// Takes a step: its record is in the log, not yet durable, when this returns.
    pub(super) fn put(&self, entry: &Entry, stored: &mut Stored, next: TxnMeta) -> Result<(), E> {
        let partition = self.partition_for(&entry.id)?;
        stored.end = self.append(&partition, &entry.id, Some(&next))?;
        self.keep_time(&entry.id, stored.meta.as_ref(), &next);
        match next.state {
            TxnState::PrepareCommit => self.topics.counters().coordinated(Coordinated::TxnCommit),
            TxnState::PrepareAbort => self.topics.counters().coordinated(Coordinated::TxnAbort),
            _ => {}
        }
        stored.meta = Some(next);
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

    /// Blocks until the id's records up to `end` are durable. After a failed fsync the outcome is open, as after a time-out: who
    /// retries is told by what was stored.
    pub(super) fn wait_stored(&self, entry: &Entry, end: i64) -> Result<(), E> {
        let partition = self.partition_for(&entry.id)?;
        partition.wait_durable(end).map(|_| ()).map_err(|_| E::CoordinatorNotAvailable)
    }

    /// Adds partitions to the open transaction, or begins one with them. The caller has checked that they exist.
    pub fn add_partitions(
        &self,
        transactional_id: &str,
        producer: ProducerIdentity,
        partitions: Vec<(String, i32)>,
    ) -> Result<(), E> {
        let entry = self.known(transactional_id)?;
        let end = {
            let mut stored = entry.state.write();
            self.add(&entry, &mut stored, producer, partitions, TxnVersion::V1)?;
            stored.end
        };
        self.wait_stored(&entry, end)
    }

    pub(super) fn add(
        &self,
        entry: &Entry,
        stored: &mut Stored,
        producer: ProducerIdentity,
        partitions: impl IntoIterator<Item = (String, i32)>,
        client: TxnVersion,
    ) -> Result<(), E> {
        let current = stored.meta.as_ref().ok_or(E::InvalidProducerIdMapping)?;
        let (id, epoch) = (producer.producer_id, producer.epoch);
        match current.add_partitions(id, epoch, partitions, client, now_ms())? {
            Some(next) => self.put(entry, stored, next),
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

    /// Commits or aborts; all of it is durable and visible when this returns.
    pub fn end(&self, transactional_id: &str, producer: ProducerIdentity, commit: bool) -> Result<(), E> {
        self.end_as(transactional_id, producer, commit, TxnVersion::V1).map(|_| ())
    }

    /// As [`TxnCoordinator::end`], by the rules of the client's protocol. Gives who the producer is from now on: in V2 its epoch
    /// is raised by every end.
    pub fn end_as(
        &self,
        transactional_id: &str,
        producer: ProducerIdentity,
        commit: bool,
        client: TxnVersion,
    ) -> Result<ProducerIdentity, E> {
        let entry = self.known(transactional_id)?;
        let _step = entry.step.lock();
        let end = {
            let mut stored = entry.state.write();
            let current = stored.meta.as_ref().ok_or(E::InvalidProducerIdMapping)?;
            let new_id = self.new_id_for(current, client)?;
            let who = (producer.producer_id, producer.epoch);
            match current.end(who, commit, client, new_id, now_ms())? {
                EndStep::Already | EndStep::CompleteFirst => {}
                EndStep::Prepare(next) => self.put(&entry, &mut stored, next)?,
            }
            stored.end
        };
        self.wait_stored(&entry, end)?;
        self.complete(&entry)?;
        let stored = entry.state.read();
        let current = stored.meta.as_ref().ok_or(E::InvalidProducerIdMapping)?;
        Ok(ProducerIdentity { producer_id: current.producer_id, epoch: current.epoch })
    }
}
