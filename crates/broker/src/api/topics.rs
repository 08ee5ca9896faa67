//! CreateTopics, DeleteTopics, CreatePartitions, as KafkaApis and its controller answer them.

use super::authorized::TOPIC_FAILED;
use super::{Call, RequestError, off_task, text};
use crate::broker::Broker;
use crate::security::{CLUSTER, Operation, ResourceType};
use crate::topics::{NewTopic, TopicError};
use kafka_protocol::ResponseError as E;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{
    BrokerId, CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse,
    DeleteTopicsRequest, DeleteTopicsResponse, TopicName,
};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use uuid::Uuid;

/// More new partitions in one request are refused, as by Kafka's controller.
const MAX_PER_REQUEST: i64 = 10_000;
/// Kafka's topic of its own metadata.
const METADATA_TOPIC: &str = "__cluster_metadata";

fn refused(code: E, reason: impl Into<String>) -> TopicError {
    TopicError::refused(code, reason)
}

/// The names that are there more than once.
fn repeated<'a>(names: impl Iterator<Item = &'a str>) -> HashSet<String> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    names.for_each(|name| *seen.entry(name).or_default() += 1);
    seen.into_iter().filter(|(_, n)| *n > 1).map(|(name, _)| name.to_owned()).collect()
}

pub(super) async fn create(
    broker: Arc<Broker>,
    call: &Call,
    request: CreateTopicsRequest,
) -> Result<CreateTopicsResponse, RequestError> {
    let call = call.clone();
    off_task(move || {
        let twice = repeated(request.topics.iter().map(|t| t.name.as_str()));
        let cluster = call.allows(&broker, Operation::Create, ResourceType::Cluster, CLUSTER);
        let checked: Vec<Result<NewTopic, TopicError>> = request
            .topics
            .iter()
            .map(|topic| {
                let name = topic.name.as_str();
                if twice.contains(name) {
                    return Err(refused(E::InvalidRequest, "Duplicate topic name."));
                }
                if name == METADATA_TOPIC {
                    let reason = format!("Creation of internal topic {METADATA_TOPIC} is prohibited.");
                    return Err(refused(E::InvalidRequest, reason));
                }
                if !cluster && !call.allows(&broker, Operation::Create, ResourceType::Topic, name) {
                    return Err(refused(E::TopicAuthorizationFailed, "Authorization failed."));
                }
                new_topic(&broker, topic)
            })
            .collect();
        let total: i64 = checked.iter().flatten().map(|t| i64::from(t.partitions)).sum();
        let results = if total > MAX_PER_REQUEST {
            let reason = "Excessively large number of partitions per request.";
            let too_many = |c: Result<NewTopic, _>| c.and_then(|_| Err(refused(E::PolicyViolation, reason)));
            checked.into_iter().map(too_many).collect()
        } else {
            create_checked(&broker, checked, request.validate_only)
        };
        let results = request.topics.iter().zip(results);
        let topics = results.map(|(topic, result)| create_answer(&broker, &call, &topic.name, result));
        CreateTopicsResponse::default().with_topics(topics.collect())
    })
    .await
}

/// A topic that was made, or could be.
struct Created {
    id: Uuid,
    partitions: i32,
    configs: BTreeMap<String, String>,
}

fn create_checked(
    broker: &Broker,
    checked: Vec<Result<NewTopic, TopicError>>,
    only_check: bool,
) -> Vec<Result<Created, TopicError>> {
    if only_check {
        let check = |new: NewTopic| {
            let configs = broker.topics().check_new(&new)?;
            Ok(Created { id: Uuid::new_v4(), partitions: new.partitions, configs })
        };
        return checked.into_iter().map(|new| new.and_then(check)).collect();
    }
    let mut made = broker.topics().create_all(checked.iter().flatten().cloned().collect()).into_iter();
    checked
        .into_iter()
        .map(|new| {
            new?;
            let topic = made.next().unwrap_or_else(|| Err(TopicError::unknown()))?;
            Ok(Created { id: topic.id, partitions: topic.partition_count(), configs: topic.configs() })
        })
        .collect()
}

fn create_answer(
    broker: &Broker,
    call: &Call,
    name: &TopicName,
    result: Result<Created, TopicError>,
) -> CreatableTopicResult {
    let answer = CreatableTopicResult::default().with_name(name.clone());
    let created = match result {
        Ok(created) => created,
        Err(error) => {
            return answer
                .with_error_code(error.code().code())
                .with_error_message(Some(text(&error.to_string())));
        }
    };
    let answer = answer.with_topic_id(created.id).with_error_message(None);
    if call.version < 5 {
        return answer;
    }
    if !call.allows(broker, Operation::DescribeConfigs, ResourceType::Topic, name) {
        return answer.with_topic_config_error_code(E::TopicAuthorizationFailed.code()).with_configs(None);
    }
    let configs = broker.configs().describe_topic(&created.configs).into_iter().map(|entry| {
        CreatableTopicConfigs::default()
            .with_name(text(&entry.name))
            .with_value(entry.value.as_deref().map(text))
            .with_config_source(entry.source as i8)
    });
    answer
        .with_num_partitions(created.partitions)
        .with_replication_factor(1)
        .with_configs(Some(configs.collect()))
}

