//! A server on a free port, and requests to it.
#![allow(clippy::unwrap_used, clippy::panic, dead_code, reason = "helpers of tests")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bd_search::{Search, SearchConfig};
use serde_json::Value;

/// A running role. Dropped, it stops serving; the role is closed by [`Server::close`] only.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) search: Arc<Search>,
    runtime: Option<tokio::runtime::Runtime>,
}

/// Settings for tests: refreshes are asked for.
pub(crate) fn config(dir: &Path) -> SearchConfig {
    SearchConfig { refresh_interval: Duration::from_millis(20), disk_floor: 0, ..SearchConfig::new(dir) }
}

impl Server {
    pub(crate) fn start(config: SearchConfig) -> Server {
        let search = Search::open(config).unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = bd_search::router(search.clone());
        runtime.spawn(async move { axum::serve(listener, app).await });
        Server { url, search, runtime: Some(runtime) }
    }

    pub(crate) fn close(mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
        self.search.close();
    }

    /// Sends a request; the body is JSON, or lines of it. Status and body, parsed if it is JSON.
    pub(crate) fn send(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        send(&self.url, method, path, body)
    }

    /// As [`Server::send`], of a request that succeeds.
    pub(crate) fn ok(&self, method: &str, path: &str, body: &str) -> Value {
        let (status, answer) = self.send(method, path, body);
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// Writes documents, one per line, with ids 1, 2, ..., and makes them searchable.
    pub(crate) fn index(&self, index: &str, documents: &str) {
        let mut lines = String::new();
        for (i, document) in documents.lines().map(str::trim).filter(|line| !line.is_empty()).enumerate() {
            lines.push_str(&format!("{{\"index\":{{\"_id\":\"{}\"}}}}\n{document}\n", i + 1));
        }
        let answer = self.ok("POST", &format!("/{index}/_bulk?refresh=true"), &lines);
        assert_eq!(answer["errors"], false, "{answer}");
    }

    /// The ids that a query finds, in the order of the answer.
    pub(crate) fn ids(&self, index: &str, body: &str) -> String {
        let answer = self.ok("POST", &format!("/{index}/_search"), body);
        let hits = answer["hits"]["hits"].as_array().unwrap();
        hits.iter().map(|hit| hit["_id"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
    }
}

pub(crate) fn send(url: &str, method: &str, path: &str, body: &str) -> (u16, Value) {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(60)))
        .build()
        .into();
    let request = ureq::http::Request::builder().method(method).uri(format!("{url}{path}")).header(
        "content-type",
        if path.contains("_bulk") || path.contains("_msearch") {
            "application/x-ndjson"
        } else {
            "application/json"
        },
    );
    let mut response = agent.run(request.body(body.to_owned()).unwrap()).unwrap();
    let status = response.status().as_u16();
    let text = response.body_mut().with_config().limit(1 << 30).read_to_string().unwrap_or_default();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// Waits until a condition holds.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Copies a folder as it is now, as a crash would leave it.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            // A file may go while it is copied.
            let _ = std::fs::copy(entry.path(), target);
        }
    }
}
