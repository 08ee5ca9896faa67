//! The Elasticsearch sink against a server that misbehaves as told.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod server;

use bd_connect::sdk::{
    Batch, Cells, Config, ConnectSchema, Plugin, Rejected, SinkBatch, SinkTask, StopFlag, TaskContext,
    TaskError,
};
use bd_schema::{DataType, Field, Schema, Value, rows_to_arrow};
use serde_json::{Value as Json, json};
use server::{Act, Server};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn sink(server: &Server, extra: &[(&str, &str)]) -> Box<dyn SinkTask> {
    let config = Config::default().with("connection.url", &*server.url).with("retry.backoff.ms", "1");
    open(extra.iter().fold(config, |config, (k, v)| config.with(k, *v)), StopFlag::default())
}

fn plugin() -> Arc<dyn Plugin> {
    bd_connectors::elasticsearch::plugins().remove(0)
}

fn open(config: Config, stop: StopFlag) -> Box<dyn SinkTask> {
    let config = config.with_defaults(&plugin().config_def());
    assert_eq!(plugin().validate(&config), []);
    let context = TaskContext {
        connector: "sink".to_owned(),
        task: 0,
        config,
        offsets: Default::default(),
        stop,
        registry: None,
    };
    plugin().open_sink(context).unwrap()
}

fn sink_batch(keys: Cells, values: Cells) -> SinkBatch {
    let count = values.len();
    let mut batch = Batch::new("Views", values).with_keys(keys);
    batch.partition = Some(3);
    batch.timestamps = vec![0; count];
    SinkBatch { batch, offsets: (10..10 + count as i64).collect() }
}

fn text(cells: &[&str]) -> Cells {
    Cells::Bytes(cells.iter().map(|c| Some(c.as_bytes().to_vec())).collect())
}

fn objects(count: usize) -> Cells {
    let documents: Vec<String> = (0..count).map(|i| format!("{{\"n\":{i}}}")).collect();
    text(&documents.iter().map(String::as_str).collect::<Vec<_>>())
}

fn keyed(count: usize) -> SinkBatch {
    let keys: Vec<String> = (0..count).map(|i| format!("k{i}")).collect();
    sink_batch(text(&keys.iter().map(String::as_str).collect::<Vec<_>>()), objects(count))
}

fn places(rejected: &[Rejected]) -> Vec<usize> {
    rejected.iter().map(|r| r.index).collect()
}

#[test]
fn without_keys_a_document_is_created_under_its_place_in_the_log() {
    let server = Server::start(vec![Act::Items(vec![201, 409])]);
    let rejected =
        sink(&server, &[("key.ignore", "true")]).put(&sink_batch(Cells::Null(2), objects(2))).unwrap();
    assert_eq!(rejected, []);
    let bulk = &server.requests("POST")[0];
    assert_eq!(bulk.path, "/_bulk");
    let create = |id| json!({"create": {"_index": "views", "_id": id}});
    assert_eq!(bulk.lines(), [create("Views+3+10"), json!({"n": 0}), create("Views+3+11"), json!({"n": 1})]);
}

#[test]
fn with_keys_a_document_has_the_offset_as_its_version() {
    let server = Server::start(vec![Act::Items(vec![200, 409, 404])]);
    let values = Cells::Bytes(vec![Some(b"{\"n\":\n1}".to_vec()), Some(b"{\"n\":2}".to_vec()), None]);
    let mut task = sink(&server, &[("behavior.on.null.values", "delete")]);
    let batch = sink_batch(text(&["a", "\"b\"", "{\"x\":1,\"y\":\"p|q\",\"z\":null}"]), values);
    // 404 is said with "index_not_found_exception" here, so the index is made again and the delete sent again.
    assert_eq!(task.put(&batch).unwrap(), []);
    let meta =
        |id, version| json!({"_index": "views", "_id": id, "version": version, "version_type": "external"});
    let delete = json!({"delete": meta("1|p\\|q|\\N", 12)});
    let bulks = server.requests("POST");
    assert_eq!(
        bulks[0].lines(),
        [
            json!({"index": meta("a", 10)}),
            json!({"n": 1}),
            json!({"index": meta("b", 11)}),
            json!({"n": 2}),
            delete.clone()
        ]
    );
    assert_eq!(bulks[1].lines(), [delete]);
    assert_eq!(server.requests("PUT").len(), 2, "the index is made again");
}

