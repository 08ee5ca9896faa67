//! Watermarks: over partitions, over topics, and with silent partitions.

use bd_e2e::small::{Rec, Small, rec};
use std::sync::atomic::Ordering;

const MINUTE: i64 = 60_000;

fn row(id: i64, t: i64) -> Rec {
    rec(&format!(r#"{{"id":{id},"t":{t},"g":0}}"#))
}

fn stream(name: &str, more: &str) -> String {
    format!(
        "CREATE STREAM {name} (id BIGINT, t BIGINT, g BIGINT) WITH (kafka_topic = '{name}', value_format = 'JSON', timestamp = 't'{more});"
    )
}

#[test]
fn an_outer_joins_null_row_comes_when_the_other_sides_watermark_has_passed_its_reach_across_topics() {
    let mut small = Small::new();
    small.sql(&stream("l", ""));
    small.sql(&stream("r", ""));
    small.sql("CREATE STREAM r2 AS SELECT id, t FROM r EMIT CHANGES;");
    small.sql(
        "CREATE STREAM j AS SELECT l.id AS id, r2.t AS t FROM l LEFT JOIN r2 WITHIN (0 SECONDS, 10 SECONDS) \
         ON l.id = r2.id EMIT CHANGES;",
    );
    small.put("l", &[row(1, 0), row(2, 0)]);
    // The watermark 10000 has not passed 10000: a partner may still come at that time.
    small.put("r", &[row(9, 10_000), row(1, 10_000)]);
    assert_eq!(small.values("j", 1), [r#"{"id":1,"t":10000}"#]);
    small.reopen();
    small.put("r", &[row(1, 10_000)]);
    assert_eq!(small.values("j", 2), [r#"{"id":1,"t":10000}"#; 2]);
    small.put("r", &[row(9, 10_001)]);
    assert_eq!(small.values("j", 3)[2], r#"{"id":2,"t":null}"#);
    small.drain();
    assert_eq!(small.values("j", 3).len(), 3);
}

#[test]
fn a_derived_streams_rows_are_never_late_however_they_are_mixed() {
    let small = Small::new();
    small.sql(&stream("s", ", partitions = 2"));
    let minutes = |p: i32, from: i64| (0..20).map(move |i| row(i, (from + i) * MINUTE).to(p));
    small.put("s", &minutes(0, 30).chain(minutes(1, 0)).collect::<Vec<_>>());
    small.sql(
        "CREATE STREAM d WITH (partitions = 1) AS SELECT id, t, g FROM s EMIT CHANGES;
         CREATE TABLE n AS SELECT g, COUNT(*) AS n FROM d WINDOW TUMBLING (SIZE 10 MINUTES) GROUP BY g EMIT FINAL;",
    );
    small.drain();
    let counts: Vec<i64> = small.wait_rows("n", 4).iter().map(|r| r.json()["n"].as_i64().unwrap()).collect();
    assert_eq!(counts, [10, 10, 10, 10]);
    assert!(small.cluster.topic("d-late").unwrap().is_none());
}

#[test]
fn a_silent_partition_holds_the_watermark() {
    let small = Small::new();
    small.sql(&stream("s", ", partitions = 2"));
    small.sql("CREATE TABLE n AS SELECT g, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 1 MINUTE) GROUP BY g EMIT FINAL;");
    small.put("s", &[row(1, 0), row(2, 5 * MINUTE)]);
    let read = |n: u64| {
        move |q: &bd_engine::runtime::engine::Query| q.status.metrics.records_in.load(Ordering::Relaxed) >= n
    };
    small.wait_query("n", "has read 2 records", read(2));
    small.put("s", &[row(3, 0).to(1)]);
    small.wait_query("n", "has read 3 records", read(3));
    small.put("s", &[row(3, 5 * MINUTE).to(1)]);
    let rows = small.wait_rows("n", 1);
    assert_eq!(rows[0].json()["n"], 2, "the silent partition's row counts in the first window");
}

#[test]
fn with_idle_timeout_a_silent_partition_does_not_hold_the_watermark_and_may_come_back() {
    let small = Small::new();
    small.sql(&stream("s", ", partitions = 2, idle_timeout = '50 MILLISECONDS'"));
    small.sql("CREATE TABLE n AS SELECT g, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 1 MINUTE) GROUP BY g EMIT FINAL;");
    small.put("s", &[row(1, 0), row(2, 5 * MINUTE)]);
    assert_eq!(small.wait_rows("n", 1)[0].json()["n"], 1);
    small.put("s", &[row(3, 6 * MINUTE).to(1), row(4, 7 * MINUTE).to(1), row(4, 7 * MINUTE)]);
    small.drain();
    assert_eq!(small.wait_rows("n", 4).len(), 4, "windows at 0, 5, 6 and 7 minutes");
}
