//! Event streams: one evaluator for all who look at the same, changes only, resumed, ended.

use crate::support::World;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const PAGE: &str = "page=dashboard&name=test";

fn complete(parts: &Value) -> bool {
    ["p0", "p1", "p2"].iter().all(|p| parts.get(p).is_some())
}

#[test]
fn a_stream_starts_with_the_whole_state_and_goes_on_with_what_changed() {
    let world = World::new();
    world.roles.documents.store(3, Ordering::SeqCst);
    let mut events = world.stream(PAGE, None);
    assert_eq!(events.next().unwrap().0, "state");
    events.until(complete);
    assert_eq!(events.parts["p0"], json!({"state": "ok", "value": 3}));
    let waiting = json!({"state": "waiting", "message": "The index nothing does not exist yet.", "awaits": "the first row"});
    assert_eq!(events.parts["p1"], waiting);
    assert_eq!(events.parts["p2"]["message"], "The topic actions does not exist yet.");

    world.roles.documents.store(4, Ordering::SeqCst);
    let (name, data) = loop {
        let event = events.next().unwrap();
        if event.0 != "beat" {
            break event;
        }
    };
    assert_eq!((name.as_str(), &data["parts"]), ("change", &json!({"p0": {"state": "ok", "value": 4}})));

    world.topic("actions", 1);
    world.append("actions", 0, 1, &[b"1", b"2"]);
    events.until(|parts| parts["p2"]["value"] == json!(2));
}

#[test]
fn a_change_is_shown_soon() {
    let world = World::new();
    let mut events = world.stream(PAGE, None);
    events.until(complete);
    let mut slowest = Duration::ZERO;
    for n in 1..=5 {
        let started = Instant::now();
        world.roles.documents.store(n, Ordering::SeqCst);
        events.until(|parts| parts["p0"]["value"] == json!(n));
        slowest = slowest.max(started.elapsed());
    }
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
}

#[test]
fn many_viewers_cost_search_no_more_than_one() {
    let world = World::new();
    let mut viewers: Vec<_> = (0..8).map(|_| world.stream(PAGE, None)).collect();
    viewers.iter_mut().for_each(|v| v.until(complete));
    world.roles.searches.store(0, Ordering::SeqCst);
    world.roles.documents.store(9, Ordering::SeqCst);
    viewers.iter_mut().for_each(|v| v.until(|parts| parts["p0"]["value"] == json!(9)));
    // Two panels, asked once, and once again should the first have come before all was written.
    let asked = world.roles.searches.load(Ordering::SeqCst);
    assert!((1..=4).contains(&asked), "{asked} searches for 8 viewers");
}

#[test]
fn who_comes_back_gets_what_changed_meanwhile() {
    let world = World::new();
    let mut first = world.stream(PAGE, None);
    first.until(complete);
    let mut again = world.stream(PAGE, Some(&first.id));
    world.roles.documents.store(5, Ordering::SeqCst);
    let (name, _) = again.next().unwrap();
    assert_eq!(name, "change");
    again.until(|parts| parts["p0"]["value"] == json!(5));
    assert!(again.parts.get("p1").is_none(), "it did not change: {}", again.parts);
    let mut stranger = world.stream(PAGE, Some("1-7"));
    assert_eq!(stranger.next().unwrap().0, "state");
    assert!(complete(&stranger.parts));
}

#[test]
fn where_search_fails_the_last_data_stays_beside_the_error() {
    let world = World::new();
    world.roles.documents.store(3, Ordering::SeqCst);
    let mut events = world.stream(PAGE, None);
    events.until(complete);
    world.roles.broken.store(true, Ordering::SeqCst);
    events.until(|parts| parts["p0"].get("error").is_some());
    assert_eq!(events.parts["p0"]["value"], 3);
    assert!(events.parts["p0"]["error"].as_str().unwrap().contains("disk full"));
    world.roles.broken.store(false, Ordering::SeqCst);
    events.until(|parts| parts["p0"] == json!({"state": "ok", "value": 3}));
}

#[test]
fn lists_are_streamed_too() {
    let world = World::new();
    world.topic("actions", 1);
    let mut topics = world.stream("page=topics", None);
    topics.until(|parts| parts["topics"]["topics"][0]["offsets"] == json!(0));
    let mut messages = world.stream("page=topic&name=actions", None);
    messages.until(|parts| parts["messages"]["messages"] == json!([]));
    world.append("actions", 0, 7, &[b"\"hello\""]);
    topics.until(|parts| parts["topics"]["topics"][0]["offsets"] == json!(1));
    messages.until(|parts| parts["messages"]["messages"][0]["value"]["data"] == json!("hello"));
    world
        .stream("page=connectors", None)
        .until(|parts| parts["connectors"]["connectors"][0]["name"] == "users");
    world.stream("page=queries", None).until(|parts| parts["queries"]["queries"][0]["id"] == "CTAS_A_1");
}

#[test]
fn closing_ends_all_streams() {
    let world = World::new();
    let mut events = world.stream(PAGE, None);
    events.until(complete);
    world.console.close();
    let deadline = Instant::now() + Duration::from_secs(10);
    while events.next().is_some() {
        assert!(Instant::now() < deadline, "the stream goes on");
    }
    assert_eq!(world.get("/api/stream?page=topics").0, 503);
}

#[test]
fn where_search_is_away_panels_say_so_and_those_of_topics_go_on() {
    let world = World::with_search(Some("http://127.0.0.1:1"));
    let mut events = world.stream(PAGE, None);
    events.until(complete);
    assert_eq!(events.parts["p0"]["state"], "error");
    let message = events.parts["p0"]["message"].as_str().unwrap();
    assert!(message.starts_with("search at http://127.0.0.1:1 does not answer"), "{message}");
    world.topic("actions", 1);
    events.until(|parts| parts["p2"]["value"] == json!(0));
}
