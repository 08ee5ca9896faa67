use super::*;
use crate::security::types::{PatternType, Permission, WILDCARD};
use bd_log::RealFs;
use std::sync::Arc;

const HOST: &str = "192.168.0.7";

fn open(dir: &tempfile::TempDir, change: impl FnOnce(&mut SecurityConfig)) -> Authorizer {
    let mut config = SecurityConfig { authorizer: true, ..SecurityConfig::default() };
    change(&mut config);
    Authorizer::open(MetaStore::open(Arc::new(RealFs), dir.path()).unwrap(), &config).unwrap()
}

/// `alice allow READ topic prefixed ord from *`
fn acl(text: &str) -> AclBinding {
    let words: Vec<&str> = text.split(' ').collect();
    let [who, permission, operation, resource, pattern, name, _, host] = words[..] else {
        unreachable!("{text}")
    };
    AclBinding {
        resource_type: ResourceType::from_name(resource).unwrap(),
        resource_name: name.into(),
        pattern_type: PatternType::from_name(pattern).unwrap(),
        principal: format!("User:{who}"),
        host: host.into(),
        operation: Operation::from_name(operation).unwrap(),
        permission: Permission::from_name(permission).unwrap(),
    }
}

fn with(dir: &tempfile::TempDir, acls: &[&str]) -> Authorizer {
    let authorizer = open(dir, |_| {});
    let results = authorizer.create(acls.iter().map(|text| acl(text)).collect()).unwrap();
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    authorizer
}

/// `alice READ topic orders`
fn may(authorizer: &Authorizer, question: &str) -> bool {
    let words: Vec<&str> = question.split(' ').collect();
    let [who, operation, resource, name] = words[..] else { unreachable!("{question}") };
    let operation = Operation::from_name(operation).unwrap();
    let resource = ResourceType::from_name(resource).unwrap();
    authorizer.allows(&Principal::user(who), HOST, operation, resource, name)
}

#[track_caller]
fn answers(authorizer: &Authorizer, expected: &[(&str, bool)]) {
    for (question, answer) in expected {
        assert_eq!(may(authorizer, question), *answer, "{question}");
    }
}

#[test]
fn without_an_authorizer_everybody_may_do_everything_and_rules_cannot_be_made() {
    let authorizer = Authorizer::default();
    assert!(may(&authorizer, "alice DELETE topic t"));
    assert!(authorizer.allows_some(&Principal::anonymous(), HOST, Operation::Write, ResourceType::Topic));
    assert_eq!(authorizer.create(vec![]).unwrap_err().code(), E::SecurityDisabled);
    assert_eq!(authorizer.acls(&AclFilter::any()).unwrap_err().code(), E::SecurityDisabled);
}

#[test]
fn what_no_rule_allows_is_denied() {
    let dir = tempfile::tempdir().unwrap();
    let authorizer = with(&dir, &["alice ALLOW READ topic literal t from *"]);
    answers(
        &authorizer,
        &[
            ("alice READ topic t", true),
            ("alice WRITE topic t", false),
            ("alice READ topic u", false),
            ("alice READ group t", false),
            ("bob READ topic t", false),
        ],
    );
}

#[test]
fn patterns_are_literal_prefixed_or_all() {
    let dir = tempfile::tempdir().unwrap();
    let authorizer = with(
        &dir,
        &[
            "alice ALLOW READ topic prefixed ord from *",
            "alice ALLOW READ topic prefixed orders-eu from *",
            "alice ALLOW WRITE topic literal ord from *",
            "bob ALLOW READ topic literal * from *",
            "carol ALLOW READ topic prefixed * from *",
            "dora ALLOW READ topic prefixed ä from *",
        ],
    );
    answers(
        &authorizer,
        &[
            ("alice READ topic orders", true),
            ("alice READ topic ord", true),
            ("alice READ topic or", false),
            ("alice READ topic orders-eu-1", true),
            ("alice WRITE topic ord", true),
            ("alice WRITE topic orders", false),
            ("bob READ topic anything", true),
            ("bob READ group anything", false),
            // A prefix is no wildcard.
            ("carol READ topic anything", false),
            ("dora READ topic äb", true),
            ("dora READ topic öb", false),
        ],
    );
}

