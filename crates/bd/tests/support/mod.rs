//! Processes of `bd` and an HTTP client, for the tests of this folder.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of tests fails the test")]

pub(crate) mod cluster;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Far more than anything takes; only a hang reaches it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The program.
pub(crate) fn bd() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bd"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("BD_")) {
        command.env_remove(name);
    }
    command
}

/// `bd` with these arguments, to its end.
pub(crate) fn run(args: &[&str]) -> Output {
    bd().args(args).stdin(Stdio::null()).output().unwrap()
}

/// The same; it must succeed.
pub(crate) fn stdout(args: &[&str]) -> String {
    let output = run(args);
    assert!(output.status.success(), "bd {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The same, with an input.
pub(crate) fn with_input(args: &[&str], input: &str) -> Output {
    let mut child =
        bd().args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// A running `bd up`; ended with the test.
pub(crate) struct Up {
    child: Child,
    stderr: BufReader<ChildStderr>,
    pub(crate) cluster: String,
    pub(crate) engine: String,
    pub(crate) registry: String,
    pub(crate) ready_ms: u64,
}

impl Up {
    /// `bd up` with all roles on free ports.
    pub(crate) fn start(data: &Path) -> Self {
        Self::with(data, &[])
    }

    pub(crate) fn with(data: &Path, args: &[&str]) -> Self {
        Self::launch(data, args, true)
    }

    /// `bd up` with the cluster alone.
    pub(crate) fn cluster(data: &Path) -> Self {
        Self::cluster_with(data, &[])
    }

    /// The same, with more arguments.
    pub(crate) fn cluster_with(data: &Path, args: &[&str]) -> Self {
        Self::launch(data, &[&["--roles", "cluster"], args].concat(), false)
    }

    fn launch(data: &Path, args: &[&str], all_roles: bool) -> Self {
        let mut command = bd();
        command.arg("up").args(args).arg("--data").arg(data);
        command.arg("--free-ports");
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let ready_ms = loop {
            let mut line = String::new();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "bd up ended: {said}");
            if let Some(ms) = line.trim().strip_prefix("ready in ").and_then(|l| l.strip_suffix(" ms")) {
                break ms.parse().unwrap();
            }
            said.push_str(&line);
        };
        // The addresses stand before "ready".
        let (mut cluster, mut engine, mut registry) = (String::new(), String::new(), String::new());
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        while cluster.is_empty() || (all_roles && (engine.is_empty() || registry.is_empty())) {
            let mut line = String::new();
            assert!(stdout.read_line(&mut line).unwrap() > 0, "no cluster, registry or engine");
            match line.split_whitespace().collect::<Vec<_>>().as_slice() {
                ["cluster", address] => cluster = (*address).into(),
                ["engine", address] => engine = (*address).into(),
                ["registry", address] => registry = (*address).into(),
                [_, _] => {}
                other => panic!("{other:?}"),
            }
        }
        Self { child, stderr, cluster, engine, registry, ready_ms }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end; its status and how long it took.
    pub(crate) fn wait(mut self) -> (ExitStatus, Duration, String) {
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begin.elapsed() < PATIENCE, "bd does not end");
            std::thread::sleep(Duration::from_millis(5));
        };
        let took = begin.elapsed();
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).unwrap();
        (status, took, said)
    }

    /// A POST with a JSON body: status and body.
    pub(crate) fn post(&self, path: &str, body: &Value) -> (u16, String) {
        let response = agent().post(format!("{}{path}", self.engine)).send(body.to_string()).unwrap();
        answer(response)
    }

    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        answer(agent().get(format!("{}{path}", self.engine)).call().unwrap())
    }

    /// `POST /ksql`, which must succeed.
    pub(crate) fn ksql(&self, text: &str) -> Value {
        let (status, body) = self.post("/ksql", &serde_json::json!({"ksql": text}));
        assert_eq!(status, 200, "{text}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// `POST /query-stream` from the beginning, which must succeed: its lines.
    pub(crate) fn query(&self, sql: &str) -> Vec<Value> {
        let request = serde_json::json!({"sql": sql, "properties": {"auto.offset.reset": "earliest"}});
        let (status, body) = self.post("/query-stream", &request);
        assert_eq!(status, 200, "{sql}: {body}");
        body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn agent() -> ureq::Agent {
    let config =
        ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build();
    ureq::Agent::new_with_config(config)
}

fn answer(mut response: ureq::http::Response<ureq::Body>) -> (u16, String) {
    (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
}

/// Asks until the answer is there.
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn dir() -> TempDir {
    tempfile::tempdir().unwrap()
}
