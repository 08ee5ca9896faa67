//! What a user reads: line, column, what is wrong, what to do.

mod support;

use support::{error, everything, sources};

/// Each text with what the error's message, then its hint, must hold.
fn check(cases: &[(&str, &str, &str)]) {
    let catalog = everything();
    for (text, message, hint) in cases {
        let error = error(&catalog, text);
        assert!(error.message.contains(message), "{text}\n{error}\nshould say: {message}");
        assert!(error.hint.contains(hint), "{text}\n{error}\nshould hint: {hint}");
        assert!(error.line >= 1 && error.column >= 1 && error.width >= 1, "{error:?}");
    }
}

#[test]
fn an_error_shows_the_line_with_a_caret() {
    let text = "SELECT user_id,\n  chanel_id\nFROM actions EMIT CHANGES;";
    assert_eq!(
        error(&sources(), text).to_string(),
        "line 2, column 3: there is no column chanel_id\n    chanel_id\n    ^^^^^^^^^\n  did you mean channel_id? \
         The columns: user_id, device_id, channel_id, action, action_ts"
    );
}

#[test]
fn errors_are_placed_in_the_file_not_in_the_statement() {
    let text = "SHOW STREAMS;\n\n-- next\nSELECT x FROM actoins EMIT CHANGES;";
    let error = error(&sources(), text);
    assert_eq!((error.line, error.column), (4, 15));
    assert!(error.hint.contains("did you mean actions?"), "{error}");
}

#[test]
fn unknown_names_name_the_nearest() {
    check(&[
        (
            "SELECT a.chanel_id FROM actions a EMIT CHANGES",
            "no column chanel_id in a",
            "did you mean channel_id?",
        ),
        ("SELECT b.action FROM actions a EMIT CHANGES", "no source b in FROM", "names in FROM: a"),
        (
            "SELECT FORMAT_TIMESTMP(x, 'y') FROM actions EMIT CHANGES",
            "no function FORMAT_TIMESTMP",
            "FORMAT_TIMESTAMP?",
        ),
        ("SELECT coord->lan FROM device_locations EMIT CHANGES", "no field lan", "did you mean lon?"),
        ("CREATE STREAM s (a BIGNT) WITH (kafka_topic='t')", "no type BIGNT", "did you mean BIGINT?"),
        (
            "CREATE STREAM s (a BIGINT) WITH (kafka_topik='t')",
            "no property kafka_topik",
            "did you mean kafka_topic?",
        ),
        ("DROP STREAM action", "no stream or table action", "did you mean actions?"),
        ("SHOW STREEMS", "no list of STREEMS", "did you mean STREAMS?"),
        ("SELET 1", "SELET starts no statement", "did you mean SELECT?"),
        (
            "SELECT LEAD(action) OVER v AS n FROM actions WINDOW w AS (PARTITION BY user_id ORDER BY action_ts) EMIT CHANGES",
            "no window v",
            "did you mean w?",
        ),
        (
            "CREATE STREAM s WITH (timestamp='end') AS SELECT * FROM sessions",
            "no column end",
            "did you mean end_ts?",
        ),
    ]);
}

