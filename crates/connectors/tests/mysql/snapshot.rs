//! Snapshots, and the seam between them and the binlog.

use crate::server::Server;
use crate::world::World;
use serde_json::json;
use std::time::Duration;

const USERS: &str = "CREATE TABLE users (user_id INT PRIMARY KEY, name VARCHAR(50) NOT NULL, age INT);\n";

#[test]
fn a_snapshot_gives_every_row_and_marks_the_last_one() {
    let server = Server::start();
    server.sql(&format!(
        "{USERS}CREATE TABLE empty (id INT);\nINSERT INTO users VALUES (1, 'ketan', 55), (2, 'vihaan', NULL)"
    ));
    let mut world = World::new(&server);
    world.open();
    world.until_count(2);
    let first = &world.records[0];
    assert_eq!((first.topic.as_str(), &first.key), ("p.tv.users", &json!({"user_id": 1})));
    assert_eq!(first.value["op"], json!("r"));
    assert_eq!(first.value["before"], json!(null));
    assert_eq!(first.value["after"], json!({"user_id": 1, "name": "ketan", "age": 55}));
    let source = &first.value["source"];
    assert_eq!(source["snapshot"], json!("true"));
    assert_eq!((&source["connector"], &source["name"]), (&json!("mariadb"), &json!("p")));
    assert_eq!((&source["db"], &source["table"]), (&json!("tv"), &json!("users")));
    assert_eq!(source["file"], json!(server.value("SHOW MASTER STATUS")));
    assert_eq!(world.records[1].value["source"]["snapshot"], json!("last"));
    assert_eq!(world.records[1].value["after"]["age"], json!(null));
    assert!(world.place().get("snapshot").is_none(), "{:?}", world.place());
}

#[test]
fn no_change_is_lost_or_doubled_between_snapshot_and_binlog_under_writes() {
    for locking in ["minimal", "none"] {
        let server = Server::start();
        let rows =
            |from: i64| (from..from + 500).map(|i| format!("({i}, 'u', 0)")).collect::<Vec<_>>().join(",");
        server.sql(&format!("{USERS}INSERT INTO users VALUES {}", rows(0)));
        let writes = (0..600).map(|i| match i % 3 {
            0 => format!("INSERT INTO users VALUES ({}, 'new', {i})", 1000 + i),
            1 => format!("UPDATE users SET age = age + 1 WHERE user_id = {}", i % 500),
            _ => format!("DELETE FROM users WHERE user_id = {}", (i * 7) % 500),
        });
        let mut world =
            World::new(&server).with("snapshot.locking.mode", locking).with("max.batch.size", "50");
        let writer = server.write_in_background(writes.collect());
        world.open();
        world.until(|records| records.len() > 600);
        writer.join().unwrap();
        world.until_marker(&server, 1);
        let table = world.table("p.tv.users");
        let sum = |value: &str| server.value(&format!("SELECT CAST({value} AS CHAR) FROM tv.users"));
        assert_eq!(table.len().to_string(), sum("COUNT(*)"));
        let ages: i64 = table.values().map(|row| row["age"].as_i64().unwrap()).sum();
        assert_eq!(ages.to_string(), sum("SUM(age)"));
        // Counting up by one each time: a change given twice or left out would leave a step in `before`.
        for record in world.records.iter().filter(|r| r.value["op"] == json!("u")) {
            let (before, after) = (&record.value["before"]["age"], &record.value["after"]["age"]);
            assert_eq!(before.as_i64().unwrap() + 1, after.as_i64().unwrap());
        }
        let snapshot = world.records.iter().filter(|r| r.value["op"] == json!("r")).count();
        let created = world.records.iter().filter(|r| r.value["op"] == json!("c")).count();
        let in_snapshot = world
            .records
            .iter()
            .filter(|r| r.value["op"] == json!("r") && r.key["user_id"].as_i64() >= Some(1000))
            .count();
        assert_eq!(created + in_snapshot, 200, "of {snapshot} rows in the snapshot");
    }
}

#[test]
fn a_snapshot_that_was_cut_off_begins_anew() {
    let server = Server::start();
    let rows: Vec<String> = (0..1000).map(|i| format!("({i}, 'u', 0)")).collect();
    server.sql(&format!("{USERS}INSERT INTO users VALUES {}", rows.join(",")));
    let mut world = World::new(&server).with("max.batch.size", "100");
    world.open();
    world.until(|records| records.len() >= 300);
    assert_eq!(world.place()["snapshot"], json!(true));
    world.close();
    server.sql("DROP TABLE IF EXISTS nothing;\nDELETE FROM users WHERE user_id >= 10");
    world.records.clear();
    world.open();
    world.until_count(10);
    assert!(world.records.iter().all(|r| r.value["op"] == json!("r")));
    world.open();
    assert_eq!(
        world.poll(Duration::from_millis(300)).unwrap(),
        0,
        "a snapshot that is done is not taken again"
    );
}

#[test]
fn a_snapshot_without_data_goes_on_with_the_changes_from_now_on() {
    let server = Server::start();
    server.sql(&format!("{USERS}INSERT INTO users VALUES (1, 'old', 1)"));
    let mut world = World::new(&server).with("snapshot.mode", "no_data");
    world.open();
    world.until_streaming();
    server.sql("INSERT INTO users VALUES (2, 'new', 2)");
    world.until_count(1);
    assert_eq!(world.records[0].after()["name"], json!("new"));
}

#[test]
fn without_a_snapshot_the_binlog_is_read_from_its_beginning() {
    let server = Server::start();
    server.sql(&format!("{USERS}INSERT INTO users VALUES (1, 'old', 1);\nUPDATE users SET age = 2"));
    let mut world = World::new(&server).with("snapshot.mode", "never");
    world.open();
    world.until_count(2);
    let ops: Vec<&str> = world.records.iter().map(|r| r.value["op"].as_str().unwrap()).collect();
    assert_eq!(ops, ["c", "u"]);
}

#[test]
fn a_user_without_the_right_to_lock_gets_its_snapshot_too() {
    let server = Server::start();
    server.sql(&format!(
        "{USERS}INSERT INTO users VALUES (1, 'a', 1);
CREATE USER small@'%' IDENTIFIED BY 'small';
GRANT SELECT, REPLICATION SLAVE, BINLOG MONITOR ON *.* TO small@'%';
"
    ));
    let mut world = World::new(&server).with("database.user", "small").with("database.password", "small");
    world.open();
    world.until_count(1);
    server.sql("INSERT INTO users VALUES (2, 'b', 1)");
    world.until_count(2);
}
