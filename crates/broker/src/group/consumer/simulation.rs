//! Random lives of a consumer-protocol group: members join, leave, crash, restart, lose answers; topics grow, come and go; the
//! coordinator is restarted from its records. At every step no two clients own a partition; when all is quiet, every partition is
//! owned, and evenly.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation fails the test")]

use super::assignor::{Subscriber, assign};
use super::member::places;
use super::tests::{Topics, id};
use super::*;
use crate::store::consumer_records::ConsumerRecord;
use crate::store::offset_records::{Entry, read};
use kafka_protocol::ResponseError as E;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use uuid::Uuid;

/// What a client believes.
#[derive(Debug, Clone)]
struct Client {
    id: String,
    instance: Option<String>,
    names: BTreeSet<String>,
    epoch: i32,
    owned: Assignment,
    /// The assignment last heard of.
    told: Assignment,
    joined: bool,
    /// The last answer did not come: it says all, and is told all.
    full: bool,
    range: bool,
}

struct World {
    group: ConsumerGroup,
    log: HashMap<Vec<u8>, Vec<u8>>,
    topics: Topics,
    clients: Vec<Client>,
    now: i64,
    ids: u32,
}

#[derive(Debug, Clone)]
enum Action {
    Join { topics: u8, fixed: bool, range: bool },
    Beat(usize),
    BeatLosingAnswer(usize),
    Leave(usize),
    LeaveForNow(usize),
    Crash(usize),
    Subscribe(usize, u8),
    Topic(u8, i32),
    DeleteTopic(u8),
    Restart,
    Wait(i64),
}

const NAMES: [&str; 4] = ["t", "u", "v", "w"];

fn names(bits: u8) -> BTreeSet<String> {
    NAMES.iter().enumerate().filter(|(i, _)| bits & (1 << i) != 0).map(|(_, n)| (*n).to_owned()).collect()
}

impl World {
    fn new() -> Self {
        Self {
            group: ConsumerGroup::default(),
            log: HashMap::new(),
            topics: Topics::of(&[("t", 5), ("u", 3)]),
            clients: Vec::new(),
            now: 0,
            ids: 0,
        }
    }

    fn store(&mut self, records: Vec<ConsumerRecord>) {
        for record in records {
            let key = record.key("g").to_vec();
            match record.value(0) {
                Some(value) => self.log.insert(key, value.to_vec()),
                None => self.log.remove(&key),
            };
        }
    }

    /// One heartbeat; with `lost` the client does not hear the answer.
    fn beat(&mut self, index: usize, leaving: Option<i32>, lost: bool) {
        let client = self.clients[index].clone();
        let joins = !client.joined;
        let request = Heartbeat {
            member_id: client.id.clone(),
            epoch: leaving.unwrap_or(if joins { 0 } else { client.epoch }),
            instance_id: client.instance.clone(),
            rebalance_timeout_ms: if joins || client.full { 30_000 } else { -1 },
            names: Some(client.names.clone()),
            assignor: client.range.then(|| "range".to_owned()),
            owned: Some(if joins { Assignment::new() } else { client.owned.clone() }),
            ..Heartbeat::default()
        };
        check("g", &request, true).unwrap();
        let mut records = Vec::new();
        let context = Context {
            group: "g",
            now: self.now,
            topics: &self.topics,
            allowed: &|_| true,
            session_ms: 45_000,
            interval_ms: 5_000,
            max_size: 20,
        };
        let answer = self.group.heartbeat(&context, &request, &mut records);
        self.store(records);
        self.group.assert_no_partition_is_held_twice();
        let client = &mut self.clients[index];
        client.full = lost;
        if lost || leaving.is_some() {
            return;
        }
        match answer {
            Ok(answer) => {
                client.epoch = answer.epoch;
                client.joined = true;
                if let Some(assignment) = answer.assignment {
                    client.told = assignment.clone();
                    client.owned = assignment;
                }
            }
            Err(error) => match error.code {
                E::UnknownMemberId | E::FencedMemberEpoch | E::FencedInstanceId => {
                    client.joined = false;
                    client.owned.clear();
                    client.told.clear();
                }
                E::UnreleasedInstanceId => assert!(joins),
                code => panic!("{code:?} {}", error.message),
            },
        }
    }

    fn tick(&mut self) {
        let mut records = Vec::new();
        for (fenced, _) in self.group.tick(self.now, &self.topics, &mut records) {
            // A client that was silent for so long knows that its session is over.
            for client in self.clients.iter_mut().filter(|c| c.id == fenced) {
                client.owned.clear();
                client.told.clear();
            }
        }
        self.store(records);
    }

