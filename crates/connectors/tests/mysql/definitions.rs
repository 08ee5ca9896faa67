//! Tables that change while they are captured.

use crate::server::Server;
use crate::world::World;
use bd_connect::sdk::TaskError;
use serde_json::json;

const USERS: &str =
    "CREATE TABLE users (user_id INT PRIMARY KEY, name VARCHAR(50));\nINSERT INTO users VALUES (1, 'a');\n";

fn afters(world: &World) -> Vec<String> {
    world.records.iter().map(|r| r.after().to_string()).collect()
}

#[test]
fn a_column_is_added_while_the_task_runs() {
    let server = Server::start();
    server.sql(USERS);
    let mut world = World::new(&server);
    world.open();
    world.until_count(1);
    server.sql(
        "INSERT INTO users VALUES (2, 'b');
ALTER TABLE users ADD COLUMN city VARCHAR(20) NOT NULL DEFAULT 'here' AFTER user_id;
INSERT INTO users VALUES (3, 'there', 'c');
UPDATE users SET name = 'z' WHERE user_id = 1",
    );
    world.until_marker(&server, 1);
    let expected = [
        r#"{"user_id":1,"name":"a"}"#,
        r#"{"user_id":2,"name":"b"}"#,
        r#"{"user_id":3,"city":"there","name":"c"}"#,
        r#"{"user_id":1,"city":"here","name":"z"}"#,
    ];
    assert_eq!(afters(&world), expected);
}

#[test]
fn a_backlog_is_read_by_the_definitions_of_its_time() {
    backlog(&Server::start());
}

pub(crate) fn backlog(server: &Server) {
    server.sql(USERS);
    let mut world = World::new(server).with("max.batch.size", "1");
    world.open();
    world.until_marker(server, 1);
    world.close();
    world.records.clear();
    server.sql(
        "INSERT INTO users VALUES (2, 'b');
ALTER TABLE users ADD COLUMN age INT;
INSERT INTO users VALUES (3, 'c', 33);
ALTER TABLE users DROP COLUMN name, CHANGE age years BIGINT;
INSERT INTO users VALUES (4, 44);
RENAME TABLE users TO people;
INSERT INTO people VALUES (5, 55);
CREATE TABLE users (id VARCHAR(3) PRIMARY KEY, kind ENUM('x', 'y'));
INSERT INTO users VALUES ('k', 'y');
ALTER TABLE users MODIFY kind ENUM('w', 'x', 'y') FIRST;
INSERT INTO users VALUES ('w', 'l');
DROP TABLE users",
    );
    // A new task for each record: definitions are those of the offsets.
    for count in 1..=6 {
        world.open();
        world.until_count(count);
    }
    let expected = [
        r#"{"user_id":2,"name":"b"}"#,
        r#"{"user_id":3,"name":"c","age":33}"#,
        r#"{"user_id":4,"years":44}"#,
        r#"{"user_id":5,"years":55}"#,
        r#"{"id":"k","kind":"y"}"#,
        r#"{"kind":"w","id":"l"}"#,
    ];
    assert_eq!(afters(&world), expected);
    let topics: Vec<&str> = world.records.iter().map(|r| r.topic.as_str()).collect();
    assert_eq!(topics, ["p.tv.users", "p.tv.users", "p.tv.users", "p.tv.people", "p.tv.users", "p.tv.users"]);
}

#[test]
fn a_table_made_by_an_online_schema_change_takes_the_place_of_another() {
    let server = Server::start();
    server.sql(USERS);
    let mut world = World::new(&server).with("table.include.list", r"tv\.users,tv\.marker");
    world.open();
    world.until_count(1);
    server.sql(
        "CREATE TABLE _users_new LIKE users;
ALTER TABLE _users_new ADD city TEXT;
INSERT INTO _users_new (user_id, name) SELECT user_id, name FROM users;
RENAME TABLE users TO _users_old, _users_new TO users;
DROP TABLE _users_old;
UPDATE users SET city = 'c'",
    );
    world.until_marker(&server, 1);
    assert_eq!(world.records[1].after(), &json!({"user_id": 1, "name": "a", "city": "c"}));
    assert_eq!(world.records.len(), 2);
}

#[test]
fn a_table_made_from_a_query_is_known_by_its_logged_definition() {
    let server = Server::start();
    server.sql(USERS);
    let mut world = World::new(&server);
    world.open();
    world.until_count(1);
    server
        .sql("CREATE TABLE copies (PRIMARY KEY (user_id)) AS SELECT user_id, UPPER(name) AS big FROM users");
    world.until_marker(&server, 1);
    assert_eq!(world.records[1].line(), r#"c {"user_id":1} null {"user_id":1,"big":"A"}"#);
}

#[test]
fn a_type_that_is_not_built_is_refused_by_name_at_the_start_and_when_it_comes() {
    let server = Server::start();
    server.sql("CREATE TABLE users (id INT PRIMARY KEY, place POINT, home INET6)");
    let mut world = World::new(&server);
    world.open();
    let TaskError::Fatal(text) = world.until_error() else { panic!() };
    assert!(
        text.contains("tv.users")
            && text.contains("column place: type point")
            && text.contains("column home: type inet6"),
        "{text}"
    );

    let mut world = World::new(&server).with("column.exclude.list", r"tv\.users\.(place|home)");
    world.open();
    world.until_marker(&server, 1);
    server.sql("ALTER TABLE users ADD other UUID;\nINSERT INTO users (id) VALUES (1)");
    let TaskError::Fatal(text) = world.until_error() else { panic!() };
    assert!(text.contains("column other: type uuid"), "{text}");
}

#[test]
fn definitions_that_the_binlog_tells_stand_in_for_those_that_are_lost() {
    let server = Server::start_with(&["--binlog-row-metadata=FULL"]);
    described(&server);
}

/// Of a server with `binlog_row_metadata=FULL`.
pub(crate) fn described(server: &Server) {
    server.sql(
        "CREATE TABLE users (y YEAR, id INT UNSIGNED, n BIGINT, name VARCHAR(9) CHARACTER SET latin1, b BINARY(3), kind ENUM('x', 'ü'),
            t TEXT, d DECIMAL(5,2), s SET('a', 'b'), at DATETIME(3) NOT NULL, big BIGINT UNSIGNED, v VARBINARY(3), PRIMARY KEY (id, n))",
    );
    let mut world = World::new(server);
    world.open();
    world.until_marker(server, 1);
    let row = "(2018, 4294967295, -1, 'café', x'0102', 'ü', 'text', -1.5, 'a,b', '2018-06-20 06:37:03.123', 1, x'01')";
    server.sql(&format!("INSERT INTO users VALUES {row};\nDELETE FROM users"));
    world.until_marker(server, 2);
    let with = std::mem::take(&mut world.records);

    // The same by a task that has lost the definition.
    world.close();
    world.offsets.retain(|partition, _| !partition.contains("users"));
    server.sql(&format!("INSERT INTO users VALUES {row};\nDELETE FROM users"));
    world.open();
    world.until_marker(server, 3);
    let lines = |records: &[crate::world::Record]| records.iter().map(|r| r.line()).collect::<Vec<_>>();
    assert_eq!(lines(&world.records), lines(&with));
    assert_eq!(with.len(), 3);
    assert_eq!(with[0].after()["name"], json!("café"));
    assert!(world.offsets.keys().any(|partition| partition.contains("users")), "it is kept from now on");
}
