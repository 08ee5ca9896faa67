//! `bd up` with a registry over TLS that asks who comes, and all that uses it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod support;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use support::{PATIENCE, Up, bd, dir, eventually, run};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// A certificate for loopback with its key; the certificate alone, which is what clients believe.
fn certificate(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let pair = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let (store, ca) = (folder.join("store.pem"), folder.join(name));
    std::fs::write(&ca, pair.cert.pem()).unwrap();
    std::fs::write(&store, format!("{}{}", pair.signing_key.serialize_pem(), pair.cert.pem())).unwrap();
    (store, ca)
}

const ADMIN: &str = "ann:secret";
const READER: &str = "eve:hers";

/// All roles; ann may do everything, ci register, eve read.
fn up(folder: &Path, more: &[&str]) -> (Up, PathBuf) {
    let (store, ca) = certificate(folder, "ca.pem");
    let store = format!("registry.ssl.keystore.location={}", store.display());
    let settings = [
        "registry.listener=https://127.0.0.1:0",
        "registry.users={ann: secret, eve: hers}",
        "registry.tokens={ci: t0ken}",
        "registry.roles={eve: read, ci: write}",
        &store,
    ];
    let settings: Vec<&str> = settings.iter().chain(more).flat_map(|s| ["--set", *s]).collect();
    (Up::with(&folder.join("data"), &settings), ca)
}

fn agent(ca: &Path) -> ureq::Agent {
    let roots = Certificate::from_pem(&std::fs::read(ca).unwrap()).unwrap();
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(PATIENCE))
        .tls_config(TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[roots])).build());
    config.build().into()
}

fn basic(user_info: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(user_info))
}

/// Status, body and `WWW-Authenticate`.
fn ask(
    at: &ureq::Agent,
    method: &str,
    url: String,
    who: Option<&str>,
    body: Option<Value>,
) -> (u16, Value, Vec<String>) {
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    if let Some(who) = who {
        request = request.header("Authorization", who);
    }
    let body = body.map(|b| b.to_string()).unwrap_or_default();
    let request = request.header("Content-Type", "application/vnd.schemaregistry.v1+json");
    let mut answer = at.run(request.body(body).unwrap()).unwrap();
    let challenges = answer.headers().get_all("www-authenticate").iter();
    let challenges = challenges.map(|c| c.to_str().unwrap().to_owned()).collect();
    let text = answer.body_mut().read_to_string().unwrap();
    (answer.status().as_u16(), serde_json::from_str(&text).unwrap(), challenges)
}

#[test]
fn each_may_do_what_its_role_says_and_others_are_asked_who_they_are() {
    let folder = dir();
    let (up, ca) = up(folder.path(), &[]);
    assert!(up.registry.starts_with("https://"), "{}", up.registry);
    let agent = agent(&ca);
    let call = |method: &str, path: &str, who: Option<&str>, body: Option<Value>| {
        ask(&agent, method, format!("{}{path}", up.registry), who, body)
    };
    for who in [None, Some(basic("ann:wrong")), Some(basic("bob:secret")), Some("Bearer other".to_owned())] {
        let (status, body, challenges) = call("GET", "/subjects", who.as_deref(), None);
        assert_eq!((status, &body), (401, &json!({"error_code": 401, "message": "Unauthorized"})), "{who:?}");
        assert_eq!(challenges, ["Basic realm=\"SchemaRegistry\"", "Bearer realm=\"SchemaRegistry\""]);
    }
    let (admin, reader, token) = (basic(ADMIN), basic(READER), "Bearer t0ken");
    let schema = || Some(json!({"schema": "\"long\""}));
    let versions = "/contexts/.c/subjects/a%2Fb/versions";
    let (status, body, _) = call("POST", versions, Some(&reader), schema());
    let denied = "User is denied operation Write on Subject: :.c:a/b";
    assert_eq!((status, body), (403, json!({"error_code": 40301, "message": denied})));
    assert_eq!(call("POST", versions, Some(token), schema()).0, 200);
    for who in [&admin, &reader, token] {
        assert_eq!(call("GET", versions, Some(who), None).1, json!([1]));
        let lookup = call("POST", "/contexts/.c/subjects/a%2Fb", Some(who), schema());
        assert_eq!((lookup.0, &lookup.1["version"]), (200, &json!(1)));
        let check = "/compatibility/subjects/:.c:a%2Fb/versions/latest";
        assert_eq!(call("POST", check, Some(who), schema()).1["is_compatible"], true);
    }
    let level = || Some(json!({"compatibility": "NONE"}));
    for (method, path, body, denied) in [
        ("PUT", "/config", level(), "User is denied operation on this server."),
        ("PUT", "/config/s", level(), "User is denied operation WriteCompatibility on Subject: s"),
        ("DELETE", "/subjects/:.c:a%2Fb", None, "User is denied operation Delete on Subject: :.c:a/b"),
    ] {
        for who in [&reader, token] {
            let (status, answer, _) = call(method, path, Some(who), body.clone());
            assert_eq!((status, &answer["message"]), (403, &json!(denied)), "{method} {path}");
        }
        assert_eq!(call(method, path, Some(&admin), body).0, 200, "{method} {path}");
    }
}

#[test]
fn only_tls_is_spoken_and_a_new_certificate_is_taken_on_sighup() {
    let folder = dir();
    let (up, first) = up(folder.path(), &["registry.roles={ANONYMOUS: read}"]);
    let asks = |ca: &Path| agent(ca).get(format!("{}/subjects", up.registry)).call();
    assert_eq!(asks(&first).unwrap().status(), 200);
    let plain = up.registry.replace("https://", "http://");
    assert!(support::agent().get(format!("{plain}/subjects")).call().is_err());
    let untold = support::agent().get(format!("{}/subjects", up.registry)).call();
    assert!(untold.unwrap_err().to_string().contains("UnknownIssuer"));
    let (_, second) = certificate(folder.path(), "second.pem");
    up.signal(Signal::HUP);
    eventually("the new certificate is used", || asks(&second).ok());
    assert!(asks(&first).is_err());
}

