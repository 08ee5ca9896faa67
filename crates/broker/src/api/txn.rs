//! InitProducerId, AddPartitionsToTxn, AddOffsetsToTxn, EndTxn.

use super::{Call, RequestError, off_task};
use crate::broker::Broker;
use crate::error::number;
use crate::security::{CLUSTER, Operation, ResourceType};
use crate::topics::is_internal;
use crate::txn::{ProducerIdentity, TxnVersion};
use kafka_protocol::ResponseError as E;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    EndTxnRequest, EndTxnResponse, InitProducerIdRequest, InitProducerIdResponse,
};
use std::sync::Arc;

/// The first version of EndTxn whose senders speak KIP-890's second protocol.
const END_TXN_V2: i16 = 5;
/// The first version of AddPartitionsToTxn that only brokers send, many transactions at once.
const ADD_PARTITIONS_BATCHED: i16 = 4;

/// Older clients know a fenced producer by another code.
fn fenced(error: E, version: i16, known_from: i16) -> E {
    if error == E::ProducerFenced && version < known_from { E::InvalidProducerEpoch } else { error }
}

fn may_write(broker: &Broker, call: &Call, transactional_id: &str) -> Result<(), E> {
    let may = call.allows(broker, Operation::Write, ResourceType::TransactionalId, transactional_id);
    if may { Ok(()) } else { Err(E::TransactionalIdAuthorizationFailed) }
}

pub(super) async fn init_producer(
    broker: Arc<Broker>,
    call: &Call,
    request: InitProducerIdRequest,
) -> Result<InitProducerIdResponse, RequestError> {
    let refused = |error: E| {
        InitProducerIdResponse::default()
            .with_error_code(fenced(error, call.version, 4).code())
            .with_producer_id((-1).into())
            .with_producer_epoch(-1)
    };
    let id: i64 = request.producer_id.into();
    let known = match (id, request.producer_epoch) {
        (-1, -1) => None,
        (-1, _) | (_, -1) => return Ok(refused(E::InvalidRequest)),
        (producer_id, epoch) => Some(ProducerIdentity { producer_id, epoch }),
    };
    let allowed = match &request.transactional_id {
        Some(id) => may_write(&broker, call, id),
        None => may_write_idempotently(&broker, call),
    };
    if let Err(error) = allowed {
        return Ok(refused(error));
    }
    let result = off_task(move || {
        let transactional_id = request.transactional_id.as_ref().map(|t| t.as_str());
        broker.txns().init_producer(transactional_id, request.transaction_timeout_ms, known)
    })
    .await?;
    Ok(match result {
        Ok(producer) => InitProducerIdResponse::default()
            .with_producer_id(producer.producer_id.into())
            .with_producer_epoch(producer.epoch),
        Err(error) => refused(error),
    })
}

/// IDEMPOTENT_WRITE on the cluster, or WRITE on any topic, whether there is one or not (KIP-679).
fn may_write_idempotently(broker: &Broker, call: &Call) -> Result<(), E> {
    let may = call.allows(broker, Operation::IdempotentWrite, ResourceType::Cluster, CLUSTER)
        || call.allows_some(broker, Operation::Write, ResourceType::Topic);
    if may { Ok(()) } else { Err(E::ClusterAuthorizationFailed) }
}

/// The transaction that partitions are added to, or verified for.
struct Wanted {
    transactional_id: String,
    producer: ProducerIdentity,
    verify_only: bool,
    topics: Vec<AddPartitionsToTxnTopic>,
}

pub(super) async fn add_partitions(
    broker: Arc<Broker>,
    call: &Call,
    request: AddPartitionsToTxnRequest,
) -> Result<AddPartitionsToTxnResponse, RequestError> {
    let call = call.clone();
    if call.version < ADD_PARTITIONS_BATCHED {
        let wanted = Wanted {
            transactional_id: request.v3_and_below_transactional_id.to_string(),
            producer: ProducerIdentity {
                producer_id: request.v3_and_below_producer_id.into(),
                epoch: request.v3_and_below_producer_epoch,
            },
            verify_only: false,
            topics: request.v3_and_below_topics,
        };
        let results = off_task(move || add_to_one(&broker, &call, wanted)).await?;
        return Ok(AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(results));
    }
    if !call.allows(&broker, Operation::ClusterAction, ResourceType::Cluster, CLUSTER) {
        let code = E::ClusterAuthorizationFailed.code();
        return Ok(AddPartitionsToTxnResponse::default().with_error_code(code));
    }
    off_task(move || {
        let results = request.transactions.into_iter().map(|transaction| {
            let wanted = Wanted {
                transactional_id: transaction.transactional_id.to_string(),
                producer: ProducerIdentity {
                    producer_id: transaction.producer_id.into(),
                    epoch: transaction.producer_epoch,
                },
                verify_only: transaction.verify_only,
                topics: transaction.topics,
            };
            AddPartitionsToTxnResult::default()
                .with_transactional_id(transaction.transactional_id)
                .with_topic_results(add_to_one(&broker, &call, wanted))
        });
        AddPartitionsToTxnResponse::default().with_results_by_transaction(results.collect())
    })
    .await
}