#[test]
fn type_errors_say_both_types() {
    check(&[
        (
            "SELECT * FROM actions WHERE user_id = 'x' EMIT CHANGES",
            "one side is BIGINT, the other VARCHAR",
            "CAST(x AS BIGINT)",
        ),
        (
            "SELECT * FROM actions WHERE user_id EMIT CHANGES",
            "a condition is BOOLEAN, and this is BIGINT",
            "compare",
        ),
        ("SELECT name + 1 AS x FROM device_locations EMIT CHANGES", "VARCHAR + INTEGER", "|| joins texts"),
        (
            "SELECT FORMAT_TIMESTAMP(dt, 'yyyy') AS x FROM device_locations EMIT CHANGES",
            "argument 1 of FORMAT_TIMESTAMP is TIMESTAMP, and this is BIGINT",
            "FROM_UNIXTIME(x * 1000)",
        ),
        (
            "SELECT FORMAT_TIMESTAMP(FROM_UNIXTIME(dt), 'yyyy-MM-ddTHH') AS x FROM device_locations EMIT CHANGES",
            "the letter T has no meaning",
            "doubled in SQL",
        ),
        (
            "SELECT dt + INTERVAL '1' HOUR AS x FROM device_locations EMIT CHANGES",
            "an INTERVAL is added to a TIMESTAMP, and this is BIGINT",
            "FROM_UNIXTIME",
        ),
        (
            "SELECT COALESCE(name, dt) AS x FROM device_locations EMIT CHANGES",
            "one side is VARCHAR, the other BIGINT",
            "",
        ),
        (
            "SELECT CASE WHEN dt > 1 THEN 'a' ELSE 1 END AS x FROM device_locations EMIT CHANGES",
            "the results of CASE: one side is VARCHAR, the other INTEGER",
            "",
        ),
        (
            "SELECT action IN (1, 'a') AS x FROM actions EMIT CHANGES",
            "one side is BIGINT, the other VARCHAR",
            "",
        ),
        ("SELECT coord < coord AS x FROM device_locations EMIT CHANGES", "has no order", "compare a field"),
        (
            "SELECT CAST(coord AS BIGINT) AS x FROM device_locations EMIT CHANGES",
            "cannot be cast to BIGINT",
            "",
        ),
        (
            "SELECT 365 * 24 * 3600 * 1000 AS x FROM actions EMIT CHANGES",
            "out of range in INTEGER",
            "CAST(x AS BIGINT)",
        ),
        (
            "SELECT name.x FROM device_locations EMIT CHANGES",
            "x is asked of VARCHAR, which has no fields",
            "STRUCT",
        ),
        (
            "INSERT INTO actions (user_id) VALUES ('a')",
            "the column is BIGINT, and this is VARCHAR",
            "constants",
        ),
    ]);
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    check(&[
        ("SELECT DISTINCT a FROM b", "SELECT DISTINCT is not supported", "GROUP BY"),
        ("SELECT a FROM b UNION ALL SELECT c FROM d", "UNION is not supported", "one topic"),
        ("UPDATE a SET b = 1", "UPDATE is not supported", "INSERT INTO"),
        ("WITH x AS (SELECT 1) SELECT * FROM x", "WITH is not supported", "sub-query"),
        ("SELECT a FROM b, c", "a list of sources in FROM is not supported", "JOIN"),
        ("SELECT a FROM b JOIN c USING (d)", "USING is not supported", "ON"),
        ("SELECT a FROM b WHERE c IN (SELECT d FROM e)", "not a query", "join"),
        ("SELECT (SELECT 1) FROM b", "a query cannot stand as a value", "FROM"),
        ("SELECT a::BIGINT FROM b", ":: is not a cast", "CAST(x AS type)"),
        ("SELECT TRANSFORM(a, x => x) FROM b", "functions of functions", "unnest"),
        ("CREATE TYPE a AS BIGINT", "CREATE TYPE is not supported", "in its place"),
        ("PRINT 'topic'", "PRINT is not supported", "SELECT"),
        ("PAUSE x", "PAUSE is not supported", "TERMINATE"),
        ("SELECT a FROM b ORDER BY c NULLS LAST", "NULLS FIRST", ""),
        ("SELECT SUM(a) OVER (ORDER BY b ROWS 3) FROM c", "frames of windows", "LEAD(x, n)"),
        ("SELECT COUNT(*) FILTER (WHERE a) FROM b GROUP BY c", "FILTER of an aggregate", "CASE WHEN"),
        ("SELECT a FROM b GROUP BY ROLLUP(a)", "ROLLUP is not supported", ""),
        ("INSERT INTO a SELECT * FROM b", "INSERT INTO .. SELECT is not supported", "CREATE STREAM"),
        ("CREATE STREAM a (b VARCHAR(10)) WITH (kafka_topic='t')", "no length", "VARCHAR alone"),
        ("CREATE STREAM a (b BIGINT DEFAULT 1) WITH (kafka_topic='t')", "DEFAULT of a column", "CHECK"),
        (
            "CREATE STREAM a (b BIGINT) WITH (kafka_topic='t', value_format='PROTOBUFF')",
            "Unknown format: PROTOBUFF",
            "did you mean PROTOBUF",
        ),
        (
            "SELECT * FROM shows s JOIN users u ON s.program_id = u.user_id EMIT CHANGES",
            "a join of two tables is not supported yet",
            "stream",
        ),
    ]);
}

