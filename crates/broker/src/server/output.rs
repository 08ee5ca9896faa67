//! Writes answers: those that are ready together in one call, and parts of files without reading them where that can be.
//!
//! `sendfile` gives the socket pages of the page cache. What is not in it has to come from the disk, for which a task must not
//! wait: others of its thread would wait, too. What may be cold goes one of two ways:
//! - An answer with up to [`FEW`] such parts: they are looked at in steps of [`STEP`] bytes, and what is not in memory is fetched
//!   by a thread for blocking work first; what follows is asked of the disk meanwhile ([`crate::fetch::ahead`]), since disk and
//!   network would take turns otherwise.
//! - One with more: a thread for blocking work calls `sendfile` itself, until the socket takes no more. The kernel reads ahead in
//!   each of the files, which is enough to do, and costs less.
//!
//! Over TLS the bytes are read in the steps of the first way, so that a client that does not take them holds one step of memory.

use super::session::{Session, Stage};
use super::transport::Transport;
use crate::fetch::ahead::ReadAhead;
use crate::wire::frame::{FilePart, Frame, Piece};
use bd_log::FsFile;
use bytes::Buf;
use rustix::fs::sendfile;
use rustix::io::{Errno, ReadWriteFlags};
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;

/// Pieces that one call writes at most.
const MAX_PIECES: usize = 64;
/// What is looked for in memory, or read, at once of a file.
const STEP: usize = 512 << 10;
/// The same over TLS.
const TLS_STEP: usize = 64 << 10;
/// Parts of an answer that may be cold, for which the disk is asked ahead.
const FEW: usize = 2;
/// What is sent, from memory as a rule, to wait for a socket that was full.
const SIP: u64 = 64 << 10;
/// Between the pages that are touched so that a step is in memory.
const TOUCH: u64 = 64 << 10;

/// Writes the pieces of answers in their order.
pub(super) async fn write<T: Transport>(
    socket: &mut T,
    session: &Session,
    ahead: &mut ReadAhead,
    answers: impl IntoIterator<Item = Frame>,
) -> io::Result<()> {
    let mut pieces: VecDeque<Piece> = answers.into_iter().flatten().filter(|p| p.len() > 0).collect();
    let few = cold(&pieces).count() <= FEW;
    if few {
        read_ahead(ahead, &pieces);
    }
    while let Some(first) = pieces.front() {
        match first {
            Piece::Bytes(_) => {
                let written = write_bytes(socket, &pieces).await?;
                skip(&mut pieces, written);
            }
            Piece::File(_) => {
                if let Some(Piece::File(part)) = pieces.pop_front() {
                    match socket.plain() {
                        Some(plain) if !few && part.cold && part.file.fd().is_some() => {
                            send_from_disk(plain, session, &part).await?;
                        }
                        _ => write_file(socket, session, part).await?,
                    }
                }
            }
        }
        session.note_active(Stage::Idle);
    }
    socket.flush().await
}

/// Writes what it can of the pieces in memory at the front. The slices are made anew for each try, so that a connection which
/// waits does not hold them.
async fn write_bytes<T: Transport>(socket: &mut T, pieces: &VecDeque<Piece>) -> io::Result<usize> {
    let file_follows = pieces.iter().take(MAX_PIECES).any(|piece| matches!(piece, Piece::File(_)));
    let written = match socket.plain() {
        // The head of a file leaves with its first bytes, not in a packet of its own.
        Some(plain) if file_follows => {
            let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
            let send = || {
                with_slices(pieces, |slices| {
                    Ok(sendmsg(plain, slices, &mut SendAncillaryBuffer::default(), flags)?)
                })
            };
            plain.async_io(Interest::WRITABLE, send).await?
        }
        _ => {
            let mut socket = Pin::new(socket);
            poll_fn(|cx| with_slices(pieces, |slices| socket.as_mut().poll_write_vectored(cx, slices)))
                .await?
        }
    };
    if written == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(written) }
}

