//! ConsumerGroupHeartbeat: members join, change, report and leave; the group computes targets and takes members towards them.

use super::super::member::Millis;
use super::assignor::{self, ASSIGNORS, Subscriber};
use super::group::{ConsumerGroup, current, revoke_deadline, unknown_member};
use super::member::{
    Assignment, ConsumerMember, GroupError, Heartbeat, HeartbeatAnswer, JOIN_EPOCH, LEAVE_EPOCH,
    LEAVE_STATIC_EPOCH, is_subset,
};
use super::reconcile::Step;
use super::subscription::{self, Catalog};
use crate::store::consumer_records::ConsumerRecord;
use kafka_protocol::ResponseError as E;
use std::collections::{BTreeSet, HashMap};

/// What a request is judged by, beside the group.
pub(crate) struct Context<'a> {
    /// The group's id.
    pub group: &'a str,
    pub now: Millis,
    pub topics: &'a dyn Catalog,
    /// Whether the asker may see a topic (for regular expressions).
    pub allowed: &'a dyn Fn(&str) -> bool,
    /// `consumer.session.timeout.ms`.
    pub session_ms: Millis,
    /// `consumer.heartbeat.interval.ms`.
    pub interval_ms: i32,
    /// `group.consumer.max.size`.
    pub max_size: usize,
}

/// What is wrong with a request whatever the state of the group.
pub(crate) fn check(group: &str, request: &Heartbeat, needs_member_id: bool) -> Result<(), GroupError> {
    let invalid = |message: &str| Err(GroupError::new(E::InvalidRequest, message));
    let empty = |text: &Option<String>| text.as_deref().is_some_and(|t| t.trim().is_empty());
    if group.trim().is_empty() {
        return invalid("GroupId can't be empty.");
    }
    if empty(&request.instance_id) {
        return invalid("InstanceId can't be empty.");
    }
    if empty(&request.rack_id) {
        return invalid("RackId can't be empty.");
    }
    let joins = request.epoch == JOIN_EPOCH;
    if (needs_member_id || !joins) && request.member_id.trim().is_empty() {
        return invalid("MemberId can't be empty.");
    }
    match request.epoch {
        JOIN_EPOCH => {
            if request.rebalance_timeout_ms == -1 {
                return invalid("RebalanceTimeoutMs must be provided in first request.");
            }
            if !request.owned.as_ref().is_some_and(Assignment::is_empty) {
                return invalid("TopicPartitions must be empty when (re-)joining.");
            }
            if request.names.is_none() && request.regex.is_none() {
                return invalid(
                    "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
                );
            }
        }
        LEAVE_STATIC_EPOCH if request.instance_id.is_none() => return invalid("InstanceId can't be null."),
        LEAVE_EPOCH | LEAVE_STATIC_EPOCH | 1.. => {}
        _ => return invalid("MemberEpoch is invalid."),
    }
    if let Some(wanted) = request.assignor.as_deref().filter(|a| !ASSIGNORS.contains(a)) {
        let all = ASSIGNORS.join(", ");
        let message = format!("ServerAssignor {wanted} is not supported. Supported assignors: {all}.");
        return Err(GroupError::new(E::UnsupportedAssignor, message));
    }
    if let Some(regex) = request.regex.as_deref().filter(|r| !r.is_empty()) {
        subscription::compile(regex)?;
    }
    Ok(())
}

