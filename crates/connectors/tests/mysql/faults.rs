//! What goes wrong, and what is said about it.

use crate::server::Server;
use crate::world::{PATIENCE, World};
use bd_connect::sdk::TaskError;
use serde_json::json;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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

/// Passes bytes on to a server until it is told to pass none, without closing anything.
fn proxy(to: u16) -> (u16, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let silent = Arc::new(AtomicBool::new(false));
    let flag = silent.clone();
    let pass = move |mut from: TcpStream, mut to: TcpStream, flag: Arc<AtomicBool>| {
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                if !flag.load(Ordering::SeqCst) && to.write_all(&buffer[..count]).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(std::net::Shutdown::Both);
        });
    };
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (Ok(client), Ok(server)) = (client, TcpStream::connect(("127.0.0.1", to))) else { break };
            pass(client.try_clone().unwrap(), server.try_clone().unwrap(), flag.clone());
            pass(server, client, flag.clone());
        }
    });
    (port, silent)
}

#[test]
fn a_network_that_falls_silent_is_noticed_and_a_quiet_server_is_no_such_thing() {
    let server = Server::start();
    server.sql(USERS);
    let (port, silent) = proxy(server.port);
    let mut world = World::new(&server)
        .with("database.port", &port.to_string())
        .with("connect.keep.alive.interval.ms", "600");
    world.open();
    world.until_streaming();
    let quiet = Instant::now();
    while quiet.elapsed() < Duration::from_millis(1500) {
        assert_eq!(world.poll(Duration::from_millis(100)), Ok(0), "{:?}", world.lines());
    }
    silent.store(true, Ordering::SeqCst);
    server.sql("INSERT INTO users VALUES (2, 'b')");
    let error = world.until_error();
    assert!(
        matches!(&error, TaskError::Retriable(text) if text.contains("has said nothing for 600 ms")),
        "{error}"
    );
    silent.store(false, Ordering::SeqCst);
    world.open();
    world.until_count(2);
}

/// A table whose rows do not fit into what is read ahead.
fn large(server: &Server) {
    server.sql(
        "CREATE TABLE a (id INT PRIMARY KEY, t TEXT);
INSERT INTO a SELECT seq, REPEAT('x', 20000) FROM seq_1_to_1500",
    );
}

#[test]
fn a_server_that_dies_within_the_snapshot_is_worth_another_snapshot() {
    let mut server = Server::start();
    large(&server);
    let mut world = World::new(&server).with("max.batch.size", "10");
    world.open();
    world.until(|records| !records.is_empty());
    server.kill();
    let error = world.until_error();
    assert!(matches!(error, TaskError::Retriable(_)), "{error}");
    assert!(world.records.len() < 1500);
    server.launch();
    world.records.clear();
    world.open();
    world.until_count(1500);
    assert_eq!(world.records[1499].value["source"]["snapshot"], json!("last"));
}

#[test]
fn a_table_altered_within_the_snapshot_ends_with_its_present_rows() {
    let server = Server::start();
    large(&server);
    server.sql("CREATE TABLE b (id INT PRIMARY KEY, v INT);\nINSERT INTO b VALUES (1, 1)");
    let mut world = World::new(&server).with("max.batch.size", "10");
    world.open();
    world.until(|records| !records.is_empty());
    server.sql(
        "ALTER TABLE b ADD w INT NOT NULL DEFAULT 7 FIRST, ALGORITHM=COPY;
INSERT INTO b VALUES (7, 2, 2)",
    );
    let key = json!({"id": 2});
    world.until_through_failures(|records| records.iter().any(|r| r.key == key && r.topic == "p.tv.b"));
    assert_eq!(world.records.last().unwrap().after(), &json!({"w": 7, "id": 2, "v": 2}));
}
