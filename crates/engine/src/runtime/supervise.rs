//! The threads of queries, and what happens when one fails.

use super::query::{Destination, Ended, QueryContext, Task};
use super::status::QueryState;
use super::watermarks;
use crate::error::EngineError;
use bd_cluster::{ClusterError, CommitError};
use bd_sql::catalog::SourceDef;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Runs a persistent query until it ends; after a failure that may pass, again from its last commit.
pub(super) fn supervise(context: &Arc<QueryContext>, sink: &Arc<SourceDef>) {
    let status = &context.status;
    let mut pause = Duration::from_millis(50);
    loop {
        let started = Instant::now();
        let life = || Task::open(context.clone(), Destination::Topic(sink.clone())).and_then(Task::run);
        // A panic is a bug, but one of this query only: it must not look as if the query still ran.
        let Ok(ended) = catch_unwind(AssertUnwindSafe(life)) else {
            tracing::error!(query = status.id, "stopped by a panic, see above");
            return status.set_state(QueryState::Error("an internal error ended it: see the log".into()));
        };
        match ended {
            Ok(Ended::Completed) => return status.set_state(QueryState::Completed),
            Ok(Ended::Stopped) => return status.set_state(QueryState::Stopped),
            Err(error) if may_work_later(&error) && !status.must_stop() => {
                tracing::warn!(query = status.id, %error, "restarting from the last commit in {pause:?}");
                status.set_state(QueryState::Starting);
                if started.elapsed() > Duration::from_secs(30) {
                    pause = Duration::from_millis(50);
                }
                status.wait_change(pause);
                pause = (pause * 2).min(Duration::from_secs(5));
            }
            Err(error) => {
                tracing::error!(query = status.id, %error, "stopped");
                return status.set_state(QueryState::Error(error.to_string()));
            }
        }
    }
}

fn may_work_later(error: &EngineError) -> bool {
    // Marks were trimmed under a reader that was far behind: the latest ones stand further on.
    if let EngineError::Cluster(ClusterError::OffsetOutOfRange { partition, .. }) = error {
        return &*partition.topic == watermarks::TOPIC;
    }
    matches!(
        error,
        EngineError::Later(_)
            | EngineError::Cluster(ClusterError::Retriable { .. })
            | EngineError::Commit(
                CommitError::Aborted(_) | CommitError::Retriable(_) | CommitError::Fatal(_)
            )
    )
}

pub(super) fn spawn(name: &str, f: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, EngineError> {
    std::thread::Builder::new()
        .name(name.to_string())
        .spawn(f)
        .map_err(|e| EngineError::Statement(format!("no thread for query {name}: {e}")))
}
