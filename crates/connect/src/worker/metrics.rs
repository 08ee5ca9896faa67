//! The worker's counters as Prometheus text.

use super::Worker;
use crate::store::State;
use crate::task::METRICS;
use std::fmt::Write;

impl Worker {
    /// The worker's and its tasks' counters as Prometheus text; names begin with `bd_connect_`.
    pub fn metrics(&self) -> String {
        let running = self.inner.running.lock();
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(out, "# HELP bd_connect_connectors Connectors that are there.");
        let _ = writeln!(out, "# TYPE bd_connect_connectors gauge\nbd_connect_connectors {}", running.len());
        let _ = writeln!(out, "# HELP bd_connect_connector_state 1 for the state that the connector is in.");
        let _ = writeln!(out, "# TYPE bd_connect_connector_state gauge");
        for (name, connector) in running.iter() {
            states(&mut out, "bd_connect_connector_state", &labels(name, None), connector.state);
        }
        let _ = writeln!(out, "# HELP bd_connect_task_state 1 for the state that the task is in.");
        let _ = writeln!(out, "# TYPE bd_connect_task_state gauge");
        let tasks: Vec<_> = running
            .iter()
            .flat_map(|(name, connector)| {
                connector.tasks.iter().enumerate().map(move |(id, t)| (name, id, t))
            })
            .map(|(name, id, task)| {
                (labels(name, Some(id)), task.shared.state().0, task.shared.metrics.values())
            })
            .collect();
        for (labels, state, _) in &tasks {
            states(&mut out, "bd_connect_task_state", labels, *state);
        }
        for (i, (name, help)) in METRICS.iter().enumerate() {
            let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
            let _ = writeln!(out, "# HELP bd_connect_{name} {help}\n# TYPE bd_connect_{name} {kind}");
            for (labels, _, values) in &tasks {
                let _ = writeln!(out, "bd_connect_{name}{{{labels}}} {}", values[i]);
            }
        }
        out
    }
}

fn labels(connector: &str, task: Option<usize>) -> String {
    let name = connector.replace('\\', "\\\\").replace('"', "\\\"");
    match task {
        None => format!("connector=\"{name}\""),
        Some(task) => format!("connector=\"{name}\",task=\"{task}\""),
    }
}

fn states(out: &mut String, metric: &str, labels: &str, state: State) {
    for of in State::ALL {
        let is = u8::from(of == state);
        let _ = writeln!(out, "{metric}{{{labels},state=\"{}\"}} {is}", of.name().to_ascii_lowercase());
    }
}
