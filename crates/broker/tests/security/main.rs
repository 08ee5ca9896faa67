//! TLS, SASL, ACLs and several listeners, over sockets: raw requests, bd's client and librdkafka.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation fails the test")]
#![allow(unreachable_pub, reason = "shared by the files of this test")]

mod raw;
mod served;

use bd_broker::ResponseError as E;
use bd_broker::security::ScramMechanism;
use bd_broker::server::SecurityProtocol;
use bd_client::messages::alter_user_scram_credentials_request::{
    ScramCredentialDeletion, ScramCredentialUpsertion,
};
use bd_client::messages::delete_acls_request::DeleteAclsFilter;
use bd_client::messages::*;
use bd_client::{Client, ClientConfig, Node};
use bytes::{BufMut, Bytes, BytesMut};
use raw::Raw;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseRecord, Producer};
use rdkafka::{Message, Offset, TopicPartitionList};
use served::*;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[test]
fn before_authentication_only_versions_and_sasl_are_answered() {
    let served = sasl_plaintext();
    let mut raw = Raw::open(&served);
    let versions: ApiVersionsResponse = raw.ask(0, &ApiVersionsRequest::default()).unwrap();
    assert!(versions.api_keys.iter().any(|k| k.api_key == 36 && k.max_version == 2));
    assert!(raw.metadata().is_none(), "the connection is closed");

    let mut raw = Raw::open(&served);
    raw.0.write_all(&(600_u32 << 10).to_be_bytes()).unwrap();
    assert!(raw.receive().is_none(), "a large request is not waited for");

    let mut raw = Raw::open(&served);
    assert_eq!(raw.handshake("PLAIN").error_code, 0);
    assert_eq!(raw.token(b"\0alice\0secret").error_code, 0);
    assert!(raw.metadata().is_some());
    let counters = served.broker.counters().snapshot();
    assert_eq!((counters.authentications, counters.failed_authentications), (1, 0));
}

#[test]
fn another_order_or_mechanism_is_refused_by_kafka_s_codes_and_the_connection_closed() {
    let served = sasl_plaintext();
    let mut raw = Raw::open(&served);
    assert_eq!(raw.token(b"\0alice\0secret").error_code, E::IllegalSaslState.code());
    assert!(raw.receive().is_none());

    let mut raw = Raw::open(&served);
    let answer = raw.handshake("GSSAPI");
    assert_eq!(answer.error_code, E::UnsupportedSaslMechanism.code());
    let names: Vec<_> = answer.mechanisms.iter().map(|m| m.as_str()).collect();
    assert_eq!(names, ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]);
    assert!(raw.receive().is_none());

    let mut raw = Raw::open(&served);
    raw.handshake("PLAIN");
    let started = Instant::now();
    let answer = raw.token(b"\0alice\0wrong");
    assert_eq!(answer.error_code, E::SaslAuthenticationFailed.code());
    assert_eq!(answer.error_message.unwrap().as_str(), "Authentication failed: Invalid username or password");
    assert!(started.elapsed() >= Duration::from_millis(100), "the answer to a failure is held up");
    assert!(raw.receive().is_none());

    let mut raw = Raw::open(&served);
    raw.handshake("PLAIN");
    raw.token(b"\0alice\0secret");
    assert_eq!(raw.handshake("PLAIN").error_code, E::IllegalSaslState.code());
    assert_eq!(raw.token(b"\0alice\0secret").error_code, E::IllegalSaslState.code());
    assert!(raw.metadata().is_some(), "who is authenticated stays so");

    let plaintext = serve(&[SecurityProtocol::Plaintext], |c| c.authorizer = false);
    let mut raw = Raw::open(&plaintext);
    assert_eq!(raw.handshake("PLAIN").error_code, E::IllegalSaslState.code());
    assert!(raw.metadata().is_some());
}

#[test]
fn after_a_handshake_of_version_0_tokens_come_without_requests() {
    let served = sasl_plaintext();
    let mut raw = Raw::open(&served);
    raw.ask(0, &SaslHandshakeRequest::default().with_mechanism(s("PLAIN"))).unwrap();
    raw.send(b"\0alice\0secret");
    assert_eq!(raw.receive().unwrap().len(), 0);
    assert!(raw.metadata().is_some());

    let mut raw = Raw::open(&served);
    raw.ask(0, &SaslHandshakeRequest::default().with_mechanism(s("PLAIN"))).unwrap();
    raw.send(b"\0alice\0wrong");
    assert!(raw.receive().is_none());
}