/// What is asked for, with the defaults put in. The rules are those of Kafka's ReplicationControlManager.
fn new_topic(broker: &Broker, topic: &CreatableTopic) -> Result<NewTopic, TopicError> {
    let new = |partitions: i32, configs| NewTopic { name: topic.name.to_string(), partitions, configs };
    // Kafka looks at names, existence and configs first.
    let nulls: Vec<&str> =
        topic.configs.iter().filter(|c| c.value.is_none()).map(|c| c.name.as_str()).collect();
    let configs: BTreeMap<String, String> = topic
        .configs
        .iter()
        .filter_map(|c| Some((c.name.to_string(), c.value.as_ref()?.to_string())))
        .collect();
    broker.topics().check_new(&new(1, configs.clone()))?;
    if !nulls.is_empty() {
        let reason = format!("Null value not supported for topic configs: {}", nulls.join(","));
        return Err(refused(E::InvalidConfig, reason));
    }
    if topic.assignments.is_empty() {
        return match (topic.replication_factor, topic.num_partitions) {
            (factor, _) if factor < -1 || factor == 0 => Err(refused(
                E::InvalidReplicationFactor,
                "Replication factor must be larger than 0, or -1 to use the default value.",
            )),
            (_, n) if n < -1 || n == 0 => Err(refused(
                E::InvalidPartitions,
                "Number of partitions was set to an invalid non-positive value.",
            )),
            (factor, _) if factor > 1 => Err(refused(
                E::InvalidReplicationFactor,
                format!(
                    "Unable to replicate the partition {factor} time(s): The target replication factor of {factor} \
                     cannot be reached because only 1 broker(s) are registered or some brokers have all their log \
                     directories cordoned."
                ),
            )),
            (_, -1) => Ok(new(broker.config().num_partitions, configs)),
            (_, n) => Ok(new(n, configs)),
        };
    }
    let both = |what: &str| {
        let reason = format!("A manual partition assignment was specified, but {what} not set to -1.");
        Err(refused(E::InvalidRequest, reason))
    };
    if topic.replication_factor != -1 {
        return both("replication factor was");
    }
    if topic.num_partitions != -1 {
        return both("numPartitions was");
    }
    let mut indexes = HashSet::new();
    for assignment in &topic.assignments {
        let index = assignment.partition_index;
        if !indexes.insert(index) {
            let reason = format!("Found multiple manual partition assignments for partition {index}");
            return Err(refused(E::InvalidReplicaAssignment, reason));
        }
        check_assignment(broker, &assignment.broker_ids)?;
    }
    let count = i32::try_from(indexes.len()).unwrap_or(i32::MAX);
    if (0..count).any(|index| !indexes.contains(&index)) {
        let reason = "partitions should be a consecutive 0-based integer sequence";
        return Err(refused(E::InvalidReplicaAssignment, reason));
    }
    Ok(new(count, configs))
}

/// One replica, on this broker: all that there is.
pub(super) fn check_assignment(broker: &Broker, replicas: &[BrokerId]) -> Result<(), TopicError> {
    let me = broker.config().node_id;
    let wrong = |what: String| {
        Err(refused(E::InvalidReplicaAssignment, format!("The manual partition assignment includes {what}")))
    };
    let mut sorted: Vec<i32> = replicas.iter().map(|id| id.0).collect();
    sorted.sort_unstable();
    if sorted.is_empty() {
        return wrong("an empty replica list.".to_owned());
    }
    for (i, id) in sorted.iter().enumerate() {
        if *id != me {
            return wrong(format!("broker {id}, but no such broker is registered."));
        }
        if i > 0 {
            return wrong(format!("the broker {id} more than once."));
        }
    }
    Ok(())
}

pub(super) async fn delete(
    broker: Arc<Broker>,
    call: &Call,
    request: DeleteTopicsRequest,
) -> Result<DeleteTopicsResponse, RequestError> {
    let call = call.clone();
    off_task(move || {
        let by_name = request.topic_names.into_iter().map(|name| (Some(name), Uuid::nil()));
        let by_state = request.topics.into_iter().map(|t| (t.name, t.topic_id));
        let asked: Vec<(Option<TopicName>, Uuid)> = by_name.chain(by_state).collect();
        let twice = repeated(asked.iter().filter_map(|(name, _)| name.as_deref().map(|n| n.as_str())));
        let mut ids = HashSet::new();
        let checked: Vec<Deletion> = asked
            .into_iter()
            .map(|(name, id)| {
                let mut deletion = deletable(&broker, &call, name, id, &twice);
                if deletion.result.is_ok() && !ids.insert(deletion.id) {
                    let reason = "The provided topic name maps to an ID that was already supplied.";
                    deletion.result = Err(refused(E::InvalidRequest, reason));
                }
                deletion
            })
            .collect();
        let good = checked.iter().filter(|d| d.result.is_ok()).filter_map(|d| d.name.as_ref());
        let names: Vec<&str> = good.map(|name| name.as_str()).collect();
        let mut deleted = broker.topics().delete_all(&names).into_iter();
        let responses = checked.iter().map(|deletion| {
            let mut answer = DeletableTopicResult::default().with_name(deletion.name.clone());
            if call.version >= 6 {
                answer.topic_id = deletion.id;
            }
            let now = if deletion.result.is_ok() { deleted.next() } else { None };
            let result = now.as_ref().unwrap_or(&deletion.result);
            match result {
                Ok(()) => answer,
                Err(error) => {
                    let message = (call.version >= 5).then(|| text(&error.to_string()));
                    answer.with_error_code(error.code().code()).with_error_message(message)
                }
            }
        });
        DeleteTopicsResponse::default().with_responses(responses.collect())
    })
    .await
}

