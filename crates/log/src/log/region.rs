//! The read path without the bytes: where in a file the batches lie, so that the operating system
//! sends them (sendfile).

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use bytes::Bytes;

use super::opened::OpenLog;
use super::read::check_batches;
use crate::batch::{BatchHeader, HEADER_BYTES};
use crate::segment::Segment;
use crate::{AbortedTxn, FsFile, Isolation, LogError, ReadResult};

/// Read at once while headers are walked: the usual distance between two index entries.
const WINDOW_BYTES: usize = 4096;

/// Whole batches where they lie in one segment file, and the log's marks when they were looked up. What lies there never
/// changes; a deletion meanwhile does not hurt, since the file is held open.
///
/// ```
/// use std::sync::Arc;
/// use bd_log::{Isolation, Log, LogConfig, RealFs, batch::BatchBuilder};
/// let dir = tempfile::tempdir()?;
/// let (log, _) = Log::open(Arc::new(RealFs), dir.path(), LogConfig::default())?;
/// let mut batch = BatchBuilder::new();
/// batch.append(1_000, None, Some(b"hello"), &[]);
/// log.append(batch.build(), 0)?;
/// log.sync()?;
/// let region = log.read_region(0, 1 << 20, Isolation::HighWatermark, true)?;
/// match region.fd() {
///     Some(_fd) => (), // sendfile(socket, fd, region.position(), region.len())
///     None => drop(region.read()?),
/// }
/// # assert!(region.fd().is_some() && region.len() > 61);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Region {
    file: Option<Arc<dyn FsFile>>,
    path: std::path::PathBuf,
    position: u64,
    len: usize,
    /// The offset to ask for next, as in [`crate::ReadResult`].
    pub next_offset: i64,
    /// Aborted transactions that overlap the region; only filled for [`Isolation::LastStable`].
    pub aborted: Vec<AbortedTxn>,
    /// First offset of the log.
    pub start_offset: i64,
    /// Durable end of the log.
    pub high_watermark: i64,
    /// First offset that a `read_committed` reader may not see.
    pub last_stable_offset: i64,
}

impl Region {
    pub(super) fn empty(marks: ReadResult) -> Region {
        let ReadResult { next_offset, start_offset, high_watermark, last_stable_offset, .. } = marks;
        Region {
            file: None,
            path: std::path::PathBuf::new(),
            position: 0,
            len: 0,
            next_offset,
            aborted: Vec::new(),
            start_offset,
            high_watermark,
            last_stable_offset,
        }
    }

    /// The file's descriptor, for sendfile or splice; `None` if there are no bytes, or the file system is not the
    /// operating system's: then [`Region::read`] gives the bytes.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_ref()?.fd()
    }

    /// The file, to keep it open beyond the region's life; `None` if there are no bytes.
    pub fn file(&self) -> Option<&Arc<dyn FsFile>> {
        self.file.as_ref()
    }

    /// Where the first batch starts in the file.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// How many bytes the batches have.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing to read.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes.
    ///
    /// # Errors
    /// [`LogError::Io`], also if the file has become shorter.
    pub fn read(&self) -> Result<Bytes, LogError> {
        let Some(file) = &self.file else { return Ok(Bytes::new()) };
        let mut bytes = Vec::with_capacity(self.len);
        let read = file
            .read_at(self.position, self.len, &mut bytes)
            .and_then(|n| if n == self.len { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) });
        read.map_err(|e| LogError::io("read", &self.path, e))?;
        Ok(bytes.into())
    }
}

impl std::fmt::Debug for Region {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Region { path, position, len, next_offset, .. } = self;
        write!(f, "Region({} at {position}, {len} bytes, next offset {next_offset})", path.display())
    }
}

/// Where batches lie in a segment.
struct Extent {
    segment: Arc<Segment>,
    file: Arc<dyn FsFile>,
    position: u64,
    len: usize,
    first: i64,
    next: i64,
}

impl OpenLog {
    /// See [`crate::Log::read_region`].
    pub(super) fn read_region(
        &self,
        offset: i64,
        max_bytes: usize,
        isolation: Isolation,
        min_one: bool,
    ) -> Result<Region, LogError> {
        let (marks, bound) = self.read_marks(offset, isolation)?;
        let mut region = Region::empty(marks);
        let Some(found) = self.extent(offset, max_bytes, bound, min_one)? else { return Ok(region) };
        if isolation == Isolation::LastStable {
            region.aborted = self.aborted(found.first, found.next)?;
        }
        (region.position, region.len, region.next_offset) = (found.position, found.len, found.next);
        (region.file, region.path) = (Some(found.file), found.segment.path());
        Ok(region)
    }

