//! Looks at the files of a partition without opening it for writing: for `bd log dump` and `bd log verify`. Nothing is changed,
//! also not what the next start would repair, so it may be used on a log in use (whose active segment then looks unfinished) and
//! on a copy of a damaged one.
//!
//! ```
//! use std::sync::Arc;
//! use bd_log::inspect::{Item, PartitionFiles, verify};
//! use bd_log::{Fs, Log, LogConfig, RealFs, batch::BatchBuilder};
//! let dir = tempfile::tempdir()?;
//! let fs: Arc<dyn Fs> = Arc::new(RealFs);
//! let (log, _) = Log::open(fs.clone(), dir.path(), LogConfig::default())?;
//! let mut batch = BatchBuilder::new();
//! batch.append(1_000, Some(b"key"), Some(b"value"), &[]);
//! log.append(batch.build(), 0)?;
//! log.close()?;
//! let files = PartitionFiles::open(fs.clone(), dir.path())?;
//! for item in files.batches(files.segments[0].base_offset)? {
//!     if let Item::Batch(batch) = item? {
//!         assert!(batch.crc_ok);
//!         assert_eq!(batch.records()?[0].key.as_deref(), Some(b"key".as_slice()));
//!     }
//! }
//! assert!(verify(fs, dir.path())?.is_sound());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod verify;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::batch::{self, BatchHeader, ControlMarker, RecordsIter};
use crate::compression::{CompressionError, plain_batch};
use crate::index::{self, Aborted, Entry, Position, Time};
use crate::log::{Checkpoint, Marker};
use crate::segment::{INDEX, LOG, TIME_INDEX, TXN_INDEX};
use crate::walk::{BatchWalk, Step};
use crate::{AbortedTxn, Fs, LogError, OpenMode, files, snapshot};

pub use verify::{Problem, Report, Severity, verify};

/// Bound of a batch when its records are looked at, in bytes uncompressed.
const PLAIN_BYTES: usize = 256 << 20;

/// What lies in the folder of a partition.
pub struct PartitionFiles {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    /// The segments, by base offset.
    pub segments: Vec<SegmentFiles>,
    /// Offsets of the snapshots of the producers, ascending.
    pub snapshots: Vec<i64>,
    /// Everything before it is durable (`recovery-point`).
    pub recovery_point: Option<i64>,
    /// First offset after a deletion (`start-offset`).
    pub start_offset: Option<i64>,
    /// What the marker of a clean shutdown says, if there is one.
    pub clean_shutdown: Option<CleanShutdown>,
    /// How far it is compacted (`cleaner-checkpoint`).
    pub compacted: Option<Compaction>,
    /// Files that are no part of a log, such as those of a compaction that was interrupted.
    pub others: Vec<PathBuf>,
}

/// The files of one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentFiles {
    /// Offset of its first record, also its name.
    pub base_offset: i64,
    /// The log file.
    pub path: PathBuf,
    /// Bytes of the log file.
    pub bytes: u64,
}

/// The marker of a clean shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CleanShutdown {
    /// The log's end.
    pub end_offset: i64,
    /// Base offset of the last segment.
    pub base_offset: i64,
    /// Bytes of the last segment.
    pub bytes: i64,
}

/// How far a log is compacted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compaction {
    /// Everything before this offset was compacted.
    pub first_dirty_offset: i64,
    /// Below this offset batches may be missing.
    pub gaps_below: i64,
}

/// What [`PartitionFiles::batches`] finds.
#[derive(Debug, Clone)]
pub enum Item {
    /// A batch.
    Batch(BatchInfo),
    /// Bytes that are no batch; nothing behind them can be found. (At the end of the active segment of a log that was killed
    /// this is an unfinished write.)
    Damaged {
        /// Byte position in the log file.
        position: u64,
        /// What is wrong.
        reason: String,
    },
}

/// One batch.
#[derive(Debug, Clone)]
pub struct BatchInfo {
    /// Byte position in the log file; the size is [`BatchHeader::size`].
    pub position: u64,
    /// Its header: offsets, timestamps, producer, codec, flags.
    pub header: BatchHeader,
    /// Whether the CRC is right.
    pub crc_ok: bool,
    /// The whole batch.
    pub bytes: Bytes,
}

impl BatchInfo {
    /// Of a control batch: commit or abort.
    pub fn marker(&self) -> Option<ControlMarker> {
        self.header.is_control().then(|| ControlMarker::parse(&self.bytes).ok().flatten()).flatten()
    }

