use super::*;
use serde_json::json;

#[test]
fn a_slow_viewer_skips_versions_and_gets_the_newest_of_each_part() {
    let feed = Feed::new();
    for n in 0..100 {
        feed.publish("a", &json!(n));
    }
    feed.publish("b", &json!("x"));
    let (version, text) = feed.since(0);
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(body["parts"], json!({"a": 99, "b": "x"}));
    let (same, text) = feed.since(version);
    assert_eq!(same, version);
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["parts"], json!({}));
}

#[test]
fn a_part_that_did_not_change_makes_no_version() {
    let feed = Feed::new();
    let versions = feed.version.subscribe();
    feed.publish("a", &json!({"n": 1}));
    let (version, _) = feed.since(0);
    feed.publish("a", &json!({"n": 1}));
    assert_eq!(feed.since(0).0, version);
    assert_eq!(*versions.borrow(), version);
    feed.publish("a", &json!({"n": 2}));
    assert_eq!(*versions.borrow(), version + 1);
}

#[test]
fn names_of_parts_are_quoted() {
    let feed = Feed::new();
    feed.publish("a\"b", &json!(1));
    let (_, text) = feed.since(0);
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["parts"], json!({"a\"b": 1}));
}
