//! What must hold for any schema, any rows and any bytes.

use super::JsonCodec;
use crate::{Codec, DataType, Field, Row, Schema, Value, arrow_to_rows, conformance};
use proptest::collection::vec;
use proptest::prelude::*;
use std::sync::Arc;

pub(crate) fn data_type() -> impl Strategy<Value = DataType> {
    let decimal =
        (1u8..=38).prop_flat_map(|p| (Just(p), 0..=p as i8)).prop_map(|(p, s)| DataType::Decimal(p, s));
    let leaf = prop_oneof![
        Just(DataType::Boolean),
        Just(DataType::Integer),
        Just(DataType::BigInt),
        Just(DataType::Double),
        decimal,
        Just(DataType::Varchar),
        Just(DataType::Bytes),
        Just(DataType::Date),
        Just(DataType::Time),
        Just(DataType::Timestamp),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|t| DataType::Array(Arc::new(t))),
            inner.clone().prop_map(|t| DataType::Map(Arc::new(t))),
            vec(inner, 0..4).prop_map(|types| DataType::Struct(named(types).into())),
        ]
    })
}

/// Names that JSON must escape, that are not ASCII, and that begin alike.
pub(crate) fn named(types: Vec<DataType>) -> Vec<Field> {
    let name =
        |i: usize| ["id", "id2", "ключ", "a \"b\"", "c\\d", "", "x.y", "\n"].get(i).map(|s| (*s).to_owned());
    types
        .into_iter()
        .enumerate()
        .map(|(i, t)| Field::new(name(i).unwrap_or_else(|| format!("column{i}")), t))
        .collect()
}

fn value(data_type: &DataType) -> BoxedStrategy<Value> {
    let some = match data_type {
        DataType::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        DataType::Integer => any::<i32>().prop_map(Value::Integer).boxed(),
        DataType::BigInt => prop_oneof![any::<i64>(), -1000i64..1000].prop_map(Value::BigInt).boxed(),
        DataType::Double => {
            use proptest::num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
            prop_oneof![
                POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO,
                (-1_000_000i32..1_000_000).prop_map(|v| f64::from(v) / 1000.0)
            ]
            .prop_map(Value::Double)
            .boxed()
        }
        DataType::Decimal(precision, _) => {
            let limit = 10_i128.pow(u32::from(*precision));
            (1 - limit..limit).prop_map(Value::Decimal).boxed()
        }
        DataType::Varchar => {
            prop_oneof![any::<String>(), "[a-z\"\\\\\u{0}-\u{20}é😀]{0,20}"].prop_map(Value::Varchar).boxed()
        }
        DataType::Bytes => vec(any::<u8>(), 0..20).prop_map(Value::Bytes).boxed(),
        DataType::Date => any::<i32>().prop_map(Value::Date).boxed(),
        DataType::Time => (0..86_400_000).prop_map(Value::Time).boxed(),
        DataType::Timestamp => any::<i64>().prop_map(Value::Timestamp).boxed(),
        DataType::Array(element) => vec(value(element), 0..4).prop_map(Value::Array).boxed(),
        DataType::Map(entry) => proptest::collection::btree_map("[a-c\"é]{0,2}", value(entry), 0..4)
            .prop_map(|entries| Value::Map(entries.into_iter().collect()))
            .boxed(),
        DataType::Struct(fields) => {
            fields.iter().map(|f| value(&f.data_type)).collect::<Vec<_>>().prop_map(Value::Struct).boxed()
        }
    };
    prop_oneof![1 => Just(Value::Null), 6 => some].boxed()
}

pub(crate) fn schema_and_rows() -> impl Strategy<Value = (Schema, Vec<Row>)> {
    vec(data_type(), 0..6).prop_flat_map(|types| {
        let row: Vec<_> = types.iter().map(value).collect();
        (Just(Schema::new(named(types))), vec(row, 0..6))
    })
}

/// JSON text with anything in it.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|b| b.to_string()),
        any::<i64>().prop_map(|n| n.to_string()),
        "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?",
        any::<String>().prop_map(|s| serde_json::Value::String(s).to_string()),
        "\"(\\\\u[0-9a-f]{4}|\\\\[nrtbf/\"\\\\]|[ -!#-\\[]){0,6}\"",
    ];
    let key = prop_oneof!["\"[ab]\"", "\"[A-Bé]{1,2}\"", Just("\"\\u0061\"".to_owned())];
    leaf.prop_recursive(4, 24, 5, move |inner| {
        let pair = (key.clone(), "[ \n]{0,1}", inner.clone()).prop_map(|(k, s, v)| format!("{k}{s}:{s}{v}"));
        prop_oneof![
            vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(" , "))),
            vec(pair, 0..5).prop_map(|pairs| format!("{{{}}}", pairs.join(","))),
        ]
    })
}

