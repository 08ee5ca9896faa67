//! What JSON alone promises; what every codec promises is in the conformance suite.

use super::JsonCodec;
use super::scan::MAX_DEPTH;
use crate::conformance::{self, Malformed, read as decode};
use crate::{Codec, DataType, Encoded, Field, Row, Schema, Value, arrow_to_rows};
use std::sync::Arc;

fn schema(fields: &[(&str, DataType)]) -> Schema {
    Schema::new(fields.iter().map(|(name, t)| Field::new(*name, t.clone())).collect())
}

fn value(data_type: &DataType, text: &str) -> Result<Value, String> {
    let codec = JsonCodec::new(schema(&[("v", data_type.clone())]));
    let payload = format!("{{\"v\":{text}}}");
    decode(&codec, payload.as_bytes()).map(|mut row| row.remove(0)).map_err(|e| {
        assert_eq!(e.path, "v");
        e.reason
    })
}

fn text(s: &str) -> Value {
    Value::Varchar(s.to_owned())
}

fn actions() -> JsonCodec {
    JsonCodec::new(schema(&[
        ("user", DataType::Varchar),
        ("user_id", DataType::BigInt),
        ("action", DataType::Integer),
    ]))
}

fn paths(cases: &[(&str, &str)]) -> Vec<Malformed> {
    cases.iter().map(|(payload, path)| Malformed::new(*payload, *path)).collect()
}

/// Bytes that are no JSON, and JSON whose last field holds what its type cannot.
fn malformed(schema: &Schema, bare: bool) -> Vec<Malformed> {
    let unparsable: &[(&str, &str)] = match schema.fields.as_slice() {
        [field] if bare => match field.data_type {
            // An object is the value as well as what wraps one.
            DataType::Map(_) => return paths(&[("", "v"), ("\"", "v"), ("{}}", "")]),
            DataType::Varchar => return paths(&[("", "v"), ("{", ""), ("\"", "v"), ("{}}", "")]),
            _ => &[("", "v"), ("{", ""), ("{}}", ""), ("\u{1}", "v")],
        },
        _ => &[("", ""), ("{", ""), ("[", ""), ("{\"c0\":null,}", ""), ("{}}", ""), ("\u{1}", "")],
    };
    let mut all = paths(unparsable);
    let (names, last) = match schema.fields.split_last() {
        Some((last, rest)) => (rest, last),
        None => return all,
    };
    let wrong = |t: &DataType| match t {
        DataType::Varchar => None,
        DataType::Array(element) if **element != DataType::Varchar => Some(("[null,null,[[]]]", "[2]")),
        DataType::Array(_) => Some(("\"x\"", "")),
        DataType::Map(value) if **value != DataType::Varchar => Some(("{\"a\":null,\"k\":[[]]}", ".k")),
        DataType::Map(_) => Some(("\"x\"", "")),
        DataType::Struct(fields) if fields[0].name == "f" && fields[0].data_type != DataType::Varchar => {
            Some(("{\"Größe\":null,\"f\":[[]]}", ".f"))
        }
        DataType::Struct(_) => Some(("[]", "")),
        _ => Some(("\"x\"", "")),
    };
    if let Some((value, path)) = wrong(&last.data_type) {
        let nulls: String = names.iter().map(|f| format!("\"{}\":null,", f.name)).collect();
        let path = format!("{}{path}", last.name);
        all.push(Malformed::new(format!("{{{nulls}\"{}\":{value}}}", last.name), path.clone()));
        if bare {
            all.push(Malformed::new(value, path));
        }
    }
    all
}

#[test]
fn values_conform() {
    conformance::all(&conformance::Format {
        codec: &|schema| Some(Arc::new(JsonCodec::new(schema.clone()))),
        nulls: true,
        all_doubles: false,
        malformed: &|schema| malformed(schema, false),
    });
}

#[test]
fn keys_conform_wrapped_or_not() {
    for wrapped in [false, true] {
        conformance::all(&conformance::Format {
            codec: &|schema| Some(Arc::new(JsonCodec::key(schema.clone()).wrapped(wrapped))),
            nulls: true,
            all_doubles: false,
            malformed: &|schema| malformed(schema, schema.fields.len() == 1),
        });
    }
}

