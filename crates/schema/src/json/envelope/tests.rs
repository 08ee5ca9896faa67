//! What the envelope alone promises; what every codec promises is in the conformance suite.

use super::{Enveloped, JsonEnvelopeCodec, JsonEnvelopeReader};
use crate::conformance::{self, Malformed};
use crate::{Codec, DataType, Field, Role, Schema, Value, arrow_to_rows};
use std::sync::Arc;

fn schema(fields: &[(&str, DataType)]) -> Schema {
    Schema::new(fields.iter().map(|(name, t)| Field::new(*name, t.clone())).collect())
}

fn malformed(schema: &Schema, bare: bool) -> Vec<Malformed> {
    let mut bad: Vec<Malformed> = [
        &b""[..],
        b"{",
        b"5",
        b"{}",
        b"{\"a\":1}",
        b"{\"schema\":null}",
        b"{\"schema\":null,\"payload\":{},\"more\":1}",
        b"{\"schema\":5,\"payload\":{}}",
        b"{\"schema\":{\"type\":\"thing\"},\"payload\":{}}",
        b"{\"schema\":null,\"payload\":{}} x",
        b"{\"schema\":null,\"payload\":{\"v\":\xff}}",
    ]
    .map(|bytes| Malformed::new(bytes, ""))
    .into();
    let name = &schema.fields[0].name;
    if schema.fields[0].data_type == DataType::Integer {
        let value = if bare { "true".to_owned() } else { format!("{{\"{name}\":true}}") };
        bad.push(Malformed::new(format!("{{\"schema\":null,\"payload\":{value}}}"), name.as_str()));
    }
    if schema.fields.len() == 1 && matches!(schema.fields[0].data_type, DataType::Decimal(..)) && !bare {
        let of = format!(
            r#"{{"schema":{{"type":"struct","fields":[{{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal",
            "parameters":{{"scale":"0"}},"field":"{name}"}}]}},"payload":{{"{name}":"?"}}}}"#
        );
        bad.push(Malformed::new(of, name.as_str()));
    }
    bad
}

#[test]
fn values_and_keys_conform() {
    for layout in [Role::Value, Role::Key] {
        conformance::all(&conformance::Format {
            codec: &|schema| Some(Arc::new(JsonEnvelopeCodec::new(schema.clone(), layout, None))),
            // A null payload is a null record.
            nulls: layout == Role::Value,
            all_doubles: false,
            malformed: &|schema| malformed(schema, layout == Role::Key && schema.fields.len() == 1),
        });
    }
}

#[test]
fn records_are_as_connect_writes_them() {
    let columns = schema(&[
        ("id", DataType::BigInt),
        ("price", DataType::Decimal(10, 2)),
        ("day", DataType::Date),
        ("tags", DataType::Array(Arc::new(DataType::Varchar))),
    ]);
    let codec = JsonEnvelopeCodec::new(columns, Role::Value, Some("shop.Order"));
    let row = vec![
        Value::BigInt(7),
        Value::Decimal(1250),
        Value::Date(3),
        Value::Array(vec![Value::Varchar("x".into())]),
    ];
    let mut out = Vec::new();
    codec.encode_row(&row, &mut out).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let decimal = serde_json::json!({
        "type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "version": 1, "optional": true, "field": "price",
        "parameters": {"scale": "2", "connect.decimal.precision": "10"}
    });
    let wanted = serde_json::json!({
        "schema": {"type": "struct", "name": "shop.Order", "optional": false, "fields": [
            {"type": "int64", "optional": true, "field": "id"},
            decimal,
            {"type": "int32", "name": "org.apache.kafka.connect.data.Date", "version": 1, "optional": true, "field": "day"},
            {"type": "array", "items": {"type": "string", "optional": true}, "optional": true, "field": "tags"}
        ]},
        "payload": {"id": 7, "price": "BOI=", "day": 3, "tags": ["x"]}
    });
    assert_eq!(json, wanted);
    assert_eq!(codec.decode_row(&out).unwrap(), row);
}

