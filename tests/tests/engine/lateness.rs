//! When a row is late, what becomes of it, and of records that are no rows.

use bd_e2e::small::{Rec, Small, rec};

const S: &str = "CREATE STREAM s (id BIGINT, t BIGINT) WITH (kafka_topic = 's', value_format = 'JSON', \
    partitions = 2, timestamp = 't', lateness = '5 SECONDS');";

fn row(id: i64, t: i64) -> Rec {
    rec(&format!(r#"{{"id":{id},"t":{t}}}"#))
}

#[test]
fn a_row_is_late_by_the_rows_before_it_in_its_own_partition_and_goes_to_the_late_topic_once() {
    let small = Small::new();
    small.sql(S);
    small.put(
        "s",
        &[
            row(1, 100_000),
            row(2, 95_000), // at the bound
            row(3, 94_999), // a millisecond beyond it
            row(4, 10_000).to(1),
            row(5, 200_000).to(1),
            row(6, 195_000).to(1),
            row(7, 194_999).to(1),
            row(8, 95_000), // the other partition's times do not count, nor do late rows
        ],
    );
    small.sql("CREATE STREAM a AS SELECT id FROM s EMIT CHANGES; CREATE STREAM b AS SELECT id, t FROM s EMIT CHANGES;");
    small.drain();
    let ids = [1, 2, 4, 5, 6, 8].map(|id| format!(r#"{{"id":{id}}}"#));
    assert_eq!(small.values("a", 6), ids);
    assert_eq!(small.values("b", 6).len(), 6);
    assert_eq!(small.values("s-late", 2), [r#"{"id":3,"t":94999}"#, r#"{"id":7,"t":194999}"#]);
    assert_eq!(small.values("s-dlq", 0).len(), 0);
}

#[test]
fn the_bound_holds_over_a_restart() {
    let mut small = Small::new();
    small.sql(S);
    small.sql("CREATE STREAM a AS SELECT id FROM s EMIT CHANGES;");
    small.put("s", &[row(1, 100_000)]);
    small.wait_rows("a", 1);
    small.reopen();
    small.put("s", &[row(2, 94_999), row(3, 95_000)]);
    assert_eq!(small.values("a", 2), [r#"{"id":1}"#, r#"{"id":3}"#]);
    assert_eq!(small.values("s-late", 1), [r#"{"id":2,"t":94999}"#]);
}

#[test]
fn a_record_that_is_no_row_does_not_move_the_bound() {
    let small = Small::new();
    small.sql(
        "CREATE STREAM s (id BIGINT CHECK (id > 0), t BIGINT) WITH (kafka_topic = 's', value_format = 'JSON', timestamp = 't');
         CREATE STREAM a AS SELECT id FROM s EMIT CHANGES;",
    );
    small.put("s", &[row(1, 100), row(-1, 900), row(2, 100)]);
    small.drain();
    assert_eq!(small.values("a", 2), [r#"{"id":1}"#, r#"{"id":2}"#]);
    assert_eq!(small.values("s-dlq", 1), [r#"{"id":-1,"t":900}"#]);
}

#[test]
fn rejects_keep_key_value_timestamp_and_headers_and_say_where_they_come_from_in_connects_words() {
    let small = Small::new();
    small.sql(S);
    small.sql("CREATE STREAM a AS SELECT id FROM s EMIT CHANGES;");
    let own = vec![("trace".to_string(), "1".to_string()), ("trace".to_string(), "2".to_string())];
    let dead = Rec { headers: own.clone(), ..rec("nonsense").to(1).key("k").at(77) };
    let no_time = Rec { headers: own.clone(), ..rec(r#"{"id":3}"#).to(1).key("k2").at(78) };
    let late = Rec { headers: own.clone(), ..row(4, 1).to(1).key("k3").at(79) };
    small.put("s", &[row(1, 50_000).to(1), dead.clone(), no_time.clone(), late.clone()]);

    let id = small.query("a").status.id.clone();
    let check = |got: &Rec, put: &Rec, offset: &str, reason: &str| {
        assert_eq!((&got.key, &got.value, got.timestamp), (&put.key, &put.value, put.timestamp));
        assert_eq!(got.headers[..2], own);
        let of = |name: &str| got.header(&format!("__connect.errors.{name}")).unwrap_or_default().to_string();
        assert_eq!([of("topic"), of("partition"), of("offset")], ["s", "1", offset]);
        assert_eq!(of("connector.name"), id);
        assert!(!of("exception.class.name").is_empty());
        assert!(of("exception.message").contains(reason), "{}", of("exception.message"));
    };
    let dlq = small.wait_rows("s-dlq", 2);
    check(&dlq[0], &dead, "1", "value");
    check(&dlq[1], &no_time, "2", "column t is NULL");
    let of_late = small.wait_rows("s-late", 1);
    check(&of_late[0], &late, "3", "late: event time 1 is 44999 ms behind the bound");
}
