//! CreateTopics, DeleteTopics, CreatePartitions.

use super::{Call, RequestError, off_task, text};
use crate::broker::Broker;
use crate::topic_config::{KNOWN, effective};
use crate::topics::{TopicError, is_internal};
use kafka_protocol::ResponseError as E;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse,
    DeleteTopicsRequest, DeleteTopicsResponse, TopicName,
};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

fn refused(code: E, reason: &str) -> TopicError {
    TopicError::Refused { code, reason: reason.to_owned() }
}

pub(super) async fn create(
    broker: Arc<Broker>,
    call: &Call,
    request: CreateTopicsRequest,
) -> Result<CreateTopicsResponse, RequestError> {
    let version = call.version;
    off_task(move || {
        let mut named: HashMap<String, usize> = HashMap::new();
        request.topics.iter().for_each(|t| *named.entry(t.name.to_string()).or_default() += 1);
        let results = request.topics.into_iter().map(|topic| {
            let result = CreatableTopicResult::default().with_name(topic.name.clone());
            let created = if named.get(&*topic.name.to_string()).is_some_and(|n| *n > 1) {
                Err(refused(
                    E::InvalidRequest,
                    "Create topics request contains multiple entries of this topic.",
                ))
            } else {
                create_one(&broker, &topic, request.validate_only)
            };
            match created {
                Err(error) => result
                    .with_error_code(error.code().code())
                    .with_error_message(Some(text(&error.to_string())))
                    .with_num_partitions(-1)
                    .with_replication_factor(-1),
                Ok((id, partitions, configs)) => {
                    let result = result.with_topic_id(id).with_error_message(None);
                    if version < 5 {
                        return result;
                    }
                    let log = crate::topic_config::log_config(broker.topics().defaults(), &configs);
                    let all = KNOWN.iter().map(|(key, ..)| {
                        CreatableTopicConfigs::default()
                            .with_name(text(key))
                            .with_value(Some(text(&effective(key, &log, &configs))))
                            .with_config_source(if configs.contains_key(*key) { 1 } else { 5 })
                    });
                    result
                        .with_num_partitions(partitions)
                        .with_replication_factor(1)
                        .with_configs(Some(all.collect()))
                }
            }
        });
        CreateTopicsResponse::default().with_topics(results.collect())
    })
    .await
}

type Created = (uuid::Uuid, i32, BTreeMap<String, String>);

fn create_one(broker: &Broker, topic: &CreatableTopic, only_check: bool) -> Result<Created, TopicError> {
    let partitions = if topic.assignments.is_empty() {
        if !matches!(topic.replication_factor, -1 | 1) {
            return Err(refused(
                E::InvalidReplicationFactor,
                &format!("replication factor {} on one broker", topic.replication_factor),
            ));
        }
        if topic.num_partitions == -1 { broker.config().num_partitions } else { topic.num_partitions }
    } else {
        let me = broker.config().node_id;
        let mut indexes: Vec<i32> = topic.assignments.iter().map(|a| a.partition_index).collect();
        indexes.sort_unstable();
        let consecutive = indexes.iter().enumerate().all(|(i, index)| i as i32 == *index);
        let on_me = topic.assignments.iter().all(|a| a.broker_ids.len() == 1 && a.broker_ids[0].0 == me);
        if topic.num_partitions != -1 || topic.replication_factor != -1 {
            return Err(refused(
                E::InvalidRequest,
                "both a number of partitions or replicas and an assignment are given",
            ));
        }
        if !consecutive || !on_me {
            return Err(refused(
                E::InvalidReplicaAssignment,
                &format!("each partition has one replica, on broker {me}"),
            ));
        }
        indexes.len() as i32
    };
    let configs: BTreeMap<String, String> = topic
        .configs
        .iter()
        .filter_map(|c| Some((c.name.to_string(), c.value.as_ref()?.to_string())))
        .collect();
    if only_check {
        broker.topics().check_new(&topic.name, partitions, &configs)?;
        return Ok((uuid::Uuid::nil(), partitions, configs));
    }
    let created = broker.topics().create(&topic.name, partitions, configs.clone())?;
    Ok((created.id, partitions, configs))
}

pub(super) async fn delete(
    broker: Arc<Broker>,
    call: &Call,
    request: DeleteTopicsRequest,
) -> Result<DeleteTopicsResponse, RequestError> {
    let version = call.version;
    off_task(move || {
        let by_name = request.topic_names.into_iter().map(|name| (Some(name), uuid::Uuid::nil()));
        let by_state = request.topics.into_iter().map(|t| (t.name, t.topic_id));
        let results = by_name.chain(by_state).map(|(name, id)| {
            let found = match &name {
                Some(name) => broker.topics().get(name),
                None => broker.topics().by_id(&id),
            };
            let id = found.as_ref().map_or(id, |t| t.id);
            let unknown = if name.is_some() { E::UnknownTopicOrPartition } else { E::UnknownTopicId };
            let deleted = match &found {
                None => Err(refused(unknown, "This server does not host this topic.")),
                Some(topic) if is_internal(&topic.name) => {
                    Err(refused(E::InvalidTopicException, "internal topics cannot be deleted"))
                }
                Some(topic) => broker.topics().delete(&topic.name),
            };
            let name = name.or_else(|| found.map(|t| TopicName(text(&t.name))));
            let result = DeletableTopicResult::default().with_name(name);
            let result = if version >= 6 { result.with_topic_id(id) } else { result };
            match deleted {
                Ok(()) => result,
                Err(error) => {
                    let message = (version >= 5).then(|| text(&error.to_string()));
                    result.with_error_code(error.code().code()).with_error_message(message)
                }
            }
        });
        DeleteTopicsResponse::default().with_responses(results.collect())
    })
    .await
}

pub(super) async fn create_partitions(
    broker: Arc<Broker>,
    request: CreatePartitionsRequest,
) -> Result<CreatePartitionsResponse, RequestError> {
    off_task(move || {
        let results = request.topics.into_iter().map(|topic| {
            let added = broker.topics().add_partitions(&topic.name, topic.count, request.validate_only);
            let result = CreatePartitionsTopicResult::default().with_name(topic.name);
            match added {
                Ok(()) => result.with_error_message(None),
                Err(error) => result
                    .with_error_code(error.code().code())
                    .with_error_message(Some(text(&error.to_string()))),
            }
        });
        CreatePartitionsResponse::default().with_results(results.collect())
    })
    .await
}
