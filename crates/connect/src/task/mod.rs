//! Tasks: one thread each, opened again after retriable failures.

mod bad;
mod metrics;
mod shared;
mod sink;
mod sink_batch;
mod sink_topics;
mod source;
mod topics;

pub(crate) use metrics::{NAMES as METRICS, TaskMetrics};
pub(crate) use shared::TaskShared;
pub(crate) use sink_topics::group_of;

use crate::convert::ConvertError;
use crate::sdk::{Config, Plugin, PluginKind, TaskContext, TaskError};
use crate::store::{OffsetStore, State, StatusStore};
use crate::worker::WorkerConfig;
use bd_cluster::{Cluster, ClusterError, CommitError, Writer};
use bd_schema::SchemaRegistry;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long one poll waits, and so how soon a stop is noticed.
const POLL: Duration = Duration::from_millis(100);
/// How long a commit that is not answered is asked again.
const COMMIT: Duration = Duration::from_secs(60);

/// All that a task is run with.
pub(crate) struct TaskSpec {
    pub(crate) cluster: Arc<dyn Cluster>,
    pub(crate) plugin: Arc<dyn Plugin>,
    pub(crate) registry: Option<Arc<dyn SchemaRegistry>>,
    pub(crate) offsets: Arc<OffsetStore>,
    pub(crate) statuses: Arc<StatusStore>,
    pub(crate) worker: Arc<WorkerConfig>,
    pub(crate) shared: Arc<TaskShared>,
    pub(crate) connector: String,
    pub(crate) id: usize,
    /// The number of the connector's tasks.
    pub(crate) of: usize,
    /// The task's configuration, references resolved, with defaults.
    pub(crate) config: Config,
}

impl TaskSpec {
    fn context(&self, offsets: crate::store::ConnectorOffsets) -> TaskContext {
        TaskContext {
            connector: self.connector.clone(),
            task: self.id,
            config: self.config.clone(),
            offsets,
            stop: self.shared.stop.clone(),
            registry: self.registry.clone(),
        }
    }
}

/// The transactional id of a source's task, as Kafka Connect's exactly-once support names it.
pub(crate) fn transactional_id(group: &str, connector: &str, task: usize) -> String {
    format!("{group}-{connector}-{task}")
}

/// The transactional id under which a sink's task commits its group's offsets.
pub(crate) fn sink_transactional_id(group: &str, connector: &str, task: usize) -> String {
    format!("{group}-sink-{connector}-{task}")
}

/// Why a task cannot go on as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Failure {
    /// Open it again from the committed offsets.
    Retriable { message: String, wait: Option<Duration> },
    /// FAILED until somebody restarts it.
    Fatal(String),
}

impl Failure {
    fn retriable(message: impl Into<String>) -> Self {
        Self::Retriable { message: message.into(), wait: None }
    }
}

impl From<TaskError> for Failure {
    fn from(error: TaskError) -> Self {
        match error {
            TaskError::Retriable(message) => Self::Retriable { message, wait: None },
            TaskError::RetryAfter { message, wait } => Self::Retriable { message, wait: Some(wait) },
            TaskError::Fatal(message) => Self::Fatal(message),
        }
    }
}

impl From<ConvertError> for Failure {
    fn from(error: ConvertError) -> Self {
        match error {
            ConvertError::Retriable(message) => Self::Retriable { message, wait: None },
            ConvertError::Fatal(message) => Self::Fatal(message),
        }
    }
}

impl From<crate::sdk::ConfigError> for Failure {
    fn from(error: crate::sdk::ConfigError) -> Self {
        Self::Fatal(error.to_string())
    }
}

impl From<ClusterError> for Failure {
    fn from(error: ClusterError) -> Self {
        match error {
            // A topic that was deleted under way is created or waited for when the task is opened again.
            ClusterError::Retriable { .. }
            | ClusterError::UnknownTopic(_)
            | ClusterError::OffsetOutOfRange { .. } => Self::retriable(error.to_string()),
            other => Self::Fatal(other.to_string()),
        }
    }
}

/// Commits, asking again while there is no answer.
fn commit(
    spec: &TaskSpec,
    writer: &mut dyn Writer,
    offsets: &[(bd_cluster::TopicPartition, i64)],
    member: Option<&bd_cluster::GroupMember>,
) -> Result<(), Failure> {
    let started = Instant::now();
    loop {
        match writer.commit(offsets, member) {
            Ok(()) => {
                spec.shared.metrics.committed(started.elapsed());
                return Ok(());
            }
            Err(CommitError::Retriable(_)) if started.elapsed() < COMMIT && !spec.shared.stop.is_set() => {
                spec.shared.wait(Duration::from_millis(50));
            }
            Err(CommitError::Fenced(reason)) => {
                return Err(Failure::Fatal(format!(
                    "another worker runs this task now, this one has stopped: {reason}"
                )));
            }
            Err(error) => return Err(Failure::retriable(error.to_string())),
        }
    }
}

/// The task's thread: runs until it is stopped or fails for good.
pub(crate) fn run(spec: &TaskSpec) {
    let (shared, worker) = (&spec.shared, &spec.worker);
    let mut pause = worker.min_backoff;
    while !shared.stop.is_set() {
        let commits = shared.metrics.commits();
        let attempt = catch_unwind(AssertUnwindSafe(|| match spec.plugin.kind() {
            PluginKind::Source => source::run(spec),
            PluginKind::Sink => sink::run(spec),
        }));
        let failure = match attempt {
            Ok(Ok(())) => break,
            Ok(Err(failure)) => failure,
            Err(panic) => Failure::Fatal(format!("the task panicked: {}", panic_text(panic.as_ref()))),
        };
        if shared.stop.is_set() {
            break;
        }
        match failure {
            Failure::Fatal(trace) => {
                tracing::error!(connector = spec.connector, task = spec.id, "task failed: {trace}");
                shared.set_state(State::Failed, Some(trace));
                break;
            }
            Failure::Retriable { message, wait } => {
                if shared.metrics.commits() > commits {
                    pause = worker.min_backoff;
                }
                let wait = wait.unwrap_or(pause);
                tracing::warn!(
                    connector = spec.connector,
                    task = spec.id,
                    "trying again in {wait:?}: {message}"
                );
                shared.metrics.retried();
                shared.set_state(State::Restarting, Some(message));
                shared.wait(wait);
                pause = (pause * 2).min(worker.max_backoff);
            }
        }
    }
    shared.done();
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}