    fn restart(&mut self) {
        let before = std::mem::take(&mut self.group);
        for (key, value) in &self.log {
            let Entry::Consumer { record, .. } = read(key, Some(value)).unwrap() else { panic!() };
            self.group.replay(record);
        }
        self.group.loaded(self.now, 45_000);
        let of = |group: &ConsumerGroup| {
            let members: Vec<_> = group
                .members
                .values()
                .map(|m| {
                    (m.id.clone(), m.about.clone(), m.epoch, m.state, m.assigned.clone(), m.revoking.clone())
                })
                .collect();
            let targets: BTreeMap<_, _> = group.targets.clone().into_iter().collect();
            (group.epoch, group.metadata_hash, group.target_epoch, members, targets)
        };
        assert_eq!(of(&self.group), of(&before), "read back as it was");
        assert_eq!(self.group.statics, before.statics);
    }

    fn act(&mut self, action: &Action) {
        let pick = |i: usize, n: usize| if n == 0 { None } else { Some(i % n) };
        match action {
            Action::Join { topics, fixed, range } if self.clients.len() < 6 => {
                self.ids += 1;
                let instance = fixed.then(|| format!("i{}", self.ids));
                self.clients.push(Client {
                    id: format!("m{}", self.ids),
                    instance,
                    names: names(*topics),
                    epoch: 0,
                    owned: Assignment::new(),
                    told: Assignment::new(),
                    joined: false,
                    full: false,
                    range: *range,
                });
                self.beat(self.clients.len() - 1, None, false);
            }
            Action::Join { .. } => {}
            Action::Beat(i) => {
                if let Some(i) = pick(*i, self.clients.len()) {
                    self.beat(i, None, false);
                }
            }
            Action::BeatLosingAnswer(i) => {
                if let Some(i) = pick(*i, self.clients.len()) {
                    self.beat(i, None, true);
                }
            }
            Action::Leave(i) => {
                if let Some(i) = pick(*i, self.clients.len()) {
                    self.clients[i].owned.clear();
                    self.beat(i, Some(-1), false);
                    self.clients.remove(i);
                }
            }
            Action::LeaveForNow(i) => {
                let statics = self.clients.iter().filter(|c| c.instance.is_some() && c.joined).count();
                if let Some(i) = pick(*i, statics) {
                    let found =
                        self.clients.iter().enumerate().filter(|(_, c)| c.instance.is_some() && c.joined);
                    let index = found.map(|(index, _)| index).nth(i).unwrap();
                    self.beat(index, Some(-2), false);
                    self.ids += 1;
                    let client = &mut self.clients[index];
                    client.id = format!("m{}", self.ids);
                    client.joined = false;
                    client.owned.clear();
                    client.told.clear();
                }
            }
            Action::Crash(i) => {
                if let Some(i) = pick(*i, self.clients.len()) {
                    self.clients.remove(i);
                }
            }
            Action::Subscribe(i, topics) => {
                if let Some(i) = pick(*i, self.clients.len()) {
                    self.clients[i].names = names(*topics);
                    self.beat(i, None, false);
                }
            }
            Action::Topic(which, more) => {
                let name = NAMES[usize::from(*which) % NAMES.len()];
                let now = self.topics.topics.get(name).copied().unwrap_or(0);
                self.topics.set(name, (now + more).min(12));
            }
            Action::DeleteTopic(which) => {
                self.topics.topics.remove(NAMES[usize::from(*which) % NAMES.len()]);
                self.topics.version += 1;
            }
            Action::Restart => self.restart(),
            Action::Wait(ms) => {
                self.now += ms;
                self.tick();
            }
        }
        self.assert_owned_once();
    }

    fn assert_owned_once(&self) {
        let mut seen = HashSet::new();
        for client in &self.clients {
            for place in places(&client.owned) {
                assert!(seen.insert(place), "{place:?} is owned twice: {:#?}", self.clients);
            }
        }
    }

