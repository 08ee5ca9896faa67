//! Sinks: delivery, offsets, retries, bad input, topics that change.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use bd_cluster::NewTopic;
use bd_connect::sdk::{Rejected, TaskError};
use common::{Collector, config, home, is_in, metric, read, until, wait_for_state, worker, write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn sink() -> std::collections::BTreeMap<String, String> {
    config(&[
        ("connector.class", Collector::CLASS),
        ("topics", "events"),
        ("key.converter", "StringConverter"),
    ])
}

#[test]
fn a_sink_gets_what_is_committed_and_after_a_restart_only_what_is_new() {
    let home = home();
    let sink_of = Collector::default();
    write(&*home.cluster, "events", &[(Some("a"), Some("1")), (None, Some("{\"x\": 2}")), (Some("a"), None)]);
    let first = worker(&home.cluster, vec![Arc::new(sink_of.clone())]);
    first.ensure("sink", sink()).unwrap();
    until("three records", || (sink_of.got().len() == 3).then_some(()));
    assert_eq!(sink_of.got(), ["events-0@0=1", "events-0@1={\"x\": 2}", "events-0@2=-"]);
    first.close();

    write(&*home.cluster, "events", &[(None, Some("4"))]);
    let second = worker(&home.cluster, vec![Arc::new(sink_of.clone())]);
    until("one more", || (sink_of.got().len() == 4).then_some(()));
    assert_eq!(sink_of.got()[3], "events-0@3=4");
    until("the count", || {
        (metric(&second, "bd_connect_sink_record_send_total{connector=\"sink\",task=\"0\"}") == 1)
            .then_some(())
    });
    second.close();
}

#[test]
fn a_sink_waits_for_its_topic() {
    let home = home();
    let sink_of = Collector::default();
    let worker = worker(&home.cluster, vec![Arc::new(sink_of.clone())]);
    worker.ensure("sink", sink()).unwrap();
    until("RUNNING", || is_in(&worker, "sink", "running").then_some(()));
    write(&*home.cluster, "events", &[(None, Some("1"))]);
    until("the record", || (sink_of.got().len() == 1).then_some(()));
    worker.close();
}

#[test]
fn partitions_are_shared_out_among_tasks() {
    let home = home();
    home.cluster.create_topic(&NewTopic::new("logs.a", 2)).unwrap();
    home.cluster.create_topic(&NewTopic::new("logs.b", 3)).unwrap();
    for partition in 0..2 {
        let mut writer = home.cluster.open_writer(bd_cluster::WriterConfig::default()).unwrap();
        for topic in ["logs.a", "logs.b"] {
            let mut records = bd_cluster::RecordsBuilder::new();
            records.push(None, Some(b"1"), 0, &[]);
            let at = bd_cluster::TopicPartition::new(topic, partition);
            writer.append(&at, records).unwrap().wait(common::DEADLINE).unwrap();
        }
    }
    let sink_of = Collector::default();
    let worker = worker(&home.cluster, vec![Arc::new(sink_of.clone())]);
    let config =
        config(&[("connector.class", Collector::CLASS), ("topics.regex", "logs\\..*"), ("tasks.max", "3")]);
    worker.ensure("sink", config).unwrap();
    until("all records", || (sink_of.got().len() >= 4).then_some(()));
    let mut got = sink_of.got();
    got.sort();
    assert_eq!(got, ["logs.a-0@0=1", "logs.a-1@0=1", "logs.b-0@0=1", "logs.b-1@0=1"]);
    worker.close();
}

#[test]
fn a_put_that_fails_is_repeated_from_the_committed_offsets() {
    let home = home();
    let failures = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&failures);
    let sink_of = Collector::failing(move |_| match counted.fetch_add(1, Ordering::SeqCst) < 3 {
        true => Err(TaskError::Retriable("429".into())),
        false => Ok(Vec::new()),
    });
    write(&*home.cluster, "events", &[(None, Some("1")), (None, Some("2"))]);
    let worker = worker(&home.cluster, vec![Arc::new(sink_of.clone())]);
    worker.ensure("sink", sink()).unwrap();
    until("both records", || (sink_of.got().len() == 2).then_some(()));
    until("RUNNING", || is_in(&worker, "sink", "running").then_some(()));
    assert_eq!(metric(&worker, "bd_connect_task_retries_total{connector=\"sink\",task=\"0\"}"), 3);
    worker.close();
}

