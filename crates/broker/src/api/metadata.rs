//! ApiVersions, Metadata, FindCoordinator: who is there and what is spoken.

use super::authorized::{NOT_ASKED, cluster_operations, topic_operations};
use super::{Call, RequestError, VersionsAnswer, off_task, text};
use crate::broker::Broker;
use crate::error::number;
use crate::partition::LEADER_EPOCH;
use crate::security::{CLUSTER, Operation, ResourceType};
use crate::topics::{Topic, is_internal};
use crate::wire::versions::{SPOKEN, advertised_lowest};
use kafka_protocol::ResponseError as E;
use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    ApiVersionsResponse, BrokerId, FindCoordinatorRequest, FindCoordinatorResponse, MetadataRequest,
    MetadataResponse, TopicName,
};
use std::sync::Arc;

/// Features and their levels, by which clients learn what is spoken: metadata as of Kafka 4.3, the second transaction protocol
/// (KIP-890), the consumer group protocol (KIP-848). They cannot be changed: (name, lowest, highest and in force).
pub(super) const FEATURES: [(&str, i16, i16); 3] =
    [("group.version", 0, 1), ("metadata.version", 30, 30), ("transaction.version", 0, 2)];

pub(super) fn api_versions(version: i16) -> VersionsAnswer {
    let keys = SPOKEN.iter().map(|(api, low, high)| {
        ApiVersion::default()
            .with_api_key(*api as i16)
            .with_min_version(advertised_lowest(*api, *low))
            .with_max_version(*high)
    });
    // Clients of ApiVersions 3 refuse a lowest version of 0 (KAFKA-17011).
    let least = |low: i16| if version < 4 { low.max(1) } else { low };
    let supported = FEATURES.map(|(name, low, high)| {
        SupportedFeatureKey::default()
            .with_name(text(name))
            .with_min_version(least(low))
            .with_max_version(high)
    });
    let finalized = FEATURES.map(|(name, _, level)| {
        FinalizedFeatureKey::default()
            .with_name(text(name))
            .with_min_version_level(level)
            .with_max_version_level(level)
    });
    ApiVersionsResponse::default()
        .with_api_keys(keys.collect())
        .with_supported_features(supported.to_vec())
        .with_finalized_features_epoch(0)
        .with_finalized_features(finalized.to_vec())
}

pub(super) fn unsupported_version() -> VersionsAnswer {
    api_versions(0).with_error_code(E::UnsupportedVersion.code())
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
        None => {
            let all = broker.topics().all();
            let seen =
                all.iter().filter(|t| call.allows(broker, Operation::Describe, ResourceType::Topic, &t.name));
            topics.extend(seen.map(|t| described(broker, t)));
        }
        Some(wanted) => {
            for topic in wanted {
                topics.push(match topic.name {
                    None => by_id(broker, call, topic.topic_id),
                    Some(name) => by_name(broker, call, name, create).await?,
                });
            }
        }
    }
    if call.version >= 8 && request.include_topic_authorized_operations {
        for topic in topics.iter_mut().filter(|t| t.error_code == 0) {
            let name = topic.name.as_ref().map(|n| n.to_string()).unwrap_or_default();
            topic.topic_authorized_operations = topic_operations(call, broker, &name);
        }
    }
    let me = MetadataResponseBroker::default()
        .with_node_id(BrokerId(broker.config().node_id))
        .with_host(text(&call.client.listener.advertised.host))
        .with_port(i32::from(call.client.listener.advertised.port));
    let asked = (8..=10).contains(&call.version) && request.include_cluster_authorized_operations;
    let operations = if asked { cluster_operations(call, broker) } else { NOT_ASKED };
    Ok(MetadataResponse::default()
        .with_brokers(vec![me])
        .with_cluster_id(Some(text(broker.cluster_id())))
        .with_controller_id(BrokerId(broker.config().node_id))
        .with_cluster_authorized_operations(operations)
        .with_topics(topics))
}

fn by_id(broker: &Broker, call: &Call, id: uuid::Uuid) -> MetadataResponseTopic {
    let refused = |code: E| {
        MetadataResponseTopic::default().with_error_code(code.code()).with_topic_id(id).with_name(None)
    };
    match broker.topics().by_id(&id) {
        None => refused(E::UnknownTopicId),
        Some(t) if !call.allows(broker, Operation::Describe, ResourceType::Topic, &t.name) => {
            refused(E::TopicAuthorizationFailed)
        }
        Some(topic) => described(broker, &topic),
    }
}

async fn by_name(
    broker: &Arc<Broker>,
    call: &Call,
    name: TopicName,
    create: bool,
) -> Result<MetadataResponseTopic, RequestError> {
    let refused = |code: E| {
        MetadataResponseTopic::default()
            .with_error_code(code.code())
            .with_name(Some(name.clone()))
            .with_is_internal(is_internal(&name))
    };
    // Whether a topic is there is not told to those who may not see it.
    if !call.allows(broker, Operation::Describe, ResourceType::Topic, &name) {
        return Ok(refused(E::TopicAuthorizationFailed).with_is_internal(false));
    }
    if let Some(topic) = broker.topics().get(&name) {
        return Ok(described(broker, &topic));
    }
    let may_create = || {
        call.allows(broker, Operation::Create, ResourceType::Cluster, CLUSTER)
            || call.allows(broker, Operation::Create, ResourceType::Topic, &name)
    };
    if create && broker.config().auto_create_topics && !may_create() {
        return Ok(refused(E::TopicAuthorizationFailed));
    }
    let topic = {
        let (broker, name) = (Arc::clone(broker), name.to_string());
        off_task(move || broker.topic_or_create(&name, create)).await?
    };
    Ok(match topic {
        Ok(topic) => described(broker, &topic),
        Err(error) => refused(error.code()),
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

/// Key types: 0 group, 1 transactional id.
pub(super) fn find_coordinator(
    broker: &Broker,
    call: &Call,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let place = |key: &str| -> Result<(), E> {
        let (kind, denied) = match request.key_type {
            0 => (ResourceType::Group, E::GroupAuthorizationFailed),
            1 => (ResourceType::TransactionalId, E::TransactionalIdAuthorizationFailed),
            _ => return Err(E::InvalidRequest),
        };
        if call.allows(broker, Operation::Describe, kind, key) { Ok(()) } else { Err(denied) }
    };
    let advertised = &call.client.listener.advertised;
    let answer = |found: Result<(), E>| match found {
        Ok(()) => (BrokerId(broker.config().node_id), text(&advertised.host), i32::from(advertised.port)),
        Err(_) => (BrokerId(-1), text(""), -1),
    };
    if call.version <= 3 {
        let found = place(&request.key);
        let (id, host, port) = answer(found);
        return FindCoordinatorResponse::default()
            .with_error_code(number(found.err()))
            .with_node_id(id)
            .with_host(host)
            .with_port(port);
    }
    let coordinators = request.coordinator_keys.into_iter().map(|key| {
        let found = place(&key);
        let (id, host, port) = answer(found);
        Coordinator::default()
            .with_key(key)
            .with_node_id(id)
            .with_host(host)
            .with_port(port)
            .with_error_code(number(found.err()))
    });
    FindCoordinatorResponse::default().with_coordinators(coordinators.collect())
}
