//! Stops at any place, and goes on from there.

use crate::server::Server;
use crate::world::{Record, World};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// Two tables, rows events of several rows, updates of keys, statements that touch what is not captured.
const CHANGES: &str = "BEGIN;
INSERT INTO a VALUES (1, 1), (2, 2), (3, 3);
INSERT INTO unseen VALUES (1);
INSERT INTO b SELECT id, v FROM a;
UPDATE a SET v = v + 10;
UPDATE a SET id = id + 100 WHERE id <= 2;
DELETE FROM b WHERE id <> 2;
COMMIT;
INSERT INTO b VALUES (9, 9);
BEGIN;
INSERT INTO a VALUES (4, 4);
SAVEPOINT s;
INSERT INTO a VALUES (5, 5);
ROLLBACK TO s;
INSERT INTO a VALUES (6, 6), (7, 7);
COMMIT";

fn prepared(server: &Server) -> World {
    server.sql(
        "CREATE TABLE a (id INT PRIMARY KEY, v INT);
CREATE TABLE b (id INT PRIMARY KEY, v INT);
CREATE TABLE unseen (id INT PRIMARY KEY)",
    );
    let mut world = World::new(server).with("table.exclude.list", r"tv\.unseen");
    world.open();
    world.until_marker(server, 1);
    world.close();
    world
}

/// The records of each topic in their order: a poll groups them by topic.
fn by_topic(records: &[Record]) -> BTreeMap<String, Vec<(String, Json)>> {
    let mut topics: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for record in records {
        let line = (record.line(), record.value["source"].clone());
        topics.entry(record.topic.clone()).or_default().push(line);
    }
    topics
}

#[test]
fn after_a_stop_at_any_row_every_change_is_given_once() {
    stops(&Server::start());
}

pub(crate) fn stops(server: &Server) {
    let mut world = prepared(server);
    server.sql(CHANGES);
    let start = world.offsets.clone();
    world.open();
    world.until_marker(server, 2);
    let all = std::mem::take(&mut world.records);
    assert_eq!(all.len(), 3 + 3 + 3 + 2 * 3 + 2 * 2 + 1 + 1 + 2, "{all:#?}");

    // A poll for each change, and a new task after each of them.
    world.offsets = start.clone();
    world = world.with("max.batch.size", "1");
    let mut given = Vec::new();
    while given.len() < all.len() {
        world.records.clear();
        world.open();
        world.until(|records| !records.is_empty());
        assert!(world.records.len() <= 3);
        given.append(&mut world.records);
    }
    assert_eq!(by_topic(&given), by_topic(&all));

    // And with stops after a few.
    for step in 2..5 {
        world.offsets = start.clone();
        world = world.with("max.batch.size", "2");
        let mut given = Vec::new();
        while given.len() < all.len() {
            world.open();
            for _ in 0..step {
                if given.len() + world.records.len() < all.len() {
                    let before = world.records.len();
                    world.until(|records| records.len() > before);
                }
            }
            given.append(&mut world.records);
        }
        assert_eq!(by_topic(&given), by_topic(&all));
    }
}

#[test]
fn the_server_is_restarted_and_its_binlog_rotated_and_the_task_goes_on_by_itself() {
    let mut server = Server::start();
    let mut world = prepared(&server);
    world.open();
    server.sql("INSERT INTO a VALUES (1, 1);\nFLUSH BINARY LOGS;\nINSERT INTO a VALUES (2, 2)");
    world.until(|records| records.len() == 2);
    server.shutdown();
    server.launch();
    server.sql("FLUSH BINARY LOGS;\nINSERT INTO a VALUES (3, 3)");
    world.until_through_failures(|records| records.len() >= 3);
    server.kill();
    server.launch();
    server.sql("INSERT INTO a VALUES (4, 4)");
    world.until_through_failures(|records| records.len() >= 4);
    let keys: Vec<i64> = world.records.iter().map(|r| r.key["id"].as_i64().unwrap()).collect();
    assert_eq!(keys, [1, 2, 3, 4]);
    world.close();
    server.sql("FLUSH BINARY LOGS;\nINSERT INTO a VALUES (5, 5)");
    world.open();
    world.until_marker(&server, 3);
    assert_eq!(world.records.last().unwrap().key, json!({"id": 5}));
    assert_eq!(world.records.len(), 5);
}

#[test]
fn progress_is_committed_where_nothing_is_captured() {
    let server = Server::start();
    let mut world = prepared(&server);
    world.open();
    let before = world.place().clone();
    server.sql("CREATE TABLE later (id INT PRIMARY KEY);\nINSERT INTO unseen SELECT seq FROM seq_1_to_1000");
    let deadline = std::time::Instant::now() + crate::world::PATIENCE;
    while *world.place() == before {
        world.poll(std::time::Duration::from_millis(100)).unwrap();
        assert!(std::time::Instant::now() < deadline);
    }
    assert_eq!(world.records, []);
    assert!(world.offsets.contains_key(r#"{"server":"p","database":"tv","table":"later"}"#));
}
