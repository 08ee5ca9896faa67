//! Changes as they are committed.

use crate::server::Server;
use crate::world::{World, plugin};
use serde_json::json;
use std::time::{Duration, Instant};

const USERS: &str = "CREATE TABLE users (user_id INT PRIMARY KEY, name VARCHAR(50));\n";

#[test]
fn inserts_updates_deletes_and_key_changes_become_their_records() {
    let gtid = changes(&Server::start());
    assert!(gtid.starts_with("0-1-"), "{gtid}");
}

/// Gives the id of the first transaction.
pub(crate) fn changes(server: &Server) -> String {
    server.sql(USERS);
    let mut world = World::new(server);
    world.open();
    world.until_marker(server, 1);
    server.sql(
        "INSERT INTO users VALUES (1, 'a');
UPDATE users SET name = 'b';
UPDATE users SET user_id = 2;
DELETE FROM users;
TRUNCATE TABLE users",
    );
    world.until_marker(server, 2);
    let expected = [
        r#"c {"user_id":1} null {"user_id":1,"name":"a"}"#,
        r#"u {"user_id":1} {"user_id":1,"name":"a"} {"user_id":1,"name":"b"}"#,
        r#"d {"user_id":1} {"user_id":1,"name":"b"} null"#,
        r#"tombstone {"user_id":1}"#,
        r#"c {"user_id":2} null {"user_id":2,"name":"b"}"#,
        r#"d {"user_id":2} {"user_id":2,"name":"b"} null"#,
        r#"tombstone {"user_id":2}"#,
    ];
    assert_eq!(world.lines(), expected);
    let source = &world.records[0].value["source"];
    assert_eq!(source["snapshot"], json!("false"));
    assert_eq!(source["server_id"], json!(1));
    assert!(source["ts_ms"].as_i64().unwrap() > 1_600_000_000_000);
    assert!(source["pos"].as_i64().unwrap() > 4);
    source["gtid"].as_str().unwrap().to_owned()
}

#[test]
fn tombstones_can_be_left_out_and_tables_without_a_key_have_none() {
    let server = Server::start();
    server.sql(&format!("{USERS}CREATE TABLE free (a INT)"));
    let mut world = World::new(&server).with("tombstones.on.delete", "false");
    world.open();
    world.until_marker(&server, 1);
    server.sql("INSERT INTO users VALUES (1, 'a');\nDELETE FROM users;\nINSERT INTO free VALUES (1);\nDELETE FROM free");
    world.until_marker(&server, 2);
    let expected = [
        r#"c {"user_id":1} null {"user_id":1,"name":"a"}"#,
        r#"d {"user_id":1} {"user_id":1,"name":"a"} null"#,
        r#"c null null {"a":1}"#,
        r#"d null {"a":1} null"#,
    ];
    assert_eq!(world.lines(), expected);
}

#[test]
fn only_captured_tables_and_columns_are_given() {
    let server = Server::start();
    server.sql(
        "CREATE TABLE users (id INT PRIMARY KEY, a INT, secret GEOMETRY);
CREATE TABLE users2 (id INT PRIMARY KEY, place POINT);
CREATE DATABASE other;
CREATE TABLE other.users (id INT PRIMARY KEY);
INSERT INTO users VALUES (1, 1, POINT(1, 2))",
    );
    let mut world = World::new(&server)
        .with("table.include.list", r"tv\.users,tv\.marker")
        .with("column.exclude.list", r".*\.secret");
    world.open();
    world.until_count(1);
    server.sql(
        "INSERT INTO users2 VALUES (1, POINT(1, 2));
INSERT INTO other.users VALUES (1);
UPDATE users SET a = 2, secret = NULL;
INSERT INTO users VALUES (2, 3, POINT(3, 4))",
    );
    world.until_marker(&server, 1);
    let expected = [
        r#"r {"id":1} null {"id":1,"a":1}"#,
        r#"u {"id":1} {"id":1,"a":1} {"id":1,"a":2}"#,
        r#"c {"id":2} null {"id":2,"a":3}"#,
    ];
    assert_eq!(world.lines(), expected);
}

#[test]
fn a_change_is_given_within_milliseconds_and_a_heartbeat_in_its_time() {
    let server = Server::start();
    server.sql(USERS);
    let mut world = World::new(&server).with("heartbeat.interval.ms", "50");
    world.open();
    world.until_marker(&server, 1);
    world.until(|records| {
        records.iter().any(|r| r.topic == "__debezium-heartbeat.p" && r.key == json!({"serverName": "p"}))
    });
    let mut fastest = Duration::MAX;
    for i in 0..10 {
        let writer = server.write_in_background(vec![format!("INSERT INTO users VALUES ({i}, 'a')")]);
        writer.join().unwrap();
        let written = Instant::now();
        world.until(|records| records.iter().any(|r| r.key == json!({"user_id": i})));
        fastest = fastest.min(written.elapsed());
    }
    assert!(fastest < Duration::from_millis(50), "{fastest:?}");
}

#[test]
fn a_large_transaction_comes_in_polls_of_a_bounded_size() {
    let server = Server::start();
    server.sql(USERS);
    let mut world = World::new(&server).with("max.batch.size", "300");
    world.open();
    world.until_marker(&server, 1);
    server.sql("INSERT INTO users SELECT seq, REPEAT('x', 50) FROM seq_1_to_5000");
    let mut largest = 0;
    while world.records.len() < 5000 {
        largest = largest.max(world.poll(Duration::from_secs(5)).unwrap());
    }
    assert!(largest <= 600, "{largest}");
    let keys: Vec<i64> = world.records.iter().map(|r| r.key["user_id"].as_i64().unwrap()).collect();
    assert_eq!(keys, (1..=5000).collect::<Vec<_>>());
}

#[test]
fn both_connectors_are_there_and_say_what_does_not_fit() {
    let mysql = plugin("io.debezium.connector.mysql.MySqlConnector");
    let config = bd_connect::sdk::Config::default()
        .with("topic.prefix", "a b")
        .with("database.hostname", "h")
        .with("database.user", "u")
        .with("snapshot.mode", "recovery")
        .with("message.key.columns", "x")
        .with("table.include.list", "(");
    let errors: Vec<String> = mysql.validate(&config).iter().map(ToString::to_string).collect();
    for key in ["topic.prefix", "snapshot.mode", "message.key.columns", "table.include.list"] {
        assert!(errors.iter().any(|e| e.starts_with(key)), "{key}: {errors:?}");
    }
    let good = config
        .with("topic.prefix", "p")
        .with("snapshot.mode", "initial")
        .with("message.key.columns", "")
        .with("table.include.list", "");
    assert_eq!(mysql.validate(&good), []);
}
