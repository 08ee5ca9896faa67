//! Members of a group, and the requests and answers of the group protocol in its own terms.

use bytes::Bytes;
use kafka_protocol::ResponseError;

/// Milliseconds of a clock that never goes back; only differences matter.
pub type Millis = i64;

/// A member asks to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinRequest {
    /// Empty for a member that has no id yet.
    pub member_id: String,
    /// Set for static members (KIP-345).
    pub instance_id: Option<String>,
    /// For DescribeGroups, and the prefix of new member ids.
    pub client_id: String,
    /// For DescribeGroups.
    pub client_host: String,
    /// A member that is silent for so long is removed.
    pub session_timeout_ms: i32,
    /// How long a rebalance waits for the member.
    pub rebalance_timeout_ms: i32,
    /// `consumer`, `connect`, ...; one for the whole group.
    pub protocol_type: String,
    /// Assignors by preference, each with the member's metadata.
    pub protocols: Vec<(String, Bytes)>,
    /// New members get an id first and join with it (JoinGroup 4 and later, KIP-394).
    pub require_known_member_id: bool,
    /// The member understands `skip_assignment` (JoinGroup 9, KIP-814).
    pub knows_skip_assignment: bool,
}

/// The answer to [`JoinRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinResponse {
    /// `None`: joined.
    pub error: Option<ResponseError>,
    /// The generation joined, -1 with an error.
    pub generation: i32,
    /// The group's protocol type.
    pub protocol_type: Option<String>,
    /// The assignor that all members support.
    pub protocol: Option<String>,
    /// The member id of the leader.
    pub leader: String,
    /// This member's id.
    pub member_id: String,
    /// For the leader, all members; else empty.
    pub members: Vec<JoinedMember>,
    /// The leader must not assign (it rejoined as the same static member).
    pub skip_assignment: bool,
}

impl JoinResponse {
    /// An answer that says only what is wrong.
    pub fn failed(member_id: &str, error: ResponseError) -> Self {
        Self {
            error: Some(error),
            generation: -1,
            protocol_type: None,
            protocol: None,
            leader: String::new(),
            member_id: member_id.to_owned(),
            members: Vec::new(),
            skip_assignment: false,
        }
    }
}

/// A member as the leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedMember {
    /// Its id.
    pub member_id: String,
    /// Its static id.
    pub instance_id: Option<String>,
    /// Its metadata for the chosen protocol.
    pub metadata: Bytes,
}

/// A member asks for its assignment; the leader brings all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SyncRequest {
    /// The member.
    pub member_id: String,
    /// Its static id.
    pub instance_id: Option<String>,
    /// The generation joined.
    pub generation: i32,
    /// Checked against the group's where given.
    pub protocol_type: Option<String>,
    /// Checked against the group's where given.
    pub protocol: Option<String>,
    /// From the leader: (member id, assignment).
    pub assignments: Vec<(String, Bytes)>,
}

/// The answer to [`SyncRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncResponse {
    /// `None`: synced.
    pub error: Option<ResponseError>,
    /// The group's protocol type.
    pub protocol_type: Option<String>,
    /// The group's protocol.
    pub protocol: Option<String>,
    /// The member's assignment.
    pub assignment: Bytes,
}

impl SyncResponse {
    /// An answer that says only what is wrong.
    pub fn failed(error: ResponseError) -> Self {
        Self { error: Some(error), protocol_type: None, protocol: None, assignment: Bytes::new() }
    }
}

/// Who sends a heartbeat, commits offsets or leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberRef<'a> {
    /// Its id; may be empty where `instance_id` is set (LeaveGroup by an administrator).
    pub member_id: &'a str,
    /// Its static id.
    pub instance_id: Option<&'a str>,
}

/// A member of a group. `J` and `S` are what the owner of the group keeps to answer a waiting join or sync.
#[derive(Debug)]
pub struct Member<J, S> {
    /// Its id, which the group made.
    pub id: String,
    /// Its static id.
    pub instance_id: Option<String>,
    /// The client's own name.
    pub client_id: String,
    /// Where it comes from.
    pub client_host: String,
    /// See [`JoinRequest::session_timeout_ms`].
    pub session_timeout_ms: i32,
    /// See [`JoinRequest::rebalance_timeout_ms`].
    pub rebalance_timeout_ms: i32,
    /// Its protocols by preference.
    pub protocols: Vec<(String, Bytes)>,
    /// What the leader assigned to it in this generation.
    pub assignment: Bytes,
    /// When its session ends unless it is heard from; ignored while it waits for an answer.
    pub deadline: Millis,
    /// Set while it waits for the rebalance.
    pub joining: Option<J>,
    /// Set while it waits for the leader's assignments.
    pub syncing: Option<S>,
}

impl<J, S> Member<J, S> {
    /// Whether the member waits for the group, so that its silence means nothing.
    pub(crate) fn is_waiting(&self) -> bool {
        self.joining.is_some() || self.syncing.is_some()
    }

    /// The metadata for a protocol; empty where it does not support it.
    pub fn metadata(&self, protocol: &str) -> Bytes {
        self.protocols.iter().find(|(name, _)| name == protocol).map(|(_, m)| m.clone()).unwrap_or_default()
    }

    /// It was heard from.
    pub(crate) fn touch(&mut self, now: Millis) {
        self.deadline = now + Millis::from(self.session_timeout_ms);
    }
}
