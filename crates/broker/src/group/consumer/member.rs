//! Members of a consumer-protocol group, their requests and answers.

use super::super::member::Millis;
use bytes::Bytes;
use kafka_protocol::ResponseError;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Partitions by topic id.
pub type Assignment = BTreeMap<Uuid, BTreeSet<i32>>;

/// The epoch by which a member joins.
pub(crate) const JOIN_EPOCH: i32 = 0;
/// The epoch by which a member leaves.
pub(crate) const LEAVE_EPOCH: i32 = -1;
/// The epoch by which a static member leaves for a short time.
pub(crate) const LEAVE_STATIC_EPOCH: i32 = -2;

/// A request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupError {
    /// Kafka's code.
    pub code: ResponseError,
    /// In words, for the client's log.
    pub message: String,
}

impl GroupError {
    pub(crate) fn new(code: ResponseError, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// ConsumerGroupHeartbeat: what a member says. Fields that did not change since its last one are `None` (or -1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Heartbeat {
    /// The member's id; empty where the group is to make one (version 0).
    pub member_id: String,
    /// 0 joins, -1 leaves, -2 leaves for a short time (static members); else the epoch the member is at.
    pub epoch: i32,
    /// The static id (KIP-345).
    pub instance_id: Option<String>,
    /// Where the member stands; kept and shown.
    pub rack_id: Option<String>,
    /// How long the member may take to give partitions up, ms; -1 for no change.
    pub rebalance_timeout_ms: i32,
    /// Topics by name.
    pub names: Option<BTreeSet<String>>,
    /// Topics by regular expression (RE2), matched against whole names; empty for none.
    pub regex: Option<String>,
    /// `uniform`, `range`; `None` for no preference.
    pub assignor: Option<String>,
    /// The partitions that the member owns.
    pub owned: Option<Assignment>,
    /// The client's own name.
    pub client_id: String,
    /// Where it comes from.
    pub client_host: String,
}

/// The answer to [`Heartbeat`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeartbeatAnswer {
    /// The member's id.
    pub member_id: String,
    /// The epoch it is at from now on.
    pub epoch: i32,
    /// When to send the next heartbeat, ms; 0 in answer to a leave.
    pub interval_ms: i32,
    /// What the member may own from now on; `None` for no change.
    pub assignment: Option<Assignment>,
}

/// Where a member stands on the way to its target; the numbers are those of the stored record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(i8)]
pub(crate) enum MemberState {
    /// It owns its target.
    #[default]
    Stable = 0,
    /// It has not yet given up what it must.
    UnrevokedPartitions = 1,
    /// It waits for partitions that others have not yet given up.
    UnreleasedPartitions = 2,
    /// From a later version.
    Unknown = 127,
}

impl MemberState {
    pub(crate) fn from_number(number: i8) -> Self {
        match number {
            0 => MemberState::Stable,
            1 => MemberState::UnrevokedPartitions,
            2 => MemberState::UnreleasedPartitions,
            _ => MemberState::Unknown,
        }
    }
}

/// One member.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ConsumerMember {
    pub id: String,
    pub about: About,
    pub epoch: i32,
    pub previous_epoch: i32,
    pub state: MemberState,
    /// What it owns, or may own.
    pub assigned: Assignment,
    /// What it has to give up and may still own.
    pub revoking: Assignment,
    /// Its session ends unless it is heard from.
    pub session_deadline: Millis,
    /// It is fenced unless it has done by then what the rebalance asks of it: given up `revoking`; for classic members, joined or
    /// synced.
    pub rebalance_deadline: Option<Millis>,
}

/// What a member says of itself: stored as one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct About {
    pub instance_id: Option<String>,
    pub rack_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub names: BTreeSet<String>,
    /// `None` for none.
    pub regex: Option<String>,
    pub rebalance_timeout_ms: i32,
    pub assignor: Option<String>,
    /// Set for a member that speaks the classic protocol.
    pub classic: Option<ClassicFacet>,
}

/// What a member of the classic protocol says beside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClassicFacet {
    pub session_timeout_ms: i32,
    /// Assignors by preference, each with the member's metadata.
    pub protocols: Vec<(String, Bytes)>,
}

impl Default for About {
    fn default() -> Self {
        Self {
            instance_id: None,
            rack_id: None,
            client_id: String::new(),
            client_host: String::new(),
            names: BTreeSet::new(),
            regex: None,
            rebalance_timeout_ms: -1,
            assignor: None,
            classic: None,
        }
    }
}

impl About {
    /// What it is after a heartbeat.
    pub(crate) fn updated(&self, request: &Heartbeat) -> Self {
        let mut next = self.clone();
        let keep = |new: &Option<String>, old: &mut Option<String>| {
            if new.is_some() {
                old.clone_from(new);
            }
        };
        keep(&request.instance_id, &mut next.instance_id);
        keep(&request.rack_id, &mut next.rack_id);
        keep(&request.assignor, &mut next.assignor);
        if request.rebalance_timeout_ms != -1 {
            next.rebalance_timeout_ms = request.rebalance_timeout_ms;
        }
        if let Some(names) = &request.names {
            next.names.clone_from(names);
        }
        if let Some(regex) = &request.regex {
            next.regex = Some(regex.clone()).filter(|r| !r.is_empty());
        }
        next.client_id.clone_from(&request.client_id);
        next.client_host.clone_from(&request.client_host);
        next.classic = None;
        next
    }
}

impl ConsumerMember {
    pub(crate) fn is_reconciled_to(&self, target_epoch: i32) -> bool {
        self.state == MemberState::Stable && self.epoch == target_epoch
    }

    /// Every partition that nobody else may own.
    pub(crate) fn held(&self) -> impl Iterator<Item = (Uuid, i32)> + '_ {
        places(&self.assigned).chain(places(&self.revoking))
    }
}

/// The partitions one by one.
pub(crate) fn places(assignment: &Assignment) -> impl Iterator<Item = (Uuid, i32)> + '_ {
    assignment.iter().flat_map(|(topic, partitions)| partitions.iter().map(|p| (*topic, *p)))
}

/// Whether everything in `part` is in `whole`.
pub(crate) fn is_subset(part: &Assignment, whole: &Assignment) -> bool {
    places(part).all(|(topic, p)| whole.get(&topic).is_some_and(|all| all.contains(&p)))
}
