//! The formats of keys and values: their names, properties and rules, in ksqlDB's words; columns from the registry.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed assertion is a failed test")]

mod support;

use bd_schema::{DataType, Delimiter, Field, Role, Schema};
use bd_sql::catalog::{Catalog, SourceDef};
use bd_sql::plan::Statement;
use bd_sql::{parse, wanted_schemas, with_columns};
use std::sync::Arc;
use support::{error, run};

/// What the last statement of a text declares.
fn declared(text: &str) -> SourceDef {
    let mut all = run(&mut Catalog::default(), text).unwrap_or_else(|e| panic!("{e}"));
    match all.pop() {
        Some(Statement::CreateSource { def, .. } | Statement::CreateAs { def, .. }) => def,
        other => panic!("{other:?}"),
    }
}

/// The error of the last statement of a text.
fn refused(text: &str) -> String {
    let mut catalog = Catalog::default();
    match text.rsplit_once(";;") {
        Some((before, last)) => {
            run(&mut catalog, before).unwrap_or_else(|e| panic!("{e}"));
            error(&catalog, last).message
        }
        None => error(&catalog, text).message,
    }
}

#[test]
fn every_format_can_be_a_values_and_a_keys() {
    for format in [
        "JSON",
        "JSON_SR",
        "JSON_ENVELOPE",
        "AVRO",
        "AVRO_PLAIN",
        "AVRO_SINGLE_OBJECT",
        "PROTOBUF",
        "PROTOBUF_NOSR",
        "DELIMITED",
        "KAFKA",
        "RAW",
    ] {
        let text = format!(
            "CREATE STREAM s (k VARCHAR KEY, v VARCHAR) WITH (kafka_topic='t', format='{}')",
            format.to_lowercase()
        );
        let def = declared(&text);
        assert_eq!((def.key_format.as_str(), def.value_format.as_str()), (format, format));
    }
    let def =
        declared("CREATE STREAM s (v INT) WITH (kafka_topic='t', key_format='NONE', value_format='AVRO')");
    assert_eq!((def.key_format.as_str(), def.value_format.as_str()), ("NONE", "AVRO"));
}

#[test]
fn a_format_is_said_once() {
    let both = refused("CREATE STREAM s (v INT) WITH (kafka_topic='t', key_format='KAFKA', format='KAFKA')");
    assert_eq!(
        both,
        "Cannot supply both 'KEY_FORMAT' and 'FORMAT' properties, as 'FORMAT' sets both key and value formats. Either use just \
         'FORMAT', or use 'KEY_FORMAT' and 'VALUE_FORMAT'."
    );
    let both = refused("CREATE STREAM s (v INT) WITH (kafka_topic='t', value_format='JSON', format='KAFKA')");
    assert!(both.starts_with("Cannot supply both 'VALUE_FORMAT' and 'FORMAT' properties, as"), "{both}");
    let both = refused(
        "CREATE STREAM s (v INT) WITH (kafka_topic='t', value_format='AVRO', VALUE_AVRO_SCHEMA_FULL_NAME='a', \
         VALUE_SCHEMA_FULL_NAME='b')",
    );
    assert_eq!(
        both,
        "Cannot supply both 'VALUE_AVRO_SCHEMA_FULL_NAME' and 'VALUE_SCHEMA_FULL_NAME' properties. Please only set \
         'VALUE_SCHEMA_FULL_NAME'."
    );
    assert_eq!(
        refused("CREATE STREAM s (v INT) WITH (kafka_topic='t', format='FOO')"),
        "Unknown format: FOO"
    );
}

