//! The JSON API over an embedded log and made-up roles.

use crate::support::World;
use serde_json::json;
use std::sync::atomic::Ordering;

#[test]
fn topics_are_listed_with_their_offsets() {
    let world = World::new();
    world.topic("actions", 2);
    world.append("actions", 0, 1000, &[b"1", b"2"]);
    world.append("actions", 1, 1000, &[b"3"]);
    let (status, answer) = world.get("/api/topics");
    assert_eq!(status, 200);
    let topic = &answer["topics"][0];
    assert_eq!(
        (&topic["name"], &topic["partitions"], &topic["offsets"]),
        (&json!("actions"), &json!(2), &json!(3))
    );
    assert_eq!(topic["newest"], 1001);
}

#[test]
fn the_newest_messages_come_first_decoded() {
    let world = World::new();
    world.topic("actions", 2);
    world.append("actions", 0, 1000, &[b"{\"a\":1}", b"broken {", b"\xff\x00"]);
    world.append("actions", 1, 5000, &[b"{\"a\":2}"]);
    let (status, answer) = world.get("/api/topics/actions/messages?n=3");
    assert_eq!(status, 200);
    let messages = answer["messages"].as_array().unwrap();
    let values: Vec<_> = messages.iter().map(|m| m["value"]["format"].as_str().unwrap()).collect();
    assert_eq!(values, ["json", "hex", "text"]);
    assert_eq!(messages[0]["value"]["data"], json!({"a": 2}));
    assert_eq!(messages[0]["key"]["data"], 16);
    assert_eq!(messages[0]["headers"][0][0], "source");
    assert_eq!(answer["partitions"][0], json!({"partition": 0, "start": 0, "end": 3}));
}

#[test]
fn messages_are_read_from_an_offset_on() {
    let world = World::new();
    world.topic("actions", 1);
    let values: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    world.append("actions", 0, 0, &values.iter().map(|v| v.as_bytes()).collect::<Vec<_>>());
    let (_, answer) = world.get("/api/topics/actions/messages?n=3&partition=0&offset=40");
    let offsets: Vec<_> =
        answer["messages"].as_array().unwrap().iter().map(|m| m["offset"].clone()).collect();
    assert_eq!(offsets, [40, 41, 42]);
    let (_, past) = world.get("/api/topics/actions/messages?n=3&partition=0&offset=4000");
    assert_eq!(past["messages"], json!([]));
    assert_eq!(world.get("/api/topics/actions/messages?offset=4").0, 400);
    assert_eq!(world.get("/api/topics/nope/messages").0, 404);
}

#[test]
fn connectors_are_shown_and_restarted_from_the_consoles_own_pages_only() {
    let world = World::new();
    let (_, answer) = world.get("/api/connectors");
    let users = &answer["connectors"][0];
    assert_eq!((&users["name"], &users["tasks"][0]["trace"]), (&json!("users"), &json!("denied")));
    let own = world.url.clone();
    assert_eq!(world.post("/api/connectors/users/restart", &[("origin", &own)]).0, 200);
    assert_eq!(world.post("/api/connectors/users/restart", &[]).0, 200);
    let (status, answer) = world.post("/api/connectors/users/restart", &[("origin", "http://elsewhere")]);
    assert_eq!(status, 403);
    assert!(answer["error"].as_str().unwrap().contains("Origin"));
    assert_eq!(world.post("/api/connectors/unknown/restart", &[]).0, 404);
    assert_eq!(*world.roles.restarts.lock().unwrap(), ["users", "users"]);
}

#[test]
fn queries_are_shown_with_their_counters_and_plans() {
    let world = World::new();
    let (_, answer) = world.get("/api/queries");
    let query = &answer["queries"][0];
    assert_eq!(
        (&query["id"], &query["state"], &query["rows_out"]),
        (&json!("CTAS_A_1"), &json!("RUNNING"), &json!(12))
    );
    assert_eq!(world.get("/api/queries/CTAS_A_1").1["plan"], "Scan a");
}

#[test]
fn what_is_not_there_is_said_in_words() {
    let world = World::new();
    let (status, answer) = world.get("/api/dashboards/nope");
    assert_eq!((status, &answer["error"]), (404, &json!("there is no dashboard nope; there are: test")));
    assert_eq!(world.get("/api/dashboards/test").1["panels"][0]["title"], "Users");
    assert_eq!(world.get("/api/nope").0, 404);
    assert_eq!(world.get("/api/stream?page=nope").0, 400);
    assert_eq!(world.get("/api/stream?page=dashboard&name=test&range=soon").0, 400);
    assert_eq!(world.get("/health").0, 200);
    let (status, metrics) = world.get("/metrics");
    assert_eq!(status, 200);
    assert!(metrics.as_str().unwrap().contains("bd_console_dashboards 1\n"));
    assert_eq!(world.roles.searches.load(Ordering::SeqCst), 0);
}
