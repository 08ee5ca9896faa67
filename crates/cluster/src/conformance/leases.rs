//! Leases: who owns which partitions, handing over, and fencing of members that no longer do (KIP-447).

use super::Setup;
use super::support::{
    Deadline, Must, STEP, append_values, new_partition, new_topic, settled_texts, transactional_writer,
    unique,
};
use crate::{Cluster, CommitError, GroupMember, Lease, LeaseConfig, LeaseEvent, TopicPartition};
use std::collections::BTreeSet;
use std::time::Duration;

/// A member under test: what its events say it owns.
struct Member {
    lease: Box<dyn Lease>,
    owned: BTreeSet<TopicPartition>,
    member: Option<GroupMember>,
}

impl Member {
    #[track_caller]
    fn join(cluster: &dyn Cluster, group: &str, topic: &str) -> Self {
        let config = LeaseConfig {
            group: group.into(),
            topics: vec![topic.into()],
            session_timeout: Duration::from_secs(10),
            client_id: "conformance".into(),
        };
        Self { lease: cluster.open_lease(config).must("open lease"), owned: BTreeSet::new(), member: None }
    }

    /// Takes one event, if there is one; `on_revoke` runs before the partitions are handed over.
    #[track_caller]
    fn step(&mut self, on_revoke: &mut dyn FnMut(&GroupMember, &[TopicPartition])) {
        match self.lease.next(STEP).must("next event of a lease") {
            Some(LeaseEvent::Assigned { partitions, member }) => {
                let distinct: BTreeSet<_> = partitions.iter().cloned().collect();
                assert_eq!(distinct.len(), partitions.len(), "assigned twice: {partitions:?}");
                self.owned = distinct;
                self.member = Some(member);
            }
            Some(LeaseEvent::Revoked { partitions }) => {
                for partition in &partitions {
                    assert!(
                        self.owned.contains(partition),
                        "{partition} revoked but not owned: {:?}",
                        self.owned
                    );
                }
                let Some(member) = &self.member else { panic!("revoked before assigned: {partitions:?}") };
                on_revoke(member, &partitions);
                for partition in &partitions {
                    self.owned.remove(partition);
                }
            }
            None => {}
        }
    }

    /// Takes events until the member owns as many partitions.
    #[track_caller]
    fn until_owns(&mut self, setup: &Setup, n: usize) {
        let deadline = Deadline::new(setup, format!("a member to own {n} partitions"));
        while self.owned.len() != n {
            self.step(&mut |_, _| {});
            deadline.check(|| format!("it owns {:?}", self.owned));
        }
    }

    #[track_caller]
    fn member(&self) -> GroupMember {
        let Some(member) = self.member.clone() else { panic!("no partitions were ever assigned") };
        member
    }
}

/// Lets `second` join until both own `each` partitions, all different. No partition is ever owned by both.
#[track_caller]
fn share(
    setup: &Setup,
    first: &mut Member,
    second: &mut Member,
    each: usize,
    mut on_revoke: impl FnMut(&GroupMember, &[TopicPartition]),
) {
    let deadline = Deadline::new(setup, format!("two members to own {each} partitions each"));
    while (first.owned.len(), second.owned.len()) != (each, each) {
        first.step(&mut on_revoke);
        second.step(&mut |_, _| {});
        let both: Vec<_> = first.owned.intersection(&second.owned).collect();
        assert!(both.is_empty(), "owned by two members at once: {both:?}");
        deadline.check(|| format!("they own {:?} and {:?}", first.owned, second.owned));
    }
}

/// Alone in its group, a member owns all partitions of its topics.
pub fn a_single_member_owns_all_partitions(setup: &Setup) {
    let cluster = setup.cluster();
    let topic = new_topic(&*cluster, "lease", 3);
    let group = unique("group");
    let mut only = Member::join(&*cluster, &group, &topic);
    only.until_owns(setup, 3);
    assert!(only.owned.iter().map(|p| p.partition).eq(0..3), "owns {:?}", only.owned);
    assert_eq!(only.member().group, group);
    assert!(only.member().member.is_some(), "a lease's member has an id and a generation");
    assert_eq!(only.lease.next(STEP).must("next"), None, "nothing changes");
}