#[test]
fn bad_records_become_dead_letters_with_their_place() {
    let home = home();
    let sink_of = Collector::failing(|batch| {
        let odd = |i: &usize| batch.offsets[*i] == 2;
        let refuse = |index| Rejected {
            index,
            key: None,
            value: None,
            headers: Vec::new(),
            reason: "mapper_parsing_exception".into(),
        };
        Ok((0..batch.len()).filter(odd).map(refuse).collect())
    });
    write(
        &*home.cluster,
        "events",
        &[(Some("a"), Some("1")), (Some("b"), Some("{broken")), (Some("c"), Some("3")), (None, Some("4"))],
    );
    let worker = worker(&home.cluster, vec![Arc::new(sink_of.clone())]);
    let mut config = sink();
    worker.ensure("sink", config.clone()).unwrap();
    until("FAILED", || is_in(&worker, "sink", "failed").then_some(()));

    config.insert("errors.tolerance".into(), "all".into());
    config.insert("errors.deadletterqueue.topic.name".into(), "letters".into());
    config.insert("errors.deadletterqueue.context.headers.enable".into(), "true".into());
    worker.ensure("sink", config).unwrap();
    let letters = until("two letters", || {
        Some(read(&*home.cluster, "letters", 0)).filter(|letters| letters.len() == 2)
    });
    assert_eq!(sink_of.got(), ["events-0@0=1", "events-0@3=4"]);
    let header = |i: usize, name: &str| {
        letters[i].2.iter().find(|(n, _)| n == &format!("__connect.errors.{name}")).unwrap().1.clone()
    };
    assert_eq!((letters[0].0.as_deref(), letters[0].1.as_deref()), (Some("b"), Some("{broken")));
    assert_eq!(header(0, "stage"), "VALUE_CONVERTER");
    assert_eq!(header(0, "class.name"), "org.apache.kafka.connect.json.JsonConverter");
    assert_eq!(
        (header(0, "topic"), header(0, "partition"), header(0, "offset")),
        ("events".into(), "0".into(), "1".into())
    );
    assert_eq!((letters[1].0.as_deref(), letters[1].1.as_deref()), (Some("c"), Some("3")));
    assert_eq!((header(1, "stage"), header(1, "offset")), ("TASK_PUT".into(), "2".into()));
    assert_eq!(header(1, "exception.message"), "mapper_parsing_exception");
    let line = "bd_connect_deadletterqueue_produce_total{connector=\"sink\",task=\"0\"}";
    until("the count", || (metric(&worker, line) == 2).then_some(()));
    worker.close();
}

#[test]
fn a_topic_that_was_created_again_stops_the_task() {
    let home = home();
    let sink_of = Collector::default();
    write(&*home.cluster, "events", &[(None, Some("1")), (None, Some("2"))]);
    let first = worker(&home.cluster, vec![Arc::new(sink_of.clone())]);
    first.ensure("sink", sink()).unwrap();
    until("two records", || (sink_of.got().len() == 2).then_some(()));
    first.close();
    home.cluster.delete_topic("events").unwrap();
    write(&*home.cluster, "events", &[(None, Some("3"))]);
    let second = worker(&home.cluster, vec![Arc::new(sink_of.clone())]);
    until("FAILED", || is_in(&second, "sink", "failed").then_some(()));
    assert_eq!(sink_of.got().len(), 2);
    second.close();
}

#[test]
fn another_number_of_partitions_stops_the_task() {
    let home = home();
    let sink_of = Collector::default();
    write(&*home.cluster, "events", &[(None, Some("1"))]);
    let first = worker(&home.cluster, vec![Arc::new(sink_of.clone())]);
    first.ensure("sink", sink()).unwrap();
    until("the record", || (sink_of.got().len() == 1).then_some(()));
    first.close();
    home.cluster.delete_topic("events").unwrap();
    home.cluster.create_topic(&NewTopic::new("events", 2)).unwrap();
    let second = worker(&home.cluster, vec![Arc::new(sink_of)]);
    until("FAILED", || is_in(&second, "sink", "failed").then_some(()));
    wait_for_state(&*home.cluster, "sink", "events has 2 partitions, connector sink began with 1");
    second.close();
}
