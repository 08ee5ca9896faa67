//! A console over an embedded log and made-up roles, and a client of its API.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{any, get, post};
use bd_broker::{Broker, BrokerConfig};
use bd_cluster::{Cluster, NewTopic, RecordsBuilder, TopicPartition, WriterConfig};
use bd_cluster_embedded::EmbeddedCluster;
use bd_console::{Console, ConsoleConfig, Endpoint};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Elasticsearch, Connect and ksqlDB as far as the console asks them.
#[derive(Default)]
pub struct Roles {
    /// What `_search` counts; the marks of `_cat/indices` move with it.
    pub documents: AtomicU64,
    pub searches: AtomicUsize,
    pub restarts: Mutex<Vec<String>>,
    /// Answers 500 to everything.
    pub broken: std::sync::atomic::AtomicBool,
}

impl Roles {
    fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/_cat/indices", get(marks))
            .route("/{index}/_search", post(search))
            .route("/{index}/_mapping", get(|| async { axum::Json(json!({})) }))
            .route("/connectors", get(connectors))
            .route("/connectors/{name}/restart", post(restart))
            .route("/ksql", post(ksql))
            .route("/metrics", get(|| async { "bd_query_rows_out_total{query=\"CTAS_A_1\"} 12\n" }))
            .fallback(any(|| async { StatusCode::NOT_FOUND }))
            .with_state(self.clone())
    }
}

async fn marks(State(roles): State<Arc<Roles>>) -> Result<axum::Json<Value>, StatusCode> {
    if roles.broken.load(Ordering::SeqCst) {
        return Err(StatusCode::INTERNAL_SERVER_ERROR);
    }
    let count = roles.documents.load(Ordering::SeqCst).to_string();
    Ok(axum::Json(json!([{"index": "users", "docs.count": count, "docs.deleted": "0"}])))
}

async fn search(
    State(roles): State<Arc<Roles>>,
    Path(index): Path<String>,
) -> Result<axum::Json<Value>, (StatusCode, String)> {
    roles.searches.fetch_add(1, Ordering::SeqCst);
    if roles.broken.load(Ordering::SeqCst) {
        return Err((StatusCode::INTERNAL_SERVER_ERROR, "disk full".into()));
    }
    if index != "users" {
        return Err((
            StatusCode::NOT_FOUND,
            json!({"error": {"reason": format!("no such index [{index}]")}}).to_string(),
        ));
    }
    let count = roles.documents.load(Ordering::SeqCst);
    Ok(axum::Json(json!({"hits": {"total": {"value": count, "relation": "eq"}, "hits": []}})))
}

async fn connectors() -> axum::Json<Value> {
    axum::Json(json!({"users": {
        "info": {"config": {"connector.class": "a.b.MySqlConnector", "topic.prefix": "tv"}},
        "status": {"type": "source", "connector": {"state": "RUNNING"}, "tasks": [{"id": 0, "state": "FAILED", "trace": "denied"}]},
    }}))
}

async fn restart(State(roles): State<Arc<Roles>>, Path(name): Path<String>) -> StatusCode {
    if name == "unknown" {
        return StatusCode::NOT_FOUND;
    }
    roles.restarts.lock().unwrap().push(name);
    StatusCode::ACCEPTED
}

async fn ksql(body: String) -> axum::Json<Value> {
    let explain = body.contains("EXPLAIN");
    axum::Json(match explain {
        true => {
            json!([{"queryDescription": {"statementText": "CREATE ...", "executionPlan": "Scan a", "queryErrors": []}}])
        }
        false => json!([{"queries": [{
            "id": "CTAS_A_1", "queryString": "CREATE TABLE a AS ...", "state": "RUNNING", "sinks": ["a"], "sinkKafkaTopics": ["a"],
        }]}]),
    })
}

/// A console at work.
pub struct World {
    pub roles: Arc<Roles>,
    pub cluster: EmbeddedCluster,
    pub console: Console,
    pub url: String,
    runtime: Option<Runtime>,
    _dir: tempfile::TempDir,
}

impl World {
    /// With one dashboard, `test`: `users` counted, an index that is not there, and the rate of the topic `actions`.
    pub fn new() -> Self {
        Self::with_search(None)
    }

