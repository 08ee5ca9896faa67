//! Push queries: they run for one reader, and end with it.

use super::query::{Destination, Ended, QueryConfig, QueryContext, Task};
use super::status::{QueryState, QueryStatus};
use super::supervise::spawn;
use crate::chunk::Chunk;
use crate::error::EngineError;
use bd_cluster::Cluster;
use bd_schema::Field;
use bd_sql::plan::Plan;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A push query: rows as they come. Dropping it ends the query.
pub struct Push {
    /// The columns (of each chunk the first so many).
    pub columns: Vec<Field>,
    /// `LIMIT`.
    pub limit: Option<usize>,
    /// The query's state, for errors.
    pub status: Arc<QueryStatus>,
    chunks: Receiver<Chunk>,
}

impl Push {
    /// Starts a query for one reader.
    pub(super) fn start(
        cluster: Arc<dyn Cluster>,
        config: QueryConfig,
        plan: Plan,
        limit: Option<usize>,
        producers: Vec<Arc<QueryStatus>>,
        from_beginning: bool,
    ) -> Result<Self, EngineError> {
        let number = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
        let status = QueryStatus::new(format!("transient_{number}"));
        let (send, chunks) = sync_channel(16);
        let columns = plan.columns.clone();
        let context = Arc::new(QueryContext {
            cluster,
            config,
            plan,
            status: status.clone(),
            producers,
            feeders: Vec::new(),
            rejects_of: Vec::new(),
        });
        let of_thread = status.clone();
        spawn(&status.id, move || {
            let send = Box::new(move |chunk| send.send(chunk).is_ok());
            let destination = Destination::Client { send, from_beginning };
            let ended = Task::open(context, destination).and_then(Task::run);
            of_thread.set_state(match ended {
                Ok(Ended::Completed) => QueryState::Completed,
                Ok(Ended::Stopped) => QueryState::Stopped,
                Err(e) => QueryState::Error(e.to_string()),
            });
        })?;
        Ok(Self { columns, limit, status, chunks })
    }

    /// The next rows; `None` after `wait` without any.
    ///
    /// # Errors
    /// The query has ended; what it failed on, if it did.
    pub fn next(&self, wait: Duration) -> Result<Option<Chunk>, EngineError> {
        use std::sync::mpsc::RecvTimeoutError;
        match self.chunks.recv_timeout(wait) {
            Ok(chunk) => Ok(Some(chunk)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(EngineError::Statement(match self.status.state() {
                QueryState::Error(e) => e,
                _ => "the query has ended".into(),
            })),
        }
    }
}

impl Drop for Push {
    fn drop(&mut self) {
        self.status.stop();
    }
}
