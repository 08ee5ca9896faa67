//! DescribeCluster, DescribeQuorum, UpdateFeatures and client quotas: what there is of a cluster on one node.

use super::authorized::{CLUSTER_FAILED, NOT_ASKED, cluster_operations};
use super::metadata::FEATURES;
use super::{Call, text};
use crate::broker::Broker;
use crate::security::{CLUSTER, Operation, ResourceType};
use crate::wait::now_ms;
use kafka_protocol::ResponseError as E;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::describe_quorum_response::{
    Listener, Node, PartitionData, ReplicaState, TopicData,
};
use kafka_protocol::messages::update_features_response::UpdatableFeatureResult;
use kafka_protocol::messages::{
    AlterClientQuotasRequest, AlterClientQuotasResponse, BrokerId, DescribeClientQuotasResponse,
    DescribeClusterRequest, DescribeClusterResponse, DescribeQuorumRequest, DescribeQuorumResponse,
    UpdateFeaturesRequest, UpdateFeaturesResponse,
};

/// Kafka's endpoint type of brokers; 2 are controllers.
const BROKERS: i8 = 1;

fn may(broker: &Broker, call: &Call, operation: Operation) -> bool {
    call.allows(broker, operation, ResourceType::Cluster, CLUSTER)
}

pub(super) fn describe(
    broker: &Broker,
    call: &Call,
    request: DescribeClusterRequest,
) -> DescribeClusterResponse {
    if call.version >= 1 && request.endpoint_type != BROKERS {
        let (code, message) = if request.endpoint_type == 2 {
            let message = "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type \
                           CONTROLLER";
            (E::MismatchedEndpointType, message.to_owned())
        } else {
            let message = format!("Unsupported endpoint type {}", request.endpoint_type);
            (E::UnsupportedEndpointType, message)
        };
        return DescribeClusterResponse::default()
            .with_error_code(code.code())
            .with_error_message(Some(text(&message)));
    }
    let me = DescribeClusterBroker::default()
        .with_broker_id(BrokerId(broker.config().node_id))
        .with_host(text(&call.client.listener.advertised.host))
        .with_port(i32::from(call.client.listener.advertised.port));
    let asked = request.include_cluster_authorized_operations;
    DescribeClusterResponse::default()
        .with_error_message(None)
        .with_cluster_id(text(broker.cluster_id()))
        .with_controller_id(BrokerId(broker.config().node_id))
        .with_cluster_authorized_operations(if asked { cluster_operations(call, broker) } else { NOT_ASKED })
        .with_brokers(vec![me])
}

/// A quorum of one, which is always caught up with itself.
pub(super) fn quorum(broker: &Broker, call: &Call, request: DescribeQuorumRequest) -> DescribeQuorumResponse {
    if !may(broker, call, Operation::Describe) {
        return DescribeQuorumResponse::default()
            .with_error_code(E::ClusterAuthorizationFailed.code())
            .with_error_message(Some(text(CLUSTER_FAILED)));
    }
    let me = BrokerId(broker.config().node_id);
    // The catalog of topics stands for Kafka's metadata log.
    let end = i64::try_from(broker.topics().version()).unwrap_or(i64::MAX);
    let now = now_ms();
    let voter = ReplicaState::default()
        .with_replica_id(me)
        .with_log_end_offset(end)
        .with_last_fetch_timestamp(now)
        .with_last_caught_up_timestamp(now);
    let topics = request.topics.into_iter().map(|topic| {
        let known = topic.topic_name.as_str() == "__cluster_metadata";
        let partitions = topic.partitions.iter().map(|partition| {
            let answer = PartitionData::default()
                .with_partition_index(partition.partition_index)
                .with_error_message(None);
            if !known || partition.partition_index != 0 {
                return answer.with_error_code(E::UnknownTopicOrPartition.code());
            }
            answer
                .with_leader_id(me)
                .with_leader_epoch(1)
                .with_high_watermark(end)
                .with_current_voters(vec![voter.clone()])
        });
        let partitions = partitions.collect();
        TopicData::default().with_topic_name(topic.topic_name).with_partitions(partitions)
    });
    let answer = DescribeQuorumResponse::default().with_error_message(None).with_topics(topics.collect());
    if call.version < 2 {
        return answer;
    }
    let advertised = &call.client.listener.advertised;
    let listener = Listener::default()
        .with_name(text("CONTROLLER"))
        .with_host(text(&advertised.host))
        .with_port(advertised.port);
    answer.with_nodes(vec![Node::default().with_node_id(me).with_listeners(vec![listener])])
}

