//! Produce: record batches go to the logs as they came; the answer comes with the fsync that all of them share.

use crate::broker::Broker;
use crate::error::code_of;
use crate::partition::Partition;
use crate::topics::is_internal;
use crate::txn::{ProducerIdentity, Rest, TxnSupport};
use crate::validate::{self, Rejected};
use crate::wait::Gather;
use bd_log::{Appended, LogError};
use bytes::BytesMut;
use kafka_protocol::ResponseError as E;
use std::sync::Arc;

/// What became of one partition's records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Produced {
    /// `None`: they are durable.
    pub error: Option<E>,
    /// In words.
    pub message: Option<String>,
    /// The records that are why, by their index in the batch.
    pub record_errors: Vec<(i32, String)>,
    /// The first record's offset, -1 with an error.
    pub base_offset: i64,
    /// ms since epoch where the log stamps the records, else -1.
    pub log_append_time_ms: i64,
    /// The log's start, -1 with an error.
    pub log_start_offset: i64,
}

impl Produced {
    /// Nothing was appended.
    pub fn failed(code: E, message: impl Into<Option<String>>) -> Self {
        Self {
            error: Some(code),
            message: message.into(),
            record_errors: Vec::new(),
            base_offset: -1,
            log_append_time_ms: -1,
            log_start_offset: -1,
        }
    }

    fn log_failed(partition: &Partition, error: &LogError) -> Self {
        let code = code_of(error);
        if code == E::KafkaStorageError {
            tracing::error!(?partition, %error, "cannot append");
        }
        let record_errors = match error {
            LogError::InvalidRecords { problems, .. } => {
                problems.iter().map(|p| (p.batch_index, p.message.clone())).collect()
            }
            _ => Vec::new(),
        };
        Self { record_errors, ..Self::failed(code, format!("{partition:?}: {error}")) }
    }

    fn appended(appended: &Appended) -> Self {
        Self {
            error: None,
            message: None,
            record_errors: Vec::new(),
            base_offset: appended.base_offset,
            log_append_time_ms: appended.log_append_time,
            log_start_offset: appended.log_start_offset,
        }
    }
}

impl From<Rejected> for Produced {
    fn from(rejected: Rejected) -> Self {
        Self::failed(rejected.code, rejected.message)
    }
}

/// What the records of a request have in common.
#[derive(Debug, Clone, Copy)]
pub struct ProduceCall<'a> {
    /// Set when the batches belong to a transaction.
    pub transactional_id: Option<&'a str>,
    /// 0, 1 or -1 (all).
    pub acks: i16,
    /// The version of the request, by which its sender knows error codes and codecs, and has partitions added to its transaction.
    pub version: i16,
}

/// The records of one partition: topic, partition, batch.
pub type PartitionRecords = (String, i32, Option<BytesMut>);

impl Broker {
    /// Appends to partitions, as a client of Kafka's first transaction protocol. See [`Broker::produce_as`].
    pub fn produce(
        &self,
        transactional_id: Option<&str>,
        acks: i16,
        records: Vec<PartitionRecords>,
        done: impl FnOnce(Vec<Produced>) + Send + 'static,
    ) {
        self.produce_as(ProduceCall { transactional_id, acks, version: 11 }, records, done);
    }

    /// Appends to partitions. `done` gets one result for each, in their order, when the records are durable, and where they are
    /// the first of a transaction also what tells, after a crash, that they are part of it; with `acks` 0 it is called at once.
    pub fn produce_as(
        &self,
        call: ProduceCall<'_>,
        records: Vec<PartitionRecords>,
        done: impl FnOnce(Vec<Produced>) + Send + 'static,
    ) {
        let gather = Gather::new(records.len(), Box::new(done));
        for (slot, records) in records.into_iter().enumerate() {
            let (partition, appended, rest) = match self.append(call, records) {
                Ok(appended) => appended,
                Err(failed) => {
                    gather.set(slot, failed);
                    continue;
                }
            };
            let gather = Arc::clone(&gather);
            if call.acks == 0 {
                gather.set(slot, Produced::appended(&appended));
                acknowledge(&partition, appended, rest, |_| {});
            } else {
                acknowledge(&partition, appended, rest, move |produced| gather.set(slot, produced));
            }
        }
    }

