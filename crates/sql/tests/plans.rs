//! Plans of queries, as EXPLAIN's text.

mod support;

use bd_schema::Value;
use bd_sql::catalog::{ColumnPlace, TimeFormat};
use bd_sql::plan::Statement;
use bd_sql::{analyze, parse};
use support::{columns, everything, plan, run, sources};

/// Each query with its plan.
fn check(cases: &[(&str, &str)]) {
    let catalog = everything();
    for (text, expected) in cases {
        let expected: Vec<&str> =
            expected.trim_matches('\n').lines().map(|l| l.strip_prefix("        ").unwrap_or(l)).collect();
        let plan = plan(&catalog, text);
        assert_eq!(plan, expected.join("\n").trim_end(), "{text}\n{plan}");
    }
}

#[test]
fn scans_list_only_the_columns_that_are_used() {
    check(&[
        (
            "SELECT * FROM ads EMIT CHANGES",
            "StreamScan ads [ad_id, channel_id, start_ts, duration_secs] | time ROWTIME, lag 0 ms",
        ),
        (
            "SELECT AD_ID, ROWTIME AS t FROM ads WHERE channel_id = 7 EMIT CHANGES",
            "
        Project ad_id AS AD_ID, ROWTIME AS t | time t, lag 0 ms
          Filter channel_id = 7
            StreamScan ads [ad_id, channel_id] | time ROWTIME, lag 0 ms",
        ),
        (
            "SELECT name FROM users WHERE age > 17",
            "
        Project name
          Filter age > 17
            TableScan users [user_id, name, age] | key user_id",
        ),
    ]);
}

#[test]
fn keywords_are_names_where_nothing_else_can_stand_there() {
    check(&[(
        "SELECT s.start, s.day, `day` AS \"timestamp\", s.channel key FROM shows s WHERE start = '1'",
        "
        Project start, day, day AS timestamp, channel AS key
          Filter start = '1'
            TableScan shows [channel_id, day, start, channel] | key channel_id, day, start",
    )]);
}

#[test]
fn precedence_is_that_of_ksqldb() {
    let filter = |condition: &str| {
        let text = format!("SELECT user_id FROM actions WHERE {condition} EMIT CHANGES");
        let plan = plan(&sources(), &text);
        plan.lines().nth(1).unwrap_or_default().trim().trim_start_matches("Filter ").to_string()
    };
    for (condition, shown) in [
        (
            "NOT action = 1 OR user_id = 2 AND action = 3",
            "(NOT (action = 1) OR (user_id = 2 AND action = 3))",
        ),
        ("action + 2 * user_id = 7 - 1", "(action + (2 * user_id)) = 6"),
        ("-action < 3", "-action < 3"),
        (
            "action BETWEEN 1 AND 3 AND user_id NOT IN (1, 2)",
            "action >= 1 AND action <= 3 AND NOT (user_id IN (1, 2))",
        ),
        ("action IS NOT NULL", "action IS NOT NULL"),
        ("CASE action WHEN 1 THEN TRUE END", "CASE WHEN action = 1 THEN TRUE END"),
        ("action % 2 IS DISTINCT FROM 1", "(action % 2) IS DISTINCT FROM 1"),
        (
            "CAST(action AS VARCHAR) || 'x' LIKE 'a%'",
            "CASE WHEN CAST(action AS VARCHAR) IS NULL THEN NULL ELSE CONCAT(CAST(action AS VARCHAR), 'x') END LIKE 'a%'",
        ),
        ("action / 2.0 > 1", "(CAST(action AS DOUBLE) / 2.0) > 1.0"),
    ] {
        assert_eq!(filter(condition), shown, "{condition}");
    }
}

