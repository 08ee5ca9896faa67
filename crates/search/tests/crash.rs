//! What is acknowledged is kept, whatever happens: kills, torn writes, full disks, failed fsyncs.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bd_log::RealFs;
use bd_log::testing::FaultFs;
use bd_search::SearchConfig;
use common::{Server, config, copy, send, until};
use serde_json::{Value, json};

/// All documents: id -> (value of n, version).
fn documents(server: &Server, index: &str) -> BTreeMap<String, (i64, u64)> {
    server.ok("POST", &format!("/{index}/_refresh"), "");
    let mut found = BTreeMap::new();
    let mut after = Value::Null;
    loop {
        let mut body = json!({"size": 1000, "sort": ["_doc"], "version": true});
        if !after.is_null() {
            body["search_after"] = after;
        }
        let answer = server.ok("POST", &format!("/{index}/_search"), &body.to_string());
        let hits = answer["hits"]["hits"].as_array().unwrap().clone();
        let Some(last) = hits.last() else { return found };
        after = last["sort"].clone();
        for hit in &hits {
            let value = (hit["_source"]["n"].as_i64().unwrap(), hit["_version"].as_u64().unwrap());
            let twice = found.insert(hit["_id"].as_str().unwrap().to_owned(), value);
            assert!(twice.is_none(), "{} is there twice", hit["_id"]);
        }
    }
}

/// The folder that [`serves_until_it_is_killed`] serves, where it writes its URL to `url`.
const SERVED: &str = "BD_SEARCH_SERVED";

/// A process of its own, that a test can stop and kill.
#[test]
#[ignore = "the other process of the test below"]
fn serves_until_it_is_killed() {
    let dir = PathBuf::from(std::env::var_os(SERVED).unwrap());
    let server = Server::start(often(&dir.join("data")));
    std::fs::write(dir.join("url.new"), &server.url).unwrap();
    std::fs::rename(dir.join("url.new"), dir.join("url")).unwrap();
    loop {
        std::thread::park();
    }
}

/// Flushes come often, so that kills fall into all their phases.
fn often(dir: &Path) -> SearchConfig {
    SearchConfig { flush_bytes: 20_000, ..config(dir) }
}

/// A process, killed when dropped.
struct Process(std::process::Child);