    fn append(
        &self,
        call: ProduceCall<'_>,
        (topic, index, batch): PartitionRecords,
    ) -> Result<(Arc<Partition>, Appended, Rest), Produced> {
        if !(-1..=1).contains(&call.acks) {
            let reason = format!("acks is {}, must be 0, 1 or -1 (all)", call.acks);
            return Err(Produced::failed(E::InvalidRequiredAcks, reason));
        }
        if is_internal(&topic) {
            let reason = format!("Cannot append to internal topic {topic}");
            return Err(Produced::failed(E::InvalidTopicException, reason));
        }
        let found = self.topics().get(&topic).and_then(|t| t.partition(index).map(|p| (t, p)));
        let Some((owner, partition)) = found else {
            let reason = format!("{topic}-{index} does not exist");
            return Err(Produced::failed(E::UnknownTopicOrPartition, reason));
        };
        let header = validate::header(batch.as_deref(), call.version, &partition)?;
        validate::replicas(&owner, call.acks, &partition)?;
        let batch = batch.unwrap_or_default();
        let failed = |error: LogError| Produced::log_failed(&partition, &error);
        if !header.is_transactional() {
            let appended = partition.append(batch).map_err(failed)?;
            return Ok((partition, appended, None));
        }
        let Some(id) = call.transactional_id else {
            let reason = format!("{partition:?}: transactional records without a transactional id");
            return Err(Produced::failed(E::TransactionalIdAuthorizationFailed, reason));
        };
        let producer = ProducerIdentity { producer_id: header.producer_id, epoch: header.producer_epoch };
        let support = TxnSupport::of_produce(call.version);
        let written =
            self.txns().write_in(id, producer, &(topic, index), support, || partition.append(batch));
        let (appended, rest) = written.map_err(|code| not_in_txn(code, support, id, producer, &partition))?;
        let appended = appended.map_err(failed)?;
        Ok((partition, appended, rest))
    }
}

/// Calls `done` when the records, and the rest if there is one, are durable; both are waited for at the same time.
fn acknowledge(
    partition: &Arc<Partition>,
    appended: Appended,
    rest: Rest,
    done: impl FnOnce(Produced) + Send + 'static,
) {
    let (end, name) = (appended.last_offset + 1, Arc::clone(partition));
    let judge = move |durable: Result<i64, LogError>| match durable {
        Ok(_) => Produced::appended(&appended),
        Err(error) => Produced::log_failed(&name, &error),
    };
    let Some((state, at)) = rest else {
        partition.when_durable(end, move |durable| done(judge(durable)));
        return;
    };
    let both = Gather::new(
        2,
        Box::new(move |durable: Vec<Result<i64, LogError>>| {
            done(judge(durable.into_iter().find(Result::is_err).unwrap_or(Ok(end))));
        }),
    );
    let other = Arc::clone(&both);
    state.when_durable(at, move |durable| other.set(1, durable));
    partition.when_durable(end, move |durable| both.set(0, durable));
}

/// The answer to records that are not part of an open transaction, or for which nobody can tell at this moment: that is told
/// by a code that has old clients send them again.
fn not_in_txn(
    code: E,
    support: TxnSupport,
    id: &str,
    producer: ProducerIdentity,
    partition: &Partition,
) -> Produced {
    let ProducerIdentity { producer_id, epoch } = producer;
    let who = format!("{partition:?}: producer {producer_id} epoch {epoch} of transactional id {id}");
    let later = match code {
        E::CoordinatorNotAvailable => true,
        E::ConcurrentTransactions => support != TxnSupport::AddPartition,
        _ => false,
    };
    if later {
        let reason = "Unable to verify the partition has been added to the transaction. Underlying error";
        return Produced::failed(E::NotEnoughReplicas, format!("{who}: {reason}: {code}"));
    }
    let reason = match code {
        E::InvalidTxnState | E::TransactionAbortable => {
            "Partition was not added to the transaction".to_owned()
        }
        E::InvalidProducerEpoch => "the epoch is not the producer's present one: it is fenced".to_owned(),
        E::InvalidProducerIdMapping => "the transactional id belongs to no or another producer id".to_owned(),
        code => code.to_string(),
    };
    Produced::failed(code, format!("{who}: {reason}"))
}