#[test]
fn the_filter_above_lead_bounds_its_distance() {
    let within = |condition: &str| {
        let text = format!(
            "SELECT user_id FROM (SELECT user_id, action_ts, action_ts * 1000 AS ms, LEAD(action_ts) OVER w AS next_ts, \
             LEAD(action) OVER w AS next_action, ROWTIME AS t FROM actions \
             WINDOW w AS (PARTITION BY user_id ORDER BY ROWTIME)) WHERE {condition} EMIT CHANGES"
        );
        let parsed = parse(&text).unwrap();
        match analyze(&parsed[0], &sources()) {
            Ok(Statement::Push { plan, .. }) => {
                let text = plan.to_string();
                let line = text.lines().find(|l| l.contains("LeadLag")).unwrap_or_default().to_string();
                let rest = line
                    .split_once(')')
                    .and_then(|_| line.split_once("ORDER BY ROWTIME)"))
                    .unwrap_or_default()
                    .1;
                rest.trim_start_matches(", ").to_string()
            }
            Err(e) => e.message.split(',').next().unwrap_or_default().to_string(),
            other => panic!("{other:?}"),
        }
    };
    let unbounded = "rows wait for LEAD without a bound";
    for (condition, expected) in [
        ("next_ts - action_ts <= 60", "within 1 min, only with a next row | time ROWTIME, lag 1 min"),
        ("next_ts - action_ts < 60", "within 59 s, only with a next row | time ROWTIME, lag 59 s"),
        ("next_ts <= action_ts + 60", "within 1 min, only with a next row | time ROWTIME, lag 1 min"),
        (
            "60 >= next_ts - action_ts AND next_ts < action_ts + 31",
            "within 30 s, only with a next row | time ROWTIME, lag 30 s",
        ),
        (
            "next_ts BETWEEN action_ts AND action_ts + 60",
            "within 1 min, only with a next row | time ROWTIME, lag 1 min",
        ),
        ("next_ts * 1000 - t <= 500", "within 500 ms, only with a next row | time ROWTIME, lag 500 ms"),
        ("next_ts * 1000 - ms <= 500", "within 500 ms, only with a next row | time ROWTIME, lag 500 ms"),
        (
            "FROM_UNIXTIME(next_ts * 1000) <= FROM_UNIXTIME(t) + INTERVAL '2' MINUTES",
            "within 2 min, only with a next row | time ROWTIME, lag 2 min",
        ),
        ("next_ts - action_ts <= 60 OR next_ts IS NULL", unbounded),
        ("next_ts - action_ts >= 60", unbounded),
        ("next_action - action_ts <= 60", unbounded),
        ("next_ts - user_id <= 60", unbounded),
        ("NOT next_ts - action_ts <= 60", unbounded),
    ] {
        assert_eq!(within(condition), expected, "{condition}");
    }
}

#[test]
fn the_lag_of_a_time_column_is_traced() {
    let lag = |time: &str, format: &str| {
        let text = format!(
            "CREATE STREAM x WITH (timestamp = 't'{}) AS SELECT {time} AS t FROM (SELECT user_id, action_ts, ROWTIME AS r, \
             LEAD(action_ts) OVER w AS next_ts FROM actions WINDOW w AS (PARTITION BY user_id ORDER BY action_ts)) \
             WHERE next_ts - action_ts <= 60",
            if format.is_empty() { String::new() } else { format!(", timestamp_format = '{format}'") }
        );
        match analyze(&parse(&text).unwrap()[0], &sources()) {
            Ok(Statement::CreateAs { plan, .. }) => plan.lag_ms,
            Err(e) if e.message.starts_with("nothing bounds") => -1,
            other => panic!("{time}: {other:?}"),
        }
    };
    let seconds = "epoch_seconds";
    for (time, format, expected) in [
        ("next_ts", seconds, 0),
        ("next_ts - 10", seconds, 10_000),
        ("next_ts + 10 - 10", seconds, 0),
        ("action_ts", seconds, 60_000),
        ("action_ts * 1000", "", 60_000),
        ("r", "", 60_000),
        ("r / 1000", seconds, 60_000),
        ("FROM_UNIXTIME(next_ts * 1000) - INTERVAL '1' MINUTE", "", 60_000),
        ("COALESCE(next_ts, action_ts)", seconds, 0),
        ("GREATEST(next_ts, action_ts)", seconds, 0),
        ("GREATEST(action_ts, user_id)", seconds, 60_000),
        ("GREATEST(next_ts, user_id)", seconds, 0),
        ("GREATEST(NULLIF(next_ts, 7), user_id)", seconds, -1),
        ("LEAST(next_ts, action_ts)", seconds, 60_000),
        ("LEAST(next_ts, user_id)", seconds, -1),
        ("CASE WHEN user_id = 1 THEN next_ts ELSE action_ts END", seconds, 60_000),
        ("user_id", seconds, -1),
        ("action_ts + user_id", seconds, -1),
        ("FORMAT_TIMESTAMP(FROM_UNIXTIME(next_ts * 1000), 'yyyy-MM-dd HH:mm:ss')", "yyyy-MM-dd HH:mm:ss", 0),
        ("FORMAT_TIMESTAMP(FROM_UNIXTIME(next_ts * 1000), 'yyyy-MM-dd HH:mm')", "yyyy-MM-dd HH:mm", 59_000),
        (
            "FORMAT_TIMESTAMP(FROM_UNIXTIME(next_ts * 1000 + 1), 'yyyy-MM-dd HH:mm:ss')",
            "yyyy-MM-dd HH:mm:ss",
            998,
        ),
        ("FORMAT_TIMESTAMP(FROM_UNIXTIME(next_ts * 1000), 'yyyy-MM-dd')", "yyyy-MM-dd", 86_399_000),
        (
            "FORMAT_TIMESTAMP(FROM_UNIXTIME(next_ts * 1000), 'yyyy-MM-dd HH:mm', '+05:00')",
            "yyyy-MM-dd HH:mm",
            -1,
        ),
    ] {
        assert_eq!(lag(time, format), expected, "{time}");
    }
}

