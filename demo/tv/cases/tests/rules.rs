//! Each rule of the case on a few rows, against rows worked out by hand.
//!
//! Rows are written as words: an action `user device channel action time`, a session `user device channel start end`, an
//! ad `ad channel start duration`, a place `device time`, a view `program-or-ad user start end place`. Times are seconds
//! after 2021-02-01T12:00:00Z. A line in braces or brackets stands as it is.

#![allow(clippy::unwrap_used, reason = "a test may fail here")]

use std::fs;

use serde_json::json;
use tv_cases::{
    case::Case,
    expect,
    expect::{Counts, Viewing},
    text,
};

/// 2021-02-01T12:00:00Z
const NOON: i64 = 1_612_180_800;

#[derive(Default)]
struct Given<'a> {
    actions: &'a str,
    /// Lines after those of the users 1 to 3, who are always known.
    users: &'a str,
    ads: &'a str,
    places: &'a str,
    /// `day start program_id`, all on channel 57.
    shows: &'a str,
}

#[derive(Debug, PartialEq)]
struct Got {
    sessions: Vec<String>,
    show_views: Vec<String>,
    ad_views: Vec<String>,
    shows: Vec<String>,
    names: Vec<String>,
    counts: Counts,
}

fn lines(text: &str, json: impl Fn(&[i64]) -> serde_json::Value) -> String {
    let rows = text.lines().map(str::trim).filter(|line| !line.is_empty());
    rows.map(|row| {
        if row.starts_with(['{', '[']) {
            return format!("{row}\n");
        }
        let numbers: Vec<i64> = row.split_whitespace().map(|word| word.parse().unwrap()).collect();
        format!("{}\n", json(&numbers))
    })
    .collect()
}

fn run(given: &Given<'_>) -> Got {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
    write(
        "actions.jsonl",
        lines(
            given.actions,
            |n| json!({"user_id": n[0], "device_id": n[1], "channel_id": n[2], "action": n[3], "action_ts": NOON + n[4]}),
        ),
    );
    let known =
        (1..=3).map(|id| format!("{}\n", json!({"user_id": id, "name": "a", "age": id, "gender": "F"})));
    write("users.jsonl", known.collect::<String>() + given.users);
    write(
        "ads.jsonl",
        lines(
            given.ads,
            |n| json!({"ad_id": n[0], "channel_id": n[1], "start_ts": NOON + n[2], "duration_secs": n[3]}),
        ),
    );
    write(
        "device_locations.jsonl",
        lines(
            given.places,
            |n| json!({"device_id": n[0], "lon": 1.5, "lat": 2.5, "visibility": 9, "ts": text::iso(NOON + n[1])}),
        ),
    );
    let mut schedule = serde_json::Map::new();
    for show in given.shows.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<_> = show.split_whitespace().collect();
        let day = schedule.entry(words[0]).or_insert(json!([]));
        let id: i64 = words[2].parse().unwrap();
        day.as_array_mut().unwrap().push(json!({"program": "p", "program_id": id, "start": words[1]}));
    }
    write("channels.json", json!([{"channel": "BBC", "channel_id": 57, "schedule": schedule}]).to_string());

    let case = Case::read(folder.path()).unwrap();
    let expected = expect(&case).unwrap();
    let viewing = |what: Option<i64>, v: &Viewing<'_>| {
        let place = v.location_ts.map_or("-".to_owned(), |at| (at - NOON).to_string());
        format!("{} {} {} {} {place}", what.unwrap(), v.user_id, v.start_ts - NOON, v.end_ts - NOON)
    };
    Got {
        sessions: (expected.sessions.iter())
            .map(|s| {
                let [user, device, channel] = [s.user_id, s.device_id, s.channel_id].map(Option::unwrap);
                format!("{user} {device} {channel} {} {}", s.start_ts - NOON, s.end_ts - NOON)
            })
            .collect(),
        show_views: expected.show_views.iter().map(|v| viewing(v.program_id, &v.viewing)).collect(),
        ad_views: expected.ad_views.iter().map(|v| viewing(v.ad_id, &v.viewing)).collect(),
        shows: (expected.shows.iter())
            .map(|s| format!("{} {} {}", s.program_id.unwrap(), s.start_ts - NOON, s.end_ts - NOON))
            .collect(),
        names: expected.show_views.iter().map(|v| v.viewing.name.unwrap().to_owned()).collect(),
        counts: expected.counts,
    }
}

fn sessions(actions: &str) -> Vec<String> {
    run(&Given { actions, ..Given::default() }).sessions
}