impl ConsumerGroup {
    /// A heartbeat. What must be stored is added to `out`.
    pub(crate) fn heartbeat(
        &mut self,
        context: &Context<'_>,
        request: &Heartbeat,
        out: &mut Vec<ConsumerRecord>,
    ) -> Result<HeartbeatAnswer, GroupError> {
        if matches!(request.epoch, LEAVE_EPOCH | LEAVE_STATIC_EPOCH) {
            return self.leave(context, request, out);
        }
        if self.members.len() >= context.max_size && !self.members.contains_key(&request.member_id) {
            let message = format!(
                "The consumer group has reached its maximum capacity of {} members.",
                context.max_size
            );
            return Err(GroupError::new(E::GroupMaxSizeReached, message));
        }
        let (before, replaced) = self.find(context, request, out)?;
        let mut member = before.clone();
        member.about = before.about.updated(request);
        let is_new = !self.members.contains_key(&member.id);
        let mut bump = is_new && !replaced;
        if is_new || member.about != before.about {
            out.push(ConsumerRecord::Member(member.id.clone(), Some(member.about.clone())));
            let (old, new) = (&before.about, &member.about);
            bump |= old.names != new.names || old.regex != new.regex;
        }
        member.session_deadline = context.now + context.session_ms;
        let id = member.id.clone();
        let mut next = self.advance(context, member.clone(), bump, request.owned.as_ref(), out)?;
        if next != member {
            next.rebalance_deadline = revoke_deadline(&next, context.now);
            out.push(current(&next));
            self.put(next.clone());
            member = next;
        }
        let full = request.epoch == JOIN_EPOCH
            || (request.rebalance_timeout_ms != -1
                && (request.names.is_some() || request.regex.is_some())
                && request.owned.is_some());
        let changed = full || member.assigned != before.assigned;
        Ok(HeartbeatAnswer {
            member_id: id,
            epoch: member.epoch,
            interval_ms: context.interval_ms,
            assignment: changed.then_some(member.assigned),
        })
    }

    /// The member that a heartbeat is of, and whether it takes the place of a static member that had left.
    fn find(
        &mut self,
        context: &Context<'_>,
        request: &Heartbeat,
        out: &mut Vec<ConsumerRecord>,
    ) -> Result<(ConsumerMember, bool), GroupError> {
        let joins = request.epoch == JOIN_EPOCH;
        let new = || ConsumerMember { id: request.member_id.clone(), ..ConsumerMember::default() };
        let Some(instance) = request.instance_id.as_deref() else {
            return match self.members.get(&request.member_id) {
                // Whoever joins again has given all up (KAFKA-19233).
                Some(member) if joins => Ok((member.clone(), false)),
                Some(member) => {
                    check_epoch(member, request)?;
                    Ok((member.clone(), false))
                }
                None if joins => Ok((new(), false)),
                None => Err(unknown_member(context.group, &request.member_id)),
            };
        };
        if !joins {
            let member = self.static_member(instance, &request.member_id)?;
            check_epoch(member, request)?;
            return Ok((member.clone(), false));
        }
        let Some(old) = self.statics.get(instance).and_then(|id| self.members.get(id)) else {
            return Ok((new(), false));
        };
        let released = old.epoch == LEAVE_STATIC_EPOCH || old.about.classic.is_some();
        if !released && old.id != request.member_id {
            let message = format!(
                "Static member {} with instance id {instance} cannot join the group because the instance id is \
                 owned by {} member.",
                request.member_id, old.id
            );
            return Err(GroupError::new(E::UnreleasedInstanceId, message));
        }
        let old = old.id.clone();
        Ok((self.replace(&old, &request.member_id, out), true))
    }

    /// A static member comes back under a new id: it keeps what the old one had.
    pub(super) fn replace(&mut self, old: &str, id: &str, out: &mut Vec<ConsumerRecord>) -> ConsumerMember {
        let mut member = self.take(old).unwrap_or_default();
        let target = self.targets.remove(old).unwrap_or_default();
        if old != id {
            out.extend(forget(old));
            out.push(ConsumerRecord::Target(id.to_owned(), Some(target.clone())));
        }
        self.targets.insert(id.to_owned(), target);
        member.id = id.to_owned();
        member.epoch = JOIN_EPOCH;
        member.previous_epoch = JOIN_EPOCH;
        // What it held stays taken; nobody else may get it meanwhile.
        member
    }