#[test]
fn a_session_ends_unless_the_client_authenticates_again() {
    let lifetime = Duration::from_millis(1500);
    let served = serve(&[SecurityProtocol::SaslPlaintext], |c| c.connections_max_reauth = lifetime);
    let mut raw = Raw::open(&served);
    raw.handshake("PLAIN");
    assert_eq!(raw.token(b"\0alice\0secret").session_lifetime_ms, 1500);
    let mut idle = Raw::open(&served);
    idle.handshake("PLAIN");
    idle.token(b"\0alice\0secret");
    let started = Instant::now();
    let mut again = 0;
    // Longer than a session lasts.
    while started.elapsed() < lifetime * 2 {
        if again < started.elapsed().as_millis() / 1200 {
            again += 1;
            assert_eq!(raw.handshake("PLAIN").error_code, 0);
            assert_eq!(raw.token(b"\0alice\0secret").error_code, 0);
        }
        assert!(raw.metadata().is_some());
        std::thread::yield_now();
    }
    assert!(idle.metadata().is_none(), "its session has ended");
}

// ---- users and rules

#[test]
fn users_are_made_changed_and_removed_by_requests() {
    let served = sasl_plaintext();
    let mut admin = served.client("admin");
    let salt = Bytes::from_static(b"some salt");
    let set = |password: &str| {
        let mechanism = ScramMechanism::Sha512;
        let salted = mechanism.salted_password(password, &salt, 4096.try_into().unwrap());
        let upsertion = ScramCredentialUpsertion::default()
            .with_name(s("carol"))
            .with_mechanism(mechanism as i8)
            .with_iterations(4096)
            .with_salt(salt.clone())
            .with_salted_password(salted.into());
        AlterUserScramCredentialsRequest::default().with_upsertions(vec![upsertion])
    };
    assert!(served.login("SCRAM-SHA-512", "carol", "first").is_err());
    for password in ["first", "second"] {
        assert_eq!(admin.request(Node::Any, &set(password)).unwrap().results[0].error_code, 0);
        served.login("SCRAM-SHA-512", "carol", password).unwrap();
        served.login("PLAIN", "carol", password).unwrap();
    }
    let error = served.login("SCRAM-SHA-512", "carol", "first").err().unwrap().to_string();
    let told = "Authentication failed during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-512";
    assert!(error.contains(told), "{error}");
    assert!(served.login("SCRAM-SHA-256", "carol", "second").is_err(), "only the mechanism that was set");

    let described = admin.request(Node::Any, &DescribeUserScramCredentialsRequest::default()).unwrap();
    let carol = described.results.iter().find(|r| r.user.as_str() == "carol").unwrap();
    assert_eq!((carol.credential_infos[0].mechanism, carol.credential_infos[0].iterations), (2, 4096));

    let mut alice = served.client("alice");
    let refused = alice.request(Node::Any, &set("mine")).unwrap();
    assert_eq!(refused.results[0].error_code, E::ClusterAuthorizationFailed.code());
    let refused = alice.request(Node::Any, &DescribeUserScramCredentialsRequest::default()).unwrap();
    assert_eq!(refused.error_code, E::ClusterAuthorizationFailed.code());

    let deletion = ScramCredentialDeletion::default().with_name(s("carol")).with_mechanism(2);
    let request = AlterUserScramCredentialsRequest::default().with_deletions(vec![deletion]);
    assert_eq!(admin.request(Node::Any, &request).unwrap().results[0].error_code, 0);
    assert!(served.login("SCRAM-SHA-512", "carol", "second").is_err());
}