#[test]
fn a_start_or_switch_opens_and_a_stop_or_switch_closes() {
    assert_eq!(
        sessions("1 14 57 1 0 \n 1 14 58 3 10 \n 1 14 59 3 20 \n 1 14 59 2 30"),
        ["1 14 57 0 10", "1 14 58 10 20", "1 14 59 20 30"]
    );
}

#[test]
fn a_start_drops_an_open_session_and_a_stop_of_nothing_is_ignored() {
    assert_eq!(
        sessions("1 14 57 2 0 \n 1 14 57 1 10 \n 1 14 58 1 20 \n 1 14 58 2 30 \n 1 14 58 2 40"),
        ["1 14 58 20 30"]
    );
}

#[test]
fn an_unknown_action_drops_an_open_session() {
    assert_eq!(sessions("1 14 57 1 0 \n 1 14 57 4 10 \n 1 14 57 2 20"), Vec::<String>::new());
}

#[test]
fn sessions_belong_to_a_user_on_a_device() {
    assert_eq!(
        sessions("1 14 57 1 0 \n 2 14 58 1 5 \n 1 15 59 1 6 \n 2 14 58 2 8 \n 1 14 57 2 9 \n 1 15 59 2 9"),
        ["1 14 57 0 9", "1 15 59 6 9", "2 14 58 5 8"]
    );
}

#[test]
fn a_session_of_a_day_is_kept_and_a_second_more_is_too_much() {
    let got = run(&Given {
        actions: "1 14 57 1 0 \n 2 15 57 1 0 \n 1 14 57 2 86400 \n 2 15 57 2 86401",
        ..Given::default()
    });
    assert_eq!((got.sessions, got.counts.sessions_too_long), (vec!["1 14 57 0 86400".to_owned()], 1));
}

#[test]
fn actions_at_one_instant_keep_the_order_of_arrival() {
    assert_eq!(sessions("1 14 57 1 7 \n 1 14 57 2 7"), ["1 14 57 7 7"]);
    assert_eq!(sessions("1 14 57 2 7 \n 1 14 57 1 7 \n 1 14 57 2 9"), ["1 14 57 7 9"]);
    assert_eq!(
        sessions("1 14 57 1 7 \n 1 14 58 3 7 \n 1 14 59 3 7 \n 1 14 59 2 7"),
        ["1 14 57 7 7", "1 14 58 7 7", "1 14 59 7 7"]
    );
}

#[test]
fn an_action_five_seconds_behind_is_in_time_and_six_is_late() {
    // The stop at 10 arrives before its start at 5, which is exactly 5 s behind.
    assert_eq!(sessions("1 14 57 2 10 \n 1 14 57 1 5"), ["1 14 57 5 10"]);
    let got = run(&Given { actions: "1 14 57 2 10 \n 1 14 57 1 4", ..Given::default() });
    assert_eq!((got.sessions.len(), got.counts.actions_late), (0, 1));
}

#[test]
fn lateness_is_measured_on_all_actions_before_and_a_late_one_moves_nothing() {
    let got = run(&Given {
        // Another user's action at 100 makes the stop at 94 late; the one at 95 is not; late ones change no maximum.
        actions: "1 14 57 1 80 \n 2 15 57 2 100 \n 1 14 57 2 94 \n 1 14 57 2 20 \n 1 14 57 2 95",
        ..Given::default()
    });
    assert_eq!((got.sessions, got.counts.actions_late), (vec!["1 14 57 80 95".to_owned()], 2));
}

