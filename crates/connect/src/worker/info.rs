//! What REST shows of connectors, in Kafka Connect's JSON.

use super::plugins::kind_name;
use super::validate::definitions;
use super::{Worker, running};
use crate::ConnectError;
use crate::convert::CONVERTERS;
use crate::store::State;
use crate::transform::{PREDICATES, TRANSFORMS};
use serde_json::{Map, Value, json};

/// The release of Kafka Connect whose REST interface this is.
const KAFKA_VERSION: &str = "4.1.0";

impl Worker {
    /// `GET /`.
    pub(crate) fn root(&self) -> Value {
        json!({
            "version": KAFKA_VERSION, "commit": concat!("bd-", env!("CARGO_PKG_VERSION")),
            "kafka_cluster_id": self.inner.cluster.name()
        })
    }

    /// Connect's `ConnectorInfo`.
    pub(crate) fn info(&self, name: &str) -> Result<Value, ConnectError> {
        let stored = self.inner.stored(name)?;
        let running = self.inner.running.lock();
        let running = running.get(name);
        let tasks = running.map_or(0, |r| r.tasks.len());
        let tasks: Vec<Value> = (0..tasks).map(|task| json!({ "connector": name, "task": task })).collect();
        let kind = running.and_then(|r| r.kind).map_or("unknown", kind_name);
        Ok(json!({ "name": name, "config": stored.config, "tasks": tasks, "type": kind }))
    }

    /// Connect's `ConnectorStateInfo`.
    pub(crate) fn status(&self, name: &str) -> Result<Value, ConnectError> {
        let running = self.inner.running.lock();
        let Some(running) = running.get(name) else {
            // It is being restarted, or it is not there.
            if self.inner.stored(name).is_err() {
                return Err(ConnectError::NotFound(format!("No status found for connector {name}")));
            }
            let connector = self.state_json(State::Unassigned, None);
            return Ok(json!({ "name": name, "connector": connector, "tasks": [], "type": "unknown" }));
        };
        let connector = self.state_json(running.state, running.trace.as_deref());
        let tasks: Vec<Value> =
            running.tasks.iter().enumerate().map(|(id, task)| self.task_json(id, task)).collect();
        let kind = running.kind.map_or("unknown", kind_name);
        Ok(json!({ "name": name, "connector": connector, "tasks": tasks, "type": kind }))
    }

    fn state_json(&self, state: State, trace: Option<&str>) -> Map<String, Value> {
        let mut json = Map::new();
        json.insert("state".into(), state.name().into());
        json.insert("worker_id".into(), self.inner.config.worker_id.as_str().into());
        if let Some(trace) = trace {
            json.insert("trace".into(), trace.into());
        }
        json
    }

    fn task_json(&self, id: usize, task: &running::Task) -> Value {
        let (state, trace) = task.shared.state();
        let mut json = Map::new();
        json.insert("id".into(), id.into());
        json.extend(self.state_json(state, trace.as_deref()));
        Value::Object(json)
    }

    /// Connect's `TaskInfo` of each task.
    pub(crate) fn tasks(&self, name: &str) -> Result<Value, ConnectError> {
        self.inner.stored(name)?;
        let running = self.inner.running.lock();
        let tasks = running.get(name).map_or(&[][..], |r| r.tasks.as_slice());
        let info = |(id, task): (usize, &running::Task)| json!({ "id": { "connector": name, "task": id }, "config": task.config });
        Ok(tasks.iter().enumerate().map(info).collect())
    }

    pub(crate) fn task_status(&self, name: &str, id: usize) -> Result<Value, ConnectError> {
        let running = self.inner.running.lock();
        let task = running.get(name).and_then(|r| r.tasks.get(id));
        let task =
            task.ok_or_else(|| ConnectError::NotFound(format!("No status found for task {name}-{id}")))?;
        Ok(self.task_json(id, task))
    }

    pub(crate) fn topics(&self, name: &str) -> Result<Value, ConnectError> {
        self.inner.stored(name)?;
        let mut json = Map::new();
        json.insert(name.to_owned(), json!({ "topics": self.inner.statuses.topics_of(name) }));
        Ok(Value::Object(json))
    }

    pub(crate) fn reset_topics(&self, name: &str) -> Result<(), ConnectError> {
        self.inner.stored(name)?;
        self.inner.statuses.forget_topics(name);
        Ok(())
    }

    /// `GET /connector-plugins`.
    pub(crate) fn plugins(&self, connectors_only: bool) -> Value {
        let mut all: Vec<Value> = self
            .inner
            .plugins
            .all()
            .iter()
            .map(|p| json!({ "class": p.class(), "type": kind_name(p.kind()), "version": p.version() }))
            .collect();
        if !connectors_only {
            let others = [
                ("converter", &CONVERTERS[..]),
                ("transformation", &TRANSFORMS[..]),
                ("predicate", &PREDICATES[..]),
            ];
            for (kind, classes) in others {
                let version = env!("CARGO_PKG_VERSION");
                all.extend(classes.iter().map(|c| json!({ "class": c, "type": kind, "version": version })));
            }
        }
        Value::Array(all)
    }

    /// The definitions of a plugin's keys.
    pub(crate) fn plugin_config(&self, class: &str) -> Result<Value, ConnectError> {
        let plugin = self
            .inner
            .plugins
            .find(class)
            .map_err(|_| ConnectError::NotFound(format!("Unknown plugin {class}.")))?;
        Ok(definitions(plugin.as_ref()))
    }
}