#[test]
fn queries_say_what_they_lack() {
    check(&[
        ("SELECT * FROM actions", "has no end", "EMIT CHANGES"),
        (
            "SELECT * FROM sessions s JOIN ads a ON s.channel_id = a.channel_id EMIT CHANGES",
            "needs WITHIN",
            "WITHIN 1 HOUR",
        ),
        (
            "SELECT * FROM sessions s JOIN users u WITHIN 1 HOUR ON s.user_id = u.user_id EMIT CHANGES",
            "takes no WITHIN",
            "remove",
        ),
        (
            "SELECT * FROM users u JOIN sessions s ON s.user_id = u.user_id EMIT CHANGES",
            "stands first",
            "FROM stream JOIN table",
        ),
        (
            "SELECT * FROM sessions s RIGHT JOIN users u ON s.user_id = u.user_id EMIT CHANGES",
            "JOIN or LEFT JOIN only",
            "",
        ),
        (
            "SELECT * FROM sessions s JOIN users u ON s.user_id > u.user_id EMIT CHANGES",
            "needs an equality",
            "ON",
        ),
        (
            "SELECT a.ad_id FROM sessions s JOIN ads a WITHIN 1 HOUR ON s.user_id > a.ad_id EMIT CHANGES",
            "needs an equality",
            "ON",
        ),
        (
            "SELECT COUNT(*) AS n FROM actions GROUP BY 1 EMIT CHANGES",
            "GROUP BY a constant",
            "name the columns",
        ),
        ("SELECT COUNT(*) FROM actions EMIT CHANGES", "an aggregate needs GROUP BY", "GROUP BY"),
        (
            "SELECT user_id, action, COUNT(*) AS n FROM actions GROUP BY user_id EMIT CHANGES",
            "action is neither in GROUP BY",
            "LATEST_BY_OFFSET",
        ),
        (
            "CREATE TABLE t AS SELECT COUNT(*) AS n FROM actions GROUP BY user_id",
            "user_id of GROUP BY is not in the SELECT",
            "AS_VALUE(user_id)",
        ),
        (
            "CREATE STREAM t AS SELECT user_id, COUNT(*) AS n FROM actions GROUP BY user_id",
            "GROUP BY makes a table",
            "CREATE TABLE t",
        ),
        ("CREATE TABLE t AS SELECT * FROM actions", "makes a stream", "CREATE STREAM t"),
        ("CREATE STREAM t AS SELECT * FROM users", "makes a table", "CREATE TABLE t"),
        (
            "CREATE TABLE t AS SELECT name FROM users",
            "user_id of the source's key is not in the SELECT",
            "add user_id",
        ),
        (
            "SELECT channel_id, MAX(action) AS m FROM devices_now GROUP BY channel_id",
            "MAX over a table is not supported",
            "COUNT_DISTINCT",
        ),
        ("SELECT user_id, user_id FROM actions EMIT CHANGES", "two columns user_id", "AS other"),
        (
            "SELECT user_id FROM sessions s JOIN users u ON s.user_id = u.user_id EMIT CHANGES",
            "a column of more than one source",
            "s.user_id or u.user_id",
        ),
        ("SELECT user_id FROM actions EMIT FINAL", "EMIT FINAL needs a windowed GROUP BY", "EMIT CHANGES"),
        (
            "SELECT user_id, COUNT(*) AS n, WINDOWSTART AS w FROM actions GROUP BY user_id EMIT CHANGES",
            "WINDOWSTART needs a window",
            "TUMBLING",
        ),
        (
            "SELECT user_id FROM actions GROUP BY user_id ORDER BY user_id EMIT CHANGES",
            "cannot be sorted",
            "ORDER BY",
        ),
        (
            "CREATE STREAM actions (a BIGINT) WITH (kafka_topic='t')",
            "there is a stream actions already",
            "IF NOT EXISTS",
        ),
        ("CREATE STREAM s (a BIGINT)", "which topic is s in?", "kafka_topic"),
        ("CREATE TABLE s (a BIGINT) WITH (kafka_topic='t')", "no primary key", "PRIMARY KEY"),
        (
            "CREATE STREAM s (a BIGINT PRIMARY KEY) WITH (kafka_topic='t')",
            "a stream has no primary key",
            "KEY",
        ),
        (
            "CREATE TABLE s (a BIGINT PRIMARY KEY) WITH (kafka_topic='t', lateness='1 SECOND')",
            "lateness is for streams",
            "STREAM",
        ),
        (
            "CREATE STREAM s (a VARCHAR) WITH (kafka_topic='t', timestamp='a')",
            "a is VARCHAR",
            "timestamp_format",
        ),
        (
            "CREATE STREAM s (a BIGINT) WITH (kafka_topic='t', lateness='5 MONTHS')",
            "MONTHS is no unit",
            "units are",
        ),
        (
            "CREATE STREAM s (a BIGINT) WITH (kafka_topic='t', lateness='5')",
            "is no length of time",
            "'5 SECONDS'",
        ),
        (
            "CREATE STREAM s (a BIGINT KEY, b BIGINT KEY) WITH (kafka_topic='t', key_format='KAFKA')",
            "The 'KAFKA' format only supports a single field. Got: [`a` BIGINT KEY, `b` BIGINT KEY]",
            "JSON",
        ),
        ("DROP TABLE actions", "actions is a STREAM", "DROP STREAM actions"),
        (
            "INSERT INTO actions (user_id, action) VALUES (1)",
            "2 column(s), but 1 value(s)",
            "one value a column",
        ),
        ("INSERT INTO sessions (user_id) VALUES (1)", "written by a query", "streams that the query reads"),
        ("INSERT INTO users (name) VALUES ('x')", "user_id must have a value", ""),
    ]);
}

