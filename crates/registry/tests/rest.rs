//! The REST interface over a real log, asked by an HTTP client.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use bd_broker::{Broker, BrokerConfig};
use bd_cluster::Cluster;
use bd_cluster_embedded::EmbeddedCluster;
use bd_registry::{Registry, RegistryConfig, router};
use bd_schema::{NewSchema, RegistryError, SchemaRegistry};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

struct Server {
    address: String,
    registry: Arc<Registry>,
    cluster: Arc<dyn Cluster>,
    broker: Arc<Broker>,
    _runtime: tokio::runtime::Runtime,
}

impl Server {
    fn start(dir: &Path) -> Self {
        let broker = Broker::open(BrokerConfig::new(dir)).unwrap();
        let cluster: Arc<dyn Cluster> = Arc::new(EmbeddedCluster::new(broker.clone()));
        let registry = Arc::new(Registry::open(cluster.clone(), &RegistryConfig::default()).unwrap());
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let routes = router(registry.clone());
        runtime.spawn(async move { axum::serve(listener, routes).await });
        Self { address, registry, cluster, broker, _runtime: runtime }
    }

    fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.address))
            .header("content-type", "application/vnd.schemaregistry.v1+json")
            .body(body.map(|b| b.to_string()).unwrap_or_default())
            .unwrap();
        let mut answer = agent.run(request).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        let value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{method} {path}: {text}: {e}"));
        (answer.status().as_u16(), value)
    }

    /// The status, and the id or the error.
    fn register(&self, subject: &str, schema: &Value) -> (u16, Value) {
        let body = json!({"schema": schema.to_string()});
        let (status, answer) = self.call("POST", &format!("/subjects/{subject}/versions"), Some(body));
        (status, if status == 200 { json!({"id": answer["id"]}) } else { answer })
    }

    /// Status and answer without what differs from run to run.
    fn get(&self, path: &str) -> (u16, Value) {
        let (status, mut answer) = self.call("GET", path, None);
        strip(&mut answer);
        (status, answer)
    }
}

fn strip(answer: &mut Value) {
    match answer {
        Value::Object(fields) => ["ts", "guid", "deleted"].iter().for_each(|name| {
            fields.remove(*name);
        }),
        Value::Array(list) => list.iter_mut().for_each(strip),
        _ => {}
    }
}

fn record(fields: Value) -> Value {
    json!({"type": "record", "name": "user", "fields": fields})
}

fn two_versions() -> (Value, Value) {
    let id = json!({"name": "id", "type": "long"});
    let name = json!({"name": "name", "type": ["null", "string"], "default": null});
    (record(json!([id])), record(json!([id, name])))
}

#[test]
fn a_schema_is_registered_once_and_found_by_id_version_and_text() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let (one, two) = two_versions();
    assert_eq!(server.register("users-value", &one), (200, json!({"id": 1})));
    assert_eq!(server.register("users-value", &two), (200, json!({"id": 2})));
    assert_eq!(server.register("users-value", &one), (200, json!({"id": 1})));
    assert_eq!(server.register("copy-value", &one), (200, json!({"id": 1})));

    let get = |path: &str| server.get(path);
    assert_eq!(get("/subjects"), (200, json!(["copy-value", "users-value"])));
    assert_eq!(get("/subjects?subjectPrefix=us"), (200, json!(["users-value"])));
    assert_eq!(get("/subjects/users-value/versions"), (200, json!([1, 2])));
    assert_eq!(get("/schemas/ids/1"), (200, json!({"schemaType": "AVRO", "schema": one.to_string()})));
    assert_eq!(get("/schemas/ids/1/schema"), (200, one.clone()));
    assert_eq!(get("/schemas/ids/1/subjects"), (200, json!(["copy-value", "users-value"])));
    let latest = json!({"subject": "users-value", "version": 2, "id": 2, "schemaType": "AVRO", "schema": two.to_string()});
    assert_eq!(get("/subjects/users-value/versions/latest"), (200, latest.clone()));
    assert_eq!(get("/subjects/users-value/versions/-1"), (200, latest.clone()));
    assert_eq!(get("/subjects/users-value/versions/2/schema"), (200, two.clone()));
    // White space and the order of keys make no other schema.
    let text = serde_json::to_string_pretty(&two).unwrap();
    let (status, mut found) = server.call("POST", "/subjects/users-value", Some(json!({"schema": text})));
    strip(&mut found);
    assert_eq!((status, found), (200, latest));
}

