//! Writes answers: those that are ready together in one call, and parts of files without reading them where that can be.
//!
//! `sendfile` gives the socket pages of the page cache. What is not in it has to come from the disk, for which a task must not
//! wait: others of its thread would wait, too. So parts that may be cold are looked at in steps of [`STEP`] bytes, and what is
//! not in memory is fetched by a thread for blocking work first; what follows is asked of the disk meanwhile
//! ([`crate::fetch::ahead`]). Over TLS the bytes are read in the same steps, so that a
//! client that does not take them holds one step of memory.

use super::session::{Session, Stage};
use super::transport::Transport;
use crate::fetch::ahead::ReadAhead;
use crate::wire::frame::{FilePart, Frame, Piece};
use bd_log::FsFile;
use bytes::Buf;
use rustix::fs::{Advice, sendfile};
use rustix::io::ReadWriteFlags;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::num::NonZero;
use std::ops::Range;
use std::os::fd::BorrowedFd;
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
/// Between the pages that are touched so that a step is in memory.
const TOUCH: u64 = 64 << 10;
/// What the disk is asked for at once: the kernel cuts larger requests off.
const ASK: u64 = 1 << 20;

/// Writes the pieces of answers in their order.
pub(super) async fn write<T: Transport>(
    socket: &mut T,
    session: &Session,
    ahead: &mut ReadAhead,
    answers: impl IntoIterator<Item = Frame>,
) -> io::Result<()> {
    let mut pieces: VecDeque<Piece> = answers.into_iter().flatten().filter(|p| p.len() > 0).collect();
    ask_ahead(ahead, &pieces);
    while let Some(first) = pieces.front() {
        match first {
            Piece::Bytes(_) => {
                let written = write_bytes(socket, &pieces).await?;
                skip(&mut pieces, written);
            }
            Piece::File(_) => {
                if let Some(Piece::File(part)) = pieces.pop_front() {
                    write_file(socket, session, part).await?;
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

/// Whether the step's first and last bytes are in the page cache. Where the system cannot tell, it says yes.
fn is_in_memory(file: &dyn FsFile, bytes: Range<u64>) -> bool {
    let Some(fd) = file.fd() else { return true };
    let there = |at: u64| {
        let mut byte = [0; 1];
        let read = rustix::io::preadv2(fd, &mut [IoSliceMut::new(&mut byte)], at, ReadWriteFlags::NOWAIT);
        read != Err(rustix::io::Errno::AGAIN)
    };
    there(bytes.start) && there(bytes.end.saturating_sub(1))
}

/// Has the disk asked for what may be cold of an answer, and for what its reader will want next; waits for nothing.
fn ask_ahead(ahead: &mut ReadAhead, pieces: &VecDeque<Piece>) {
    let cold = || {
        pieces.iter().filter_map(|piece| match piece {
            Piece::File(part) if part.cold && part.file.fd().is_some() => Some(part),
            _ => None,
        })
    };
    let parts = cold().count();
    let wanted = cold().filter_map(|part| {
        let bytes = part.position..part.position + part.len as u64;
        let wanted = ahead.wanted(Arc::as_ptr(&part.file).addr(), bytes, parts)?;
        (!is_in_memory(&*part.file, wanted.clone())).then(|| (Arc::clone(&part.file), wanted))
    });
    let wanted: Vec<(Arc<dyn FsFile>, Range<u64>)> = wanted.collect();
    if !wanted.is_empty() {
        drop(tokio::task::spawn_blocking(move || {
            wanted.into_iter().for_each(|(file, bytes)| ask(&*file, bytes))
        }));
    }
}

/// Has the system begin to read bytes of a file into the page cache. Advice only: without it they are read as they are touched.
fn ask(file: &dyn FsFile, bytes: Range<u64>) {
    let Some(fd) = file.fd() else { return };
    let mut at = bytes.start;
    while at < bytes.end {
        let len = ASK.min(bytes.end - at);
        if rustix::fs::fadvise(fd, at, NonZero::new(len), Advice::WillNeed).is_err() {
            return;
        }
        at += len;
    }
}

/// Reads bytes from the disk into the page cache.
fn bring_in(file: &dyn FsFile, bytes: Range<u64>) -> io::Result<()> {
    ask(file, bytes.clone());
    let mut byte = Vec::with_capacity(1);
    let last = bytes.end.saturating_sub(1);
    let mut at = bytes.start;
    loop {
        byte.clear();
        file.read_at(at, 1, &mut byte)?;
        if at == last {
            return Ok(());
        }
        at = last.min(at + TOUCH);
    }
}
