//! The Elasticsearch sink against a real server (Elasticsearch 8/9, OpenSearch, bd's search role). Wants its address, such as
//! `http://127.0.0.1:9200`, in `BD_PEER_ELASTICSEARCH`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use bd_connect::sdk::{
    Batch, Cells, Config, ConnectSchema, Plugin, SinkBatch, SinkTask, StopFlag, TaskContext,
};
use bd_schema::{DataType, Field, Schema, Value, rows_to_arrow};
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

fn address() -> String {
    match std::env::var("BD_PEER_ELASTICSEARCH") {
        Ok(address) => address.trim_end_matches('/').to_owned(),
        Err(_) => panic!("BD_PEER_ELASTICSEARCH must hold the address of Elasticsearch"),
    }
}

/// A topic of this run alone.
fn topic(name: &str) -> String {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    format!("BD-{name}-{nanos}")
}

fn task(extra: &[(&str, &str)]) -> Box<dyn SinkTask> {
    let plugin: Arc<dyn Plugin> = bd_connectors::elasticsearch::plugins().remove(0);
    let config = Config::default().with("connection.url", address()).with("read.timeout.ms", "30000");
    let config = extra.iter().fold(config, |config, (k, v)| config.with(k, *v));
    let context = TaskContext {
        connector: "sink".to_owned(),
        task: 0,
        config: config.with_defaults(&plugin.config_def()),
        offsets: Default::default(),
        stop: StopFlag::default(),
        registry: None,
    };
    plugin.open_sink(context).unwrap()
}

fn batch(topic: &str, first: i64, keys: Cells, values: Cells) -> SinkBatch {
    let count = values.len() as i64;
    let mut batch = Batch::new(topic, values).with_keys(keys);
    batch.partition = Some(0);
    batch.timestamps = vec![0; count as usize];
    SinkBatch { batch, offsets: (first..first + count).collect() }
}

fn text(cells: &[&str]) -> Cells {
    Cells::Bytes(cells.iter().map(|c| (!c.is_empty()).then(|| c.as_bytes().to_vec())).collect())
}

fn get(path: &str) -> Json {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut answer = agent.get(format!("{}{path}", address())).call().unwrap();
    serde_json::from_slice(&answer.body_mut().read_to_vec().unwrap()).unwrap()
}

fn count(index: &str) -> Json {
    get(&format!("/{index}/_refresh"));
    get(&format!("/{index}/_count"))["count"].clone()
}

#[test]
fn a_replay_of_an_append_only_topic_changes_nothing() {
    let topic = topic("log");
    let index = topic.to_lowercase();
    let mut task = task(&[("key.ignore", "true")]);
    let schema = Schema::new(vec![
        Field::new("name", DataType::Varchar),
        Field::new("at", DataType::Timestamp),
        Field::new("day", DataType::Date),
        Field::new("n", DataType::BigInt),
    ]);
    let rows: Vec<_> = (0..5000)
        .map(|n| {
            let name = Value::Varchar(format!("row \"{n}\"\n"));
            vec![name, Value::Timestamp(1_612_223_747_000), Value::Date(18_659), Value::BigInt(n)]
        })
        .collect();
    let arrow = rows_to_arrow(&schema, &rows).unwrap();
    let values = Cells::Arrow { schema: Arc::new(ConnectSchema::of(None, schema)), batch: arrow };
    for _ in 0..2 {
        assert_eq!(task.put(&batch(&topic, 0, Cells::Null(5000), values.clone())).unwrap(), []);
    }
    assert_eq!(count(&index), json!(5000));
    let document = get(&format!("/{index}/_doc/{}", format!("{topic}+0+7").replace('+', "%2B")));
    assert_eq!(document["_version"], json!(1));
    assert_eq!(document["_source"]["day"], json!(1_612_137_600_000_i64));
    let mapping = get(&format!("/{index}/_mapping"));
    let properties = &mapping[&index]["mappings"]["properties"];
    assert_eq!(properties["at"]["type"], json!("date"));
    assert_eq!(properties["name"]["fields"]["keyword"]["type"], json!("keyword"));
}

#[test]
fn a_table_keeps_the_newest_row_of_each_key_whatever_is_replayed() {
    let topic = topic("table");
    let index = topic.to_lowercase();
    let mut task = task(&[("behavior.on.null.values", "delete"), ("schema.ignore", "true")]);
    let keys = text(&["a", "b", "a", "b", "c"]);
    let values = text(&["{\"n\":1}", "{\"n\":2}", "{\"n\":3}", "", "{\"n\":4}"]);
    let all = batch(&topic, 0, keys, values);
    assert_eq!(task.put(&all).unwrap(), []);
    let state = || {
        let document = |id: &str| get(&format!("/{index}/_doc/{id}"));
        (document("a"), document("b")["found"].clone(), document("c")["_source"].clone())
    };
    let before = state();
    assert_eq!((&before.0["_source"], &before.0["_version"]), (&json!({"n": 3}), &json!(2)));
    assert_eq!((&before.1, &before.2), (&json!(false), &json!({"n": 4})));
    // The whole batch again, then only its old part: nothing goes back.
    assert_eq!(task.put(&all).unwrap(), []);
    assert_eq!(
        task.put(&batch(&topic, 0, text(&["a", "b"]), text(&["{\"n\":1}", "{\"n\":2}"]))).unwrap(),
        []
    );
    assert_eq!(state(), before);
    assert_eq!(task.put(&batch(&topic, 5, text(&["b"]), text(&["{\"n\":9}"]))).unwrap(), []);
    assert_eq!(count(&index), json!(3));
}

#[test]
fn a_document_against_the_mapping_is_rejected_alone() {
    let topic = topic("conflict");
    let mut task = task(&[]);
    let first = batch(&topic, 0, text(&["a"]), text(&["{\"n\":1}"]));
    assert_eq!(task.put(&first).unwrap(), []);
    let values = text(&["{\"n\":2}", "{\"n\":\"many\"}", "{\"n\":3}"]);
    let rejected = task.put(&batch(&topic, 1, text(&["b", "c", "d"]), values)).unwrap();
    assert_eq!(rejected.iter().map(|r| r.index).collect::<Vec<_>>(), [1]);
    assert!(rejected[0].reason.contains("[n]"), "{}", rejected[0].reason);
    assert_eq!(count(&topic.to_lowercase()), json!(3));
}

#[test]
fn updates_change_the_fields_that_they_name() {
    let topic = topic("upsert");
    let mut task = task(&[("write.method", "upsert")]);
    let values = text(&["{\"a\":1,\"b\":1}", "{\"b\":2}"]);
    assert_eq!(task.put(&batch(&topic, 0, text(&["k", "k"]), values)).unwrap(), []);
    let document = get(&format!("/{}/_doc/k", topic.to_lowercase()));
    assert_eq!(document["_source"], json!({"a": 1, "b": 2}));
}