#[test]
fn a_decimal_has_the_scale_of_its_record_whatever_the_columns() {
    let record = |scale: u8, value: &str| {
        format!(
            r#"{{"payload": {{"a": {value}, "m": {{"k": {value}}}}}, "schema": {{"type": "struct", "fields": [
            {{"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "parameters": {{"scale": "{scale}"}}, "field": "a"}},
            {{"type": "map", "keys": {{"type": "string"}}, "field": "m", "values":
                {{"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "parameters": {{"scale": "{scale}"}}}}}}]}}}}"#
        )
    };
    let columns = |of: DataType| {
        JsonEnvelopeCodec::new(
            schema(&[("a", of.clone()), ("m", DataType::Map(Arc::new(of)))]),
            Role::Value,
            None,
        )
    };
    let read = |of: DataType, text: String| columns(of).decode_row(text.as_bytes()).map(|row| row[0].clone());
    assert_eq!(read(DataType::Decimal(20, 4), record(2, "\"BOI=\"")), Ok(Value::Decimal(125_000)));
    assert_eq!(read(DataType::Decimal(20, 4), record(0, "\"/w==\"")), Ok(Value::Decimal(-10_000)));
    assert_eq!(read(DataType::Varchar, record(2, "\"BOI=\"")), Ok(Value::Varchar("12.50".into())));
    assert_eq!(read(DataType::Double, record(2, "\"BOI=\"")), Ok(Value::Double(12.5)));
    assert_eq!(read(DataType::Double, record(2, "12.5")), Ok(Value::Double(12.5)), "decimal.format=NUMERIC");
    assert_eq!(read(DataType::Double, record(2, "null")), Ok(Value::Null));
    let error = read(DataType::Decimal(20, 0), record(2, "\"BOI=\"")).unwrap_err();
    assert!(error.path == "a" && error.reason.contains("more digits"), "{error}");
}

#[test]
fn a_null_payload_is_a_null_record_and_a_null_schema_plain_json() {
    let codec = JsonEnvelopeCodec::new(schema(&[("v", DataType::Integer)]), Role::Value, None);
    let payloads: [&[u8]; 4] = [
        b"{\"schema\":null,\"payload\":{\"v\":1}}",
        b"{\"schema\":null,\"payload\":null}",
        b"{}",
        b" { \"payload\" : {\"v\":2} , \"schema\" : {\"type\":\"struct\",\"fields\":[]} } ",
    ];
    let decoded = codec.decode_arrow(&payloads.map(Some));
    assert_eq!((decoded.rows, decoded.nulls), (vec![0, 3], vec![1]));
    assert_eq!(decoded.errors.iter().map(|e| e.index).collect::<Vec<_>>(), [2]);
    let rows = arrow_to_rows(codec.schema(), &decoded.batch).unwrap();
    assert_eq!(rows, [[Value::Integer(1)], [Value::Integer(2)]]);
}

#[test]
fn a_reader_takes_the_columns_from_the_record() {
    let columns = schema(&[("v", DataType::Timestamp), ("d", DataType::Decimal(5, 1))]);
    let codec = JsonEnvelopeCodec::new(columns.clone(), Role::Value, Some("a.B"));
    let row = vec![Value::Timestamp(5), Value::Decimal(-3)];
    let mut out = Vec::new();
    codec.encode_row(&row, &mut out).unwrap();
    let reader = JsonEnvelopeReader::default();
    let (first, again) = (reader.decode(&out).unwrap(), reader.decode(&out).unwrap());
    let (Enveloped::Row(shape, read), Enveloped::Row(same, _)) = (first, again) else { panic!("no rows") };
    assert!(Arc::ptr_eq(&shape, &same));
    assert_eq!((&shape.schema, shape.name.as_deref(), read), (&columns, Some("a.B"), row));
    let single = reader.decode(b"{\"schema\":{\"type\":\"string\"},\"payload\":\"x\"}").unwrap();
    let Enveloped::Row(shape, read) = single else { panic!("no row") };
    assert!(shape.single && read == [Value::Varchar("x".into())]);
    assert_eq!(reader.decode(b"{\"schema\":null,\"payload\":null}").unwrap(), Enveloped::Null);
    assert_eq!(reader.decode(b"{\"schema\":null,\"payload\":[1]}").unwrap(), Enveloped::Schemaless(b"[1]"));
    assert!(reader.decode(b"{\"a\":1}").unwrap_err().reason.contains("schemas.enable=false"));
}
