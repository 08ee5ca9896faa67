//! `bd groups describe`: a group of either protocol (classic, or KIP-848's), its members and its lag.

use crate::commands::{Answer, group_id};
use crate::table;
use anyhow::{Result, bail};
use bd_client::messages::{ConsumerGroupDescribeRequest, ConsumerProtocolAssignment, DescribeGroupsRequest};
use bd_client::protocol::Decodable;
use bd_client::{Client, ClientError, Node, OffsetSpec, TopicPartition};
use bytes::{Buf, Bytes};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

const GROUP_ID_NOT_FOUND: i16 = 69;

/// A member and what it reads.
pub(super) struct Member {
    pub(super) id: String,
    pub(super) instance: Option<String>,
    pub(super) client: String,
    pub(super) host: String,
    pub(super) assigned: BTreeSet<TopicPartition>,
}

/// Where a group is in a partition.
pub(super) struct Progress {
    pub(super) committed: Option<i64>,
    pub(super) start: i64,
    pub(super) end: i64,
}

impl Progress {
    /// Records that the group has not read; from the start of the log if it has deleted more than the group has read.
    pub(super) fn lag(&self) -> Option<i64> {
        self.committed.map(|offset| (self.end - offset).max(0))
    }
}

/// A group.
pub(super) struct Description {
    pub(super) group: String,
    pub(super) kind: &'static str,
    pub(super) state: String,
    pub(super) assignor: String,
    pub(super) epoch: Option<i32>,
    pub(super) members: Vec<Member>,
    pub(super) partitions: BTreeMap<TopicPartition, Progress>,
}

pub(super) fn describe(client: &mut Client, group: &str) -> Result<Description> {
    let mut found = match consumer_group(client, group)? {
        Some(found) => found,
        None => match classic_group(client, group)? {
            Some(found) => found,
            None => bail!("group {group} does not exist"),
        },
    };
    let committed = client.committed(group)?;
    if found.state == "Dead" && committed.is_empty() {
        bail!("group {group} does not exist");
    }
    let mut all: BTreeSet<TopicPartition> = committed.keys().cloned().collect();
    all.extend(found.members.iter().flat_map(|m| m.assigned.iter().cloned()));
    let start = ends(client, &all, OffsetSpec::Earliest)?;
    let end = ends(client, &all, OffsetSpec::Latest)?;
    for key in all {
        let of = |offsets: &BTreeMap<TopicPartition, i64>| offsets.get(&key).copied().unwrap_or(-1);
        let committed = committed.get(&key).map(|c| c.offset);
        let progress = Progress { committed, start: of(&start), end: of(&end) };
        found.partitions.insert(key, progress);
    }
    Ok(found)
}

/// Offsets of the partitions that (still) exist.
fn ends(
    client: &mut Client,
    all: &BTreeSet<TopicPartition>,
    spec: OffsetSpec,
) -> Result<BTreeMap<TopicPartition, i64>> {
    let mut there = BTreeMap::new();
    for key in all {
        match client.leader(&key.0, key.1) {
            Ok(_) => drop(there.insert(key.clone(), spec)),
            // The group's offsets outlive a deleted topic.
            Err(ClientError::Partition { .. }) => {}
            Err(e) if e.code().is_some_and(|code| code.0 == 3) => {}
            Err(e) => return Err(e.into()),
        }
    }
    let found = client.list_offsets(&there, false)?;
    Ok(found.into_iter().map(|(key, listed)| (key, listed.offset)).collect())
}

fn consumer_group(client: &mut Client, group: &str) -> Result<Option<Description>> {
    let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![group_id(group)]);
    let described = client.with_coordinator(|client| {
        let response = client.request(Node::Group(group), &request)?;
        let Some(found) = response.groups.into_iter().next() else { return Ok(None) };
        let message = found.error_message.as_deref();
        ClientError::check("ConsumerGroupDescribe", format!("group {group}"), found.error_code, message)?;
        Ok(Some(found))
    });
    let found = match described {
        // Brokers without the new protocol, and those where it is switched off (UNSUPPORTED_VERSION).
        Err(ClientError::Unsupported { .. }) => return Ok(None),
        Err(e) if e.code().is_some_and(|code| [35, GROUP_ID_NOT_FOUND].contains(&code.0)) => return Ok(None),
        found => found?,
    };
    Ok(found.map(|found| Description {
        group: group.to_owned(),
        kind: "consumer",
        state: found.group_state.to_string(),
        assignor: found.assignor_name.to_string(),
        epoch: Some(found.group_epoch),
        members: found
            .members
            .iter()
            .map(|m| Member {
                id: m.member_id.to_string(),
                instance: m.instance_id.as_ref().map(ToString::to_string),
                client: m.client_id.to_string(),
                host: m.client_host.to_string(),
                assigned: m
                    .assignment
                    .topic_partitions
                    .iter()
                    .flat_map(|t| t.partitions.iter().map(|p| (t.topic_name.to_string(), *p)))
                    .collect(),
            })
            .collect(),
        partitions: BTreeMap::new(),
    }))
}

