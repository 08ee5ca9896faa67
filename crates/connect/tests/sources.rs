//! Sources: exactly once over crashes, retries, failures, bad input.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use bd_cluster::Cluster;
use bd_connect::sdk::TaskError;
use common::{
    Fault, FaultyCluster, Numbers, config, home, is_in, metric, read, until, values, wait_for_state, worker,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

fn numbers(count: i64) -> Vec<String> {
    (0..count).map(|n| format!("{{\"n\":{n}}}")).collect()
}

fn source(count: &str) -> std::collections::BTreeMap<String, String> {
    config(&[
        ("connector.class", Numbers::CLASS),
        ("topic", "numbers"),
        ("count", count),
        ("key.converter", "org.apache.kafka.connect.storage.StringConverter"),
    ])
}

#[test]
fn a_source_writes_its_records_and_offsets() {
    let home = home();
    let worker = worker(&home.cluster, vec![Arc::new(Numbers::default())]);
    worker.ensure("numbers", source("10")).unwrap();
    until("ten records", || (values(&*home.cluster, "numbers").len() == 10).then_some(()));
    assert_eq!(values(&*home.cluster, "numbers"), numbers(10));
    let keys: Vec<_> = read(&*home.cluster, "numbers", 0).into_iter().filter_map(|(k, ..)| k).collect();
    assert_eq!(keys[9], "k9");
    // The markers of a transaction reach one partition after the other.
    let (key, value, _) =
        until("the last offset", || read(&*home.cluster, "connect-offsets", 0).into_iter().nth(3));
    assert_eq!(key.as_deref(), Some("[\"numbers\",{\"source\":\"numbers\"}]"), "Kafka Connect's key");
    assert_eq!(value.as_deref(), Some("{\"next\":10}"));
    until("the count", || {
        let line = "bd_connect_source_record_write_total{connector=\"numbers\",task=\"0\"}";
        (metric(&worker, line) == 10).then_some(())
    });
    worker.close();
}

/// Commits fail before, after and by abort at seeded places; the worker itself is closed and opened in between.
#[test]
fn no_record_is_lost_or_doubled_whatever_commits_do() {
    const COUNT: i64 = 120;
    for seed in 1..=3u64 {
        let home = home();
        let state = Arc::new(std::sync::Mutex::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let faults = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&faults);
        let decide = move |_: &str| {
            let mut state = state.lock().unwrap();
            *state ^= *state << 13;
            *state ^= *state >> 7;
            *state ^= *state << 17;
            let fault = [Fault::None, Fault::None, Fault::Before, Fault::None, Fault::After, Fault::Aborted];
            let fault = fault[(*state % 6) as usize];
            counted.fetch_add(usize::from(fault != Fault::None), Ordering::SeqCst);
            fault
        };
        let cluster: Arc<dyn Cluster> =
            Arc::new(FaultyCluster { inner: Arc::clone(&home.cluster), decide: Arc::new(decide) });
        let mut at_least = 0;
        while at_least < COUNT as usize {
            let worker = worker(&cluster, vec![Arc::new(Numbers::default())]);
            worker.ensure("numbers", source(&COUNT.to_string())).unwrap();
            at_least += 30;
            until("more records", || (values(&*home.cluster, "numbers").len() >= at_least).then_some(()));
            worker.close();
        }
        assert_eq!(values(&*home.cluster, "numbers"), numbers(COUNT), "seed {seed}");
        assert!(faults.load(Ordering::SeqCst) > 5, "faults happened");
    }
}

/// The worker dies between the records of a transaction and its commit, and the broker with it.
#[test]
fn an_open_transaction_of_a_dead_worker_is_nothing() {
    let mut home = home();
    for round in 1..=4usize {
        let commits = Arc::new(AtomicUsize::new(0));
        let decide = move |_: &str| match commits.fetch_add(1, Ordering::SeqCst) < 2 {
            true => Fault::None,
            false => Fault::Before,
        };
        let cluster: Arc<dyn Cluster> =
            Arc::new(FaultyCluster { inner: Arc::clone(&home.cluster), decide: Arc::new(decide) });
        let worker = worker(&cluster, vec![Arc::new(Numbers::default())]);
        worker.ensure("numbers", source("100")).unwrap();
        until("a commit that fails", || is_in(&worker, "numbers", "restarting").then_some(()));
        assert_eq!(values(&*home.cluster, "numbers"), numbers(6 * round as i64));
        worker.close();
        drop(worker);
        drop(cluster);
        home = home.reopen();
        assert_eq!(values(&*home.cluster, "numbers"), numbers(6 * round as i64));
    }
}

#[test]
fn a_worker_that_is_dropped_stops_its_tasks() {
    let home = home();
    let polls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&polls);
    let plugin = Arc::new(Numbers::failing(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }));
    let alive = Arc::downgrade(&plugin);
    let worker = worker(&home.cluster, vec![plugin]);
    worker.ensure("numbers", source("10")).unwrap();
    until("a poll", || (polls.load(Ordering::SeqCst) > 0).then_some(()));
    drop(worker);
    until("the end of the task", || alive.upgrade().is_none().then_some(()));
}

