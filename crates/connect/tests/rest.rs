//! The REST interface over HTTP: paths, codes and bodies of Kafka Connect.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use bd_connect::Worker;
use common::{Collector, Home, Numbers, home, until, values, worker, write};
use serde_json::{Value, json};
use std::sync::Arc;

struct Server {
    url: String,
    worker: Worker,
    home: Home,
    sink: Collector,
    _runtime: tokio::runtime::Runtime,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.worker.close();
    }
}

fn serve() -> Server {
    let home = home();
    let sink = Collector::default();
    let worker = worker(&home.cluster, vec![Arc::new(Numbers::default()), Arc::new(sink.clone())]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = bd_connect::router(worker.clone());
    runtime.spawn(async move { axum::serve(listener, router).await });
    Server { url, worker, home, sink, _runtime: runtime }
}

impl Server {
    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        let request = request.header("content-type", "application/json");
        let mut answer = match body {
            Some(body) => agent.run(request.body(body.to_string()).unwrap()),
            None => agent.run(request.body(()).unwrap()),
        }
        .unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        let json =
            if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or(json!(text)) };
        (answer.status().as_u16(), json)
    }

    fn get(&self, path: &str) -> (u16, Value) {
        self.call("GET", path, None)
    }

    fn put(&self, path: &str, body: &Value) -> (u16, Value) {
        self.call("PUT", path, Some(body))
    }

    /// Waits until the first task of the connector is in that state.
    #[track_caller]
    fn wait_for(&self, name: &str, state: &str) {
        until(state, || {
            let (_, status) = self.get(&format!("/connectors/{name}/status"));
            (status["tasks"][0]["state"] == state).then_some(())
        });
    }
}

fn numbers() -> Value {
    json!({ "connector.class": Numbers::CLASS, "topic": "numbers", "count": "10", "secret": "${env:PATH}" })
}

#[test]
fn a_connector_lives_from_create_to_delete() {
    let server = serve();
    assert_eq!(server.get("/connectors"), (200, json!([])));
    let (status, created) =
        server.call("POST", "/connectors", Some(&json!({ "name": "n", "config": numbers() })));
    assert_eq!(status, 201);
    assert_eq!(created["name"], "n");
    assert_eq!(created["config"]["secret"], "${env:PATH}", "references stay references");
    assert_eq!(created["tasks"], json!([{ "connector": "n", "task": 0 }]));
    assert_eq!(created["type"], "source");
    let again = server.call("POST", "/connectors", Some(&json!({ "name": "n", "config": numbers() })));
    assert_eq!(again, (409, json!({ "error_code": 409, "message": "Connector n already exists" })));

    server.wait_for("n", "RUNNING");
    let (_, status) = server.get("/connectors/n/status");
    assert_eq!(
        status,
        json!({
            "name": "n", "connector": { "state": "RUNNING", "worker_id": "127.0.0.1:8083" },
            "tasks": [{ "id": 0, "state": "RUNNING", "worker_id": "127.0.0.1:8083" }], "type": "source"
        })
    );
    assert_eq!(server.get("/connectors/n/tasks/0/status").1["state"], "RUNNING");
    let (_, tasks) = server.get("/connectors/n/tasks");
    assert_eq!(tasks[0]["id"], json!({ "connector": "n", "task": 0 }));
    assert_eq!(tasks[0]["config"]["secret"], "${env:PATH}");
    until("ten records", || (values(&*server.home.cluster, "numbers").len() == 10).then_some(()));
    let offsets = json!({ "offsets": [{ "partition": { "source": "numbers" }, "offset": { "next": 10 } }] });
    assert_eq!(server.get("/connectors/n/offsets"), (200, offsets));
    assert_eq!(server.get("/connectors/n/topics"), (200, json!({ "n": { "topics": ["numbers"] } })));

    let mut wider = numbers();
    wider["count"] = json!(12);
    assert_eq!(server.put("/connectors/n/config", &wider).0, 200);
    until("two more", || (values(&*server.home.cluster, "numbers").len() == 12).then_some(()));
    let (status, patched) =
        server.call("PATCH", "/connectors/n/config", Some(&json!({ "count": "13", "secret": null })));
    assert_eq!(
        (status, &patched["config"]["count"], &patched["config"]["secret"]),
        (200, &json!("13"), &Value::Null)
    );
    let (_, all) = server.get("/connectors?expand=info&expand=status");
    assert_eq!(all["n"]["info"]["config"]["count"], "13");
    assert_eq!(all["n"]["status"]["name"], "n");
    assert_eq!(server.call("DELETE", "/connectors/n", None), (204, Value::Null));
    assert_eq!(
        server.get("/connectors/n"),
        (404, json!({ "error_code": 404, "message": "Connector n not found" }))
    );
}

