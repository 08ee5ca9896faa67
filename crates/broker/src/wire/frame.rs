//! Answers on their way to a socket: pieces of memory, and of files that are sent from where they lie.

use bd_log::FsFile;
use bytes::Bytes;
use std::sync::Arc;

/// A piece of an answer.
#[derive(Clone)]
pub(crate) enum Piece {
    /// Bytes.
    Bytes(Bytes),
    /// Bytes that are still in a file.
    File(FilePart),
}

/// A part of a file.
#[derive(Clone)]
pub(crate) struct FilePart {
    /// The file, which is held open.
    pub file: Arc<dyn FsFile>,
    /// Where the part begins.
    pub position: u64,
    /// How many bytes it has.
    pub len: usize,
    /// It may have to come from the disk.
    pub cold: bool,
}

impl Piece {
    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        match self {
            Piece::Bytes(bytes) => bytes.len(),
            Piece::File(part) => part.len,
        }
    }
}

impl std::fmt::Debug for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Piece::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Piece::File(part) => write!(f, "{} bytes at {} of a file", part.len, part.position),
        }
    }
}

/// An answer in the pieces in which it is written; together one frame with its length. Empty: no answer (`acks=0`).
pub(crate) type Frame = Vec<Piece>;
