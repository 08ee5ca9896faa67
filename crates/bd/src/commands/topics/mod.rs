//! `bd topics`: list, create, delete, alter, delete records; `describe` has a file of its own.

mod describe;

use super::{Answer, text, topic_name};
use crate::cli::{Topics, TopicsAction};
use anyhow::{Result, bail};
use bd_client::messages::create_partitions_request::CreatePartitionsTopic;
use bd_client::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use bd_client::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use bd_client::messages::delete_topics_request::DeleteTopicState;
use bd_client::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest,
};
use bd_client::{Client, ClientError, Node};
use serde_json::json;
use std::collections::BTreeMap;
use std::process::ExitCode;

const TIMEOUT_MS: i32 = 30_000;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const TOPIC_ALREADY_EXISTS: i16 = 36;

pub(super) fn run(args: Topics) -> Result<ExitCode> {
    let mut client = super::connect(&args.cluster, "bd-topics")?;
    let client = &mut client;
    let action = args.action.unwrap_or(TopicsAction::List { exclude_internal: false });
    let answer = match action {
        TopicsAction::List { exclude_internal } => list(client, exclude_internal)?,
        TopicsAction::Describe { name } => describe::describe(client, &name)?,
        TopicsAction::Create { name, partitions, replication_factor, config, if_not_exists } => {
            let configs = super::pairs("--config", &config)?;
            let created = create_topic(client, &name, partitions, replication_factor, &configs);
            match created {
                Err(e) if if_not_exists && e.code().is_some_and(|c| c.0 == TOPIC_ALREADY_EXISTS) => {
                    done(&name, "exists")
                }
                created => created.map(|()| done(&name, "created"))?,
            }
        }
        TopicsAction::Delete { names, if_exists } => delete(client, &names, if_exists)?,
        TopicsAction::Alter { name, partitions } => alter(client, &name, partitions)?,
        TopicsAction::DeleteRecords { name, before, partition } => {
            delete_records(client, &name, before, partition)?
        }
    };
    answer.print(&args.cluster)?;
    Ok(ExitCode::SUCCESS)
}

fn done(name: &str, what: &str) -> Answer {
    Answer::line(format!("topic {name} {what}"), json!({"topic": name, "result": what}))
}

fn list(client: &mut Client, exclude_internal: bool) -> Result<Answer> {
    let mut topics = client.topics()?;
    topics.retain(|topic| !(exclude_internal && topic.internal));
    let replicas = |t: &bd_client::TopicInfo| t.partitions.first().map_or(0, |p| p.replicas.len());
    let rows: Vec<Vec<String>> = topics
        .iter()
        .map(|t| {
            let internal = if t.internal { "yes" } else { "no" };
            vec![t.name.clone(), t.partitions.len().to_string(), replicas(t).to_string(), internal.into()]
        })
        .collect();
    let json = topics.iter().map(|t| {
        json!({
            "name": t.name, "partitions": t.partitions.len(), "replication_factor": replicas(t),
            "internal": t.internal, "id": t.id,
        })
    });
    Ok(Answer::table(&["topic", "partitions", "replication factor", "internal"], &rows, json.collect()))
}

/// Creates one topic; `replication_factor` -1 is the cluster's default.
pub(super) fn create_topic(
    client: &mut Client,
    name: &str,
    partitions: i32,
    replication_factor: i16,
    configs: &BTreeMap<String, String>,
) -> Result<(), ClientError> {
    let configs = configs.iter().map(|(key, value)| {
        CreatableTopicConfig::default().with_name(text(key)).with_value(Some(text(value)))
    });
    let topic = CreatableTopic::default()
        .with_name(topic_name(name))
        .with_num_partitions(partitions)
        .with_replication_factor(replication_factor)
        .with_configs(configs.collect());
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(TIMEOUT_MS);
    let response = client.request(Node::Controller, &request)?;
    for topic in &response.topics {
        let (code, message) = (topic.error_code, topic.error_message.as_deref());
        ClientError::check("CreateTopics", format!("topic {name}"), code, message)?;
    }
    client.forget_topic(name);
    Ok(())
}