    /// Everybody reports until nothing changes; crashed members run out.
    fn settle(&mut self) {
        for _ in 0..40 {
            self.now += 5_000;
            for i in 0..self.clients.len() {
                self.beat(i, None, false);
                self.assert_owned_once();
            }
            self.tick();
        }
        assert_eq!(
            self.group.members.len(),
            self.clients.len(),
            "{:#?} {:#?}",
            self.clients,
            self.group.members
        );
        let expected = if self.clients.is_empty() { Phase::Empty } else { Phase::Stable };
        assert_eq!(self.group.phase(), expected);
        let owned: HashSet<(Uuid, i32)> = self.clients.iter().flat_map(|c| places(&c.owned)).collect();
        for (name, partitions) in &self.topics.topics {
            let wanted = self.clients.iter().any(|c| c.names.contains(name));
            for partition in 0..*partitions {
                assert_eq!(owned.contains(&(id(name), partition)), wanted, "{name}-{partition}");
            }
        }
        let total: i32 = self.topics.topics.values().sum();
        assert!(owned.len() <= total as usize);
    }
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        3 => (1u8..16, any::<bool>(), any::<bool>())
            .prop_map(|(topics, fixed, range)| Action::Join { topics, fixed, range }),
        12 => any::<usize>().prop_map(Action::Beat),
        2 => any::<usize>().prop_map(Action::BeatLosingAnswer),
        1 => any::<usize>().prop_map(Action::Leave),
        1 => any::<usize>().prop_map(Action::LeaveForNow),
        1 => any::<usize>().prop_map(Action::Crash),
        1 => (any::<usize>(), 1u8..16).prop_map(|(i, topics)| Action::Subscribe(i, topics)),
        1 => (any::<u8>(), 1i32..4).prop_map(|(t, n)| Action::Topic(t, n)),
        1 => any::<u8>().prop_map(Action::DeleteTopic),
        1 => Just(Action::Restart),
        2 => (0i64..20_000).prop_map(Action::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_partition_has_one_owner_whatever_happens(actions in prop::collection::vec(action(), 1..80)) {
        let mut world = World::new();
        for action in &actions {
            world.act(action);
        }
        world.settle();
        world.restart();
        world.settle();
    }

    #[test]
    fn uniform_is_even_and_moves_only_what_it_must(
        subscriptions in prop::collection::vec(1u8..16, 1..7),
        sizes in prop::collection::vec(0i32..9, 4),
        gone in any::<prop::sample::Index>(),
    ) {
        let counts: BTreeMap<Uuid, i32> = NAMES.iter().zip(&sizes).map(|(n, s)| (id(n), *s)).collect();
        let ids: Vec<String> = (0..subscriptions.len()).map(|i| format!("m{i}")).collect();
        let subscribers = |has: &[Assignment]| -> Vec<_> {
            ids.iter().zip(&subscriptions).zip(has).map(|((id, bits), has)| (id.clone(), *bits, has.clone())).collect()
        };
        let run = |members: &[(String, u8, Assignment)]| {
            let members: Vec<Subscriber<'_>> = members.iter().map(|(member, bits, has)| Subscriber {
                id: member,
                instance_id: None,
                topics: names(*bits).iter().map(|n| id(n)).filter(|t| counts.contains_key(t)).collect(),
                has: Some(has),
            }).collect();
            let result = assign("uniform", &members, &counts);
            // All that is subscribed to is assigned once, to a subscriber.
            let mut all = HashSet::new();
            for (member, assignment) in members.iter().zip(&result) {
                for place in places(assignment) {
                    assert!(member.topics.contains(&place.0));
                    assert!(all.insert(place));
                }
            }
            let wanted = counts.iter().filter(|(t, _)| members.iter().any(|m| m.topics.contains(t)));
            assert_eq!(all.len() as i32, wanted.map(|(_, n)| n).sum::<i32>());
            result
        };
        let size = |a: &Assignment| places(a).count();
        let first = run(&subscribers(&vec![Assignment::new(); ids.len()]));
        // No partition could move to a member with at least two fewer.
        for (a, giver) in first.iter().enumerate() {
            for (b, taker) in first.iter().enumerate() {
                let could = giver.keys().any(|t| names(subscriptions[b]).iter().any(|n| id(n) == *t));
                prop_assert!(!could || size(giver) <= size(taker) + 1, "{a} {b} {first:?}");
            }
        }
        prop_assert_eq!(&run(&subscribers(&first)), &first, "nothing changed, nothing moves");
        // One goes: the others keep what they have.
        if ids.len() > 1 && subscriptions.iter().all(|s| *s == subscriptions[0]) {
            let mut rest = subscribers(&first);
            rest.remove(gone.index(rest.len()));
            for ((_, _, had), has) in rest.iter().zip(run(&rest)) {
                prop_assert!(super::member::is_subset(had, &has));
            }
        }
    }
}
