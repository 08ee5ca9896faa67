//! The simulator as a process, with real servers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may panic")]

mod common;

use common::{Place, Running, SOON, Subscriber, get, wait_for};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tv_world::users::{Row, Users};

fn users(place: &Place) -> Vec<Row> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let all = async { Users::connect(place.ports.mariadb_port).await?.all().await };
    runtime.block_on(all).unwrap_or_default()
}

fn actions(subscriber: &Subscriber) -> Vec<Value> {
    subscriber
        .lines()
        .iter()
        .map(|line| serde_json::from_str(line.split_once(' ').unwrap().1).unwrap())
        .collect()
}

fn number(action: &Value, field: &str) -> i64 {
    action[field].as_i64().unwrap()
}

#[test]
fn a_world_tells_at_once_who_is_watching_goes_on_and_after_a_kill_continues() {
    let place = Place::new();
    place.servers(&["start"]);
    let subscriber = Subscriber::start(&place);
    let run = ["run", "--users=200", "--rate=200", "--changes=1200", "--seed=3"];
    let mut world = Running::start(&mut place.command(&run));
    wait_for(Duration::from_secs(5), "who is watching", || subscriber.lines().len() > 30);
    wait_for(SOON, "users", || users(&place).len() >= 150);
    let first = users(&place);
    wait_for(SOON, "people who joined, left and changed", || {
        let now = users(&place);
        let ids = |rows: &[Row]| rows.iter().map(|row| row.id).collect::<HashSet<_>>();
        let joined = !ids(&now).is_subset(&ids(&first));
        let changed = now.iter().any(|row| first.iter().any(|old| old.id == row.id && old != row));
        joined && changed
    });
    world.kill();
    let before = place.layout.world().join("clock.json");
    assert!(before.exists());
    let most = users(&place).iter().map(|row| row.id).max().unwrap();
    let count = subscriber.lines().len();

    let mut world = Running::start(&mut place.command(&run));
    wait_for(SOON, "more actions", || subscriber.lines().len() > count + 400);
    wait_for(SOON, "ids that go on", || users(&place).iter().any(|row| row.id > most));
    world.signal("TERM");
    assert!(world.end(Duration::from_secs(3)).success());

    let actions = actions(&subscriber);
    assert!(actions.windows(2).all(|w| number(&w[0], "action_ts") <= number(&w[1], "action_ts")));
    let lines: HashSet<String> = subscriber.lines().into_iter().collect();
    let twice = subscriber.lines().len() - lines.len();
    assert!(twice <= 3, "{twice} messages came twice");
    let fields: Vec<&String> = actions[0].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["user", "user_id", "channel_id", "device_id", "action", "action_ts"]);
    let mut on: HashMap<i64, bool> = HashMap::new();
    let mut odd = 0;
    for action in &actions {
        let was = on.insert(number(action, "device_id"), number(action, "action") != 2).unwrap_or(false);
        odd += usize::from(was == (number(action, "action") == 1));
    }
    // What was in the air at the kill: at most what happened in the seconds before it.
    assert!(odd < actions.len() / 2, "{odd} of {} actions do not follow from the one before", actions.len());
    // No file of a schedule but one, and a whole one.
    let files: Vec<_> = std::fs::read_dir(place.layout.channels()).unwrap().collect();
    assert_eq!(files.len(), 1);
}

#[test]
fn without_servers_a_world_keeps_its_messages_and_delivers_them_when_the_broker_comes() {
    let place = Place::new();
    place.servers(&["start"]);
    place.servers(&["stop", "mosquitto"]);
    let mut world = Running::start(&mut place.command(&["run", "--users=100", "--rate=100"]));
    wait_for(SOON, "users", || users(&place).len() == 100);
    let spooled = || {
        let spool = place.layout.world().join("spool/00000000000000000000.spool");
        spool.metadata().map_or(0, |about| about.len())
    };
    wait_for(SOON, "messages on disk", || spooled() > 20_000);
    world.kill();
    place.servers(&["start", "mosquitto"]);
    let subscriber = Subscriber::start(&place);
    let _world = Running::start(&mut place.command(&["run"]));
    wait_for(SOON, "all that was kept", || subscriber.lines().len() as u64 > 20_000 / 150);
    let (status, body) =
        get(&format!("http://127.0.0.1:{}/data/2.5/weather?id=14&appid=x", place.ports.weather_port));
    assert_eq!(status, 200, "{body}");
}

#[test]
fn after_a_long_pause_everybody_has_gone_to_bed_and_others_are_watching() {
    let place = Place::new();
    place.servers(&["start"]);
    let subscriber = Subscriber::start(&place);
    let run = ["run", "--users=100", "--rate=50"];
    let mut world = Running::start(&mut place.command(&run));
    wait_for(SOON, "actions", || subscriber.lines().len() > 100);
    world.signal("TERM");
    world.end(Duration::from_secs(3));
    let path = place.layout.world().join("state.json");
    let mut state: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let on = state["devices"].as_array().unwrap().iter().filter(|d| !d["watching"].is_null()).count();
    let last = number(&state, "last_action") - 20_000;
    state["last_action"] = last.into();
    std::fs::write(&path, state.to_string()).unwrap();
    let _world = Running::start(&mut place.command(&run));
    // What the first one had not sent yet comes before.
    let slept = |actions: &[Value]| actions.iter().filter(|a| number(a, "action_ts") == last + 1).count();
    wait_for(SOON, "the end of what was watched", || slept(&actions(&subscriber)) >= on);
    let starts = |actions: Vec<Value>| {
        let end = actions.iter().rposition(|a| number(a, "action_ts") == last + 1).unwrap();
        actions[end + 1..].to_vec()
    };
    wait_for(SOON, "who is watching now", || starts(actions(&subscriber)).len() > 5);
    let actions = actions(&subscriber);
    assert_eq!(slept(&actions), on);
    let stops = actions.iter().filter(|a| number(a, "action_ts") == last + 1);
    assert!(stops.into_iter().all(|a| number(a, "action") == 2));
    assert!(
        starts(actions)[..5]
            .iter()
            .all(|a| number(a, "action") == 1 && number(a, "action_ts") > last + 10_000)
    );
}

#[test]
fn a_folder_of_another_world_is_refused() {
    let place = Place::new();
    tv_world::layout::Identity::Live { seed: 7, users: 50 }.claim(&place.layout).unwrap();
    let output = place.command(&["run", "--users=60"]).output().unwrap();
    let text = common::text(&output);
    assert!(!output.status.success());
    assert!(text.contains("holds another world: a simulated world (seed 7, 50 users)"), "{text}");
}
