//! The MQTT source against a real Mosquitto: exactly once wherever the task dies, order, keys, and what brokers refuse.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

#[path = "common/mosquitto.rs"]
mod mosquitto;
#[path = "common/source.rs"]
mod source;

use bd_connect::sdk::{SourceTask, TaskError};
use bd_connectors::mqtt::MqttSource;
use mosquitto::Mosquitto;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use source::Worker;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn worker(broker: &Mosquitto, changes: &[(&str, &str)]) -> Worker {
    let uri = broker.uri();
    let mut config = vec![
        ("mqtt.server.uri", uri.as_str()),
        ("mqtt.topics", "tv/+/actions"),
        ("mqtt.qos", "2"),
        ("mqtt.clean.session.enabled", "false"),
        ("kafka.topic", "actions"),
        ("mqtt.key.pattern", "tv/{device_id}/actions"),
    ];
    config.extend_from_slice(changes);
    Worker::new(Arc::new(MqttSource), &config)
}

/// Opens the task and waits for its subscription.
fn subscribe(worker: &mut Worker) -> Box<dyn SourceTask> {
    let mut task = worker.open().unwrap();
    worker.until(&mut task, "a subscription", |w| {
        w.offsets.values().any(|o| o["filters"].as_object().is_some_and(|f| !f.is_empty()))
    });
    task
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

/// Waits until all exchanges are over.
fn settle(worker: &mut Worker, task: &mut Box<dyn SourceTask>) {
    worker.until(task, "no open exchange", |w| w.offset()["open"] == json!([]));
}

#[test]
fn messages_become_records_with_key_headers_and_their_bytes() {
    let broker = Mosquitto::start();
    let mut worker = worker(&broker, &[]);
    let mut task = subscribe(&mut worker);
    let broken = b"{\"broken\": \xFF\x00";
    broker.publish("tv/d-1/actions", 2, broken);
    broker.publish("tv/d-2/actions", 1, b"one");
    broker.publish("tv/d-3/actions", 0, b"");
    worker.until(&mut task, "three records", |w| w.records.len() == 3);
    let keys: Vec<_> = worker.records.iter().map(|r| r.key.as_deref().unwrap()).collect();
    assert_eq!(keys, ["d-1", "d-2", "d-3"]);
    assert_eq!(worker.records[0].value, broken);
    assert_eq!(worker.records[2].value, b"");
    let headers: Vec<_> = ["mqtt.topic", "mqtt.qos", "mqtt.retained", "mqtt.duplicate"]
        .iter()
        .map(|name| worker.records[0].header(name).unwrap())
        .collect();
    assert_eq!(headers, ["tv/d-1/actions", "2", "false", "false"]);
    assert!(worker.records[0].header("mqtt.message.id").unwrap().parse::<u16>().unwrap() > 0);
    assert_eq!(worker.records[1].header("mqtt.qos").unwrap(), "1");
    settle(&mut worker, &mut task);
    assert_eq!(worker.offset()["messages"], 3);
}

#[test]
fn without_a_pattern_the_key_is_the_topic() {
    let broker = Mosquitto::start();
    let mut worker = worker(&broker, &[("mqtt.key.pattern", ""), ("mqtt.headers.enabled", "false")]);
    let mut task = subscribe(&mut worker);
    broker.publish("tv/d-1/actions", 2, b"x");
    worker.until(&mut task, "a record", |w| w.records.len() == 1);
    assert_eq!(worker.records[0].key.as_deref(), Some("tv/d-1/actions"));
    assert_eq!(worker.records[0].headers, []);
}

#[test]
fn twenty_thousand_messages_come_in_order_within_seconds() {
    let broker = Mosquitto::start();
    let mut worker = worker(&broker, &[]);
    let mut task = subscribe(&mut worker);
    let publisher = std::thread::scope(|scope| {
        let publisher = scope.spawn(|| broker.publish_lines("tv/d/actions", 2, numbers(0..20_000)));
        let start = Instant::now();
        worker.until(&mut task, "all records", |w| w.records.len() >= 20_000);
        settle(&mut worker, &mut task);
        publisher.join().unwrap();
        start.elapsed()
    });
    assert_eq!(worker.texts(), numbers(0..20_000));
    assert_eq!(worker.offset()["messages"], 20_000);
    assert!(publisher < Duration::from_secs(15), "{publisher:?}");
}

#[test]
fn a_poll_that_is_over_gives_what_it_has_taken() {
    let broker = Mosquitto::start();
    let mut worker = worker(&broker, &[]);
    drop(subscribe(&mut worker));
    broker.publish_lines("tv/d/actions", 2, numbers(0..9000));
    let mut task = worker.open().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while worker.records.len() < 9000 && Instant::now() < deadline {
        // Over before the socket is empty.
        if let Some(polled) = task.poll(Duration::from_nanos(1)).unwrap() {
            worker.commit(polled);
            task.committed().unwrap();
        }
    }
    assert_eq!(worker.texts(), numbers(0..9000));
    assert_eq!(worker.offset()["messages"], 9000);
}

#[test]
fn a_backlog_of_more_messages_than_packet_ids_is_written_once() {
    let broker = Mosquitto::start();
    let mut worker = worker(&broker, &[("mqtt.headers.enabled", "false")]);
    drop(subscribe(&mut worker));
    for start in (0..70_000).step_by(10_000) {
        broker.publish_lines("tv/d/actions", 2, numbers(start..start + 10_000));
    }
    let mut task = worker.open().unwrap();
    while worker.records.len() < 70_000 {
        // All is committed, but the broker never hears of it.
        worker.commit(task.poll(Duration::from_secs(5)).unwrap().unwrap());
    }
    assert_eq!(worker.offset()["open"], json!([[1, 65_535], [1, 4465]]));
    drop(task);
    // Mosquitto sends all of it again, then what is new.
    let mut task = worker.open().unwrap();
    broker.publish_lines("tv/d/actions", 2, numbers(70_000..70_001));
    worker.until(&mut task, "the last record", |w| w.records.len() > 70_000);
    assert_eq!(worker.texts(), numbers(0..70_001));
}

/// Runs while messages come, and dies at points that the seed chooses.
fn dies_anywhere(seed: u64, limits: &str) {
    const COUNT: usize = 1000;
    let broker = Mosquitto::start_with(limits);
    let mut worker = worker(&broker, &[]);
    drop(subscribe(&mut worker));
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let deadline = Instant::now() + Duration::from_secs(30);
    std::thread::scope(|scope| {
        let publisher = scope.spawn(|| {
            for start in (0..COUNT).step_by(100) {
                broker.publish_lines("tv/d/actions", 2, numbers(start..start + 100));
            }
        });
        let mut deaths = 0;
        let mut task = worker.open().unwrap();
        while !publisher.is_finished() || worker.records.len() < COUNT || worker.offset()["open"] != json!([])
        {
            assert!(
                Instant::now() < deadline,
                "seed {seed}: {} records, {:?}",
                worker.records.len(),
                worker.offset()
            );
            let dies = deaths < 60 && random.random_bool(0.4);
            let point = if dies { random.random_range(0..3) } else { 3 };
            deaths += usize::from(dies);
            let polled = task.poll(Duration::from_millis(50)).unwrap();
            let Some(polled) = polled else { continue };
            // 0: nothing of it is durable. 1: it is durable, the broker has heard nothing. 2: the broker has its answers,
            // what it says to them is lost.
            if point > 0 {
                worker.commit(polled);
            }
            if point > 1 {
                task.committed().unwrap();
            }
            if dies {
                drop(task);
                task = worker.open().unwrap();
            }
        }
        publisher.join().unwrap();
        assert!(deaths > 10, "it died only {deaths} times");
    });
    assert_eq!(worker.texts(), numbers(0..COUNT), "seed {seed}");
    assert_eq!(worker.offset()["messages"], COUNT, "seed {seed}");
}

#[test]
fn every_message_is_written_once_and_in_order_wherever_the_task_dies() {
    for seed in 0..2 {
        dies_anywhere(seed, "max_queued_messages 0\nmax_inflight_messages 0\n");
    }
}

#[test]
fn a_broker_with_its_default_window_serves_as_well() {
    dies_anywhere(11, "max_queued_messages 0\n");
}

#[test]
fn a_redelivery_after_a_commit_is_answered_but_not_written_again() {
    let broker = Mosquitto::start();
    let mut worker = worker(&broker, &[]);
    let mut task = subscribe(&mut worker);
    broker.publish_lines("tv/d/actions", 2, numbers(0..3));
    while worker.records.len() < 3 {
        // Committed, but the broker never hears of it.
        if let Some(polled) = task.poll(Duration::from_millis(500)).unwrap() {
            worker.commit(polled);
        }
    }
    assert_eq!(worker.offset()["open"], json!([[1, 3]]));
    drop(task);
    let mut task = worker.open().unwrap();
    broker.publish_lines("tv/d/actions", 2, numbers(3..5));
    worker.until(&mut task, "the new ones", |w| w.records.len() >= 5);
    settle(&mut worker, &mut task);
    assert_eq!(worker.texts(), numbers(0..5));
}

#[test]
fn an_uncommitted_message_comes_again_and_says_so() {
    let broker = Mosquitto::start();
    let mut worker = worker(&broker, &[]);
    let mut task = subscribe(&mut worker);
    broker.publish("tv/d/actions", 2, b"once");
    while task.poll(Duration::from_millis(500)).unwrap().is_none_or(|p| p.batches.is_empty()) {}
    drop(task);
    let mut task = worker.open().unwrap();
    worker.until(&mut task, "the message", |w| w.records.len() == 1);
    assert_eq!(worker.records[0].header("mqtt.duplicate").unwrap(), "true");
}

#[test]
fn messages_published_while_the_connector_is_away_are_kept() {
    let broker = Mosquitto::start();
    let mut worker = worker(&broker, &[]);
    drop(subscribe(&mut worker));
    broker.publish_lines("tv/d/actions", 2, numbers(0..2000));
    let mut task = worker.open().unwrap();
    worker.until(&mut task, "all", |w| w.records.len() >= 2000);
    assert_eq!(worker.texts(), numbers(0..2000));
}

#[test]
fn a_broker_that_restarts_goes_on_where_it_was() {
    let mut broker = Mosquitto::start();
    let mut worker = worker(&broker, &[]);
    let mut task = subscribe(&mut worker);
    broker.publish_lines("tv/d/actions", 2, numbers(0..100));
    while worker.records.len() < 100 {
        // All is committed, only some of it is answered.
        let Some(polled) = task.poll(Duration::from_millis(500)).unwrap() else { continue };
        worker.commit(polled);
        if worker.records.len() < 50 {
            task.committed().unwrap();
        }
    }
    broker.stop();
    let error = worker.failure(&mut task);
    assert!(matches!(&error, TaskError::Retriable(m) if m.contains(&broker.uri())), "{error}");
    drop(task);
    let error = worker.open().err().unwrap();
    assert!(matches!(&error, TaskError::Retriable(m) if m.contains("is the broker running?")), "{error}");
    broker.run();
    let mut task = worker.open_when_there();
    broker.publish_lines("tv/d/actions", 2, numbers(100..200));
    worker.until(&mut task, "all", |w| w.records.len() >= 200);
    settle(&mut worker, &mut task);
    assert_eq!(worker.texts(), numbers(0..200));
}

#[test]
fn a_broker_that_lost_the_session_is_served_from_anew() {
    let mut broker = Mosquitto::start();
    let mut worker = worker(&broker, &[]);
    let mut task = subscribe(&mut worker);
    broker.publish_lines("tv/d/actions", 2, numbers(0..3));
    while worker.records.len() < 3 {
        if let Some(polled) = task.poll(Duration::from_millis(500)).unwrap() {
            worker.commit(polled);
        }
    }
    drop(task);
    broker.kill();
    let _ = std::fs::remove_file(broker.folder().join("mosquitto.db"));
    broker.run();
    let mut task = subscribe_anew(&mut worker);
    broker.publish_lines("tv/d/actions", 2, numbers(3..6));
    worker.until(&mut task, "the new ones", |w| w.records.len() >= 6);
    settle(&mut worker, &mut task);
    assert_eq!(worker.texts(), numbers(0..6));
    assert_eq!(worker.offset()["messages"], 6);
}

fn subscribe_anew(worker: &mut Worker) -> Box<dyn SourceTask> {
    let mut task = worker.open().unwrap();
    worker.until(&mut task, "a subscription", |w| w.offset()["open"] == json!([]));
    task
}

#[test]
fn a_retained_message_comes_once_not_at_every_restart() {
    let broker = Mosquitto::start();
    let mut child = broker.publisher(&["-t", "tv/d/actions", "-q", "2", "-r", "-m", "kept"]);
    assert!(child.wait().unwrap().success());
    let mut worker = worker(&broker, &[]);
    let mut task = subscribe(&mut worker);
    worker.until(&mut task, "the kept one", |w| w.records.len() == 1);
    assert_eq!(worker.records[0].header("mqtt.retained").unwrap(), "true");
    settle(&mut worker, &mut task);
    drop(task);
    let mut task = worker.open().unwrap();
    broker.publish("tv/d/actions", 2, b"new");
    worker.until(&mut task, "the new one", |w| w.records.len() == 2);
    assert_eq!(worker.texts(), ["kept", "new"]);
}

#[test]
fn changed_topics_replace_the_old_subscription() {
    let broker = Mosquitto::start();
    let mut worker = worker(&broker, &[]);
    drop(subscribe(&mut worker));
    worker.set("mqtt.topics", "other/#");
    let mut task = worker.open().unwrap();
    worker.until(&mut task, "the new subscription", |w| w.offset()["filters"] == json!({"other/#": 2}));
    broker.publish("tv/d/actions", 2, b"old");
    broker.publish("other/x", 2, b"new");
    worker.until(&mut task, "a record", |w| !w.records.is_empty());
    assert_eq!(worker.texts(), ["new"]);
}

#[test]
fn at_qos_one_nothing_is_lost() {
    let broker = Mosquitto::start();
    let mut worker = worker(&broker, &[("mqtt.qos", "1")]);
    let mut task = subscribe(&mut worker);
    broker.publish_lines("tv/d/actions", 1, numbers(0..10));
    while worker.records.len() < 10 {
        if let Some(polled) = task.poll(Duration::from_millis(500)).unwrap() {
            worker.commit(polled);
        }
    }
    drop(task);
    let mut task = worker.open().unwrap();
    broker.publish("tv/d/actions", 1, b"last");
    worker.until(&mut task, "the last", |w| w.texts().contains(&"last".to_owned()));
    for number in numbers(0..10) {
        assert!(worker.texts().contains(&number), "{number}");
    }
}

#[test]
fn a_message_over_the_bound_is_rejected_with_its_start_and_the_rest_goes_on() {
    let broker = Mosquitto::start();
    let mut worker = worker(&broker, &[("mqtt.max.message.bytes", "1000")]);
    let mut task = subscribe(&mut worker);
    broker.publish("tv/d/actions", 2, &[b'a'; 1000]);
    broker.publish("tv/d/actions", 2, &[b'b'; 1001]);
    broker.publish("tv/d/actions", 2, &vec![b'c'; 3_000_000]);
    broker.publish("tv/d/actions", 2, b"after");
    worker.until(&mut task, "the last", |w| w.records.len() == 2);
    settle(&mut worker, &mut task);
    assert_eq!(worker.records[1].text(), "after");
    let lengths: Vec<_> = worker.rejected.iter().map(|r| r.value.as_ref().unwrap().len()).collect();
    assert_eq!(lengths, [1000, 1000]);
    assert!(worker.rejected[1].reason.contains("has 3000000 bytes"), "{}", worker.rejected[1].reason);
    assert_eq!(worker.offset()["messages"], 4);
}

#[test]
fn wrong_credentials_are_fatal_and_not_shown() {
    let broker = Mosquitto::start_with("allow_anonymous false\n");
    let worker = worker(&broker, &[("mqtt.username", "u"), ("mqtt.password", "secret-word")]);
    let error = worker.open().err().unwrap();
    assert!(matches!(&error, TaskError::Fatal(m) if m.contains("mqtt.password")), "{error}");
    assert!(!error.to_string().contains("secret-word"));
}

#[test]
fn the_next_server_of_a_list_is_tried() {
    let broker = Mosquitto::start();
    let mut worker = worker(&broker, &[]);
    worker.set("mqtt.server.uri", &format!("tcp://127.0.0.1:1,{}", broker.uri()));
    drop(subscribe(&mut worker));
}
