//! InitProducerId, AddPartitionsToTxn, AddOffsetsToTxn, EndTxn.

use super::{Call, RequestError, off_task};
use crate::broker::Broker;
use crate::error::number;
use crate::txn::ProducerIdentity;
use kafka_protocol::ResponseError as E;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    EndTxnRequest, EndTxnResponse, InitProducerIdRequest, InitProducerIdResponse,
};
use std::sync::Arc;

/// Older clients know a fenced producer by another code.
fn fenced(error: E, version: i16, known_from: i16) -> E {
    if error == E::ProducerFenced && version < known_from { E::InvalidProducerEpoch } else { error }
}

pub(super) async fn init_producer(
    broker: Arc<Broker>,
    call: &Call,
    request: InitProducerIdRequest,
) -> Result<InitProducerIdResponse, RequestError> {
    let id: i64 = request.producer_id.into();
    let known = (id >= 0).then_some(ProducerIdentity { producer_id: id, epoch: request.producer_epoch });
    let result = off_task(move || {
        let transactional_id = request.transactional_id.as_ref().map(|t| t.as_str());
        broker.txns().init_producer(transactional_id, request.transaction_timeout_ms, known)
    })
    .await?;
    let response = InitProducerIdResponse::default();
    Ok(match result {
        Ok(producer) => {
            response.with_producer_id(producer.producer_id.into()).with_producer_epoch(producer.epoch)
        }
        Err(error) => response
            .with_error_code(fenced(error, call.version, 4).code())
            .with_producer_id((-1).into())
            .with_producer_epoch(-1),
    })
}

pub(super) async fn add_partitions(
    broker: Arc<Broker>,
    call: &Call,
    request: AddPartitionsToTxnRequest,
) -> Result<AddPartitionsToTxnResponse, RequestError> {
    let version = call.version;
    off_task(move || {
        let topics = request.v3_and_below_topics;
        let wanted: Vec<(String, i32)> =
            topics.iter().flat_map(|t| t.partitions.iter().map(|p| (t.name.to_string(), *p))).collect();
        let exists = |place: &(String, i32)| broker.topics().partition(&place.0, place.1).is_some();
        let all_exist = wanted.iter().all(exists);
        let producer = ProducerIdentity {
            producer_id: request.v3_and_below_producer_id.into(),
            epoch: request.v3_and_below_producer_epoch,
        };
        let added = if all_exist {
            broker.txns().add_partitions(&request.v3_and_below_transactional_id, producer, wanted)
        } else {
            Err(E::OperationNotAttempted)
        };
        let added = added.map_err(|e| fenced(e, version, 2));
        let results = topics.into_iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|index| {
                let known = exists(&(topic.name.to_string(), *index));
                let error = if known { added.err() } else { Some(E::UnknownTopicOrPartition) };
                AddPartitionsToTxnPartitionResult::default()
                    .with_partition_index(*index)
                    .with_partition_error_code(number(error))
            });
            let partitions = partitions.collect();
            AddPartitionsToTxnTopicResult::default()
                .with_name(topic.name)
                .with_results_by_partition(partitions)
        });
        AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(results.collect())
    })
    .await
}

pub(super) async fn add_offsets(
    broker: Arc<Broker>,
    call: &Call,
    request: AddOffsetsToTxnRequest,
) -> Result<AddOffsetsToTxnResponse, RequestError> {
    let version = call.version;
    off_task(move || {
        let producer =
            ProducerIdentity { producer_id: request.producer_id.into(), epoch: request.producer_epoch };
        let added = broker.txns().add_offsets(&request.transactional_id, producer, &request.group_id);
        AddOffsetsToTxnResponse::default().with_error_code(number(added.err().map(|e| fenced(e, version, 2))))
    })
    .await
}

pub(super) async fn end(
    broker: Arc<Broker>,
    call: &Call,
    request: EndTxnRequest,
) -> Result<EndTxnResponse, RequestError> {
    let version = call.version;
    off_task(move || {
        let producer =
            ProducerIdentity { producer_id: request.producer_id.into(), epoch: request.producer_epoch };
        let ended = broker.txns().end(&request.transactional_id, producer, request.committed);
        EndTxnResponse::default().with_error_code(number(ended.err().map(|e| fenced(e, version, 2))))
    })
    .await
}