#[test]
fn sql_connectors_and_commands_use_a_secured_registry() {
    let folder = dir();
    let generator = "connectors={ads: {connector.class: io.confluent.kafka.connect.datagen.DatagenConnector, kafka.topic: ads, \
         max.interval: 1, iterations: 3, value.converter: io.confluent.connect.avro.AvroConverter, \
         value.converter.schema.registry.url: '${role:registry}', schema.string: '{\"type\": \"record\", \"name\": \"ad\", \
         \"fields\": [{\"name\": \"id\", \"type\": \"long\"}]}'}}";
    let (up, ca) = up(folder.path(), &[generator]);
    up.ksql(
        "CREATE STREAM prices (name VARCHAR KEY, price INT) \
         WITH (kafka_topic = 'prices', key_format = 'KAFKA', value_format = 'AVRO', partitions = 1);",
    );
    up.ksql("INSERT INTO prices (name, price) VALUES ('tea', 15);");
    let agent = agent(&ca);
    let has = |subject: &str| {
        let url = format!("{}/subjects/{subject}/versions", up.registry);
        (ask(&agent, "GET", url, Some(&basic(READER)), None).0 == 200).then_some(())
    };
    has("prices-value").unwrap();
    eventually("the connector has registered its schema", || has("ads-value"));

    let consume = ["consume", "prices", "--from-beginning", "--no-follow", "--bootstrap", &up.cluster];
    let believed = format!("ssl.ca.location={}", ca.display());
    let by = |registry: &str, properties: &[&str]| {
        let properties = properties.iter().flat_map(|p| ["--registry-property", *p]).collect::<Vec<_>>();
        let output = run(&[&consume[..], &["--registry", registry], &properties].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap().to_lowercase(), said)
    };
    let with_user = up.registry.replace("https://", &format!("https://{READER}@"));
    let (_, told, said) = by(&with_user, &[&believed]);
    assert_eq!(told, "{\"price\":15}\n", "{said}");
    for credentials in ["basic.auth.user.info=eve:hers", "bearer.auth.token=t0ken"] {
        assert_eq!(by(&up.registry, &[&believed, credentials]).1, told);
    }
    for (properties, expected) in [
        (&[&*believed][..], "answers 401 Unauthorized (basic.auth.user.info or bearer.auth.token says"),
        (&[&believed, "basic.auth.user.info=eve:wrong"], "does not know this user and password"),
        (&["bearer.auth.token=t0ken"], "ssl.ca.location names the file of the authority"),
        (&["bearer.auth.tokn=t0ken"], "bearer.auth.tokn: is no property of the registry's client"),
    ] {
        let (worked, _, said) = by(&up.registry, properties);
        assert!(!worked && said.contains(expected), "{properties:?}: {said}");
    }
}

#[test]
fn roles_elsewhere_use_a_secured_registry_by_its_url() {
    let folder = dir();
    let (up, ca) = up(folder.path(), &["topics={numbers: {partitions: 1}}"]);
    let file = folder.path().join("pipe.yaml");
    let sql = "CREATE STREAM numbers (n BIGINT) WITH (kafka_topic = 'numbers', value_format = 'JSON');\n\
               CREATE STREAM doubled WITH (value_format = 'AVRO') AS SELECT n * 2 AS twice FROM numbers EMIT CHANGES;\n";
    std::fs::write(folder.path().join("all.sql"), sql).unwrap();
    let produced = support::with_input(&["produce", "numbers", "--bootstrap", &up.cluster], "{\"n\": 4}\n");
    assert!(produced.status.success(), "{produced:?}");
    let pipeline = |token: &str| {
        let text = format!(
            "sql: [all.sql]\nroles:\n  cluster: {{bootstrap: '{}'}}\n  registry:\n    url: {}\n    properties:\n      \
             ssl.ca.location: {}\n      bearer.auth.credentials.source: STATIC_TOKEN\n      bearer.auth.token: {token}\n",
            up.cluster,
            up.registry,
            ca.display()
        );
        std::fs::write(&file, text).unwrap();
        let mut command = bd();
        command.arg("run").arg(&file).args(["--drain", "--free-ports", "--roles", "engine", "--data"]);
        command.arg(folder.path().join("other")).output().unwrap()
    };
    let output = pipeline("t0ken");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let url = format!("{}/subjects", up.registry);
    let (_, subjects, _) = ask(&agent(&ca), "GET", url, Some("Bearer t0ken"), None);
    assert_eq!(subjects, json!(["doubled-value"]));
}

#[test]
fn levels_and_the_mutability_of_modes_are_configured() {
    let folder = dir();
    let (up, ca) = up(
        folder.path(),
        &["registry.mode.mutability=false", "registry.schema.compatibility.level=full_transitive"],
    );
    let agent = agent(&ca);
    let admin = basic(ADMIN);
    let call = |method, path, body| ask(&agent, method, format!("{}{path}", up.registry), Some(&admin), body);
    let (status, body, _) = call("PUT", "/mode", Some(json!({"mode": "READONLY"})));
    assert_eq!((status, &body["error_code"]), (422, &json!(42205)), "{body}");
    assert_eq!(call("GET", "/config", None).1["compatibilityLevel"], "FULL_TRANSITIVE");
}
