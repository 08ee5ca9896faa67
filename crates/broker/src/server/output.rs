//! Writes answers: those that are ready together in one call.

use super::session::{Session, Stage};
use super::transport::Transport;
use crate::api::Frame;
use bytes::Buf;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use tokio::io::AsyncWriteExt;

/// Pieces that one call writes at most.
const MAX_PIECES: usize = 64;

/// Writes the pieces of answers in their order.
pub(super) async fn write<T: Transport>(
    socket: &mut T,
    session: &Session,
    answers: impl IntoIterator<Item = Frame>,
) -> io::Result<()> {
    let mut pieces: VecDeque<_> = answers.into_iter().flatten().filter(|piece| !piece.is_empty()).collect();
    while !pieces.is_empty() {
        let mut written = {
            let mut slices = [IoSlice::new(&[]); MAX_PIECES];
            let n = slices.iter_mut().zip(&pieces).map(|(slice, piece)| *slice = IoSlice::new(piece)).count();
            socket.write_vectored(slices.get(..n).unwrap_or_default()).await?
        };
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        session.note_active(Stage::Idle);
        while let Some(first) = pieces.front_mut() {
            if written < first.len() {
                first.advance(written);
                break;
            }
            written -= first.len();
            pieces.pop_front();
        }
    }
    socket.flush().await
}