#[test]
fn keys_of_any_shape_become_ids() {
    let server = Server::start(Vec::new());
    let mut task = sink(&server, &[]);
    let fields = vec![Field::new("a", DataType::BigInt), Field::new("b", DataType::Varchar)];
    let schema = Arc::new(ConnectSchema::of(None, Schema::new(fields)));
    let rows = vec![Some(vec![Value::BigInt(7), Value::Varchar("x".into())]), None];
    let rejected = task.put(&sink_batch(Cells::Rows { schema, rows }, objects(2))).unwrap();
    assert_eq!(places(&rejected), [1]);
    assert!(rejected[0].reason.contains("cannot be null"), "{}", rejected[0].reason);
    let single = Arc::new(ConnectSchema::single(DataType::BigInt));
    let batch = rows_to_arrow(&single.columns(), &[vec![Value::BigInt(-5)]]).unwrap();
    task.put(&sink_batch(Cells::Arrow { schema: single, batch }, objects(1))).unwrap();
    let ids: Vec<Json> =
        server.requests("POST").iter().map(|r| r.lines()[0].pointer("/index/_id").unwrap().clone()).collect();
    assert_eq!(ids, ["7|x", "-5"]);
}

#[test]
fn keys_that_cannot_be_ids_are_rejected() {
    let server = Server::start(Vec::new());
    let long = "x".repeat(513);
    let keys = Cells::Bytes(vec![
        None,
        Some(Vec::new()),
        Some(long.into_bytes()),
        Some(vec![0xff]),
        Some(b"k".to_vec()),
    ]);
    let rejected = sink(&server, &[]).put(&sink_batch(keys, objects(5))).unwrap();
    assert_eq!(places(&rejected), [0, 1, 2, 3]);
    assert_eq!(server.requests("POST")[0].lines().len(), 2);
}

#[test]
fn columns_and_rows_become_the_same_documents() {
    let server = Server::start(Vec::new());
    let mut task = sink(&server, &[("key.ignore", "true"), ("schema.ignore", "true")]);
    let schema = Schema::new(vec![
        Field::new("name", DataType::Varchar),
        Field::new("at", DataType::Timestamp),
        Field::new("share", DataType::Double),
    ]);
    let row =
        |name: &str, share| vec![Value::Varchar(name.into()), Value::Timestamp(5), Value::Double(share)];
    let rows = vec![row("a", 0.5), row("b", f64::NAN), row("c", 2.0), row("d", f64::INFINITY)];
    let batch = rows_to_arrow(&schema, &rows).unwrap();
    let schema = Arc::new(ConnectSchema::of(None, schema));
    let arrow = Cells::Arrow { schema: Arc::clone(&schema), batch };
    let rows = Cells::Rows { schema, rows: rows.into_iter().map(Some).collect() };
    for values in [arrow, rows] {
        let rejected = task.put(&sink_batch(Cells::Null(4), values)).unwrap();
        assert_eq!(places(&rejected), [1, 3], "JSON holds no NaN");
        assert!(rejected[0].reason.contains("share"), "{}", rejected[0].reason);
    }
    let bulks = server.requests("POST");
    assert_eq!(bulks[0].body, bulks[1].body);
    assert_eq!(bulks[0].lines()[1], json!({"name": "a", "at": 5, "share": 0.5}));
    assert_eq!(bulks[0].lines()[3], json!({"name": "c", "at": 5, "share": 2.0}));
}

#[test]
fn dates_are_milliseconds() {
    let server = Server::start(Vec::new());
    let inner = DataType::Struct([Field::new("d", DataType::Date)].into());
    let schema = Schema::new(vec![Field::new("day", DataType::Date), Field::new("in", inner)]);
    let rows = vec![vec![Value::Date(2), Value::Struct(vec![Value::Date(1)])]];
    let batch = rows_to_arrow(&schema, &rows).unwrap();
    let values = Cells::Arrow { schema: Arc::new(ConnectSchema::of(None, schema)), batch };
    sink(&server, &[("key.ignore", "true")]).put(&sink_batch(Cells::Null(1), values)).unwrap();
    assert_eq!(server.requests("POST")[0].lines()[1], json!({"day": 172_800_000, "in": {"d": 86_400_000}}));
    let mapping: Json = serde_json::from_str(&server.requests("PUT")[0].body).unwrap();
    assert_eq!(mapping.pointer("/mappings/properties/day/type"), Some(&json!("date")));
}

#[test]
fn values_that_are_no_documents_are_rejected() {
    let server = Server::start(Vec::new());
    let values = text(&["{\"a\":1}", "{\"a\":", "[1]", "7", "{\"a\":1} x"]);
    let rejected =
        sink(&server, &[("key.ignore", "true")]).put(&sink_batch(Cells::Null(5), values.clone())).unwrap();
    assert_eq!(places(&rejected), [1, 2, 3, 4]);
    let mut task = sink(&server, &[("key.ignore", "true"), ("drop.invalid.message", "true")]);
    assert_eq!(task.put(&sink_batch(Cells::Null(5), values)).unwrap(), []);
}