fn classic_group(client: &mut Client, group: &str) -> Result<Option<Description>> {
    let request = DescribeGroupsRequest::default().with_groups(vec![group_id(group)]);
    let described = client.with_coordinator(|client| {
        let response = client.request(Node::Group(group), &request)?;
        let Some(found) = response.groups.into_iter().next() else { return Ok(None) };
        let message = found.error_message.as_deref();
        ClientError::check("DescribeGroups", format!("group {group}"), found.error_code, message)?;
        Ok(Some(found))
    });
    let found = match described {
        Err(e) if e.code().is_some_and(|code| code.0 == GROUP_ID_NOT_FOUND) => return Ok(None),
        found => found?,
    };
    Ok(found.map(|found| Description {
        group: group.to_owned(),
        kind: "classic",
        state: found.group_state.to_string(),
        assignor: found.protocol_data.to_string(),
        epoch: None,
        members: found
            .members
            .iter()
            .map(|m| Member {
                id: m.member_id.to_string(),
                instance: m.group_instance_id.as_ref().map(ToString::to_string),
                client: m.client_id.to_string(),
                host: m.client_host.to_string(),
                assigned: match found.protocol_type.as_str() {
                    "consumer" => assignment(&m.member_assignment),
                    _ => BTreeSet::new(),
                },
            })
            .collect(),
        partitions: BTreeMap::new(),
    }))
}

/// The consumer protocol's assignment; nothing if the group uses something else.
fn assignment(bytes: &Bytes) -> BTreeSet<TopicPartition> {
    let mut bytes = bytes.clone();
    let version = if bytes.len() >= 2 { bytes.get_i16() } else { return BTreeSet::new() };
    match ConsumerProtocolAssignment::decode(&mut bytes, version.clamp(0, 3)) {
        Err(_) => BTreeSet::new(),
        Ok(assignment) => assignment
            .assigned_partitions
            .iter()
            .flat_map(|t| t.partitions.iter().map(|p| (t.topic.to_string(), *p)))
            .collect(),
    }
}

pub(super) fn answer(found: &Description) -> Answer {
    let owner = |key: &TopicPartition| found.members.iter().find(|m| m.assigned.contains(key));
    let lag: i64 = found.partitions.values().filter_map(Progress::lag).sum();
    let shown = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let (mut rows, mut partitions) = (Vec::new(), Vec::new());
    for (key, p) in &found.partitions {
        let member = owner(key);
        let there = |offset: i64| Some(offset).filter(|offset| *offset >= 0);
        let lag = p.lag().filter(|_| p.end >= 0);
        rows.push(vec![
            key.0.clone(),
            key.1.to_string(),
            shown(p.committed),
            shown(there(p.start)),
            shown(there(p.end)),
            shown(lag),
            member.map_or_else(|| "-".into(), |m| m.id.clone()),
        ]);
        partitions.push(json!({
            "topic": key.0, "partition": key.1, "committed": p.committed, "start_offset": there(p.start),
            "end_offset": there(p.end), "lag": lag, "member": member.map(|m| &m.id),
        }));
    }
    let (mut member_rows, mut members) = (Vec::new(), Vec::new());
    for m in &found.members {
        member_rows.push(vec![
            m.id.clone(),
            m.instance.clone().unwrap_or_else(|| "-".into()),
            m.client.clone(),
            m.host.clone(),
            m.assigned.len().to_string(),
        ]);
        let assigned: Vec<_> = m.assigned.iter().map(|(t, p)| json!({"topic": t, "partition": p})).collect();
        members.push(json!({
            "member": m.id, "instance": m.instance, "client": m.client, "host": m.host, "partitions": assigned,
        }));
    }
    let assignor = if found.assignor.is_empty() { "-" } else { found.assignor.as_str() };
    let mut text = format!(
        "group     {}\ntype      {}\nstate     {}\nassignor  {assignor}\nlag       {lag}\n\n",
        found.group, found.kind, found.state
    );
    let columns = ["topic", "partition", "committed", "start offset", "end offset", "lag", "member"];
    text.push_str(&table::render(&columns, &rows));
    if !member_rows.is_empty() {
        text.push('\n');
        text.push_str(&table::render(&["member", "instance", "client", "host", "partitions"], &member_rows));
    }
    let json = json!({
        "group": found.group, "type": found.kind, "state": found.state, "assignor": found.assignor,
        "epoch": found.epoch, "lag": lag, "partitions": partitions, "members": members,
    });
    Answer { json, text }
}