#[test]
fn a_rule_that_denies_wins_wherever_it_stands() {
    let dir = tempfile::tempdir().unwrap();
    let authorizer = with(
        &dir,
        &[
            "alice ALLOW ALL topic literal secret from *",
            "* DENY READ topic prefixed sec from *",
            "bob ALLOW READ topic literal * from *",
            "bob DENY READ topic literal t from 192.168.0.7",
            "carol ALLOW READ topic literal t from *",
            "carol DENY ALL topic literal * from 10.0.0.1",
        ],
    );
    answers(
        &authorizer,
        &[
            ("alice READ topic secret", false),
            ("alice WRITE topic secret", true),
            ("bob READ topic t", false),
            ("bob READ topic u", true),
            ("carol READ topic t", true),
        ],
    );
    let carol = Principal::user("carol");
    assert!(!authorizer.allows(&carol, "10.0.0.1", Operation::Read, ResourceType::Topic, "t"));
}

#[test]
fn operations_imply_others_where_they_allow_and_nothing_where_they_deny() {
    let dir = tempfile::tempdir().unwrap();
    let authorizer = with(
        &dir,
        &[
            "r ALLOW READ topic literal t from *",
            "w ALLOW WRITE topic literal t from *",
            "d ALLOW DELETE topic literal t from *",
            "a ALLOW ALTER topic literal t from *",
            "c ALLOW ALTER_CONFIGS topic literal t from *",
            "x ALLOW CREATE topic literal t from *",
            "all ALLOW ALL topic literal t from *",
            "n DENY READ topic literal t from *",
            "n ALLOW DESCRIBE topic literal t from *",
        ],
    );
    for who in ["r", "w", "d", "a", "all", "n"] {
        assert!(may(&authorizer, &format!("{who} DESCRIBE topic t")), "{who}");
    }
    answers(
        &authorizer,
        &[
            ("x DESCRIBE topic t", false),
            ("c DESCRIBE topic t", false),
            ("c DESCRIBE_CONFIGS topic t", true),
            ("a DESCRIBE_CONFIGS topic t", false),
            ("r WRITE topic t", false),
            ("all ALTER_CONFIGS topic t", true),
            ("n READ topic t", false),
        ],
    );
}

#[test]
fn a_host_must_be_the_one_of_the_rule() {
    let dir = tempfile::tempdir().unwrap();
    let authorizer = with(&dir, &["alice ALLOW READ topic literal t from 10.0.0.1"]);
    let from =
        |host| authorizer.allows(&Principal::user("alice"), host, Operation::Read, ResourceType::Topic, "t");
    assert!(from("10.0.0.1"));
    assert!(!from("10.0.0.2"));
}

#[test]
fn super_users_may_do_everything_even_what_is_denied() {
    let dir = tempfile::tempdir().unwrap();
    let authorizer = open(&dir, |c| c.super_users = vec![Principal::user("root")]);
    authorizer.create(vec![acl("* DENY ALL topic literal * from *")]).unwrap();
    answers(&authorizer, &[("root DELETE topic t", true), ("alice DELETE topic t", false)]);
    let (root, topic) = (Principal::user("root"), ResourceType::Topic);
    assert!(authorizer.allows_some(&root, HOST, Operation::Write, topic));
    assert!(!authorizer.allows_some(&Principal::user("alice"), HOST, Operation::Write, topic));
}

#[test]
fn everyone_is_allowed_where_no_rule_is_about_the_resource_if_so_configured() {
    let dir = tempfile::tempdir().unwrap();
    let authorizer = open(&dir, |c| c.allow_everyone_if_no_acl_found = true);
    assert!(may(&authorizer, "alice READ topic t"));
    authorizer
        .create(vec![
            acl("bob ALLOW READ topic literal t from *"),
            acl("bob ALLOW READ topic prefixed p- from *"),
        ])
        .unwrap();
    answers(
        &authorizer,
        &[
            ("alice READ topic t", false),
            ("bob READ topic t", true),
            ("bob WRITE topic t", false),
            ("alice READ topic p-1", false),
            ("alice READ topic other", true),
            ("alice READ group t", true),
        ],
    );
}