#[test]
fn null_values_do_as_the_configuration_says() {
    for (behaviour, rejected, sent) in [("fail", 2, 0), ("ignore", 0, 0), ("delete", 0, 1)] {
        let server = Server::start(Vec::new());
        let mut task = sink(&server, &[("behavior.on.null.values", behaviour)]);
        let keys = Cells::Bytes(vec![Some(b"k".to_vec()), None]);
        let values = [Cells::Null(2), Cells::Bytes(vec![Some(b" null".to_vec()), None])];
        for values in values {
            assert_eq!(task.put(&sink_batch(keys.clone(), values)).unwrap().len(), rejected, "{behaviour}");
        }
        assert_eq!(server.requests("POST").len(), sent * 2, "{behaviour}");
    }
}

#[test]
fn only_items_that_may_work_are_sent_again() {
    let server = Server::start(vec![Act::Items(vec![200, 429, 400, 503, 200]), Act::Items(vec![200, 429])]);
    let rejected = sink(&server, &[]).put(&keyed(5)).unwrap();
    assert_eq!(places(&rejected), [2]);
    assert!(rejected[0].reason.contains("some_exception: told so (400)"), "{}", rejected[0].reason);
    let ids: Vec<Vec<String>> = server
        .requests("POST")
        .iter()
        .map(|r| {
            let lines = r.lines();
            let ids = lines.iter().filter_map(|l| l.pointer("/index/_id")?.as_str().map(str::to_owned));
            ids.collect()
        })
        .collect();
    assert_eq!(ids, [vec!["k0", "k1", "k2", "k3", "k4"], vec!["k1", "k3"], vec!["k3"]]);
}

#[test]
fn documents_that_the_index_refuses_do_as_the_configuration_says() {
    for (behaviour, rejected) in [("fail", 1), ("warn", 0), ("ignore", 0)] {
        let server = Server::start(vec![Act::Items(vec![400, 200])]);
        let mut task = sink(&server, &[("behavior.on.malformed.documents", behaviour)]);
        assert_eq!(task.put(&keyed(2)).unwrap().len(), rejected, "{behaviour}");
    }
}

#[test]
fn a_request_that_fails_is_sent_again() {
    let script = vec![
        Act::Whole(503, "", "{}"),
        Act::Whole(429, "retry-after: 0\r\n", ""),
        Act::Close,
        Act::Whole(200, "", "<html>hello</html>"),
        Act::Whole(200, "", "{\"items\":[]}"),
    ];
    let server = Server::start(script);
    assert_eq!(sink(&server, &[]).put(&keyed(2)).unwrap(), []);
    let bulks = server.requests("POST");
    assert_eq!(bulks.len(), 6);
    assert!(bulks.iter().all(|b| b.body == bulks[0].body));
}

#[test]
fn after_the_retries_the_task_fails_as_retriable() {
    let script = vec![Act::Items(vec![200, 429]), Act::Items(vec![429]), Act::Items(vec![429])];
    let server = Server::start(script);
    let error = sink(&server, &[("max.retries", "2")]).put(&keyed(2)).unwrap_err();
    assert!(matches!(&error, TaskError::Retriable(m) if m.contains("1 of 1 documents")), "{error}");
    assert_eq!(server.requests("POST").len(), 3);
    let server = Server::start(vec![Act::Whole(429, "retry-after: 7\r\n", "{\"error\":\"busy\"}"); 10]);
    let error = sink(&server, &[("max.retries", "0")]).put(&keyed(1)).unwrap_err();
    assert!(
        matches!(&error, TaskError::RetryAfter { wait, message } if wait.as_secs() == 7 && message.contains("busy")),
        "{error}"
    );
}

#[test]
fn a_server_that_does_not_answer_is_given_up_in_time() {
    let server = Server::start(vec![Act::Silent(Duration::from_secs(5))]);
    let started = Instant::now();
    let error =
        sink(&server, &[("read.timeout.ms", "100"), ("max.retries", "0")]).put(&keyed(1)).unwrap_err();
    assert!(matches!(error, TaskError::Retriable(_)), "{error}");
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[test]
fn nobody_there_is_retriable_and_the_next_address_is_tried() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let config = Config::default().with("connection.url", &*dead).with("max.retries", "0");
    let error = open(config, StopFlag::default()).put(&keyed(1)).unwrap_err();
    assert!(matches!(&error, TaskError::Retriable(m) if m.contains(&dead)), "{error}");
    let server = Server::start(Vec::new());
    let mut task = sink(&server, &[("connection.url", &format!("{dead},{}", server.url))]);
    assert_eq!(task.put(&keyed(1)).unwrap(), []);
}

