//! Fetch, with and without sessions (KIP-227).

use super::{Call, Frame, RequestError};
use crate::broker::Broker;
use crate::fetch::cache::{Asked, Context};
use crate::fetch::session::{FetchSession, Key, Params, TopicKey, Turn};
use crate::fetch::{Fetch, Fetched, Wanted};
use crate::partition::Partition;
use crate::security::{CLUSTER, Operation, ResourceType};
use crate::wire::fetch::{Answer, TopicAnswer, encode};
use bd_log::Isolation;
use kafka_protocol::ResponseError as E;
use kafka_protocol::messages::FetchRequest;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// `isolation.level` of Fetch and ListOffsets.
pub(super) fn isolation(level: i8) -> Isolation {
    if level == 1 { Isolation::LastStable } else { Isolation::HighWatermark }
}

/// The partitions that a request names.
fn named(request: &FetchRequest, by_id: bool) -> impl Iterator<Item = (Key, Params)> + '_ {
    request.topics.iter().flat_map(move |topic| {
        let key = match by_id {
            true => TopicKey::Id(topic.topic_id),
            false => TopicKey::Name(topic.topic.as_str().into()),
        };
        topic.partitions.iter().map(move |wanted| {
            let params = Params {
                offset: wanted.fetch_offset,
                max_bytes: wanted.partition_max_bytes,
                leader_epoch: wanted.current_leader_epoch,
                last_fetched_epoch: wanted.last_fetched_epoch,
            };
            ((key.clone(), wanted.partition), params)
        })
    })
}

fn forgotten(request: &FetchRequest, by_id: bool) -> impl Iterator<Item = Key> + '_ {
    request.forgotten_topics_data.iter().flat_map(move |topic| {
        let key = match by_id {
            true => TopicKey::Id(topic.topic_id),
            false => TopicKey::Name(topic.topic.as_str().into()),
        };
        topic.partitions.iter().map(move |index| (key.clone(), *index))
    })
}

/// Answers a request, at once or when there is enough to read.
pub(super) async fn fetch(
    broker: &Arc<Broker>,
    call: &Call,
    request: FetchRequest,
) -> Result<Frame, RequestError> {
    let by_id = call.version >= 13;
    let asked = Asked { id: request.session_id, epoch: request.session_epoch, by_id };
    let sessions = broker.fetch_sessions();
    // The session of an older request that is repeated, or of another connection, would be changed before it is refused.
    let context = sessions.context(asked, named(&request, by_id), forgotten(&request, by_id));
    let turns: Vec<Turn> = match &context {
        Context::Refused(code) => return Ok(refused(call, *code, 0)),
        Context::Incremental { session, .. } => session.lock().turns(),
        Context::Sessionless | Context::Full => once(named(&request, by_id))
            .enumerate()
            .map(|(slot, (key, params))| Turn { key, params, partition: None, slot })
            .collect(),
    };
    let resolved = Resolver::new(broker, call, &request).all(&turns);
    let fetch = Fetch {
        wanted: turns
            .iter()
            .zip(&resolved)
            .map(|(turn, partition)| wanted(turn, partition.clone()))
            .collect(),
        min_bytes: usize::try_from(request.min_bytes).unwrap_or(0),
        max_bytes: usize::try_from(request.max_bytes).unwrap_or(0),
        max_wait: Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)),
        isolation: isolation(request.isolation_level),
    };
    let committed = fetch.isolation == Isolation::LastStable;
    let fetched = broker.fetch(fetch, call.client.stopping()).await;
    if fetched.len() < turns.len() {
        return Err(RequestError::Closing);
    }
    count(broker, &resolved, &fetched);
    let (session_id, tell) = match &context {
        Context::Incremental { id, session, epoch } => {
            let mut session = session.lock();
            if !session.is_at(*epoch) {
                // Another request of this session came in between: its client has given this one up.
                drop(session);
                return Ok(refused(call, E::InvalidFetchSessionEpoch, *id));
            }
            (*id, Some(note(&mut session, &turns, &resolved, &fetched)))
        }
        Context::Full => {
            let partitions = turns.iter().map(|turn| (turn.key.clone(), turn.params)).collect();
            // Slots of a new session are in the order of its partitions.
            let id = sessions.create(partitions, |session| {
                note(session, &turns, &resolved, &fetched);
            });
            (id, None)
        }
        _ => (0, None),
    };
    let topics = grouped(turns, fetched, tell.as_deref());
    Ok(encoded(call, Answer { error: 0, session_id, topics, committed }))
}

fn refused(call: &Call, code: E, session_id: i32) -> Frame {
    encoded(call, Answer { error: code.code(), session_id, topics: Vec::new(), committed: false })
}

fn encoded(call: &Call, answer: Answer) -> Frame {
    call.counters.answers(call.api, &answer);
    encode(call.begin(), call.version, answer)
}

