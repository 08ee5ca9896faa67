//! Produce: record batches go to the logs as they came; the answer comes with the fsync that all of them share.

use crate::broker::Broker;
use crate::error::code_of;
use crate::partition::Partition;
use crate::topics::is_internal;
use crate::txn::ProducerIdentity;
use crate::wait::Gather;
use bd_log::batch::{BatchHeader, Batches};
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
    /// The first record's offset, -1 with an error.
    pub base_offset: i64,
    /// ms since epoch where the log stamps the records, else -1.
    pub log_append_time_ms: i64,
    /// The log's start, -1 with an error.
    pub log_start_offset: i64,
}

impl Produced {
    fn failed(code: E, message: impl Into<Option<String>>) -> Self {
        Self {
            error: Some(code),
            message: message.into(),
            base_offset: -1,
            log_append_time_ms: -1,
            log_start_offset: -1,
        }
    }
}

impl From<LogError> for Produced {
    fn from(error: LogError) -> Self {
        let code = code_of(&error);
        if code == E::KafkaStorageError {
            tracing::error!(%error, "cannot append");
        }
        Self::failed(code, error.to_string())
    }
}

impl From<Appended> for Produced {
    fn from(appended: Appended) -> Self {
        Self {
            error: None,
            message: None,
            base_offset: appended.base_offset,
            log_append_time_ms: appended.log_append_time,
            log_start_offset: appended.log_start_offset,
        }
    }
}

impl Broker {
    /// Appends to partitions (topic, partition, batches). `done` gets one result for each, in their order, when the records are
    /// durable; with `acks` 0 it is called at once.
    pub fn produce(
        &self,
        transactional_id: Option<&str>,
        acks: i16,
        records: Vec<(String, i32, Option<BytesMut>)>,
        done: impl FnOnce(Vec<Produced>) + Send + 'static,
    ) {
        let gather = Gather::new(records.len(), Box::new(done));
        for (slot, (topic, index, batches)) in records.into_iter().enumerate() {
            let (partition, appended) = match self.append(transactional_id, acks, &topic, index, batches) {
                Ok(appended) => appended,
                Err(failed) => {
                    gather.set(slot, failed);
                    continue;
                }
            };
            let end = appended.last_offset + 1;
            if acks == 0 {
                gather.set(slot, appended.into());
                partition.when_durable(end, |_| {});
                continue;
            }
            let gather = Arc::clone(&gather);
            partition.when_durable(end, move |durable| {
                gather.set(slot, durable.map_or_else(Produced::from, |_| appended.into()));
            });
        }
    }

    fn append(
        &self,
        transactional_id: Option<&str>,
        acks: i16,
        topic: &str,
        index: i32,
        batches: Option<BytesMut>,
    ) -> Result<(Arc<Partition>, Appended), Produced> {
        if !(-1..=1).contains(&acks) {
            return Err(Produced::failed(E::InvalidRequiredAcks, None));
        }
        if is_internal(topic) {
            return Err(Produced::failed(
                E::InvalidTopicException,
                format!("Cannot append to internal topic {topic}"),
            ));
        }
        let partition = self.topics().partition(topic, index).ok_or_else(|| {
            Produced::failed(E::UnknownTopicOrPartition, format!("{topic}-{index} does not exist"))
        })?;
        let batches = batches
            .filter(|b| !b.is_empty())
            .ok_or_else(|| Produced::failed(E::InvalidRecord, "no records".to_owned()))?;
        let producer = check_batches(&batches)?;
        let appended = match producer {
            None => partition.append(batches)?,
            Some(producer) => {
                let Some(id) = transactional_id else {
                    let reason = "transactional records without a transactional id".to_owned();
                    return Err(Produced::failed(E::InvalidRecord, reason));
                };
                let place = (topic.to_owned(), index);
                self.txns()
                    .while_open(id, producer, &place, || partition.append(batches))
                    .map_err(|code| Produced::failed(code, None))??
            }
        };
        Ok((partition, appended))
    }
}

/// Checks what the log leaves to the broker, and gives the producer of transactional records. Like Kafka, a client sends one
/// batch for a partition; several are taken if they are of one kind.
fn check_batches(batches: &BytesMut) -> Result<Option<ProducerIdentity>, Produced> {
    let mut first: Option<BatchHeader> = None;
    for item in Batches::new(batches) {
        let (_, header) = item.map_err(|e| Produced::from(LogError::from(e)))?;
        if header.is_control() {
            return Err(Produced::failed(
                E::InvalidRecord,
                "clients may not write control batches".to_owned(),
            ));
        }
        if header.record_count == 0 {
            return Err(Produced::failed(E::InvalidRecord, "a batch without records".to_owned()));
        }
        let kind = |h: &BatchHeader| (h.is_transactional(), h.producer_id, h.producer_epoch);
        if first.as_ref().is_some_and(|f| kind(f) != kind(&header)) {
            return Err(Produced::failed(
                E::InvalidRecord,
                "batches of different producers in one request".to_owned(),
            ));
        }
        first = first.or(Some(header));
    }
    let producer = |h: BatchHeader| ProducerIdentity { producer_id: h.producer_id, epoch: h.producer_epoch };
    Ok(first.filter(BatchHeader::is_transactional).map(producer))
}
