//! ApiVersions, Metadata, DescribeCluster, FindCoordinator: who is there and what is spoken.

use super::{Call, RequestError, VersionsAnswer, off_task, text};
use crate::broker::Broker;
use crate::error::number;
use crate::partition::LEADER_EPOCH;
use crate::topics::{Topic, is_internal};
use crate::wire::versions::{SPOKEN, advertised_lowest};
use kafka_protocol::ResponseError as E;
use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    ApiVersionsResponse, BrokerId, DescribeClusterResponse, FindCoordinatorRequest, FindCoordinatorResponse,
    MetadataRequest, MetadataResponse, TopicName,
};
use std::sync::Arc;

/// Features and their levels, by which clients learn that the second transaction protocol (KIP-890) and the consumer group
/// protocol (KIP-848) are spoken.
const FEATURES: [(&str, i16); 2] = [("group.version", 1), ("transaction.version", 2)];

pub(super) fn api_versions() -> VersionsAnswer {
    let keys = SPOKEN.iter().map(|(api, low, high)| {
        ApiVersion::default()
            .with_api_key(*api as i16)
            .with_min_version(advertised_lowest(*api, *low))
            .with_max_version(*high)
    });
    // Clients of ApiVersions 3 refuse a lowest version of 0 (KAFKA-17011).
    let supported = FEATURES.map(|(name, version)| {
        SupportedFeatureKey::default().with_name(text(name)).with_min_version(1).with_max_version(version)
    });
    let finalized = FEATURES.map(|(name, version)| {
        FinalizedFeatureKey::default()
            .with_name(text(name))
            .with_min_version_level(version)
            .with_max_version_level(version)
    });
    ApiVersionsResponse::default()
        .with_api_keys(keys.collect())
        .with_supported_features(supported.to_vec())
        .with_finalized_features_epoch(0)
        .with_finalized_features(finalized.to_vec())
}

pub(super) fn unsupported_version() -> VersionsAnswer {
    api_versions().with_error_code(E::UnsupportedVersion.code())
}

pub(super) async fn metadata(
    broker: &Arc<Broker>,
    call: &Call,
    request: MetadataRequest,
) -> Result<MetadataResponse, RequestError> {
    // All topics: null, or in version 0 an empty list.
    let wanted = request.topics.filter(|topics| call.version > 0 || !topics.is_empty());
    let create = call.version < 4 || request.allow_auto_topic_creation;
    let mut topics = Vec::new();
    match wanted {
        None => topics.extend(broker.topics().all().iter().map(|t| described(broker, t))),
        Some(wanted) => {
            for topic in wanted {
                let answer = match topic.name {
                    None => match broker.topics().by_id(&topic.topic_id) {
                        Some(topic) => described(broker, &topic),
                        None => MetadataResponseTopic::default()
                            .with_error_code(E::UnknownTopicId.code())
                            .with_topic_id(topic.topic_id)
                            .with_name(None),
                    },
                    Some(name) => by_name(broker, name, create).await?,
                };
                topics.push(answer);
            }
        }
    }
    let me = MetadataResponseBroker::default()
        .with_node_id(BrokerId(broker.config().node_id))
        .with_host(text(&call.client.listener.advertised.host))
        .with_port(i32::from(call.client.listener.advertised.port));
    Ok(MetadataResponse::default()
        .with_brokers(vec![me])
        .with_cluster_id(Some(text(broker.cluster_id())))
        .with_controller_id(BrokerId(broker.config().node_id))
        .with_topics(topics))
}

async fn by_name(
    broker: &Arc<Broker>,
    name: TopicName,
    create: bool,
) -> Result<MetadataResponseTopic, RequestError> {
    let topic = match broker.topics().get(&name) {
        Some(topic) => Ok(topic),
        None => {
            let (broker, name) = (Arc::clone(broker), name.to_string());
            off_task(move || broker.topic_or_create(&name, create)).await?
        }
    };
    Ok(match topic {
        Ok(topic) => described(broker, &topic),
        Err(error) => {
            MetadataResponseTopic::default().with_error_code(error.code().code()).with_name(Some(name))
        }
    })
}

fn described(broker: &Broker, topic: &Topic) -> MetadataResponseTopic {
    let me = BrokerId(broker.config().node_id);
    let partitions = (0..topic.partition_count()).map(|index| {
        MetadataResponsePartition::default()
            .with_partition_index(index)
            .with_leader_id(me)
            .with_leader_epoch(LEADER_EPOCH)
            .with_replica_nodes(vec![me])
            .with_isr_nodes(vec![me])
    });
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(text(&topic.name))))
        .with_topic_id(topic.id)
        .with_is_internal(is_internal(&topic.name))
        .with_partitions(partitions.collect())
}

pub(super) fn describe_cluster(broker: &Broker, call: &Call) -> DescribeClusterResponse {
    let me = DescribeClusterBroker::default()
        .with_broker_id(BrokerId(broker.config().node_id))
        .with_host(text(&call.client.listener.advertised.host))
        .with_port(i32::from(call.client.listener.advertised.port));
    DescribeClusterResponse::default()
        .with_cluster_id(text(broker.cluster_id()))
        .with_controller_id(BrokerId(broker.config().node_id))
        .with_brokers(vec![me])
}

/// Key types: 0 group, 1 transactional id.
pub(super) fn find_coordinator(
    broker: &Broker,
    call: &Call,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let error = if matches!(request.key_type, 0 | 1) { None } else { Some(E::InvalidRequest) };
    let id = BrokerId(if error.is_some() { -1 } else { broker.config().node_id });
    let advertised = &call.client.listener.advertised;
    let (host, port) = match error {
        None => (text(&advertised.host), i32::from(advertised.port)),
        Some(_) => (text(""), -1),
    };
    if call.version <= 3 {
        return FindCoordinatorResponse::default()
            .with_error_code(number(error))
            .with_node_id(id)
            .with_host(host)
            .with_port(port);
    }
    let coordinators = request.coordinator_keys.into_iter().map(|key| {
        Coordinator::default()
            .with_key(key)
            .with_node_id(id)
            .with_host(host.clone())
            .with_port(port)
            .with_error_code(number(error))
    });
    FindCoordinatorResponse::default().with_coordinators(coordinators.collect())
}
