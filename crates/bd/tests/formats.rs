//! Every format from SQL, against a running bd: JSON to the format and back again, columns from the registry, keys, options.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

mod support;

use rustix::process::Signal;
use serde_json::{Value, json};
use support::{Up, agent, dir, run};

/// Formats that hold any columns.
const ALL: [&str; 9] = [
    "JSON",
    "JSON_SR",
    "JSON_ENVELOPE",
    "AVRO",
    "AVRO_PLAIN",
    "AVRO_SINGLE_OBJECT",
    "PROTOBUF",
    "PROTOBUF_NOSR",
    "DELIMITED",
];

const FLAT: &str = "CREATE STREAM flat (k VARCHAR KEY, i INTEGER, b BIGINT, d DOUBLE, s VARCHAR, f BOOLEAN, \
    m DECIMAL(10, 2), day DATE, at TIMESTAMP, y BYTES) \
    WITH (kafka_topic = 'flat', value_format = 'JSON', partitions = 1);\
    INSERT INTO flat (k, i, b, d, s, f, m, day, at) VALUES ('one', 1, 9007199254740993, -8.5, 'ünï, \"x\"', TRUE, 12.50, \
    '2021-02-01', 1612223747000);\
    INSERT INTO flat (k, b) VALUES ('nulls', 2);";

const NESTED: &str = "CREATE STREAM nested (k VARCHAR KEY, id INTEGER, tags ARRAY<VARCHAR>, of MAP<VARCHAR, DECIMAL(6, 2)>, \
    at STRUCT<lon DOUBLE, path ARRAY<STRUCT<n BIGINT>>>) \
    WITH (kafka_topic = 'nested', value_format = 'JSON', partitions = 1);\
    INSERT INTO nested (k, id, tags, of, at) VALUES ('a', 1, ARRAY['x', 'ü'], MAP('p' := 1.50), \
    STRUCT(lon := 8.25, path := ARRAY[STRUCT(n := 1), STRUCT(n := 2)]));";

/// The rows of a SELECT, in order.
fn rows(up: &Up, sql: &str, count: usize) -> Vec<Value> {
    up.query(&format!("{sql} EMIT CHANGES LIMIT {count};")).split_off(1)
}

/// What a statement is refused with.
fn refused(up: &Up, sql: &str) -> String {
    let (status, body) = up.post("/ksql", &json!({ "ksql": sql }));
    assert_eq!(status / 100, 4, "{sql}: {body}");
    let error: Value = serde_json::from_str(&body).unwrap();
    error["message"].as_str().unwrap().to_string()
}

/// `source` to a topic in that format, and back to JSON.
fn there_and_back(up: &Up, source: &str, format: &str) {
    up.ksql(&format!(
        "CREATE STREAM {source}_{format} WITH (kafka_topic = '{source}-{format}', value_format = '{format}') \
         AS SELECT * FROM {source};\
         CREATE STREAM {source}_back_{format} WITH (value_format = 'JSON') AS SELECT * FROM {source}_{format};"
    ));
}

