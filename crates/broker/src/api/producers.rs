//! What administrators see of producers and their transactions, and end by force: DescribeProducers, DescribeTransactions,
//! ListTransactions (KIP-664, KIP-994, KIP-1152), WriteTxnMarkers.

use super::{Call, RequestError, off_task, text};
use crate::broker::Broker;
use crate::error::{code_of, number};
use crate::partition::Partition;
use crate::security::{CLUSTER, Operation, ResourceType};
use crate::topics::OFFSETS_TOPIC;
use crate::txn::{TxnFilter, TxnMeta, TxnState};
use crate::wait::{Gather, blocking};
use bd_log::LogError;
use kafka_protocol::ResponseError as E;
use kafka_protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use kafka_protocol::messages::describe_transactions_response::{self, TopicData};
use kafka_protocol::messages::list_transactions_response;
use kafka_protocol::messages::write_txn_markers_request::WritableTxnMarker;
use kafka_protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use kafka_protocol::messages::{
    DescribeProducersRequest, DescribeProducersResponse, DescribeTransactionsRequest,
    DescribeTransactionsResponse, ListTransactionsRequest, ListTransactionsResponse, TopicName,
    TransactionalId, WriteTxnMarkersRequest, WriteTxnMarkersResponse,
};
use regex::RegexBuilder;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A pattern of ListTransactions may compile to so many bytes.
const MAX_PATTERN_BYTES: usize = 1 << 20;

pub(super) fn describe_producers(
    broker: &Broker,
    call: &Call,
    request: DescribeProducersRequest,
) -> DescribeProducersResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let may_read = call.allows(broker, Operation::Read, ResourceType::Topic, &topic.name);
        let partitions = topic.partition_indexes.iter().map(|index| {
            let answer = PartitionResponse::default().with_partition_index(*index);
            if !may_read {
                return answer.with_error_code(E::TopicAuthorizationFailed.code());
            }
            match broker.topics().partition(&topic.name, *index) {
                Some(partition) => {
                    answer.with_error_message(None).with_active_producers(producers(&partition))
                }
                None => answer.with_error_code(E::UnknownTopicOrPartition.code()),
            }
        });
        let partitions = partitions.collect();
        TopicResponse::default().with_name(topic.name).with_partitions(partitions)
    });
    DescribeProducersResponse::default().with_topics(topics.collect())
}

fn producers(partition: &Partition) -> Vec<ProducerState> {
    let states = partition.log().producer_states().into_iter().map(|p| {
        ProducerState::default()
            .with_producer_id(p.producer_id.into())
            .with_producer_epoch(i32::from(p.epoch))
            .with_last_sequence(p.last_sequence)
            .with_last_timestamp(p.last_timestamp)
            .with_coordinator_epoch(p.coordinator_epoch)
            .with_current_txn_start_offset(p.txn_first_offset.unwrap_or(-1))
    });
    states.collect()
}

pub(super) fn describe_transactions(
    broker: &Broker,
    call: &Call,
    request: DescribeTransactionsRequest,
) -> DescribeTransactionsResponse {
    let states = request.transactional_ids.into_iter().map(|id| {
        let described = if call.allows(broker, Operation::Describe, ResourceType::TransactionalId, &id) {
            broker.txns().describe(&id)
        } else {
            Err(E::TransactionalIdAuthorizationFailed)
        };
        match described {
            Ok(meta) => described_txn(broker, call, id, meta),
            Err(code) => describe_transactions_response::TransactionState::default()
                .with_transactional_id(id)
                .with_error_code(code.code()),
        }
    });
    DescribeTransactionsResponse::default().with_transaction_states(states.collect())
}

/// Only topics that the caller may describe are shown.
fn described_txn(
    broker: &Broker,
    call: &Call,
    id: TransactionalId,
    meta: TxnMeta,
) -> describe_transactions_response::TransactionState {
    let mut topics: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for (topic, index) in meta.partitions {
        topics.entry(topic).or_default().push(index);
    }
    let topics = topics
        .into_iter()
        .filter(|(topic, _)| call.allows(broker, Operation::Describe, ResourceType::Topic, topic))
        .map(|(topic, partitions)| {
            TopicData::default().with_topic(TopicName(text(&topic))).with_partitions(partitions)
        });
    describe_transactions_response::TransactionState::default()
        .with_transactional_id(id)
        .with_transaction_state(text(meta.state.name()))
        .with_transaction_timeout_ms(meta.timeout_ms)
        .with_transaction_start_time_ms(meta.started_ms)
        .with_producer_id(meta.producer_id.into())
        .with_producer_epoch(meta.epoch)
        .with_topics(topics.collect())
}

