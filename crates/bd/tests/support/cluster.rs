//! A cluster to try the commands against: a bd of its own or, with `BD_TEST_BOOTSTRAP`, one that is there.

use super::{Up, dir, run, stdout, with_input};
use serde_json::Value;
use std::process::Output;
use tempfile::TempDir;

pub(crate) struct Cluster {
    pub(crate) bootstrap: String,
    pub(crate) ours: Option<(Up, TempDir)>,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        if let Ok(bootstrap) = std::env::var("BD_TEST_BOOTSTRAP") {
            return Self { bootstrap, ours: None };
        }
        let data = dir();
        let up = Up::cluster(data.path());
        Self { bootstrap: up.cluster.clone(), ours: Some((up, data)) }
    }

    pub(crate) fn at<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        [args, &["--bootstrap", &self.bootstrap]].concat()
    }

    pub(crate) fn ok(&self, args: &[&str]) -> String {
        stdout(&self.at(args))
    }

    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let text = self.ok(&[args, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{args:?}: {e}: {text}"))
    }

    pub(crate) fn lines(&self, args: &[&str]) -> Vec<Value> {
        self.ok(args).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What is said of a failure.
    pub(crate) fn fails(&self, args: &[&str]) -> String {
        let output = run(&self.at(args));
        assert_eq!(output.status.code(), Some(1), "{args:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    pub(crate) fn produce(&self, args: &[&str], input: &str) -> Output {
        with_input(&self.at(&[&["produce"], args].concat()), input)
    }

    pub(crate) fn put(&self, args: &[&str], input: &str) {
        let output = self.produce(args, input);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A name that no other test and no other run has.
pub(crate) fn name(of: &str) -> String {
    format!("{of}-{}-{:?}", std::process::id(), std::time::SystemTime::now())
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
        .collect()
}

/// The cells of a table, without its head.
pub(crate) fn cells(table: &str) -> Vec<Vec<&str>> {
    let rows = table.lines().skip_while(|line| !line.starts_with("---")).skip(1);
    rows.take_while(|line| !line.is_empty()).map(|line| line.split_whitespace().collect()).collect()
}
