//! Transforms as tables: configuration, records before, records after.

use super::chain::Chain;
use super::{Flow, validate};
use crate::sdk::{Batch, Cells, Config, ConnectField, ConnectSchema, Shape};
use bd_schema::{Codec, DataType, Field, JsonCodec, Row, Schema, Value};
use std::sync::Arc;

fn chain(pairs: &[(&str, &str)]) -> Chain {
    Chain::of(&config(pairs)).unwrap()
}

fn config(pairs: &[(&str, &str)]) -> Config {
    let mut values: std::collections::BTreeMap<String, String> =
        pairs.iter().map(|(k, v)| (format!("transforms.t.{k}"), (*v).to_owned())).collect();
    values.insert("transforms".into(), "t".into());
    Config::new(values)
}

fn value(field: &str) -> String {
    format!("org.apache.kafka.connect.transforms.{field}$Value")
}

/// JSON documents without schema.
fn json_batch(values: &[Option<&str>]) -> Batch {
    let cells = Cells::Bytes(values.iter().map(|v| v.map(|v| v.as_bytes().to_vec())).collect());
    let mut batch = Batch::new("events", cells);
    batch.timestamps = vec![1_612_223_747_000; values.len()];
    batch
}

fn json(cells: &Cells) -> Vec<String> {
    match cells.clone().into_rows().unwrap() {
        Cells::Null(count) => vec!["-".into(); count],
        Cells::Bytes(cells) => cells
            .iter()
            .map(|c| c.as_ref().map_or("-".into(), |c| String::from_utf8_lossy(c).into()))
            .collect(),
        Cells::Rows { schema, rows } => {
            let codec = match schema.shape {
                Shape::Single(_) => JsonCodec::key(schema.columns().into_owned()),
                Shape::Struct { .. } => JsonCodec::new(schema.columns().into_owned()),
            };
            let text = |row: &Row| {
                let mut out = Vec::new();
                codec.encode_row(row, &mut out).unwrap();
                String::from_utf8(out).unwrap()
            };
            rows.iter().map(|r| r.as_ref().map_or("-".into(), text)).collect()
        }
        Cells::Arrow { .. } => unreachable!(),
    }
}

/// The values and the failures after the transform.
fn run(pairs: &[(&str, &str)], batch: Batch) -> (Vec<String>, Vec<String>) {
    let offsets = (100..100 + batch.len() as i64).collect();
    let done = chain(pairs).apply(batch, offsets);
    let values = done.flows.iter().flat_map(|f| json(&f.batch.values)).collect();
    (values, done.failed.into_iter().map(|(origin, _, reason)| format!("{origin}: {reason}")).collect())
}