#[test]
fn each_type_reads_what_ksqldb_reads_and_refuses_the_rest() {
    use DataType as T;
    use Value as V;
    let decimal = T::Decimal(5, 2);
    let cases: &[(T, &str, Option<V>)] = &[
        (T::Integer, "42", Some(V::Integer(42))),
        (T::Integer, "5.0", Some(V::Integer(5))),
        (T::Integer, "1e3", Some(V::Integer(1000))),
        (T::Integer, "\"42\"", Some(V::Integer(42))),
        (T::Integer, "-2147483648", Some(V::Integer(i32::MIN))),
        (T::Integer, "2147483648", None),
        (T::Integer, "5.5", None),
        (T::Integer, "\"x\"", None),
        (T::Integer, "\"\"", None),
        (T::Integer, "true", None),
        (T::Integer, "[1]", None),
        (T::BigInt, "-9223372036854775808", Some(V::BigInt(i64::MIN))),
        (T::BigInt, "9223372036854775807.000", Some(V::BigInt(i64::MAX))),
        (T::BigInt, "9223372036854775808", None),
        (T::BigInt, "-0", Some(V::BigInt(0))),
        (T::BigInt, "01", None),
        (T::BigInt, "-", None),
        (T::Double, "1", Some(V::Double(1.0))),
        (T::Double, "-8.5e-1", Some(V::Double(-0.85))),
        (T::Double, "\"53.25\"", Some(V::Double(53.25))),
        (T::Double, "1e999", None),
        (T::Double, "\"NaN\"", None),
        (T::Double, "false", None),
        (T::Varchar, "\"x\"", Some(text("x"))),
        (T::Varchar, "1.50", Some(text("1.50"))),
        (T::Varchar, "true", Some(text("true"))),
        (T::Varchar, "{ \"a b\" : [ 1 , \"\\\" c\\\\\" ] }", Some(text("{\"a b\":[1,\"\\\" c\\\\\"]}"))),
        (T::Boolean, "true", Some(V::Boolean(true))),
        (T::Boolean, "\"false\"", Some(V::Boolean(false))),
        (T::Boolean, "1", None),
        (T::Boolean, "\"yes\"", None),
        (decimal.clone(), "12.5", Some(V::Decimal(1250))),
        (decimal.clone(), "\"-999.99\"", Some(V::Decimal(-99_999))),
        (decimal.clone(), "1000", None),
        (decimal.clone(), "0.001", None),
        (decimal, "{}", None),
        (T::Timestamp, "1612223747000", Some(V::Timestamp(1_612_223_747_000))),
        (T::Timestamp, "\"2021-02-01T23:55:47Z\"", Some(V::Timestamp(1_612_223_747_000))),
        (T::Timestamp, "\"1612223747000\"", Some(V::Timestamp(1_612_223_747_000))),
        (T::Timestamp, "\"yesterday\"", None),
        (T::Date, "18659", Some(V::Date(18_659))),
        (T::Date, "\"2021-02-01\"", Some(V::Date(18_659))),
        (T::Date, "2147483648", None),
        (T::Time, "86399999", Some(V::Time(86_399_999))),
        (T::Time, "\"00:00:01.5\"", Some(V::Time(1500))),
        (T::Time, "86400000", None),
        (T::Time, "-1", None),
        (T::Bytes, "\"AQI=\"", Some(V::Bytes(vec![1, 2]))),
        (T::Bytes, "\"AQI\"", Some(V::Bytes(vec![1, 2]))),
        (T::Bytes, "\"A\"", None),
        (T::Bytes, "1", None),
        (T::Array(Arc::new(T::Integer)), "{}", None),
        (T::Map(Arc::new(T::Integer)), "[]", None),
    ];
    for (data_type, json, wanted) in cases {
        assert_eq!(value(data_type, "null"), Ok(V::Null), "{data_type}");
        assert_eq!(value(data_type, json).ok(), *wanted, "{data_type} from {json}");
    }
}

#[test]
fn whatever_is_not_one_json_object_is_an_error() {
    let codec = actions();
    for payload in [
        "",
        " ",
        "{",
        "}",
        "[]",
        "1",
        "null",
        "\"x\"",
        "{}x",
        "{}{}",
        "{} ,",
        "{,}",
        "{\"user_id\":1,}",
        "{\"user_id\" 1}",
        "{\"user_id\":}",
        "{\"user_id\":1 \"action\":1}",
        "{user_id:1}",
        "{'user_id':1}",
        "{\"user_id\":1",
        "{\"user\":\"x",
        "{\"user\":\"x\\",
        "{\"user\":\"\\x\"}",
        "{\"user\":\"\\u12g4\"}",
        "{\"user\":\"\\ud800\"}",
        "{\"user\":\"\\udc00\"}",
        "{\"user\":\"\\ud800\\u0041\"}",
        "{\"user\":\"\n\"}",
        "{\"user\":nul}",
        "{\"user_id\":+1}",
        "{\"user_id\":1.}",
        "{\"user_id\":.5}",
        "{\"user_id\":0x1}",
        "{\"user_id\":1}\u{feff}",
        "\u{feff}{\"user_id\":1}",
        // The same in values that are skipped.
        "{\"skipped\":01}",
        "{\"skipped\":1e}",
        "{\"skipped\":[1,]}",
        "{\"skipped\":[1 2]}",
        "{\"skipped\":{\"a\"}}",
        "{\"skipped\":{\"a\":1,}}",
        "{\"skipped\":\"\\ud800\"}",
        "{\"skipped\":\"\t\"}",
        "{\"skipped\":tru}",
        "{\"skipped\":[}",
    ] {
        assert!(decode(&codec, payload.as_bytes()).is_err(), "{payload} was accepted");
    }
    assert!(decode(&codec, b"{\"user\":\"\xff\"}").is_err());
    assert!(decode(&codec, b"{\"skipped\":\"\xc3\"}").is_err());
}

