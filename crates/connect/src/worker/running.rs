//! A connector and its tasks at work.

use super::{Inner, secrets};
use crate::sdk::{Config, Plugin, PluginKind};
use crate::store::{State, Stored, TargetState};
use crate::task::{self, TaskShared, TaskSpec};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Instant;

/// A task of a connector.
pub(super) struct Task {
    pub(super) shared: Arc<TaskShared>,
    /// As it stands in the topic: references unresolved.
    pub(super) config: BTreeMap<String, String>,
    /// For its thread to be started anew.
    resolved: Config,
    thread: Option<JoinHandle<()>>,
}

/// A task's configuration as it is kept, and resolved with defaults.
type TaskConfigs = (BTreeMap<String, String>, Config);

/// A connector that is there.
pub(super) struct Running {
    pub(super) kind: Option<PluginKind>,
    pub(super) state: State,
    pub(super) trace: Option<String>,
    pub(super) tasks: Vec<Task>,
}

impl Running {
    fn without_tasks(kind: Option<PluginKind>, state: State, trace: Option<String>) -> Self {
        Self { kind, state, trace, tasks: Vec::new() }
    }

    pub(super) fn ask_to_stop(&self) {
        self.tasks.iter().for_each(|t| t.shared.stop());
    }

    /// Waits for the tasks' threads. Gives the tasks that did not end in time; they are left behind.
    pub(super) fn join(&mut self, until: Instant) -> Vec<usize> {
        let late =
            |(id, task): (usize, &mut Task)| (!join(&task.shared, task.thread.take(), until)).then_some(id);
        self.tasks.iter_mut().enumerate().filter_map(late).collect()
    }
}

/// Waits for a task's thread; whether it ended in time.
fn join(shared: &TaskShared, thread: Option<JoinHandle<()>>, until: Instant) -> bool {
    let Some(thread) = thread else { return true };
    let ended = shared.wait_done(until);
    if ended {
        // The thread catches panics of tasks and has nothing more to do.
        let _ = thread.join();
    }
    ended
}

impl Inner {
    /// Starts a connector that does not run, as its configuration and target state say. What hinders it is its state.
    pub(super) fn start(&self, name: &str, stored: &Stored) {
        let running = self.begin(name, stored);
        self.statuses.connector(name, running.state, running.trace.as_deref());
        let mut table = self.running.lock();
        // The worker may have been closed meanwhile; it stops what it finds in the table.
        if self.closed.load(Ordering::Acquire) {
            running.ask_to_stop();
        }
        table.insert(name.to_owned(), running);
    }

    fn begin(&self, name: &str, stored: &Stored) -> Running {
        let class = stored.config.get("connector.class").map_or("", |c| c.trim());
        let plugin = match self.plugins.find(class) {
            Ok(plugin) => Arc::clone(plugin),
            Err(error) => return Running::without_tasks(None, State::Failed, Some(error.to_string())),
        };
        let kind = Some(plugin.kind());
        if stored.target == TargetState::Stopped {
            return Running::without_tasks(kind, State::Stopped, None);
        }
        let paused = stored.target == TargetState::Paused;
        match self.task_configs(name, plugin.as_ref(), &stored.config) {
            Err(trace) => {
                tracing::error!(connector = name, "connector failed: {trace}");
                Running::without_tasks(kind, State::Failed, Some(trace))
            }
            Ok(configs) => {
                let of = configs.len();
                let tasks = configs
                    .into_iter()
                    .enumerate()
                    .map(|(id, (raw, resolved))| self.spawn(name, &plugin, id, of, paused, raw, resolved));
                let state = if paused { State::Paused } else { State::Running };
                Running { kind, state, trace: None, tasks: tasks.collect() }
            }
        }
    }

