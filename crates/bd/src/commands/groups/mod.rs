//! `bd groups`: list, delete, delete offsets; `describe` and `reset-offsets` have files of their own.

mod describe;
mod reset;

use super::{Answer, group_id, topic_name};
use crate::cli::{Groups, GroupsAction};
use anyhow::Result;
use bd_client::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use bd_client::messages::{DeleteGroupsRequest, ListGroupsRequest, OffsetDeleteRequest};
use bd_client::{Client, ClientError, Node};
use serde_json::json;
use std::process::ExitCode;

pub(super) fn run(args: Groups) -> Result<ExitCode> {
    let mut client = super::connect(&args.cluster, "bd-groups")?;
    let client = &mut client;
    let answer = match args.action.unwrap_or(GroupsAction::List) {
        GroupsAction::List => list(client)?,
        GroupsAction::Describe { group } => describe::answer(&describe::describe(client, &group)?),
        GroupsAction::Delete { groups } => delete(client, &groups)?,
        GroupsAction::DeleteOffsets { group, topic } => delete_offsets(client, &group, &topic)?,
        GroupsAction::ResetOffsets(reset) => reset::reset(client, &reset)?,
    };
    answer.print(&args.cluster)?;
    Ok(ExitCode::SUCCESS)
}

fn list(client: &mut Client) -> Result<Answer> {
    let mut found = Vec::new();
    let brokers: Vec<i32> = client.brokers().keys().copied().collect();
    for broker in brokers {
        let response = client.request(Node::Broker(broker), &ListGroupsRequest::default())?;
        ClientError::check("ListGroups", format!("broker {broker}"), response.error_code, None)?;
        found.extend(response.groups.into_iter().map(|group| (group, broker)));
    }
    found.sort_by(|(a, _), (b, _)| a.group_id.as_str().cmp(b.group_id.as_str()));
    let kind = |name: &str| if name.is_empty() { "classic".to_owned() } else { name.to_lowercase() };
    let rows: Vec<Vec<String>> = found
        .iter()
        .map(|(g, broker)| {
            let state = if g.group_state.is_empty() { "-" } else { g.group_state.as_str() };
            let (id, protocol) = (g.group_id.to_string(), g.protocol_type.to_string());
            vec![id, kind(&g.group_type), protocol, state.to_owned(), broker.to_string()]
        })
        .collect();
    let json = found.iter().map(|(g, broker)| {
        json!({
            "group": g.group_id.as_str(), "type": kind(&g.group_type), "protocol": g.protocol_type.as_str(),
            "state": g.group_state.as_str(), "coordinator": broker,
        })
    });
    Ok(Answer::table(&["group", "type", "protocol", "state", "coordinator"], &rows, json.collect()))
}

fn delete(client: &mut Client, groups: &[String]) -> Result<Answer> {
    let (mut lines, mut json) = (String::new(), Vec::new());
    for group in groups {
        let request = DeleteGroupsRequest::default().with_groups_names(vec![group_id(group)]);
        let deleted = client.with_coordinator(|client| {
            let response = client.request(Node::Group(group), &request)?;
            let code = response.results.first().map_or(0, |r| r.error_code);
            ClientError::check("DeleteGroups", format!("group {group}"), code, None)
        });
        if let Err(e) = deleted {
            // What was deleted is said before what was not.
            super::print(&lines)?;
            return Err(e.into());
        }
        lines.push_str(&format!("group {group} deleted\n"));
        json.push(json!({"group": group, "result": "deleted"}));
    }
    let json = if let [one] = json.as_slice() { one.clone() } else { json.into() };
    Ok(Answer { json, text: lines })
}

fn delete_offsets(client: &mut Client, group: &str, topics: &[String]) -> Result<Answer> {
    let mut asked = Vec::new();
    for text in topics {
        let (topic, mut partitions) = super::topic_partitions(text)?;
        if partitions.is_empty() {
            let committed = client.committed(group)?;
            partitions = committed.keys().filter(|(t, _)| *t == topic).map(|(_, p)| *p).collect();
        }
        if partitions.is_empty() {
            anyhow::bail!("group {group} has no offsets for topic {topic}");
        }
        let partitions =
            partitions.iter().map(|p| OffsetDeleteRequestPartition::default().with_partition_index(*p));
        asked.push(
            OffsetDeleteRequestTopic::default()
                .with_name(topic_name(&topic))
                .with_partitions(partitions.collect()),
        );
    }
    let request = OffsetDeleteRequest::default().with_group_id(group_id(group)).with_topics(asked);
    let response = client.with_coordinator(|client| {
        let response = client.request(Node::Group(group), &request)?;
        ClientError::check("OffsetDelete", format!("group {group}"), response.error_code, None)?;
        Ok(response)
    })?;
    let mut rows = Vec::new();
    for topic in &response.topics {
        for p in &topic.partitions {
            let resource = format!("group {group}, {}-{}", topic.name.as_str(), p.partition_index);
            ClientError::check("OffsetDelete", resource, p.error_code, None)?;
            rows.push(vec![topic.name.to_string(), p.partition_index.to_string(), "deleted".to_owned()]);
        }
    }
    let json = rows.iter().map(|row| json!({"topic": row[0], "partition": row[1].parse::<i32>().ok()}));
    Ok(Answer::table(&["topic", "partition", "offset"], &rows, json.collect()))
}
