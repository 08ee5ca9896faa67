//! The consumer-protocol state machine, one behaviour each. Assignments are written as text: `t:0-2` is topic t, partitions 0 to 2.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation fails the test")]

use super::*;
use crate::store::consumer_records::ConsumerRecord;
use kafka_protocol::ResponseError as E;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Topics by name: number of partitions. Ids are made of the names.
#[derive(Default)]
pub(super) struct Topics {
    pub version: u64,
    pub topics: BTreeMap<String, i32>,
}

pub(super) fn id(name: &str) -> Uuid {
    let mut bytes = [0; 16];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    Uuid::from_bytes(bytes)
}

impl Topics {
    pub(super) fn of(topics: &[(&str, i32)]) -> Self {
        let topics = topics.iter().map(|(n, p)| ((*n).to_owned(), *p)).collect();
        Self { version: 1, topics }
    }

    pub(super) fn set(&mut self, name: &str, partitions: i32) {
        self.topics.insert(name.to_owned(), partitions);
        self.version += 1;
    }
}

impl Catalog for Topics {
    fn version(&self) -> u64 {
        self.version
    }
    fn topic(&self, name: &str) -> Option<(Uuid, i32)> {
        self.topics.get(name).map(|n| (id(name), *n))
    }
    fn names(&self) -> Vec<String> {
        self.topics.keys().cloned().collect()
    }
}

fn text(assignment: &Assignment) -> String {
    let one = |(topic, partitions): (&Uuid, &BTreeSet<i32>)| {
        let name = String::from_utf8_lossy(topic.as_bytes()).trim_end_matches('\0').to_owned();
        let (first, last) = (partitions.first().unwrap(), partitions.last().unwrap());
        assert_eq!(partitions.len() as i32, last - first + 1, "gaps: {partitions:?}");
        if first == last { format!("{name}:{first}") } else { format!("{name}:{first}-{last}") }
    };
    assignment.iter().map(one).collect::<Vec<_>>().join(" ")
}

struct Harness {
    group: ConsumerGroup,
    topics: Topics,
    now: i64,
    records: Vec<ConsumerRecord>,
    max_size: usize,
}

impl Harness {
    fn new(topics: &[(&str, i32)]) -> Self {
        let group = ConsumerGroup::default();
        Self { group, topics: Topics::of(topics), now: 0, records: Vec::new(), max_size: usize::MAX }
    }

    fn send(&mut self, request: &Heartbeat) -> Result<HeartbeatAnswer, GroupError> {
        check("g", request, true)?;
        let context = Context {
            group: "g",
            now: self.now,
            topics: &self.topics,
            allowed: &|name| !name.starts_with("secret"),
            session_ms: 45_000,
            interval_ms: 5_000,
            max_size: self.max_size,
        };
        let answer = self.group.heartbeat(&context, request, &mut self.records);
        self.group.assert_no_partition_is_held_twice();
        answer
    }

    /// `epoch assignment`, or the error's name.
    fn says(&mut self, request: &Heartbeat) -> String {
        match self.send(request) {
            Ok(HeartbeatAnswer { epoch, assignment: None, .. }) => format!("{epoch}"),
            Ok(HeartbeatAnswer { epoch, assignment: Some(a), .. }) => {
                format!("{epoch} [{}]", text(&a))
            }
            Err(error) => format!("{:?}", error.code),
        }
    }

    fn target(&self, member: &str) -> String {
        text(&self.group.targets[member])
    }
}

fn join(member: &str, topics: &[&str]) -> Heartbeat {
    Heartbeat {
        member_id: member.into(),
        rebalance_timeout_ms: 60_000,
        names: Some(topics.iter().map(|t| (*t).to_owned()).collect()),
        owned: Some(Assignment::new()),
        ..Heartbeat::default()
    }
}

fn beat(member: &str, epoch: i32) -> Heartbeat {
    Heartbeat { member_id: member.into(), epoch, rebalance_timeout_ms: -1, ..Heartbeat::default() }
}

