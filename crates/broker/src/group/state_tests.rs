//! The group state machine, driven by requests and time. Replies are names; what comes out is written as text.

use super::member::{JoinRequest, MemberRef, SyncRequest};
use super::state::{Effect, Effects, Group, State};
use bytes::Bytes;
use kafka_protocol::ResponseError as E;

type TestGroup = Group<&'static str, &'static str>;

/// A request of a member with a 10 s session and a 60 s rebalance time-out that supports `range`.
fn request(member: &str) -> JoinRequest {
    JoinRequest {
        member_id: member.into(),
        instance_id: None,
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: "consumer".into(),
        protocols: vec![("range".into(), Bytes::from_static(b"topics"))],
        require_known_member_id: false,
        knows_skip_assignment: false,
    }
}

fn static_request(member: &str, instance: &str) -> JoinRequest {
    JoinRequest { instance_id: Some(instance.into()), ..request(member) }
}

fn me(member_id: &str) -> MemberRef<'_> {
    MemberRef { member_id, instance_id: None }
}

/// One line for each effect: `reply: member generation leader=.. members=..` or `reply: error`.
fn text(effects: Effects<&'static str, &'static str>) -> Vec<String> {
    effects
        .into_iter()
        .map(|effect| match effect {
            Effect::Joined(reply, r) => match r.error {
                Some(error) => format!("{reply}: {error} {}", r.member_id),
                None => {
                    let members: Vec<_> = r.members.iter().map(|m| m.member_id.as_str()).collect();
                    let skip = if r.skip_assignment { " skip" } else { "" };
                    format!(
                        "{reply}: {} gen {} leader {} [{}]{skip}",
                        r.member_id,
                        r.generation,
                        r.leader,
                        members.join(" ")
                    )
                }
            },
            Effect::Synced(reply, r) => match r.error {
                Some(error) => format!("{reply}: {error}"),
                None => format!("{reply}: assigned {:?}", String::from_utf8_lossy(&r.assignment)),
            },
            Effect::Changed => "changed".into(),
        })
        .collect()
}

