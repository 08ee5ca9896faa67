//! Each dead letter is written once, whoever reads the stream, and whoever did.

use bd_e2e::small::{Rec, Small, rec};
use std::sync::atomic::Ordering;

const S: &str =
    "CREATE STREAM s (id BIGINT) WITH (kafka_topic = 's', value_format = 'JSON', partitions = 1);";

fn bad(n: usize) -> Rec {
    rec(&format!("bad {n}"))
}

fn texts(n: usize) -> Vec<String> {
    (0..n).map(|n| format!("bad {n}")).collect()
}

fn wait_read(small: &Small, sink: &str, n: u64) {
    small.wait_query(sink, "has read the records", |q| {
        q.status.metrics.records_in.load(Ordering::Relaxed) >= n
    });
}

fn counted(small: &Small, sink: &str) -> u64 {
    small.query(sink).status.metrics.dead_letters.load(Ordering::Relaxed)
}

#[test]
fn when_the_query_that_writes_them_is_dropped_the_next_one_goes_on_where_it_stood() {
    let mut small = Small::new();
    small.sql(S);
    small.sql(
        "CREATE STREAM a AS SELECT id FROM s EMIT CHANGES; CREATE STREAM b AS SELECT id FROM s EMIT CHANGES;",
    );
    small.put("s", &[bad(0), bad(1)]);
    assert_eq!(small.values("s-dlq", 2), texts(2));
    wait_read(&small, "b", 2);
    assert_eq!((counted(&small, "a"), counted(&small, "b")), (2, 0), "each is counted once");
    small.sql("DROP STREAM a;");
    small.put("s", &[bad(2)]);
    assert_eq!(small.values("s-dlq", 3), texts(3));
    small.reopen();
    small.put("s", &[bad(3)]);
    assert_eq!(small.values("s-dlq", 4), texts(4));
    assert_eq!(small.wait_rows("s-dlq", 4)[3].header("__connect.errors.connector.name"), Some("CSAS_B_2"));
}

#[test]
fn a_query_that_starts_from_the_beginning_does_not_repeat_what_a_dropped_one_wrote() {
    let mut small = Small::new();
    small.sql(S);
    small.sql("CREATE STREAM a AS SELECT id FROM s EMIT CHANGES;");
    small.put("s", &[bad(0), bad(1)]);
    small.wait_rows("s-dlq", 2);
    let id = small.query("a").status.id.to_lowercase();
    small.sql(&format!("TERMINATE {id};"));
    small.put("s", &[bad(2)]);
    small.sql("CREATE STREAM b AS SELECT id FROM s EMIT CHANGES;");
    wait_read(&small, "b", 3);
    assert_eq!(small.values("s-dlq", 3), texts(3));
    small.reopen();
    small.put("s", &[bad(3)]);
    assert_eq!(small.values("s-dlq", 4), texts(4));
}

#[test]
fn after_a_drain_a_new_query_writes_those_that_came_since() {
    let mut small = Small::new();
    small.sql(S);
    small.sql(
        "CREATE STREAM a AS SELECT id FROM s EMIT CHANGES; CREATE STREAM b AS SELECT id FROM s EMIT CHANGES;",
    );
    small.put("s", &[bad(0), bad(1)]);
    small.drain();
    assert_eq!(small.values("s-dlq", 2), texts(2));
    small.put("s", &[bad(2)]);
    small.sql("CREATE STREAM c AS SELECT id FROM s EMIT CHANGES;");
    assert_eq!(small.values("s-dlq", 3), texts(3));
    small.drain();
    small.put("s", &[bad(3)]);
    small.reopen();
    small.sql("CREATE STREAM d AS SELECT id FROM s EMIT CHANGES;");
    assert_eq!(small.values("s-dlq", 4), texts(4));
}

#[test]
fn those_of_a_lookup_table_are_there_without_a_row_of_the_stream() {
    let mut small = Small::new();
    small.sql(S);
    small.sql("CREATE TABLE t (k VARCHAR PRIMARY KEY, v BIGINT) WITH (kafka_topic = 't', value_format = 'JSON', partitions = 1);");
    small.put("t", &[rec("bad 0").key("x")]);
    small.sql("CREATE STREAM j AS SELECT s.id AS id, t.v AS v FROM s JOIN t ON CAST(s.id AS VARCHAR) = t.k EMIT CHANGES;");
    assert_eq!(small.values("t-dlq", 1), texts(1));
    small.reopen();
    small.put("t", &[rec("bad 1").key("y")]);
    assert_eq!(small.values("t-dlq", 2), texts(2));
}
