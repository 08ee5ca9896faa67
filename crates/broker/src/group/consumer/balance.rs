//! The `uniform` assignor for members with different subscriptions.
//!
//! Members keep what they have; what nobody has goes to the subscriber with the fewest partitions; then partitions move along
//! chains of subscribers from those with many to those with at least two fewer, until there is no such chain.

use super::assignor::{Subscriber, kept, remove};
use super::member::{Assignment, places};
use std::collections::{BTreeMap, VecDeque};
use uuid::Uuid;

pub(super) fn heterogeneous(members: &[Subscriber<'_>], counts: &BTreeMap<Uuid, i32>) -> Vec<Assignment> {
    let (result, owners) = kept(members, counts);
    let mut subscribers: BTreeMap<Uuid, Vec<usize>> = BTreeMap::new();
    for (index, member) in members.iter().enumerate() {
        for topic in member.topics.iter().filter(|t| counts.contains_key(t)) {
            subscribers.entry(*topic).or_default().push(index);
        }
    }
    let sizes = result.iter().map(|a| places(a).count()).collect();
    let mut work = Balance { result, sizes, subscribers };
    // Topics with the fewest subscribers first: they have the least choice.
    let mut topics: Vec<Uuid> = work.subscribers.keys().copied().collect();
    topics.sort_by_key(|t| work.subscribers.get(t).map_or(0, Vec::len));
    for topic in topics {
        for partition in 0..counts.get(&topic).copied().unwrap_or(0) {
            if !owners.contains_key(&(topic, partition)) {
                work.give(topic, partition);
            }
        }
    }
    while work.improve() {}
    work.result
}

struct Balance {
    result: Vec<Assignment>,
    sizes: Vec<usize>,
    subscribers: BTreeMap<Uuid, Vec<usize>>,
}

impl Balance {
    fn give(&mut self, topic: Uuid, partition: i32) {
        let subscribers = self.subscribers.get(&topic);
        if let Some(to) = subscribers.and_then(|s| s.iter().copied().min_by_key(|m| self.sizes[*m])) {
            self.result[to].entry(topic).or_default().insert(partition);
            self.sizes[to] += 1;
        }
    }

    /// Moves one partition along each link of a shortest chain from a member with many to one with at least two fewer.
    /// `false` where there is none. Each chain makes the sum of squared sizes smaller, so this ends.
    fn improve(&mut self) -> bool {
        let mut order: Vec<usize> = (0..self.sizes.len()).collect();
        order.sort_by_key(|m| std::cmp::Reverse(self.sizes[*m]));
        let fewest = self.sizes.iter().copied().min().unwrap_or(0);
        for from in order {
            if self.sizes[from] < fewest + 2 {
                return false;
            }
            if let Some(chain) = self.chain(from) {
                for (giver, topic, taker) in chain {
                    let last = self.result[giver].get(&topic).and_then(|p| p.last().copied());
                    if let Some(partition) = last {
                        remove(&mut self.result[giver], topic, partition);
                        self.result[taker].entry(topic).or_default().insert(partition);
                        self.sizes[giver] -= 1;
                        self.sizes[taker] += 1;
                    }
                }
                return true;
            }
        }
        false
    }

    /// Links (giver, topic, taker), the last one first.
    fn chain(&self, from: usize) -> Option<Vec<(usize, Uuid, usize)>> {
        let mut came: Vec<Option<(usize, Uuid)>> = vec![None; self.sizes.len()];
        let mut queue = VecDeque::from([from]);
        while let Some(member) = queue.pop_front() {
            for topic in self.result[member].keys() {
                for next in self.subscribers.get(topic).into_iter().flatten().copied() {
                    if next == from || came[next].is_some() {
                        continue;
                    }
                    came[next] = Some((member, *topic));
                    if self.sizes[next] + 2 <= self.sizes[from] {
                        return Some(links(&came, next));
                    }
                    queue.push_back(next);
                }
            }
        }
        None
    }
}

fn links(came: &[Option<(usize, Uuid)>], mut to: usize) -> Vec<(usize, Uuid, usize)> {
    let mut chain = Vec::new();
    while let Some((giver, topic)) = came[to] {
        chain.push((giver, topic, to));
        to = giver;
    }
    chain
}
