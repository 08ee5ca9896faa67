//! What is inferred from what.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use super::*;

fn infer_with(options: InferOptions, records: &[&str]) -> Inferred {
    let mut inference = Inference::new(options);
    for record in records {
        inference.record(&serde_json::from_str(record).unwrap());
    }
    inference.finish().unwrap()
}

fn infer(records: &[&str]) -> Inferred {
    infer_with(InferOptions::default(), records)
}

fn columns(inferred: &Inferred) -> Vec<String> {
    inferred.columns().fields.iter().map(|f| format!("{} {}", f.name, f.data_type)).collect()
}

fn notes(inferred: &Inferred) -> Vec<String> {
    inferred.notes().iter().map(ToString::to_string).collect()
}

fn csv(names: &[&str], rows: &[&[&str]]) -> Inferred {
    let mut inference = Inference::new(InferOptions::default());
    for row in rows {
        // A cell that begins with a quote is one that was quoted.
        let cell = |(name, text): (&&'static str, &&'static str)| {
            (*name, text.trim_start_matches('"'), text.starts_with('"'))
        };
        let names: Vec<&'static str> = names.iter().map(|n| &*n.to_string().leak()).collect();
        let row: Vec<&'static str> = row.iter().map(|c| &*c.to_string().leak()).collect();
        inference.texts(names.iter().zip(&row).map(cell));
    }
    inference.finish().unwrap()
}

#[test]
fn values_of_one_kind_have_its_type() {
    for (values, wanted) in [
        (&["true", "false"][..], "BOOLEAN"),
        (&["1", "-9223372036854775808"], "BIGINT"),
        (&["1", "1.5"], "DOUBLE"),
        (&["18446744073709551615", "1"], "DECIMAL(20, 0)"),
        (&["\"a\""], "VARCHAR"),
        (&["\"2026-02-28\""], "DATE"),
        (&["\"2026-02-30\""], "VARCHAR"),
        (&["\"14:30:00\"", "\"14:30:00.250\""], "TIME"),
        (&["\"14:30\""], "VARCHAR"),
        (&["\"2026-02-28T14:30:00Z\"", "\"2026-02-28 14:30:00\"", "\"2026-02-28\""], "TIMESTAMP"),
        (&["\"2026-02-28\"", "\"later\""], "VARCHAR"),
        (&["[1]", "[]", "[2.5]"], "ARRAY<DOUBLE>"),
        (&["[]"], "ARRAY<VARCHAR>"),
        (&["{\"a\": 1}", "{\"b\": [true]}"], "STRUCT<a BIGINT, b ARRAY<BOOLEAN>>"),
        (&["1", "\"one\""], "VARCHAR"),
        (&["1", "{\"a\": 1}"], "VARCHAR"),
        (&["null"], "VARCHAR"),
    ] {
        let records: Vec<String> = values.iter().map(|v| format!("{{\"f\": {v}}}")).collect();
        let records: Vec<&str> = records.iter().map(String::as_str).collect();
        assert_eq!(columns(&infer(&records)), [format!("f {wanted}")], "{values:?}");
    }
}

#[test]
fn what_is_changed_or_guessed_is_noted() {
    for (values, wanted) in [
        (&["1", "\"x\"", "\"y\""][..], "f: 1 numbers, 2 strings: kept as text"),
        (&["9007199254740993", "1.5"], "beyond 2^53, whose last digits a double loses"),
        (&["1", "1.5"], "f: 1 fractions and 1 whole numbers: double"),
        (&["\"2026-02-28T14:30:00\""], "f: 1 timestamps (ISO 8601), without a zone: taken as UTC"),
        (&["\"2026-02-28T14:30:00.123456Z\""], "parts of a millisecond"),
        (&["\"2026-02-28\"", "\"soon\""], "f: 1 dates or timestamps, 1 other strings: text"),
        (&["null"], "f: nothing but nulls"),
        (&["[]"], "f[]: no elements"),
    ] {
        let records: Vec<String> = values.iter().map(|v| format!("{{\"f\": {v}}}")).collect();
        let records: Vec<&str> = records.iter().map(String::as_str).collect();
        let notes = notes(&infer(&records));
        assert!(notes.len() == 1 && notes[0].contains(wanted), "{values:?}: {notes:?}");
    }
    assert_eq!(notes(&infer(&["{\"a\": 1}"])), [""; 0]);
}