/// The first member is told to give up partitions before the second gets them.
pub fn a_second_member_takes_over_some_partitions(setup: &Setup) {
    let cluster = setup.cluster();
    let topic = new_topic(&*cluster, "lease", 4);
    let group = unique("group");
    let mut first = Member::join(&*cluster, &group, &topic);
    first.until_owns(setup, 4);
    let before = first.member();
    let mut revoked = BTreeSet::new();
    let mut second = Member::join(&*setup.cluster(), &group, &topic);
    share(setup, &mut first, &mut second, 2, |_, partitions| revoked.extend(partitions.iter().cloned()));
    assert!(second.owned.is_subset(&revoked), "{:?} were taken over, {revoked:?} given up", second.owned);
    assert_ne!(first.member(), second.member(), "two members are told apart");
    assert_ne!(first.member(), before, "a new assignment has a new generation");
}

/// A lease that is dropped leaves its group at once: nobody waits for a session time-out.
pub fn a_closed_member_hands_its_partitions_over(setup: &Setup) {
    let cluster = setup.cluster();
    let topic = new_topic(&*cluster, "lease", 4);
    let group = unique("group");
    let mut first = Member::join(&*cluster, &group, &topic);
    first.until_owns(setup, 4);
    let mut second = Member::join(&*cluster, &group, &topic);
    share(setup, &mut first, &mut second, 2, |_, _| {});
    drop(first);
    second.until_owns(setup, 4);
}

/// What the old owner commits on `Revoked` stands before the new owner is assigned.
pub fn offsets_committed_before_handing_over_are_seen_by_the_new_owner(setup: &Setup) {
    let cluster = setup.cluster();
    let topic = new_topic(&*cluster, "lease", 2);
    let output = new_partition(&*cluster, "output");
    let group = unique("group");
    let mut writer = transactional_writer(&*cluster, &unique("handover"));
    let mut first = Member::join(&*cluster, &group, &topic);
    first.until_owns(setup, 2);
    append_values(setup, &mut *writer, &output, &["last work"]);

    let mut second = Member::join(&*cluster, &group, &topic);
    let mut commits = 0;
    share(setup, &mut first, &mut second, 1, |member, partitions| {
        let offsets: Vec<_> = partitions.iter().map(|p| (p.clone(), 40 + i64::from(p.partition))).collect();
        writer.commit(&offsets, Some(member)).must("commit of a member that gives partitions up");
        commits += 1;
    });
    assert_eq!(commits, 1, "partitions were given up {commits} times");
    for partition in &second.owned {
        let committed = cluster.committed(&group, std::slice::from_ref(partition));
        assert_eq!(committed, Ok(vec![Some(40 + i64::from(partition.partition))]), "{partition}");
    }
    assert_eq!(settled_texts(setup, &*cluster, &output), ["last work"]);
}

/// A member of an older generation cannot commit any more; its records are dropped with its offsets.
pub fn a_stale_members_commit_is_fenced(setup: &Setup) {
    let cluster = setup.cluster();
    let topic = new_topic(&*cluster, "lease", 2);
    let output = new_partition(&*cluster, "output");
    let group = unique("group");
    let [id, successor] = [unique("stale"), unique("current")];
    let mut first = Member::join(&*cluster, &group, &topic);
    first.until_owns(setup, 2);
    let stale = first.member();
    let mut second = Member::join(&*cluster, &group, &topic);
    share(setup, &mut first, &mut second, 1, |_, _| {});
    let moved: Vec<TopicPartition> = second.owned.iter().cloned().collect();
    let offsets = |offset: i64| moved.iter().map(|p| (p.clone(), offset)).collect::<Vec<_>>();

    let mut zombie = transactional_writer(&*cluster, &id);
    append_values(setup, &mut *zombie, &output, &["zombie"]);
    let result = zombie.commit(&offsets(99), Some(&stale));
    assert!(matches!(result, Err(CommitError::Fenced(_))), "commit with a stale generation: {result:?}");
    drop(zombie);
    drop(transactional_writer(&*cluster, &id));
    assert_eq!(
        cluster.committed(&group, &moved),
        Ok(vec![None; moved.len()]),
        "a stale member's offsets were taken"
    );

    let mut writer = transactional_writer(&*cluster, &successor);
    append_values(setup, &mut *writer, &output, &["current"]);
    writer.commit(&offsets(7), Some(&second.member())).must("commit of the owner");
    assert_eq!(cluster.committed(&group, &moved), Ok(vec![Some(7); moved.len()]));
    assert_eq!(settled_texts(setup, &*cluster, &output), ["current"]);
}
