//! The coordinator of all groups: finds the group, asks its state machine, stores what must survive, answers.
//!
//! A group's changes are appended to its partition of `__consumer_offsets` under the group's lock, so the log has them in the
//! order in which they were decided. Committed offsets are shown, and acknowledged, when they are durable.

use super::member::{JoinRequest, JoinResponse, MemberRef, SyncRequest, SyncResponse};
use super::offsets::{Committed, Offsets, Place};
use super::state::{Effect, Effects, Group, State};
use crate::alarm::Alarm;
use crate::error::code_of;
use crate::partition::Partition;
use crate::store::offset_records::{self, GroupValue, OffsetValue, StoredMember};
use crate::topics::{OFFSETS_TOPIC, Topics};
use crate::wait::now_ms;
use bd_log::batch::BatchBuilder;
use bytes::Bytes;
use kafka_protocol::ResponseError as E;
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// Answers a waiting join.
pub type JoinReply = Box<dyn FnOnce(JoinResponse) + Send>;
/// Answers a waiting sync.
pub type SyncReply = Box<dyn FnOnce(SyncResponse) + Send>;

/// The most bytes of metadata with an offset (`offset.metadata.max.bytes`).
const MAX_METADATA: usize = 4096;

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
    /// ms.
    pub offsets_retention_ms: i64,
}

/// An offset to be committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetWrite {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The next offset to read.
    pub offset: i64,
    /// -1 for none.
    pub leader_epoch: i32,
    /// Empty for none.
    pub metadata: String,
}

/// Who commits offsets: a group, and as which member of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committer<'a> {
    /// The group.
    pub group: &'a str,
    /// The member; an empty id for a group without members.
    pub member: MemberRef<'a>,
    /// The member's generation, -1 without one.
    pub generation: i32,
}

impl<'a> Committer<'a> {
    /// For a group that nobody joins.
    pub fn of_group(group: &'a str) -> Self {
        Self { group, member: MemberRef { member_id: "", instance_id: None }, generation: -1 }
    }
}

/// The producer whose transaction commits offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TxnWriter {
    /// Its id.
    pub producer_id: i64,
    /// Its epoch.
    pub epoch: i16,
}

/// A line of ListGroups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedGroup {
    /// The id.
    pub id: String,
    /// Empty for a group that only keeps offsets.
    pub protocol_type: String,
    /// Where it stands.
    pub state: State,
}

/// A group as DescribeGroups shows it. Members are (id, static id, client id, host, metadata, assignment).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedGroup {
    /// Where it stands; `Dead` for a group that is not there.
    pub state: State,
    /// `consumer`, ...
    pub protocol_type: String,
    /// The assignor.
    pub protocol: String,
    /// The members.
    pub members: Vec<(String, Option<String>, String, String, Bytes, Bytes)>,
}

pub(super) type Machine = Group<JoinReply, SyncReply>;

/// A group and its offsets.
pub(super) struct Slot {
    pub group: Machine,
    pub offsets: Offsets,
    /// Since when it has no members, ms since epoch.
    pub empty_since: i64,
    /// Commits that are appended and not yet durable, so not yet in `offsets`.
    pub in_flight: u32,
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

impl GroupCoordinator {
    pub(crate) fn new(topics: Arc<Topics>, alarm: Arc<Alarm>, settings: GroupSettings) -> Self {
        Self { topics, settings, alarm, groups: RwLock::default(), by_producer: Mutex::default() }
    }

    /// The partition of `__consumer_offsets` that keeps a group; the topic is created at its first use.
    pub fn partition_for(&self, group: &str) -> Result<Arc<Partition>, E> {
        let topic = match self.topics.get(OFFSETS_TOPIC) {
            Some(topic) => topic,
            None => {
                let configs = BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
                match self.topics.create(OFFSETS_TOPIC, self.settings.partitions, configs) {
                    Ok(topic) => topic,
                    // Somebody else was faster.
                    Err(_) => self.topics.get(OFFSETS_TOPIC).ok_or(E::CoordinatorNotAvailable)?,
                }
            }
        };
        topic.partition(partition_of(group, topic.partition_count())).ok_or(E::CoordinatorNotAvailable)
    }

    pub(super) fn slot(&self, group: &str) -> Option<Arc<Mutex<Slot>>> {
        self.groups.read().get(group).cloned()
    }

    pub(super) fn slot_or_new(&self, group: &str) -> Arc<Mutex<Slot>> {
        if let Some(slot) = self.slot(group) {
            return slot;
        }
        let new = || {
            Arc::new(Mutex::new(Slot {
                group: Group::new(self.settings.initial_rebalance_delay_ms),
                offsets: Offsets::default(),
                empty_since: now_ms(),
                in_flight: 0,
            }))
        };
        Arc::clone(self.groups.write().entry(group.to_owned()).or_insert_with(new))
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
        let now = self.alarm.now();
        let new_id = |prefix: &str| format!("{prefix}-{}", uuid::Uuid::new_v4());
        let effects = slot.group.join(now, request, reply, new_id);
        self.carry_out(group, &mut slot, effects);
    }