/// Levels are fixed: only what holds already is accepted. The first error stands for all features; without one each has its result
/// up to version 1.
pub(super) fn update_features(
    broker: &Broker,
    call: &Call,
    request: UpdateFeaturesRequest,
) -> UpdateFeaturesResponse {
    if !may(broker, call, Operation::Alter) {
        return UpdateFeaturesResponse::default()
            .with_error_code(E::ClusterAuthorizationFailed.code())
            .with_error_message(Some(text(CLUSTER_FAILED)));
    }
    let node = broker.config().node_id;
    let refusal = |name: &str, wanted: i16| {
        let known = FEATURES.iter().find(|(known, ..)| *known == name);
        let why = match known {
            None => format!("Local controller {node} does not support this feature."),
            Some((.., level)) if *level == wanted => return None,
            Some((.., level)) => format!("This broker works at level {level} only."),
        };
        Some(format!("Invalid update version {wanted} for feature {name}. {why}"))
    };
    if let Some(why) = request.feature_updates.iter().find_map(|u| refusal(&u.feature, u.max_version_level)) {
        let why =
            format!("The update failed for all features since the following feature had an error: {why}");
        return UpdateFeaturesResponse::default()
            .with_error_code(E::InvalidUpdateVersion.code())
            .with_error_message(Some(text(&why)));
    }
    let accepted = |name| UpdatableFeatureResult::default().with_feature(name).with_error_message(None);
    let results = match call.version {
        0 | 1 => request.feature_updates.into_iter().map(|u| accepted(u.feature)).collect(),
        _ => Vec::new(),
    };
    UpdateFeaturesResponse::default().with_error_message(None).with_results(results)
}

/// There are no quotas.
pub(super) fn describe_quotas(broker: &Broker, call: &Call) -> DescribeClientQuotasResponse {
    if !may(broker, call, Operation::DescribeConfigs) {
        return DescribeClientQuotasResponse::default()
            .with_error_code(E::ClusterAuthorizationFailed.code())
            .with_error_message(Some(text(CLUSTER_FAILED)))
            .with_entries(None);
    }
    DescribeClientQuotasResponse::default().with_error_message(None).with_entries(Some(Vec::new()))
}

/// Quotas are refused by name, so that nobody relies on them.
pub(super) fn alter_quotas(
    broker: &Broker,
    call: &Call,
    request: AlterClientQuotasRequest,
) -> AlterClientQuotasResponse {
    use kafka_protocol::messages::alter_client_quotas_response::{EntityData, EntryData};
    let allowed = may(broker, call, Operation::AlterConfigs);
    let entries = request.entries.into_iter().map(|entry| {
        let (code, why) = if allowed {
            let names: Vec<&str> = entry.ops.iter().map(|op| op.key.as_str()).collect();
            (E::InvalidRequest, format!("This broker has no quotas: {} cannot be set.", names.join(", ")))
        } else {
            (E::ClusterAuthorizationFailed, CLUSTER_FAILED.to_owned())
        };
        let entity = entry
            .entity
            .into_iter()
            .map(|e| EntityData::default().with_entity_type(e.entity_type).with_entity_name(e.entity_name));
        EntryData::default()
            .with_error_code(code.code())
            .with_error_message(Some(text(&why)))
            .with_entity(entity.collect())
    });
    AlterClientQuotasResponse::default().with_entries(entries.collect())
}
