//! The stream of the binlog: asked for at a place, read event by event.

use super::catalog::Catalog;
use super::config::Settings;
use super::connection::{Server, failure};
use super::event::Event;
use super::offset::Offset;
use super::reader::{Output, gone};
use super::reading::Reading;
use bd_connect::sdk::TaskError;
use futures_core::Stream;
use mysql_async::prelude::Queryable;
use mysql_async::{BinlogStream, BinlogStreamRequest, Conn};
use std::pin::Pin;
use std::sync::Arc;

/// Heartbeats of a silent server in the time after which it is taken for gone.
const HEARTBEATS: u32 = 6;

/// Reads the binlog from that place until it fails or nobody listens.
///
/// # Errors
/// See [`TaskError`].
pub(super) async fn run(
    settings: Arc<Settings>,
    server: Server,
    mut conn: Conn,
    catalog: Catalog,
    start: Offset,
    output: Output,
) -> Result<(), TaskError> {
    let heartbeat =
        format!("SET @master_heartbeat_period = {}", (settings.keep_alive / HEARTBEATS).as_nanos());
    // 4: it may send global transaction ids instead of BEGIN.
    // A worker that is busy for long must not lose its connection.
    let patience = "SET SESSION net_write_timeout = 3600";
    for query in [heartbeat.as_str(), "SET @mariadb_slave_capability = 4", patience] {
        conn.query_drop(query).await.map_err(|e| failure(&settings, query, e))?;
    }
    let request =
        BinlogStreamRequest::new(settings.server_id).with_filename(start.file.as_bytes()).with_pos(start.pos);
    let mut stream =
        conn.get_binlog_stream(request).await.map_err(|e| stream_failure(&settings, &start, e))?;
    let mut reading = Reading::new(settings.clone(), &server, catalog, start, output);
    loop {
        let next = tokio::select! {
            next = tokio::time::timeout(settings.keep_alive, next(&mut stream)) => next,
            () = reading.output.closed() => return Ok(()),
        };
        let event = match next {
            Ok(Some(Ok(event))) => event,
            Ok(Some(Err(error))) => return Err(stream_failure(&settings, &reading.place, error)),
            Ok(None) => {
                let text = format!(
                    "The server {} ended the binlog stream. Is it shutting down?",
                    settings.address()
                );
                return Err(TaskError::Retriable(text));
            }
            Err(_) => {
                let silence = settings.keep_alive.as_millis();
                return Err(TaskError::Retriable(format!(
                    "The server {} has said nothing for {silence} ms (connect.keep.alive.interval.ms)",
                    settings.address()
                )));
            }
        };
        let header = event.header();
        let event = Event {
            kind: header.event_type_raw(),
            timestamp: header.timestamp(),
            server_id: header.server_id(),
            size: header.event_size(),
            end: header.log_pos(),
            artificial: header.flags_raw() & 0x20 != 0,
            data: event.data(),
        };
        reading.event(&event).await?;
    }
}

async fn next(
    stream: &mut BinlogStream,
) -> Option<Result<mysql_async::binlog::events::Event, mysql_async::Error>> {
    std::future::poll_fn(|context| Pin::new(&mut *stream).poll_next(context)).await
}

fn stream_failure(settings: &Settings, place: &Offset, error: mysql_async::Error) -> TaskError {
    match &error {
        mysql_async::Error::Server(e)
            if e.code == 1236
                && (e.message.contains("Could not find first log") || e.message.contains("purged")) =>
        {
            gone(place)
        }
        _ => failure(settings, &format!("Reading the binlog from {} {}", place.file, place.pos), error),
    }
}
