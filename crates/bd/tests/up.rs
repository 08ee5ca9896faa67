//! `bd up` as a process: ready, signals, the data folder, and the commands that talk to it.

mod support;

use rustix::process::Signal;
use serde_json::Value;
use std::time::Duration;
use support::{Up, dir, run, stdout, with_input};

#[test]
fn it_is_ready_quickly_and_stops_on_sigterm_and_sigint() {
    let data = dir();
    for signal in [Signal::TERM, Signal::INT] {
        let up = Up::start(data.path());
        assert!(up.ready_ms < 2000, "ready in {} ms", up.ready_ms);
        assert_eq!(up.get("/healthcheck").0, 200);
        up.signal(signal);
        let (status, took, said) = up.wait();
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(took < Duration::from_secs(8), "stopped after {took:?}");
        assert_eq!(said, "");
    }
}

#[test]
fn a_data_folder_is_used_by_one_process() {
    let data = dir();
    let up = Up::start(data.path());
    let path = data.path().to_str().unwrap();
    let second = run(&["up", "--data", path, "--free-ports"]);
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(said.contains("is used by another bd (process "), "{said}");
    // After `kill -9` the folder is free at once.
    up.signal(Signal::KILL);
    up.wait();
    Up::start(data.path());
}

#[test]
fn mistakes_are_told_before_anything_starts() {
    let folder = dir();
    let file = folder.path().join("pipe.yaml");
    std::fs::write(&file, "listners: 127.0.0.1:0\n").unwrap();
    let file = file.to_str().unwrap();
    for (args, expected) in [
        (&["up", file][..], "unknown key listners: did you mean listeners?"),
        (
            &["up", "--set", "engine.batchrows=3"],
            "unknown key engine.batchrows: did you mean engine.batch.rows?",
        ),
        (&["up", "--roles", "engine"], "the engine alone needs a cluster"),
        (&["up", "nowhere.yaml"], "cannot read nowhere.yaml"),
        (&["up", "--set", "listeners=256.0.0.1:1"], "listeners: cannot listen on 256.0.0.1:1"),
    ] {
        let output = run(args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.contains(expected), "{args:?}: {said}");
    }
}

#[test]
fn topics_are_created_listed_described_and_deleted() {
    let data = dir();
    let up = Up::with(data.path(), &["--set", "topics={declared: {partitions: 3, retention.ms: 60000}}"]);
    let at = ["--bootstrap", up.cluster.as_str()];
    let topics = |args: &[&str]| stdout(&[&["topics"], args, &at].concat());
    assert_eq!(
        topics(&["create", "made", "--partitions", "2", "--config", "cleanup.policy=compact"]),
        "topic made created\n"
    );
    let list: Value = serde_json::from_str(&topics(&["list", "--json"])).unwrap();
    let partitions_of = |name: &str| {
        let all = list.as_array().unwrap();
        all.iter().find(|t| t["name"] == name).map(|t| t["partitions"].as_i64().unwrap())
    };
    assert_eq!((partitions_of("made"), partitions_of("declared")), (Some(2), Some(3)));
    assert!(topics(&[]).starts_with("topic"));
    let described: Value = serde_json::from_str(&topics(&["describe", "made", "--json"])).unwrap();
    assert_eq!(described["partitions"][1]["high_watermark"], 0);
    let output = run(&[&["topics", "create", "made"][..], &at].concat());
    assert!(String::from_utf8_lossy(&output.stderr).contains("already exists"));
    assert_eq!(topics(&["delete", "made"]), "topic made deleted\n");
    assert!(!topics(&["list", "--json"]).contains("made"));
}

#[test]
fn lines_go_in_and_come_out_also_after_a_restart() {
    let data = dir();
    let mut up = Up::start(data.path());
    stdout(&["topics", "create", "lines", "--bootstrap", &up.cluster]);
    let produced = with_input(
        &["produce", "lines", "--key-separator", ":", "--bootstrap", &up.cluster],
        "a:1\nb:ä:2\r\nc:\n",
    );
    assert!(produced.status.success(), "{}", String::from_utf8_lossy(&produced.stderr));
    for restarted in [false, true] {
        if restarted {
            up.signal(Signal::KILL);
            up.wait();
            up = Up::start(data.path());
        }
        let consume = |args: &[&str]| {
            let at = ["consume", "lines", "--bootstrap", up.cluster.as_str()];
            stdout(&[&at[..], args].concat())
        };
        assert_eq!(consume(&["--from-beginning", "--no-follow"]), "1\nä:2\n\n");
        assert_eq!(consume(&["--from-beginning", "--max", "2", "--format", "key-value"]), "a\t1\nb\tä:2\n");
        assert_eq!(consume(&["--no-follow"]), "");
        let json = consume(&["--offset", "1", "--max", "1", "--format", "json"]);
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&json["offset"], &json["key"], &json["value"]), (&1.into(), &"b".into(), &"ä:2".into()));
    }
    let missing = with_input(&["produce", "nowhere", "--bootstrap", &up.cluster], "x\n");
    let said = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(said.contains("topic nowhere does not exist; `bd topics create nowhere` makes it"), "{said}");
}

#[test]
fn config_prints_a_schema_and_all_keys() {
    let schema: Value = serde_json::from_str(&stdout(&["config", "--schema"])).unwrap();
    assert_eq!(schema["properties"]["data"]["default"], "./data");
    assert!(
        stdout(&["config"])
            .contains("| `engine.commit.interval.ms` | `100` | `BD_ENGINE_COMMIT_INTERVAL_MS` |")
    );
    assert_eq!(stdout(&["version"]), format!("bd {}\n", env!("CARGO_PKG_VERSION")));
}