#[test]
fn rows_come_back_from_every_format() {
    let data = dir();
    let up = Up::start(data.path());
    up.ksql(FLAT);
    up.ksql(NESTED);
    let (flat, nested) = (rows(&up, "SELECT * FROM flat", 2), rows(&up, "SELECT * FROM nested", 1));
    assert_eq!(flat[0].as_array().unwrap()[1..4], [json!(1), json!(9_007_199_254_740_993_i64), json!(-8.5)]);
    for format in ALL {
        there_and_back(&up, "flat", format);
        assert_eq!(rows(&up, &format!("SELECT * FROM flat_back_{format}"), 2), flat, "{format}");
        // Some of the columns: a format that tells them by their places reads the others too.
        let some = rows(&up, &format!("SELECT at, b FROM flat_{format}"), 2);
        assert_eq!(some[0], json!([flat[0][8], flat[0][2]]), "{format}");
    }
    for format in ALL.iter().filter(|f| **f != "DELIMITED") {
        there_and_back(&up, "nested", format);
        assert_eq!(rows(&up, &format!("SELECT * FROM nested_back_{format}"), 1), nested, "{format}");
    }
    let message = refused(&up, "CREATE STREAM no WITH (value_format = 'DELIMITED') AS SELECT * FROM nested;");
    assert!(
        message.contains("The 'DELIMITED' format does not support type 'ARRAY', column: `tags`"),
        "{message}"
    );

    // The registry's three: columns from there, by the subject and by the id.
    for format in ["AVRO", "JSON_SR", "PROTOBUF"] {
        up.ksql(&format!(
            "CREATE STREAM known_{format} (k VARCHAR KEY) WITH (kafka_topic = 'flat-{format}', value_format = '{format}');"
        ));
        assert_eq!(rows(&up, &format!("SELECT * FROM known_{format}"), 2), flat, "{format}");
        let id = latest(&up, &format!("flat-{format}-value"));
        up.ksql(&format!(
            "CREATE STREAM by_id_{format} WITH (kafka_topic = 'flat-{format}', value_format = '{format}', \
             VALUE_SCHEMA_ID = {id});"
        ));
        assert_eq!(
            rows(&up, &format!("SELECT s, m FROM by_id_{format}"), 1),
            [json!([flat[0][4], flat[0][6]])]
        );

        // A sink that writes by the schema of another topic: the same id.
        up.ksql(&format!(
            "CREATE STREAM same_{format} WITH (kafka_topic = 'same-{format}', value_format = '{format}', VALUE_SCHEMA_ID = {id}) \
             AS SELECT * FROM flat;"
        ));
        assert_eq!(rows(&up, &format!("SELECT * FROM same_{format}"), 2), flat, "{format}");
        assert_eq!(latest(&up, &format!("same-{format}-value")), id);
        let message = refused(
            &up,
            &format!(
                "CREATE STREAM other WITH (value_format = '{format}', VALUE_SCHEMA_ID = {id}) AS SELECT id AS other FROM nested;"
            ),
        );
        assert!(
            message
                .contains("The following value columns are changed, missing or reordered: [`other` INTEGER]"),
            "{message}"
        );

        // `bd consume` shows them by the registry.
        let (topic, registry) = (format!("flat-{format}"), &up.registry);
        let args: [&str; 9] = [
            "consume",
            &topic,
            "--from-beginning",
            "--no-follow",
            "--bootstrap",
            &up.cluster,
            "--registry",
            registry,
            "--json",
        ];
        let output = run(&args);
        assert!(output.status.success(), "{output:?}");
        let first: Value =
            serde_json::from_slice(output.stdout.split(|b| *b == b'\n').next().unwrap()).unwrap();
        assert_eq!(
            (&first["value"]["b"], &first["value"]["s"]),
            (&flat[0][2], &flat[0][4]),
            "{format}: {first}"
        );
    }
    // Plain Avro tells no schema: the columns say it, or its id.
    let id = latest(&up, "flat-AVRO-value");
    up.ksql(&format!(
        "CREATE STREAM plain WITH (kafka_topic = 'flat-AVRO_PLAIN', value_format = 'AVRO_PLAIN', VALUE_SCHEMA_ID = {id});"
    ));
    assert_eq!(rows(&up, "SELECT s, m FROM plain", 1), [json!([flat[0][4], flat[0][6]])]);
    let message = refused(&up, "CREATE STREAM no WITH (kafka_topic = 'flat-JSON', value_format = 'AVRO');");
    assert!(
        message.contains(
            "Schema for message values on topic 'flat-JSON' does not exist in the Schema Registry."
        ),
        "{message}"
    );
    let message =
        refused(&up, "CREATE STREAM no WITH (kafka_topic = 'flat-AVRO', value_format = 'JSON_SR');");
    assert!(message.contains("You may want to set VALUE_FORMAT to 'AVRO'."), "{message}");

    // What was inferred is kept, whatever the subject says later.
    up.signal(Signal::TERM);
    up.wait();
    let up = Up::start(data.path());
    assert_eq!(rows(&up, "SELECT * FROM known_AVRO", 2), flat);
}

/// The id of a subject's latest schema.
fn latest(up: &Up, subject: &str) -> u64 {
    let url = format!("{}/subjects/{subject}/versions/latest", up.registry);
    let body = agent().get(url).call().unwrap().body_mut().read_to_string().unwrap();
    let version: Value = serde_json::from_str(&body).unwrap();
    version["id"].as_u64().unwrap_or_else(|| panic!("{subject}: {body}"))
}