#[test]
fn rules_are_made_shown_and_removed_by_requests() {
    let served = sasl_plaintext();
    let mut admin = served.client("admin");
    let wrong = [
        (acl("alice", 3, "t").with_resource_type(6), "DELEGATION_TOKEN is not supported"),
        (acl("alice", 3, "t").with_resource_type(9), "Invalid resourceType UNKNOWN"),
        (acl("alice", 1, "t"), "Invalid operation ANY"),
        (acl("alice", 3, "t").with_permission_type(1), "Invalid permissionType ANY"),
        (acl("alice", 3, "t").with_resource_pattern_type(2), "Invalid patternType MATCH"),
        (acl("alice", 3, "t").with_resource_type(4), "The only valid name for the CLUSTER resource"),
        (acl("alice", 3, ""), "Invalid empty resource name"),
    ];
    let mut acls = vec![acl("alice", 3, "t"), acl("alice", 4, "t"), acl("bob", 3, "*")];
    acls.extend(wrong.iter().map(|(acl, _)| acl.clone()));
    let results = create_acls(&mut admin, acls);
    assert!(results[..3].iter().all(|(code, _)| *code == 0));
    for ((code, message), (_, expected)) in results[3..].iter().zip(&wrong) {
        let message = message.clone().unwrap_or_default();
        assert!(*code == E::InvalidRequest.code() && message.contains(expected), "{message}");
    }

    let filter = DescribeAclsRequest::default()
        .with_resource_type_filter(2)
        .with_resource_name_filter(Some(s("t")))
        .with_pattern_type_filter(2)
        .with_principal_filter(None)
        .with_host_filter(None)
        .with_operation(1)
        .with_permission_type(1);
    let found = admin.request(Node::Any, &filter).unwrap();
    let names: Vec<_> = found.resources.iter().map(|r| (r.resource_name.as_str(), r.acls.len())).collect();
    assert_eq!(names, [("*", 1), ("t", 2)], "also the rule for all topics");

    let mut alice = served.client("alice");
    assert_eq!(alice.request(Node::Any, &filter).unwrap().error_code, E::ClusterAuthorizationFailed.code());
    let refused = create_acls(&mut alice, vec![acl("alice", 2, "*")]);
    assert_eq!(refused[0].0, E::ClusterAuthorizationFailed.code());

    let filter = DeleteAclsFilter::default()
        .with_resource_type_filter(1)
        .with_pattern_type_filter(1)
        .with_resource_name_filter(None)
        .with_principal_filter(Some(s("User:alice")))
        .with_host_filter(None)
        .with_operation(1)
        .with_permission_type(1);
    let request = DeleteAclsRequest::default().with_filters(vec![filter]);
    let refused = alice.request(Node::Any, &request).unwrap();
    assert_eq!(refused.filter_results[0].error_code, E::ClusterAuthorizationFailed.code());
    let removed = admin.request(Node::Any, &request).unwrap();
    assert_eq!(removed.filter_results[0].matching_acls.len(), 2);
    let removed = admin.request(Node::Any, &request).unwrap();
    assert_eq!((removed.filter_results[0].error_code, removed.filter_results[0].matching_acls.len()), (0, 0));
}

#[test]
fn without_an_authorizer_rules_are_refused_as_security_disabled() {
    let served = serve(&[SecurityProtocol::SaslPlaintext], |c| c.authorizer = false);
    let mut alice = served.client("alice");
    assert_eq!(create_acls(&mut alice, vec![acl("alice", 3, "t")])[0].0, E::SecurityDisabled.code());
    let request = DescribeAclsRequest::default()
        .with_resource_type_filter(1)
        .with_pattern_type_filter(1)
        .with_operation(1)
        .with_permission_type(1);
    let answer = alice.request(Node::Any, &request).unwrap();
    assert_eq!(answer.error_code, E::SecurityDisabled.code());
    assert_eq!(answer.error_message.unwrap().as_str(), "No Authorizer is configured on the broker");
}

// ---- listeners and TLS

#[test]
fn each_listener_tells_its_own_address() {
    let served = serve(&[SecurityProtocol::Plaintext, SecurityProtocol::SaslPlaintext], |_| {});
    let plain = Client::connect(ClientConfig::new(served.address())).unwrap();
    assert_eq!(plain.brokers()[&1], format!("127.0.0.1:{}", served.ports[0]));
    let address = format!("127.0.0.1:{}", served.ports[1]);
    let settings = served.settings("SASL_PLAINTEXT", "PLAIN", "alice", "secret");
    let config = settings.iter().fold(ClientConfig::new(""), |c, (k, v)| c.set(k, v).unwrap());
    let sasl = Client::connect(config.set("bootstrap.servers", &address).unwrap()).unwrap();
    assert_eq!(sasl.brokers()[&1], address);
}

