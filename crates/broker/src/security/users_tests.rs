use super::*;
use bd_log::RealFs;

fn open(dir: &tempfile::TempDir, configured: &[(&str, &str)]) -> Users {
    let users = configured.iter().map(|(user, password)| (user.to_string(), password.to_string()));
    let config = SecurityConfig { users: users.collect(), ..SecurityConfig::default() };
    Users::open(MetaStore::open(Arc::new(RealFs), dir.path()).unwrap(), &config).unwrap()
}

fn set(user: &str, mechanism: ScramMechanism, password: &str) -> UserChange {
    let salt = b"some salt".to_vec();
    UserChange::Set {
        user: user.into(),
        mechanism: mechanism as i8,
        iterations: 4096,
        salted_password: mechanism.salted_password(password, &salt, ITERATIONS),
        salt,
    }
}

fn delete(user: &str, mechanism: i8) -> UserChange {
    UserChange::Delete { user: user.into(), mechanism }
}

fn codes(results: &[(String, Result<(), UserError>)]) -> Vec<(&str, Option<E>)> {
    results.iter().map(|(user, r)| (user.as_str(), r.as_ref().err().map(|(code, _)| *code))).collect()
}

const SHA256: ScramMechanism = ScramMechanism::Sha256;
const SHA512: ScramMechanism = ScramMechanism::Sha512;

#[test]
fn credentials_outlive_the_broker_and_serve_plain_too() {
    let dir = tempfile::tempdir().unwrap();
    let users = open(&dir, &[]);
    let results = users.alter(vec![set("alice", SHA512, "secret"), set("bob", SHA256, "other")]).unwrap();
    assert_eq!(codes(&results), [("alice", None), ("bob", None)]);
    let users = open(&dir, &[]);
    assert!(users.is_password("alice", "secret"));
    assert!(users.is_password("bob", "other"));
    assert!(!users.is_password("alice", "other"));
    assert!(!users.is_password("carol", "secret"));
    let (credential, known) = users.credential("alice", SHA512);
    assert!(known && credential.is_password(SHA512, "secret"));
    assert!(!users.credential("alice", SHA256).1, "only the mechanism that was set");
    users.alter(vec![delete("alice", 2)]).unwrap();
    assert!(!users.is_password("alice", "secret"));
    assert!(!open(&dir, &[]).is_password("alice", "secret"));
}

#[test]
fn the_file_of_users_is_readable_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    open(&dir, &[]).alter(vec![set("alice", SHA512, "secret")]).unwrap();
    let file = dir.path().join("meta").join(FILE);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!std::fs::read_to_string(file).unwrap().contains("secret"));
}

#[test]
fn users_of_the_configuration_log_in_by_all_mechanisms_and_are_changed_there_only() {
    let dir = tempfile::tempdir().unwrap();
    let users = open(&dir, &[("admin", "secret")]);
    assert!(users.is_password("admin", "secret"));
    assert!(!users.is_password("admin", "Secret"));
    for mechanism in ScramMechanism::ALL {
        let (credential, known) = users.credential("admin", mechanism);
        assert!(known && credential.is_password(mechanism, "secret"));
    }
    let results = users.alter(vec![set("admin", SHA256, "mine")]).unwrap();
    assert_eq!(codes(&results), [("admin", Some(E::UnacceptableCredential))]);
    assert!(!dir.path().join("meta").join(FILE).exists(), "its password is not stored");
    assert_eq!(users.describe(None), [("admin".to_owned(), Ok(vec![(SHA256, 4096), (SHA512, 4096)]))]);
}

#[test]
fn wrong_changes_are_refused_with_kafka_s_codes_and_texts() {
    let dir = tempfile::tempdir().unwrap();
    let users = open(&dir, &[]);
    let with = |change: fn(&mut i32, &mut Vec<u8>, &mut Vec<u8>)| {
        let mut set = set("alice", SHA256, "secret");
        if let UserChange::Set { iterations, salt, salted_password, .. } = &mut set {
            change(iterations, salt, salted_password);
        }
        set
    };
    for (change, code, reason) in [
        (with(|i, _, _| *i = 4095), E::UnacceptableCredential, "Too few iterations"),
        (with(|i, _, _| *i = -1), E::UnacceptableCredential, "Too few iterations"),
        (with(|i, _, _| *i = 16_385), E::UnacceptableCredential, "Too many iterations"),
        (with(|_, s, _| s.clear()), E::UnacceptableCredential, "A salt is"),
        (with(|_, s, _| s.resize(2000, 0)), E::UnacceptableCredential, "A salt is"),
        (with(|_, _, p| p.clear()), E::UnacceptableCredential, "The salted password"),
        (set("", SHA256, "x"), E::UnacceptableCredential, "Username must not be empty"),
        (delete("alice", 7), E::UnsupportedSaslMechanism, "Unknown SCRAM mechanism"),
        (delete("alice", 1), E::ResourceNotFound, "Attempt to delete a user credential that does not exist"),
    ] {
        let results = users.alter(vec![change]).unwrap();
        let (given, words) = results[0].1.clone().unwrap_err();
        assert_eq!(given, code, "{words}");
        assert!(words.starts_with(reason), "{words}");
    }
    let results = users
        .alter(vec![set("alice", SHA256, "a"), set("bob", SHA256, "b"), set("alice", SHA512, "c")])
        .unwrap();
    assert_eq!(codes(&results), [("alice", Some(E::DuplicateResource)), ("bob", None)]);
    assert!(!users.is_password("alice", "a") && users.is_password("bob", "b"));
}

#[test]
fn users_are_described_without_their_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let users = open(&dir, &[]);
    users.alter(vec![set("alice", SHA512, "a"), set("bob", SHA256, "b")]).unwrap();
    let named = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|n| n.to_string()).collect();
        users.describe(Some(&names))
    };
    assert_eq!(named(&[]).len(), 2);
    assert_eq!(named(&["alice"]), [("alice".to_owned(), Ok(vec![(SHA512, 4096)]))]);
    assert_eq!(named(&["carol"])[0].1.clone().unwrap_err().0, E::ResourceNotFound);
    assert_eq!(named(&["bob", "bob"])[0].1.clone().unwrap_err().0, E::DuplicateResource);
}

#[test]
fn a_user_that_is_not_there_looks_like_one_that_is() {
    let dir = tempfile::tempdir().unwrap();
    let users = open(&dir, &[]);
    let ((a, known), (b, _)) = (users.credential("nobody", SHA256), users.credential("nobody", SHA256));
    assert!(!known);
    assert_eq!(a, b, "the same salt each time");
    assert_ne!(a.salt, users.credential("somebody", SHA256).0.salt);
    assert_eq!(a.salt.len(), 24);
}
