//! Clients that people use, against the socket of a running bd: kcat and Python's confluent-kafka with its serializers.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use bd_e2e::{Bd, bd_binary, python, root};
use std::io::Write;
use std::process::{Command, Output, Stdio};

fn run(command: &mut Command, input: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = match &mut child {
        Ok(_) => child.unwrap(),
        Err(e) => panic!("{command:?}: {e}; run `make setup`"),
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

#[test]
fn python_confluent_kafka_works() {
    let bd = Bd::start(&[]).unwrap();
    let script = root().join("tests/clients/confluent.py");
    let output = run(Command::new(python().unwrap()).arg(script).arg(&bd.cluster), "");
    assert_eq!(String::from_utf8_lossy(&output.stdout).matches(": ok").count(), 3);
}

#[test]
fn python_confluent_serializers_work_with_the_registry() {
    let bd = Bd::start(&[]).unwrap();
    let script = root().join("tests/clients/registry.py");
    let output = run(Command::new(python().unwrap()).arg(script).arg(&bd.registry), "");
    assert_eq!(String::from_utf8_lossy(&output.stdout).matches(": ok").count(), 3);
}

#[test]
fn python_confluent_client_comes_over_tls_and_says_who_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let pair = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let (store, ca) = (folder.path().join("store.pem"), folder.path().join("ca.pem"));
    std::fs::write(&ca, pair.cert.pem()).unwrap();
    std::fs::write(&store, format!("{}{}", pair.signing_key.serialize_pem(), pair.cert.pem())).unwrap();
    let store = format!("registry.ssl.keystore.location={}", store.display());
    let settings = [
        "registry.listener=https://127.0.0.1:0",
        "registry.users={ann: secret, eve: hers}",
        "registry.tokens={ci: t0ken}",
        "registry.roles={eve: read, ci: write}",
        &store,
    ];
    let bd = Bd::start(&settings.map(|s| ["--set", s]).concat()).unwrap();
    let script = root().join("tests/clients/registry_security.py");
    let output = run(Command::new(python().unwrap()).arg(script).arg(&bd.registry).arg(ca), "");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "security: ok\n");
}

#[test]
fn registries_on_one_kafka_agree_and_read_what_confluents_wrote() {
    let bd = Bd::start(&["--roles", "cluster"]).unwrap();
    let script = root().join("tests/clients/registry_topic.py");
    let output =
        run(Command::new(python().unwrap()).arg(script).arg(bd_binary().unwrap()).arg(&bd.cluster), "");
    assert_eq!(String::from_utf8_lossy(&output.stdout).matches(": ok").count(), 3);
}

#[test]
fn kcat_lists_writes_reads_and_joins_a_group() {
    let bd = Bd::start(&[]).unwrap();
    let kcat = || {
        let mut command = Command::new("kcat");
        command.args(["-b", &bd.cluster, "-q"]);
        command
    };
    run(kcat().args(["-P", "-t", "weather", "-K", ":"]), "oslo:3.5\nrome:14\n");
    let all = run(kcat().args(["-C", "-t", "weather", "-e", "-f", "%k=%s@%o\\n"]), "");
    assert_eq!(String::from_utf8_lossy(&all.stdout), "oslo=3.5@0\nrome=14@1\n");
    let group =
        run(kcat().args(["-X", "auto.offset.reset=earliest", "-c", "2", "-G", "cats", "weather"]), "");
    assert_eq!(String::from_utf8_lossy(&group.stdout), "3.5\n14\n");
    let list = run(kcat().args(["-L", "-J"]), "");
    let list: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
    assert!(list["topics"].as_array().unwrap().iter().any(|t| t["topic"] == "weather"), "{list}");
}
