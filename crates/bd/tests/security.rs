//! `bd up` with a listener that asks for a login, and the commands that log in there.

mod support;

use rustix::process::Signal;
use std::path::Path;
use support::{Up, dir, run, stdout};

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