#[test]
fn pause_resume_and_stop_do_what_they_say() {
    let server = serve();
    assert_eq!(server.put("/connectors/n/config", &numbers()).0, 201);
    until("ten records", || (values(&*server.home.cluster, "numbers").len() == 10).then_some(()));
    assert_eq!(server.put("/connectors/n/pause", &json!({})), (202, Value::Null));
    server.wait_for("n", "PAUSED");
    assert_eq!(server.get("/connectors/n/status").1["connector"]["state"], "PAUSED");
    assert_eq!(server.put("/connectors/n/resume", &json!({})).0, 202);
    server.wait_for("n", "RUNNING");

    let (status, refused) = server.call("DELETE", "/connectors/n/offsets", None);
    assert_eq!(status, 400);
    assert!(refused["message"].as_str().unwrap().starts_with("Connectors must be in the STOPPED state"));
    assert_eq!(server.put("/connectors/n/stop", &json!({})).0, 204);
    let (_, stopped) = server.get("/connectors/n/status");
    assert_eq!((&stopped["connector"]["state"], &stopped["tasks"]), (&json!("STOPPED"), &json!([])));
    let change = json!({ "offsets": [{ "partition": { "source": "numbers" }, "offset": { "next": 8 } }] });
    let (status, answer) = server.call("PATCH", "/connectors/n/offsets", Some(&change));
    assert_eq!(status, 200);
    assert_eq!(answer["message"], "The offsets for this connector have been altered successfully");
    assert_eq!(server.put("/connectors/n/resume", &json!({})).0, 202);
    until("two again", || (values(&*server.home.cluster, "numbers").len() == 12).then_some(()));
    assert_eq!(server.put("/connectors/n/stop", &json!({})).0, 204);
    assert_eq!(server.call("DELETE", "/connectors/n/offsets", None).0, 200);
    assert_eq!(server.get("/connectors/n/offsets").1, json!({ "offsets": [] }));
}

#[test]
fn the_offsets_of_a_sink_are_its_group_s() {
    let server = serve();
    write(&*server.home.cluster, "events", &[(None, Some("1")), (None, Some("2"))]);
    let config = json!({ "connector.class": Collector::CLASS, "topics": "events" });
    assert_eq!(server.put("/connectors/s/config", &config).0, 201);
    let wanted = json!({ "offsets": [
        { "partition": { "kafka_topic": "events", "kafka_partition": 0 }, "offset": { "kafka_offset": 2 } }
    ] });
    until("both committed", || (server.get("/connectors/s/offsets").1 == wanted).then_some(()));
    let groups = server.home.cluster.committed("connect-s", &[bd_cluster::TopicPartition::new("events", 0)]);
    assert_eq!(groups.unwrap(), [Some(2)]);
}

#[test]
fn a_sink_that_is_paused_takes_nothing_and_one_whose_offsets_are_reset_begins_anew() {
    let server = serve();
    let cluster = &*server.home.cluster;
    write(cluster, "events", &[(None, Some("1"))]);
    let config = json!({ "connector.class": Collector::CLASS, "topics": "events" });
    assert_eq!(server.put("/connectors/s/config", &config).0, 201);
    until("the record", || (server.sink.got().len() == 1).then_some(()));
    assert_eq!(server.put("/connectors/s/pause", &json!({})).0, 202);
    server.wait_for("s", "PAUSED");
    write(cluster, "events", &[(None, Some("2"))]);
    assert_eq!(server.get("/connectors/s/offsets").1["offsets"][0]["offset"]["kafka_offset"], 1);
    assert_eq!(server.sink.got().len(), 1);
    assert_eq!(server.put("/connectors/s/resume", &json!({})).0, 202);
    until("the second", || (server.sink.got().len() == 2).then_some(()));

    assert_eq!(server.put("/connectors/s/stop", &json!({})).0, 204);
    assert_eq!(server.call("DELETE", "/connectors/s/offsets", None).0, 200);
    assert_eq!(server.put("/connectors/s/resume", &json!({})).0, 202);
    until("both again", || (server.sink.got().len() == 4).then_some(()));
    assert_eq!(server.put("/connectors/s/stop", &json!({})).0, 204);
    let change = json!({ "offsets": [{
        "partition": { "kafka_topic": "events", "kafka_partition": 0 }, "offset": { "kafka_offset": 1 }
    }] });
    assert_eq!(server.call("PATCH", "/connectors/s/offsets", Some(&change)).0, 200);
    assert_eq!(server.put("/connectors/s/resume", &json!({})).0, 202);
    until("the second again", || (server.sink.got().len() == 5).then_some(()));
    assert_eq!(server.sink.got()[4], "events-0@1=2");
}

