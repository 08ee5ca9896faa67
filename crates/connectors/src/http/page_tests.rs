use super::super::settings::Settings;
use super::*;
use bd_connect::sdk::Config;
use serde_json::json;

fn rules(keys: &[(&str, &str)]) -> ResponseSettings {
    let config = Config::default().with("http.request.url", "http://h").with("kafka.topic", "t");
    let config = keys.iter().fold(config, |c, (key, value)| c.with(&format!("http.response.{key}"), *value));
    Settings::read(&config).unwrap().response
}

fn page(keys: &[(&str, &str)], body: &Value, offset: &Value) -> Result<Page, String> {
    read(body.to_string().as_bytes(), &rules(keys), offset.as_object().unwrap())
}

fn values(page: &Page) -> Vec<String> {
    page.records.iter().map(|r| String::from_utf8(r.value.clone()).unwrap()).collect()
}

const FEED: [(&str, &str); 2] = [("list.pointer", "/list"), ("offset.pointer", "cursor=/next")];

#[test]
fn a_feed_gives_records_and_moves_the_cursor() {
    let body = json!({"list": [{"a": 1}, {"b": [2.5, null]}], "next": "c7"});
    let page = page(&FEED, &body, &json!({"cursor": "0", "records": 5})).unwrap();
    assert_eq!(values(&page), [r#"{"a":1}"#, r#"{"b":[2.5,null]}"#]);
    assert_eq!(Value::Object(page.offset), json!({"cursor": "c7", "records": 7}));
}

#[test]
fn an_empty_list_may_move_the_cursor_or_leave_it() {
    for (body, cursor) in [
        (json!({"list": [], "next": "c1"}), "c1"),
        (json!({"list": [], "next": null}), "c0"),
        (json!({"list": []}), "c0"),
        (json!({"list": [], "next": "c0"}), "c0"),
    ] {
        let page = page(&FEED, &body, &json!({"cursor": "c0"})).unwrap();
        assert_eq!((page.records.len(), &page.offset["cursor"]), (0, &json!(cursor)), "{body}");
    }
}

#[test]
fn responses_of_no_use_say_why() {
    for (body, reason) in [
        (json!({"next": "c1"}), "has no /list"),
        (json!({"list": "x", "next": "c1"}), "a text, no list"),
        (json!({"list": null, "next": "c1"}), "null, no list"),
        (json!([1]), "has no /list"),
        (json!({"list": [{}]}), "no /next"),
        (json!({"list": [{}], "next": null}), "/next of the response is null"),
        (json!({"list": [{}], "next": [1]}), "/next of the response is a list"),
        (json!({"list": [{}], "next": "c0"}), "for ever"),
    ] {
        let error = page(&FEED, &body, &json!({"cursor": "c0"})).unwrap_err();
        assert!(error.contains(reason), "{body}: {error}");
    }
    let error = read(b"<html>", &rules(&FEED), &Map::new()).unwrap_err();
    assert!(error.contains("no JSON"), "{error}");
}

#[test]
fn members_that_are_no_record_are_rejected_and_counted() {
    let keys = [FEED[0], FEED[1], ("record.key.pointer", "/id"), ("record.timestamp.pointer", "/dt")];
    let body = json!({"next": 1, "list": [{"id": 1, "dt": 5}, 7, null, {"id": 2}, {"dt": 5}, {"id": 3, "dt": true}]});
    let page = page(&keys, &body, &json!({"cursor": 0})).unwrap();
    assert_eq!(values(&page), [r#"{"id":1,"dt":5}"#]);
    let rejected: Vec<_> =
        page.rejected.iter().map(|(v, _)| String::from_utf8_lossy(v).into_owned()).collect();
    assert_eq!(rejected, ["7", "null", r#"{"id":2}"#, r#"{"dt":5}"#, r#"{"id":3,"dt":true}"#]);
    assert!(page.rejected[0].1.contains("a number, no object"), "{}", page.rejected[0].1);
    assert_eq!(page.offset[RECORDS], 6);
}

#[test]
fn keys_and_timestamps_are_where_the_pointers_say() {
    let keys = [
        ("record.pointer", "/data"),
        ("record.key.pointer", "/id"),
        ("record.timestamp.pointer", "/data/dt"),
        ("record.timestamp.unit", "seconds"),
    ];
    let body = json!([{"id": 17, "data": {"dt": 3}}, {"id": "x", "data": {"dt": "1970-01-01T00:00:04Z"}}]);
    let page = page(&keys, &body, &json!({})).unwrap();
    let found: Vec<_> =
        page.records.iter().map(|r| (r.key.as_deref().unwrap(), r.timestamp.unwrap())).collect();
    assert_eq!(found, [("17", 3000), ("x", 4000)]);
    assert_eq!(values(&page)[0], r#"{"dt":3}"#);
}

#[test]
fn an_object_is_written_only_when_it_changed() {
    let keys = [("record.changed.pointer", "/dt")];
    let first = page(&keys, &json!({"id": 1, "dt": 5}), &json!({})).unwrap();
    assert_eq!(first.records.len(), 1);
    assert_eq!(Value::Object(first.offset.clone()), json!({"changed": 5, "records": 1}));
    let again = page(&keys, &json!({"id": 1, "dt": 5}), &Value::Object(first.offset.clone())).unwrap();
    assert_eq!((again.records.len(), &again.offset), (0, &first.offset));
    let later = page(&keys, &json!({"id": 1, "dt": 6}), &Value::Object(first.offset)).unwrap();
    assert_eq!(Value::Object(later.offset), json!({"changed": 6, "records": 2}));
}

#[test]
fn only_the_chosen_fields_are_kept_in_their_places() {
    let keys = [("record.fields", "id,coord.lon,coord.lat,none,deep.none,id.x")];
    let body = json!({"wind": 3, "coord": {"lat": 1.5, "alt": 9, "lon": -2}, "id": 1});
    assert_eq!(
        values(&page(&keys, &body, &json!({})).unwrap()),
        [r#"{"id":1,"coord":{"lon":-2,"lat":1.5}}"#]
    );
}

#[test]
fn a_timestamp_in_the_offset_leaves_out_what_was_taken() {
    let keys = [("record.offset.pointer", "key=/id,timestamp=/at")];
    let member = |id: u32, at: u32| json!({"id": id, "at": at});
    // Newest first, as snapshots come.
    let body = json!([member(4, 9), member(3, 8), member(2, 8), member(1, 7)]);
    let first = page(&keys, &body, &json!({"timestamp": 7, "key": 1})).unwrap();
    let keys_of = |p: &Page| p.records.iter().filter_map(|r| r.key.clone()).collect::<Vec<_>>();
    assert_eq!(keys_of(&first), ["2", "3", "4"]);
    assert_eq!(Value::Object(first.offset.clone()), json!({"timestamp": 9, "key": 4, "records": 3}));
    let again = page(&keys, &body, &Value::Object(first.offset)).unwrap();
    assert_eq!(again.records, []);
    let middle = page(&keys, &body, &json!({"timestamp": 8, "key": 2})).unwrap();
    assert_eq!(keys_of(&middle), ["3", "4"]);
}