/// A change of one byte, or of a few.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        proptest::sample::select(b"{}[]:,\"\\ \n\t0123456789-+.eEutrfalsn/\x00\x1f\x7f".to_vec()),
        any::<u8>()
    ];
    let change = (any::<proptest::sample::Index>(), 0..3u8, byte);
    let object = vec(("\"[abA]\"", json()), 0..4).prop_map(|pairs| {
        let pairs: Vec<String> = pairs.into_iter().map(|(k, v)| format!("{k}: {v}")).collect();
        format!("{{{}}}", pairs.join(", "))
    });
    (object, vec(change, 0..4)).prop_map(|(text, changes)| {
        let mut bytes = text.into_bytes();
        for (index, kind, byte) in changes {
            let at = index.index(bytes.len() + 1);
            match kind {
                0 => bytes.insert(at, byte),
                1 if at < bytes.len() => bytes[at] = byte,
                2 if at < bytes.len() => drop(bytes.remove(at)),
                _ => {}
            }
        }
        bytes
    })
}

/// That many cases, unless `PROPTEST_CASES` says otherwise.
pub(crate) fn config(cases: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { default.cases } else { cases };
    ProptestConfig { cases, failure_persistence: None, ..default }
}

fn varchar(names: &[&str]) -> Schema {
    Schema::new(names.iter().map(|name| Field::new(*name, DataType::Varchar)).collect())
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn any_rows_of_any_schema_round_trip((schema, rows) in schema_and_rows()) {
        conformance::rows_round_trip(&JsonCodec::new(schema.clone()), &rows);
        conformance::rows_round_trip(&JsonCodec::key(schema.clone()), &rows);
        conformance::rows_round_trip(&JsonCodec::key(schema).wrapped(true), &rows);
    }

    #[test]
    fn what_is_written_is_json_that_others_read((schema, rows) in schema_and_rows()) {
        let codec = JsonCodec::new(schema.clone());
        for row in &rows {
            let mut out = Vec::new();
            codec.encode_row(row, &mut out).unwrap();
            let parsed: serde_json::Value = serde_json::from_slice(&out).unwrap();
            for (field, value) in schema.fields.iter().zip(row) {
                match value {
                    Value::Varchar(text) => prop_assert_eq!(parsed[&field.name].as_str(), Some(text.as_str())),
                    Value::BigInt(n) => prop_assert_eq!(parsed[&field.name].as_i64(), Some(*n)),
                    Value::Double(n) => prop_assert!(parsed[&field.name].is_f64(), "{}", n),
                    Value::Null => prop_assert!(parsed[&field.name].is_null()),
                    _ => {}
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(config(4000))]

    #[test]
    fn exactly_the_objects_that_are_json_are_accepted(payload in mutated()) {
        let parsed = serde_json::from_slice::<serde_json::Value>(&payload);
        if let Err(e) = &parsed && e.to_string().contains("number out of range") {
            // Valid JSON all the same.
            return Ok(());
        }
        let wanted = parsed.as_ref().is_ok_and(serde_json::Value::is_object);
        // All values skipped; some read as text.
        for schema in [varchar(&["no such key"]), varchar(&["a", "b"])] {
            let codec = JsonCodec::new(schema);
            let row = codec.decode_row(&payload);
            prop_assert_eq!(row.is_ok(), wanted, "{}: {:?}", String::from_utf8_lossy(&payload), row);
            let decoded = codec.decode_arrow(&[Some(&payload)]);
            prop_assert_eq!(decoded.rows.len(), usize::from(wanted));
        }
        if let Ok(serde_json::Value::Object(object)) = parsed {
            let row = JsonCodec::new(varchar(&["a"])).decode_row(&payload).unwrap();
            match object.get("a") {
                Some(serde_json::Value::String(text)) => prop_assert_eq!(&row[0], &Value::Varchar(text.clone())),
                Some(serde_json::Value::Null) => prop_assert_eq!(&row[0], &Value::Null),
                _ => {}
            }
        }
    }

    #[test]
    fn rows_and_arrow_agree_on_any_batch(
        payloads in vec(mutated(), 0..6),
        types in vec(data_type(), 3),
    ) {
        let names = ["a", "b", "A"];
        let fields = names.iter().zip(types).map(|(name, t)| Field::new(*name, t)).collect();
        for codec in [JsonCodec::new(Schema::new(fields)), JsonCodec::key(varchar(&["a"]))] {
            let inputs: Vec<Option<&[u8]>> = payloads.iter().map(|p| Some(p.as_slice())).collect();
            let decoded = codec.decode_arrow(&inputs);
            let rows = arrow_to_rows(codec.schema(), &decoded.batch).unwrap();
            let (mut rows, mut errors) = (rows.iter(), decoded.errors.iter());
            for (i, payload) in payloads.iter().enumerate() {
                match codec.decode_row(payload) {
                    Ok(row) => prop_assert_eq!(Some(&row), rows.next()),
                    Err(e) => prop_assert_eq!(Some(&crate::RecordError { index: i, ..e }), errors.next()),
                }
            }
            prop_assert!(rows.next().is_none() && errors.next().is_none());
        }
    }

    #[test]
    fn no_bytes_make_it_panic(payload in vec(any::<u8>(), 0..64), types in vec(data_type(), 0..3)) {
        let schema = Schema::new(named(types));
        for codec in [JsonCodec::new(schema.clone()), JsonCodec::key(schema)] {
            let errors = codec.decode_arrow(&[Some(&payload)]).errors.len();
            prop_assert_eq!(codec.decode_row(&payload).is_err(), errors == 1);
        }
    }
}