#[test]
fn some_resource_of_a_type_is_allowed_unless_all_that_is_allowed_is_denied() {
    let some = |acls: &[&str]| {
        let dir = tempfile::tempdir().unwrap();
        let alice = Principal::user("alice");
        with(&dir, acls).allows_some(&alice, HOST, Operation::Write, ResourceType::Topic)
    };
    assert!(!some(&[]));
    assert!(some(&["alice ALLOW WRITE topic literal t from *"]));
    assert!(some(&["* ALLOW ALL topic prefixed t from *"]));
    assert!(some(&["alice ALLOW WRITE topic literal * from *", "alice DENY WRITE topic literal t from *"]));
    assert!(!some(&["alice ALLOW READ topic literal t from *"]));
    assert!(!some(&["alice ALLOW WRITE group literal t from *"]));
    assert!(!some(&["bob ALLOW WRITE topic literal t from *"]));
    assert!(!some(&["alice ALLOW WRITE topic literal t from 10.0.0.1"]));
    assert!(!some(&["alice ALLOW WRITE topic literal t from *", "* DENY WRITE topic literal t from *"]));
    assert!(!some(&["alice ALLOW WRITE topic literal tab from *", "* DENY ALL topic prefixed t from *"]));
    assert!(!some(&["alice ALLOW WRITE topic prefixed ta from *", "* DENY ALL topic prefixed t from *"]));
    assert!(!some(&["alice ALLOW WRITE topic literal t from *", "* DENY WRITE topic literal * from *"]));
    // A literal denial does not cover a prefix, nor a longer prefix a shorter name.
    assert!(some(&["alice ALLOW WRITE topic prefixed t from *", "* DENY WRITE topic literal t from *"]));
    assert!(some(&["alice ALLOW WRITE topic literal t from *", "* DENY WRITE topic prefixed ta from *"]));
}

#[test]
fn rules_outlive_the_broker_and_are_removed_by_filters() {
    let dir = tempfile::tempdir().unwrap();
    let authorizer =
        with(&dir, &["alice ALLOW READ topic literal t from *", "bob ALLOW READ topic literal t from *"]);
    // A second time is no error and no second rule.
    authorizer.create(vec![acl("alice ALLOW READ topic literal t from *")]).unwrap();
    drop(authorizer);
    let authorizer = open(&dir, |_| {});
    assert_eq!(authorizer.acls(&AclFilter::any()).unwrap().len(), 2);
    let filter = AclFilter { principal: Some("User:alice".into()), ..AclFilter::any() };
    let unknown = AclFilter { operation: 0, ..AclFilter::any() };
    let deleted =
        authorizer.delete(&[filter, unknown, AclFilter { operation: 4, ..AclFilter::any() }]).unwrap();
    assert_eq!(deleted[0].as_ref().unwrap(), &[acl("alice ALLOW READ topic literal t from *")]);
    assert_eq!(deleted[1].as_ref().unwrap_err().code(), E::InvalidRequest);
    assert!(deleted[2].as_ref().unwrap().is_empty());
    answers(&authorizer, &[("alice READ topic t", false), ("bob READ topic t", true)]);
    assert_eq!(open(&dir, |_| {}).acls(&AclFilter::any()).unwrap().len(), 1);
}

#[test]
fn rules_that_mean_nothing_are_refused_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let authorizer = open(&dir, |_| {});
    let good = acl("alice ALLOW READ topic literal t from *");
    let bad = [
        (
            acl("alice ALLOW ALTER cluster literal mine from *"),
            "The only valid name for the CLUSTER resource is kafka-cluster",
        ),
        (AclBinding { resource_name: String::new(), ..good.clone() }, "Invalid empty resource name"),
        (AclBinding { principal: "alice".into(), ..good.clone() }, "Could not parse principal from `alice`"),
        (AclBinding { host: String::new(), ..good.clone() }, "Invalid empty host"),
    ];
    let mut acls: Vec<_> = bad.iter().map(|(acl, _)| acl.clone()).collect();
    acls.push(good.clone());
    let results = authorizer.create(acls).unwrap();
    for (result, (_, reason)) in results.iter().zip(&bad) {
        let error = result.as_ref().unwrap_err();
        assert_eq!(error.code(), E::InvalidRequest);
        assert!(error.to_string().starts_with(reason), "{error}");
    }
    assert!(results[4].is_ok());
    assert_eq!(authorizer.acls(&AclFilter::any()).unwrap(), [good]);
}

#[test]
fn ten_thousand_rules_are_decided_by_the_ones_that_matter() {
    let dir = tempfile::tempdir().unwrap();
    let authorizer = open(&dir, |_| {});
    let acls = (0..10_000).map(|i| acl(&format!("u{i} ALLOW READ topic prefixed t{i}- from {WILDCARD}")));
    authorizer.create(acls.collect()).unwrap();
    answers(&authorizer, &[("u77 READ topic t77-a", true), ("u77 READ topic t78-a", false)]);
    let started = std::time::Instant::now();
    let user = Principal::user("u9999");
    for _ in 0..10_000 {
        assert!(authorizer.allows(&user, HOST, Operation::Read, ResourceType::Topic, "t9999-a"));
    }
    // A scan of all rules would take seconds.
    assert!(started.elapsed().as_millis() < 1_000, "{:?}", started.elapsed());
}