fn owns(member: &str, epoch: i32, topic: &str, partitions: std::ops::Range<i32>) -> Heartbeat {
    let owned = Assignment::from([(id(topic), partitions.collect())]);
    Heartbeat { owned: Some(owned), ..beat(member, epoch) }
}

#[test]
fn a_second_member_gets_partitions_when_the_first_has_given_them_up() {
    let mut h = Harness::new(&[("t", 4)]);
    assert_eq!(h.says(&join("a", &["t"])), "1 [t:0-3]");
    assert_eq!(h.group.phase(), Phase::Stable);
    // All is taken: b waits.
    assert_eq!(h.says(&join("b", &["t"])), "2 []");
    assert_eq!((h.target("a"), h.target("b")), ("t:0-1".into(), "t:2-3".into()));
    assert_eq!(h.says(&beat("b", 2)), "2");
    assert_eq!(h.group.phase(), Phase::Reconciling);
    // a learns what to keep and stays at its epoch until it has given up the rest.
    assert_eq!(h.says(&owns("a", 1, "t", 0..4)), "1 [t:0-1]");
    assert_eq!(h.says(&beat("b", 2)), "2");
    assert_eq!(h.says(&owns("a", 1, "t", 0..2)), "2");
    assert_eq!(h.says(&beat("b", 2)), "2 [t:2-3]");
    assert_eq!(h.group.phase(), Phase::Stable);
}

#[test]
fn what_a_member_leaves_goes_to_the_others() {
    let mut h = Harness::new(&[("t", 2)]);
    h.send(&join("a", &["t"])).unwrap();
    h.send(&join("b", &["t"])).unwrap();
    h.send(&owns("a", 1, "t", 0..1)).unwrap();
    assert_eq!(h.says(&beat("b", 2)), "2 [t:1]");
    assert_eq!(h.says(&beat("a", -1)), "-1");
    assert_eq!(h.group.phase(), Phase::Assigning);
    assert_eq!(h.says(&beat("b", 2)), "4 [t:0-1]".replace('4', "3"));
    assert_eq!(h.says(&beat("a", 2)), "UnknownMemberId");
    assert_eq!(h.says(&beat("a", -1)), "UnknownMemberId");
    h.send(&beat("b", -1)).unwrap();
    assert_eq!(h.group.phase(), Phase::Empty);
}

#[test]
fn silent_members_are_fenced_and_so_are_those_that_do_not_give_up_partitions() {
    let mut h = Harness::new(&[("t", 2)]);
    h.send(&join("a", &["t"])).unwrap();
    h.now = 44_999;
    assert!(h.group.tick(h.now, &h.topics, &mut h.records).is_empty());
    assert_eq!(h.group.next_deadline(), Some(45_000));
    h.send(&join("b", &["t"])).unwrap();
    assert_eq!(h.says(&beat("a", 1)), "1 [t:0]");
    // a goes on reporting without giving up.
    for at in [70_000, 100_000] {
        h.now = at;
        assert!(h.group.tick(h.now, &h.topics, &mut h.records).is_empty());
        assert_eq!(h.says(&owns("a", 1, "t", 0..2)), "1");
        assert_eq!(h.says(&beat("b", 2)), "2");
    }
    h.now = 104_999;
    let fenced = h.group.tick(h.now, &h.topics, &mut h.records);
    assert_eq!(fenced.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["a"]);
    assert_eq!(h.says(&beat("b", 2)), "3 [t:0-1]");
    h.now = 149_999;
    assert_eq!(h.group.tick(h.now, &h.topics, &mut h.records)[0].0, "b");
}