#[test]
fn restarts_start_what_failed() {
    let server = serve();
    let mut config = numbers();
    config["reject"] = json!("4");
    assert_eq!(server.put("/connectors/n/config", &config).0, 201);
    server.wait_for("n", "FAILED");
    let (_, status) = server.get("/connectors/n/status");
    assert!(status["tasks"][0]["trace"].as_str().unwrap().starts_with("Tolerance exceeded in error handler"));
    assert_eq!(server.call("POST", "/connectors/n/restart", None), (204, Value::Null));
    assert_eq!(server.call("POST", "/connectors/n/tasks/0/restart", None), (204, Value::Null));
    server.wait_for("n", "FAILED");
    let (status, answer) =
        server.call("POST", "/connectors/n/restart?includeTasks=true&onlyFailed=true", None);
    assert_eq!((status, &answer["name"]), (202, &json!("n")));
    assert_eq!(
        server.call("POST", "/connectors/n/tasks/7/restart", None),
        (404, json!({ "error_code": 404, "message": "Unknown task: n-7" }))
    );
    assert_eq!(server.call("POST", "/connectors/x/restart", None).0, 404);
}

#[test]
fn a_configuration_that_does_not_fit_is_refused_with_all_that_is_wrong() {
    let server = serve();
    let config = json!({
        "name": "n", "connector.class": "Numbers", "count": "many", "transforms": "a",
        "transforms.a.type": "org.apache.kafka.connect.transforms.Nothing$Value", "errors.tolerance": "some"
    });
    let (status, refused) = server.put("/connectors/n/config", &config);
    assert_eq!((status, &refused["error_code"]), (400, &json!(400)));
    let message = refused["message"].as_str().unwrap();
    assert!(
        message.starts_with("Connector configuration is invalid and contains the following 4 error(s):\n"),
        "{message}"
    );
    for part in [
        "Missing required configuration \"topic\" which has no default value.",
        "Invalid value many for configuration count: Not a number of type LONG",
        "Invalid value some for configuration errors.tolerance: String must be one of: none, all",
        "Class org.apache.kafka.connect.transforms.Nothing$Value could not be found",
        "You can also find the above list of errors at the endpoint `/connector-plugins/{connectorType}/config/validate`",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
    let (status, infos) = server.put("/connector-plugins/NumbersConnector/config/validate", &config);
    assert_eq!((status, &infos["error_count"], &infos["name"]), (200, &json!(4), &json!(Numbers::CLASS)));
    let count = infos["configs"].as_array().unwrap().iter().find(|c| c["value"]["name"] == "count").unwrap();
    assert_eq!(count["definition"]["type"], "LONG");
    assert_eq!(
        count["value"]["errors"],
        json!(["Invalid value many for configuration count: Not a number of type LONG"])
    );
    let (status, refused) =
        server.put("/connectors/s/config", &json!({ "connector.class": Collector::CLASS }));
    assert_eq!(status, 400);
    assert!(refused["message"].as_str().unwrap().contains("Must configure one of topics or topics.regex"));
    let unknown = json!({ "connector.class": "org.test.Nothing" });
    let (status, refused) = server.put("/connectors/s/config", &unknown);
    assert_eq!(status, 400);
    assert!(
        refused["message"].as_str().unwrap().contains("available connectors are: org.test.NumbersConnector")
    );
    assert_eq!(server.get("/connectors"), (200, json!([])));
}

#[test]
fn passwords_are_hidden_in_validation() {
    let server = serve();
    let mut config = numbers();
    config["secret"] = json!("hunter2");
    config["name"] = json!("n");
    let (status, infos) = server.put("/connector-plugins/NumbersConnector/config/validate", &config);
    assert_eq!((status, &infos["error_count"]), (200, &json!(0)));
    assert!(!infos.to_string().contains("hunter2"));
}

#[test]
fn plugins_root_health_and_metrics_answer() {
    let server = serve();
    let (_, plugins) = server.get("/connector-plugins");
    assert_eq!(plugins.as_array().unwrap().len(), 2);
    assert_eq!(plugins[0]["class"], Numbers::CLASS);
    assert_eq!(plugins[0]["type"], "source");
    let (_, all) = server.get("/connector-plugins?connectorsOnly=false");
    assert!(all.as_array().unwrap().iter().any(|p| p["type"] == "transformation"));
    let (_, keys) = server.get("/connector-plugins/NumbersConnector/config");
    assert!(keys.as_array().unwrap().iter().any(|k| k["name"] == "topic" && k["required"] == true));
    assert_eq!(server.get("/").0, 200);
    assert_eq!(server.get("/health").1["status"], "healthy");
    assert!(server.get("/metrics").1.as_str().unwrap().contains("bd_connect_connectors 0"));
    assert_eq!(server.get("/nowhere"), (404, json!({ "error_code": 404, "message": "HTTP 404 Not Found" })));
    assert_eq!(
        server.call("DELETE", "/connectors", None),
        (405, json!({ "error_code": 405, "message": "HTTP 405 Method Not Allowed" }))
    );
    let broken = server.call("POST", "/connectors", Some(&json!({ "config": {} })));
    assert_eq!(broken.0, 400);
}
