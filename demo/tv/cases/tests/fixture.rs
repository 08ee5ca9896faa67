//! The shipped case, whose expected rows come from elsewhere.

#![allow(clippy::unwrap_used, reason = "a test may fail here")]

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;
use tv_cases::{Topic, case::Case, compare, expect, read_rows, records};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixture")
}

fn values<T: Serialize>(rows: &[T]) -> Vec<Value> {
    rows.iter().map(|row| serde_json::to_value(row).unwrap()).collect()
}

#[test]
fn brute_force_gives_the_shipped_rows() {
    let case = Case::read(&fixture()).unwrap();
    let expected = expect(&case).unwrap();
    for (file, rows) in [
        ("expected_shows_schedule.jsonl", values(&expected.shows)),
        ("expected_sessions.jsonl", values(&expected.sessions)),
        ("expected_show_views.jsonl", values(&expected.show_views)),
        ("expected_ad_views.jsonl", values(&expected.ad_views)),
    ] {
        let report = compare(read_rows(&fixture().join(file)).unwrap(), rows);
        assert!(report.is_equal() && report.expected > 0, "{file}: {report}");
    }
    assert_eq!(expected.counts, Default::default());
}

#[test]
fn written_lines_are_those_of_the_shipped_files() {
    let case = Case::read(&fixture()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    expect(&case).unwrap().write(folder.path()).unwrap();
    for file in [
        "expected_shows_schedule.jsonl",
        "expected_sessions.jsonl",
        "expected_show_views.jsonl",
        "expected_ad_views.jsonl",
    ] {
        let sorted = |folder: &Path| {
            let text = std::fs::read_to_string(folder.join(file)).unwrap();
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(folder.path()), sorted(&fixture()), "{file}");
    }
}

#[test]
fn records_have_the_keys_and_values_of_their_sources() {
    let all = |topic| records(&fixture(), topic).unwrap().map(Result::unwrap).collect::<Vec<_>>();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();

    let actions = all(Topic::Actions);
    assert_eq!(actions.len(), 9);
    assert_eq!(actions[0].key.as_deref(), Some(b"16".as_slice()));
    assert_eq!(
        text(&actions[0].value),
        r#"{"user": "vihaan", "user_id": 46, "channel_id": 58, "device_id": 16, "action": 1, "action_ts": 1612223747}"#
    );
    assert_eq!(actions[0].partition_hint(4), None);

    let users = all(Topic::Users);
    assert_eq!(text(users[0].key.as_ref().unwrap()), r#"{"user_id":45}"#);
    assert_eq!(text(&users[0].value), r#"{"user_id": 45, "name": "ketan", "age": 55, "gender": "M"}"#);

    let channels = all(Topic::Channels);
    assert_eq!(channels.len(), 2);
    assert_eq!(text(channels[1].key.as_ref().unwrap()), "58");
    assert!(
        text(&channels[1].value)
            .starts_with(r#"{"channel":"HBO","channel_id":58,"schedule":{"01-02-2021":[{"#)
    );

    let ads = all(Topic::Ads);
    assert_eq!((ads.len(), &ads[0].key), (5, &None));
    assert_eq!(ads.iter().map(|ad| ad.partition_hint(4).unwrap()).collect::<Vec<_>>(), [0, 1, 2, 3, 0]);

    let places = all(Topic::Places);
    assert_eq!(
        text(&places[0].value),
        r#"{"id":14,"name":"Ireland","coord":{"lon":-8.0,"lat":53.0},"visibility":10000,"dt":1612223700}"#
    );
    assert_eq!(places[0].key, None);
}
