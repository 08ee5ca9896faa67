//! A member of a consumer group: a thread that joins, heartbeats and rejoins; the caller sees its events.
//!
//! ```text
//!            ┌───────────────────────── rejoin ─────────────────────────┐
//!            ▼                                                          │
//!  thread: join ─▶ sync ─▶ Assigned ─▶ heartbeats ─▶ Revoked ─▶ waits until handed over
//!                             │                         │               ▲
//!  caller:                  next()                    next() ─ commit ─ next()
//! ```

use crate::assign;
use bd_broker::group::{JoinRequest, JoinResponse, MemberRef, SyncRequest, SyncResponse};
use bd_broker::{Broker, ResponseError as E};
use bd_cluster::{ClusterError, GroupMember, Lease, LeaseConfig, LeaseEvent, TopicPartition};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a caller may stay away while its partitions are being revoked (Kafka's `max.poll.interval.ms`).
const REBALANCE_TIMEOUT_MS: i32 = 300_000;
/// Heartbeats cost nothing here; frequent ones make rebalances quick.
const HEARTBEAT: Duration = Duration::from_millis(50);

#[derive(Default)]
struct State {
    events: VecDeque<Result<LeaseEvent, ClusterError>>,
    /// `Revoked` was given out.
    handing_over: bool,
    /// The caller has come back after `Revoked`.
    handed_over: bool,
    stopped: bool,
    /// Empty until the group has given an id.
    member_id: String,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn push(&self, event: Result<LeaseEvent, ClusterError>) {
        self.state.lock().events.push_back(event);
        self.changed.notify_all();
    }
}

pub(crate) struct EmbeddedLease {
    broker: Arc<Broker>,
    group: String,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl EmbeddedLease {
    pub(crate) fn open(broker: Arc<Broker>, config: LeaseConfig) -> Result<Self, ClusterError> {
        let fatal =
            |reason: String| ClusterError::Fatal { what: format!("open lease {}", config.group), reason };
        if config.group.is_empty() {
            return Err(fatal("the group's id is empty".into()));
        }
        if let Some(missing) = config.topics.iter().find(|t| broker.topics().get(t).is_none()) {
            return Err(ClusterError::UnknownTopic(missing.clone()));
        }
        let shared = Arc::<Shared>::default();
        let group = config.group.clone();
        let member =
            Member { broker: Arc::clone(&broker), config: config.clone(), shared: Arc::clone(&shared) };
        let thread = std::thread::Builder::new().name("bd-lease".into()).spawn(move || member.run());
        let thread = thread.map_err(|e| fatal(e.to_string()))?;
        Ok(Self { broker, group, shared, thread: Some(thread) })
    }
}

impl Lease for EmbeddedLease {
    fn next(&mut self, wait: Duration) -> Result<Option<LeaseEvent>, ClusterError> {
        let deadline = Instant::now() + wait;
        let mut state = self.shared.state.lock();
        if std::mem::take(&mut state.handing_over) {
            state.handed_over = true;
            self.shared.changed.notify_all();
        }
        loop {
            match state.events.pop_front() {
                Some(Ok(event)) => {
                    state.handing_over = matches!(event, LeaseEvent::Revoked { .. });
                    return Ok(Some(event));
                }
                Some(Err(error)) => {
                    // It stays like this.
                    state.events.push_front(Err(error.clone()));
                    return Err(error);
                }
                None if Instant::now() >= deadline => return Ok(None),
                None => {
                    self.shared.changed.wait_until(&mut state, deadline);
                }
            }
        }
    }
}

impl Drop for EmbeddedLease {
    fn drop(&mut self) {
        let member_id = {
            let mut state = self.shared.state.lock();
            state.stopped = true;
            state.member_id.clone()
        };
        self.shared.changed.notify_all();
        // Leaving answers a join or sync that the thread waits for.
        let member = MemberRef { member_id: &member_id, instance_id: None };
        let _ = self.broker.groups().leave(&self.group, member);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread's side.
struct Member {
    broker: Arc<Broker>,
    config: LeaseConfig,
    shared: Arc<Shared>,
}

/// A generation joined.
struct Generation {
    member_id: String,
    number: i32,
    partitions: Vec<TopicPartition>,
    /// For the leader: the numbers of partitions it has shared out, to notice when one grows.
    shared_out: Option<Vec<i32>>,
}

impl Member {
    fn run(&self) {
        loop {
            let generation = match self.join() {
                Ok(Some(generation)) => generation,
                Ok(None) => continue,
                Err(None) => return,
                Err(Some(error)) => return self.shared.push(Err(error)),
            };
            let member = Some((generation.member_id.clone(), generation.number));
            self.shared.push(Ok(LeaseEvent::Assigned {
                partitions: generation.partitions.clone(),
                member: GroupMember { group: self.config.group.clone(), member },
            }));
            if let Err(error) = self.keep(&generation) {
                if let Some(error) = error {
                    self.shared.push(Err(error));
                }
                return;
            }
        }
    }

    fn is_stopped(&self) -> bool {
        self.shared.state.lock().stopped
    }

    /// An answer of the group; `None` when the lease is dropped or the broker closed.
    fn answer<T>(&self, receiver: &mpsc::Receiver<T>) -> Option<T> {
        loop {
            match receiver.recv_timeout(Duration::from_millis(100)) {
                Ok(answer) => return Some(answer),
                Err(mpsc::RecvTimeoutError::Timeout) if !self.is_stopped() && !self.broker.is_closed() => {}
                Err(_) => return None,
            }
        }
    }

    fn failed(&self, code: E) -> Option<ClusterError> {
        (!self.is_stopped()).then(|| crate::error::refused(&format!("group {}", self.config.group), code))
    }

    /// Joins and syncs. `Ok(None)`: again; `Err(None)`: stopped.
    fn join(&self) -> Result<Option<Generation>, Option<ClusterError>> {
        let member_id = self.shared.state.lock().member_id.clone();
        let metadata = bytes::Bytes::from(assign::subscription(&self.config.topics));
        let request = JoinRequest {
            member_id,
            instance_id: None,
            client_id: self.config.client_id.clone(),
            client_host: "/embedded".into(),
            session_timeout_ms: i32::try_from(self.config.session_timeout.as_millis()).unwrap_or(i32::MAX),
            rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
            protocol_type: "consumer".into(),
            protocols: vec![(assign::RANGE.to_owned(), metadata)],
            // So that the id is known while the join waits, and a dropped lease can leave.
            require_known_member_id: true,
            knows_skip_assignment: true,
        };
        let (sender, receiver) = mpsc::sync_channel(1);
        let reply = move |joined: JoinResponse| {
            let _ = sender.send(joined);
        };
        self.broker.groups().join(&self.config.group, request, Box::new(reply));
        let joined = self.answer(&receiver).ok_or(None)?;
        match joined.error {
            None => {}
            Some(E::MemberIdRequired) => {
                self.shared.state.lock().member_id = joined.member_id;
                return if self.is_stopped() { Err(None) } else { Ok(None) };
            }
            Some(E::UnknownMemberId) if !self.is_stopped() => {
                // Nothing is owned here, so nothing is lost: start over as a new member.
                self.shared.state.lock().member_id.clear();
                return Ok(None);
            }
            Some(E::RebalanceInProgress | E::CoordinatorNotAvailable) if !self.is_stopped() => {
                return Ok(None);
            }
            Some(code) => return Err(self.failed(code)),
        }
        let mut shared_out = None;
        let mut assignments = Vec::new();
        if joined.leader == joined.member_id && !joined.skip_assignment {
            let subscribed = |m: &[u8]| assign::subscribed(m).unwrap_or_default();
            let members: Vec<_> =
                joined.members.iter().map(|m| (m.member_id.clone(), subscribed(&m.metadata))).collect();
            shared_out = Some(self.partition_counts());
            let assigned = assign::range(&members, |topic| self.partitions_of(topic));
            assignments =
                assigned.iter().map(|(id, a)| (id.clone(), bytes::Bytes::from(assign::encode(a)))).collect();
        }
        let request = SyncRequest {
            member_id: joined.member_id.clone(),
            generation: joined.generation,
            assignments,
            ..SyncRequest::default()
        };
        let (sender, receiver) = mpsc::sync_channel(1);
        let reply = move |synced: SyncResponse| {
            let _ = sender.send(synced);
        };
        self.broker.groups().sync(&self.config.group, request, Box::new(reply));
        let synced = self.answer(&receiver).ok_or(None)?;
        match synced.error {
            None => {}
            Some(E::RebalanceInProgress | E::IllegalGeneration) if !self.is_stopped() => return Ok(None),
            Some(E::UnknownMemberId) if !self.is_stopped() => {
                self.shared.state.lock().member_id.clear();
                return Ok(None);
            }
            Some(code) => return Err(self.failed(code)),
        }
        let assignment = assign::decode(&synced.assignment).unwrap_or_default();
        let partitions = assignment
            .iter()
            .flat_map(|(topic, partitions)| {
                partitions.iter().map(|p| TopicPartition::new(topic.as_str(), *p))
            })
            .collect();
        let (member_id, number) = (joined.member_id, joined.generation);
        Ok(Some(Generation { member_id, number, partitions, shared_out }))
    }

    fn partitions_of(&self, topic: &str) -> i32 {
        self.broker.topics().get(topic).map_or(0, |t| t.partition_count())
    }

    fn partition_counts(&self) -> Vec<i32> {
        self.config.topics.iter().map(|t| self.partitions_of(t)).collect()
    }

    /// Heartbeats until the group rebalances and the caller has handed its partitions over. `Err(None)`: stopped.
    fn keep(&self, generation: &Generation) -> Result<(), Option<ClusterError>> {
        let me = MemberRef { member_id: &generation.member_id, instance_id: None };
        let mut revoking = false;
        loop {
            {
                let mut state = self.shared.state.lock();
                let called = state.stopped || (revoking && state.handed_over);
                if !called {
                    self.shared.changed.wait_for(&mut state, HEARTBEAT);
                }
                if state.stopped {
                    return Err(None);
                }
                if revoking && std::mem::take(&mut state.handed_over) {
                    return Ok(());
                }
            }
            if self.broker.is_closed() {
                return Err(self.failed(E::CoordinatorNotAvailable));
            }
            let grown =
                generation.shared_out.as_ref().is_some_and(|counts| *counts != self.partition_counts());
            match self.broker.groups().heartbeat(&self.config.group, me, generation.number) {
                Ok(()) if !grown => {}
                Ok(()) | Err(E::RebalanceInProgress) => {
                    if generation.partitions.is_empty() {
                        return Ok(());
                    }
                    if !revoking {
                        revoking = true;
                        let partitions = generation.partitions.clone();
                        self.shared.push(Ok(LeaseEvent::Revoked { partitions }));
                    }
                }
                // The group has gone on without this member.
                Err(code) => return Err(self.failed(code)),
            }
        }
    }
}