/// All or nothing: where one partition is refused, the others are not attempted.
fn add_to_one(broker: &Broker, call: &Call, wanted: Wanted) -> Vec<AddPartitionsToTxnTopicResult> {
    let places: Vec<(String, i32)> =
        wanted.topics.iter().flat_map(|t| t.partitions.iter().map(|p| (t.name.to_string(), *p))).collect();
    let batched = call.version >= ADD_PARTITIONS_BATCHED;
    let mut results: Vec<Option<E>> = match may_write(broker, call, &wanted.transactional_id) {
        Err(code) => vec![Some(code); places.len()],
        Ok(()) => places
            .iter()
            .map(|(topic, index)| {
                // Those of brokers were checked by the request that they come from.
                let may = batched
                    || !is_internal(topic)
                        && call.allows(broker, Operation::Write, ResourceType::Topic, topic);
                match broker.topics().partition(topic, *index) {
                    _ if !may => Some(E::TopicAuthorizationFailed),
                    None => Some(E::UnknownTopicOrPartition),
                    Some(_) => None,
                }
            })
            .collect(),
    };
    if results.iter().any(Option::is_some) {
        results.iter_mut().filter(|r| r.is_none()).for_each(|r| *r = Some(E::OperationNotAttempted));
    } else if wanted.verify_only {
        let verified = broker.txns().verify(&wanted.transactional_id, wanted.producer, &places);
        results = verified.into_iter().map(Result::err).collect();
    } else {
        let added = broker.txns().add_partitions(&wanted.transactional_id, wanted.producer, places);
        results.fill(added.err().map(|e| fenced(e, call.version, 2)));
    }
    let mut results = results.into_iter();
    let topics = wanted.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().zip(&mut results).map(|(index, error)| {
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(*index)
                .with_partition_error_code(number(error))
        });
        let partitions = partitions.collect();
        AddPartitionsToTxnTopicResult::default().with_name(topic.name).with_results_by_partition(partitions)
    });
    topics.collect()
}

pub(super) async fn add_offsets(
    broker: Arc<Broker>,
    call: &Call,
    request: AddOffsetsToTxnRequest,
) -> Result<AddOffsetsToTxnResponse, RequestError> {
    let call = call.clone();
    off_task(move || {
        let may_read = || call.allows(&broker, Operation::Read, ResourceType::Group, &request.group_id);
        let allowed = may_write(&broker, &call, &request.transactional_id)
            .and_then(|()| if may_read() { Ok(()) } else { Err(E::GroupAuthorizationFailed) });
        let producer =
            ProducerIdentity { producer_id: request.producer_id.into(), epoch: request.producer_epoch };
        let added = allowed
            .and_then(|()| broker.txns().add_offsets(&request.transactional_id, producer, &request.group_id));
        let error = added.err().map(|e| fenced(e, call.version, 2));
        AddOffsetsToTxnResponse::default().with_error_code(number(error))
    })
    .await
}

pub(super) async fn end(
    broker: Arc<Broker>,
    call: &Call,
    request: EndTxnRequest,
) -> Result<EndTxnResponse, RequestError> {
    let version = call.version;
    let none = EndTxnResponse::default().with_producer_id((-1).into()).with_producer_epoch(-1);
    if let Err(code) = may_write(&broker, call, &request.transactional_id) {
        return Ok(none.with_error_code(code.code()));
    }
    off_task(move || {
        let producer =
            ProducerIdentity { producer_id: request.producer_id.into(), epoch: request.producer_epoch };
        let client = if version >= END_TXN_V2 { TxnVersion::V2 } else { TxnVersion::V1 };
        let ended = broker.txns().end_as(&request.transactional_id, producer, request.committed, client);
        match ended {
            Ok(next) if version >= END_TXN_V2 => {
                none.with_producer_id(next.producer_id.into()).with_producer_epoch(next.epoch)
            }
            Ok(_) => EndTxnResponse::default(),
            Err(error) if version >= END_TXN_V2 => none.with_error_code(error.code()),
            Err(error) => EndTxnResponse::default().with_error_code(fenced(error, version, 2).code()),
        }
    })
    .await
}