/// One topic of a DeleteTopics request: what may be told of it, and why it is not deleted.
struct Deletion {
    name: Option<TopicName>,
    id: Uuid,
    result: Result<(), TopicError>,
}

fn deletable(
    broker: &Broker,
    call: &Call,
    name: Option<TopicName>,
    id: Uuid,
    twice: &HashSet<String>,
) -> Deletion {
    let refuse =
        |name: Option<TopicName>, id: Uuid, error: TopicError| Deletion { name, id, result: Err(error) };
    if !broker.config().delete_topics {
        // Versions before 3 do not know this error.
        let code = if call.version < 3 { E::InvalidRequest } else { E::TopicDeletionDisabled };
        return refuse(name, id, refused(code, "Topic deletion is disabled."));
    }
    match &name {
        Some(_) if id != Uuid::nil() => {
            let reason = "You may not specify both topic name and topic id.";
            return refuse(name, id, refused(E::InvalidRequest, reason));
        }
        None if id == Uuid::nil() => {
            let reason = "Neither topic name nor id were specified.";
            return refuse(name, id, refused(E::InvalidRequest, reason));
        }
        Some(n) if twice.contains(n.as_str()) => {
            return refuse(name, id, refused(E::InvalidRequest, "Duplicate topic name."));
        }
        _ => {}
    }
    let found = match &name {
        Some(name) => broker.topics().get(name),
        None => broker.topics().by_id(&id),
    };
    let known = name.clone().or_else(|| found.as_ref().map(|t| TopicName(text(&t.name))));
    let may = |operation| match &known {
        Some(name) => {
            call.allows(broker, operation, ResourceType::Topic, name)
                || call.allows(broker, Operation::Delete, ResourceType::Cluster, CLUSTER)
        }
        None => true,
    };
    let denied = || refused(E::TopicAuthorizationFailed, TOPIC_FAILED);
    match (&found, may(Operation::Describe), may(Operation::Delete)) {
        // What a caller may not see is not told apart from what it may not delete.
        (_, false, _) => refuse(name, if known.is_some() { Uuid::nil() } else { id }, denied()),
        (None, ..) if name.is_some() => refuse(name, Uuid::nil(), TopicError::unknown()),
        (None, ..) => {
            refuse(None, id, refused(E::UnknownTopicId, "This server does not host this topic ID."))
        }
        (Some(_), true, false) => refuse(known, id, denied()),
        (Some(topic), true, true) => Deletion { name: known, id: topic.id, result: Ok(()) },
    }
}

pub(super) async fn create_partitions(
    broker: Arc<Broker>,
    call: &Call,
    request: CreatePartitionsRequest,
) -> Result<CreatePartitionsResponse, RequestError> {
    let call = call.clone();
    off_task(move || {
        let twice = repeated(request.topics.iter().map(|t| t.name.as_str()));
        let results = request.topics.into_iter().map(|topic| {
            let added = if twice.contains(topic.name.as_str()) {
                Err(refused(E::InvalidRequest, "Duplicate topic name."))
            } else if !call.allows(&broker, Operation::Alter, ResourceType::Topic, &topic.name) {
                Err(refused(E::TopicAuthorizationFailed, TOPIC_FAILED))
            } else {
                add_partitions(&broker, &topic, request.validate_only)
            };
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

fn add_partitions(
    broker: &Broker,
    topic: &CreatePartitionsTopic,
    only_check: bool,
) -> Result<(), TopicError> {
    // The number is judged before the assignments.
    broker.topics().add_partitions(&topic.name, topic.count, true)?;
    let now = broker.topics().get(&topic.name).map_or(0, |t| t.partition_count());
    let additional = topic.count - now;
    if let Some(assignments) = &topic.assignments {
        if assignments.len() != usize::try_from(additional).unwrap_or(0) {
            let reason = format!(
                "Attempted to add {additional} additional partition(s), but only {} assignment(s) were specified.",
                assignments.len()
            );
            return Err(refused(E::InvalidReplicaAssignment, reason));
        }
        assignments.iter().try_for_each(|a| check_assignment(broker, &a.broker_ids))?;
    }
    if i64::from(additional) > MAX_PER_REQUEST {
        let reason = "Excessively large number of partitions per request.";
        return Err(refused(E::PolicyViolation, reason));
    }
    broker.topics().add_partitions(&topic.name, topic.count, only_check)
}
