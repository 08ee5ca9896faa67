//! The coordinator of all groups: finds the group, asks its state machine, stores what must survive, answers.
//!
//! A group's changes are appended to its partition of `__consumer_offsets` under the group's lock, so the log has them in the
//! order in which they were decided. What depends on them is answered when they are durable.

use super::consumer::Catalog;
use super::member::{JoinRequest, JoinResponse, MemberRef, SyncRequest, SyncResponse};
use super::slot::{Kind, Machine, Slot};
use super::state::{Effect, Effects, Group, State};
use crate::alarm::Alarm;
use crate::error::code_of;
use crate::internal_log;
use crate::metrics::Coordinated;
use crate::partition::Partition;
use crate::store::offset_records::{self, GroupValue, StoredMember};
use crate::topics::{OFFSETS_TOPIC, Topics};
use crate::wait::now_ms;
use bd_log::batch::BatchBuilder;
use bytes::Bytes;
use kafka_protocol::ResponseError as E;
use parking_lot::{Mutex, RwLock};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use uuid::Uuid;

/// Answers a waiting join.
pub type JoinReply = Box<dyn FnOnce(JoinResponse) + Send>;
/// Answers a waiting sync.
pub type SyncReply = Box<dyn FnOnce(SyncResponse) + Send>;

/// So many bytes of records go into one batch, well below the largest one that a log takes.
const BATCH_BYTES: usize = 512 << 10;

/// Settings of the coordinator; see [`crate::BrokerConfig`].
#[derive(Debug, Clone)]
pub struct GroupSettings {
    /// Partitions of `__consumer_offsets` when it is created.
    pub partitions: i32,
    /// ms.
    pub initial_rebalance_delay_ms: i64,
    /// ms.
    pub min_session_timeout_ms: i32,
    /// ms.
    pub max_session_timeout_ms: i32,
    /// Members of a classic group.
    pub max_size: usize,
    /// Members of a consumer-protocol group.
    pub consumer_max_size: usize,
    /// ms.
    pub consumer_session_timeout_ms: i32,
    /// ms.
    pub consumer_heartbeat_interval_ms: i32,
    /// Which groups change their protocol with members in them.
    pub migration_policy: MigrationPolicy,
    /// The most bytes of metadata with an offset.
    pub max_metadata_bytes: usize,
    /// ms.
    pub offsets_retention_ms: i64,
}

/// `group.consumer.migration.policy`: which groups change their protocol with members in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MigrationPolicy {
    /// Both ways.
    #[default]
    Bidirectional,
    /// Classic groups become groups of the consumer protocol.
    Upgrade,
    /// Groups of the consumer protocol become classic ones when only classic members are left.
    Downgrade,
    /// None: the group has to be empty.
    Disabled,
}

impl fmt::Display for MigrationPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MigrationPolicy::Bidirectional => "bidirectional",
            MigrationPolicy::Upgrade => "upgrade",
            MigrationPolicy::Downgrade => "downgrade",
            MigrationPolicy::Disabled => "disabled",
        })
    }
}

impl FromStr for MigrationPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "bidirectional" => MigrationPolicy::Bidirectional,
            "upgrade" => MigrationPolicy::Upgrade,
            "downgrade" => MigrationPolicy::Downgrade,
            "disabled" => MigrationPolicy::Disabled,
            _ => return Err(format!("{text} is not disabled, downgrade, upgrade or bidirectional")),
        })
    }
}

impl MigrationPolicy {
    pub(super) fn upgrades(self) -> bool {
        matches!(self, MigrationPolicy::Bidirectional | MigrationPolicy::Upgrade)
    }

    pub(super) fn downgrades(self) -> bool {
        matches!(self, MigrationPolicy::Bidirectional | MigrationPolicy::Downgrade)
    }
}

/// Who commits offsets: a group, and as which member of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committer<'a> {
    /// The group.
    pub group: &'a str,
    /// The member; an empty id for a group without members.
    pub member: MemberRef<'a>,
    /// The member's generation or epoch, -1 without one.
    pub generation: i32,
}