#[test]
fn epochs_that_do_not_fit_are_fenced() {
    let mut h = Harness::new(&[("t", 2)]);
    h.send(&join("a", &["t"])).unwrap();
    h.topics.set("t", 3);
    // The answer with the new epoch is lost: the member may say the old one once more.
    assert_eq!(h.says(&owns("a", 1, "t", 0..2)), "2 [t:0-2]");
    assert_eq!(h.says(&owns("a", 1, "t", 0..2)), "2");
    assert_eq!(h.says(&beat("a", 1)), "FencedMemberEpoch");
    assert_eq!(h.says(&owns("a", 1, "t", 0..9)), "FencedMemberEpoch");
    assert_eq!(h.says(&beat("a", 3)), "FencedMemberEpoch");
    let error = h.send(&beat("a", 3)).unwrap_err();
    assert_eq!(
        error.message,
        "The consumer group member has a greater member epoch (3) than the one known by the group coordinator \
         (2). The member must abandon all its partitions and rejoin."
    );
    // It joins again.
    assert_eq!(h.says(&join("a", &["t"])), "2 [t:0-2]");
    assert_eq!(h.says(&beat("x", 1)), "UnknownMemberId");
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let mut h = Harness::new(&[("t", 1)]);
    let valid = join("a", &["t"]);
    let cases: Vec<(&str, Heartbeat)> = vec![
        ("MemberId can't be empty.", Heartbeat { member_id: String::new(), ..valid.clone() }),
        ("InstanceId can't be empty.", Heartbeat { instance_id: Some(String::new()), ..valid.clone() }),
        ("RackId can't be empty.", Heartbeat { rack_id: Some(String::new()), ..valid.clone() }),
        (
            "RebalanceTimeoutMs must be provided in first request.",
            Heartbeat { rebalance_timeout_ms: -1, ..valid.clone() },
        ),
        ("TopicPartitions must be empty when (re-)joining.", Heartbeat { owned: None, ..valid.clone() }),
        (
            "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
            Heartbeat { names: None, ..valid.clone() },
        ),
        ("MemberEpoch is invalid.", Heartbeat { epoch: -3, ..valid.clone() }),
        ("InstanceId can't be null.", Heartbeat { epoch: -2, ..valid.clone() }),
        (
            "ServerAssignor sticky is not supported. Supported assignors: uniform, range.",
            Heartbeat { assignor: Some("sticky".into()), ..valid.clone() },
        ),
    ];
    for (message, request) in cases {
        assert_eq!(h.send(&request).unwrap_err().message, message);
    }
    assert!(h.group.members.is_empty() && h.records.is_empty());
    h.max_size = 1;
    h.send(&valid).unwrap();
    assert_eq!(h.says(&join("b", &["t"])), "GroupMaxSizeReached");
    assert_eq!(h.says(&beat("a", 1)), "1");
}

#[test]
fn topics_and_partitions_that_come_and_go_change_the_assignment() {
    let mut h = Harness::new(&[]);
    assert_eq!(h.says(&join("a", &["t", "u"])), "1 []");
    h.topics.set("t", 1);
    assert_eq!(h.says(&beat("a", 1)), "2 [t:0]");
    h.topics.set("t", 3);
    assert_eq!(h.says(&beat("a", 2)), "3 [t:0-2]");
    h.topics.set("other", 3);
    assert_eq!(h.says(&beat("a", 3)), "3");
    h.topics.set("u", 1);
    assert_eq!(h.says(&beat("a", 3)), "4 [t:0-2 u:0]");
    h.topics.topics.remove("t");
    h.topics.version += 1;
    assert_eq!(h.says(&beat("a", 4)), "4 [u:0]");
    assert_eq!(h.says(&owns("a", 4, "u", 0..1)), "5");
}

#[test]
fn regular_expressions_are_resolved_by_the_group() {
    let mut h = Harness::new(&[("ta", 1), ("tb", 1), ("xta", 1), ("secret-t", 1)]);
    let by = |regex: &str| Heartbeat { names: None, regex: Some(regex.into()), ..join("a", &[]) };
    assert_eq!(h.says(&by("t.*|secret.*")), "1 [ta:0 tb:0]");
    h.topics.set("tc", 1);
    assert_eq!(h.says(&beat("a", 1)), "2 [ta:0 tb:0 tc:0]");
    assert_eq!(h.says(&Heartbeat { regex: Some("t[".into()), ..beat("a", 2) }), "InvalidRegularExpression");
    assert_eq!(h.says(&Heartbeat { regex: Some("tc".into()), ..beat("a", 2) }), "2 [tc:0]");
    assert_eq!(h.says(&owns("a", 2, "tc", 0..1)), "3");
    // An empty one is none.
    assert_eq!(h.says(&Heartbeat { regex: Some(String::new()), ..beat("a", 3) }), "3 []");
    assert!(h.group.regexes.is_empty());
}