/// A group with the members a (leader), b, ... in state Stable, generation 1, made at time 0.
fn stable(names: &[&'static str]) -> TestGroup {
    let mut group = TestGroup::new(500);
    for name in names {
        group.join(0, request(""), name, |_| (*name).to_owned());
    }
    // With more than one the delay begins once more.
    if names.len() > 1 {
        assert!(group.tick(500).is_empty());
    }
    assert!(!text(group.tick(1_000)).is_empty());
    assert_eq!(group.state, State::CompletingRebalance);
    let assignments = names.iter().map(|n| ((*n).to_owned(), Bytes::from_static(b"p"))).collect();
    for name in names.iter().rev() {
        let assignments = if *name == names[0] { Vec::clone(&assignments) } else { Vec::new() };
        group.sync(1_000, sync_request(name, 1, assignments), name);
    }
    assert_eq!((group.state, group.generation), (State::Stable, 1));
    group
}

fn sync_request(member: &str, generation: i32, assignments: Vec<(String, Bytes)>) -> SyncRequest {
    SyncRequest { member_id: member.into(), generation, assignments, ..SyncRequest::default() }
}

#[test]
fn a_first_member_joins_alone_and_leads() {
    let mut group = TestGroup::new(0);
    let out = group.join(0, request(""), "join", |client| format!("{client}-1"));
    assert_eq!(text(out), ["changed", "join: client-1 gen 1 leader client-1 [client-1]"]);
    let assignment = vec![("client-1".to_owned(), Bytes::from_static(b"p0"))];
    let out = group.sync(0, sync_request("client-1", 1, assignment), "sync");
    assert_eq!(text(out), ["changed", "sync: assigned \"p0\""]);
    assert_eq!(group.state, State::Stable);
}

#[test]
fn members_that_start_within_the_initial_delay_join_together() {
    let mut group = TestGroup::new(3_000);
    assert!(group.join(0, request(""), "a", |_| "a".into()).is_empty());
    assert!(group.join(2_999, request(""), "b", |_| "b".into()).is_empty());
    assert_eq!(group.next_deadline(2_999), Some(3_000));
    assert!(group.tick(3_000).is_empty(), "the delay begins once more, for those that come after b");
    assert_eq!(group.next_deadline(3_000), Some(6_000));
    assert_eq!(text(group.tick(6_000)), ["changed", "a: a gen 1 leader a [a b]", "b: b gen 1 leader a []"]);
}

#[test]
fn new_members_get_an_id_first_where_they_can() {
    let mut group = TestGroup::new(0);
    let ask = JoinRequest { require_known_member_id: true, ..request("") };
    assert_eq!(text(group.join(0, ask, "ask", |_| "m".into())), ["ask: MemberIdRequired m"]);
    assert_eq!(text(group.join(1, request("m"), "join", |_| panic!()))[1], "join: m gen 1 leader m [m]");
    // An id that was not used in time is forgotten, and holds nothing up.
    let ask = JoinRequest { require_known_member_id: true, ..request("") };
    group.join(2, ask, "ask", |_| "n".into());
    group.tick(10_003);
    assert_eq!(text(group.join(10_004, request("n"), "late", |_| panic!())), ["late: UnknownMemberId n"]);
}

#[test]
fn a_second_member_starts_a_rebalance_that_waits_for_the_first() {
    let mut group = stable(&["a"]);
    assert!(group.join(2_000, request(""), "b", |_| "b".into()).is_empty());
    assert_eq!(group.state, State::PreparingRebalance);
    assert_eq!(group.heartbeat(2_001, me("a"), 1), Err(E::RebalanceInProgress));
    let out = group.join(2_002, request("a"), "a", |_| panic!());
    assert_eq!(text(out), ["changed", "a: a gen 2 leader a [a b]", "b: b gen 2 leader a []"]);
}

#[test]
fn followers_wait_for_the_leaders_assignments() {
    let mut group = stable(&["a", "b"]);
    group.join(2_000, request("a"), "a", |_| panic!());
    group.join(2_000, request("b"), "b", |_| panic!());
    assert_eq!(group.state, State::CompletingRebalance);
    assert!(group.sync(2_001, sync_request("b", 2, vec![]), "b").is_empty());
    let assignments =
        vec![("a".to_owned(), Bytes::from_static(b"1")), ("b".to_owned(), Bytes::from_static(b"2"))];
    let out = group.sync(2_002, sync_request("a", 2, assignments), "a");
    assert_eq!(text(out), ["changed", "a: assigned \"1\"", "b: assigned \"2\""]);
    // A follower that asks again gets the same.
    assert_eq!(text(group.sync(2_003, sync_request("b", 2, vec![]), "b")), ["b: assigned \"2\""]);
}

#[test]
fn sync_errors_by_state() {
    let mut group = stable(&["a", "b"]);
    assert_eq!(text(group.sync(0, sync_request("x", 1, vec![]), "r")), ["r: UnknownMemberId"]);
    assert_eq!(text(group.sync(0, sync_request("a", 9, vec![]), "r")), ["r: IllegalGeneration"]);
    let other = SyncRequest { protocol: Some("sticky".into()), ..sync_request("a", 1, vec![]) };
    assert_eq!(text(group.sync(0, other, "r")), ["r: InconsistentGroupProtocol"]);
    group.join(2_000, request("a"), "a", |_| panic!());
    assert_eq!(text(group.sync(0, sync_request("b", 1, vec![]), "r")), ["r: RebalanceInProgress"]);
}

#[test]
fn a_join_during_sync_sends_those_who_wait_back_to_join() {
    let mut group = stable(&["a", "b"]);
    group.join(2_000, request("a"), "a", |_| panic!());
    group.join(2_000, request("b"), "b", |_| panic!());
    group.sync(2_001, sync_request("b", 2, vec![]), "b sync");
    let out = group.join(2_002, request(""), "c", |_| "c".into());
    assert_eq!(text(out), ["b sync: RebalanceInProgress"]);
    assert_eq!(group.state, State::PreparingRebalance);
}

#[test]
fn a_silent_member_is_removed_and_the_others_rebalance() {
    let mut group = stable(&["a", "b"]);
    assert_eq!(group.next_deadline(1_000), Some(11_000));
    assert_eq!(group.heartbeat(9_000, me("a"), 1), Ok(()));
    assert!(text(group.tick(11_000)).is_empty());
    assert_eq!(group.state, State::PreparingRebalance);
    assert!(!group.members.contains_key("b"));
    assert_eq!(text(group.join(11_001, request("a"), "a", |_| panic!()))[1], "a: a gen 2 leader a [a]");
}

#[test]
fn members_that_do_not_rejoin_are_left_behind() {
    let mut group = stable(&["a", "b"]);
    group.join(2_000, request("a"), "a", |_| panic!());
    for at in (2_000..62_000).step_by(5_000) {
        assert!(group.tick(at).is_empty());
        let _ = group.heartbeat(at, me("b"), 1);
    }
    assert_eq!(group.next_deadline(61_999), Some(62_000));
    assert_eq!(text(group.tick(62_000)), ["changed", "a: a gen 2 leader a [a]"]);
}

#[test]
fn a_leader_that_never_syncs_is_removed() {
    let mut group = stable(&["a", "b"]);
    group.join(2_000, request("a"), "a", |_| panic!());
    group.join(2_000, request("b"), "b", |_| panic!());
    group.sync(2_001, sync_request("b", 2, vec![]), "b sync");
    for at in (2_000..62_000).step_by(5_000) {
        let _ = group.heartbeat(at, me("a"), 2);
        assert!(group.tick(at).is_empty(), "{at}");
    }
    assert_eq!(text(group.tick(62_000)), ["b sync: RebalanceInProgress"]);
    assert_eq!(text(group.join(62_001, request("b"), "b", |_| panic!()))[1], "b: b gen 3 leader b [b]");
}

#[test]
fn the_last_member_to_leave_leaves_an_empty_group() {
    let mut group = stable(&["a"]);
    let (result, out) = group.leave(2_000, me("a"));
    assert_eq!((result, text(out)), (Ok(()), vec!["changed".to_owned()]));
    assert_eq!((group.state, group.generation), (State::Empty, 2));
    assert_eq!(group.leave(2_000, me("a")).0, Err(E::UnknownMemberId));
    assert_eq!(group.next_deadline(2_000), None);
}

#[test]
fn members_need_a_protocol_in_common() {
    let mut group = stable(&["a"]);
    let sticky = JoinRequest { protocols: vec![("sticky".into(), Bytes::new())], ..request("") };
    assert_eq!(text(group.join(2_000, sticky, "b", |_| "b".into())), ["b: InconsistentGroupProtocol "]);
    let connect = JoinRequest { protocol_type: "connect".into(), ..request("") };
    assert_eq!(text(group.join(2_000, connect, "c", |_| "c".into())), ["c: InconsistentGroupProtocol "]);
    assert_eq!(group.state, State::Stable);
}

#[test]
fn the_protocol_that_most_prefer_wins_among_those_all_support() {
    let with = |names: &[&str]| JoinRequest {
        protocols: names.iter().map(|n| ((*n).to_owned(), Bytes::new())).collect(),
        ..request("")
    };
    let mut group = TestGroup::new(1_000);
    group.join(0, with(&["only-a", "range", "sticky"]), "a", |_| "a".into());
    group.join(0, with(&["sticky", "range"]), "b", |_| "b".into());
    group.join(0, with(&["sticky", "range"]), "c", |_| "c".into());
    group.tick(1_000);
    group.tick(2_000);
    assert_eq!(group.protocol.as_deref(), Some("sticky"));
}

#[test]
fn a_static_member_that_restarts_keeps_its_place_without_a_rebalance() {
    let mut group = TestGroup::new(500);
    group.join(0, static_request("", "i"), "a", |_| "a1".into());
    group.join(0, request(""), "b", |_| "b".into());
    group.tick(500);
    group.tick(1_000);
    group.sync(1_000, sync_request("a1", 1, vec![("a1".into(), Bytes::from_static(b"p"))]), "a");
    assert_eq!(group.state, State::Stable);
    // The leader restarts: an old client is told that somebody else leads, a new one that it must not assign.
    let out = group.join(2_000, static_request("", "i"), "a", |_| "a2".into());
    assert_eq!(text(out), ["changed", "a: a2 gen 1 leader a1 []"]);
    let knows = JoinRequest { knows_skip_assignment: true, ..static_request("", "i") };
    let out = group.join(2_001, knows, "a", |_| "a3".into());
    assert_eq!(text(out), ["changed", "a: a3 gen 1 leader a3 [a3 b] skip"]);
    assert_eq!(text(group.sync(2_002, sync_request("a3", 1, vec![]), "s")), ["s: assigned \"p\""]);
    // The one it replaced is fenced.
    let old = MemberRef { member_id: "a1", instance_id: Some("i") };
    assert_eq!(group.heartbeat(2_003, old, 1), Err(E::FencedInstanceId));
    assert_eq!(
        text(group.join(2_004, static_request("a1", "i"), "z", |_| panic!())),
        ["z: FencedInstanceId a1"]
    );
    // An administrator removes it by its static id alone.
    assert_eq!(group.leave(2_005, MemberRef { member_id: "", instance_id: Some("i") }).0, Ok(()));
    assert!(!group.members.contains_key("a3"));
}

#[test]
fn who_may_commit_offsets() {
    let mut group = stable(&["a"]);
    let nobody = me("");
    for (who, generation, transactional, expected) in [
        (me("a"), 1, false, Ok(())),
        (me("a"), 1, true, Ok(())),
        (me("a"), 0, false, Err(E::IllegalGeneration)),
        (me("a"), 2, true, Err(E::IllegalGeneration)),
        (me("x"), 1, true, Err(E::UnknownMemberId)),
        (nobody, -1, false, Err(E::UnknownMemberId)),
        (nobody, -1, true, Ok(())),
    ] {
        assert_eq!(
            group.check_commit(2_000, who, generation, transactional),
            expected,
            "{who:?} {generation}"
        );
    }
    group.join(2_000, request("a"), "a", |_| panic!());
    assert_eq!(group.check_commit(2_000, me("a"), 2, false), Err(E::RebalanceInProgress));
    let mut empty = TestGroup::new(0);
    assert_eq!(empty.check_commit(0, nobody, -1, false), Ok(()));
    assert_eq!(empty.check_commit(0, me("a"), 1, false), Err(E::UnknownMemberId));
}

#[test]
fn a_dead_group_refuses_everything() {
    let mut group = TestGroup::new(0);
    group.state = State::Dead;
    assert_eq!(text(group.join(0, request(""), "a", |_| "a".into())), ["a: CoordinatorNotAvailable "]);
    assert_eq!(text(group.sync(0, sync_request("a", 1, vec![]), "a")), ["a: CoordinatorNotAvailable"]);
    assert_eq!(group.heartbeat(0, me("a"), 1), Err(E::CoordinatorNotAvailable));
    assert_eq!(group.leave(0, me("a")).0, Err(E::CoordinatorNotAvailable));
}

#[test]
fn only_so_many_ids_are_given_out_ahead() {
    let mut group = TestGroup::new(0);
    let ask = || JoinRequest { require_known_member_id: true, ..request("") };
    for i in 0..10_000 {
        group.join(0, ask(), "ask", |_| format!("m{i}"));
    }
    assert_eq!(text(group.join(0, ask(), "late", |_| "x".into())), ["late: GroupMaxSizeReached "]);
    group.tick(10_000);
    assert_eq!(text(group.join(10_000, ask(), "ask", |_| "x".into())), ["ask: MemberIdRequired x"]);
}

#[test]
fn a_member_that_heartbeats_and_never_syncs_is_removed() {
    let mut group = stable(&["a", "b"]);
    group.join(2_000, request("a"), "a", |_| panic!());
    group.join(2_000, request("b"), "b", |_| panic!());
    // The leader assigns, so the group is stable, but b does not ask for its part.
    group.sync(2_001, sync_request("a", 2, vec![]), "a sync");
    assert_eq!(group.state, State::Stable);
    for at in (2_000..62_000).step_by(5_000) {
        assert_eq!(group.heartbeat(at, me("a"), 2), Ok(()));
        assert_eq!(group.heartbeat(at, me("b"), 2), Ok(()));
        assert!(group.tick(at).is_empty(), "{at}");
    }
    group.tick(62_000);
    assert_eq!(group.state, State::PreparingRebalance);
    assert!(!group.members.contains_key("b"));
}

#[test]
fn a_static_member_with_other_metadata_and_the_same_protocol_makes_no_rebalance() {
    let mut group = TestGroup::new(0);
    group.join(0, static_request("", "i"), "a", |_| "a1".into());
    group.sync(0, sync_request("a1", 1, vec![("a1".into(), Bytes::from_static(b"p"))]), "a");
    let other = JoinRequest {
        protocols: vec![("range".into(), Bytes::from_static(b"other"))],
        ..static_request("", "i")
    };
    assert_eq!(text(group.join(1, other, "a", |_| "a2".into())), ["changed", "a: a2 gen 1 leader a1 []"]);
    assert_eq!(group.state, State::Stable);
}
