//! A connected socket, plain or TLS, in two halves that two threads may use.
//!
//! Plain, the halves are two handles of one socket. With TLS they share the session: the reader waits for bytes without
//! holding it, so that a writer is never kept waiting for an answer.

use crate::error::ClientError;
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use std::io::{self, IoSlice, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// TLS records are at most this long, with their headers.
const TLS_CHUNK: usize = 17 << 10;

/// Connects to `host:port`, trying each address of the name.
pub(crate) fn connect(
    address: &str,
    tls: Option<&Arc<rustls::ClientConfig>>,
    timeout: Duration,
    io_timeout: Duration,
) -> Result<(ReadHalf, WriteHalf), ClientError> {
    let error = |reason: String| ClientError::Connect { broker: address.to_owned(), reason };
    let addresses = address.to_socket_addrs().map_err(|e| error(format!("{e} (expected host:port)")))?;
    let mut last = "the name has no address".to_owned();
    let mut found = None;
    for socket in addresses {
        match TcpStream::connect_timeout(&socket, timeout) {
            Ok(stream) => {
                found = Some(stream);
                break;
            }
            Err(e) => last = e.to_string(),
        }
    }
    let stream = found.ok_or_else(|| error(last))?;
    let io = |e: io::Error| error(e.to_string());
    stream.set_nodelay(true).map_err(io)?;
    stream.set_read_timeout(Some(io_timeout)).map_err(io)?;
    stream.set_write_timeout(Some(io_timeout)).map_err(io)?;
    let other = stream.try_clone().map_err(io)?;
    let Some(config) = tls else { return Ok((ReadHalf::Plain(stream), WriteHalf::Plain(other))) };
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let name =
        ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(|e| error(e.to_string()))?;
    let mut session = ClientConnection::new(config.clone(), name).map_err(|e| error(e.to_string()))?;
    let mut stream = stream;
    while session.is_handshaking() {
        session.complete_io(&mut stream).map_err(|e| error(format!("TLS: {e}")))?;
    }
    let session = Arc::new(Mutex::new(session));
    let read = TlsRead {
        session: session.clone(),
        stream,
        chunk: vec![0; TLS_CHUNK].into(),
        pending: 0..0,
        ended: false,
        reply: Vec::new(),
    };
    Ok((ReadHalf::Tls(Box::new(read)), WriteHalf::Tls(TlsWrite { session, stream: other, out: Vec::new() })))
}

/// What answers come from.
pub(crate) enum ReadHalf {
    Plain(TcpStream),
    Tls(Box<TlsRead>),
}

/// What requests go to.
pub(crate) enum WriteHalf {
    Plain(TcpStream),
    Tls(TlsWrite),
}

pub(crate) struct TlsRead {
    session: Arc<Mutex<ClientConnection>>,
    stream: TcpStream,
    chunk: Box<[u8]>,
    /// What of the chunk the session has not taken.
    pending: Range<usize>,
    ended: bool,
    reply: Vec<u8>,
}

pub(crate) struct TlsWrite {
    session: Arc<Mutex<ClientConnection>>,
    stream: TcpStream,
    out: Vec<u8>,
}

fn lock(session: &Mutex<ClientConnection>) -> MutexGuard<'_, ClientConnection> {
    session.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl ReadHalf {
    /// The longest wait in one read.
    pub(crate) fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.set_read_timeout(Some(timeout)),
            Self::Tls(tls) => tls.stream.set_read_timeout(Some(timeout)),
        }
    }

    /// Whether the other side has closed. Only while no other thread uses the halves.
    pub(crate) fn is_closed(&self) -> bool {
        let stream = match self {
            Self::Plain(stream) => stream,
            Self::Tls(tls) => &tls.stream,
        };
        if stream.set_nonblocking(true).is_err() {
            return true;
        }
        let peeked = stream.peek(&mut [0]);
        let closed = match peeked {
            Ok(read) => read == 0,
            Err(e) => e.kind() != io::ErrorKind::WouldBlock,
        };
        stream.set_nonblocking(false).is_err() || closed
    }

    /// Appends exactly `size` bytes. From a plain socket the kernel writes them where they stay, without clearing it first.
    pub(crate) fn read_bytes(&mut self, size: usize, out: &mut Vec<u8>) -> io::Result<()> {
        let read = match self {
            Self::Plain(stream) => stream.take(size as u64).read_to_end(out)?,
            Self::Tls(tls) => tls.take(size as u64).read_to_end(out)?,
        };
        if read < size { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

impl Read for ReadHalf {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Read for TlsRead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut session = lock(&self.session);
            match session.reader().read(buffer) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
            // The session takes more only when it was emptied, so what is left of the last chunk comes first.
            if self.pending.is_empty() && !self.ended {
                drop(session);
                let read = self.stream.read(&mut self.chunk)?;
                self.pending = 0..read;
                self.ended = read == 0;
                session = lock(&self.session);
            }
            let mut bytes = self.chunk.get(self.pending.clone()).unwrap_or_default();
            let taken = session.read_tls(&mut bytes)?;
            self.pending.start += taken;
            session.process_new_packets().map_err(io::Error::other)?;
            if session.wants_write() {
                // What TLS itself has to say, such as a key update.
                self.reply.clear();
                while session.wants_write() {
                    session.write_tls(&mut self.reply)?;
                }
                (&self.stream).write_all(&self.reply)?;
            }
        }
    }
}

impl WriteHalf {
    /// Writes all of the parts.
    pub(crate) fn write_parts(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => {
                let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
                let mut rest = slices.as_mut_slice();
                IoSlice::advance_slices(&mut rest, 0);
                while !rest.is_empty() {
                    match stream.write_vectored(rest) {
                        Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                        Ok(written) => IoSlice::advance_slices(&mut rest, written),
                        Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                        Err(e) => return Err(e),
                    }
                }
                Ok(())
            }
            Self::Tls(tls) => {
                for chunk in parts.iter().flat_map(|part| part.chunks(16 << 10)) {
                    let mut session = lock(&tls.session);
                    session.writer().write_all(chunk)?;
                    tls.out.clear();
                    while session.wants_write() {
                        session.write_tls(&mut tls.out)?;
                    }
                    // In the order in which they were encrypted, so still with the session in hand.
                    tls.stream.write_all(&tls.out)?;
                }
                Ok(())
            }
        }
    }
}
