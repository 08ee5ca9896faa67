//! Drains: queries end, stay ended, and later ones run on.

use bd_e2e::small::{Rec, Small, rec};
use bd_engine::runtime::status::QueryState;
use bd_schema::Value;

const S: &str =
    "CREATE STREAM s (id BIGINT) WITH (kafka_topic = 's', value_format = 'JSON', partitions = 1);";

fn row(id: i64) -> Rec {
    rec(&format!(r#"{{"id":{id}}}"#)).at(id)
}

fn ids(small: &Small, topic: &str, rows: usize) -> Vec<i64> {
    small.wait_rows(topic, rows).iter().map(|r| r.json()["id"].as_i64().unwrap()).collect()
}

#[test]
fn a_drained_query_stays_completed_and_its_table_can_be_pulled_and_a_second_drain_ends_those_created_since() {
    let mut small = Small::new();
    small.sql(S);
    small.sql(
        "CREATE STREAM a AS SELECT id FROM s EMIT CHANGES;
         CREATE TABLE n AS SELECT id, COUNT(*) AS n FROM a GROUP BY id EMIT CHANGES;",
    );
    small.put("s", &[row(1), row(2), row(2)]);
    small.drain();
    small.drain();
    small.put("s", &[row(3)]);
    small.reopen();
    small.wait_completed("a");
    small.wait_completed("n");
    assert_eq!(small.pull("SELECT n FROM n WHERE id = 2;"), [vec![Value::BigInt(2)]]);

    small.sql("CREATE STREAM b AS SELECT id FROM s EMIT CHANGES;");
    assert_eq!(ids(&small, "b", 4), [1, 2, 2, 3]);
    small.put("s", &[row(4)]);
    assert_eq!(ids(&small, "b", 5), [1, 2, 2, 3, 4]);
    assert_eq!(small.query("b").status.state(), QueryState::Running);
    small.drain();
    small.put("s", &[row(5)]);
    small.reopen();
    small.wait_completed("b");
    assert_eq!(ids(&small, "b", 5).len(), 5);
    assert_eq!(ids(&small, "a", 3), [1, 2, 2], "it reads no more");
}

#[test]
fn a_query_reads_what_a_terminated_one_has_written_to_its_end() {
    let mut small = Small::new();
    small.sql(S);
    small.sql(
        "CREATE STREAM a AS SELECT id FROM s EMIT CHANGES; CREATE STREAM b AS SELECT id FROM a EMIT CHANGES;",
    );
    small.put("s", &[row(1), row(2)]);
    small.wait_rows("a", 2);
    let id = small.query("a").status.id.clone();
    small.sql(&format!("TERMINATE {id};"));
    small.drain();
    assert_eq!(ids(&small, "b", 2), [1, 2]);
    small.reopen();
    small.wait_completed("b");
}

#[test]
fn a_topic_that_is_written_anew_is_not_at_its_end_though_an_earlier_query_was() {
    for delete in ["", " DELETE TOPIC"] {
        let small = Small::new();
        small.sql(S);
        small.sql("CREATE STREAM a AS SELECT id FROM s EMIT CHANGES;");
        small.put("s", &[row(1), row(2)]);
        small.drain();
        small.sql(&format!("DROP STREAM a{delete};"));
        small.sql("CREATE STREAM a AS SELECT id + 10 AS id FROM s EMIT CHANGES; CREATE STREAM b AS SELECT id FROM a EMIT CHANGES;");
        let old = if delete.is_empty() { 2 } else { 0 };
        assert_eq!(ids(&small, "b", 2 + old)[old..], [11, 12]);
        small.put("s", &[row(3)]);
        assert_eq!(ids(&small, "b", 3 + old)[2 + old..], [13], "after{delete}");
    }
}

#[test]
fn two_queries_do_not_write_one_topic() {
    let small = Small::new();
    small.sql(S);
    small.sql("CREATE STREAM a AS SELECT id FROM s EMIT CHANGES;");
    let said = small.fails("CREATE STREAM b WITH (kafka_topic = 'a') AS SELECT id FROM s EMIT CHANGES;");
    assert!(said.contains("Topic a is written by query CSAS_A_1"), "{said}");
}