fn delete(client: &mut Client, names: &[String], if_exists: bool) -> Result<Answer> {
    let states = names.iter().map(|n| DeleteTopicState::default().with_name(Some(topic_name(n))));
    let by_state = DeleteTopicsRequest::default().with_topics(states.collect()).with_timeout_ms(TIMEOUT_MS);
    let response = match client.request_in(Node::Controller, &by_state, 6..=i16::MAX) {
        Err(ClientError::Unsupported { .. }) => {
            let names = names.iter().map(|n| topic_name(n)).collect();
            let by_name = DeleteTopicsRequest::default().with_topic_names(names).with_timeout_ms(TIMEOUT_MS);
            client.request_in(Node::Controller, &by_name, 1..=5)
        }
        response => response,
    }?;
    let (mut lines, mut json, mut failed) = (String::new(), Vec::new(), None);
    for topic in &response.responses {
        let name = topic.name.as_ref().map_or("", |n| n.as_str());
        let what = match topic.error_code {
            0 => "deleted",
            UNKNOWN_TOPIC_OR_PARTITION if if_exists => "does not exist",
            code => {
                let message = topic.error_message.as_deref();
                failed.get_or_insert(ClientError::response(
                    "DeleteTopics",
                    format!("topic {name}"),
                    code,
                    message,
                ));
                continue;
            }
        };
        lines.push_str(&format!("topic {name} {what}\n"));
        json.push(json!({"topic": name, "result": what}));
    }
    if let Some(error) = failed {
        // What was deleted is said before what was not.
        super::print(&lines)?;
        return Err(error.into());
    }
    let json = if let [one] = json.as_slice() { one.clone() } else { json.into() };
    Ok(Answer { json, text: lines })
}

fn alter(client: &mut Client, name: &str, partitions: i32) -> Result<Answer> {
    let topic = CreatePartitionsTopic::default()
        .with_name(topic_name(name))
        .with_count(partitions)
        .with_assignments(None);
    let request = CreatePartitionsRequest::default().with_topics(vec![topic]).with_timeout_ms(TIMEOUT_MS);
    let response = client.request(Node::Controller, &request)?;
    for result in &response.results {
        let (code, message) = (result.error_code, result.error_message.as_deref());
        ClientError::check("CreatePartitions", format!("topic {name}"), code, message)?;
    }
    let json = json!({"topic": name, "partitions": partitions, "result": "altered"});
    Ok(Answer::line(format!("topic {name} has {partitions} partitions"), json))
}

fn delete_records(client: &mut Client, name: &str, before: i64, partition: Option<i32>) -> Result<Answer> {
    let info = super::topic(client, name)?;
    let mut by_leader: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for p in info.partitions.iter().filter(|p| partition.is_none_or(|only| only == p.partition)) {
        by_leader.entry(client.leader(name, p.partition)?).or_default().push(p.partition);
    }
    if by_leader.is_empty() {
        bail!("topic {name} has partitions 0 to {}", info.partitions.len() - 1);
    }
    let mut low = BTreeMap::new();
    for (leader, partitions) in by_leader {
        let partitions = partitions
            .iter()
            .map(|p| DeleteRecordsPartition::default().with_partition_index(*p).with_offset(before));
        let topic =
            DeleteRecordsTopic::default().with_name(topic_name(name)).with_partitions(partitions.collect());
        let request = DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(TIMEOUT_MS);
        let response = client.request(Node::Broker(leader), &request)?;
        for p in response.topics.iter().flat_map(|t| &t.partitions) {
            let resource = format!("{name}-{} before offset {before}", p.partition_index);
            ClientError::check("DeleteRecords", resource, p.error_code, None)?;
            low.insert(p.partition_index, p.low_watermark);
        }
    }
    let rows: Vec<Vec<String>> = low.iter().map(|(p, l)| vec![p.to_string(), l.to_string()]).collect();
    let json = low.iter().map(|(p, l)| json!({"partition": p, "start_offset": l})).collect();
    Ok(Answer::table(&["partition", "start offset"], &rows, json))
}
