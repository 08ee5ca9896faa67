use super::*;
use crate::security::scram::{ScramMechanism, client as scram};
use crate::store::meta::MetaStore;
use bd_log::RealFs;
use std::sync::Arc;

fn users() -> (tempfile::TempDir, Users) {
    let dir = tempfile::tempdir().unwrap();
    let accounts = [("alice", "secret"), ("bob", "other")];
    let users = accounts.map(|(user, password)| (user.to_owned(), password.to_owned())).into();
    let config = SecurityConfig { users, ..SecurityConfig::default() };
    let users = Users::open(MetaStore::open(Arc::new(RealFs), dir.path()).unwrap(), &config).unwrap();
    (dir, users)
}

/// A connection with its settings.
struct Client {
    config: SecurityConfig,
    state: SaslState,
}

fn client() -> Client {
    let config = SecurityConfig { sasl_mechanisms: SaslMechanism::ALL.to_vec(), ..SecurityConfig::default() };
    Client { config, state: SaslState::default() }
}

impl Client {
    fn handshake(&mut self, mechanism: &str, version: i16) -> Result<(), HandshakeError> {
        self.state.handshake(&self.config, mechanism, version, Instant::now())
    }

    fn token(&mut self, users: &Users, token: &[u8]) -> Answer {
        self.state.token(&self.config, users, token)
    }

    fn plain(&mut self, users: &Users, token: &[u8]) -> Answer {
        self.handshake("PLAIN", 1).unwrap();
        self.token(users, token)
    }

    /// A whole SCRAM exchange with that password.
    fn scram(&mut self, users: &Users, mechanism: ScramMechanism, user: &str, password: &str) -> Answer {
        self.handshake(mechanism.name(), 1).unwrap();
        let first = format!("n,,n={user},r=clientnonce");
        let Answer::Continue(challenge) = self.token(users, first.as_bytes()) else { unreachable!() };
        self.token(users, &scram::last_message(mechanism, &first, &challenge, password))
    }
}

fn alice(lifetime_ms: i64) -> Answer {
    Answer::Done(Principal::user("alice"), vec![], lifetime_ms)
}

#[test]
fn plain_succeeds_with_the_right_password_and_tells_why_not_otherwise() {
    let (_dir, users) = users();
    assert_eq!(client().plain(&users, b"\0alice\0secret"), alice(0));
    assert_eq!(client().plain(&users, b"alice\0alice\0secret"), alice(0));
    for (token, reason) in [
        (&b"\0alice\0wrong"[..], "Authentication failed: Invalid username or password"),
        (b"\0nobody\0secret", "Authentication failed: Invalid username or password"),
        (b"\0\0secret", "Authentication failed: username not specified"),
        (b"\0alice\0", "Authentication failed: password not specified"),
        (b"alice\0secret", "Invalid SASL/PLAIN response: expected 3 tokens, got 2"),
        (b"\0alice\0secret\0x", "Invalid SASL/PLAIN response: expected 3 tokens, got 4"),
        (b"", "Invalid SASL/PLAIN response: expected 3 tokens, got 1"),
        (b"bob\0alice\0secret", OTHER_ID),
    ] {
        let mut client = client();
        assert_eq!(client.plain(&users, token), Answer::Failed(reason.into()));
        assert!(matches!(client.token(&users, b"\0alice\0secret"), Answer::IllegalState(_)));
    }
}

#[test]
fn scram_succeeds_with_the_right_password_and_does_not_tell_why_not_otherwise() {
    let (_dir, users) = users();
    for mechanism in ScramMechanism::ALL {
        let done = client().scram(&users, mechanism, "alice", "secret");
        let Answer::Done(principal, token, 0) = done else { unreachable!("{done:?}") };
        assert_eq!(principal.to_string(), "User:alice");
        assert!(token.starts_with(b"v="));
        for (user, password) in [("alice", "wrong"), ("nobody", "secret")] {
            let reason = format!(
                "Authentication failed during authentication due to invalid credentials with SASL mechanism {}",
                mechanism.name()
            );
            assert_eq!(client().scram(&users, mechanism, user, password), Answer::Failed(reason), "{user}");
        }
    }
}

#[test]
fn another_order_than_handshake_and_tokens_is_refused() {
    let (_dir, users) = users();
    assert!(matches!(client().token(&users, b"\0alice\0secret"), Answer::IllegalState(_)));

    let mut twice = client();
    twice.handshake("PLAIN", 1).unwrap();
    assert_eq!(twice.handshake("PLAIN", 1), Err(HandshakeError::IllegalState));

    let mut unknown = client();
    unknown.config.sasl_mechanisms = vec![SaslMechanism::Scram(ScramMechanism::Sha512)];
    assert_eq!(unknown.handshake("PLAIN", 1), Err(HandshakeError::Unsupported));

    let mut done = client();
    done.plain(&users, b"\0alice\0secret");
    assert_eq!(done.handshake("PLAIN", 1), Err(HandshakeError::IllegalState));
    assert_eq!(done.token(&users, b"\0alice\0secret"), Answer::IllegalState(AFTERWARDS));
}

#[test]
fn tokens_come_without_requests_after_a_handshake_of_version_0() {
    let (_dir, users) = users();
    let mut client = client();
    client.handshake("PLAIN", 0).unwrap();
    assert!(client.state.takes_raw_tokens());
    assert_eq!(client.token(&users, b"\0alice\0secret"), alice(0));
    assert!(!client.state.takes_raw_tokens());
}

#[test]
fn a_session_ends_unless_the_same_user_authenticates_again_by_the_same_mechanism() {
    let (_dir, users) = users();
    let begin = || {
        let mut client = client();
        client.config.connections_max_reauth = Duration::from_secs(3600);
        assert_eq!(client.plain(&users, b"\0alice\0secret"), alice(3_600_000));
        client
    };
    let mut ok = begin();
    let later = Instant::now() + Duration::from_secs(3601);
    assert!(!ok.state.has_expired(Instant::now()) && ok.state.has_expired(later));
    assert_eq!(ok.plain(&users, b"\0alice\0secret"), alice(3_600_000));
    assert_eq!(ok.handshake("PLAIN", 1), Err(HandshakeError::IllegalState), "too soon");

    assert_eq!(
        begin().plain(&users, b"\0bob\0other"),
        Answer::Failed("Cannot change principals during re-authentication from User.alice: User.bob".into())
    );

    let mut mechanism = begin();
    mechanism.handshake("SCRAM-SHA-256", 1).unwrap();
    let reason = "SASL mechanism 'SCRAM-SHA-256' requested by client is not supported for re-authentication of mechanism 'PLAIN'";
    assert_eq!(mechanism.token(&users, b"n,,n=alice,r=x"), Answer::Failed(reason.into()));
}