#[test]
fn a_retriable_failure_is_tried_again_and_shown() {
    let home = home();
    let away = Arc::new(AtomicBool::new(true));
    let gone = Arc::clone(&away);
    let plugin = Numbers::failing(move |next| match next >= 6 && gone.load(Ordering::SeqCst) {
        true => Err(TaskError::Retriable("the server is away".into())),
        false => Ok(()),
    });
    let opened = Arc::clone(&plugin.opened);
    let worker = worker(&home.cluster, vec![Arc::new(plugin)]);
    worker.ensure("numbers", source("10")).unwrap();
    until("three attempts", || (opened.load(Ordering::SeqCst) >= 3).then_some(()));
    assert!(is_in(&worker, "numbers", "restarting"));
    away.store(false, Ordering::SeqCst);
    until("all records", || (values(&*home.cluster, "numbers").len() == 10).then_some(()));
    assert_eq!(values(&*home.cluster, "numbers"), numbers(10));
    until("RUNNING", || is_in(&worker, "numbers", "running").then_some(()));
    assert!(metric(&worker, "bd_connect_task_retries_total{connector=\"numbers\",task=\"0\"}") >= 2);
    worker.close();
}

#[test]
fn fatal_failures_and_panics_end_the_task_visibly_and_alone() {
    let home = home();
    let fatal = Numbers::failing(|next| match next {
        3 => Err(TaskError::Fatal("the table is gone: create it".into())),
        _ => Ok(()),
    });
    let fatal_worker = worker(&home.cluster, vec![Arc::new(fatal)]);
    fatal_worker.ensure("numbers", source("10")).unwrap();
    until("FAILED", || is_in(&fatal_worker, "numbers", "failed").then_some(()));
    let wanted = "\"state\":\"FAILED\",\"trace\":\"the table is gone: create it\"";
    wait_for_state(&*home.cluster, "numbers", wanted);
    fatal_worker.close();

    let panics = Numbers::failing(|next| if next == 6 { panic!("at six") } else { Ok(()) });
    // FAILED tasks are started again with the worker.
    let worker = worker(&home.cluster, vec![Arc::new(panics)]);
    until("FAILED", || is_in(&worker, "numbers", "failed").then_some(()));
    assert_eq!(values(&*home.cluster, "numbers"), numbers(6));
    worker.close();
}

#[test]
fn input_that_is_rejected_fails_the_task_or_becomes_a_dead_letter() {
    let home = home();
    let worker = worker(&home.cluster, vec![Arc::new(Numbers::default())]);
    let mut config = source("10");
    config.insert("reject".into(), "4".into());
    worker.ensure("numbers", config.clone()).unwrap();
    until("FAILED", || is_in(&worker, "numbers", "failed").then_some(()));
    assert_eq!(
        values(&*home.cluster, "numbers"),
        numbers(3),
        "nothing of the transaction with the bad input"
    );

    config.insert("errors.tolerance".into(), "all".into());
    config.insert("errors.deadletterqueue.topic.name".into(), "letters".into());
    config.insert("errors.deadletterqueue.context.headers.enable".into(), "true".into());
    worker.ensure("numbers", config).unwrap();
    until("the others", || (values(&*home.cluster, "numbers").len() == 9).then_some(()));
    let letters = read(&*home.cluster, "letters", 0);
    assert_eq!(letters.len(), 1);
    let (_, value, headers) = &letters[0];
    assert_eq!(value.as_deref(), Some("raw 4"));
    let header = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    assert_eq!(header("line"), Some("4"));
    assert_eq!(header("__connect.errors.exception.message"), Some("nobody likes it"));
    assert_eq!(header("__connect.errors.stage"), Some("TASK_POLL"));
    assert_eq!(header("__connect.errors.connector.name"), Some("numbers"));
    worker.close();
}

#[test]
fn an_unchanged_configuration_leaves_the_connector_alone() {
    let home = home();
    let plugin = Numbers::default();
    let opened = Arc::clone(&plugin.opened);
    let worker = worker(&home.cluster, vec![Arc::new(plugin)]);
    worker.ensure("numbers", source("10")).unwrap();
    until("ten records", || (values(&*home.cluster, "numbers").len() == 10).then_some(()));
    worker.ensure("numbers", source("10")).unwrap();
    assert_eq!(opened.load(Ordering::SeqCst), 1);
    worker.ensure("numbers", source("12")).unwrap();
    until("two more", || (values(&*home.cluster, "numbers").len() == 12).then_some(()));
    assert_eq!(opened.load(Ordering::SeqCst), 2);
    assert_eq!(values(&*home.cluster, "numbers"), numbers(12));
    worker.close();
}

#[test]
fn topics_are_created_as_configured() {
    let home = home();
    let worker = worker(&home.cluster, vec![Arc::new(Numbers::default())]);
    let mut config = source("20");
    config.insert("topic.creation.default.partitions".into(), "3".into());
    config.insert("topic.creation.default.replication.factor".into(), "1".into());
    worker.ensure("numbers", config).unwrap();
    let count = until("the topic", || home.cluster.topic("numbers").unwrap()).partitions;
    assert_eq!(count, 3);
    until("all records", || {
        let all: usize = (0..3).map(|p| read(&*home.cluster, "numbers", p).len()).sum();
        (all == 20).then_some(())
    });
    for partition in 0..3 {
        for (key, ..) in read(&*home.cluster, "numbers", partition) {
            assert_eq!(bd_cluster::partition_of_key(key.unwrap().as_bytes(), 3) as i32, partition);
        }
    }
    worker.close();
}