fn with_slices<R>(pieces: &VecDeque<Piece>, write: impl FnOnce(&[IoSlice<'_>]) -> R) -> R {
    let mut slices = [IoSlice::new(&[]); MAX_PIECES];
    let bytes = pieces.iter().map_while(|piece| match piece {
        Piece::Bytes(bytes) => Some(bytes),
        Piece::File(_) => None,
    });
    let n = slices.iter_mut().zip(bytes).map(|(slice, bytes)| *slice = IoSlice::new(bytes)).count();
    write(slices.get(..n).unwrap_or_default())
}

fn skip(pieces: &mut VecDeque<Piece>, mut written: usize) {
    while let Some(Piece::Bytes(first)) = pieces.front_mut() {
        if written < first.len() {
            first.advance(written);
            return;
        }
        written -= first.len();
        pieces.pop_front();
    }
}

async fn write_file<T: Transport>(socket: &mut T, session: &Session, mut part: FilePart) -> io::Result<()> {
    let direct = socket.plain().is_some() && part.file.fd().is_some();
    while part.len > 0 {
        let step = part.len.min(if direct { STEP } else { TLS_STEP });
        let bytes = part.position..part.position + step as u64;
        if part.cold && !is_in_memory(&*part.file, bytes.clone()) {
            let file = Arc::clone(&part.file);
            let fetched = tokio::task::spawn_blocking(move || bring_in(&*file, bytes));
            fetched.await.map_err(io::Error::other)??;
        }
        match (socket.plain(), part.file.fd()) {
            (Some(plain), Some(fd)) => {
                let len = if part.cold { step } else { part.len };
                send(plain, session, fd, part.position, len).await?;
                (part.position, part.len) = (part.position + len as u64, part.len - len);
            }
            _ => {
                let mut bytes = Vec::with_capacity(step);
                if part.file.read_at(part.position, step, &mut bytes)? < step {
                    return Err(cut_short(part.position));
                }
                socket.write_all(&bytes).await?;
                session.note_active(Stage::Idle);
                (part.position, part.len) = (part.position + step as u64, part.len - step);
            }
        }
    }
    Ok(())
}

fn cut_short(position: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        format!("a log file has become shorter than byte {position}"),
    )
}

async fn send(
    socket: &TcpStream,
    session: &Session,
    file: BorrowedFd<'_>,
    mut position: u64,
    len: usize,
) -> io::Result<()> {
    let end = position + len as u64;
    while position < end {
        let sent = socket
            .async_io(Interest::WRITABLE, || {
                let mut at = position;
                Ok(sendfile(socket, file, Some(&mut at), (end - position) as usize)?)
            })
            .await?;
        if sent == 0 {
            return Err(cut_short(position));
        }
        session.note_active(Stage::Idle);
        position += sent as u64;
    }
    Ok(())
}

/// Sends a part that may be cold by a thread that may wait for the disk. It does not wait for the socket.
async fn send_from_disk(socket: &TcpStream, session: &Session, part: &FilePart) -> io::Result<()> {
    let Some(fd) = part.file.fd() else { return Ok(()) };
    let (mut position, end) = (part.position, part.position + part.len as u64);
    let twin = Arc::new(socket.as_fd().try_clone_to_owned()?);
    while position < end {
        let (twin, file) = (Arc::clone(&twin), Arc::clone(&part.file));
        let sent = tokio::task::spawn_blocking(move || send_until_full(&twin, &*file, position, end));
        position = sent.await.map_err(io::Error::other)??;
        session.note_active(Stage::Idle);
        // The socket is full: what is sent next waits for room in it.
        let sip = (end - position).min(SIP);
        send(socket, session, fd, position, sip as usize).await?;
        position += sip;
    }
    Ok(())
}

/// Sends until `end` or until the socket takes no more; gives the position that was reached.
fn send_until_full(socket: &OwnedFd, file: &dyn FsFile, mut position: u64, end: u64) -> io::Result<u64> {
    let Some(fd) = file.fd() else { return Ok(position) };
    while position < end {
        let left = (end - position) as usize;
        match sendfile(socket, fd, Some(&mut position), left) {
            Ok(0) => return Err(cut_short(position)),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(position)
}

/// Whether the step's first and last bytes are in the page cache. Where the system cannot tell, it says yes.
fn is_in_memory(file: &dyn FsFile, bytes: Range<u64>) -> bool {
    let Some(fd) = file.fd() else { return true };
    let there = |at: u64| {
        let mut byte = [0; 1];
        let read = rustix::io::preadv2(fd, &mut [IoSliceMut::new(&mut byte)], at, ReadWriteFlags::NOWAIT);
        read != Err(Errno::AGAIN)
    };
    there(bytes.start) && there(bytes.end.saturating_sub(1))
}

/// The parts that may be cold of files that the system can send.
fn cold(pieces: &VecDeque<Piece>) -> impl Iterator<Item = &FilePart> {
    pieces.iter().filter_map(|piece| match piece {
        Piece::File(part) if part.cold && part.file.fd().is_some() => Some(part),
        _ => None,
    })
}

/// Has what may be cold of an answer, and what its reader will want next, read from the disk; waits for nothing.
fn read_ahead(ahead: &mut ReadAhead, pieces: &VecDeque<Piece>) {
    let wanted = cold(pieces).filter_map(|part| {
        let bytes = part.position..part.position + part.len as u64;
        let wanted = ahead.wanted(Arc::as_ptr(&part.file).addr(), bytes)?;
        (!is_in_memory(&*part.file, wanted.clone())).then(|| (Arc::clone(&part.file), wanted))
    });
    let wanted: Vec<(Arc<dyn FsFile>, Range<u64>)> = wanted.collect();
    if !wanted.is_empty() {
        // What cannot be read is told of when it is sent.
        let read = move || wanted.into_iter().try_for_each(|(file, bytes)| bring_in(&*file, bytes));
        drop(tokio::task::spawn_blocking(read));
    }
}

/// Reads bytes from the disk into the page cache, as far as the file goes. A byte here and there is enough: the kernel reads
/// ahead of a reader in sequence, in larger pages than if it is asked for the bytes (`POSIX_FADV_WILLNEED`), which cost less to
/// fill and to send.
fn bring_in(file: &dyn FsFile, bytes: Range<u64>) -> io::Result<()> {
    let mut byte = Vec::with_capacity(1);
    let last = bytes.end.saturating_sub(1);
    let mut at = bytes.start;
    loop {
        byte.clear();
        if file.read_at(at, 1, &mut byte)? == 0 || at == last {
            return Ok(());
        }
        at = last.min(at + TOUCH);
    }
}