#[test]
fn keys_come_back_from_every_format_alone_and_several() {
    let data = dir();
    let up = Up::start(data.path());
    up.ksql(
        "CREATE STREAM src (a BIGINT, b VARCHAR, v INTEGER) WITH (kafka_topic = 'src', value_format = 'JSON', partitions = 1);\
         INSERT INTO src (a, b, v) VALUES (45, 'x', 1);",
    );
    for format in ALL.into_iter().chain(["KAFKA"]) {
        up.ksql(&format!(
            "CREATE STREAM one_{format} WITH (kafka_topic = 'one-{format}', key_format = '{format}', value_format = 'JSON') \
             AS SELECT a, v FROM src PARTITION BY a;"
        ));
        assert_eq!(rows(&up, &format!("SELECT a, v FROM one_{format}"), 1), [json!([45, 1])], "{format}");
        if format == "KAFKA" {
            continue;
        }
        up.ksql(&format!(
            "CREATE STREAM two_{format} WITH (kafka_topic = 'two-{format}', key_format = '{format}', value_format = 'JSON') \
             AS SELECT a, b, v FROM src PARTITION BY a, b;"
        ));
        assert_eq!(
            rows(&up, &format!("SELECT a, b, v FROM two_{format}"), 1),
            [json!([45, "x", 1])],
            "{format}"
        );
    }
    // The key's columns from the registry: a bare value is ROWKEY, a message its fields.
    for (format, key) in [("AVRO", "ROWKEY"), ("JSON_SR", "ROWKEY"), ("PROTOBUF", "a")] {
        up.ksql(&format!(
            "CREATE STREAM keyed_{format} (v INTEGER) WITH (kafka_topic = 'one-{format}', key_format = '{format}', \
             value_format = 'JSON');"
        ));
        assert_eq!(
            rows(&up, &format!("SELECT {key}, v FROM keyed_{format}"), 1),
            [json!([45, 1])],
            "{format}"
        );
    }
}

#[test]
fn single_values_stand_bare_or_wrapped_and_fields_apart_by_the_delimiter() {
    let data = dir();
    let up = Up::start(data.path());
    up.ksql(
        "CREATE STREAM src (k VARCHAR KEY, v BIGINT) WITH (kafka_topic = 'src', value_format = 'JSON', partitions = 1);\
         INSERT INTO src (k, v) VALUES ('a', 45);\
         INSERT INTO src (k) VALUES ('null');",
    );
    let consumed = |topic: &str| -> Vec<Value> {
        let args: [&str; 8] =
            ["consume", topic, "--from-beginning", "--max", "2", "--bootstrap", &up.cluster, "--json"];
        let output = run(&args);
        assert!(output.status.success(), "{output:?}");
        let lines = output.stdout.split(|b| *b == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice::<Value>(line).unwrap()["value"].clone()).collect()
    };
    for (format, wrap, wanted) in [
        ("JSON", "true", [json!("{\"v\":45}"), json!("{\"v\":null}")]),
        // NULL is a null value.
        ("JSON", "false", [json!("45"), Value::Null]),
        ("DELIMITED", "false", [json!("45"), json!("\"\"")]),
        ("KAFKA", "false", [json!("\0\0\0\0\0\0\0-"), Value::Null]),
    ] {
        let name = format!("{format}_{wrap}");
        up.ksql(&format!(
            "CREATE STREAM {name} WITH (kafka_topic = '{name}', value_format = '{format}', WRAP_SINGLE_VALUE = {wrap}) \
             AS SELECT k, v FROM src;"
        ));
        assert_eq!(consumed(&name), wanted, "{name}");
        assert_eq!(rows(&up, &format!("SELECT k, v FROM {name}"), 1), [json!(["a", 45])], "{name}");
    }
    for format in ["AVRO", "JSON_SR", "JSON_ENVELOPE"] {
        up.ksql(&format!(
            "CREATE STREAM bare_{format} WITH (kafka_topic = 'bare-{format}', value_format = '{format}', WRAP_SINGLE_VALUE = FALSE) \
             AS SELECT k, v FROM src;"
        ));
        assert_eq!(rows(&up, &format!("SELECT v FROM bare_{format}"), 1), [json!([45])], "{format}");
    }
    up.ksql("CREATE STREAM bare_known WITH (kafka_topic = 'bare-AVRO', value_format = 'AVRO', WRAP_SINGLE_VALUE = FALSE);");
    assert_eq!(rows(&up, "SELECT ROWVAL FROM bare_known", 1), [json!([45])]);
    let message = refused(&up, "CREATE STREAM no WITH (kafka_topic = 'bare-AVRO', value_format = 'AVRO');");
    assert!(message.contains("anonymous type"), "{message}");

    up.ksql(
        "CREATE STREAM wide WITH (kafka_topic = 'wide', value_format = 'DELIMITED', VALUE_DELIMITER = 'TAB') \
         AS SELECT k, v, v + 1 AS w FROM src;\
         CREATE STREAM wider WITH (kafka_topic = 'wider') AS SELECT * FROM wide;\
         CREATE STREAM piped WITH (kafka_topic = 'piped', VALUE_DELIMITER = '|') AS SELECT * FROM wide;",
    );
    assert_eq!(consumed("wider")[0], "45\t46");
    assert_eq!(consumed("piped")[0], "45|46");
    assert_eq!(rows(&up, "SELECT w FROM piped", 1), [json!([46])]);
}