#[test]
fn wrap_single_value_is_of_single_columns_and_of_formats_that_have_both_forms() {
    let with = |columns: &str, format: &str, wrap: &str| {
        format!(
            "CREATE STREAM s ({columns}) WITH (WRAP_SINGLE_VALUE={wrap}, kafka_topic='t', value_format='{format}')"
        )
    };
    for format in ["JSON", "AVRO", "JSON_SR"] {
        assert_eq!(declared(&with("v INT", format, "false")).value_options.wrap_single, Some(false));
        assert_eq!(declared(&with("v INT", format, "TRUE")).value_options.wrap_single, Some(true));
        let several = "'WRAP_SINGLE_VALUE' is only valid for single-field value schemas";
        assert_eq!(refused(&with("a INT, b INT", format, "true")), several);
        assert_eq!(refused(&with("a INT, b INT", format, "false")), several);
    }
    for (format, no) in
        [("DELIMITED", "true"), ("KAFKA", "true"), ("PROTOBUF", "false"), ("NONE", "true"), ("NONE", "false")]
    {
        assert_eq!(
            refused(&with("v INT", format, no)),
            format!("Format '{format}' does not support 'WRAP_SINGLE_VALUE' set to '{no}'.")
        );
    }
    declared(&with("v INT", "DELIMITED", "false"));
    declared(&with("v INT", "PROTOBUF", "true"));
    assert!(refused(&with("v INT", "JSON", "maybe")).contains("WRAP_SINGLE_VALUE"));
    // A sink does not take it over.
    let sink = declared(&format!("{}; CREATE STREAM o AS SELECT * FROM s;", with("v INT", "AVRO", "false")));
    assert_eq!((sink.value_format.as_str(), sink.value_options.wrap_single), ("AVRO", None));
}

#[test]
fn delimiters_are_one_character_or_named_and_of_delimited_only() {
    let with = |delimiter: &str| {
        format!(
            "CREATE STREAM s (k INT KEY, a INT, b INT) WITH (kafka_topic='t', format='DELIMITED', {delimiter})"
        )
    };
    let def = declared(&with("key_delimiter=';', VALUE_DELIMITER='TAB'"));
    assert_eq!(def.key_options.delimiter, Some(Delimiter::parse(";").unwrap()));
    assert_eq!(def.value_options.delimiter, Some(Delimiter::TAB));
    assert_eq!(
        declared(&with("value_delimiter='space'")).value_options.delimiter,
        Delimiter::parse("SPACE").ok()
    );
    assert_eq!(
        refused(&with("value_delimiter='<~>'")),
        "Configuration VALUE_DELIMITER is invalid: Invalid delimiter value: '<~>'. Delimiter must be a single character or \
         TAB,SPACE"
    );
    for empty in ["", " ", "\t"] {
        let message = refused(&with(&format!("value_delimiter='{empty}'")));
        assert!(
            message.contains("Delimiter cannot be empty, if you meant to have a tab or space"),
            "{message}"
        );
    }
    assert_eq!(
        refused("CREATE STREAM s (a INT) WITH (kafka_topic='t', value_format='JSON', value_delimiter='|')"),
        "JSON does not support the following configs: [delimiter]"
    );
}

#[test]
fn a_sink_takes_over_format_and_delimiter_of_its_source() {
    let source = "CREATE STREAM s (a INT, b INT) WITH (kafka_topic='t', value_format='DELIMITED', value_delimiter='|');";
    let sink = declared(&format!("{source} CREATE STREAM o AS SELECT * FROM s;"));
    assert_eq!(sink.value_format, "DELIMITED");
    assert_eq!(sink.value_options.delimiter, Delimiter::parse("|").ok());
    let sink = declared(&format!("{source} CREATE STREAM o WITH (value_delimiter='$') AS SELECT * FROM s;"));
    assert_eq!(sink.value_options.delimiter, Delimiter::parse("$").ok());
    let sink = declared(&format!("{source} CREATE STREAM o WITH (value_format='JSON') AS SELECT * FROM s;"));
    assert_eq!((sink.value_format.as_str(), sink.value_options.delimiter), ("JSON", None));
}