impl<'a> Committer<'a> {
    /// For a group that nobody joins.
    pub fn of_group(group: &'a str) -> Self {
        Self { group, member: MemberRef { member_id: "", instance_id: None }, generation: -1 }
    }
}

/// See the module's documentation.
pub struct GroupCoordinator {
    pub(super) topics: Arc<Topics>,
    pub(super) settings: GroupSettings,
    pub(super) alarm: Arc<Alarm>,
    pub(super) groups: RwLock<HashMap<String, Arc<Mutex<Slot>>>>,
    /// The groups that have offsets in a producer's open transaction.
    pub(super) by_producer: Mutex<HashMap<i64, HashSet<String>>>,
}

/// Java's `String.hashCode`, by which Kafka spreads groups and transactional ids over partitions.
pub(crate) fn partition_of(id: &str, partitions: i32) -> i32 {
    let hash = id.encode_utf16().fold(0i32, |h, c| h.wrapping_mul(31).wrapping_add(i32::from(c)));
    (hash & i32::MAX) % partitions.max(1)
}

/// A record to be stored: its key, and its value or `None` for a tombstone.
pub(super) type KeyValue = (Bytes, Option<Bytes>);

impl Catalog for Topics {
    fn version(&self) -> u64 {
        Topics::version(self)
    }

    fn topic(&self, name: &str) -> Option<(Uuid, i32)> {
        self.get(name).map(|topic| (topic.id, topic.partition_count()))
    }

    fn names(&self) -> Vec<String> {
        self.all().iter().map(|topic| topic.name.to_string()).collect()
    }
}

impl GroupCoordinator {
    pub(crate) fn new(topics: Arc<Topics>, alarm: Arc<Alarm>, settings: GroupSettings) -> Self {
        Self { topics, settings, alarm, groups: RwLock::default(), by_producer: Mutex::default() }
    }

    /// The partition of `__consumer_offsets` that keeps a group; the topic is created at its first use.
    pub fn partition_for(&self, group: &str) -> Result<Arc<Partition>, E> {
        let configs = [("compression.type", "producer")];
        let topic = internal_log::topic(&self.topics, OFFSETS_TOPIC, self.settings.partitions, &configs)?;
        topic.partition(partition_of(group, topic.partition_count())).ok_or(E::CoordinatorNotAvailable)
    }

    pub(super) fn slot(&self, group: &str) -> Option<Arc<Mutex<Slot>>> {
        self.groups.read().get(group).cloned()
    }

    /// Whether there is such a group.
    pub fn exists(&self, group: &str) -> bool {
        self.groups.read().contains_key(group)
    }

    pub(super) fn slot_or_new(&self, group: &str) -> Arc<Mutex<Slot>> {
        if let Some(slot) = self.slot(group) {
            return slot;
        }
        let new = || Arc::new(Mutex::new(Slot::new(self.settings.initial_rebalance_delay_ms)));
        Arc::clone(self.groups.write().entry(group.to_owned()).or_insert_with(new))
    }

    pub(super) fn all_slots(&self) -> Vec<(String, Arc<Mutex<Slot>>)> {
        self.groups.read().iter().map(|(id, slot)| (id.clone(), Arc::clone(slot))).collect()
    }

    /// A member joins; `reply` is called at once or when the rebalance completes.
    pub fn join(&self, group: &str, request: JoinRequest, reply: JoinReply) {
        let sessions = self.settings.min_session_timeout_ms..=self.settings.max_session_timeout_ms;
        let error = if group.is_empty() {
            Some(E::InvalidGroupId)
        } else if !sessions.contains(&request.session_timeout_ms) {
            Some(E::InvalidSessionTimeout)
        } else if !request.member_id.is_empty() && self.slot(group).is_none() {
            Some(E::UnknownMemberId)
        } else {
            None
        };
        if let Some(error) = error {
            return reply(JoinResponse::failed(&request.member_id, error));
        }
        let slot = self.slot_or_new(group);
        let mut slot = slot.lock();
        if let Err(error) = self.make_classic(group, &mut slot) {
            drop(slot);
            return reply(JoinResponse::failed(&request.member_id, error));
        }
        if matches!(slot.kind, Kind::Consumer(_)) {
            return self.join_consumer(group, &mut slot, request, reply);
        }
        let now = self.alarm.now();
        let new_id = |prefix: &str| format!("{prefix}-{}", Uuid::new_v4());
        let Kind::Classic(machine) = &mut slot.kind else { return };
        machine.max_size = self.settings.max_size;
        let effects = machine.join(now, request, reply, new_id);
        self.carry_out(group, &mut slot, effects);
    }