    /// The configurations of the tasks: as they are kept, and resolved with defaults.
    fn task_configs(
        &self,
        name: &str,
        plugin: &dyn Plugin,
        config: &BTreeMap<String, String>,
    ) -> Result<Vec<TaskConfigs>, String> {
        let def = plugin.config_def();
        let resolved = secrets::resolve(config).map_err(|e| e.to_string())?.with_defaults(&def);
        let max = match resolved.get("tasks.max") {
            None => 1,
            Some(_) => resolved.number::<usize>("tasks.max").map_err(|e| e.to_string())?.max(1),
        };
        let split = catch_unwind(AssertUnwindSafe(|| plugin.tasks(&resolved, max)))
            .map_err(|panic| format!("the connector panicked: {}", task::panic_text(panic.as_ref())))?;
        let mut tasks = split.map_err(|e| e.to_string())?;
        if tasks.len() > max {
            tracing::warn!(connector = name, "{} tasks wanted, tasks.max={max} holds", tasks.len());
            tasks.truncate(max);
        }
        let both = tasks.into_iter().map(|resolved| {
            let mut raw = resolved.values().clone();
            // References stay references in the topic, so that it holds no secrets.
            for (key, value) in config.iter().filter(|(_, v)| secrets::is_reference(v)) {
                if let Some(own) = raw.get_mut(key) {
                    value.clone_into(own);
                }
            }
            (raw, resolved.with_defaults(&def))
        });
        let both: Vec<_> = both.collect();
        let raw: Vec<_> = both.iter().map(|(raw, _)| raw.clone()).collect();
        self.configs.put_tasks(name, &raw).map_err(|e| e.to_string())?;
        Ok(both)
    }

    #[allow(clippy::too_many_arguments, reason = "all that a task is")]
    fn spawn(
        &self,
        name: &str,
        plugin: &Arc<dyn Plugin>,
        id: usize,
        of: usize,
        paused: bool,
        config: BTreeMap<String, String>,
        resolved: Config,
    ) -> Task {
        let shared = Arc::new(TaskShared::new(name, id, paused, Arc::clone(&self.statuses)));
        let spec = TaskSpec {
            cluster: Arc::clone(&self.cluster),
            plugin: Arc::clone(plugin),
            registry: self.registry.clone(),
            offsets: Arc::clone(&self.offsets),
            statuses: Arc::clone(&self.statuses),
            worker: Arc::clone(&self.config),
            shared: Arc::clone(&shared),
            connector: name.to_owned(),
            id,
            of,
            config: resolved.clone(),
        };
        let thread = std::thread::Builder::new().name(format!("task-{name}-{id}"));
        let thread = match thread.spawn(move || task::run(&spec)) {
            Ok(thread) => Some(thread),
            Err(error) => {
                shared.set_state(State::Failed, Some(format!("cannot start a thread: {error}")));
                None
            }
        };
        Task { shared, config, resolved, thread }
    }

    /// Stops a connector's tasks and takes it out of the table. Whether it was there.
    pub(super) fn stop(&self, name: &str) -> bool {
        let Some(mut running) = self.running.lock().remove(name) else { return false };
        running.ask_to_stop();
        for id in running.join(Instant::now() + self.config.shutdown_timeout) {
            self.fence(name, id);
        }
        for id in 0..running.tasks.len() {
            self.statuses.task_gone(name, id);
        }
        true
    }

    /// A task that did not stop in time cannot commit any more.
    fn fence(&self, name: &str, id: usize) {
        tracing::warn!(connector = name, task = id, "a task did not stop in time and is left behind");
        let group = &self.config.group_id;
        for transactional_id in
            [task::transactional_id(group, name, id), task::sink_transactional_id(group, name, id)]
        {
            let config = bd_cluster::WriterConfig {
                transactional_id: Some(transactional_id),
                ..bd_cluster::WriterConfig::default()
            };
            if let Err(error) = self.cluster.open_writer(config) {
                tracing::warn!(connector = name, task = id, %error, "it could not be fenced");
            }
        }
    }

    /// Stops a task and starts it again. Whether it was there.
    pub(super) fn restart_task(&self, name: &str, id: usize, paused: bool) -> bool {
        // The thread is waited for without the table, so that statuses can be read meanwhile.
        let taken = {
            let mut table = self.running.lock();
            let task = table.get_mut(name).and_then(|r| r.tasks.get_mut(id));
            task.map(|task| (Arc::clone(&task.shared), task.thread.take()))
        };
        let Some((shared, thread)) = taken else { return false };
        shared.stop();
        // One that is late is fenced by its successor.
        join(&shared, thread, Instant::now() + self.config.shutdown_timeout);
        let mut table = self.running.lock();
        let Some(running) = table.get_mut(name) else { return false };
        let of = running.tasks.len();
        let Some(task) = running.tasks.get_mut(id) else { return false };
        let class = task.config.get("connector.class").map_or("", |c| c.trim());
        let Ok(plugin) = self.plugins.find(class).cloned() else { return false };
        *task = self.spawn(name, &plugin, id, of, paused, task.config.clone(), task.resolved.clone());
        true
    }
}
