//! `bd groups`, and readers that belong to one: against a bd of their own, or, with `BD_TEST_BOOTSTRAP`, against the cluster there (as
//! `tests/peers/cluster-kafka.sh` runs them against Apache Kafka).

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

mod support;

use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use support::cluster::{Cluster, cells, name};
use support::{bd, dir, eventually};

#[test]
fn a_group_reads_on_where_it_was_and_is_moved_only_by_execute() {
    let cluster = Cluster::start();
    let (topic, group) = (name("moved"), name("group"));
    let (topic, group) = (topic.as_str(), group.as_str());
    cluster.ok(&["topics", "create", topic, "--partitions", "2"]);
    cluster.put(&[topic, "--partition", "0"], "a\nb\nc\n");
    cluster.put(&[topic, "--partition", "1"], "d\n");
    let read = || {
        let text = cluster.ok(&["consume", topic, "--group", group, "--from-beginning", "--no-follow"]);
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(read(), ["a", "b", "c", "d"]);
    let groups = cluster.json(&["groups"]);
    let found = groups.as_array().unwrap().iter().find(|g| g["group"] == group).unwrap();
    assert_eq!((&found["state"], &found["protocol"]), (&json!("Empty"), &json!("consumer")));
    cluster.put(&[topic, "--partition", "0"], "e\n");
    let described = cluster.json(&["groups", "describe", group]);
    assert_eq!((&described["state"], &described["lag"]), (&json!("Empty"), &json!(1)));
    assert_eq!(described["partitions"][0]["committed"], 3);
    assert_eq!(cells(&cluster.ok(&["groups", "describe", group]))[0], [topic, "0", "3", "0", "4", "1", "-"]);

    let reset = |args: &[&str]| cluster.json(&[&["groups", "reset-offsets", group], args].concat());
    let new = |answer: &Value| -> Vec<i64> {
        answer["partitions"].as_array().unwrap().iter().map(|p| p["new_offset"].as_i64().unwrap()).collect()
    };
    assert_eq!(new(&reset(&["--topic", topic, "--to-earliest"])), [0, 0]);
    assert_eq!(read(), ["e"], "the dry run changed nothing");
    assert_eq!(new(&reset(&["--all-topics", "--to-latest"])), [4, 1]);
    assert_eq!(new(&reset(&["--all-topics", "--shift-by", "-3"])), [1, 0]);
    assert_eq!(new(&reset(&["--all-topics", "--to-offset", "2"])), [2, 1]);
    assert_eq!(new(&reset(&["--all-topics", "--by-duration", "PT1H"])), [0, 0]);
    assert_eq!(new(&reset(&["--all-topics", "--to-datetime", "2100-01-01T00:00:00.000"])), [4, 1]);
    let text = cluster.ok(&["groups", "reset-offsets", group, "--topic", topic, "--to-current"]);
    assert!(text.ends_with("\nnothing was changed; --execute does it\n"), "{text}");

    let moved = format!("{topic}:0");
    let done = reset(&["--topic", &moved, "--to-offset", "2", "--execute"]);
    assert_eq!((new(&done), &done["executed"]), (vec![2], &json!(true)));
    assert_eq!(read(), ["c", "e"]);
    let folder = dir();
    let file = folder.path().join("offsets.csv");
    let export = cluster.ok(&["groups", "reset-offsets", group, "--all-topics", "--to-earliest", "--export"]);
    assert_eq!(export, format!("{topic},0,0\n{topic},1,0\n"));
    std::fs::write(&file, &export).unwrap();
    assert_eq!(new(&reset(&["--from-file", file.to_str().unwrap(), "--execute"])), [0, 0]);
    assert_eq!(read().len(), 5);

    cluster.ok(&["groups", "delete-offsets", group, "--topic", &moved]);
    assert_eq!(cluster.json(&["groups", "describe", group])["partitions"].as_array().unwrap().len(), 1);
    cluster.ok(&["groups", "delete", group]);
    assert!(cluster.fails(&["groups", "describe", group]).contains(&format!("group {group} does not exist")));
    assert!(cluster.fails(&["groups", "delete", group]).contains("GROUP_ID_NOT_FOUND (69)"));
}

#[test]
fn a_group_with_members_is_described_with_them_and_not_moved() {
    let cluster = Cluster::start();
    for protocol in ["classic", "consumer"] {
        members(&cluster, protocol);
    }
}

fn members(cluster: &Cluster, protocol: &str) {
    let (topic, group) = (name("busy"), name("members"));
    cluster.ok(&["topics", "create", &topic, "--partitions", "2"]);
    cluster.put(&[&topic], "a\n");
    let args = cluster.at(&[
        "consume",
        &topic,
        "--group",
        &group,
        "--from-beginning",
        "--stats",
        "--group-protocol",
        protocol,
    ]);
    let mut child = bd().args(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "a\n");
    let described = eventually("the group is stable", || {
        let described = cluster.json(&["groups", "describe", &group]);
        (described["state"] == "Stable").then_some(described)
    });
    assert_eq!(described["type"], protocol);
    let member = &described["members"][0];
    assert_eq!(member["client"], "bd-consume");
    assert_eq!(member["partitions"].as_array().unwrap().len(), 2);
    assert_eq!(described["partitions"][1]["member"], member["member"]);
    let said =
        cluster.fails(&["groups", "reset-offsets", &group, "--topic", &topic, "--to-latest", "--execute"]);
    assert!(said.contains("is Stable: offsets can only be reset while it has no members"), "{said}");
    assert!(cluster.fails(&["groups", "delete", &group]).contains("NON_EMPTY_GROUP (68)"));
    // Ctrl-C commits and leaves at once.
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("1 records in "), "{output:?}");
    let left = cluster.json(&["groups", "describe", &group]);
    assert_eq!((&left["state"], &left["lag"]), (&json!("Empty"), &json!(0)));
}