    /// An empty group of the other protocol becomes a classic one; one with members takes classic members as they are.
    fn make_classic(&self, id: &str, slot: &mut Slot) -> Result<(), E> {
        if slot.dead {
            return Err(E::CoordinatorNotAvailable);
        }
        let Kind::Consumer(group) = &slot.kind else { return Ok(()) };
        if slot.has_members() {
            return Ok(());
        }
        let tombstones = group.tombstones().iter().map(|r| (r.key(id), None)).collect();
        self.append(id, tombstones)?;
        slot.kind = Kind::Classic(Box::new(Group::new(self.settings.initial_rebalance_delay_ms)));
        Ok(())
    }

    /// A member asks for its assignment; `reply` is called at once or when the leader has synced.
    pub fn sync(&self, group: &str, request: SyncRequest, reply: SyncReply) {
        let refused = if group.is_empty() { E::InvalidGroupId } else { E::UnknownMemberId };
        let Some(slot) = self.slot(group) else {
            return reply(SyncResponse::failed(refused));
        };
        let mut slot = slot.lock();
        let machine = match &mut slot.kind {
            Kind::Classic(machine) => machine,
            Kind::Consumer(consumers) => {
                let name = |id: &Uuid| self.topics.by_id(id).map(|t| t.name.to_string());
                let response = consumers.sync_classic(self.alarm.now(), &request, &name);
                drop(slot);
                return reply(response);
            }
        };
        let effects = machine.sync(self.alarm.now(), request, reply);
        self.carry_out(group, &mut slot, effects);
    }

    /// A member is alive.
    pub fn heartbeat(&self, group: &str, member: MemberRef<'_>, generation: i32) -> Result<(), E> {
        if group.is_empty() {
            return Err(E::InvalidGroupId);
        }
        let slot = self.slot(group).ok_or(E::UnknownMemberId)?;
        let mut slot = slot.lock();
        match &mut slot.kind {
            Kind::Classic(machine) => machine.heartbeat(self.alarm.now(), member, generation),
            Kind::Consumer(consumers) => {
                let result = consumers.heartbeat_classic(self.alarm.now(), member, generation);
                self.alarm.at(consumers.next_deadline());
                result
            }
        }
    }

    /// A member leaves.
    pub fn leave(&self, group: &str, member: MemberRef<'_>) -> Result<(), E> {
        let slot = self.slot(group).ok_or(E::UnknownMemberId)?;
        let mut slot = slot.lock();
        let machine = match &mut slot.kind {
            Kind::Classic(machine) => machine,
            Kind::Consumer(_) => return self.leave_consumer(group, &mut slot, member),
        };
        let (result, effects) = machine.leave(self.alarm.now(), member);
        self.carry_out(group, &mut slot, effects);
        result
    }