    /// A member asks for its assignment; `reply` is called at once or when the leader has synced.
    pub fn sync(&self, group: &str, request: SyncRequest, reply: SyncReply) {
        let Some(slot) = self.slot(group) else {
            return reply(SyncResponse::failed(E::UnknownMemberId));
        };
        let mut slot = slot.lock();
        let effects = slot.group.sync(self.alarm.now(), request, reply);
        self.carry_out(group, &mut slot, effects);
    }

    /// A member is alive.
    pub fn heartbeat(&self, group: &str, member: MemberRef<'_>, generation: i32) -> Result<(), E> {
        let slot = self.slot(group).ok_or(E::UnknownMemberId)?;
        let mut slot = slot.lock();
        slot.group.heartbeat(self.alarm.now(), member, generation)
    }

    /// A member leaves.
    pub fn leave(&self, group: &str, member: MemberRef<'_>) -> Result<(), E> {
        let slot = self.slot(group).ok_or(E::UnknownMemberId)?;
        let mut slot = slot.lock();
        let (result, effects) = slot.group.leave(self.alarm.now(), member);
        self.carry_out(group, &mut slot, effects);
        result
    }

    pub(super) fn carry_out(&self, id: &str, slot: &mut Slot, effects: Effects<JoinReply, SyncReply>) {
        let mut changed = false;
        for effect in effects {
            match effect {
                Effect::Joined(reply, response) => reply(response),
                Effect::Synced(reply, response) => reply(response),
                Effect::Changed => changed = true,
            }
        }
        if changed && slot.group.state == State::Empty {
            slot.empty_since = now_ms();
        }
        // A group in the middle of a rebalance is not worth storing: its members start over after a restart.
        if changed && matches!(slot.group.state, State::Empty | State::Stable) {
            self.store_group(id, &slot.group);
        }
        self.alarm.at(slot.group.next_deadline(self.alarm.now()));
    }

    fn store_group(&self, id: &str, group: &Machine) {
        let mut batch = BatchBuilder::new();
        batch.append(
            now_ms(),
            Some(&offset_records::group_key(id)),
            Some(&offset_records::group_value(&stored(group))),
            &[],
        );
        let appended = self.partition_for(id).and_then(|partition| {
            let appended = partition.append(batch.build()).map_err(|e| code_of(&e))?;
            partition.when_durable(appended.last_offset + 1, |_| {});
            Ok(())
        });
        if let Err(error) = appended {
            // Its members are served all the same; after a restart they would have to join again.
            tracing::error!(group = id, %error, "cannot store a group");
        }
    }

    /// Commits offsets; `done` gets one result for each, in their order, when they are durable. With `txn` they count when its
    /// transaction commits (the caller has checked that it is open).
    pub fn commit(
        self: &Arc<Self>,
        committer: Committer<'_>,
        txn: Option<TxnWriter>,
        writes: Vec<OffsetWrite>,
        done: impl FnOnce(Vec<Option<E>>) + Send + 'static,
    ) {
        let Committer { group, member, generation } = committer;
        let all = |n: usize, error: E| vec![Some(error); n];
        if group.is_empty() {
            return done(all(writes.len(), E::InvalidGroupId));
        }
        let slot = match self.slot(group) {
            Some(slot) => slot,
            None if generation < 0 => self.slot_or_new(group),
            None => return done(all(writes.len(), E::IllegalGeneration)),
        };
        let partition = match self.partition_for(group) {
            Ok(partition) => partition,
            Err(error) => return done(all(writes.len(), error)),
        };
        let mut results: Vec<Option<E>> = writes.iter().map(|w| self.refuses(w)).collect();
        let mut locked = slot.lock();
        let checked = locked.group.check_commit(self.alarm.now(), member, generation, txn.is_some());
        if let Err(error) = checked {
            drop(locked);
            return done(all(writes.len(), error));
        }
        if results.iter().all(Option::is_some) {
            drop(locked);
            return done(results);
        }
        let now = now_ms();
        let mut batch = BatchBuilder::new();
        let mut accepted: Vec<(Place, Committed)> = Vec::with_capacity(writes.len());
        for (write, _) in writes.into_iter().zip(&results).filter(|(_, r)| r.is_none()) {
            let value = Committed {
                offset: write.offset,
                leader_epoch: write.leader_epoch,
                metadata: write.metadata,
                committed_ms: now,
            };
            let key = offset_records::offset_key(group, &write.topic, write.partition);
            batch.append(
                now,
                Some(&key),
                Some(&offset_records::offset_value(&OffsetValue::from(&value))),
                &[],
            );
            accepted.push(((write.topic, write.partition), value));
        }
        let appended = match txn {
            Some(txn) => partition.append_for(txn.producer_id, txn.epoch, batch),
            None => partition.append(batch.build()),
        };
        let appended = match appended {
            Ok(appended) => appended,
            Err(error) => {
                drop(locked);
                tracing::error!(group, %error, "cannot store offsets");
                let code = code_of(&error);
                let code = if code == E::KafkaStorageError { E::CoordinatorNotAvailable } else { code };
                results.iter_mut().filter(|r| r.is_none()).for_each(|r| *r = Some(code));
                return done(results);
            }
        };
        if let Some(txn) = txn {
            for (i, (place, value)) in accepted.drain(..).enumerate() {
                locked.offsets.add_pending(txn.producer_id, place, appended.base_offset + i as i64, value);
            }
            self.by_producer.lock().entry(txn.producer_id).or_default().insert(group.to_owned());
        }
        locked.in_flight += 1;
        drop(locked);
        partition.when_durable(appended.last_offset + 1, move |durable| {
            let mut slot = slot.lock();
            slot.in_flight -= 1;
            if durable.is_err() {
                results
                    .iter_mut()
                    .filter(|r| r.is_none())
                    .for_each(|r| *r = Some(E::CoordinatorNotAvailable));
            } else {
                for (i, (place, value)) in accepted.into_iter().enumerate() {
                    slot.offsets.apply(place, appended.base_offset + i as i64, Some(value));
                }
            }
            drop(slot);
            done(results);
        });
    }