#[test]
fn times_without_a_bound_are_refused() {
    let lead = "SELECT user_id, action_ts, LEAD(action_ts) OVER (PARTITION BY user_id ORDER BY action_ts) AS next_ts FROM actions";
    check(&[
        (
            &format!("CREATE STREAM s AS {lead}"),
            "rows wait for LEAD without a bound",
            "WHERE next_time - time <=",
        ),
        (
            &format!(
                "CREATE STREAM s WITH (timestamp='action_ts', timestamp_format='epoch_seconds') AS {lead}"
            ),
            "nothing bounds how far action_ts",
            "bound the distance",
        ),
        (
            "CREATE STREAM s WITH (timestamp='user_id') AS SELECT user_id FROM actions",
            "nothing bounds how far user_id",
            "take it from ROWTIME",
        ),
        (
            "CREATE STREAM s WITH (timestamp='action_ts') AS SELECT action_ts FROM actions",
            "holds the time in seconds",
            "epoch_seconds",
        ),
        (
            "CREATE STREAM s WITH (timestamp='t', timestamp_format='yyyy-MM-dd HH') AS \
             SELECT FORMAT_TIMESTAMP(FROM_UNIXTIME(ROWTIME), 'yyyy-MM-dd') AS t FROM actions",
            "text by the pattern 'yyyy-MM-dd'",
            "timestamp_format",
        ),
        (
            "SELECT LEAD(action) OVER (PARTITION BY user_id ORDER BY action) AS n FROM actions EMIT CHANGES",
            "action is not the event time",
            "ORDER BY action_ts or ROWTIME",
        ),
        (
            &format!("SELECT * FROM ({lead}) l JOIN ads a WITHIN 1 HOUR ON l.user_id = a.ad_id EMIT CHANGES"),
            "nothing bounds the join",
            "WHERE next_time - time <=",
        ),
        (
            "CREATE TABLE t AS SELECT c.channel_id, d.day FROM channels c CROSS JOIN UNNEST(c.schedule) AS d (day, p)",
            "nothing says which columns identify each",
            "PARTITION BY",
        ),
        (
            "CREATE TABLE t AS SELECT c.channel_id, LEAD(d.day) OVER (PARTITION BY d.day ORDER BY d.day) AS n FROM channels c \
             CROSS JOIN UNNEST(c.schedule) AS d (day, p) PARTITION BY channel_id",
            "PARTITION BY holds the table's key",
            "add channel_id",
        ),
    ]);
}
