//! MariaDB and Mosquitto, real ones: started, found again, stopped; messages over kills.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may panic")]

mod common;

use common::{Place, SOON, Subscriber, wait_for};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tv_world::mqtt::{Message, Progress, Publisher, Spool};
use tv_world::users::{Row, Users};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn servers_start_are_found_running_and_keep_their_data_over_a_stop() {
    let place = Place::new();
    place.servers(&["start"]);
    let (mariadb, mosquitto) = (place.pid("mariadb").unwrap(), place.pid("mosquitto").unwrap());
    place.servers(&["start"]);
    assert_eq!((place.pid("mariadb"), place.pid("mosquitto")), (Some(mariadb), Some(mosquitto)));
    let row = Row { id: i64::MAX, name: Some("Zoë 🦊".into()), age: None, gender: Some("F".into()) };
    let port = place.ports.mariadb_port;
    block_on(async { Users::connect(port).await.unwrap().put(std::slice::from_ref(&row)).await.unwrap() });
    assert!(place.servers(&["stop"]).contains("mariadb    stopped"));
    assert_eq!((place.pid("mariadb"), place.pid("mosquitto")), (None, None));
    place.servers(&["start", "mariadb"]);
    assert!(place.pid("mosquitto").is_none());
    let rows = block_on(async { Users::connect(port).await.unwrap().all().await.unwrap() });
    assert_eq!(rows, [row]);
}

#[test]
fn the_session_of_bds_connector_is_there_before_bd_and_outlives_a_kill_of_the_broker() {
    let place = Place::new();
    place.servers(&["start", "mosquitto"]);
    let saved = place.layout.mosquitto().join("db/mosquitto.db");
    let holds =
        || String::from_utf8_lossy(&std::fs::read(&saved).unwrap_or_default()).contains("tv/+/actions");
    wait_for(SOON, "the session on disk", holds);
    let pid = place.pid("mosquitto").unwrap();
    assert!(std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
    wait_for(SOON, "the broker's end", || place.pid("mosquitto").is_none());
    place.servers(&["start", "mosquitto"]);
    let spool = Spool::open(&place.layout.world().join("spool"), 1 << 30).unwrap();
    spool.append(&message(1)).unwrap();
    block_on(publish(&place, &spool, 1));
    let subscriber = Subscriber::start(&place);
    wait_for(SOON, "what came before the subscriber", || subscriber.lines() == ["tv/1/actions message 1"]);
}

#[test]
fn a_port_that_is_taken_is_told_with_who_has_it() {
    let place = Place::new();
    let _taken = std::net::TcpListener::bind(("127.0.0.1", place.ports.mosquitto_port)).unwrap();
    let output = place.command(&["servers", "start", "mosquitto"]).output().unwrap();
    let text = common::text(&output);
    assert!(!output.status.success());
    assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
}

fn message(number: u64) -> Message {
    Message { topic: format!("tv/{}/actions", number % 7), payload: format!("message {number}").into_bytes() }
}

/// Publishes until `done` messages are complete, then stops without a word, as after a kill.
async fn publish(place: &Place, spool: &Spool, done: u64) {
    let progress = Arc::new(Progress::default());
    let cursor = place.layout.world().join("cursor");
    let port = place.ports.mosquitto_port;
    let publisher = Publisher::open(spool.reader(), &cursor, "test", port, progress.clone()).unwrap();
    let until = async {
        while progress.completed.load(Ordering::Acquire) < done {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        result = publisher.run() => panic!("{result:?}"),
        () = until => {}
        () = tokio::time::sleep(SOON) => panic!("not {done} messages in {SOON:?}"),
    }
}

#[test]
fn each_message_comes_once_and_in_order_while_publisher_and_broker_go_away() {
    let place = Place::new();
    place.servers(&["start", "mosquitto"]);
    let spool = Spool::open(&place.layout.world().join("spool"), 1 << 30).unwrap();
    (0..20_000).for_each(|n| spool.append(&message(n)).unwrap());
    for step in 1..=12_u64 {
        // An odd number: in the middle of a window.
        block_on(publish(&place, &spool, step * 1_500 + 377));
        if step % 4 == 0 {
            place.servers(&["stop", "mosquitto"]);
            place.servers(&["start", "mosquitto"]);
        }
    }
    block_on(publish(&place, &spool, 20_000));
    // Only now: mosquitto_sub forgets what it has when a connection ends, and would show it twice.
    let subscriber = Subscriber::start(&place);
    wait_for(SOON, "all messages", || subscriber.lines().len() >= 20_000);
    let got = subscriber.lines();
    for (n, got) in got.iter().enumerate() {
        assert_eq!(*got, format!("tv/{}/actions message {n}", n % 7), "message {n}");
    }
    assert_eq!(got.len(), 20_000);
}
