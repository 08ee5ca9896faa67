//! Serves the Kafka protocol on a listener.
//!
//! ```text
//!            ┌ reader task: frame ─▶ api::start, in order ─▶ bounded queue of answers ─▶ writer task ┐
//!  socket ───┤                                                                                       ├─── socket
//!            └────────────────────────────── answers in the order of the requests ───────────────────┘
//! ```
//! Produce requests of a connection overlap: each is in the log before the next one starts, and they share fsyncs. All others
//! are answered before the next one starts. The queue bounds what a connection has under way; a client that does not read its
//! answers is not read from.

use crate::api::{self, Client, Frame, Pending, Started};
use crate::broker::Broker;
use crate::security::Principal;
use bytes::{Buf, Bytes, BytesMut};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;

/// Answers that a connection may have under way.
const MAX_UNDER_WAY: usize = 64;
/// After an answer of this size the connection is read from only when it is written.
const LARGE_ANSWER: usize = 1 << 20;
/// A request's buffer grows by so much at first, and never beyond twice what has arrived.
const FIRST_READ: usize = 64 << 10;

/// Serves until `shutdown` is ready, then ends the connections. Closing the broker is left to the caller.
///
/// # Errors
/// None for single connections: they are logged. The listener's own errors are waited out.
pub async fn serve(
    broker: Arc<Broker>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let (stop, stopped) = watch::channel(false);
    let slots = Arc::new(Semaphore::new(broker.config().max_connections));
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => {
                    let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
                        tracing::warn!(%peer, "refused: max.connections are open");
                        continue;
                    };
                    let (broker, stopped) = (Arc::clone(&broker), stopped.clone());
                    connections.spawn(async move {
                        broker.counters().connection_opened();
                        if let Err(error) = connection(&broker, socket, peer, stopped).await {
                            tracing::debug!(%peer, %error, "connection closed");
                        }
                        broker.counters().connection_closed();
                        drop(slot);
                    });
                }
                Err(error) => {
                    // Out of file descriptors, mostly: others must close first.
                    tracing::warn!(%error, "cannot accept");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
    let _ = stop.send(true);
    while connections.join_next().await.is_some() {}
    Ok(())
}

/// An answer on its way to the writer; `written` is told when it is on the socket.
struct Outgoing {
    answer: Pending,
    written: Option<oneshot::Sender<()>>,
}

async fn connection(
    broker: &Arc<Broker>,
    socket: TcpStream,
    peer: SocketAddr,
    mut stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let (read, write) = socket.into_split();
    let (answers, queue) = mpsc::channel(MAX_UNDER_WAY);
    let mut writer = tokio::spawn(write_answers(write, queue));
    let client = Client { host: format!("/{}", peer.ip()), principal: Arc::new(Principal::anonymous()) };
    let result = tokio::select! {
        result = read_requests(broker, read, &client, answers) => result,
        // The writer ends first only when the socket is broken or a request could not be answered.
        ended = &mut writer => return ended.unwrap_or(Ok(())),
        _ = stopped.wait_for(|stop| *stop) => {
            writer.abort();
            return Ok(());
        }
    };
    // What is under way is still answered.
    tokio::select! {
        ended = &mut writer => result.and(ended.unwrap_or(Ok(()))),
        _ = stopped.wait_for(|stop| *stop) => {
            writer.abort();
            result
        }
    }
}

fn invalid(reason: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.to_string())
}

async fn read_requests(
    broker: &Arc<Broker>,
    mut socket: OwnedReadHalf,
    client: &Client,
    answers: mpsc::Sender<Outgoing>,
) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    loop {
        let idle = broker.config().connection_max_idle;
        let read = read_frame(&mut socket, &mut buffer, broker.config().max_request_bytes);
        let frame = match tokio::time::timeout(idle, read).await {
            Ok(frame) => frame?,
            Err(_) => return Err(io::Error::new(io::ErrorKind::TimedOut, "idle")),
        };
        let Some(frame) = frame else { return Ok(()) };
        // A place in the queue first: what cannot be answered soon is not begun.
        let Ok(place) = answers.reserve().await else { return Ok(()) };
        match api::start(broker, client, frame).map_err(invalid)? {
            Started::Overlapping(answer) => place.send(Outgoing { answer, written: None }),
            Started::Exclusive(answer) => {
                let frame = answer.await.map_err(invalid)?;
                let large = frame.iter().map(Bytes::len).sum::<usize>() >= LARGE_ANSWER;
                let (written, on_socket) = oneshot::channel();
                let answer: Pending = Box::pin(async move { Ok(frame) });
                place.send(Outgoing { answer, written: large.then_some(written) });
                if large {
                    let _ = on_socket.await;
                }
            }
        }
    }
}

/// The next frame without its length; `None` at the end. Memory is taken as bytes arrive, not as the length claims.
async fn read_frame(
    socket: &mut OwnedReadHalf,
    buffer: &mut BytesMut,
    max: usize,
) -> io::Result<Option<BytesMut>> {
    while buffer.len() < 4 {
        buffer.reserve(FIRST_READ);
        if socket.read_buf(buffer).await? == 0 {
            return match buffer.is_empty() {
                true => Ok(None),
                false => Err(io::ErrorKind::UnexpectedEof.into()),
            };
        }
    }
    let length = i32::from_be_bytes([buffer[0], buffer[1], buffer[2], buffer[3]]);
    let length = usize::try_from(length).ok().filter(|n| *n <= max);
    let Some(length) = length else {
        return Err(invalid(format!(
            "a request of {} bytes (at most {max})",
            u32::from_be_bytes([buffer[0], buffer[1], buffer[2], buffer[3],])
        )));
    };
    buffer.advance(4);
    while buffer.len() < length {
        let missing = length - buffer.len();
        buffer.reserve(missing.min(buffer.len().max(FIRST_READ)));
        if socket.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(Some(buffer.split_to(length)))
}

async fn write_answers(mut socket: OwnedWriteHalf, mut queue: mpsc::Receiver<Outgoing>) -> io::Result<()> {
    while let Some(outgoing) = queue.recv().await {
        let frame: Frame = outgoing.answer.await.map_err(invalid)?;
        for mut chunk in frame {
            socket.write_all_buf(&mut chunk).await?;
        }
        if let Some(written) = outgoing.written {
            let _ = written.send(());
        }
    }
    socket.shutdown().await
}
