//! Writes as part of a transaction: records of producers, and offsets of groups.

use super::coordinator::{ProducerIdentity, Stored, TxnCoordinator};
use super::state::TxnVersion;
use crate::broker::Broker;
use crate::group::{Committer, OffsetWrite, TxnWriter};
use crate::partition::Partition;
use crate::topics::OFFSETS_TOPIC;
use kafka_protocol::ResponseError as E;
use parking_lot::RwLockWriteGuard;
use std::sync::Arc;

/// How the sender of a write has its partition become part of the transaction, by the version of the request (KIP-890).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxnSupport {
    /// It was added before, else INVALID_TXN_STATE.
    DefaultError,
    /// It was added before, else TRANSACTION_ABORTABLE.
    GenericError,
    /// The write itself adds it.
    AddPartition,
}

impl TxnSupport {
    /// What a Produce request of this version means.
    pub fn of_produce(version: i16) -> Self {
        match version {
            ..=10 => Self::DefaultError,
            11 => Self::GenericError,
            _ => Self::AddPartition,
        }
    }

    /// What a TxnOffsetCommit request of this version means.
    pub fn of_offset_commit(version: i16) -> Self {
        match version {
            ..=3 => Self::DefaultError,
            4 => Self::GenericError,
            _ => Self::AddPartition,
        }
    }

    /// The codes that a client that writes knows.
    fn told(self, code: E) -> E {
        match code {
            E::ProducerFenced => E::InvalidProducerEpoch,
            E::TransactionAbortable if self == Self::DefaultError => E::InvalidTxnState,
            code => code,
        }
    }
}

/// What else must be durable before a write of a transaction may be acknowledged: the records by which the coordinator will know,
/// after a crash, that the partition is part of it. `None`: they are.
pub type Rest = Option<(Arc<Partition>, i64)>;

impl TxnCoordinator {
    /// Runs `append` while the partition is surely part of the producer's open transaction.
    pub fn while_open<T>(
        &self,
        transactional_id: &str,
        producer: ProducerIdentity,
        partition: &(String, i32),
        append: impl FnOnce() -> T,
    ) -> Result<T, E> {
        self.write_in(transactional_id, producer, partition, TxnSupport::DefaultError, append).map(|(t, _)| t)
    }

    /// As [`TxnCoordinator::while_open`], by the rules of the client's protocol. Does not wait for anything: what is acknowledged
    /// must wait for the [`Rest`], too.
    pub fn write_in<T>(
        &self,
        transactional_id: &str,
        producer: ProducerIdentity,
        partition: &(String, i32),
        support: TxnSupport,
        append: impl FnOnce() -> T,
    ) -> Result<(T, Rest), E> {
        let entry = self.known(transactional_id).map_err(|e| support.told(e))?;
        let verify = |stored: &Stored| {
            let meta = stored.meta.as_ref().ok_or(E::InvalidProducerIdMapping)?;
            meta.verify(producer.producer_id, producer.epoch, partition)
        };
        let mut stored = entry.state.read();
        match verify(&stored) {
            Ok(()) => {}
            Err(E::TransactionAbortable) if support == TxnSupport::AddPartition => {
                drop(stored);
                let mut writing = entry.state.write();
                let added = self.add(&entry, &mut writing, producer, [partition.clone()], TxnVersion::V2);
                added.map_err(|e| support.told(e))?;
                stored = RwLockWriteGuard::downgrade(writing);
            }
            Err(code) => return Err(support.told(code)),
        }
        let written = append();
        let end = stored.end;
        drop(stored);
        let state = self.partition_for(transactional_id)?;
        let rest = (state.log().high_watermark() < end).then_some((state, end));
        Ok((written, rest))
    }

    /// Whether partitions are part of the producer's open transaction (AddPartitionsToTxn with `verify_only`), one answer each.
    pub fn verify(
        &self,
        transactional_id: &str,
        producer: ProducerIdentity,
        partitions: &[(String, i32)],
    ) -> Vec<Result<(), E>> {
        let all = |code: E| vec![Err(code); partitions.len()];
        let entry = match self.known(transactional_id) {
            Ok(entry) => entry,
            Err(code) => return all(code),
        };
        let stored = entry.state.read();
        let Some(meta) = &stored.meta else { return all(E::InvalidProducerIdMapping) };
        partitions.iter().map(|p| meta.verify(producer.producer_id, producer.epoch, p)).collect()
    }
}

impl Broker {
    /// Offsets as part of a producer's open transaction, under the group's member and generation (KIP-447). `done` gets one
    /// result for each when they are durable.
    pub fn txn_commit_offsets(
        &self,
        transactional_id: &str,
        producer: ProducerIdentity,
        committer: Committer<'_>,
        writes: Vec<OffsetWrite>,
        done: impl FnOnce(Vec<Option<E>>) + Send + 'static,
    ) {
        let support = TxnSupport::DefaultError;
        self.txn_commit_offsets_as(support, transactional_id, producer, committer, writes, done);
    }

    /// As [`Broker::txn_commit_offsets`], by the rules of the client's protocol.
    pub fn txn_commit_offsets_as(
        &self,
        support: TxnSupport,
        transactional_id: &str,
        producer: ProducerIdentity,
        committer: Committer<'_>,
        writes: Vec<OffsetWrite>,
        done: impl FnOnce(Vec<Option<E>>) + Send + 'static,
    ) {
        let n = writes.len();
        let index = match self.groups().partition_for(committer.group) {
            Ok(partition) => partition.index,
            Err(error) => return done(vec![Some(error); n]),
        };
        let place = (OFFSETS_TOPIC.to_owned(), index);
        let writer = TxnWriter { producer_id: producer.producer_id, epoch: producer.epoch };
        let (committed, offsets_are_durable) = crate::wait::blocking();
        let result = self.txns().write_in(transactional_id, producer, &place, support, || {
            self.groups().commit(committer, Some(writer), writes, committed);
        });
        let rest = match result {
            Ok(((), rest)) => rest,
            Err(error) => return done(vec![Some(error); n]),
        };
        let (asked, rest_is_durable) = crate::wait::blocking();
        match rest {
            Some((state, end)) => state.when_durable(end, |durable| asked(durable.is_ok())),
            None => asked(true),
        }
        let offsets = offsets_are_durable().unwrap_or_else(|| vec![Some(E::CoordinatorNotAvailable); n]);
        match rest_is_durable() {
            Some(true) => done(offsets),
            _ => done(offsets.into_iter().map(|e| e.or(Some(E::CoordinatorNotAvailable))).collect()),
        }
    }
}
