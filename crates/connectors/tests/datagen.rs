//! The generator of records.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use bd_connect::sdk::{
    Cells, Config, Plugin, Polled, Shape, SourceOffset, SourceTask, StopFlag, TaskContext, TaskError,
};
use bd_schema::{DataType, Row, Value, rows_to_arrow};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

fn plugin() -> Arc<dyn Plugin> {
    bd_connectors::datagen::plugins().remove(0)
}

fn config(schema: &Json) -> Config {
    let config = Config::default().with("kafka.topic", "ads").with("schema.string", schema.to_string());
    config.with("max.interval", "0").with_defaults(&plugin().config_def())
}

/// A record of those fields.
fn record(fields: Json) -> Json {
    json!({"type": "record", "name": "Ad", "namespace": "tv", "fields": fields})
}

/// A record of one field `f` of that type.
fn one(data_type: Json) -> Json {
    record(json!([{"name": "f", "type": data_type}]))
}

fn open(config: &Config, offsets: &BTreeMap<String, SourceOffset>, task: usize) -> Box<dyn SourceTask> {
    assert_eq!(plugin().validate(config), []);
    let context = TaskContext {
        connector: "ads".to_owned(),
        task,
        config: config.clone(),
        offsets: offsets.clone(),
        stop: StopFlag::default(),
        registry: None,
    };
    plugin().open_source(context).unwrap()
}

fn rows(polled: &Polled) -> Vec<Row> {
    let Cells::Rows { schema, rows } = &polled.batches[0].values else { panic!("rows wanted") };
    let rows: Vec<Row> = rows.iter().map(|r| r.clone().unwrap()).collect();
    rows_to_arrow(&schema.columns(), &rows).unwrap();
    rows
}

/// A thousand rows.
fn draw(schema: &Json) -> Vec<Row> {
    let rows = rows(&open(&config(schema), &BTreeMap::new(), 0).poll(Duration::ZERO).unwrap().unwrap());
    assert_eq!(rows.len(), 1000);
    rows
}

/// A thousand values of that type.
fn values(data_type: Json) -> Vec<Value> {
    draw(&one(data_type)).into_iter().map(|mut row| row.remove(0)).collect()
}

fn numbers(data_type: Json) -> Vec<i64> {
    let number = |value| match value {
        Value::Integer(v) | Value::Date(v) | Value::Time(v) => i64::from(v),
        Value::BigInt(v) | Value::Timestamp(v) => v,
        other => panic!("a number wanted, found {other:?}"),
    };
    values(data_type).into_iter().map(number).collect()
}

fn texts(data_type: Json) -> Vec<String> {
    let text = |value| match value {
        Value::Varchar(v) => v,
        other => panic!("a text wanted, found {other:?}"),
    };
    values(data_type).into_iter().map(text).collect()
}