#[test]
fn a_field_that_is_null_or_absent_anywhere_is_optional() {
    let inferred = infer(&[r#"{"a":1,"b":1,"c":[1],"d":{"e":1}}"#, r#"{"a":2,"b":null,"c":[null],"d":{}}"#]);
    let avro: Json = serde_json::from_str(&inferred.text(SchemaType::Avro, "a.R").unwrap()).unwrap();
    let wanted = serde_json::json!({"type": "record", "name": "R", "namespace": "a", "fields": [
        {"name": "a", "type": "long"},
        {"name": "b", "type": ["null", "long"], "default": null},
        {"name": "c", "type": {"type": "array", "items": ["null", "long"]}},
        {"name": "d", "type": {"type": "record", "name": "R_d", "fields": [
            {"name": "e", "type": ["null", "long"], "default": null}]}}]});
    assert_eq!(avro, wanted);
    let json: Json = serde_json::from_str(&inferred.text(SchemaType::Json, "R").unwrap()).unwrap();
    let integer = serde_json::json!({"type": "integer"});
    let nullable = serde_json::json!({"oneOf": [{"type": "null"}, integer]});
    assert_eq!(json["properties"]["b"], nullable);
    assert_eq!(json["properties"]["c"], serde_json::json!({"type": "array", "items": nullable}));
    assert_eq!(json["required"], serde_json::json!(["a", "b", "c", "d"]));
    assert_eq!(json["properties"]["d"].get("required"), None);
    let proto = inferred.text(SchemaType::Protobuf, "a.R").unwrap();
    assert!(proto.contains("int64 a = 1;") && proto.contains("optional int64 b = 2;"), "{proto}");
    let options = InferOptions { all_optional: true, ..InferOptions::default() };
    let avro = infer_with(options, &[r#"{"a":1}"#]).text(SchemaType::Avro, "R").unwrap();
    assert!(avro.contains(r#""type":["null","long"]"#), "{avro}");
}

#[test]
fn texts_are_what_they_look_like() {
    let names = ["id", "zip", "price", "ok", "day", "note", "empty"];
    let inferred = csv(
        &names,
        &[
            &["1", "01234", "1.5", "true", "2026-02-28", "", ""],
            &["-20", "98765", "7", "FALSE", "2026-03-01", "\"", "\""],
            &[" 3 ", "00000", "1e3", "", "", "x", ""],
        ],
    );
    assert_eq!(
        columns(&inferred),
        [
            "id BIGINT",
            "zip VARCHAR",
            "price DOUBLE",
            "ok BOOLEAN",
            "day DATE",
            "note VARCHAR",
            "empty VARCHAR"
        ]
    );
    let said = notes(&inferred);
    assert!(said.iter().any(|n| n.starts_with("zip: ")), "{said:?}");
    let avro = inferred.text(SchemaType::Avro, "R").unwrap();
    assert!(avro.contains(r#"{"name":"ok","type":["null","boolean"],"default":null}"#), "{avro}");
    assert!(avro.contains(r#"{"name":"id","type":"long"}"#), "{avro}");
}

#[test]
fn declared_columns_of_several_files_are_joined() {
    let schema = |fields: &[(&str, DataType)]| {
        Schema::new(fields.iter().map(|(n, t)| crate::Field::new(*n, t.clone())).collect())
    };
    let mut inference = Inference::new(InferOptions::default());
    inference.columns(&schema(&[("a", DataType::Integer), ("b", DataType::Bytes)]), &[true, true], 10);
    inference.columns(&schema(&[("a", DataType::BigInt), ("c", DataType::Decimal(9, 2))]), &[true, false], 5);
    assert_eq!(inference.records(), 15);
    let inferred = inference.finish().unwrap();
    assert_eq!(columns(&inferred), ["a BIGINT", "b BYTES", "c DECIMAL(9, 2)"]);
    let avro = inferred.text(SchemaType::Avro, "R").unwrap();
    assert!(avro.contains(r#"{"name":"a","type":"long"}"#), "{avro}");
    assert!(avro.contains(r#"{"name":"b","type":["null","bytes"],"default":null}"#), "{avro}");
}

#[test]
fn an_object_of_too_many_names_is_a_map() {
    let members: Vec<String> = (0..1001).map(|i| format!("\"k{i}\": {i}")).collect();
    let record = format!("{{\"of\": {{{}}}}}", members.join(","));
    let inferred = infer(&[&record, r#"{"of": {"k0": null, "more": 1.5}}"#]);
    assert_eq!(columns(&inferred), ["of MAP<VARCHAR, DOUBLE>"]);
}

#[test]
fn records_that_are_no_objects_are_bare_values() {
    let inferred = infer(&["1", "2"]);
    assert!(inferred.is_bare());
    assert_eq!(inferred.text(SchemaType::Avro, "R").unwrap(), "\"long\"");
    let error = inferred.text(SchemaType::Protobuf, "R").unwrap_err().to_string();
    assert!(error.contains("BIGINT") && error.contains("objects are needed"), "{error}");
    assert!(Inference::new(InferOptions::default()).finish().is_none());
}

#[test]
fn names_that_a_language_has_not_are_noted_and_must_not_meet() {
    let inferred = infer(&[r#"{"first name": 1}"#]);
    let said: Vec<String> = inferred.notes_on(SchemaType::Avro).iter().map(ToString::to_string).collect();
    assert_eq!(said, ["first name: named first_name in Avro"]);
    assert_eq!(inferred.notes_on(SchemaType::Json), []);
    let error = infer(&[r#"{"a b": 1, "a_b": 2}"#]).text(SchemaType::Avro, "R").unwrap_err().to_string();
    assert!(error.contains("a_b"), "{error}");
}

#[test]
fn a_value_by_itself_keeps_its_strings() {
    let json = serde_json::json!({"at": "2026-02-28", "n": 18_446_744_073_709_551_615_u64, "l": [1, null]});
    assert_eq!(type_of_json(&json).to_string(), "STRUCT<at VARCHAR, n DOUBLE, l ARRAY<BIGINT>>");
}