#[test]
fn an_incompatible_schema_is_refused_by_the_level_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let (one, _) = two_versions();
    let other = record(json!([{"name": "id", "type": "string"}]));
    server.register("s", &one);
    let (status, answer) = server.register("s", &other);
    assert_eq!((status, &answer["error_code"]), (409, &json!(40901)));
    let message = answer["message"].as_str().unwrap();
    let start =
        "Schema being registered is incompatible with an earlier schema for subject \"s\", details: [";
    assert!(message.starts_with(start) && message.contains("id"), "{message}");

    let check = |path: &str| server.call("POST", path, Some(json!({"schema": other.to_string()})));
    assert_eq!(check("/compatibility/subjects/s/versions/latest"), (200, json!({"is_compatible": false})));
    let (_, verbose) = check("/compatibility/subjects/s/versions?verbose=true");
    let messages: Vec<&str> =
        verbose["messages"].as_array().unwrap().iter().map(|m| m.as_str().unwrap()).collect();
    assert_eq!(messages.len(), 4, "{messages:?}");
    assert!(messages[0].starts_with("{errorType:'TYPE_MISMATCH', description:'"), "{messages:?}");
    assert_eq!(messages[1], "{oldSchemaVersion: 1}");
    assert_eq!(messages[2], format!("{{oldSchema: '{one}'}}"));
    assert_eq!(messages[3], "{validateFields: 'false', compatibility: 'BACKWARD'}");

    let level = |path: &str| server.call("GET", path, None);
    assert_eq!(level("/config"), (200, json!({"compatibilityLevel": "BACKWARD"})));
    assert_eq!(level("/config/s").1["error_code"], 40408);
    assert_eq!(level("/config/s?defaultToGlobal=true"), (200, json!({"compatibilityLevel": "BACKWARD"})));
    let put = |level: &str| server.call("PUT", "/config/s", Some(json!({"compatibility": level})));
    assert_eq!(put("sideways").1["error_code"], 42203);
    assert_eq!(put("none"), (200, json!({"compatibility": "NONE"})));
    assert_eq!(server.register("s", &other), (200, json!({"id": 2})));
    assert_eq!(server.call("DELETE", "/config/s", None), (200, json!({"compatibilityLevel": "NONE"})));
    assert_eq!(level("/config/s").0, 404);
}

#[test]
fn deletes_are_soft_first_and_ids_stay() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let (one, two) = two_versions();
    server.register("s", &one);
    server.register("s", &two);
    let call = |method: &str, path: &str| server.call(method, path, None);
    assert_eq!(call("DELETE", "/subjects/s/versions/1?permanent=true").1["error_code"], 40407);
    assert_eq!(call("DELETE", "/subjects/s/versions/1"), (200, json!(1)));
    assert_eq!(call("GET", "/subjects/s/versions"), (200, json!([2])));
    assert_eq!(call("GET", "/subjects/s/versions?deleted=true"), (200, json!([1, 2])));
    assert_eq!(call("DELETE", "/subjects/s?permanent=true").1["error_code"], 40405);
    assert_eq!(call("DELETE", "/subjects/s"), (200, json!([2])));
    assert_eq!(call("DELETE", "/subjects/s").1["error_code"], 40404);
    assert_eq!(call("GET", "/subjects"), (200, json!([])));
    assert_eq!(call("GET", "/schemas/ids/2").0, 200);
    assert_eq!(call("DELETE", "/subjects/s?permanent=true"), (200, json!([1, 2])));
    assert_eq!(call("DELETE", "/subjects/s").1["error_code"], 40401);
    // An id that is gone is not given to another schema.
    assert_eq!(server.register("s", &two), (200, json!({"id": 3})));
}