pub(super) fn list_transactions(
    broker: &Broker,
    call: &Call,
    request: ListTransactionsRequest,
) -> ListTransactionsResponse {
    let by_name = |name: &str| TxnState::ALL.into_iter().find(|s| s.name() == name);
    let response = ListTransactionsResponse::default();
    let pattern = request.transactional_id_pattern.filter(|p| !p.is_empty());
    let pattern = pattern.map(|p| {
        // RE2, as in Kafka: matched as a whole, in time linear in the name.
        RegexBuilder::new(&format!("^(?:{})$", p.as_str())).size_limit(MAX_PATTERN_BYTES).build()
    });
    let Ok(pattern) = pattern.transpose() else {
        return response.with_error_code(E::InvalidRegularExpression.code());
    };
    let (known, unknown): (Vec<_>, Vec<_>) =
        request.state_filters.iter().partition(|name| by_name(name).is_some());
    let filter = TxnFilter {
        states: (!request.state_filters.is_empty())
            .then(|| known.iter().filter_map(|name| by_name(name)).collect()),
        producer_ids: request.producer_id_filters.into_iter().map(i64::from).collect(),
        longer_than_ms: request.duration_filter,
        pattern,
    };
    let listed = broker.txns().list(&filter).into_iter();
    let states = listed
        .filter(|txn| call.allows(broker, Operation::Describe, ResourceType::TransactionalId, &txn.id))
        .map(|txn| {
            list_transactions_response::TransactionState::default()
                .with_transactional_id(TransactionalId(text(&txn.id)))
                .with_producer_id(txn.producer_id.into())
                .with_transaction_state(text(txn.state.name()))
        });
    response
        .with_unknown_state_filters(unknown.into_iter().cloned().collect())
        .with_transaction_states(states.collect())
}

/// What the coordinator of another broker would ask for, and `kafka-transactions.sh abort`: ends a transaction in single
/// partitions, whatever its coordinator thinks.
pub(super) async fn write_txn_markers(
    broker: Arc<Broker>,
    call: &Call,
    request: WriteTxnMarkersRequest,
) -> Result<WriteTxnMarkersResponse, RequestError> {
    let call = call.clone();
    off_task(move || {
        let may = [Operation::Alter, Operation::ClusterAction]
            .into_iter()
            .any(|operation| call.allows(&broker, operation, ResourceType::Cluster, CLUSTER));
        let results = request.markers.into_iter().map(|marker| {
            let places: Vec<(String, i32)> = marker
                .topics
                .iter()
                .flat_map(|t| t.partition_indexes.iter().map(|p| (t.name.to_string(), *p)))
                .collect();
            let results = if may {
                write_marker(&broker, &marker, &places)
            } else {
                vec![Some(E::ClusterAuthorizationFailed); places.len()]
            };
            let mut results = results.into_iter();
            let topics = marker.topics.into_iter().map(|topic| {
                let partitions = topic.partition_indexes.iter().zip(&mut results).map(|(index, error)| {
                    WritableTxnMarkerPartitionResult::default()
                        .with_partition_index(*index)
                        .with_error_code(number(error))
                });
                let partitions = partitions.collect();
                WritableTxnMarkerTopicResult::default().with_name(topic.name).with_partitions(partitions)
            });
            let topics = topics.collect();
            WritableTxnMarkerResult::default().with_producer_id(marker.producer_id).with_topics(topics)
        });
        WriteTxnMarkersResponse::default().with_markers(results.collect())
    })
    .await
}

fn write_marker(broker: &Broker, marker: &WritableTxnMarker, places: &[(String, i32)]) -> Vec<Option<E>> {
    let producer_id: i64 = marker.producer_id.into();
    let (epoch, commit) = (marker.producer_epoch, marker.transaction_result);
    let (done, wait) = blocking();
    let gather: Arc<Gather<Result<i64, E>>> = Gather::new(places.len(), Box::new(done));
    for (slot, (topic, index)) in places.iter().enumerate() {
        let Some(partition) = broker.topics().partition(topic, *index) else {
            gather.set(slot, Err(E::UnknownTopicOrPartition));
            continue;
        };
        let told = |e: LogError| code_of(&e);
        match partition.append_marker_of(producer_id, epoch, commit, marker.coordinator_epoch) {
            Ok(appended) => {
                let gather = Arc::clone(&gather);
                partition.when_durable(appended.last_offset + 1, move |durable| {
                    gather.set(slot, durable.map(|_| appended.base_offset).map_err(told));
                });
            }
            Err(error) => gather.set(slot, Err(told(error))),
        }
    }
    let results = wait().unwrap_or_else(|| vec![Err(E::UnknownServerError); places.len()]);
    for ((topic, _), result) in places.iter().zip(&results) {
        if let Ok(at) = result
            && topic == OFFSETS_TOPIC
        {
            broker.groups().end_txn(producer_id, commit, *at);
        }
    }
    results.into_iter().map(Result::err).collect()
}
