//! The pages that can be watched, and those whose one part is a list.

use super::Page;
use super::dashboard::DashboardPage;
use crate::console::Shared;
use crate::dashboard::Range;
use crate::topics;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Which page.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Asked {
    /// A dashboard over a range of time.
    Dashboard {
        name: String,
        range: Range,
    },
    Topics,
    /// The newest messages of a topic, or of one of its partitions.
    Topic {
        name: String,
        partition: Option<i32>,
        count: usize,
    },
    Connectors,
    Queries,
}

impl Asked {
    /// The page, to be run.
    pub(super) fn page(&self, shared: &Arc<Shared>) -> Box<dyn Page> {
        let shared = shared.clone();
        match self {
            Asked::Dashboard { name, range } => Box::new(DashboardPage::new(shared, name, *range)),
            Asked::Topics => list("topics", 1000, move || shared.topic_rows()),
            Asked::Connectors => list("connectors", 1000, move || shared.connector_rows()),
            Asked::Queries => list("queries", 1000, move || shared.query_rows()),
            Asked::Topic { name, partition, count } => {
                let name = name.clone();
                let asked = topics::Asked { count: *count, partition: *partition, offset: None };
                list("messages", 500, move || shared.topic_messages(&name, &asked))
            }
        }
    }
}

/// One part, made anew at each step. An error is shown beside what was there before.
struct List<F> {
    part: &'static str,
    every: Duration,
    read: F,
    last: Option<Value>,
}

fn list<F>(part: &'static str, every: u64, read: F) -> Box<dyn Page>
where
    F: FnMut() -> Result<Value, String> + Send + 'static,
{
    Box::new(List { part, every: Duration::from_millis(every), read, last: None })
}

impl<F: FnMut() -> Result<Value, String> + Send> Page for List<F> {
    fn step(&mut self, publish: &mut dyn FnMut(&str, Value)) -> Duration {
        let started = std::time::Instant::now();
        let value = match (self.read)() {
            Ok(mut value) => {
                value["state"] = json!("ok");
                self.last = Some(value.clone());
                value
            }
            Err(message) => kept(self.last.as_ref(), message),
        };
        publish(self.part, value);
        self.every.max(started.elapsed() * 3)
    }
}

/// An error, with what was there before it if there is any.
pub(super) fn kept(last: Option<&Value>, message: String) -> Value {
    match last {
        Some(last) => {
            let mut value = last.clone();
            value["error"] = json!(message);
            value
        }
        None => json!({"state": "error", "message": message}),
    }
}
