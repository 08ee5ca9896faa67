//! The assignors that the group runs itself: `uniform` (the default) and `range`.
//!
//! * `uniform`: every member gets the same number of partitions, or one more; what members have they keep as far as that allows.
//! * `range`: each topic's partitions are cut into contiguous ranges in the order of the members, so that topics with the same
//!   number of partitions are cut the same way (co-partitioned) and static members keep their ranges over restarts.

use super::balance;
use super::member::{Assignment, places};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;

/// The names, the default first.
pub(super) const ASSIGNORS: [&str; 2] = ["uniform", "range"];

/// A member as the assignors see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subscriber<'a> {
    pub id: &'a str,
    pub instance_id: Option<&'a str>,
    /// Subscribed topics that exist.
    pub topics: BTreeSet<Uuid>,
    /// Its target so far.
    pub has: Option<&'a Assignment>,
}

/// Assigns all partitions (`counts`: number of partitions by topic) that somebody subscribes to. The result is in the order of the
/// members.
pub(super) fn assign(
    assignor: &str,
    members: &[Subscriber<'_>],
    counts: &BTreeMap<Uuid, i32>,
) -> Vec<Assignment> {
    match assignor {
        "range" => range(members, counts),
        _ => uniform(members, counts),
    }
}

fn range(members: &[Subscriber<'_>], counts: &BTreeMap<Uuid, i32>) -> Vec<Assignment> {
    let mut order: Vec<usize> = (0..members.len()).collect();
    // Static members first, by their static id.
    order.sort_by_key(|i| {
        let m = &members[*i];
        (m.instance_id.is_none(), m.instance_id.unwrap_or(m.id))
    });
    let mut result = vec![Assignment::new(); members.len()];
    for (topic, count) in counts {
        let subscribers: Vec<usize> =
            order.iter().copied().filter(|i| members[*i].topics.contains(topic)).collect();
        let (n, mut start) = (subscribers.len() as i32, 0);
        for (position, member) in subscribers.into_iter().enumerate() {
            let end = start + count / n + i32::from((position as i32) < count % n);
            if start < end {
                result[member].insert(*topic, (start..end).collect());
            }
            start = end;
        }
    }
    result
}

fn uniform(members: &[Subscriber<'_>], counts: &BTreeMap<Uuid, i32>) -> Vec<Assignment> {
    let same = members.windows(2).all(|pair| pair[0].topics == pair[1].topics);
    if same { homogeneous(members, counts) } else { balance::heterogeneous(members, counts) }
}

/// What members keep of what they have: partitions that exist, of topics they subscribe to, each of one member only.
pub(super) fn kept(
    members: &[Subscriber<'_>],
    counts: &BTreeMap<Uuid, i32>,
) -> (Vec<Assignment>, HashMap<(Uuid, i32), usize>) {
    let mut owners = HashMap::new();
    let mut result = vec![Assignment::new(); members.len()];
    for (index, member) in members.iter().enumerate() {
        for (topic, partition) in member.has.into_iter().flat_map(places) {
            let exists = counts.get(&topic).is_some_and(|n| (0..*n).contains(&partition));
            if exists
                && member.topics.contains(&topic)
                && let std::collections::hash_map::Entry::Vacant(vacant) = owners.entry((topic, partition))
            {
                vacant.insert(index);
                result[index].entry(topic).or_default().insert(partition);
            }
        }
    }
    (result, owners)
}

/// All members subscribe to the same topics: each gets its quota.
fn homogeneous(members: &[Subscriber<'_>], counts: &BTreeMap<Uuid, i32>) -> Vec<Assignment> {
    let Some(first) = members.first() else { return Vec::new() };
    let topics = || counts.iter().filter(|(topic, _)| first.topics.contains(topic));
    let total: usize = topics().map(|(_, n)| *n as usize).sum();
    let quota = total / members.len();
    let mut extras = total % members.len();
    let (mut result, mut owners) = kept(members, counts);
    let mut room = vec![0; members.len()];
    for (index, assignment) in result.iter_mut().enumerate() {
        let has = places(assignment).count();
        let mut may = quota;
        if has > quota && extras > 0 {
            extras -= 1;
            may += 1;
        }
        // The last ones go first.
        let mut all: Vec<_> = places(assignment).collect();
        for place in all.drain(may.min(has)..) {
            remove(assignment, place.0, place.1);
            owners.remove(&place);
        }
        room[index] = may.saturating_sub(has);
    }
    for (index, assignment) in result.iter().enumerate() {
        if extras > 0 && places(assignment).count() + room[index] == quota {
            extras -= 1;
            room[index] += 1;
        }
    }
    let mut takers = (0..members.len()).cycle();
    for (topic, count) in topics() {
        for partition in (0..*count).filter(|p| !owners.contains_key(&(*topic, *p))) {
            // Round-robin over those with room, so that each topic is spread.
            if let Some(taker) = takers.by_ref().take(members.len()).find(|i| room[*i] > 0) {
                room[taker] -= 1;
                result[taker].entry(*topic).or_default().insert(partition);
            }
        }
    }
    result
}

pub(super) fn remove(assignment: &mut Assignment, topic: Uuid, partition: i32) {
    if let Some(partitions) = assignment.get_mut(&topic) {
        partitions.remove(&partition);
        if partitions.is_empty() {
            assignment.remove(&topic);
        }
    }
}