fn with(data_type: &str, annotations: Json) -> Json {
    json!({"type": data_type, "arg.properties": annotations})
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

#[test]
fn numbers_follow_ranges_and_iterations() {
    let small = numbers(with("int", json!({"range": {"min": -2, "max": 3}})));
    assert_eq!(small.into_iter().collect::<HashSet<_>>(), HashSet::from([-2, -1, 0, 1, 2]));
    assert!(numbers(with("long", json!({"range": {"max": 0}}))).iter().all(|n| *n < 0));
    assert_eq!(numbers(with("long", json!({"iteration": {"start": 7}})))[..3], [7, 8, 9]);
    let turning = json!({"iteration": {"start": 10, "restart": 4, "step": -2, "initial": 8}});
    assert_eq!(numbers(with("int", turning))[..5], [8, 6, 10, 8, 6]);
    let reals = values(with("double", json!({"range": {"min": 1, "max": 1.5}})));
    assert!(reals.iter().all(|v| matches!(v, Value::Double(v) if (1.0..1.5).contains(v))));
    let halves = values(with("float", json!({"iteration": {"start": 0.5, "step": 0.25}})));
    assert_eq!(halves[..3], [0.5, 0.75, 1.0].map(Value::Double));
    let scaled = json!({"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 2,
        "arg.properties": {"range": {"min": 1, "max": 2}}});
    assert!(values(scaled).iter().all(|v| matches!(v, Value::Decimal(100..=200))));
    assert_eq!(values(json!("int")).len(), 1000);
}

#[test]
fn times_may_follow_the_clock() {
    let minute = json!({"range": {"min": "now-60s", "max": "now+1ms"}});
    let before = now_ms();
    let timestamp = json!({"type": "long", "logicalType": "timestamp-millis", "arg.properties": minute});
    let millis = numbers(timestamp);
    let micros =
        numbers(json!({"type": "long", "logicalType": "timestamp-micros", "arg.properties": minute}));
    let after = now_ms();
    for at in millis.iter().chain(&micros) {
        assert!((before - 60_000..=after).contains(at), "{at}");
    }
    let seconds = json!({"range": {"min": "now-60s", "max": "now"}, "unit": "seconds"});
    for at in numbers(with("long", seconds)) {
        assert!((before / 1000 - 60..=now_ms() / 1000).contains(&at), "{at}");
    }
    let counted = numbers(with("long", json!({"iteration": {"start": "now", "step": 5}})));
    assert!((before..=now_ms()).contains(&counted[0]));
    assert_eq!(counted[3] - counted[0], 15);
    let days = json!({"type": "int", "logicalType": "date", "arg.properties": {"range": {"min": "now-2d", "max": "now"}}});
    assert!(numbers(days).iter().all(|d| (before / 86_400_000 - 2..=now_ms() / 86_400_000).contains(d)));
    assert!(
        numbers(json!({"type": "int", "logicalType": "time-millis"}))
            .iter()
            .all(|t| (0..86_400_000).contains(t))
    );
}

#[test]
fn texts_follow_their_annotations() {
    assert!(texts(json!("string")).iter().all(|t| (8..16).contains(&t.len())));
    assert!(texts(with("string", json!({"length": 3}))).iter().all(|t| t.len() == 3));
    let lengths: HashSet<usize> =
        texts(with("string", json!({"length": {"min": 2, "max": 4}}))).iter().map(String::len).collect();
    assert_eq!(lengths, HashSet::from([2, 3]));
    let users = texts(with("string", json!({"regex": "User_[1-9]{0,1}", "prefix": "<", "suffix": ">"})));
    assert!(users.iter().all(|t| t.starts_with("<User_") && t.ends_with('>') && t.len() <= 8));
    assert!(texts(with("string", json!({"regex": "a*", "length": 5}))).iter().all(|t| t.len() >= 5));
    let uuids = texts(with("string", json!({"kind": "uuid"})));
    assert!(uuids.iter().all(|u| u.len() == 36 && &u[14..15] == "4" && "89ab".contains(&u[19..20])));
    assert_eq!(uuids.iter().collect::<HashSet<_>>().len(), 1000);
    let options: HashSet<String> =
        texts(with("string", json!({"options": ["a", "b"]}))).into_iter().collect();
    assert_eq!(options, HashSet::from(["a".to_owned(), "b".to_owned()]));
    let counted = json!({"iteration": {"start": 10}, "prefix": "item-"});
    assert_eq!(texts(with("string", counted))[..2], ["item-10", "item-11"]);
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "[\"x\", \"y\"]").unwrap();
    let options = json!({"options": {"file": file.path(), "encoding": "json"}});
    assert!(texts(with("string", options)).iter().all(|t| t == "x" || t == "y"));
}

#[test]
fn booleans_and_unions_follow_their_odds() {
    let trues = |annotations| {
        values(with("boolean", annotations)).iter().filter(|v| **v == Value::Boolean(true)).count()
    };
    assert!((820..=980).contains(&trues(json!({"odds": 0.9}))));
    let changing = values(with("boolean", json!({"iteration": {"start": true}})));
    assert_eq!(changing[..3], [true, false, true].map(Value::Boolean));
    let nulls = |field: Json| draw(&record(json!([field]))).iter().filter(|r| r[0] == Value::Null).count();
    let union = json!(["null", "int"]);
    assert!((400..=600).contains(&nulls(json!({"name": "f", "type": union}))));
    assert_eq!(
        nulls(json!({"name": "f", "type": union, "arg.properties": {"position": 1, "range": {"min": 1}}})),
        0
    );
    let rare = json!({"name": "f", "type": union, "arg.properties": {"distribution": {"0": 0.1, "1": 0.9}}});
    assert!((40..=180).contains(&nulls(rare)));
}

