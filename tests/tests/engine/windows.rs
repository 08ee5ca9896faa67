//! Windowed aggregates over topics, with restarts in between.

use bd_e2e::small::{Rec, Small, rec};
use bd_schema::Value;

const MINUTE: i64 = 60_000;

fn small() -> Small {
    let small = Small::new();
    small.sql(
        "CREATE STREAM s (k VARCHAR, v BIGINT, t BIGINT) WITH (kafka_topic = 's', value_format = 'JSON', \
         partitions = 1, timestamp = 't', lateness = '30 SECONDS');",
    );
    small
}

fn row(k: &str, v: i64, t: i64) -> Rec {
    rec(&format!(r#"{{"k":"{k}","v":{v},"t":{t}}}"#))
}

#[test]
fn emit_final_gives_each_window_once_when_the_watermark_has_passed_its_end() {
    let mut small = small();
    small.sql("CREATE TABLE w AS SELECT k, SUM(v) AS v, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 1 MINUTE) GROUP BY k EMIT FINAL;");
    small.put("s", &[row("a", 1, 0), row("b", 5, 10)]);
    small.wait_query("w", "has committed", |q| {
        q.status.metrics.commits.load(std::sync::atomic::Ordering::Relaxed) > 0
    });
    small.reopen();
    small.put("s", &[row("a", 2, MINUTE - 1), row("a", 4, MINUTE), row("a", 8, MINUTE + 30_000)]);
    small.wait_query("w", "has read them", |q| {
        q.status.metrics.records_in.load(std::sync::atomic::Ordering::Relaxed) >= 3
    });
    small.reopen();
    assert_eq!(small.wait_rows("w", 0).len(), 0, "the watermark is at the window's end, not past it");
    small.put("s", &[row("c", 1, MINUTE + 30_001)]);
    let rows = small.wait_rows("w", 2);
    let mut got: Vec<(i64, i64)> =
        rows.iter().map(|r| (r.json()["v"].as_i64().unwrap(), r.json()["n"].as_i64().unwrap())).collect();
    got.sort_unstable();
    assert_eq!(got, [(3, 2), (5, 1)]);
    small.reopen();
    small.drain();
    assert_eq!(small.wait_rows("w", 4).len(), 4, "a and c of the second minute at the end");
}

#[test]
fn emit_changes_counts_on_over_restarts() {
    let mut small = small();
    small.sql("CREATE TABLE w AS SELECT k, SUM(v) AS v FROM s WINDOW TUMBLING (SIZE 1 MINUTE) GROUP BY k EMIT CHANGES;");
    for i in 0..10 {
        small.put("s", &[row("a", 1, i * 10_000), row("b", 2, i * 10_000)]);
        small.wait_query("w", "has read", |q| {
            q.status.metrics.records_in.load(std::sync::atomic::Ordering::Relaxed) >= 2
        });
        small.reopen();
    }
    small.drain();
    let got = small.pull("SELECT k, WINDOWSTART, v FROM w;");
    let mut got: Vec<String> = got.iter().map(|r| format!("{r:?}")).collect();
    got.sort();
    let row = |k: &str, start: i64, v: i64| {
        format!("{:?}", vec![Value::Varchar(k.into()), Value::BigInt(start), Value::BigInt(v)])
    };
    assert_eq!(got, [row("a", 0, 6), row("a", MINUTE, 4), row("b", 0, 12), row("b", MINUTE, 8)]);
}