impl Process {
    fn signal(&self, name: &str) {
        let sent =
            std::process::Command::new("kill").arg(name).arg(self.0.id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    /// Stops it and waits until all of its threads stand.
    fn freeze(&self) {
        self.signal("-STOP");
        let tasks = format!("/proc/{}/task", self.0.id());
        until("all threads stand", || {
            std::fs::read_dir(&tasks).unwrap().flatten().all(|task| {
                let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
                stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
            })
        });
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_a_kill_leaves_at_any_moment_has_all_that_was_acknowledged_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let process = Process(
        std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "serves_until_it_is_killed"])
            .env(SERVED, dir.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap(),
    );
    until("it serves", || dir.path().join("url").exists());
    let url = std::fs::read_to_string(dir.path().join("url")).unwrap();
    let (acknowledged, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let writer = {
        let (acknowledged, done) = (acknowledged.clone(), done.clone());
        std::thread::spawn(move || {
            let mut round = 0usize;
            while !done.load(Ordering::SeqCst) {
                // Each round writes new documents, rewrites one and deletes one of the round before.
                let mut lines = String::new();
                for i in 0..20 {
                    lines
                        .push_str(&format!("{{\"index\":{{\"_id\":\"{round}-{i}\"}}}}\n{{\"n\":{round}}}\n"));
                }
                lines.push_str(&format!("{{\"index\":{{\"_id\":\"same\"}}}}\n{{\"n\":{round}}}\n"));
                if round > 0 {
                    lines.push_str(&format!("{{\"delete\":{{\"_id\":\"{}-0\"}}}}\n", round - 1));
                }
                let (status, answer) = send(&url, "POST", "/t/_bulk", &lines);
                assert!(status == 200 && answer["errors"] == false, "{status} {answer}");
                round += 1;
                acknowledged.store(round, Ordering::SeqCst);
            }
        })
    };
    let mut copies = Vec::new();
    for i in 0..12 {
        until("more rounds", || acknowledged.load(Ordering::SeqCst) > 3 * i + 3);
        // What stands on disk while no thread moves is what a kill would leave.
        process.freeze();
        let before = acknowledged.load(Ordering::SeqCst);
        let target = tempfile::tempdir().unwrap();
        copy(&dir.path().join("data"), target.path());
        process.signal("-CONT");
        copies.push((before, target));
    }
    done.store(true, Ordering::SeqCst);
    writer.join().unwrap();
    for (rounds, dir) in copies {
        let server = Server::start(often(dir.path()));
        let found = documents(&server, "t");
        for round in 0..rounds {
            for i in 0..20 {
                let there = found.contains_key(&format!("{round}-{i}"));
                let deleted = i == 0 && round + 1 < rounds;
                let maybe = i == 0 && round + 1 == rounds;
                assert!(maybe || there != deleted, "{round}-{i} of {rounds}: {there}");
            }
        }
        let (n, version) = found["same"];
        assert!(n + 1 >= rounds as i64, "{n} {rounds}");
        assert_eq!(version, n as u64 + 1);
        server.close();
    }
}

/// The newest translog of the only index.
fn translog(dir: &Path) -> PathBuf {
    let index = std::fs::read_dir(dir.join("indices")).unwrap().flatten().next().unwrap().path();
    let mut files: Vec<PathBuf> = std::fs::read_dir(index).unwrap().flatten().map(|e| e.path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "tlog"));
    files.sort();
    files.pop().unwrap()
}

#[test]
fn a_translog_cut_at_any_byte_gives_the_whole_entries_before_the_cut() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(config(dir.path()));
    let mut ends = Vec::new();
    for n in 0..4 {
        server.ok("PUT", &format!("/t/_doc/{n}"), &format!("{{\"n\":{n}}}"));
        ends.push(std::fs::metadata(translog(dir.path())).unwrap().len());
    }
    let crashed = tempfile::tempdir().unwrap();
    copy(dir.path(), crashed.path());
    server.close();
    let whole = std::fs::read(translog(crashed.path())).unwrap();
    for cut in (0..=whole.len()).step_by(3).chain(ends.iter().map(|end| *end as usize)) {
        let copied = tempfile::tempdir().unwrap();
        copy(crashed.path(), copied.path());
        let file = translog(copied.path());
        // What is cut off may have reached the disk as zeros.
        let mut bytes = whole[..cut].to_vec();
        if cut % 2 == 0 {
            bytes.resize(bytes.len() + 37, 0);
        }
        std::fs::write(&file, bytes).unwrap();
        let search = bd_search::Search::open(config(copied.path())).unwrap();
        let expected = ends.iter().filter(|end| **end as usize <= cut).count();
        assert!(
            search.metrics().contains(&format!("bd_search_index_documents{{index=\"t\"}} {expected}\n")),
            "cut at {cut}"
        );
        search.close();
    }
}

fn faulty(dir: &Path) -> (FaultFs, SearchConfig) {
    let fs = FaultFs::new(Arc::new(RealFs));
    let config =
        SearchConfig { fs: Arc::new(fs.clone()), flush_interval: Duration::from_millis(50), ..config(dir) };
    (fs, config)
}

#[test]
fn a_full_disk_refuses_writes_serves_reads_and_ends_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (fs, config) = faulty(dir.path());
    let server = Server::start(config);
    let mut acknowledged = Vec::new();
    let write = |n: i64| {
        server.send(
            "PUT",
            &format!("/t/_doc/{n}"),
            &format!("{{\"n\":{n},\"text\":\"{}\"}}", "x".repeat(200)),
        )
    };
    assert_eq!(write(0).0, 201);
    server.ok("POST", "/t/_refresh", "");
    for (round, space) in [0, 100, 700, 2_000, 5_000, 20_000].into_iter().enumerate() {
        fs.set_space(space);
        let mut n = 1000 * (round as i64 + 1);
        let refused = loop {
            let (status, answer) = write(n);
            if status != 201 {
                break answer;
            }
            acknowledged.push(n);
            n += 1;
        };
        assert_eq!(refused["error"]["type"], "cluster_block_exception", "{refused}");
        assert_eq!(refused["status"], 429);
        assert_eq!(server.ok("GET", "/t/_doc/0", "")["_source"]["n"], 0);
        assert!(server.ok("GET", "/t/_count", "")["count"].as_u64().unwrap() > 0);
        fs.set_space(u64::MAX);
        until("writes are taken again", || {
            n += 1;
            let taken = write(n).0 == 201;
            if taken {
                acknowledged.push(n);
            }
            taken
        });
    }
    let found = documents(&server, "t");
    for n in &acknowledged {
        assert_eq!(found.get(&n.to_string()), Some(&(*n, 1)), "{n} was acknowledged");
    }
    assert_eq!(found.len(), acknowledged.len() + 1);
    server.close();
}

