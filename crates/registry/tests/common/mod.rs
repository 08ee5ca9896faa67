//! A registry over a real log, asked by an HTTP client.
#![allow(dead_code, reason = "each test uses a part")]

use bd_broker::{Broker, BrokerConfig};
use bd_cluster::Cluster;
use bd_cluster_embedded::EmbeddedCluster;
use bd_registry::{Registry, RegistryConfig, router};
use serde_json::Value;
use std::sync::Arc;

pub(crate) struct Server {
    address: String,
    _runtime: tokio::runtime::Runtime,
    _dir: tempfile::TempDir,
}

impl Server {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let broker = Broker::open(BrokerConfig::new(dir.path())).unwrap();
        let cluster: Arc<dyn Cluster> = Arc::new(EmbeddedCluster::new(broker));
        let registry = Arc::new(Registry::open(cluster, &RegistryConfig::default()).unwrap());
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async move { axum::serve(listener, router(registry)).await });
        Self { address, _runtime: runtime, _dir: dir }
    }

    fn ask(
        &self,
        method: &str,
        path: &str,
        body: String,
        headers: &[(&str, &str)],
    ) -> ureq::http::Response<ureq::Body> {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.address));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        agent.run(request.body(body).unwrap()).unwrap()
    }

    /// Status and answer.
    pub(crate) fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let json = [("content-type", "application/vnd.schemaregistry.v1+json")];
        let mut answer = self.ask(method, path, body.map(|b| b.to_string()).unwrap_or_default(), &json);
        let text = answer.body_mut().read_to_string().unwrap();
        let value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{method} {path}: {text}: {e}"));
        (answer.status().as_u16(), value)
    }

    pub(crate) fn get(&self, path: &str) -> (u16, Value) {
        self.call("GET", path, None)
    }

    pub(crate) fn status(&self, method: &str, path: &str) -> u16 {
        self.ask(method, path, String::new(), &[]).status().as_u16()
    }

    /// Status and content type.
    pub(crate) fn headers(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
        let answer = self.ask(method, path, String::new(), headers);
        let content_type = answer.headers().get("content-type").unwrap().to_str().unwrap();
        (answer.status().as_u16(), content_type.to_owned())
    }
}
