//! What administrators see of groups.

use super::consumer::{Assignment, GroupError};
use super::coordinator::GroupCoordinator;
use super::offsets::Committed;
use super::protocol::CONSUMER;
use super::slot::Kind;
use super::state::State;
use bytes::Bytes;
use kafka_protocol::ResponseError as E;
use std::collections::BTreeSet;

/// A line of ListGroups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedGroup {
    /// The id.
    pub id: String,
    /// Empty for a group that only keeps offsets.
    pub protocol_type: String,
    /// Where it stands, as Kafka names it.
    pub state: &'static str,
    /// `Classic` or `Consumer`.
    pub kind: &'static str,
}

/// A classic group as DescribeGroups shows it. Members are (id, static id, client id, host, metadata, assignment); the last two
/// are empty while the group rebalances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedGroup {
    /// Where it stands; `Dead` for a group that is not there.
    pub state: State,
    /// `consumer`, ...
    pub protocol_type: String,
    /// The assignor; empty while the group rebalances.
    pub protocol: String,
    /// The members.
    pub members: Vec<(String, Option<String>, String, String, Bytes, Bytes)>,
}

/// A group of the consumer protocol as ConsumerGroupDescribe shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedConsumerGroup {
    /// Where it stands, as Kafka names it.
    pub state: &'static str,
    /// The group's epoch.
    pub epoch: i32,
    /// The epoch of the target assignment.
    pub assignment_epoch: i32,
    /// The assignor.
    pub assignor: String,
    /// The members by id.
    pub members: Vec<DescribedConsumer>,
}

/// A member of [`DescribedConsumerGroup`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedConsumer {
    /// Its id.
    pub id: String,
    /// Its static id.
    pub instance_id: Option<String>,
    /// Its rack.
    pub rack_id: Option<String>,
    /// Its epoch.
    pub epoch: i32,
    /// The client's own name.
    pub client_id: String,
    /// Where it comes from.
    pub client_host: String,
    /// Topics subscribed by name.
    pub names: BTreeSet<String>,
    /// Topics subscribed by regular expression.
    pub regex: Option<String>,
    /// Whether it speaks the classic protocol.
    pub is_classic: bool,
    /// What it has.
    pub assigned: Assignment,
    /// What it should have.
    pub target: Assignment,
}

impl GroupCoordinator {
    /// All groups.
    pub fn list(&self) -> Vec<ListedGroup> {
        let mut listed: Vec<_> = self
            .all_slots()
            .into_iter()
            .filter_map(|(id, slot)| {
                let slot = slot.lock();
                if slot.dead {
                    return None;
                }
                let (protocol_type, state, kind) = match &slot.kind {
                    Kind::Classic(group) => {
                        (group.protocol_type.clone().unwrap_or_default(), group.state.name(), "Classic")
                    }
                    Kind::Consumer(group) => (CONSUMER.to_owned(), group.phase().name(), "Consumer"),
                };
                Some(ListedGroup { id, protocol_type, state, kind })
            })
            .collect();
        listed.sort_by(|a, b| a.id.cmp(&b.id));
        listed
    }

    /// All committed offsets: group, topic, partition, offset.
    pub fn all_committed(&self) -> Vec<(String, String, i32, Committed)> {
        let mut all = Vec::new();
        for (id, slot) in self.all_slots() {
            let slot = slot.lock();
            let each = slot.offsets.iter();
            all.extend(
                each.map(|((topic, index), value)| (id.clone(), topic.clone(), *index, value.clone())),
            );
        }
        all.sort_by(|a, b| (&a.0, &a.1, a.2).cmp(&(&b.0, &b.1, b.2)));
        all
    }

    /// A classic group; an error for one of the other protocol, or where there is none.
    pub fn describe_classic(&self, id: &str) -> Result<DescribedGroup, GroupError> {
        let error = |what: &str| GroupError::new(E::GroupIdNotFound, format!("Group {id} {what}."));
        let slot = self.slot(id).ok_or_else(|| error("not found"))?;
        let slot = slot.lock();
        let group = match &slot.kind {
            _ if slot.dead => return Err(error("not found")),
            Kind::Classic(group) => group,
            Kind::Consumer(_) => return Err(error("is not a classic group")),
        };
        let stable = group.state == State::Stable;
        let protocol = group.protocol.clone().filter(|_| stable).unwrap_or_default();
        let members = group.members.values().map(|m| {
            let (metadata, assignment) = match stable {
                true => (m.metadata(&protocol), m.assignment.clone()),
                false => (Bytes::new(), Bytes::new()),
            };
            let (client, host) = (m.client_id.clone(), m.client_host.clone());
            (m.id.clone(), m.instance_id.clone(), client, host, metadata, assignment)
        });
        Ok(DescribedGroup {
            state: group.state,
            protocol_type: group.protocol_type.clone().unwrap_or_default(),
            members: members.collect(),
            protocol,
        })
    }

    /// A classic group; one that is not there is `Dead`.
    pub fn describe(&self, id: &str) -> DescribedGroup {
        self.describe_classic(id).unwrap_or_else(|_| DescribedGroup {
            state: State::Dead,
            protocol_type: String::new(),
            protocol: String::new(),
            members: Vec::new(),
        })
    }

    /// A group of the consumer protocol.
    pub fn describe_consumer(&self, id: &str) -> Result<DescribedConsumerGroup, GroupError> {
        let error = |what: &str| GroupError::new(E::GroupIdNotFound, format!("Group {id} {what}."));
        let slot = self.slot(id).ok_or_else(|| error("not found"))?;
        let slot = slot.lock();
        let group = match &slot.kind {
            _ if slot.dead => return Err(error("not found")),
            Kind::Consumer(group) => group,
            Kind::Classic(_) => return Err(error("is not a consumer group")),
        };
        let members = group.members.values().map(|m| DescribedConsumer {
            id: m.id.clone(),
            instance_id: m.about.instance_id.clone(),
            rack_id: m.about.rack_id.clone(),
            epoch: m.epoch,
            client_id: m.about.client_id.clone(),
            client_host: m.about.client_host.clone(),
            names: m.about.names.clone(),
            regex: m.about.regex.clone(),
            is_classic: m.about.classic.is_some(),
            assigned: m.assigned.clone(),
            target: group.targets.get(&m.id).cloned().unwrap_or_default(),
        });
        Ok(DescribedConsumerGroup {
            state: group.phase().name(),
            epoch: group.epoch,
            assignment_epoch: group.target_epoch,
            assignor: group.assignor().to_owned(),
            members: members.collect(),
        })
    }
}