#[test]
fn dead_letters_are_counted_and_move_no_time() {
    let got = run(&Given {
        actions: r#"
            1 14 57 1 0
            {"user_id": 1, "device_id": 14, "channel_id": 57, "action": 2}
            {"user_id": 1, "device_id": 14, "channel_id": 57, "action": 2, "action_ts": null}
            {"user_id": 1, "device_id": 14, "channel_id": 57, "action": 2, "action_ts": 1912180800
            [1, 14, 57, 2, 1912180800]
            1 14 57 2 9
        "#,
        ads: "5 57 999999 3601 \n 6 57 0 3601 \n 7 57 0 -1 \n 8 57 0 3600 \n {}",
        places: "14 3 \n {\"device_id\": 14} \n 14 5",
        ..Given::default()
    });
    assert_eq!(got.sessions, ["1 14 57 0 9"]);
    assert_eq!(got.ad_views, ["8 1 0 9 3", "8 1 0 9 5"]);
    let counts = Counts { actions_dead: 4, ads_dead: 4, device_locations_dead: 1, ..Counts::default() };
    assert_eq!(got.counts, counts);
}

#[test]
fn a_show_ends_where_the_next_of_its_day_starts_or_at_midnight() {
    let got = run(&Given {
        // Out of order, with a day between that has none.
        shows: "01-02-2021 23:59:59 2 \n 01-02-2021 12:00:00 1 \n 03-02-2021 00:00:00 3",
        ..Given::default()
    });
    assert_eq!(got.shows, ["1 0 43199", "2 43199 43200", "3 129600 216000"]);
}

#[test]
fn a_touch_is_a_view_of_no_length() {
    let got = run(&Given {
        shows: "01-02-2021 12:00:00 1 \n 01-02-2021 12:01:00 2 \n 01-02-2021 12:02:00 3",
        actions: "1 14 57 1 60 \n 1 14 57 2 120",
        // Ends before, ends at the start, of no length within, starts at the end, starts after.
        ads: "4 57 50 9 \n 5 57 50 10 \n 6 57 60 0 \n 7 57 100 0 \n 8 57 120 30 \n 9 57 121 30",
        ..Given::default()
    });
    assert_eq!(got.show_views, ["1 1 60 60 -", "2 1 60 120 -", "3 1 120 120 -"]);
    assert_eq!(got.ad_views, ["5 1 60 60 -", "6 1 60 60 -", "7 1 100 100 -", "8 1 120 120 -"]);
}

#[test]
fn a_session_at_midnight_touches_the_last_show_of_the_day_before() {
    let got = run(&Given {
        shows: "01-02-2021 12:00:00 1 \n 02-02-2021 00:00:00 2",
        actions: "1 14 57 1 43200 \n 1 14 57 2 43210",
        ..Given::default()
    });
    assert_eq!(got.show_views, ["1 1 43200 43200 -", "2 1 43200 43210 -"]);
}

#[test]
fn each_place_within_a_view_gives_a_row_bounds_included() {
    let got = run(&Given {
        shows: "01-02-2021 12:00:00 1 \n 01-02-2021 12:01:00 2 \n 01-02-2021 12:10:00 3",
        actions: "1 14 57 1 30 \n 1 14 57 2 100",
        places: "14 29 \n 14 30 \n 15 40 \n 14 60 \n 14 60 \n 14 100 \n 14 101",
        ..Given::default()
    });
    assert_eq!(
        got.show_views,
        ["1 1 30 60 30", "1 1 30 60 60", "1 1 30 60 60", "2 1 60 100 60", "2 1 60 100 60", "2 1 60 100 100"]
    );
}

#[test]
fn late_ads_and_places_are_left_out() {
    let got = run(&Given {
        shows: "01-02-2021 12:00:00 1",
        actions: "1 14 57 1 0 \n 1 14 57 2 300",
        ads: "5 57 200 10 \n 6 57 140 10 \n 7 57 139 10",
        places: "15 200 \n 14 139 \n 14 140",
        ..Given::default()
    });
    assert_eq!(got.ad_views, ["5 1 200 210 -", "6 1 140 150 140"]);
    assert_eq!(got.show_views, ["1 1 0 300 140"]);
    assert_eq!((got.counts.ads_late, got.counts.device_locations_late), (1, 1));
}

#[test]
fn an_unknown_user_has_sessions_and_no_views() {
    let got = run(&Given {
        shows: "01-02-2021 12:00:00 1",
        actions: "9 14 57 1 0 \n 9 14 57 2 300",
        ads: "5 57 10 10",
        places: "14 100",
        ..Given::default()
    });
    assert_eq!((got.sessions.len(), got.show_views.len(), got.ad_views.len()), (1, 0, 0));
}

#[test]
fn the_last_row_of_a_user_holds() {
    let given = Given {
        shows: "01-02-2021 12:00:00 1",
        users: "{\"user_id\": 1, \"name\": \"Zo\\u00eb\", \"age\": null, \"gender\": \"M\"}\n",
        actions: "1 14 57 1 0 \n 1 14 57 2 300",
        ..Given::default()
    };
    assert_eq!(run(&given).names, ["Zoë"]);
}

#[test]
fn an_ad_of_an_hour_may_lie_25_hours_before_the_end_of_a_session() {
    let got = run(&Given {
        actions: "1 14 57 1 3600 \n 1 14 57 2 90000",
        ads: "5 57 0 3600 \n 6 57 90000 3600",
        ..Given::default()
    });
    assert_eq!(got.ad_views, ["5 1 3600 3600 -", "6 1 90000 90000 -"]);
}