#[test]
fn an_outer_join_lags_by_how_long_its_rows_wait() {
    for (kind, lag) in [("", 0), ("LEFT", 7_000), ("RIGHT", 3_600_000), ("FULL", 3_600_000)] {
        let text = format!(
            "SELECT a.ad_id AS x, d.id AS y FROM ads a {kind} JOIN device_locations d WITHIN (1 HOUR, 7 SECONDS) \
             ON a.channel_id = d.id EMIT CHANGES"
        );
        let parsed = parse(&text).unwrap();
        let Statement::Push { plan, .. } = analyze(&parsed[0], &sources()).unwrap() else {
            panic!("no push")
        };
        assert_eq!(plan.lag_ms, lag, "{kind}");
    }
}

#[test]
fn a_key_that_is_computed_is_projected_below_its_join() {
    check(&[(
        "SELECT s.user_id, u.name FROM sessions s LEFT JOIN users u ON s.user_id + 1 = u.user_id AND u.age > 3 EMIT CHANGES",
        "
        Project user_id, name, ROWTIME | time ROWTIME, lag 0 ms
          TableJoin LEFT ON left.expr_0 = right.user_id AND right.age > 3 | time ROWTIME, lag 0 ms
            Project user_id, ROWTIME, user_id + 1 AS expr_0 | time ROWTIME, lag 0 ms
              StreamScan sessions [user_id] | time ROWTIME, lag 0 ms
            TableScan users [user_id, name, age] | key user_id",
    )]);
}

#[test]
fn filters_move_below_joins_to_the_side_that_decides() {
    check(&[(
        "SELECT d.name AS n FROM ads a LEFT JOIN device_locations d WITHIN 1 HOUR ON a.channel_id = d.id \
         WHERE a.ad_id > 3 AND d.dt IS NULL EMIT CHANGES",
        "
        Project name AS n, ROWTIME | time ROWTIME, lag 1 h
          Filter dt IS NULL
            IntervalJoin LEFT WITHIN (1 h, 1 h) ON left.channel_id = right.id | time ROWTIME, lag 1 h
              Filter ad_id > 3
                StreamScan ads [ad_id, channel_id] | time ROWTIME, lag 0 ms
              StreamScan device_locations [id, name, dt] | time ROWTIME, lag 0 ms",
    )]);
}

#[test]
fn groups_windows_and_having_become_nodes() {
    check(&[(
        "SELECT user_id % 2 AS odd, COUNT(*) + 1 AS n, WINDOWSTART AS ws FROM actions \
         WINDOW TUMBLING (SIZE 1 HOUR, GRACE PERIOD 5 MINUTES) WHERE action = 1 GROUP BY user_id % 2 HAVING COUNT(*) > 2 EMIT FINAL",
        "
        Project expr_0 AS odd, COUNT_0 + 1 AS n, WINDOWSTART AS ws
          Filter COUNT_0 > 2
            Aggregate COUNT(*) GROUP BY expr_0 WINDOW TUMBLING (SIZE 1 h, GRACE PERIOD 5 min) EMIT FINAL | key expr_0, WINDOWSTART, WINDOWEND
              Project ROWTIME, user_id % 2 AS expr_0 | time ROWTIME, lag 0 ms
                Filter action = 1
                  StreamScan actions [user_id, action] | time ROWTIME, lag 0 ms",
    )]);
}