    fn refuses(&self, write: &OffsetWrite) -> Option<E> {
        if write.metadata.len() > MAX_METADATA {
            return Some(E::OffsetMetadataTooLarge);
        }
        self.topics.partition(&write.topic, write.partition).is_none().then_some(E::UnknownTopicOrPartition)
    }

    /// The transaction of a producer has ended in this partition of `__consumer_offsets`, by the marker at `at`.
    pub(crate) fn end_txn(&self, producer_id: i64, commit: bool, at: i64) {
        let groups = self.by_producer.lock().remove(&producer_id).unwrap_or_default();
        for group in groups {
            if let Some(slot) = self.slot(&group) {
                slot.lock().offsets.end_txn(producer_id, commit, at);
            }
        }
    }

    /// One committed offset; `Err(UnstableOffsetCommit)` where `stable` is required and a transaction may change it.
    pub fn committed(
        &self,
        group: &str,
        topic: &str,
        partition: i32,
        stable: bool,
    ) -> Result<Option<Committed>, E> {
        let Some(slot) = self.slot(group) else { return Ok(None) };
        let slot = slot.lock();
        let place = (topic.to_owned(), partition);
        if stable && slot.offsets.is_pending(&place) {
            return Err(E::UnstableOffsetCommit);
        }
        Ok(slot.offsets.get(&place).cloned())
    }

    /// The places for which the group has offsets, by topic.
    pub fn committed_places(&self, group: &str) -> BTreeMap<String, Vec<i32>> {
        let mut places: BTreeMap<String, Vec<i32>> = BTreeMap::new();
        if let Some(slot) = self.slot(group) {
            for ((topic, partition), _) in slot.lock().offsets.iter() {
                places.entry(topic.clone()).or_default().push(*partition);
            }
        }
        places
    }

    /// All groups.
    pub fn list(&self) -> Vec<ListedGroup> {
        let groups: Vec<_> =
            self.groups.read().iter().map(|(id, slot)| (id.clone(), Arc::clone(slot))).collect();
        let mut listed: Vec<_> = groups
            .into_iter()
            .map(|(id, slot)| {
                let slot = slot.lock();
                let protocol_type = slot.group.protocol_type.clone().unwrap_or_default();
                ListedGroup { id, protocol_type, state: slot.group.state }
            })
            .filter(|g| g.state != State::Dead)
            .collect();
        listed.sort_by(|a, b| a.id.cmp(&b.id));
        listed
    }

    /// One group.
    pub fn describe(&self, group: &str) -> DescribedGroup {
        let Some(slot) = self.slot(group) else {
            let (protocol_type, protocol, members) = (String::new(), String::new(), Vec::new());
            return DescribedGroup { state: State::Dead, protocol_type, protocol, members };
        };
        let slot = slot.lock();
        let group = &slot.group;
        let protocol = group.protocol.clone().unwrap_or_default();
        let members = group.members.values().map(|m| {
            let (metadata, assignment) = (m.metadata(&protocol), m.assignment.clone());
            (
                m.id.clone(),
                m.instance_id.clone(),
                m.client_id.clone(),
                m.client_host.clone(),
                metadata,
                assignment,
            )
        });
        DescribedGroup {
            state: group.state,
            protocol_type: group.protocol_type.clone().unwrap_or_default(),
            members: members.collect(),
            protocol,
        }
    }
}

/// What is stored of a group.
pub(super) fn stored(group: &Machine) -> GroupValue {
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
    GroupValue {
        protocol_type: group.protocol_type.clone().unwrap_or_default(),
        generation: group.generation,
        protocol: group.protocol.clone(),
        leader: group.leader.clone(),
        timestamp: now_ms(),
        members: members.collect(),
    }
}
