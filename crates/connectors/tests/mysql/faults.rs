//! What goes wrong, and what is said about it.

use crate::server::Server;
use crate::world::{PATIENCE, World};
use bd_connect::sdk::TaskError;
use std::net::TcpListener;
use std::time::{Duration, Instant};

const USERS: &str =
    "CREATE TABLE users (user_id INT PRIMARY KEY, name VARCHAR(50));\nINSERT INTO users VALUES (1, 'a');\n";

fn fatal(world: &mut World) -> String {
    match world.until_error() {
        TaskError::Fatal(text) => text,
        other => panic!("{other}"),
    }
}

#[test]
fn a_wrong_password_is_fatal_and_says_so() {
    let server = Server::start();
    let mut world = World::new(&server).with("database.password", "wrong");
    world.open();
    let text = fatal(&mut world);
    assert!(text.contains("Access denied for user 'bd'") && text.contains("database.password"), "{text}");
    assert!(!text.contains("wrong"), "{text}");
}

#[test]
fn a_server_that_is_away_is_worth_another_try() {
    let server = Server::start();
    // A port where nobody listens, and one where nobody answers.
    let away = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for port in [away, silent.local_addr().unwrap().port()] {
        let mut world =
            World::new(&server).with("database.port", &port.to_string()).with("connect.timeout.ms", "300");
        world.open();
        let error = world.until_error();
        assert!(matches!(&error, TaskError::Retriable(text) if text.contains(&port.to_string())), "{error}");
    }
}

#[test]
fn a_purged_binlog_is_fatal_or_a_new_snapshot_as_configured() {
    let server = Server::start();
    server.sql(USERS);
    let mut world = World::new(&server);
    world.open();
    world.until_count(1);
    world.close();
    server.sql("INSERT INTO users VALUES (2, 'b');\nFLUSH BINARY LOGS");
    let last = server.value("SHOW MASTER STATUS");
    // A file stays as long as a client reads it, and the server has not seen yet that this one is gone.
    let deadline = Instant::now() + PATIENCE;
    while server.value("SHOW BINARY LOGS") != last {
        server.end_dumps();
        server.sql(&format!("PURGE BINARY LOGS TO '{last}'"));
        assert!(Instant::now() < deadline, "the binlog is not purged");
    }
    world.open();
    let text = fatal(&mut world);
    assert!(text.contains("is no longer available on the server") && text.contains("when_needed"), "{text}");

    world = world.with("snapshot.mode", "when_needed");
    world.open();
    world.until_count(3);
    assert_eq!(
        world.lines()[1..],
        [
            r#"r {"user_id":1} null {"user_id":1,"name":"a"}"#,
            r#"r {"user_id":2} null {"user_id":2,"name":"b"}"#,
        ]
    );
}

#[test]
fn settings_of_the_server_that_do_not_fit_are_named() {
    let cases = [
        ("--binlog-format=MIXED", "binlog_format=ROW"),
        ("--binlog-row-image=MINIMAL", "binlog_row_image=FULL"),
        ("--log-bin-compress=ON", "log_bin_compress=OFF"),
    ];
    for (option, named) in cases {
        let server = Server::start_with(&[option]);
        let mut world = World::new(&server);
        world.open();
        let text = fatal(&mut world);
        assert!(text.contains(named), "{text}");
    }
}

#[test]
fn a_session_that_logs_statements_or_compresses_rows_is_found_out() {
    let cases = [
        ("SET binlog_format = STATEMENT;\nINSERT INTO users VALUES (2, 'b')", "Received DML"),
        (
            "SET GLOBAL log_bin_compress_min_len = 10, GLOBAL log_bin_compress = ON;\nINSERT INTO users VALUES (2, REPEAT('b', 50))",
            "log_bin_compress",
        ),
        ("SET binlog_row_image = MINIMAL;\nUPDATE users SET name = 'c'", "binlog_row_image"),
    ];
    for (statements, named) in cases {
        let server = Server::start();
        server.sql(USERS);
        let mut world = World::new(&server);
        world.open();
        world.until_count(1);
        server.sql(statements);
        let text = fatal(&mut world);
        assert!(text.contains(named), "{text}");
    }
}

#[test]
fn a_task_that_is_to_stop_does_so_at_once() {
    let server = Server::start();
    server.sql(USERS);
    let mut world = World::new(&server);
    world.open();
    world.until_count(1);
    let started = Instant::now();
    world.close();
    assert!(started.elapsed() < Duration::from_secs(1));
}