    /// The records, decompressed.
    ///
    /// # Errors
    /// [`CompressionError`] if they cannot be decompressed, are larger than 256 MiB, or are malformed.
    pub fn records(&self) -> Result<Vec<RecordInfo>, CompressionError> {
        let plain = plain_batch(&self.bytes, PLAIN_BYTES)?;
        let mut records = Vec::new();
        for record in RecordsIter::new(&plain)? {
            let record = record?;
            let mut headers = Vec::new();
            for header in record.headers.iter(&plain) {
                let header = header?;
                let name = String::from_utf8_lossy(plain.get(header.key).unwrap_or_default()).into_owned();
                headers.push((name, header.value.map(|range| plain.slice(range))));
            }
            records.push(RecordInfo {
                offset: record.offset,
                timestamp: record.timestamp,
                key: record.key.map(|range| plain.slice(range)),
                value: record.value.map(|range| plain.slice(range)),
                headers,
            });
        }
        Ok(records)
    }
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordInfo {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp, ms.
    pub timestamp: i64,
    /// Key; `None` is null.
    pub key: Option<Bytes>,
    /// Value; `None` is null.
    pub value: Option<Bytes>,
    /// Headers in order.
    pub headers: Vec<(String, Option<Bytes>)>,
}

/// An index file: what it says it covers, and its entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index<T> {
    /// Bytes of log that it covers; another number than the log's size: it is of an earlier time and is rebuilt at a start.
    pub log_bytes: u64,
    /// How many entries the segment's `.txnindex` has.
    pub aborted_transactions: u32,
    /// The entries, in order.
    pub entries: Vec<T>,
}

/// An entry of the `.index` file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PositionEntry {
    /// Offset of a batch.
    pub offset: i64,
    /// Where it starts in the log file.
    pub position: u64,
}

/// An entry of the `.timeindex` file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeEntry {
    /// The greatest timestamp up to the batch, ms.
    pub timestamp: i64,
    /// Offset of the batch that has it.
    pub offset: i64,
}

/// An entry of the `.txnindex` file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedEntry {
    /// The transaction.
    pub txn: AbortedTxn,
    /// The last stable offset right after its marker.
    pub last_stable_offset: i64,
}

/// One producer in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotProducer {
    /// Producer id.
    pub producer_id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// Epoch of the coordinator of its last marker, -1 if none.
    pub coordinator_epoch: i32,
    /// Timestamp of its last batch, ms.
    pub last_timestamp: i64,
    /// First offset of its open transaction.
    pub txn_first_offset: Option<i64>,
    /// Its last batches, oldest first: first and last sequence, first and last offset.
    pub batches: Vec<SnapshotBatch>,
}

/// A batch that a snapshot remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotBatch {
    /// First sequence number.
    pub first_sequence: i32,
    /// Last sequence number.
    pub last_sequence: i32,
    /// First offset.
    pub base_offset: i64,
    /// Last offset.
    pub last_offset: i64,
}