#[test]
fn a_static_member_comes_back_to_what_it_had_without_a_rebalance() {
    let is = |request: Heartbeat, instance: &str| Heartbeat { instance_id: Some(instance.into()), ..request };
    let mut h = Harness::new(&[("t", 4)]);
    h.send(&is(join("a", &["t"]), "i")).unwrap();
    h.send(&is(join("b", &["t"]), "j")).unwrap();
    h.send(&is(owns("a", 1, "t", 0..2), "i")).unwrap();
    assert_eq!(h.says(&is(beat("b", 2), "j")), "2 [t:2-3]");
    // Its place is taken as long as it is there.
    assert_eq!(h.says(&is(join("a2", &["t"]), "i")), "UnreleasedInstanceId");
    assert_eq!(h.says(&is(beat("x", 2), "i")), "FencedInstanceId");
    assert_eq!(h.says(&is(beat("x", 2), "k")), "UnknownMemberId");
    assert_eq!(h.says(&is(beat("a", -2), "i")), "-2");
    assert_eq!(h.says(&is(beat("b", 2), "j")), "2", "nobody gets what it had");
    assert_eq!(h.says(&is(join("a2", &["t"]), "i")), "2 [t:0-1]");
    assert_eq!(h.says(&is(beat("a", 2), "i")), "FencedInstanceId");
    assert_eq!(h.group.epoch, 2, "no rebalance");
    // With -1 it leaves for good.
    assert_eq!(h.says(&is(beat("a2", -1), "i")), "-1");
    assert_eq!(h.says(&is(beat("b", 2), "j")), "3 [t:0-3]");
}

#[test]
fn who_may_commit_and_fetch_offsets() {
    let mut h = Harness::new(&[("t", 1)]);
    assert_eq!(h.group.check_commit("g", "", -1), Ok(()));
    h.send(&join("a", &["t"])).unwrap();
    let code = |r: Result<(), GroupError>| r.err().map(|e| e.code);
    assert_eq!(code(h.group.check_commit("g", "a", 1)), None);
    assert_eq!(code(h.group.check_commit("g", "a", 0)), Some(E::StaleMemberEpoch));
    assert_eq!(code(h.group.check_commit("g", "a", 2)), Some(E::StaleMemberEpoch));
    assert_eq!(code(h.group.check_commit("g", "", -1)), Some(E::UnknownMemberId));
    assert_eq!(code(h.group.check_fetch("g", None, -1)), None);
    assert_eq!(code(h.group.check_fetch("g", Some("a"), 1)), None);
    assert_eq!(code(h.group.check_fetch("g", Some("a"), 0)), Some(E::StaleMemberEpoch));
    assert_eq!(code(h.group.check_fetch("g", Some("x"), 1)), Some(E::UnknownMemberId));
}

#[test]
fn the_assignor_that_most_ask_for_is_used() {
    let by = |member: &str, assignor: &str| Heartbeat {
        assignor: Some(assignor.into()),
        ..join(member, &["t", "u"])
    };
    let mut h = Harness::new(&[("t", 3), ("u", 3)]);
    h.send(&by("a", "range")).unwrap();
    h.send(&by("b", "range")).unwrap();
    assert_eq!((h.target("a"), h.target("b")), ("t:0-1 u:0-1".into(), "t:2 u:2".into()));
    assert_eq!(h.group.assignor(), "range");
    h.send(&by("c", "uniform")).unwrap();
    h.send(&join("d", &["t", "u"])).unwrap();
    assert_eq!(h.group.assignor(), "range");
}