    fn static_member(&self, instance: &str, member_id: &str) -> Result<&ConsumerMember, GroupError> {
        let held = self.statics.get(instance).and_then(|id| self.members.get(id));
        let member = held.ok_or_else(|| {
            GroupError::new(E::UnknownMemberId, format!("Instance id {instance} is unknown."))
        })?;
        if member.id != member_id {
            let message = format!(
                "Static member {member_id} with instance id {instance} was fenced by member {}.",
                member.id
            );
            return Err(GroupError::new(E::FencedInstanceId, message));
        }
        Ok(member)
    }

    fn leave(
        &mut self,
        context: &Context<'_>,
        request: &Heartbeat,
        out: &mut Vec<ConsumerRecord>,
    ) -> Result<HeartbeatAnswer, GroupError> {
        let member = match request.instance_id.as_deref() {
            Some(instance) => self.static_member(instance, &request.member_id)?,
            None => self
                .members
                .get(&request.member_id)
                .ok_or_else(|| unknown_member(context.group, &request.member_id))?,
        };
        let mut member = member.clone();
        let id = member.id.clone();
        if request.epoch == LEAVE_STATIC_EPOCH {
            member.epoch = LEAVE_STATIC_EPOCH;
            member.revoking = Assignment::new();
            member.rebalance_deadline = None;
            out.push(current(&member));
            self.put(member);
        } else {
            self.fence(context.topics, &id, out);
        }
        Ok(HeartbeatAnswer { member_id: id, epoch: request.epoch, interval_ms: 0, assignment: None })
    }

    /// Removes a member; what it held is free.
    pub(crate) fn fence(&mut self, topics: &dyn Catalog, id: &str, out: &mut Vec<ConsumerRecord>) {
        if self.take(id).is_none() {
            return;
        }
        self.targets.remove(id);
        out.extend(forget(id));
        self.forget_regexes(out);
        self.metadata_hash = subscription::metadata_hash(self.subscribed().into_iter(), topics);
        self.bump(out);
    }

    /// Time has passed: fences those that were silent for too long, or took too long to give partitions up. Their ids, with the
    /// reason.
    pub(crate) fn tick(
        &mut self,
        now: Millis,
        topics: &dyn Catalog,
        out: &mut Vec<ConsumerRecord>,
    ) -> Vec<(String, &'static str)> {
        let mut fenced = Vec::new();
        for member in self.members.values() {
            if member.session_deadline <= now {
                fenced.push((member.id.clone(), "its session has ended"));
            } else if member.rebalance_deadline.is_some_and(|d| d <= now) {
                fenced.push((member.id.clone(), "it did not do its part of the rebalance in time"));
            }
        }
        fenced.iter().for_each(|(id, _)| self.fence(topics, id, out));
        fenced
    }

    fn bump(&mut self, out: &mut Vec<ConsumerRecord>) {
        self.epoch += 1;
        out.push(ConsumerRecord::Group(Some((self.epoch, self.metadata_hash))));
    }

    fn forget_regexes(&mut self, out: &mut Vec<ConsumerRecord>) {
        let used: BTreeSet<&String> = self.members.values().filter_map(|m| m.about.regex.as_ref()).collect();
        let unused: Vec<String> = self.regexes.keys().filter(|r| !used.contains(r)).cloned().collect();
        for regex in unused {
            self.regexes.remove(&regex);
            out.push(ConsumerRecord::Regex(regex, None));
        }
    }

