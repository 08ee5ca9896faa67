//! Statements: what they say, what they refuse, and what stays after them.

use bd_e2e::small::{Small, rec};
use bd_schema::Value;

const S: &str = "CREATE STREAM s (id BIGINT, name VARCHAR) WITH (kafka_topic = 's', value_format = 'JSON', partitions = 2);";

#[test]
fn a_source_that_a_query_reads_is_not_dropped() {
    let small = Small::new();
    small.sql(S);
    small.sql("CREATE STREAM a AS SELECT id FROM s EMIT CHANGES;");
    assert_eq!(
        small.fails("DROP STREAM s;"),
        "Cannot drop s.\nThe following queries read from this source: [CSAS_A_1].\nYou need to terminate them before dropping s."
    );
    assert_eq!(small.done("TERMINATE CSAS_A_1;"), "Query terminated.");
    assert_eq!(small.fails("TERMINATE CSAS_A_1;"), "Unknown queryId: CSAS_A_1");
    assert_eq!(small.done("DROP STREAM s;"), "Source `s` (topic: s) was dropped.");
    assert!(small.cluster.topic("s").unwrap().is_some(), "its topic stays");
    assert!(small.fails("DROP STREAM s;").contains("s"));
    small.sql("DROP STREAM IF EXISTS s;");
}

#[test]
fn dropping_a_stream_ends_its_query_and_deletes_its_state_and_its_topic_where_asked() {
    let mut small = Small::new();
    small.sql(S);
    small.sql("CREATE STREAM a AS SELECT id FROM s EMIT CHANGES;");
    small.sql("DROP STREAM a DELETE TOPIC;");
    assert!(small.cluster.topic("a").unwrap().is_none());
    assert!(small.cluster.topics().unwrap().iter().all(|t| !t.name.contains("changelog")));
    assert_eq!(small.engine.queries().len(), 0);
    small.reopen();
    assert_eq!(small.engine.queries().len(), 0);
    assert_eq!(small.listing("SHOW STREAMS;").len(), 1);
}

#[test]
fn ensure_keeps_what_is_there_in_the_same_words_and_refuses_others() {
    let mut small = Small::new();
    let all = format!("{S}\nCREATE STREAM a AS\n  SELECT id FROM s EMIT CHANGES;");
    small.engine.ensure(&all).unwrap();
    let ids = |small: &Small| small.engine.queries().iter().map(|q| q.status.id.clone()).collect::<Vec<_>>();
    let before = ids(&small);
    small.engine.ensure(&all.replace('\n', "  ")).unwrap();
    small.reopen();
    small.engine.ensure(&all).unwrap();
    assert_eq!(ids(&small), before);
    let Err(said) = small.engine.ensure("CREATE STREAM a AS SELECT name FROM s EMIT CHANGES;") else {
        panic!("other words must be refused")
    };
    assert!(said.to_string().contains("a is there already, created by another statement"), "{said}");
}

#[test]
fn partitions_that_differ_from_the_topics_are_refused_and_nothing_is_created() {
    let small = Small::new();
    small.topic("s", 3);
    let said = small.fails(S);
    assert!(said.contains("It has 3 partitions, the statement says 2"), "{said}");
    assert_eq!(small.listing("SHOW STREAMS;").len(), 0);
    small.sql("CREATE STREAM s (id BIGINT) WITH (kafka_topic = 's', value_format = 'JSON');");
    small.sql("CREATE STREAM a AS SELECT id FROM s EMIT CHANGES;");
    assert_eq!(small.cluster.topic("a").unwrap().unwrap().partitions, 3, "as many as its source has");
}

#[test]
fn show_describe_and_explain_tell_what_there_is() {
    let small = Small::new();
    small.sql(S);
    small.sql("CREATE TABLE n AS SELECT id, COUNT(*) AS n FROM s GROUP BY id EMIT CHANGES;");
    assert_eq!(small.listing("SHOW STREAMS;"), [["s", "s", "NONE", "JSON"]]);
    assert_eq!(small.listing("SHOW TABLES;")[0][..2], ["n", "n"]);
    assert!(small.listing("SHOW TOPICS;").contains(&vec!["s".into(), "2".into()]));
    assert!(small.listing("SHOW TOPICS;").iter().all(|t| !t[0].starts_with("_bd_")));
    let queries = small.listing("SHOW QUERIES;");
    assert_eq!((queries.len(), queries[0][0].as_str(), queries[0][2].as_str()), (1, "CTAS_N_1", "n"));
    assert_eq!(small.listing("DESCRIBE s;"), [["id", "BIGINT"], ["name", "VARCHAR"]]);
    assert_eq!(small.listing("DESCRIBE n;"), [["id", "BIGINT (primary key)"], ["n", "BIGINT"]]);
    let extended = small.text("DESCRIBE n EXTENDED;");
    assert!(extended.contains("Written by   : CTAS_N_1"), "{extended}");
    assert!(small.text("DESCRIBE s EXTENDED;").contains("Read by      : CTAS_N_1"));
    assert!(small.text("EXPLAIN CTAS_N_1;").contains("Aggregate"));
    assert!(small.text("EXPLAIN SELECT id FROM s EMIT CHANGES;").contains("s"));
    assert_eq!(small.fails("EXPLAIN CTAS_X_9;"), "Unknown queryId: CTAS_X_9");
}

#[test]
fn rows_that_are_inserted_can_be_selected() {
    let small = Small::new();
    small.sql("CREATE TABLE t (id BIGINT PRIMARY KEY, name VARCHAR) WITH (kafka_topic = 't', value_format = 'JSON', partitions = 3);");
    small.sql("INSERT INTO t (id, name) VALUES (1, 'žluť'); INSERT INTO t (name, id) VALUES (NULL, 2); INSERT INTO t VALUES (1, 'x');");
    assert_eq!(
        small.pull("SELECT id, name FROM t ORDER BY id;"),
        [vec![Value::BigInt(1), Value::Varchar("x".into())], vec![Value::BigInt(2), Value::Null]]
    );
    small.sql(S);
    small.sql("CREATE STREAM a AS SELECT id FROM s EMIT CHANGES; INSERT INTO s VALUES (7, 'seven');");
    assert_eq!(small.values("a", 1), [r#"{"id":7}"#]);
}

#[test]
fn statements_before_one_that_fails_stay() {
    let small = Small::new();
    assert!(
        small
            .engine
            .execute(&format!("{S} CREATE STREAM a AS SELECT nothing FROM s EMIT CHANGES;"), true)
            .is_err()
    );
    assert_eq!(small.listing("SHOW STREAMS;").len(), 1);
    assert!(small.cluster.topic("a").unwrap().is_none());
    small.put("s", &[rec("{}")]);
}

#[test]
fn a_query_whose_source_topic_is_deleted_says_so() {
    let small = Small::new();
    small.sql(S);
    small.sql("CREATE STREAM a AS SELECT id FROM s EMIT CHANGES; INSERT INTO s VALUES (7, 'seven');");
    small.wait_rows("a", 1);
    small.cluster.delete_topic("s").unwrap();
    small.wait_query("a", "fails", |q| q.status.state().to_string() == "ERROR");
    let state = &small.listing("SHOW QUERIES;")[0][1];
    assert!(state.contains("topic s does not exist"), "{state}");
    small.sql("DROP STREAM a;");
}