#[test]
fn nesting_ends_at_the_limit() {
    let codec = actions();
    let nested = |levels: usize| {
        // The record itself is one.
        let levels = levels - 1;
        format!("{{\"skipped\":{}{}}}", "[".repeat(levels), "]".repeat(levels))
    };
    let limit = MAX_DEPTH as usize;
    assert!(decode(&codec, nested(limit).as_bytes()).is_ok());
    assert!(
        decode(&codec, nested(limit + 1).as_bytes()).unwrap_err().reason.contains("nested deeper than 128")
    );
    assert!(decode(&codec, nested(1_000_000).as_bytes()).is_err());
}

#[test]
fn escapes_become_characters() {
    let got = value(&DataType::Varchar, r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\uDE00é""#);
    assert_eq!(got, Ok(text("\"\\/\u{8}\u{c}\n\r\té😀é")));
    // A key may be escaped as well.
    let row = decode(&actions(), br#"{"us\u0065r": "x"}"#).unwrap();
    assert_eq!(row[0], text("x"));
}

#[test]
fn of_duplicate_keys_the_last_wins_and_the_exact_spelling_wins_over_others() {
    let codec = actions();
    for (payload, wanted) in [
        (r#"{"user_id":1,"user_id":2}"#, Value::BigInt(2)),
        (r#"{"user_id":1,"user_id":null}"#, Value::Null),
        (r#"{"USER_ID":1}"#, Value::BigInt(1)),
        (r#"{"USER_ID":1,"User_Id":2}"#, Value::BigInt(2)),
        (r#"{"USER_ID":1,"user_id":2}"#, Value::BigInt(2)),
        (r#"{"user_id":2,"USER_ID":1}"#, Value::BigInt(2)),
        (r#"{"USER_ID":1,"user_id":2,"USER_ID":3}"#, Value::BigInt(2)),
    ] {
        let row = decode(&codec, payload.as_bytes()).unwrap();
        assert_eq!(row, [Value::Null, wanted, Value::Null], "{payload}");
    }
}

#[test]
fn duplicate_keys_inside_nested_values_replace_too() {
    let inner = DataType::Struct([Field::new("a", DataType::Array(Arc::new(DataType::Integer)))].into());
    let list = |v: &[i32]| Value::Array(v.iter().map(|i| Value::Integer(*i)).collect());
    let got = value(&inner, r#"{"a":[1,2,3],"a":[4]}"#);
    assert_eq!(got, Ok(Value::Struct(vec![list(&[4])])));

    let map = DataType::Map(Arc::new(DataType::Array(Arc::new(DataType::Integer))));
    let got = value(&map, r#"{"k":[1,2],"l":[3],"k":[4]}"#);
    assert_eq!(got, Ok(Value::Map(vec![("k".into(), list(&[4])), ("l".into(), list(&[3]))])));

    let many: String = (0..40).map(|i| format!("\"k{}\":[{i}],", i % 20)).collect();
    let got = value(&map, &format!("{{{}}}", many.trim_end_matches(',')));
    let wanted = (0..20).map(|i| (format!("k{i}"), list(&[i + 20]))).collect();
    assert_eq!(got, Ok(Value::Map(wanted)));
}

#[test]
fn order_spacing_and_extra_keys_change_from_record_to_record() {
    let codec = actions();
    let payloads = [
        r#"{"user": "a", "user_id": 1, "action": 1}"#,
        r#"{"user": "b", "user_id": 2, "action": 2}"#,
        r#"{"user":"c","user_id":3,"action":3}"#,
        r#"{"user": "c", "user_id":  3, "action":	3}"#,
        r#"{"action":4,"extra":{"user":"no"},"user":"d","user_id":4}"#,
        r#"{"action":5,"extra":{"user":"no"},"user":"e","user_id":5}"#,
        "{ \"user_id\" :\t6 ,\r\n \"user\":\"f\",\"other\":[],\"action\":6 } ",
        r#"{"user": "g", "user_id": 7}"#,
        r#"{"user": "h", "user_id": 8, "action": 8}"#,
        r#"{}"#,
        r#"{"user_i": 1, "user_idx": 2, "use": 3, "user_id": 9}"#,
    ];
    let inputs: Vec<Option<&[u8]>> = payloads.iter().map(|p| Some(p.as_bytes())).collect();
    let decoded = codec.decode_arrow(&inputs);
    assert_eq!(decoded.errors, []);
    let wanted: Vec<Row> = payloads.iter().map(|p| codec.decode_row(p.as_bytes()).unwrap()).collect();
    assert_eq!(arrow_to_rows(codec.schema(), &decoded.batch).unwrap(), wanted);
    assert_eq!(wanted[6], [text("f"), Value::BigInt(6), Value::Integer(6)]);
    assert_eq!(wanted[7], [text("g"), Value::BigInt(7), Value::Null]);
    assert_eq!(wanted[10], [Value::Null, Value::BigInt(9), Value::Null]);
}

#[test]
fn an_error_names_the_path_of_the_value() {
    let point = DataType::Struct([Field::new("x", DataType::Integer)].into());
    let map = DataType::Map(Arc::new(DataType::Array(Arc::new(point))));
    let codec = JsonCodec::new(schema(&[("shapes", map)]));
    let error = decode(&codec, br#"{"shapes":{"line":[{"x":1},{"x":2},{"x":"far"}]}}"#).unwrap_err();
    assert_eq!(
        error.to_string(),
        "record 0, field shapes.line[2].x: INTEGER wanted, found the string \"far\""
    );
}

#[test]
fn records_are_written_compactly_in_the_schema_s_order() {
    let point =
        DataType::Struct([Field::new("x\"", DataType::Double), Field::new("y", DataType::Double)].into());
    let codec = JsonCodec::new(schema(&[
        ("name", DataType::Varchar),
        ("at", point),
        ("tags", DataType::Array(Arc::new(DataType::Varchar))),
        ("counts", DataType::Map(Arc::new(DataType::BigInt))),
        ("price", DataType::Decimal(10, 2)),
        ("raw", DataType::Bytes),
        ("ts", DataType::Timestamp),
    ]));
    let row = vec![
        text("Zoë"),
        Value::Struct(vec![Value::Double(-8.0), Value::Null]),
        Value::Array(vec![text("a"), Value::Null]),
        Value::Map(vec![("n".into(), Value::BigInt(1)), ("é".into(), Value::BigInt(2))]),
        Value::Decimal(1250),
        Value::Bytes(vec![1, 2]),
        Value::Timestamp(1_612_223_747_000),
    ];
    let mut out = Vec::new();
    codec.encode_row(&row, &mut out).unwrap();
    let wanted = concat!(
        r#"{"name":"Zoë","at":{"x\"":-8.0,"y":null},"tags":["a",null],"counts":{"n":1,"é":2},"#,
        r#""price":12.50,"raw":"AQI=","ts":1612223747000}"#
    );
    assert_eq!(std::str::from_utf8(&out).unwrap(), wanted);
    assert_eq!(decode(&codec, &out).unwrap(), row);
}

#[test]
fn a_double_that_json_cannot_hold_is_an_error_and_writes_nothing() {
    let codec = JsonCodec::new(schema(&[("v", DataType::Double)]));
    let batch =
        crate::rows_to_arrow(codec.schema(), &[vec![Value::Double(1.0)], vec![Value::Double(f64::INFINITY)]])
            .unwrap();
    let mut out = Encoded { arena: b"before".to_vec(), ends: vec![6] };
    let error = codec.encode_arrow(&batch, &mut out).unwrap_err();
    assert_eq!((error.index, error.path.as_str()), (1, "v"));
    assert_eq!((out.arena.as_slice(), out.ends.as_slice()), (b"before".as_slice(), [6].as_slice()));
}

#[test]
fn a_key_of_one_column_is_bare_and_is_read_wrapped_too() {
    let key = |t: DataType| JsonCodec::key(schema(&[("user_id", t)]));
    let number = key(DataType::BigInt);
    for payload in ["45", " 45 ", "{\"user_id\":45}", "{\"x\":1,\"USER_ID\":45}", "\"45\""] {
        assert_eq!(decode(&number, payload.as_bytes()), Ok(vec![Value::BigInt(45)]), "{payload}");
    }
    for payload in ["", "4 5", "{}", "{\"x\":45}", "[45]", "{\"user_id\":45}1", "{\"user_id\":[]}"] {
        assert!(decode(&number, payload.as_bytes()).is_err(), "{payload}");
    }
    assert_eq!(decode(&number, b"null"), Ok(vec![Value::Null]));

    let name = key(DataType::Varchar);
    assert_eq!(decode(&name, b"\"x\""), Ok(vec![text("x")]));
    assert_eq!(decode(&name, b"{\"user_id\":\"x\"}"), Ok(vec![text("x")]));
    assert_eq!(decode(&name, b"{\"id\": 1}"), Ok(vec![text("{\"id\":1}")]));

    let inner = Field::new("id", DataType::Integer);
    let nested = key(DataType::Struct([inner].into()));
    let wanted = vec![Value::Struct(vec![Value::Integer(1)])];
    assert_eq!(decode(&nested, b"{\"id\":1}"), Ok(wanted.clone()));
    assert_eq!(decode(&nested, b"{\"user_id\":{\"id\":1}}"), Ok(wanted));

    let map = key(DataType::Map(Arc::new(DataType::Integer)));
    let wanted = vec![Value::Map(vec![("user_id".into(), Value::Integer(1))])];
    assert_eq!(decode(&map, b"{\"user_id\":1}"), Ok(wanted));
}

#[test]
fn a_key_is_written_bare_or_wrapped_as_asked() {
    let one = schema(&[("user_id", DataType::BigInt)]);
    let two = schema(&[("a", DataType::Integer), ("b", DataType::Varchar)]);
    let write = |codec: JsonCodec, row: Row| {
        let mut out = Vec::new();
        codec.encode_row(&row, &mut out).unwrap();
        let batch = crate::rows_to_arrow(codec.schema(), &[row]).unwrap();
        let mut encoded = Encoded::default();
        codec.encode_arrow(&batch, &mut encoded).unwrap();
        assert_eq!(encoded.get(0), out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(write(JsonCodec::key(one.clone()), vec![Value::BigInt(45)]), "45");
    assert_eq!(
        write(JsonCodec::key(one.clone()).wrapped(true), vec![Value::BigInt(45)]),
        r#"{"user_id":45}"#
    );
    assert_eq!(write(JsonCodec::new(one), vec![Value::BigInt(45)]), r#"{"user_id":45}"#);
    assert_eq!(
        write(JsonCodec::key(two).wrapped(false), vec![Value::Integer(1), text("x")]),
        r#"{"a":1,"b":"x"}"#
    );
}

#[test]
fn a_schema_without_columns_still_counts_records() {
    let codec = JsonCodec::new(Schema::default());
    let decoded = codec.decode_arrow(&[Some(b"{\"a\":1}"), Some(b"{"), Some(b"{}")]);
    assert_eq!((decoded.batch.num_rows(), decoded.rows, decoded.errors.len()), (2, vec![0, 2], 1));
    let mut out = Vec::new();
    codec.encode_row(&Vec::new(), &mut out).unwrap();
    assert_eq!(out, b"{}");
}

#[test]
fn keys_match_and_unknown_ones_pass_as_the_options_say() {
    let inner = DataType::Struct([Field::new("In", DataType::BigInt)].into());
    let columns = schema(&[("Id", DataType::BigInt), ("s", inner)]);
    let record = br#"{"id":1,"s":{"in":2}}"#;
    let found = decode(&JsonCodec::new(columns.clone()), record);
    assert_eq!(found, Ok(vec![Value::BigInt(1), Value::Struct(vec![Value::BigInt(2)])]));
    let exact = JsonCodec::new(columns.clone()).case_sensitive(true);
    assert_eq!(decode(&exact, record), Ok(vec![Value::Null, Value::Struct(vec![Value::Null])]));

    let strict = JsonCodec::new(columns).unknown_fields_refused(true);
    assert!(decode(&strict, record).is_ok());
    for (record, path) in [(&br#"{"Id":1,"x":2}"#[..], "x"), (br#"{"s":{"In":1,"y":2}}"#, "s.y")] {
        let error = decode(&strict, record).unwrap_err();
        assert_eq!(
            (error.path.as_str(), error.reason.as_str()),
            (path, "the schema does not name this field")
        );
    }
    // Also after records that do not hold it.
    let records = [&br#"{"Id":1}"#[..], br#"{"Id":1,"x":2}"#, br#"{"Id":1,"x":2}"#, br#"{"Id":3}"#];
    let decoded = strict.decode_arrow(&records.map(Some));
    assert_eq!((decoded.rows, decoded.errors.len()), (vec![0, 3], 2));
}