    /// Sees whether subscriptions or topics have changed; if so, the group epoch grows.
    fn refresh(&mut self, context: &Context<'_>, mut bump: bool, out: &mut Vec<ConsumerRecord>) {
        let version = context.topics.version();
        if !bump && self.seen == Some(version) {
            return;
        }
        self.forget_regexes(out);
        let regexes: BTreeSet<String> = self.members.values().filter_map(|m| m.about.regex.clone()).collect();
        for regex in regexes {
            if self.seen == Some(version) && self.regexes.contains_key(&regex) {
                continue;
            }
            // Checked when it was set.
            let Ok(matched) = subscription::resolve(&regex, context.topics, context.allowed) else {
                continue;
            };
            if self.regexes.get(&regex) != Some(&matched) {
                out.push(ConsumerRecord::Regex(regex.clone(), Some(matched.clone())));
                self.regexes.insert(regex, matched);
                bump = true;
            }
        }
        self.seen = Some(version);
        let hash = subscription::metadata_hash(self.subscribed().into_iter(), context.topics);
        if bump || hash != self.metadata_hash {
            self.metadata_hash = hash;
            self.bump(out);
        }
    }

    /// Puts a member as it reports itself, computes the targets where the group has changed, and takes the member as far towards
    /// its own as `owned`, what it holds now, allows. Gives what it becomes; that is not stored yet.
    pub(super) fn advance(
        &mut self,
        context: &Context<'_>,
        member: ConsumerMember,
        bump: bool,
        owned: Option<&Assignment>,
        out: &mut Vec<ConsumerRecord>,
    ) -> Result<ConsumerMember, GroupError> {
        self.put(member.clone());
        self.refresh(context, bump, out);
        if self.epoch > self.target_epoch {
            self.compute_targets(context, out);
        }
        if member.is_reconciled_to(self.target_epoch) {
            return Ok(member);
        }
        let none = Assignment::new();
        let step = Step {
            epoch: self.target_epoch,
            target: self.targets.get(&member.id).unwrap_or(&none),
            is_free: &|topic, partition| self.is_free(topic, partition),
            owned,
        };
        step.take(&member)
    }

    fn compute_targets(&mut self, context: &Context<'_>, out: &mut Vec<ConsumerRecord>) {
        let (counts, ids) = self.topics(context.topics);
        let members: Vec<Subscriber<'_>> = self
            .members
            .values()
            .map(|m| Subscriber {
                id: &m.id,
                instance_id: m.about.instance_id.as_deref(),
                topics: self.topics_of(m).filter_map(|name| ids.get(name)).copied().collect(),
                has: self.targets.get(&m.id),
            })
            .collect();
        let targets = assignor::assign(self.assignor(), &members, &counts);
        let targets: HashMap<String, Assignment> =
            members.iter().map(|m| m.id.to_owned()).zip(targets).collect();
        for (id, target) in &targets {
            if self.targets.get(id) != Some(target) {
                out.push(ConsumerRecord::Target(id.clone(), Some(target.clone())));
            }
        }
        self.targets = targets;
        self.target_epoch = self.epoch;
        out.push(ConsumerRecord::TargetEpoch(Some(self.epoch)));
    }
}

/// The tombstones of one member.
fn forget(id: &str) -> [ConsumerRecord; 3] {
    [
        ConsumerRecord::Current(id.to_owned(), None),
        ConsumerRecord::Target(id.to_owned(), None),
        ConsumerRecord::Member(id.to_owned(), None),
    ]
}

/// A member may be one epoch behind, where the answer that told it the new one was lost.
fn check_epoch(member: &ConsumerMember, request: &Heartbeat) -> Result<(), GroupError> {
    let fenced = |than: &str| {
        let message = format!(
            "The consumer group member has a {than} member epoch ({}) than the one known by the group \
             coordinator ({}). The member must abandon all its partitions and rejoin.",
            request.epoch, member.epoch
        );
        Err(GroupError::new(E::FencedMemberEpoch, message))
    };
    if request.epoch > member.epoch {
        return fenced("greater");
    }
    let lost_an_answer = request.epoch == member.previous_epoch
        && request.owned.as_ref().is_some_and(|owned| is_subset(owned, &member.assigned));
    if request.epoch < member.epoch && !lost_an_answer {
        return fenced("smaller");
    }
    Ok(())
}
