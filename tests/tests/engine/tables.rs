//! Tables: what a pull query sees, what a join looks up, and that they are loaded first.

use bd_e2e::small::{Rec, Small, rec};
use bd_schema::Value;

const USERS: &str = "CREATE TABLE users (id VARCHAR PRIMARY KEY, name VARCHAR) WITH (kafka_topic = 'users', value_format = 'JSON', partitions = 2);";
const S: &str =
    "CREATE STREAM s (id VARCHAR, n BIGINT) WITH (kafka_topic = 's', value_format = 'JSON', partitions = 1);";

fn user(id: &str, name: &str) -> Rec {
    rec(&format!(r#"{{"name":"{name}"}}"#)).key(id)
}

fn row(id: &str, n: i64) -> Rec {
    rec(&format!(r#"{{"id":"{id}","n":{n}}}"#))
}

fn text(s: &str) -> Value {
    Value::Varchar(s.into())
}

#[test]
fn a_pull_query_sees_what_is_committed_upserts_and_deletes_included() {
    let mut small = Small::new();
    small.sql(USERS);
    small.put("users", &[user("a", "Ann"), user("b", "Bob").to(1), user("a", "Anna")]);
    let all = "SELECT id, name FROM users ORDER BY id;";
    assert_eq!(small.pull(all), [vec![text("a"), text("Anna")], vec![text("b"), text("Bob")]]);
    small.put("users", &[user("b", "").to(1).tombstone(), user("c", "Cy")]);
    assert_eq!(small.pull(all), [vec![text("a"), text("Anna")], vec![text("c"), text("Cy")]]);
    small.reopen();
    assert_eq!(small.pull("SELECT name FROM users WHERE id = 'c';"), [vec![text("Cy")]]);
    assert_eq!(small.pull("SELECT id FROM users WHERE id = 'b';"), Vec::<Vec<Value>>::new());
}

#[test]
fn a_lookup_join_takes_the_row_that_is_current_when_the_streams_row_is_processed() {
    let mut small = Small::new();
    small.sql(USERS);
    small.sql(S);
    small.put("users", &[user("a", "Ann")]);
    small.sql("CREATE STREAM j AS SELECT s.n AS n, u.name AS name FROM s LEFT JOIN users u ON s.id = u.id EMIT CHANGES;");
    small.put("s", &[row("a", 1)]);
    small.wait_rows("j", 1);
    // A change is seen once it was read; the rows before it stay as they are.
    let changed = |small: &Small, rec: Rec, name: &str| {
        small.put("users", &[rec]);
        let mut n = small.wait_rows("j", 0).len();
        let wanted = format!("\"name\":{name}");
        loop {
            n += 1;
            small.put("s", &[row("a", n as i64)]);
            let rows = small.wait_rows("j", n);
            if String::from_utf8_lossy(rows[n - 1].value.as_deref().unwrap()).contains(&wanted) {
                return rows;
            }
        }
    };
    let rows = changed(&small, user("a", "Anna"), "\"Anna\"");
    assert_eq!(rows[0].json()["name"], "Ann");
    small.reopen();
    let n = small.wait_rows("j", 0).len();
    small.put("s", &[row("a", 100)]);
    assert_eq!(small.wait_rows("j", n + 1)[n].json()["name"], "Anna", "loaded before the first row");
    changed(&small, user("a", "").tombstone(), "null");
}

#[test]
fn a_join_waits_until_a_table_derived_over_two_steps_is_loaded() {
    let small = Small::new();
    small.sql(USERS);
    small.sql(S);
    let ids: Vec<String> = (0..2_000).map(|i| format!("u{i}")).collect();
    small.put("s", &ids.iter().enumerate().map(|(n, id)| row(id, n as i64)).collect::<Vec<_>>());
    small.put("users", &ids.iter().map(|id| user(id, "x")).collect::<Vec<_>>());
    small.sql(
        "CREATE TABLE once AS SELECT id, CONCAT(name, 'y') AS name FROM users EMIT CHANGES;
         CREATE TABLE twice AS SELECT id, CONCAT(name, 'z') AS name FROM once EMIT CHANGES;
         CREATE STREAM j AS SELECT s.n AS n, t.name AS name FROM s LEFT JOIN twice t ON s.id = t.id EMIT CHANGES;",
    );
    small.drain();
    let rows = small.wait_rows("j", 2_000);
    assert_eq!(rows.len(), 2_000);
    assert!(rows.iter().all(|r| r.json()["name"] == "xyz"));
}

#[test]
fn a_stream_and_a_table_over_one_topic_can_be_joined() {
    let mut small = Small::new();
    small.sql(USERS);
    small.sql("CREATE STREAM changes (id VARCHAR KEY, name VARCHAR) WITH (kafka_topic = 'users', value_format = 'JSON');");
    small.put("users", &[user("a", "Ann"), user("b", "Bob").to(1), user("a", "Anna")]);
    small.sql("CREATE STREAM j AS SELECT c.id AS id, c.name AS was, u.name AS name FROM changes c JOIN users u ON c.id = u.id EMIT CHANGES;");
    let expected =
        [r#""was":"Ann","name":"Anna""#, r#""was":"Anna","name":"Anna""#, r#""was":"Bob","name":"Bob""#];
    let mut got = small.values("j", 3);
    got.sort();
    assert_eq!(got.len(), 3);
    expected.iter().zip(&got).for_each(|(e, g)| assert!(g.contains(e), "{g} holds {e}"));
    small.reopen();
    small.put("users", &[user("c", "Cy")]);
    assert_eq!(small.values("j", 4).len(), 4);
}

#[test]
fn a_table_derived_from_a_table_takes_back_what_a_change_replaces_over_a_restart() {
    let mut small = Small::new();
    small.sql(USERS);
    small.sql("CREATE TABLE names AS SELECT name, COUNT(*) AS n FROM users GROUP BY name EMIT CHANGES;");
    small.put("users", &[user("a", "x"), user("b", "x").to(1), user("c", "y")]);
    small.wait_rows("names", 2);
    let n = |small: &Small, name: &str| small.pull(&format!("SELECT n FROM names WHERE name = '{name}';"));
    small.reopen();
    small.put("users", &[user("a", "y"), user("b", "").to(1).tombstone()]);
    small.drain();
    assert_eq!(n(&small, "y"), [vec![Value::BigInt(2)]]);
    assert_eq!(n(&small, "x"), Vec::<Vec<Value>>::new());
}