#[test]
fn after_a_failed_fsync_nothing_is_acknowledged_until_the_index_was_flushed() {
    let dir = tempfile::tempdir().unwrap();
    let (fs, config) = faulty(dir.path());
    let server = Server::start(config);
    server.ok("PUT", "/t/_doc/1", r#"{"n":1}"#);
    fs.fail_syncs(true);
    for _ in 0..2 {
        let (status, answer) = server.send("PUT", "/t/_doc/2", r#"{"n":2}"#);
        assert_eq!(
            (status, answer["error"]["type"].as_str()),
            (503, Some("unavailable_shards_exception")),
            "{answer}"
        );
    }
    assert_eq!(server.ok("GET", "/t/_doc/1", "")["_source"]["n"], 1);
    fs.fail_syncs(false);
    until("writes are taken again", || server.send("PUT", "/t/_doc/3", r#"{"n":3}"#).0 == 201);
    let crashed = tempfile::tempdir().unwrap();
    copy(dir.path(), crashed.path());
    server.close();
    let again = Server::start(common::config(crashed.path()));
    let found = documents(&again, "t");
    assert!(found.contains_key("1") && found.contains_key("3"), "{found:?}");
    again.close();
}

#[test]
fn writes_beyond_what_can_be_indexed_are_refused_with_429() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(SearchConfig {
        queue_bytes: 0,
        queue_wait: Duration::from_millis(10),
        ..config(dir.path())
    });
    let (status, answer) = server.send("PUT", "/t/_doc/1", r#"{"n":1}"#);
    assert_eq!(
        (status, answer["error"]["type"].as_str()),
        (429, Some("es_rejected_execution_exception")),
        "{answer}"
    );
    server.close();
}

#[test]
fn a_folder_is_open_only_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(config(dir.path()));
    let second = bd_search::Search::open(config(dir.path()));
    assert!(matches!(second, Err(bd_search::SearchError::Locked { .. })));
    server.close();
}

#[test]
fn deleted_indices_are_gone_after_a_restart_and_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(config(dir.path()));
    for name in ["a", "b"] {
        server.index(name, "{\"n\":1}");
    }
    server.ok("DELETE", "/a", "");
    let crashed = tempfile::tempdir().unwrap();
    copy(dir.path(), crashed.path());
    server.close();
    let again = Server::start(config(crashed.path()));
    assert_eq!(again.send("GET", "/a/_count", "").0, 404);
    assert_eq!(again.ok("GET", "/b/_count", "")["count"], 1);
    assert_eq!(again.ok("GET", "/b/_mapping", "")["b"]["mappings"]["properties"]["n"]["type"], "long");
    again.close();
}

#[test]
fn a_translog_that_is_older_than_the_index_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(config(dir.path()));
    server.ok("PUT", "/t/_doc/1", r#"{"n":1}"#);
    server.ok("DELETE", "/t/_doc/1", "");
    server.ok("PUT", "/t/_doc/1", r#"{"n":3}"#);
    server.ok("PUT", "/t/_doc/2", r#"{"n":4}"#);
    server.ok("DELETE", "/t/_doc/2", "");
    let old = std::fs::read(translog(dir.path())).unwrap();
    let name = translog(dir.path());
    server.ok("POST", "/t/_flush", "");
    assert_ne!(translog(dir.path()), name, "a flush begins a new translog");
    let crashed = tempfile::tempdir().unwrap();
    copy(dir.path(), crashed.path());
    server.close();
    // As if the kill had come before the old file was deleted.
    std::fs::write(translog(crashed.path()).with_file_name(name.file_name().unwrap()), old).unwrap();
    let again = Server::start(config(crashed.path()));
    assert_eq!(documents(&again, "t"), BTreeMap::from([("1".to_owned(), (3, 3))]));
    assert_eq!(again.ok("GET", "/t/_doc/1", "")["_version"], 3);
    assert_eq!(again.ok("PUT", "/t/_doc/1", r#"{"n":5}"#)["_version"], 4);
    assert_eq!(again.ok("PUT", "/t/_doc/2", r#"{"n":6}"#)["_version"], 3);
    again.close();
}
