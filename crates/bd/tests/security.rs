//! `bd up` with a listener that asks for a login, and the commands that log in there.

mod support;

use rustix::process::Signal;
use std::path::Path;
use support::{Up, dir, eventually, run, stdout};

fn up(data: &Path) -> Up {
    let set = |value: &'static str| ["--set", value];
    let settings = [
        set("listeners=CLIENTS://127.0.0.1:0"),
        set("listener.security.protocol.map=CLIENTS:SASL_PLAINTEXT"),
        set("users={admin: secret, ann: hers}"),
        set("super.users=User:admin"),
    ];
    Up::cluster_with(data, &settings.concat())
}

/// The options by which a command logs in.
fn login(at: &Up, user: &str, password: &str) -> Vec<String> {
    let property = |text: String| ["--property".to_owned(), text];
    let properties = [
        property("security.protocol=SASL_PLAINTEXT".into()),
        property("sasl.mechanism=SCRAM-SHA-256".into()),
        property(format!("sasl.username={user}")),
        property(format!("sasl.password={password}")),
    ];
    [vec!["--bootstrap".to_owned(), at.cluster.clone()], properties.concat()].concat()
}

fn with<'a>(args: &[&'a str], login: &'a [String]) -> Vec<&'a str> {
    args.iter().copied().chain(login.iter().map(String::as_str)).collect()
}

#[test]
fn who_logs_in_may_do_what_rules_say_also_after_a_restart() {
    let data = dir();
    let first = up(data.path());
    let (admin, ann) = (login(&first, "admin", "secret"), login(&first, "ann", "hers"));
    let told = |args: &[&str]| String::from_utf8(run(args).stderr).unwrap();
    stdout(&with(&["topics", "create", "orders"], &admin));
    let refused = told(&with(&["topics", "create", "mine"], &ann));
    assert!(refused.contains("AUTHORIZATION_FAILED"), "{refused}");
    let wrong = told(&with(&["topics", "list"], &login(&first, "ann", "wrong")));
    assert!(wrong.contains("invalid credentials with SASL mechanism SCRAM-SHA-256"), "{wrong}");
    let seen = |at: &[String]| stdout(&with(&["topics", "list"], at)).contains("orders");
    assert!(seen(&admin) && !seen(&ann), "what one may not describe is not there");
    stdout(&with(&["acls", "add", "--allow", "User:ann", "--producer", "--topic", "orders"], &admin));
    assert!(seen(&ann));
    first.signal(Signal::TERM);
    first.wait();
    let second = up(data.path());
    assert!(seen(&login(&second, "ann", "hers")));
}

#[test]
fn a_new_certificate_is_taken_on_sighup_and_a_wrong_one_is_not() {
    let data = dir();
    let path = |name: &str| data.path().join(name).to_str().unwrap().to_owned();
    let renew = |ca: &str| {
        let pair = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        std::fs::write(path(ca), pair.cert.pem()).unwrap();
        let store = format!("{}{}", pair.signing_key.serialize_pem(), pair.cert.pem());
        std::fs::write(path("store.pem"), store).unwrap();
    };
    renew("first.pem");
    let store = format!("ssl.keystore.location={}", path("store.pem"));
    let up = Up::cluster_with(
        Path::new(&path("data")),
        &["--set", "listeners=SSL://127.0.0.1:0", "--set", &store],
    );
    let trusts = |ca: &str| {
        let ca = format!("ssl.ca.location={}", path(ca));
        let tls = ["--property", "security.protocol=SSL", "--property", &ca];
        let timeout = ["--property", "request.timeout.ms=2000"];
        run(&[&["topics", "list", "--bootstrap", &up.cluster][..], &tls, &timeout].concat()).status.success()
    };
    assert!(trusts("first.pem"));
    renew("second.pem");
    up.signal(Signal::HUP);
    eventually("the new certificate is used", || trusts("second.pem").then_some(()));
    assert!(!trusts("first.pem"));
    std::fs::write(path("store.pem"), "no certificate").unwrap();
    up.signal(Signal::HUP);
    assert!(trusts("second.pem"), "the old one stays in use");
}