#[test]
fn a_changed_certificate_is_used_without_a_restart() {
    let served = serve(&[SecurityProtocol::Ssl], |c| c.authorizer = false);
    let connect = || {
        let config = ClientConfig::new(served.address()).set("security.protocol", "SSL").unwrap();
        Client::connect(config.set("ssl.ca.location", served.ca().to_str().unwrap()).unwrap())
    };
    connect().unwrap();
    write_certificate(served.dir.path());
    assert!(connect().is_err(), "it still shows the old one");
    served.tls.reload().unwrap();
    connect().unwrap();
}

#[test]
fn a_client_that_does_not_speak_tls_is_turned_away() {
    let served = serve(&[SecurityProtocol::SaslSsl], |_| {});
    let mut raw = Raw::open(&served);
    let mut request = BytesMut::new();
    request.put_slice(&[0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff]);
    raw.send(&request);
    // At most an alert, and the end.
    let mut rest = Vec::new();
    let _ = raw.0.read_to_end(&mut rest);
    assert!(rest.len() < 16, "{rest:?}");
    assert_eq!(served.broker.topics().all().len(), 0);
}

// ---- librdkafka

#[test]
fn librdkafka_produces_and_consumes_by_every_protocol_and_mechanism() {
    for (protocol, name) in
        [(SecurityProtocol::SaslPlaintext, "SASL_PLAINTEXT"), (SecurityProtocol::SaslSsl, "SASL_SSL")]
    {
        let served = serve(&[protocol], |_| {});
        served.broker.topics().create("t", 1, Default::default()).unwrap();
        for (n, mechanism) in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"].into_iter().enumerate() {
            let config = served.librdkafka(name, mechanism, "admin", "secret");
            let producer: rdkafka::producer::BaseProducer = config.create().unwrap();
            producer.send(BaseRecord::<str, str>::to("t").payload(mechanism)).map_err(|(e, _)| e).unwrap();
            producer.flush(PATIENCE).unwrap();
            let mut config = config.clone();
            let consumer: BaseConsumer = config.set("group.id", "g").create().unwrap();
            let mut list = TopicPartitionList::new();
            list.add_partition_offset("t", 0, Offset::Offset(n as i64)).unwrap();
            consumer.assign(&list).unwrap();
            let message = consumer.poll(PATIENCE).unwrap().unwrap();
            assert_eq!(message.payload(), Some(mechanism.as_bytes()), "{name} {mechanism}");
        }
    }
}

#[test]
fn a_client_without_rules_may_do_nothing_and_with_them_what_they_say() {
    let served = sasl_plaintext();
    let mut admin = served.client("admin");
    assert_eq!(create_topic(&mut admin, "t"), 0);
    let produced = |served: &Served, user: &str| {
        let config = served.librdkafka("SASL_PLAINTEXT", "SCRAM-SHA-256", user, "secret");
        let results = Arc::new(std::sync::Mutex::new(Vec::new()));
        let producer: rdkafka::producer::BaseProducer<Deliveries> =
            config.create_with_context(Deliveries(Arc::clone(&results))).unwrap();
        producer.send(BaseRecord::<str, str>::to("t").payload("x")).map_err(|(e, _)| e).unwrap();
        producer.flush(PATIENCE).unwrap();
        let results = results.lock().unwrap();
        results[0].clone()
    };
    assert_eq!(produced(&served, "admin"), Ok(()));
    let error = produced(&served, "alice").unwrap_err();
    assert!(error.contains("Topic authorization failed"), "{error}");
    create_acls(&mut admin, vec![acl("alice", 4, "t")]);
    assert_eq!(produced(&served, "alice"), Ok(()));
}

struct Deliveries(Arc<std::sync::Mutex<Vec<Result<(), String>>>>);

impl rdkafka::client::ClientContext for Deliveries {}
impl rdkafka::producer::ProducerContext for Deliveries {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &rdkafka::message::DeliveryResult<'_>, (): ()) {
        let result = result.as_ref().map(|_| ()).map_err(|(error, _)| error.to_string());
        self.0.lock().unwrap().push(result);
    }
}
