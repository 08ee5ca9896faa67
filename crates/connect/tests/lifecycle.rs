//! The worker over its own restarts, and tasks that do not listen.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use bd_connect::sdk::TaskError;
use bd_connect::{Worker, WorkerConfig};
use common::{Collector, Numbers, config, home, is_in, metric, read, until, values, worker, write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn source(name: &str, count: &str) -> std::collections::BTreeMap<String, String> {
    config(&[("name", name), ("connector.class", "Numbers"), ("topic", name), ("count", count)])
}

#[test]
fn connectors_come_back_with_the_worker() {
    let home = home();
    let first = worker(&home.cluster, vec![Arc::new(Numbers::default())]);
    first.ensure("a", source("a", "5")).unwrap();
    first.ensure("b", source("b", "5")).unwrap();
    until("both topics", || {
        (values(&*home.cluster, "a").len() == 5 && values(&*home.cluster, "b").len() == 5).then_some(())
    });
    first.close();
    let second = worker(&home.cluster, vec![Arc::new(Numbers::default())]);
    until("both at work", || {
        (is_in(&second, "a", "running") && is_in(&second, "b", "running")).then_some(())
    });
    second.ensure("a", source("a", "7")).unwrap();
    until("two more", || (values(&*home.cluster, "a").len() == 7).then_some(()));
    assert_eq!(values(&*home.cluster, "b").len(), 5);
    second.close();
    let states = read(&*home.cluster, "connect-configs", 0);
    let keys: Vec<_> = states.iter().filter_map(|(k, ..)| k.as_deref()).collect();
    assert_eq!(
        keys,
        [
            "connector-a",
            "task-a-0",
            "commit-a",
            "connector-b",
            "task-b-0",
            "commit-b",
            "connector-a",
            "task-a-0",
            "commit-a"
        ]
    );
    assert!(states[0].1.as_deref().unwrap().starts_with("{\"properties\":{\"connector.class\":\"Numbers\""));
    assert_eq!(states[2].1.as_deref(), Some("{\"tasks\":1}"));
}

#[test]
fn a_connector_without_its_plugin_is_failed_and_says_so() {
    let home = home();
    let first = worker(&home.cluster, vec![Arc::new(Numbers::default())]);
    first.ensure("a", source("a", "5")).unwrap();
    first.close();
    let second = worker(&home.cluster, vec![Arc::new(Collector::default())]);
    assert_eq!(metric(&second, "bd_connect_connector_state{connector=\"a\",state=\"failed\"}"), 1);
    second.close();
}

#[test]
fn a_task_that_hangs_is_left_behind_and_cannot_write_any_more() {
    let home = home();
    let hang = Arc::new(AtomicBool::new(true));
    let of_task = Arc::clone(&hang);
    let hung = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&hung);
    let plugin = Numbers::failing(move |next| {
        if next == 3 && !told.swap(true, Ordering::SeqCst) {
            while of_task.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        Ok(())
    });
    let config = WorkerConfig { shutdown_timeout: Duration::from_millis(100), ..WorkerConfig::default() };
    let worker = Worker::open(Arc::clone(&home.cluster), vec![Arc::new(plugin)], None, config).unwrap();
    worker.ensure("a", source("a", "9")).unwrap();
    until("the hang", || hung.load(Ordering::SeqCst).then_some(()));
    let started = Instant::now();
    worker.ensure("a", source("a", "12")).unwrap();
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    until("all by the successor", || (values(&*home.cluster, "a").len() == 12).then_some(()));
    hang.store(false, Ordering::SeqCst);
    worker.close();
    assert_eq!(values(&*home.cluster, "a").len(), 12);
}

#[test]
fn close_is_quick_while_tasks_wait() {
    let home = home();
    let plugin = Numbers::failing(|_| {
        Err(TaskError::RetryAfter { message: "429".into(), wait: Duration::from_secs(600) })
    });
    let worker = worker(&home.cluster, vec![Arc::new(plugin), Arc::new(Collector::default())]);
    worker.ensure("a", source("a", "9")).unwrap();
    worker.ensure("s", config(&[("connector.class", "Collector"), ("topics", "missing")])).unwrap();
    until("the wait", || is_in(&worker, "a", "restarting").then_some(()));
    let started = Instant::now();
    worker.close();
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert!(worker.ensure("b", source("b", "9")).is_err());
}

/// Requests from several threads while tasks run, fail and start: no deadlock, and the last word holds.
#[test]
fn operations_from_many_sides_end_in_order() {
    let home = home();
    let worker = worker(&home.cluster, vec![Arc::new(Numbers::default()), Arc::new(Collector::default())]);
    write(&*home.cluster, "events", &[(None, Some("1"))]);
    let errors = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for i in 0..4 {
            let (worker, errors) = (&worker, &errors);
            scope.spawn(move || {
                for round in 0..10 {
                    let name = format!("c{}", (i + round) % 3);
                    let done = worker.ensure(&name, source(&name, &(10 + round).to_string()));
                    if let Err(error) = done {
                        errors.lock().unwrap().push(error);
                    }
                    let _ = worker.metrics();
                }
            });
        }
    });
    assert_eq!(*errors.lock().unwrap(), []);
    for name in ["c0", "c1", "c2"] {
        worker.ensure(name, source(name, "25")).unwrap();
    }
    for name in ["c0", "c1", "c2"] {
        let wanted: Vec<String> = (0..25).map(|n| format!("{{\"n\":{n}}}")).collect();
        until("all records once", || (values(&*home.cluster, name) == wanted).then_some(()));
    }
    worker.close();
}