/// Each partition once; what is said of it later does not count.
fn once(partitions: impl Iterator<Item = (Key, Params)>) -> impl Iterator<Item = (Key, Params)> {
    let mut seen = HashSet::new();
    partitions.filter(move |(key, _)| seen.insert(key.clone()))
}

fn wanted(turn: &Turn, partition: Result<Arc<Partition>, E>) -> Wanted {
    Wanted {
        partition,
        offset: turn.params.offset,
        max_bytes: usize::try_from(turn.params.max_bytes).unwrap_or(0),
        leader_epoch: turn.params.leader_epoch,
        last_fetched_epoch: turn.params.last_fetched_epoch,
    }
}

/// Finds partitions, and asks whether they may be read: once for neighbours of one topic.
struct Resolver<'a> {
    broker: &'a Broker,
    call: &'a Call,
    /// Replicas need the cluster's permission, and then no topic's.
    replica: Option<bool>,
    last: Option<(Arc<str>, bool)>,
}

impl<'a> Resolver<'a> {
    fn new(broker: &'a Broker, call: &'a Call, request: &FetchRequest) -> Self {
        let id = if call.version >= 15 { request.replica_state.replica_id.0 } else { request.replica_id.0 };
        let replica =
            (id >= 0).then(|| call.allows(broker, Operation::ClusterAction, ResourceType::Cluster, CLUSTER));
        Self { broker, call, replica, last: None }
    }

    fn all(mut self, turns: &[Turn]) -> Vec<Result<Arc<Partition>, E>> {
        turns.iter().map(|turn| self.one(turn)).collect()
    }

    fn one(&mut self, turn: &Turn) -> Result<Arc<Partition>, E> {
        if let Some(partition) = turn.partition.as_ref().filter(|p| !p.is_deleted()) {
            let name = Arc::clone(&partition.topic);
            return if self.may_read(&name) {
                Ok(Arc::clone(partition))
            } else {
                Err(E::TopicAuthorizationFailed)
            };
        }
        let topic = match &turn.key.0 {
            TopicKey::Id(id) => Some(self.broker.topics().by_id(id).ok_or(E::UnknownTopicId)?),
            TopicKey::Name(name) => self.broker.topics().get(name),
        };
        let name = match (&turn.key.0, &topic) {
            (TopicKey::Name(name), _) => Arc::clone(name),
            (_, Some(topic)) => Arc::clone(&topic.name),
            (TopicKey::Id(_), None) => return Err(E::UnknownTopicId),
        };
        if !self.may_read(&name) {
            return Err(E::TopicAuthorizationFailed);
        }
        topic.and_then(|topic| topic.partition(turn.key.1)).ok_or(E::UnknownTopicOrPartition)
    }

    fn may_read(&mut self, name: &Arc<str>) -> bool {
        if let Some(allowed) = self.replica {
            return allowed;
        }
        match &self.last {
            Some((last, allowed)) if Arc::ptr_eq(last, name) || last == name => *allowed,
            _ => {
                let allowed = self.call.allows(self.broker, Operation::Read, ResourceType::Topic, name);
                self.last = Some((Arc::clone(name), allowed));
                allowed
            }
        }
    }
}

/// What is to be told of, in the order of the turns.
fn note(
    session: &mut FetchSession,
    turns: &[Turn],
    resolved: &[Result<Arc<Partition>, E>],
    fetched: &[Fetched],
) -> Vec<bool> {
    let each = turns.iter().zip(resolved).zip(fetched);
    each.map(|((turn, partition), fetched)| {
        if turn.partition.is_none() || fetched.is_err() {
            session.resolved(turn.slot, partition.as_ref().ok());
        }
        session.note(turn.slot, fetched)
    })
    .collect()
}

fn count(broker: &Broker, resolved: &[Result<Arc<Partition>, E>], fetched: &[Fetched]) {
    let (mut bytes, mut failed) = (0, 0);
    for (partition, fetched) in resolved.iter().zip(fetched) {
        match (partition, fetched) {
            (Ok(partition), Ok(found)) => {
                if let Some(records) = &found.records {
                    partition.own.read(records.len() as u64);
                    bytes += records.len() as u64;
                }
            }
            _ => failed += 1,
        }
    }
    broker.counters().read(bytes);
    if failed > 0 {
        broker.counters().fetch_failed(failed);
    }
}

/// Neighbours of one topic share an entry.
fn grouped(turns: Vec<Turn>, fetched: Vec<Fetched>, tell: Option<&[bool]>) -> Vec<TopicAnswer> {
    let mut topics: Vec<TopicAnswer> = Vec::new();
    for (i, (turn, fetched)) in turns.into_iter().zip(fetched).enumerate() {
        if tell.is_some_and(|tell| tell.get(i) == Some(&false)) {
            continue;
        }
        let (topic, index) = turn.key;
        match topics.last_mut() {
            Some(last) if last.topic == topic => last.partitions.push((index, fetched)),
            _ => topics.push(TopicAnswer { topic, partitions: vec![(index, fetched)] }),
        }
    }
    topics
}
