//! Cuts what a connection reads into requests, with no more memory than arrived bytes are worth.
//!
//! A silent connection holds no buffer: what is first read of a request goes through a scratch buffer that all connections of a
//! thread share. The rest of a larger request is read straight into a buffer of its own size, which the request then is:
//! record batches are split off it without a copy.

use super::limits::Network;
use super::session::{Session, Stage};
use bytes::{Buf, BytesMut};
use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;

/// A request of which part has arrived, but nothing more for so long, ends the connection.
pub(super) const HALF_FRAME: Duration = Duration::from_secs(30);
/// What is first read of a request at most.
const SCRATCH: usize = 8 << 10;
/// A claimed length is trusted up to here at once (pages that nothing is written to cost nothing); a larger buffer grows to at
/// most four times what has arrived.
const TRUSTED: usize = 1 << 20;
/// Read beyond the end of a large request at most.
const BEYOND: usize = 4 << 10;
/// Requests up to this size do not count towards `queued.max.request.bytes`: every connection may have one.
const FREE: usize = 16 << 10;

thread_local! {
    static SCRATCH_BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into());
}

/// A request without its length, and its share of the room for requests.
pub(super) struct FrameIn {
    pub(super) bytes: BytesMut,
    pub(super) room: Option<OwnedSemaphorePermit>,
}

/// The longest requests, bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// `socket.request.max.bytes`.
    pub(super) request: usize,
    /// `sasl.server.max.receive.size`: of a client that has not authenticated.
    pub(super) unauthenticated: usize,
}

type Asking = Pin<Box<dyn Future<Output = Option<OwnedSemaphorePermit>> + Send>>;

/// Reads requests one by one.
pub(super) struct Frames {
    network: Arc<Network>,
    limits: Limits,
    buffer: BytesMut,
    /// Bytes of the buffer that the room covers.
    covered: usize,
    room: Option<OwnedSemaphorePermit>,
    asking: Option<(usize, Asking)>,
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

impl Frames {
    pub(super) fn new(network: Arc<Network>, limits: Limits) -> Self {
        Self { network, limits, buffer: BytesMut::new(), covered: 0, room: None, asking: None }
    }

    /// The next request; `None` at the end between two.
    pub(super) fn poll_next<R: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        socket: &mut R,
        session: &Session,
    ) -> Poll<io::Result<Option<FrameIn>>> {
        loop {
            let total = match self.total(session)? {
                Some(total) if self.buffer.len() >= total => return Poll::Ready(Ok(Some(self.take(total)))),
                total => total,
            };
            let read = match total {
                Some(total) => {
                    ready!(self.poll_room(cx, total));
                    let read = pin!(socket.read_buf(&mut self.buffer));
                    ready!(read.poll(cx))?
                }
                None => ready!(self.poll_scratch(cx, socket))?,
            };
            if read == 0 {
                return Poll::Ready(match self.buffer.is_empty() {
                    true => Ok(None),
                    false => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "in the middle of a request")),
                });
            }
            session.note_active(Stage::Half);
        }
    }

    /// Bytes of the request at hand with its length, once that has arrived.
    fn total(&self, session: &Session) -> io::Result<Option<usize>> {
        let Some(length) = self.buffer.first_chunk::<4>() else { return Ok(None) };
        let length = i32::from_be_bytes(*length);
        let (max, key) = match session.is_authenticated() {
            true => (self.limits.request, "socket.request.max.bytes"),
            false => (self.limits.unauthenticated, "sasl.server.max.receive.size"),
        };
        match usize::try_from(length) {
            Ok(n) if n <= max => Ok(Some(n + 4)),
            _ => Err(invalid(format!("a request of {length} bytes is announced, the most is {max} ({key})"))),
        }
    }

    fn take(&mut self, total: usize) -> FrameIn {
        let mut bytes = self.buffer.split_to(total);
        bytes.advance(4);
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        } else if total > SCRATCH {
            // Few bytes, which would keep all of the request's buffer.
            self.buffer = BytesMut::from(&self.buffer[..]);
        }
        self.covered = 0;
        FrameIn { bytes, room: self.room.take() }
    }

    /// Reads into the shared scratch buffer, of which this keeps what was read.
    fn poll_scratch<R: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        socket: &mut R,
    ) -> Poll<io::Result<usize>> {
        SCRATCH_BUFFER.with_borrow_mut(|scratch| {
            let mut target = ReadBuf::new(scratch);
            ready!(Pin::new(socket).poll_read(cx, &mut target))?;
            self.buffer.extend_from_slice(target.filled());
            Poll::Ready(Ok(target.filled().len()))
        })
    }

    /// Makes the buffer large enough to read on.
    fn poll_room(&mut self, cx: &mut Context<'_>, total: usize) -> Poll<()> {
        let arrived = self.buffer.len();
        let room = self.buffer.capacity();
        if room > arrived && room >= total.min(TRUSTED) && self.asking.is_none() {
            return Poll::Ready(());
        }
        let wanted = total.min(TRUSTED.max(arrived.saturating_mul(4)));
        if wanted > FREE && wanted > self.covered {
            let more = wanted - self.covered;
            let network = &self.network;
            let (_, asking) =
                self.asking.get_or_insert_with(|| (more, Box::pin(Arc::clone(network).room(more))));
            let got = ready!(asking.as_mut().poll(cx));
            let more = self.asking.take().map_or(0, |(more, _)| more);
            self.covered += more;
            match (&mut self.room, got) {
                (Some(room), Some(got)) => room.merge(got),
                (room, got) => *room = got,
            }
        }
        // A read that fills its buffer is followed by one that finds nothing, unless there is room for more.
        self.buffer.reserve(wanted.saturating_sub(arrived) + BEYOND);
        Poll::Ready(())
    }
}

#[cfg(test)]
#[path = "frames_tests.rs"]
mod tests;
