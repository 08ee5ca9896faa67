//! Walks the batches of a segment file from front to back, for those who read all of it.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use crate::FsFile;
use crate::batch::{BatchError, BatchHeader, HEADER_BYTES};

const CHUNK_BYTES: usize = 1 << 20;

/// What lies at a position.
#[derive(Debug)]
pub(crate) enum Step {
    /// A batch whose header can be; its CRC is not checked.
    Batch { position: u64, header: BatchHeader, bytes: Bytes },
    /// No batch, or one that goes on behind the end. The walk stays there.
    Damaged { position: u64, error: BatchError },
    /// The end; zeros up to it do not count.
    End,
}

/// Reads a file in pieces of [`CHUNK_BYTES`], or of one batch where that is larger.
pub(crate) struct BatchWalk {
    file: Arc<dyn FsFile>,
    position: u64,
    end: u64,
    chunk: Bytes,
    chunk_at: u64,
}

impl BatchWalk {
    /// From the start of `file` to byte `end` (at most its length).
    pub(crate) fn new(file: Arc<dyn FsFile>, end: u64) -> Self {
        Self::from(file, 0, end)
    }

    /// From `position`, where a batch starts.
    pub(crate) fn from(file: Arc<dyn FsFile>, position: u64, end: u64) -> Self {
        BatchWalk { file, position, end, chunk: Bytes::new(), chunk_at: 0 }
    }

    /// The next batch.
    pub(crate) fn step(&mut self) -> io::Result<Step> {
        let position = self.position;
        if position >= self.end {
            return Ok(Step::End);
        }
        let header = match BatchHeader::parse(&self.bytes(HEADER_BYTES)?) {
            Ok(header) => header,
            Err(_) if self.only_zeros()? => return Ok(Step::End),
            Err(error) => return Ok(Step::Damaged { position, error }),
        };
        let have = usize::try_from(self.end - position).unwrap_or(usize::MAX);
        if header.size() > have {
            let error = BatchError::Truncated { need: header.size(), have };
            return Ok(Step::Damaged { position, error });
        }
        let bytes = self.bytes(header.size())?;
        if bytes.len() < header.size() {
            let error = BatchError::Truncated { need: header.size(), have: bytes.len() };
            return Ok(Step::Damaged { position, error });
        }
        self.position += header.size() as u64;
        Ok(Step::Batch { position, header, bytes })
    }

    /// Whether nothing but zeros follows: a log that is written has some ahead of its appends.
    fn only_zeros(&self) -> io::Result<bool> {
        let (mut at, mut bytes) = (self.position, Vec::new());
        while at < self.end {
            bytes.clear();
            let want = CHUNK_BYTES.min(usize::try_from(self.end - at).unwrap_or(CHUNK_BYTES));
            at += self.file.read_at(at, want, &mut bytes)?.max(1) as u64;
            if bytes.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// `len` bytes from the position, fewer only at the end.
    fn bytes(&mut self, len: usize) -> io::Result<Bytes> {
        let rest = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        let len = len.min(rest);
        let held = |chunk: &Bytes, at: usize| (at + len <= chunk.len()).then(|| chunk.slice(at..at + len));
        if self.position >= self.chunk_at
            && let Some(bytes) = held(&self.chunk, (self.position - self.chunk_at) as usize)
        {
            return Ok(bytes);
        }
        let want = len.max(CHUNK_BYTES).min(rest);
        let mut chunk = Vec::with_capacity(want);
        self.file.read_at(self.position, want, &mut chunk)?;
        (self.chunk, self.chunk_at) = (Bytes::from(chunk), self.position);
        Ok(self.chunk.slice(..len.min(self.chunk.len())))
    }
}