    /// Stores what has changed, and answers: at once, or when that is durable.
    pub(super) fn carry_out(&self, id: &str, slot: &mut Slot, effects: Effects<JoinReply, SyncReply>) {
        let changed = effects.iter().any(|e| matches!(e, Effect::Changed));
        let Kind::Classic(group) = &slot.kind else { return };
        let state = group.state;
        self.alarm.at(group.next_deadline(self.alarm.now()));
        // A group in the middle of a rebalance is not worth storing: its members start over after a restart.
        let stored = (changed && matches!(state, State::Empty | State::Stable))
            .then(|| self.append(id, vec![(offset_records::group_key(id), Some(group_record(group)))]));
        if changed && state == State::Empty {
            slot.empty_since = now_ms();
        }
        // The leader's assignment is there.
        if changed && state == State::Stable && effects.iter().any(|e| matches!(e, Effect::Synced(..))) {
            self.topics.counters().coordinated(Coordinated::ClassicRebalance);
        }
        // Who asks for an assignment that is stored just now waits for it like the leader.
        let synced = |e: &Effect<_, _>| matches!(e, Effect::Synced(_, synced) if synced.error.is_none());
        let stored = match stored {
            None if slot.stored_end > 0 && effects.iter().any(synced) => {
                Some(self.partition_for(id).map(|partition| (partition, slot.stored_end)))
            }
            stored => stored,
        };
        match stored {
            Some(Ok((partition, end))) => {
                slot.stored_end = end;
                partition.when_durable(end, move |durable| {
                    answer(effects, durable.is_err().then_some(E::CoordinatorNotAvailable));
                });
            }
            Some(Err(error)) => {
                tracing::error!(group = id, %error, "cannot store a group");
                answer(effects, Some(E::CoordinatorNotAvailable));
            }
            None => answer(effects, None),
        }
    }

    /// Appends records of a group; durable when the partition is up to the offset given.
    pub(super) fn append(&self, group: &str, records: Vec<KeyValue>) -> Result<(Arc<Partition>, i64), E> {
        let partition = self.partition_for(group)?;
        let mut end = partition.log().end_offset();
        let mut records = records.into_iter().peekable();
        while records.peek().is_some() {
            let (mut batch, mut bytes) = (BatchBuilder::new(), 0);
            while bytes < BATCH_BYTES
                && let Some((key, value)) = records.next()
            {
                bytes += key.len() + value.as_ref().map_or(0, Bytes::len) + 16;
                batch.append(now_ms(), Some(&key), value.as_deref(), &[]);
            }
            let appended = partition.append(batch.build()).map_err(|error| {
                tracing::error!(group, %error, "cannot append to {OFFSETS_TOPIC}");
                match code_of(&error) {
                    E::KafkaStorageError => E::CoordinatorNotAvailable,
                    code => code,
                }
            })?;
            end = appended.last_offset + 1;
        }
        Ok((partition, end))
    }
}

/// Gives the answers; with `failed`, those that depend on what was to be stored say so.
pub(super) fn answer(effects: Effects<JoinReply, SyncReply>, failed: Option<E>) {
    for effect in effects {
        match (effect, failed) {
            (Effect::Joined(reply, joined), Some(error)) if joined.error.is_none() => {
                reply(JoinResponse::failed(&joined.member_id, error));
            }
            (Effect::Synced(reply, synced), Some(error)) if synced.error.is_none() => {
                reply(SyncResponse::failed(error));
            }
            (Effect::Joined(reply, joined), _) => reply(joined),
            (Effect::Synced(reply, synced), _) => reply(synced),
            (Effect::Changed, _) => {}
        }
    }
}

/// What is stored of a classic group.
pub(super) fn group_record(group: &Machine) -> Bytes {
    let protocol = group.protocol.clone().unwrap_or_default();
    let members = group.members.values().map(|m| StoredMember {
        id: m.id.clone(),
        instance_id: m.instance_id.clone(),
        client_id: m.client_id.clone(),
        client_host: m.client_host.clone(),
        rebalance_timeout_ms: m.rebalance_timeout_ms,
        session_timeout_ms: m.session_timeout_ms,
        subscription: m.metadata(&protocol),
        assignment: m.assignment.clone(),
    });
    offset_records::group_value(&GroupValue {
        protocol_type: group.protocol_type.clone().unwrap_or_default(),
        generation: group.generation,
        protocol: group.protocol.clone(),
        leader: group.leader.clone(),
        timestamp: now_ms(),
        members: members.collect(),
    })
}