    fn extent(
        &self,
        offset: i64,
        max_bytes: usize,
        bound: i64,
        min_one: bool,
    ) -> Result<Option<Extent>, LogError> {
        let _files = self.cleaner.files.read();
        let mut at = offset;
        while at < bound {
            let Some((segment, next_base)) = self.segment_of(at) else {
                let (start, end) = (self.start_offset(), self.end_offset());
                return Err(LogError::OffsetOutOfRange { offset, start, end });
            };
            let search = Search { segment: &segment, offset, max_bytes, bound, min_one };
            match search.run()? {
                Searched::Found(extent) => return Ok(Some(extent)),
                Searched::Nothing => return Ok(None),
                // Compaction has taken the end of the segment away.
                Searched::Behind => match next_base {
                    Some(next) => at = next,
                    None => return Ok(None),
                },
            }
        }
        Ok(None)
    }
}

enum Searched {
    Found(Extent),
    /// A batch that may not be given comes first.
    Nothing,
    /// All batches of the segment lie before the offset.
    Behind,
}

/// Looks for batches in one segment.
struct Search<'a> {
    segment: &'a Arc<Segment>,
    offset: i64,
    max_bytes: usize,
    bound: i64,
    min_one: bool,
}

impl Search<'_> {
    fn run(&self) -> Result<Searched, LogError> {
        let size = self.segment.size();
        let (mut position, mut expected) = self.segment.position_before(self.offset)?;
        let file = self.segment.file()?;
        let mut headers = Headers { segment: self.segment, file: &*file, size, start: 0, window: Vec::new() };
        let first = loop {
            if position >= size {
                return Ok(Searched::Behind);
            }
            let header = headers.at(position, expected)?;
            if header.base_offset >= self.bound {
                return Ok(Searched::Nothing);
            }
            if header.last_offset() >= self.offset {
                break header;
            }
            (position, expected) = (position + header.size() as u64, header.next_offset());
        };
        if first.size() > self.max_bytes && !self.min_one {
            return Ok(Searched::Nothing);
        }
        let limit = position.saturating_add(self.max_bytes as u64);
        let (mut end, mut next) = (position + first.size() as u64, first.next_offset());
        // From the last index entry within the limits on, batch by batch.
        if end < limit.min(size)
            && let Some((indexed_at, indexed)) = self.segment.position_within(self.bound, limit)?
            && indexed_at > end
        {
            (end, next) = (indexed_at, indexed);
        }
        while end < size {
            if end + HEADER_BYTES as u64 > limit {
                break;
            }
            let header = headers.at(end, next)?;
            let to = end + header.size() as u64;
            if header.base_offset >= self.bound || to > limit {
                break;
            }
            (end, next) = (to, header.next_offset());
        }
        self.checked(file, position, end, first.base_offset, next).map(Searched::Found)
    }

    /// Checks the CRCs that nobody has checked yet; the extent ends before a damaged batch.
    fn checked(
        &self,
        file: Arc<dyn FsFile>,
        position: u64,
        end: u64,
        first: i64,
        next: i64,
    ) -> Result<Extent, LogError> {
        let (segment, len) = (self.segment.clone(), (end - position) as usize);
        let mut extent = Extent { segment, file, position, len, first, next };
        if self.segment.is_checked(position, end) {
            return Ok(extent);
        }
        let mut bytes = Vec::with_capacity(len);
        extent
            .file
            .read_at(position, len, &mut bytes)
            .map_err(|e| LogError::io("read", &self.segment.path(), e))?;
        if let Some((good, offset)) = check_batches(self.segment, position, first, &bytes)? {
            (extent.len, extent.next) = (good, offset);
        }
        Ok(extent)
    }
}

/// Reads single headers of a segment file, some of them with one call.
struct Headers<'a> {
    segment: &'a Segment,
    file: &'a dyn FsFile,
    size: u64,
    start: u64,
    window: Vec<u8>,
}

impl Headers<'_> {
    /// The header of the batch at `position`, where that of `expected` or (after compaction) a later one should be.
    fn at(&mut self, position: u64, expected: i64) -> Result<BatchHeader, LogError> {
        let held =
            position >= self.start && position + HEADER_BYTES as u64 <= self.start + self.window.len() as u64;
        if !held {
            self.window.clear();
            let len = WINDOW_BYTES.min((self.size - position) as usize);
            self.file
                .read_at(position, len, &mut self.window)
                .map_err(|e| LogError::io("read", &self.segment.path(), e))?;
            self.start = position;
        }
        let corrupt =
            |reason| LogError::Corrupt { file: self.segment.path(), position, offset: expected, reason };
        let bytes = self.window.get((position - self.start) as usize..).unwrap_or_default();
        let header = BatchHeader::parse(bytes).map_err(|e| corrupt(e.to_string()))?;
        if header.base_offset < expected {
            return Err(corrupt(format!("the batch there says offset {}", header.base_offset)));
        }
        if position + header.size() as u64 > self.size {
            return Err(corrupt(format!("a batch of {} bytes reaches beyond the segment", header.size())));
        }
        Ok(header)
    }
}