#[test]
fn what_a_format_cannot_hold_is_named() {
    let value = |format: &str, columns: &str| {
        refused(&format!("CREATE STREAM s ({columns}) WITH (kafka_topic='t', value_format='{format}')"))
    };
    for format in ["DELIMITED", "KAFKA"] {
        for (data_type, base) in
            [("ARRAY<INT>", "ARRAY"), ("MAP<STRING, DOUBLE>", "MAP"), ("STRUCT<F1 DOUBLE>", "STRUCT")]
        {
            let message = value(format, &format!("foo {data_type}"));
            assert_eq!(
                message,
                format!("The '{format}' format does not support type '{base}', column: `foo`")
            );
        }
    }
    assert_eq!(
        value("NONE", "foo INT"),
        "The 'NONE' format can only be used when no columns are defined. Got: [`foo` INTEGER]"
    );
    assert_eq!(
        value("KAFKA", "a INT, b STRING"),
        "The 'KAFKA' format only supports a single field. Got: [`a` INTEGER, `b` STRING]"
    );
    let key = |format: &str, columns: &str| {
        refused(&format!(
            "CREATE STREAM s ({columns}, v INT) WITH (kafka_topic='t', key_format='{format}', value_format='JSON')"
        ))
    };
    assert_eq!(
        key("NONE", "K STRING KEY"),
        "The 'NONE' format can only be used when no columns are defined. Got: [`K` STRING KEY]"
    );
    assert_eq!(
        key("KAFKA", "K BOOLEAN KEY"),
        "The 'KAFKA' format does not support type 'BOOLEAN', column: `K`"
    );
    let map = key("AVRO", "K ARRAY<MAP<STRING, DOUBLE>> KEY");
    assert!(map.starts_with("Map keys, including types that contain maps, are not supported"), "{map}");
    assert!(map.ends_with("Key column name: `K`. Column type: ARRAY<MAP<STRING, DOUBLE>>."), "{map}");
    let sink = "CREATE STREAM i (v INT) WITH (kafka_topic='t', value_format='DELIMITED');; \
                CREATE STREAM o AS SELECT ARRAY[v] AS a FROM i";
    assert_eq!(refused(sink), "The 'DELIMITED' format does not support type 'ARRAY', column: `a`");
    let sink = "CREATE STREAM i (foo INT, bar INT) WITH (kafka_topic='t', value_format='JSON');; \
                CREATE STREAM o WITH (key_format='NONE') AS SELECT * FROM i PARTITION BY bar";
    assert!(refused(sink).contains("Got: [`bar` INTEGER KEY]"));
}

#[test]
fn names_and_ids_are_of_formats_with_schemas() {
    let def = declared(
        "CREATE STREAM s (k INT KEY, v INT) WITH (kafka_topic='t', format='AVRO', KEY_SCHEMA_FULL_NAME='a.K', \
         VALUE_SCHEMA_FULL_NAME='a.b.V')",
    );
    assert_eq!(def.key_options.full_name.as_deref(), Some("a.K"));
    assert_eq!(def.value_options.full_name.as_deref(), Some("a.b.V"));
    let named = declared("CREATE STREAM my_orders (k INT KEY, v INT) WITH (kafka_topic='t', format='AVRO')");
    assert_eq!(
        named.key_options.full_name.as_deref(),
        Some("io.confluent.ksql.avro_schemas.MyOrdersKey"),
        "a name of its own for each source's key"
    );
    let with = |rest: &str| refused(&format!("CREATE STREAM s (v INT) WITH (kafka_topic='t', {rest})"));
    assert_eq!(
        with("value_format='JSON', VALUE_AVRO_SCHEMA_FULL_NAME='com.custom.schema'"),
        "JSON does not support the following configs: [fullSchemaName]"
    );
    assert!(
        with("value_format='AVRO', VALUE_SCHEMA_FULL_NAME=' '")
            .starts_with("fullSchemaName cannot be empty.")
    );
    assert_eq!(
        with("value_format='JSON', VALUE_SCHEMA_ID=1"),
        "VALUE_FORMAT should support schema inference when VALUE_SCHEMA_ID is provided. Current format is JSON."
    );
    assert_eq!(
        with("value_format='AVRO', VALUE_PROTOBUF_NULLABLE_REPRESENTATION='OPTIONAL'"),
        "Property VALUE_PROTOBUF_NULLABLE_REPRESENTATION can only be enabled with protobuf format"
    );
    declared(
        "CREATE STREAM s (v INT) WITH (kafka_topic='t', value_format='PROTOBUF', \
         VALUE_PROTOBUF_NULLABLE_REPRESENTATION='OPTIONAL')",
    );
}

