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
use tokio::sync::mpsc::Sender;

/// What was read: records of one table, or only progress.
#[derive(Debug)]
pub(super) struct Message {
    /// The records' table; `None` where there are none.
    pub(super) table: Option<Arc<Captured>>,
    pub(super) records: Vec<Record>,
    /// Changes of rows that the records are of.
    pub(super) changes: usize,
    /// Where the source stands after them.
    pub(super) offset: Offset,
    /// Definitions that changed.
    pub(super) schemas: Vec<(SourcePartition, Option<SourceOffset>)>,
    /// To be committed even where no records come with it.
    pub(super) urgent: bool,
    /// More of the same transaction follows, most likely at once.
    pub(super) in_transaction: bool,
}

/// Where messages go.
pub(super) type Output = Sender<Result<Message, TaskError>>;

/// Changes in one message at most.
pub(super) const CHUNK: usize = 256;

/// Reads until it fails or nobody listens.
pub(super) async fn run(settings: Arc<Settings>, catalog: Catalog, offset: Option<Offset>, output: Output) {
    if let Err(error) = read(&settings, catalog, offset, &output).await {
        let _ = output.send(Err(error)).await;
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
pub(super) fn closed() -> TaskError {
    TaskError::Retriable("The task ends".to_owned())
}