#[test]
fn nested_types_are_drawn_and_optioned() {
    let place = json!({"type": "record", "name": "Place", "fields": [
        {"name": "lon", "type": with("double", json!({"range": {"min": -180, "max": 180}}))},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["HOME", "AWAY"]}}]});
    let schema = record(json!([
        {"name": "places", "type": {"type": "array", "items": place, "arg.properties": {"length": {"min": 1, "max": 3}}}},
        {"name": "again", "type": ["null", "Place"], "default": null},
        {"name": "map", "type": {"type": "map", "values": with("int", json!({"options": [1]})),
            "arg.properties": {"length": 2, "keys": {"options": ["a", "b"]}}}},
        {"name": "pair", "type": {"type": "record", "name": "Pair", "fields": [
            {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
            {"name": "note", "type": ["null", "string"], "default": null}],
            "arg.properties": {"options": [{"at": 5000, "note": "x"}, {"at": 6000}]}}},
        {"name": "fixed", "type": {"type": "fixed", "name": "F", "size": 2, "arg.properties": {"options": ["42"]}}},
        {"name": "bytes", "type": with("bytes", json!({"options": ["NDI="]}))},
    ]));
    for row in draw(&schema) {
        assert!(matches!(&row[0], Value::Array(items) if (1..3).contains(&items.len())));
        assert!(matches!(&row[1], Value::Null | Value::Struct(_)));
        assert!(
            matches!(&row[2], Value::Map(entries) if entries.len() == 2 && entries[0].1 == Value::Integer(1))
        );
        let pairs = [
            Value::Struct(vec![Value::Timestamp(5), Value::Varchar("x".into())]),
            Value::Struct(vec![Value::Timestamp(6), Value::Null]),
        ];
        assert!(pairs.contains(&row[3]));
        assert_eq!(row[4..], [Value::Bytes(b"42".to_vec()), Value::Bytes(b"42".to_vec())]);
    }
    let whole = json!({"type": "record", "name": "Card", "fields": [{"name": "id", "type": "int"}, {"name": "no", "type": "long"}],
        "arg.properties": {"options": [{"id": 1, "no": 10}, {"id": 2, "no": 20}]}});
    let cards: HashSet<i64> = draw(&whole)
        .into_iter()
        .map(|row| match row.as_slice() {
            [Value::Integer(id), Value::BigInt(no)] if i64::from(*id) * 10 == *no => *no,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(cards, HashSet::from([10, 20]));
}

#[test]
fn records_have_keys_headers_and_a_declaration_without_annotations() {
    let schema = record(json!([
        {"name": "ad_id", "type": with("long", json!({"iteration": {"start": 1}}))},
        {"name": "title", "type": ["null", with("string", json!({"options": ["a"]}))], "default": null},
    ]));
    let config = config(&schema).with("schema.keyfield", "ad_id");
    let polled = open(&config, &BTreeMap::new(), 0).poll(Duration::ZERO).unwrap().unwrap();
    let batch = &polled.batches[0];
    assert_eq!(&*batch.topic, "ads");
    let Cells::Rows { schema: key, rows } = &batch.keys else { panic!("rows wanted") };
    assert_eq!(key.shape, Shape::Single(DataType::BigInt));
    assert_eq!(rows[4], Some(vec![Value::BigInt(5)]));
    let header = |i: usize, at: usize| (&*batch.headers[i][at].0, batch.headers[i][at].1.as_deref().unwrap());
    assert_eq!(header(2, 0), ("task.generation", &b"0"[..]));
    assert_eq!(header(2, 2), ("current.iteration", &b"2"[..]));
    let declared = batch.values.schema().unwrap();
    assert_eq!(declared.name.as_deref(), Some("tv.Ad"));
    let avro = record(json!([
        {"name": "ad_id", "type": {"type": "long"}},
        {"name": "title", "type": ["null", {"type": "string"}], "default": null},
    ]));
    assert_eq!(serde_json::from_str::<Json>(declared.avro.as_deref().unwrap()).unwrap(), avro);
    assert!(
        matches!(&declared.shape, Shape::Struct { fields, .. } if fields[0].required && !fields[1].required)
    );
}

/// Everything random, and a count.
fn mixed() -> Json {
    record(json!([
        {"name": "n", "type": with("long", json!({"iteration": {"start": 0}}))},
        {"name": "x", "type": ["null", "double"]},
        {"name": "s", "type": {"type": "array", "items": "string"}},
        {"name": "t", "type": with("long", json!({"iteration": {"start": "now"}}))},
    ]))
}

#[test]
fn a_restart_goes_on_as_if_there_had_been_none() {
    let config = config(&mixed()).with("random.seed", "42");
    let mut offsets = BTreeMap::new();
    let mut task = open(&config, &offsets, 0);
    let first = task.poll(Duration::ZERO).unwrap().unwrap();
    for (partition, offset) in &first.offsets {
        offsets.insert(serde_json::to_string(partition).unwrap(), offset.clone().unwrap());
    }
    let straight = rows(&task.poll(Duration::ZERO).unwrap().unwrap());
    // Also with another seed set: the connector keeps the one that it began with.
    let restarted =
        open(&config.with("random.seed", "1"), &offsets, 0).poll(Duration::ZERO).unwrap().unwrap();
    assert_eq!(rows(&restarted), straight);
    assert_eq!(straight[0][0], Value::BigInt(1000));
    assert_eq!(restarted.batches[0].headers[0][0].1.as_deref(), Some(&b"1"[..]));
}

#[test]
fn the_seed_decides_the_rows_and_tasks_differ() {
    let config = config(&one(json!("string")));
    let first = |config: &Config, task| {
        rows(&open(config, &BTreeMap::new(), task).poll(Duration::ZERO).unwrap().unwrap()).swap_remove(0)
    };
    let seeded = config.clone().with("random.seed", "7");
    assert_eq!(first(&seeded, 0), first(&seeded, 0));
    assert_ne!(first(&seeded, 0), first(&seeded, 1));
    assert_ne!(first(&config, 0), first(&config, 0), "without a seed each start is another");
    assert_eq!(plugin().tasks(&seeded, 3).unwrap().len(), 3);
}

#[test]
fn records_come_at_their_pace_and_end() {
    let slow = config(&one(json!("int"))).with("max.interval", "3600000").with("random.seed", "1");
    let mut task = open(&slow, &BTreeMap::new(), 0);
    assert_eq!(rows(&task.poll(Duration::ZERO).unwrap().unwrap()).len(), 1);
    let started = Instant::now();
    assert!(task.poll(Duration::from_millis(30)).unwrap().is_none());
    assert!(started.elapsed() >= Duration::from_millis(30));
    let few = config(&one(json!("int"))).with("iterations", "3").with("max.interval", "1");
    let mut task = open(&few, &BTreeMap::new(), 0);
    let mut count = 0;
    let error = loop {
        match task.poll(Duration::from_secs(1)) {
            Ok(polled) => count += rows(&polled.unwrap()).len(),
            Err(error) => break error,
        }
    };
    assert_eq!(count, 3);
    let wanted = "Stopping connector: generated the configured 3 number of messages";
    assert_eq!(error, TaskError::Fatal(wanted.to_owned()));
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    for (data_type, wanted) in [
        (with("string", json!({"malformed": 1})), "malformed is not built"),
        (with("string", json!({"range": {"min": 1}})), "range is not built here"),
        (with("string", json!({"kind": "email"})), "kind email"),
        (with("string", json!({"options": ["a"], "prefix": "x"})), "prefix is not built here"),
        (with("string", json!({"regex": "(?=x)"})), "(?...) is not built"),
        (with("string", json!({"regex": "ab", "length": {"max": 2}})), "hardly any text"),
        (with("int", json!({"range": {"min": 5, "max": 5}})), "max must be greater"),
        (with("int", json!({"range": {"from": 5}})), "from is not built"),
        (with("int", json!({"range": {"min": "yesterday"}})), "\"now\""),
        (with("int", json!({"iteration": {"start": 1, "restart": 1}})), "restart must differ"),
        (with("int", json!({"options": ["a"]})), "option \"a\""),
        (with("int", json!({"options": []})), "at least one"),
        (with("int", json!({"unit": "weeks"})), "unit"),
        (with("boolean", json!({"odds": 2})), "odds 2"),
        (with("bytes", json!({"length": 100_000_000})), "length"),
        (json!(["null", "int", "string"]), "union"),
        (json!({"type": "array", "items": with("int", json!({"no": 1}))}), "field f[]"),
        (json!("Nothing"), "Nothing"),
    ] {
        let errors = plugin().validate(&config(&one(data_type.clone())));
        assert_eq!(errors.len(), 1, "{data_type}");
        assert!(errors[0].reason.contains(wanted), "{data_type}: {}", errors[0].reason);
        assert_eq!(errors[0].key, "schema.string");
    }
    let twice = json!({"name": "f", "type": ["null", with("int", json!({"range": {"min": 0}}))],
        "arg.properties": {"position": 1, "options": [1]}});
    let errors = plugin().validate(&config(&record(json!([twice]))));
    assert!(errors[0].reason.contains("one place would do"), "{}", errors[0].reason);
    let base = Config::default().with("kafka.topic", "t").with("max.interval", "0");
    for (config, key) in [
        (base.clone(), "schema.string"),
        (base.clone().with("quickstart", "users"), "quickstart"),
        (base.clone().with("schema.filename", "/nowhere"), "schema.filename"),
        (base.clone().with("schema.string", "\"int\""), "schema.string"),
        (
            base.with("schema.string", one(json!("int")).to_string()).with("schema.keyfield", "g"),
            "schema.keyfield",
        ),
    ] {
        assert_eq!(plugin().validate(&config)[0].key, key);
    }
}