#[test]
fn fields_are_chosen_renamed_added_and_masked() {
    let one = r#"{"id":7,"name":"ann","at":"2021-02-01 23:55:47","geo":{"lat":1.5,"lon":2.0}}"#;
    for (class, keys, wanted) in [
        (
            "ReplaceField",
            vec![("exclude", "at,geo"), ("renames", "id:user_id")],
            r#"{"user_id":7,"name":"ann"}"#,
        ),
        ("ReplaceField", vec![("include", "name")], r#"{"name":"ann"}"#),
        ("ExtractField", vec![("field", "geo")], r#"{"lat":1.5,"lon":2.0}"#),
        ("ExtractField", vec![("field", "geo.lon"), ("field.syntax.version", "V2")], "2.0"),
        ("ExtractField", vec![("field", "name")], "\"ann\""),
        (
            "MaskField",
            vec![("fields", "name,id")],
            r#"{"id":0,"name":"","at":"2021-02-01 23:55:47","geo":{"lat":1.5,"lon":2.0}}"#,
        ),
        (
            "MaskField",
            vec![("fields", "name"), ("replacement", "***")],
            r#"{"id":7,"name":"***","at":"2021-02-01 23:55:47","geo":{"lat":1.5,"lon":2.0}}"#,
        ),
        (
            "Flatten",
            vec![("delimiter", "_")],
            r#"{"id":7,"name":"ann","at":"2021-02-01 23:55:47","geo_lat":1.5,"geo_lon":2.0}"#,
        ),
        (
            "Cast",
            vec![("spec", "id:string,name:string")],
            r#"{"id":"7","name":"ann","at":"2021-02-01 23:55:47","geo":{"lat":1.5,"lon":2.0}}"#,
        ),
    ] {
        let class = value(class);
        let mut pairs = vec![("type", class.as_str())];
        pairs.extend(keys);
        let (got, failed) = run(&pairs, json_batch(&[Some(one)]));
        assert_eq!((got, failed), (vec![wanted.to_owned()], vec![]), "{pairs:?}");
    }
    let class = value("InsertField");
    let pairs = [
        ("type", class.as_str()),
        ("static.field", "source"),
        ("static.value", "tv"),
        ("topic.field", "topic"),
        ("offset.field", "offset!"),
        ("timestamp.field", "ts"),
    ];
    let (got, _) = run(&pairs, json_batch(&[Some(r#"{"id":7}"#)]));
    assert_eq!(got, [r#"{"id":7,"topic":"events","offset":100,"ts":1612223747000,"source":"tv"}"#]);
}

#[test]
fn times_are_converted() {
    let class = value("TimestampConverter");
    for (from, keys, to) in [
        (
            r#"{"at":"2021-02-01 23:55:47"}"#,
            [("target.type", "unix"), ("format", "yyyy-MM-dd HH:mm:ss")],
            r#"{"at":1612223747000}"#,
        ),
        (
            r#"{"at":1612223747000}"#,
            [("target.type", "string"), ("format", "yyyy-MM-dd'T'HH:mm:ssX")],
            r#"{"at":"2021-02-01T23:55:47Z"}"#,
        ),
        (
            r#"{"at":1612223747}"#,
            [("target.type", "Timestamp"), ("unix.precision", "seconds")],
            r#"{"at":1612223747000}"#,
        ),
        (
            r#"{"at":1612223747000}"#,
            [("target.type", "Date"), ("unix.precision", "milliseconds")],
            r#"{"at":18659}"#,
        ),
    ] {
        let pairs = [("type", class.as_str()), ("field", "at"), keys[0], keys[1]];
        assert_eq!(run(&pairs, json_batch(&[Some(from)])), (vec![to.to_owned()], vec![]), "{pairs:?}");
    }
}

#[test]
fn a_record_that_does_not_fit_fails_alone() {
    let class = value("Cast");
    let pairs = [("type", class.as_str()), ("spec", "n:int32")];
    let batch = json_batch(&[
        Some(r#"{"n":"1"}"#),
        Some(r#"{"n":"x"}"#),
        None,
        Some("{broken"),
        Some(r#"{"n":"4"}"#),
    ]);
    let (got, failed) = run(&pairs, batch);
    assert_eq!(got, [r#"{"n":1}"#, "-", r#"{"n":4}"#]);
    assert_eq!(failed.len(), 2);
    assert!(
        failed.iter().any(|f| f.starts_with("3: ")) && failed.iter().any(|f| f.starts_with("1: ")),
        "{failed:?}"
    );
}

#[test]
fn value_to_key_makes_a_key_of_fields() {
    let pairs = [("type", "org.apache.kafka.connect.transforms.ValueToKey"), ("fields", "id,name")];
    let done = chain(&pairs).apply(json_batch(&[Some(r#"{"name":"ann","x":1,"id":7}"#)]), Vec::new());
    assert_eq!(json(&done.flows[0].batch.keys), [r#"{"id":7,"name":"ann"}"#]);
    assert_eq!(json(&done.flows[0].batch.values), [r#"{"name":"ann","x":1,"id":7}"#]);
}

#[test]
fn topics_are_routed() {
    for (class, keys, wanted) in [
        ("RegexRouter", vec![("regex", "ev(.*)s"), ("replacement", "$1_$1x")], "ent_entx"),
        ("RegexRouter", vec![("regex", "vent"), ("replacement", "no")], "events"),
        (
            "TimestampRouter",
            vec![("topic.format", "${topic}-${timestamp}"), ("timestamp.format", "yyyyMM")],
            "events-202102",
        ),
    ] {
        let class = format!("org.apache.kafka.connect.transforms.{class}");
        let mut pairs = vec![("type", class.as_str())];
        pairs.extend(keys);
        let done = chain(&pairs).apply(json_batch(&[Some("{}")]), Vec::new());
        assert_eq!(done.flows[0].batch.topic.as_ref(), wanted);
    }
}

#[test]
fn filters_drop_what_their_predicate_matches() {
    let mut config = config(&[("type", "Filter"), ("predicate", "dead")]);
    config = config.with("predicates", "dead").with("predicates.dead.type", "RecordIsTombstone");
    let batch = json_batch(&[Some("{\"n\":1}"), None, Some("{\"n\":3}")]);
    let done = Chain::of(&config).unwrap().apply(batch.clone(), vec![5, 6, 7]);
    let offsets: Vec<i64> = done.flows.iter().flat_map(|f| f.offsets.clone()).collect();
    assert_eq!(offsets, [5, 7]);
    let negated = config.with("transforms.t.negate", "true");
    let done = Chain::of(&negated).unwrap().apply(batch, vec![5, 6, 7]);
    assert_eq!(done.flows.iter().flat_map(|f| f.offsets.clone()).collect::<Vec<_>>(), [6]);
}

#[test]
fn what_is_wrong_with_a_configuration_is_named() {
    for (pairs, key) in [
        (vec![("type", "org.apache.kafka.connect.transforms.Castle$Value")], "transforms.t.type"),
        (vec![("type", "Cast$Value"), ("spec", "a:int33")], "transforms.t.spec"),
        (vec![("type", "RegexRouter"), ("regex", "(")], "transforms.t.regex"),
        (vec![("type", "ExtractField$Key")], "transforms.t.field"),
        (
            vec![("type", "ExtractNewRecordState"), ("delete.tombstone.handling.mode", "x")],
            "transforms.t.delete.tombstone.handling.mode",
        ),
    ] {
        let errors = validate(&config(&pairs));
        assert_eq!(errors.iter().map(|e| e.key.as_str()).collect::<Vec<_>>(), [key], "{errors:?}");
    }
}

/// Change events of `tv.tv.users`: c, u, d and the tombstone.
fn events() -> Batch {
    let inner = DataType::Struct(Arc::from([
        Field::new("user_id", DataType::BigInt),
        Field::new("name", DataType::Varchar),
    ]));
    let source = DataType::Struct(Arc::from([
        Field::new("table", DataType::Varchar),
        Field::new("ts_ms", DataType::BigInt),
    ]));
    let known = ConnectField::default()
        .named("tv.tv.users.Value")
        .of(vec![ConnectField::required(), ConnectField::default().named("io.debezium.data.Json")]);
    let fields = vec![
        known.clone(),
        known,
        ConnectField::required(),
        ConnectField::required(),
        ConnectField::default(),
    ];
    let schema = Schema::new(vec![
        Field::new("before", inner.clone()),
        Field::new("after", inner),
        Field::new("source", source),
        Field::new("op", DataType::Varchar),
        Field::new("ts_ms", DataType::BigInt),
    ]);
    let schema =
        Arc::new(ConnectSchema::new(Some("tv.tv.users.Envelope".into()), Shape::Struct { schema, fields }));
    let user = |name: &str| Value::Struct(vec![Value::BigInt(7), Value::Varchar(name.into())]);
    let event = |before: Value, after: Value, op: &str| -> Option<Row> {
        let source = Value::Struct(vec![Value::Varchar("users".into()), Value::BigInt(5)]);
        Some(vec![before, after, source, Value::Varchar(op.into()), Value::BigInt(9)])
    };
    let rows = vec![
        event(Value::Null, user("ann"), "c"),
        event(user("ann"), user("bea"), "u"),
        event(user("bea"), Value::Null, "d"),
        None,
    ];
    Batch::new("tv.tv.users", Cells::Rows { schema, rows })
}

const UNWRAP: &str = "io.debezium.transforms.ExtractNewRecordState";

#[test]
fn change_events_become_rows_and_deletes_what_the_mode_says() {
    let (c, u) = (r#"{"user_id":7,"name":"ann"}"#, r#"{"user_id":7,"name":"bea"}"#);
    let (cr, ur) = (
        r#"{"user_id":7,"name":"ann","__deleted":"false"}"#,
        r#"{"user_id":7,"name":"bea","__deleted":"false"}"#,
    );
    let dr = r#"{"user_id":7,"name":"bea","__deleted":"true"}"#;
    for (mode, wanted) in [
        (None, vec![c, u, "-"]),
        (Some("tombstone"), vec![c, u, "-"]),
        (Some("drop"), vec![c, u]),
        (Some("rewrite"), vec![cr, ur, dr]),
        (Some("rewrite-with-tombstone"), vec![cr, ur, dr, "-"]),
        (Some("delete-to-tombstone"), vec![c, u, "-"]),
    ] {
        let mut pairs = vec![("type", UNWRAP)];
        pairs.extend(mode.map(|m| ("delete.tombstone.handling.mode", m)));
        assert_eq!(run(&pairs, events()).0, wanted, "{mode:?}");
    }
}

#[test]
fn an_unwrapped_row_keeps_its_name_and_what_is_known_of_its_fields() {
    let done = chain(&[("type", UNWRAP)]).apply(events(), Vec::new());
    let schema = done.flows[0].batch.values.schema().unwrap();
    assert_eq!(schema.name.as_deref(), Some("tv.tv.users.Value"));
    let Shape::Struct { fields, .. } = &schema.shape else { panic!("{schema:?}") };
    assert_eq!(fields[0], ConnectField::required());
    assert_eq!(fields[1].semantic.as_deref(), Some("io.debezium.data.Json"));
}

#[test]
fn fields_of_the_event_are_added_to_rows_and_headers() {
    let pairs = [
        ("type", UNWRAP),
        ("add.fields", "op,table,source.ts_ms:at"),
        ("add.headers", "op"),
        ("delete.tombstone.handling.mode", "rewrite"),
    ];
    let done = chain(&pairs).apply(events(), Vec::new());
    let flow: &Flow = &done.flows[0];
    assert_eq!(
        json(&flow.batch.values)[2],
        r#"{"user_id":7,"name":"bea","__deleted":"true","__op":"d","__table":"users","__at":5}"#
    );
    assert_eq!(flow.batch.headers[1], [("__op".to_owned(), Some(b"u".to_vec()))]);
}

#[test]
fn records_that_are_no_change_events_pass() {
    let (got, failed) = run(&[("type", UNWRAP)], json_batch(&[Some("{\"n\":1}")]));
    assert_eq!((got, failed), (vec!["{\"n\":1}".to_owned()], vec![]));
}

#[test]
fn documents_without_schema_stay_so_and_are_one_batch_whatever_they_show() {
    let class = value("InsertField");
    let pairs = [("type", class.as_str()), ("timestamp.field", "ts")];
    let batch =
        json_batch(&[Some(r#"{"a":1,"b":null}"#), Some(r#"{"a":"x"}"#), None, Some(r#"{"b":[1,"y"]}"#)]);
    let done = chain(&pairs).apply(batch, vec![4, 5, 6, 8]);
    assert_eq!(done.flows.len(), 1);
    assert_eq!(done.flows[0].offsets, [4, 5, 6, 8]);
    let Cells::Bytes(_) = &done.flows[0].batch.values else { panic!("{:?}", done.flows[0].batch.values) };
    let wanted = [
        r#"{"a":1,"b":null,"ts":1612223747000}"#,
        r#"{"a":"x","ts":1612223747000}"#,
        "-",
        r#"{"b":["1","y"],"ts":1612223747000}"#,
    ];
    assert_eq!(json(&done.flows[0].batch.values), wanted);
}

#[test]
fn change_events_without_schema_are_unwrapped_too() {
    let c = r#"{"before":null,"after":{"id":1},"op":"c"}"#;
    let d = r#"{"before":{"id":1},"after":null,"op":"d"}"#;
    let (got, _) = run(&[("type", UNWRAP)], json_batch(&[Some(c), Some(d), None]));
    assert_eq!(got, [r#"{"id":1}"#, "-"]);
    let pairs = [("type", UNWRAP), ("delete.tombstone.handling.mode", "rewrite")];
    let (got, _) = run(&pairs, json_batch(&[Some(c), Some(d), None]));
    assert_eq!(got, [r#"{"id":1,"__deleted":"false"}"#, r#"{"id":1,"__deleted":"true"}"#]);
}

#[test]
fn what_a_schema_says_goes_through_transforms() {
    let column = |name: &str| Field::new(name, DataType::Integer);
    let known =
        |n: i32| ConnectField::required().named("kind").or(Value::Integer(n)).with_parameter("p", "v");
    let fields = vec![known(1), known(2)];
    let shape = Shape::Struct { schema: Schema::new(vec![column("a"), column("b")]), fields };
    let mut schema = ConnectSchema::new(Some("n".into()), shape);
    schema.meta.version = Some(4);
    schema.meta.doc = Some("doc".into());
    schema.meta.set_parameter("of", "record");
    let row = Some(vec![Value::Integer(5), Value::Integer(6)]);
    let batch = || Batch::new("t", Cells::Rows { schema: Arc::new(schema.clone()), rows: vec![row.clone()] });
    let through = |pairs: &[(&str, &str)]| {
        let done = chain(pairs).apply(batch(), Vec::new());
        ConnectSchema::clone(done.flows[0].batch.values.schema().unwrap())
    };
    const OWN: &str = "org.apache.kafka.connect.transforms.";
    let of = |name: &str| format!("{OWN}{name}$Value");
    for (class, key, value) in [
        ("ReplaceField", "exclude", "a"),
        ("ReplaceField", "renames", "b:c"),
        ("InsertField", "topic.field", "z"),
        ("Cast", "spec", "a:int8"),
        ("Flatten", "delimiter", "_"),
    ] {
        let changed = through(&[("type", &of(class)), (key, value)]);
        assert_eq!((&changed.name, &changed.meta), (&schema.name, &schema.meta), "{class}");
        let Shape::Struct { fields, .. } = &changed.shape else { panic!("{changed:?}") };
        assert!(fields.contains(&known(2)), "{class}: {fields:?}");
    }
    let cast = through(&[("type", &of("Cast")), ("spec", "a:int8")]);
    let Shape::Struct { fields, .. } = &cast.shape else { panic!("{cast:?}") };
    let mut int8 = ConnectField::required().or(Value::Integer(1));
    int8.meta.narrow = Some(crate::sdk::Narrow::Int8);
    assert_eq!(fields[0], int8);
    let alone = through(&[("type", &of("ExtractField")), ("field", "b")]);
    assert_eq!((alone.name.as_deref(), &alone.meta), (Some("kind"), &known(2).meta));
    let hoisted = through(&[("type", &of("HoistField")), ("field", "x")]);
    let Shape::Struct { fields, .. } = &hoisted.shape else { panic!("{hoisted:?}") };
    assert_eq!((fields[0].semantic.as_deref(), &fields[0].meta), (Some("n"), &schema.meta));
    let versioned = through(&[("type", &of("SetSchemaMetadata")), ("schema.version", "9")]);
    assert_eq!((versioned.meta.version, versioned.name.as_deref()), (Some(9), Some("n")));
}
