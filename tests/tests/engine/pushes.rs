//! Push queries.

use bd_e2e::small::{Rec, Small, pushed, rec};
use bd_engine::runtime::status::QueryState;
use bd_schema::Value;
use std::time::{Duration, Instant};

const S: &str =
    "CREATE STREAM s (id BIGINT) WITH (kafka_topic = 's', value_format = 'JSON', partitions = 1);";

fn row(id: i64) -> Rec {
    rec(&format!(r#"{{"id":{id}}}"#))
}

fn ids(ids: &[i64]) -> Vec<Vec<Value>> {
    ids.iter().map(|id| vec![Value::BigInt(*id)]).collect()
}

#[test]
fn one_from_the_beginning_gives_what_was_and_what_comes() {
    let small = Small::new();
    small.sql(S);
    small.put("s", &[row(1), row(2)]);
    let push = small.push("SELECT id FROM s EMIT CHANGES LIMIT 3;", true);
    assert_eq!(push.limit, Some(3));
    assert_eq!(pushed(&push, 2), ids(&[1, 2]));
    small.put("s", &[row(3)]);
    assert_eq!(pushed(&push, 1), ids(&[3]));
    assert!(small.engine.queries().is_empty(), "it is no persistent query");
    assert!(
        small.cluster.topics().unwrap().iter().all(|t| !t.name.contains("transient")),
        "and leaves nothing"
    );
}

#[test]
fn one_from_the_end_gives_only_what_comes() {
    let small = Small::new();
    small.sql(S);
    small.put("s", &[row(1), row(2)]);
    let push = small.push("SELECT id FROM s EMIT CHANGES;", false);
    let deadline = Instant::now() + Duration::from_secs(60);
    while push.status.state() != QueryState::Running {
        assert!(Instant::now() < deadline);
        push.status.wait_change(Duration::from_millis(20));
    }
    small.put("s", &[row(3)]);
    assert_eq!(pushed(&push, 1), ids(&[3]));
}

#[test]
fn dropping_it_ends_its_thread_even_while_rows_wait_for_a_reader() {
    let small = Small::with(bd_engine::runtime::query::QueryConfig {
        batch_rows: Some(1),
        ..bd_engine::runtime::query::QueryConfig::default()
    });
    small.sql(S);
    small.put("s", &(0..200).map(row).collect::<Vec<_>>());
    let push = small.push("SELECT id FROM s EMIT CHANGES;", true);
    pushed(&push, 1);
    let status = push.status.clone();
    drop(push);
    let deadline = Instant::now() + Duration::from_secs(60);
    while status.state() != QueryState::Stopped {
        assert!(Instant::now() < deadline, "{:?}", status.state());
        status.wait_change(Duration::from_millis(20));
    }
}

#[test]
fn an_aggregate_without_a_name_is_pushed_too() {
    let small = Small::new();
    small.sql(S);
    small.put("s", &[row(1), row(1), row(2)]);
    let push = small.push("SELECT id, COUNT(*) AS n FROM s GROUP BY id EMIT CHANGES;", true);
    let mut rows = pushed(&push, 2);
    rows.sort_by_key(|r| format!("{r:?}"));
    assert_eq!(rows, [vec![Value::BigInt(1), Value::BigInt(2)], vec![Value::BigInt(2), Value::BigInt(1)]]);
}
