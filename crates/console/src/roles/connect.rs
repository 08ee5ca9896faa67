//! Connectors by Kafka Connect's REST.

use crate::config::Endpoint;
use crate::http::{CallError, Remote, segment};
use serde_json::{Value, json};

/// A trace is shown up to so many characters.
const MAX_TRACE: usize = 8000;
/// More connectors are not listed.
const MAX_CONNECTORS: usize = 1000;

/// A Connect worker.
pub(crate) struct Connect {
    remote: Remote,
}

impl Connect {
    pub(crate) fn new(endpoint: &Endpoint) -> Self {
        Self { remote: Remote::new("connect", endpoint) }
    }

    /// All connectors by name: `name`, `type`, `state`, `class`, `topics`, `trace`, `tasks` (`id`, `state`, `worker`, `trace`).
    pub(crate) fn connectors(&self) -> Result<Vec<Value>, CallError> {
        let answer = self.remote.get("/connectors?expand=status&expand=info")?;
        let all = answer.as_object().into_iter().flatten();
        let mut connectors: Vec<Value> = all.take(MAX_CONNECTORS).map(|(name, of)| shown(name, of)).collect();
        connectors.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
        Ok(connectors)
    }

    /// Restarts a connector with all its tasks.
    pub(crate) fn restart(&self, name: &str) -> Result<(), CallError> {
        let path = format!("/connectors/{}/restart?includeTasks=true&onlyFailed=false", segment(name));
        self.remote.post(&path, None).map(|_| ())
    }
}

fn shown(name: &str, of: &Value) -> Value {
    let text = |path: &str| of.pointer(path).and_then(Value::as_str);
    let trace = |of: &Value| {
        let trace = of.get("trace").and_then(Value::as_str).filter(|t| !t.is_empty());
        trace.map(|t| t.chars().take(MAX_TRACE).collect::<String>())
    };
    let task = |task: &Value| {
        json!({
            "id": task.get("id"),
            "state": task.get("state"),
            "worker": task.get("worker_id"),
            "trace": trace(task),
        })
    };
    let tasks = of.pointer("/status/tasks").and_then(Value::as_array);
    let tasks: Vec<Value> = tasks.into_iter().flatten().map(task).collect();
    let connector = of.pointer("/status/connector").unwrap_or(&Value::Null);
    let topics = text("/info/config/topics").or_else(|| text("/info/config/kafka.topic"));
    let topics = topics.or_else(|| text("/info/config/topics.regex")).or_else(|| text("/info/config/topic"));
    json!({
        "name": name,
        "type": text("/status/type").or_else(|| text("/info/type")),
        "class": text("/info/config/connector.class"),
        "topics": topics.or_else(|| text("/info/config/topic.prefix")),
        "state": connector.get("state"),
        "worker": connector.get("worker_id"),
        "trace": trace(connector),
        "tasks": tasks,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connector_is_shown_with_its_tasks_and_their_traces() {
        let of = json!({
            "info": {"name": "users", "type": "source", "config": {"connector.class": "MySql", "topic.prefix": "tv"}},
            "status": {
                "name": "users",
                "type": "source",
                "connector": {"state": "RUNNING", "worker_id": "127.0.0.1:8083"},
                "tasks": [{"id": 0, "state": "FAILED", "worker_id": "127.0.0.1:8083", "trace": "access denied"}],
            },
        });
        let shown = shown("users", &of);
        assert_eq!(shown["state"], "RUNNING");
        assert_eq!(shown["topics"], "tv");
        assert_eq!(shown["tasks"][0]["trace"], "access denied");
        assert_eq!(super::shown("odd", &json!("?"))["tasks"], json!([]));
    }
}