#[test]
fn errors_have_confluents_codes_and_words() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    server.register("s", &json!("long"));
    for (method, path, body, status, code, message) in [
        ("GET", "/subjects/x/versions", None, 404, 40401, "Subject 'x' not found."),
        ("GET", "/subjects/s/versions/9", None, 404, 40402, "Version 9 not found."),
        ("GET", "/schemas/ids/9", None, 404, 40403, "Schema 9 not found"),
        (
            "GET",
            "/subjects/s/versions/0",
            None,
            422,
            42202,
            "The specified version '0' is not a valid version id.",
        ),
        (
            "POST",
            "/subjects/s/versions",
            Some(json!({"schema": "{"})),
            422,
            42201,
            "Invalid schema of type AVRO, details: Invalid schema {subject=s,version=null,",
        ),
        ("POST", "/subjects/s", Some(json!({"schema": "\"int\""})), 404, 40403, "Schema not found"),
        (
            "POST",
            "/subjects/s/versions",
            Some(json!({"schema": "{}", "schemaType": "XML"})),
            422,
            42201,
            "Invalid schema type XML",
        ),
        ("GET", "/nothing", None, 404, 404, "HTTP 404 Not Found"),
        ("PUT", "/subjects", None, 405, 405, "HTTP 405 Method Not Allowed"),
    ] {
        let (got, answer) = server.call(method, path, body);
        assert_eq!((got, &answer["error_code"]), (status, &json!(code)), "{method} {path}: {answer}");
        assert!(answer["message"].as_str().unwrap().starts_with(message), "{method} {path}: {answer}");
    }
}

#[test]
fn all_is_there_again_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = two_versions();
    {
        let server = Server::start(dir.path());
        server.register("s", &one);
        server.call("PUT", "/config", Some(json!({"compatibility": "FULL"})));
        server.broker.close().unwrap();
    }
    let server = Server::start(dir.path());
    assert_eq!(server.call("GET", "/config", None).1["compatibilityLevel"], "FULL");
    assert_eq!(server.register("s", &two), (200, json!({"id": 2})));
    assert_eq!(server.call("GET", "/subjects/s/versions", None), (200, json!([1, 2])));
}

#[test]
fn two_registries_on_one_topic_agree() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let other = Registry::open(server.cluster.clone(), &RegistryConfig::default()).unwrap();
    let record = |name: &str| json!({"type": "record", "name": name, "fields": []}).to_string();
    let ids = |registry: &dyn SchemaRegistry, me: &str| -> Vec<(String, u32)> {
        // Schemas that both register, under one subject and under two, and schemas of their own.
        let names = |i: u32| [format!("s{i} r{i}"), format!("{me}{i} q{i}"), format!("{me}{i}-key {me}{i}")];
        (0..40)
            .flat_map(names)
            .map(|names| {
                let (subject, name) = names.split_once(' ').unwrap();
                let text = record(name);
                (text.clone(), registry.register(subject, &NewSchema::avro(text.as_str())).unwrap())
            })
            .collect()
    };
    let (a, b) = std::thread::scope(|scope| {
        let a = scope.spawn(|| ids(server.registry.as_ref(), "a"));
        let b = scope.spawn(|| ids(&other, "b"));
        (a.join().unwrap(), b.join().unwrap())
    });
    let given: std::collections::BTreeSet<(String, u32)> = a.into_iter().chain(b).collect();
    assert_eq!(given.len(), 160, "a schema has two ids");
    let distinct: std::collections::BTreeSet<u32> = given.iter().map(|(_, id)| *id).collect();
    assert_eq!(distinct.len(), given.len(), "an id has two schemas");
    let third = Registry::open(server.cluster.clone(), &RegistryConfig::default()).unwrap();
    for (text, id) in &given {
        assert_eq!(&*other.schema(*id).unwrap().text, text);
        assert_eq!(&*third.schema(*id).unwrap().text, text);
    }
    assert_eq!(other.schema(4711), Err(RegistryError::UnknownId(4711)));
    assert_eq!(other.latest("nothing"), Ok(None));
}