#[test]
fn an_address_that_fails_is_left_for_the_next() {
    let sick = Server::start(vec![Act::Whole(503, "", "{}"); 10]);
    let well = Server::start(Vec::new());
    let urls = format!("{},{}", sick.url, well.url);
    assert_eq!(sink(&sick, &[("connection.url", &urls)]).put(&keyed(1)).unwrap(), []);
    assert_eq!((sick.requests("POST").len(), well.requests("POST").len()), (1, 1));
}

#[test]
fn what_the_server_never_will_take_is_fatal_or_rejected() {
    let server = Server::start(vec![Act::Whole(
        401,
        "",
        "{\"error\":{\"type\":\"security_exception\",\"reason\":\"no\"}}",
    )]);
    let error = sink(&server, &[]).put(&keyed(1)).unwrap_err();
    assert!(matches!(&error, TaskError::Fatal(m) if m.contains("connection.username")), "{error}");
    let server = Server::start(vec![Act::Whole(404, "", "not found")]);
    assert!(
        matches!(sink(&server, &[]).put(&keyed(1)), Err(TaskError::Fatal(m)) if m.contains("connection.url"))
    );
    // A request that is too large, or spoilt by one line, is cut in halves until the line is alone.
    let large = Act::Whole(413, "", "too large");
    let server = Server::start(vec![large.clone(), large.clone(), large]);
    let rejected = sink(&server, &[]).put(&keyed(4)).unwrap();
    assert_eq!(places(&rejected), [0]);
    let sizes: Vec<usize> = server.requests("POST").iter().map(|r| r.lines().len() / 2).collect();
    assert_eq!(sizes, [4, 2, 1, 1, 2]);
}

#[test]
fn requests_keep_their_size_and_one_connection_serves_them() {
    let server = Server::start(Vec::new());
    sink(&server, &[("batch.size", "10")]).put(&keyed(35)).unwrap();
    let sizes: Vec<usize> = server.requests("POST").iter().map(|r| r.lines().len() / 2).collect();
    assert_eq!(sizes, [10, 10, 10, 5]);
    assert_eq!(server.state.lock().unwrap().connections, 1);
}

#[test]
fn an_index_is_made_once_and_may_be_there_already() {
    let exists =
        "{\"error\":{\"type\":\"resource_already_exists_exception\",\"reason\":\"r\"},\"status\":400}";
    let server = Server::start(Vec::new());
    server.state.lock().unwrap().put = Some((400, exists));
    let mut task = sink(&server, &[]);
    task.put(&keyed(1)).unwrap();
    task.put(&keyed(1)).unwrap();
    assert_eq!(server.requests("PUT").len(), 1);
    assert_eq!(server.requests("PUT")[0].path, "/views");
    let server = Server::start(Vec::new());
    server.state.lock().unwrap().head = 200;
    sink(&server, &[("topic.to.external.resource.mapping", "Views:v1")]).put(&keyed(1)).unwrap();
    assert!(server.requests("PUT").is_empty());
    assert_eq!(server.requests("HEAD")[0].path, "/v1");
}

#[test]
fn updates_keep_their_order_when_one_is_sent_again() {
    let server = Server::start(vec![Act::Items(vec![429, 200, 200])]);
    let batch = sink_batch(text(&["a", "b", "a"]), objects(3));
    sink(&server, &[("write.method", "upsert")]).put(&batch).unwrap();
    let bulks = server.requests("POST");
    assert_eq!(bulks[0].lines()[1], json!({"doc": {"n": 0}, "doc_as_upsert": true}));
    let again: Vec<Json> = bulks[1].lines().into_iter().skip(1).step_by(2).collect();
    assert_eq!(
        again,
        [json!({"doc": {"n": 0}, "doc_as_upsert": true}), json!({"doc": {"n": 2}, "doc_as_upsert": true})]
    );
}

#[test]
fn a_version_may_come_from_a_header() {
    let server = Server::start(Vec::new());
    let mut batch = keyed(2);
    batch.batch.headers = vec![vec![("v".to_owned(), Some(b"77".to_vec()))], Vec::new()];
    let rejected = sink(&server, &[("external.version.header", "v")]).put(&batch).unwrap();
    assert_eq!(places(&rejected), [1]);
    assert_eq!(server.requests("POST")[0].lines()[0].pointer("/index/version"), Some(&json!(77)));
}

#[test]
fn a_task_that_is_to_end_does_not_wait() {
    let server = Server::start(vec![Act::Whole(503, "", "{}"); 10]);
    let stop = StopFlag::default();
    let config = Config::default().with("connection.url", &*server.url).with("retry.backoff.ms", "60000");
    let mut task = open(config, stop.clone());
    stop.set();
    let started = Instant::now();
    assert!(matches!(task.put(&keyed(1)), Err(TaskError::Retriable(_))));
    assert!(started.elapsed() < Duration::from_secs(5));
}