#[test]
fn keys_of_sinks_follow_partition_by_group_by_or_the_source() {
    let mut catalog = everything();
    let source = "CREATE STREAM keyed (k BIGINT KEY, v BIGINT) WITH (kafka_topic = 'keyed');";
    run(&mut catalog, source).unwrap();
    for (text, expected) in [
        ("CREATE STREAM s AS SELECT k, v FROM keyed", "Stream s key KAFKA: k Key BIGINT, v Value BIGINT"),
        (
            "CREATE STREAM s AS SELECT AS_VALUE(k), v FROM keyed",
            "Stream s key KAFKA: k KeyAndValue BIGINT, v Value BIGINT",
        ),
        (
            "CREATE STREAM s AS SELECT k, AS_VALUE(k) AS copy FROM keyed",
            "Stream s key KAFKA: k Key BIGINT, copy Value BIGINT",
        ),
        ("CREATE STREAM s AS SELECT v FROM keyed", "Stream s key NONE: v Value BIGINT"),
        (
            "CREATE STREAM s AS SELECT v, k FROM keyed PARTITION BY v",
            "Stream s key KAFKA: v Key BIGINT, k Value BIGINT",
        ),
        (
            "CREATE STREAM s WITH (kafka_topic='t', key_format='json') AS SELECT k FROM keyed",
            "Stream t key JSON: k Key BIGINT",
        ),
        (
            "CREATE TABLE s AS SELECT user_id, name FROM users",
            "Table s key AVRO: user_id Key BIGINT, name Value VARCHAR",
        ),
        (
            "CREATE TABLE s AS SELECT v, COUNT(*) AS n FROM keyed WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY v",
            "Table s key JSON: v Key BIGINT, n Value BIGINT, WINDOWSTART Key BIGINT, WINDOWEND Key BIGINT",
        ),
    ] {
        let parsed = parse(text).unwrap();
        let statement = analyze(&parsed[0], &catalog).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(columns(&statement), expected, "{text}");
    }
}

#[test]
fn properties_and_checks_of_a_source_are_kept() {
    let catalog = sources();
    let actions = catalog.get("ACTIONS").unwrap();
    assert_eq!((actions.lateness_ms, actions.late_topic.as_str()), (5000, "sessions-late"));
    assert_eq!(actions.dead_letter_topic, "actions-dlq");
    let spec = actions.timestamp.as_ref().unwrap();
    assert_eq!((spec.column, &spec.format), (4, &TimeFormat::EpochSeconds));
    let ads = catalog.get("ads").unwrap();
    assert_eq!(ads.checks[0].text, "duration_secs BETWEEN 0 AND 3600");
    let channels = catalog.get("channels").unwrap();
    assert_eq!((channels.columns[0].place, channels.key_format.as_str()), (ColumnPlace::Key, "JSON"));
}

#[test]
fn inserts_give_one_value_a_column() {
    let text = "INSERT INTO channels (channel_id, schedule) VALUES (-5, MAP('01-02-2021' := ARRAY[STRUCT(program := 'a''b', start := '1')]));";
    let parsed = parse(text).unwrap();
    let Statement::InsertValues { values, .. } = analyze(&parsed[0], &sources()).unwrap() else {
        panic!("no insert")
    };
    let program = Value::Struct(vec![Value::Varchar("a'b".into()), Value::Null, Value::Varchar("1".into())]);
    let day = ("01-02-2021".to_string(), Value::Array(vec![program]));
    assert_eq!(values, [Value::BigInt(-5), Value::Null, Value::Map(vec![day])]);
}

#[test]
fn pull_queries_sort_and_limit() {
    let parsed =
        parse("SELECT gender, COUNT(*) AS n FROM users GROUP BY gender ORDER BY n DESC, 1 LIMIT 3").unwrap();
    let Statement::Pull { plan, order, limit } = analyze(&parsed[0], &sources()).unwrap() else {
        panic!("no pull")
    };
    assert_eq!((order, limit), (vec![(1, true), (0, false)], Some(3)));
    assert_eq!(plan.columns.len(), 2);
}

#[test]
fn every_other_statement_is_understood() {
    let catalog = everything();
    for (text, expected) in [
        ("show streams;", "Show(Streams)"),
        ("LIST QUERIES", "Show(Queries)"),
        ("TERMINATE CSAS_X_1;", "Terminate { query: \"CSAS_X_1\" }"),
        ("DROP STREAM IF EXISTS nothing DELETE TOPIC", "Drop { name: None, delete_topic: true }"),
        ("DROP TABLE Users", "Drop { name: Some(\"users\"), delete_topic: false }"),
        ("EXPLAIN CSAS_X_1", "Explain { plan: None, query: Some(\"CSAS_X_1\") }"),
    ] {
        let parsed = parse(text).unwrap();
        assert_eq!(format!("{:?}", analyze(&parsed[0], &catalog).unwrap()), expected, "{text}");
    }
    let parsed = parse("DESCRIBE actions EXTENDED; EXPLAIN SELECT * FROM users;").unwrap();
    assert!(matches!(analyze(&parsed[0], &catalog), Ok(Statement::Describe { extended: true, .. })));
    assert!(matches!(analyze(&parsed[1], &catalog), Ok(Statement::Explain { plan: Some(_), .. })));
    assert!(bd_sql::functions().windows(2).all(|w| w[0].name < w[1].name));
}
