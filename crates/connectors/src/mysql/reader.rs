//! The reading side: decides between snapshot and binlog, and sends what it reads through a bounded channel.

use super::binlog;
use super::catalog::Catalog;
use super::config::{Settings, SnapshotMode};
use super::connection::{self, Server};
use super::envelope::{Captured, Record};
use super::offset::Offset;
use super::snapshot;
use bd_connect::sdk::{SourceOffset, SourcePartition, TaskError};
use std::sync::Arc;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What was read: records of one table, or only progress.
#[derive(Debug)]
pub(super) struct Message {
    /// The records' table; `None` where there are none.
    pub(super) table: Option<Arc<Captured>>,
    pub(super) records: Vec<Record>,
    /// Changes of rows that the records are of.
    pub(super) changes: usize,
    /// About how much memory the records take.
    pub(super) bytes: usize,
    /// Where the source stands after them.
    pub(super) offset: Offset,
    /// Definitions that changed.
    pub(super) schemas: Vec<(SourcePartition, Option<SourceOffset>)>,
    /// To be committed even where no records come with it.
    pub(super) urgent: bool,
    /// More of the same transaction follows, most likely at once.
    pub(super) in_transaction: bool,
}

impl Message {
    /// Without records.
    pub(super) fn progress(
        offset: Offset,
        schemas: Vec<(SourcePartition, Option<SourceOffset>)>,
        urgent: bool,
    ) -> Self {
        Self {
            table: None,
            records: Vec::new(),
            changes: 0,
            bytes: 0,
            offset,
            schemas,
            urgent,
            in_transaction: false,
        }
    }
}

/// A message, or why there will be none, and its share of the queue's memory.
pub(super) type Queued = (Result<Message, TaskError>, Option<OwnedSemaphorePermit>);

/// Changes in one message at most, and bytes at which it is cut.
pub(super) const CHUNK: usize = 256;
pub(super) const CHUNK_BYTES: usize = 256 << 10;
/// Messages in the queue at most, and their memory in KiB.
const QUEUE: usize = 64;
const QUEUE_KIB: u32 = 16 << 10;

/// Where messages go: a queue that is bounded in messages and in bytes.
#[derive(Clone)]
pub(super) struct Output {
    queue: Sender<Queued>,
    memory: Arc<Semaphore>,
}

impl Output {
    /// A queue.
    pub(super) fn new() -> (Self, Receiver<Queued>) {
        let (queue, input) = channel(QUEUE);
        (Self { queue, memory: Arc::new(Semaphore::new(QUEUE_KIB as usize)) }, input)
    }

    /// Waits for room and sends.
    ///
    /// # Errors
    /// Nobody listens.
    pub(super) async fn send(&self, message: Message) -> Result<(), TaskError> {
        // A message larger than the queue waits until it has the queue for itself.
        let share = u32::try_from(message.bytes >> 10).unwrap_or(u32::MAX).saturating_add(1).min(QUEUE_KIB);
        let share = self.memory.clone().acquire_many_owned(share).await.ok();
        self.queue.send((Ok(message), share)).await.map_err(|_| closed())
    }

    /// Waits until nobody listens.
    pub(super) async fn closed(&self) {
        self.queue.closed().await;
    }
}

/// Reads until it fails or nobody listens.
pub(super) async fn run(settings: Arc<Settings>, catalog: Catalog, offset: Option<Offset>, output: Output) {
    if let Err(error) = read(&settings, catalog, offset, &output).await {
        let _ = output.queue.send((Err(error), None)).await;
    }
}

async fn read(
    settings: &Arc<Settings>,
    mut catalog: Catalog,
    offset: Option<Offset>,
    output: &Output,
) -> Result<(), TaskError> {
    let mut conn = connection::connect(settings).await?;
    let server = Server::check(settings, &mut conn).await?;
    catalog.mariadb = server.mariadb;
    catalog.lower_case = server.lower_case;
    catalog.described = server.collations.is_some();
    let files = connection::binlog_files(settings, &mut conn).await?;
    let available = |o: &Offset| files.iter().any(|f| f.name == *o.file && o.pos <= f.size);
    let start = match offset {
        Some(offset) if offset.snapshot => None,
        Some(offset) if available(&offset) => Some(offset),
        Some(_) if settings.snapshot_mode == SnapshotMode::WhenNeeded => None,
        Some(offset) => return Err(gone(&offset)),
        None if settings.snapshot_mode == SnapshotMode::Never => {
            let first =
                files.first().ok_or_else(|| TaskError::Fatal("SHOW BINARY LOGS gave no file".to_owned()))?;
            Some(Offset::at(first.name.as_str(), 4, None, 0))
        }
        None => None,
    };
    let start = match start {
        Some(offset) => offset,
        None => snapshot::run(settings, &server, &mut conn, &mut catalog, output).await?,
    };
    binlog::run(settings.clone(), server, conn, catalog, start, output.clone()).await
}

/// The place is no longer in the server's binlog.
pub(super) fn gone(offset: &Offset) -> TaskError {
    TaskError::Fatal(format!(
        "The connector is trying to read binlog starting at {{file={}, pos={}, gtids={}}}, but this is no longer available on \
         the server. Reconfigure the connector to use a snapshot when needed (snapshot.mode=when_needed).",
        offset.file,
        offset.pos,
        offset.gtids.as_deref().unwrap_or("null")
    ))
}

/// The task no longer listens: it ends.
fn closed() -> TaskError {
    TaskError::Retriable("The task ends".to_owned())
}