    /// The same with search elsewhere.
    pub fn with_search(url: Option<&str>) -> Self {
        let runtime = Runtime::new().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let cluster = EmbeddedCluster::new(Broker::open(BrokerConfig::new(dir.path().join("log"))).unwrap());
        let file = dir.path().join("test.yaml");
        let yaml = "title: Test\nrefresh: 100ms\npanels:\n\
            \x20 - {title: Users, kind: stat, index: users, value: count}\n\
            \x20 - {title: None, kind: stat, index: nothing, value: {sum: a}, awaits: the first row}\n\
            \x20 - {title: Records, kind: stat, topics: [actions], value: records}\n";
        std::fs::write(&file, yaml).unwrap();
        let roles = Arc::new(Roles::default());
        let others = serve(&runtime, roles.router());
        let console = Console::new(ConsoleConfig {
            engine: Some(Endpoint::new(others.as_str())),
            connect: Some(Endpoint::new(others.as_str())),
            search: Some(Endpoint::new(url.unwrap_or(&others))),
            dashboards: vec![file],
            ..ConsoleConfig::new(Arc::new(cluster.clone()))
        })
        .unwrap();
        let url = serve(&runtime, bd_console::router(console.clone()));
        Self { roles, cluster, console, url, runtime: Some(runtime), _dir: dir }
    }

    pub fn topic(&self, name: &str, partitions: i32) {
        self.cluster.create_topic(&NewTopic::new(name, partitions)).unwrap();
    }

    /// Appends records with these values, their timestamps counting up from `time`.
    pub fn append(&self, topic: &str, partition: i32, time: i64, values: &[&[u8]]) {
        let mut records = RecordsBuilder::new();
        for (i, value) in values.iter().enumerate() {
            records.push(Some(b"16"), Some(value), time + i as i64, &[("source", Some(b"test"))]);
        }
        let mut writer = self.cluster.open_writer(WriterConfig::default()).unwrap();
        let at = TopicPartition::new(topic, partition);
        writer.append(&at, records).unwrap().wait(Duration::from_secs(10)).unwrap();
    }

    pub fn get(&self, path: &str) -> (u16, Value) {
        self.call(agent().get(format!("{}{path}", self.url)).call())
    }

    pub fn post(&self, path: &str, headers: &[(&str, &str)]) -> (u16, Value) {
        let mut request = agent().post(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.call(request.send_empty())
    }

    fn call(&self, sent: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> (u16, Value) {
        let mut response = sent.unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub fn stream(&self, query: &str, last: Option<&str>) -> Events {
        let mut request = agent().get(format!("{}/api/stream?{query}", self.url));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.call().unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Events {
            lines: BufReader::new(Box::new(response.into_body().into_reader())),
            parts: json!({}),
            id: String::new(),
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.console.close();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(20)));
    config.http_status_as_error(false).build().new_agent()
}

fn serve(runtime: &Runtime, router: Router) -> String {
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// A stream's events as a browser sees them.
pub struct Events {
    lines: BufReader<Box<dyn std::io::Read + Send>>,
    /// All parts as they are now.
    pub parts: Value,
    /// The last event's id.
    pub id: String,
}

impl Events {
    /// The next event's name and data; its parts are taken over. None at the end of the stream.
    pub fn next(&mut self) -> Option<(String, Value)> {
        let (mut name, mut data) = (String::new(), Value::Null);
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end().split_once(": ") {
                Some(("event", text)) => name = text.into(),
                Some(("id", text)) => self.id = text.into(),
                Some(("data", text)) => data = serde_json::from_str(text).unwrap(),
                _ => break,
            }
        }
        for (part, value) in data["parts"].as_object().into_iter().flatten() {
            self.parts[part] = value.clone();
        }
        Some((name, data))
    }

    /// Reads on until the parts are as wanted.
    pub fn until(&mut self, wanted: impl Fn(&Value) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(15);
        while !wanted(&self.parts) {
            assert!(Instant::now() < deadline, "{:#}", self.parts);
            assert!(self.next().is_some(), "the stream ended at {:#}", self.parts);
        }
    }
}