fn wanted(text: &str) -> Vec<(Role, &'static str, Option<u32>)> {
    let parsed = parse(text).unwrap();
    let all = wanted_schemas(&parsed[0]).unwrap_or_else(|e| panic!("{e}"));
    all.into_iter().map(|w| (w.role, w.format, w.options.schema_id)).collect()
}

#[test]
fn columns_are_asked_for_where_a_format_with_schemas_has_none() {
    let (key, value) = (Role::Key, Role::Value);
    assert_eq!(
        wanted("CREATE STREAM s WITH (kafka_topic='t', value_format='avro')"),
        [(value, "AVRO", None)]
    );
    assert_eq!(
        wanted("CREATE TABLE s WITH (kafka_topic='t', format='JSON_SR')"),
        [(key, "JSON_SR", None), (value, "JSON_SR", None)]
    );
    assert_eq!(
        wanted("CREATE STREAM s (v INT) WITH (kafka_topic='t', format='PROTOBUF')"),
        [(key, "PROTOBUF", None)]
    );
    assert_eq!(
        wanted(
            "CREATE TABLE s (k INT PRIMARY KEY) WITH (kafka_topic='t', value_format='AVRO', VALUE_SCHEMA_ID=7)"
        ),
        [(value, "AVRO", Some(7))]
    );
    assert_eq!(
        wanted("CREATE STREAM s WITH (kafka_topic='t', value_format='AVRO_PLAIN', VALUE_SCHEMA_ID=7)"),
        [(value, "AVRO", Some(7))]
    );
    assert_eq!(wanted("CREATE STREAM s WITH (kafka_topic='t', value_format='AVRO_PLAIN')"), []);
    assert_eq!(wanted("CREATE STREAM s (v INT) WITH (kafka_topic='t', value_format='AVRO')"), []);
    assert_eq!(wanted("CREATE STREAM s WITH (kafka_topic='t', value_format='PROTOBUF_NOSR')"), []);
    let both = "CREATE STREAM s (v INT) WITH (kafka_topic='t', value_format='AVRO', VALUE_SCHEMA_ID=7)";
    let error = wanted_schemas(&parse(both).unwrap()[0]).unwrap_err();
    assert_eq!(error.message, "Table elements and VALUE_SCHEMA_ID cannot both exist for create statement.");
}

#[test]
fn columns_of_the_registry_are_written_into_the_statement() {
    let point = DataType::Struct([Field::new("select", DataType::Double)].into());
    let key = Schema::new(vec![Field::new("ROWKEY", DataType::BigInt)]);
    let value = Schema::new(vec![
        Field::new("from", DataType::Varchar),
        Field::new("at`s", DataType::Array(Arc::new(point.clone()))),
        Field::new("d", DataType::Decimal(10, 2)),
    ]);
    let both = |text: &str| {
        let parsed = parse(text).unwrap();
        let last = parsed.last().unwrap();
        let statement = with_columns(last, Some(&key), Some(&value)).unwrap_or_else(|e| panic!("{e}"));
        let def = declared(&statement.text);
        def.columns.iter().map(|c| format!("{} {:?}", c.name, c.place)).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(
        both(
            "SHOW STREAMS; CREATE STREAM s /* none */ WITH (kafka_topic='t', format='AVRO', timestamp='ROWKEY');"
        ),
        "ROWKEY Key, from Value, at`s Value, d Value"
    );
    assert_eq!(
        both("CREATE TABLE s WITH (kafka_topic='t', format='AVRO')"),
        "ROWKEY Key, from Value, at`s Value, d Value"
    );
    let parsed = parse(
        "CREATE TABLE s (id DECIMAL(4, 2) PRIMARY KEY -- of the order\n) WITH (kafka_topic='t', value_format='AVRO')",
    )
    .unwrap();
    let def = declared(&with_columns(&parsed[0], None, Some(&value)).unwrap().text);
    assert_eq!(def.columns.len(), 4);
    assert_eq!(def.columns[0].name, "id");
    assert_eq!(def.columns[2].data_type, DataType::Array(Arc::new(point)));
}