impl PartitionFiles {
    /// Lists the folder `dir`.
    ///
    /// # Errors
    /// [`LogError::Io`] if it cannot be read.
    pub fn open(fs: Arc<dyn Fs>, dir: &Path) -> Result<PartitionFiles, LogError> {
        let list = fs.list(dir).map_err(|e| LogError::io("list", dir, e))?;
        let (mut segments, mut snapshots, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for path in list {
            match files::parse_name(&path) {
                Some((base_offset, LOG)) => {
                    let len = fs.open(&path, OpenMode::Read).and_then(|file| file.len());
                    let bytes = len.map_err(|e| LogError::io("stat", &path, e))?;
                    segments.push(SegmentFiles { base_offset, path, bytes });
                }
                Some((offset, "snapshot")) => snapshots.push(offset),
                Some((_, INDEX | TIME_INDEX | TXN_INDEX)) => {}
                _ if files::KNOWN.iter().any(|known| path.file_name().is_some_and(|name| name == *known)) => {
                }
                _ => others.push(path),
            }
        }
        segments.sort_unstable_by_key(|s| s.base_offset);
        snapshots.sort_unstable();
        others.sort_unstable();
        let sealed = |name: &str| files::read(&*fs, &dir.join(name));
        let one = |name| -> Result<Option<i64>, LogError> {
            Ok(sealed(name)?.and_then(|s| files::unseal_numbers(&s)).map(|[number]| number))
        };
        let (recovery_point, start_offset) = (one(files::RECOVERY_POINT)?, one(files::START_OFFSET)?);
        let clean_shutdown = sealed(files::CLEAN_SHUTDOWN)?.and_then(|s| Marker::decode(&s));
        let clean_shutdown = clean_shutdown.map(|marker| CleanShutdown {
            end_offset: marker.resting.end_offset,
            base_offset: marker.base,
            bytes: i64::try_from(marker.size).unwrap_or(i64::MAX),
        });
        let compacted = match sealed(files::CLEANER_CHECKPOINT)? {
            None => None,
            Some(_) => {
                let Checkpoint { first_dirty, gaps_below } = Checkpoint::read(&*fs, dir)?;
                Some(Compaction { first_dirty_offset: first_dirty, gaps_below })
            }
        };
        Ok(PartitionFiles {
            fs,
            dir: dir.to_path_buf(),
            segments,
            snapshots,
            recovery_point,
            start_offset,
            clean_shutdown,
            compacted,
            others,
        })
    }

    /// The batches of a segment, from front to back. Memory is that of one batch or 1 MiB.
    ///
    /// # Errors
    /// [`LogError::Io`], also from the iterator.
    pub fn batches(
        &self,
        base_offset: i64,
    ) -> Result<impl Iterator<Item = Result<Item, LogError>> + use<>, LogError> {
        let path = files::path_of(&self.dir, base_offset, LOG);
        let file = self.fs.open(&path, OpenMode::Read).map_err(|e| LogError::io("open", &path, e))?;
        let end = file.len().map_err(|e| LogError::io("stat", &path, e))?;
        let mut walk = BatchWalk::new(file, end);
        let mut ended = false;
        Ok(std::iter::from_fn(move || {
            if ended {
                return None;
            }
            let step = walk.step().map_err(|e| LogError::io("read", &path, e));
            ended = !matches!(step, Ok(Step::Batch { .. }));
            match step {
                Ok(Step::End) => None,
                Ok(Step::Damaged { position, error }) => {
                    Some(Ok(Item::Damaged { position, reason: error.to_string() }))
                }
                Ok(Step::Batch { position, header, bytes }) => {
                    let crc_ok = batch::verify_crc(&bytes).is_ok();
                    Some(Ok(Item::Batch(BatchInfo { position, header, crc_ok, bytes })))
                }
                Err(error) => Some(Err(error)),
            }
        }))
    }

    /// The offset index of a segment; `None` if there is none, or it is cut or damaged.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn index(&self, base_offset: i64) -> Result<Option<Index<PositionEntry>>, LogError> {
        let entry = |p: Position| PositionEntry {
            offset: base_offset + i64::from(p.offset),
            position: u64::from(p.position),
        };
        self.read_index(base_offset, INDEX, entry)
    }

    /// The time index of a segment, likewise.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn time_index(&self, base_offset: i64) -> Result<Option<Index<TimeEntry>>, LogError> {
        let entry = |t: Time| TimeEntry { timestamp: t.timestamp, offset: base_offset + i64::from(t.offset) };
        self.read_index(base_offset, TIME_INDEX, entry)
    }

    /// The index of aborted transactions of a segment, likewise; there is no file if there are none.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn txn_index(&self, base_offset: i64) -> Result<Option<Index<AbortedEntry>>, LogError> {
        let entry = |a: Aborted| AbortedEntry { txn: a.txn, last_stable_offset: a.last_stable };
        self.read_index(base_offset, TXN_INDEX, entry)
    }

    fn read_index<E: Entry, T>(
        &self,
        base_offset: i64,
        extension: &str,
        entry: impl Fn(E) -> T,
    ) -> Result<Option<Index<T>>, LogError> {
        let content = files::read(&*self.fs, &files::path_of(&self.dir, base_offset, extension))?;
        let decoded = content.and_then(|content| index::decode::<E>(&content));
        Ok(decoded.map(|(entries, cover)| Index {
            log_bytes: cover.log_bytes,
            aborted_transactions: cover.aborted,
            entries: entries.into_iter().map(entry).collect(),
        }))
    }

    /// The producers in a snapshot, by id; `None` if there is none, or it is cut or damaged.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn snapshot(&self, offset: i64) -> Result<Option<Vec<SnapshotProducer>>, LogError> {
        let content = files::read(&*self.fs, &files::path_of(&self.dir, offset, "snapshot"))?;
        let Some(producers) = content.and_then(|content| snapshot::decode(&content)) else { return Ok(None) };
        let producer = |(id, p): (&i64, &crate::producer::Producer)| SnapshotProducer {
            producer_id: *id,
            epoch: p.epoch,
            coordinator_epoch: p.coordinator_epoch,
            last_timestamp: p.last_timestamp,
            txn_first_offset: p.txn_first_offset,
            batches: p.batches.iter().map(batch_of).collect(),
        };
        let mut found: Vec<SnapshotProducer> = producers.map().iter().map(producer).collect();
        found.sort_unstable_by_key(|p| p.producer_id);
        Ok(Some(found))
    }
}

fn batch_of(batch: &crate::producer::BatchMeta) -> SnapshotBatch {
    SnapshotBatch {
        first_sequence: batch.first_sequence,
        last_sequence: batch.last_sequence,
        base_offset: batch.base_offset,
        last_offset: batch.last_offset,
    }
}
