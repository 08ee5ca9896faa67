//! One partition of a streaming log on disk: append, make durable, read, recover, compact, delete.
//!
//! It stores record batches in Kafka's format v2 byte for byte as the producer sent them, keeps what idempotent and
//! transactional producers need ([`Log::append`], [`Log::append_marker`]), and finds records by offset and by timestamp.
//! It knows no topics, no network, no groups, no replication: a broker puts these around it.
//!
//! ```text
//!              append (one pwrite)                         sync (fdatasync, shared by all who wait)
//! producer ──▶ check CRC, sequence, epoch ──▶ page cache ─────────────────▶ disk
//!                                         log end offset                 high watermark ──▶ readers
//!
//! offsets:  0 ...... start offset ............ last stable offset ........ high watermark ........ log end offset
//!           deleted │ readable by read_committed │ by read_uncommitted, too │ written, not durable │
//! ```
//! ```
//! use std::sync::Arc;
//! use bd_log::{Isolation, Log, LogConfig, RealFs};
//! use bd_log::batch::{BatchBuilder, RecordsIter};
//! let dir = tempfile::tempdir()?;
//! let (log, recovery) = Log::open(Arc::new(RealFs), dir.path(), LogConfig::default())?;
//! assert!(recovery.clean);
//! let mut batch = BatchBuilder::new();
//! batch.append(1_700_000_000_000, Some(b"key"), Some(b"value"), &[]);
//! log.append(batch.build(), 0)?;
//! assert_eq!(log.sync()?, 1);
//! let read = log.read(0, 1 << 20, Isolation::LastStable, true)?;
//! let record = RecordsIter::new(&read.bytes)?.next().ok_or("no record")??;
//! assert_eq!(record.value.map(|range| &read.bytes[range]), Some(b"value".as_slice()));
//! log.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Files
//! Everything of a partition lies in one folder. Only the `.log` files hold what cannot be derived again.
//!
//! | file | holds | written |
//! |---|---|---|
//! | `<base offset, 20 digits>.log` | record batches, one behind the other; zeros behind the last one while it is written | by append |
//! | `<base>.index` | sparse: offset → position | when the segment is sealed, at a clean shutdown, every 64 MiB |
//! | `<base>.timeindex` | sparse: greatest timestamp so far → offset of its batch | as `.index` |
//! | `<base>.txnindex` | aborted transactions whose marker is in this segment; absent if none | as `.index` |
//! | `<offset>.snapshot` | state of all producers just before that offset, open transactions included | as `.index` |
//! | `recovery-point` | CRC-32C, then an offset (i64): everything before it was fsynced | after each fsync, in place |
//! | `start-offset` | CRC-32C, then the first offset (i64) after a deletion; absent: the first segment's base | on deletion |
//! | `clean-shutdown` | CRC-32C, then base and size of the last segment, and the numbers of [`Resting`] (i64 each) | at a clean shutdown, and when the log goes to rest |
//! | `cleaner-checkpoint` | CRC-32C, then the first offset not compacted, and the one below which batches may be missing (i64) | by compaction |
//! | `compaction-swap`, `*.cleaned` | a compaction that exchanges segments just now: what replaces what, and the new files | by compaction |
//!
//! Numbers are big endian. The indexes of the segment being written live in memory: an append is one write call. An index
//! file says how many bytes of log it covers, so one of an earlier time is recognised and rebuilt.
//!
//! # Writing
//! 1. The batches are checked (format, CRC, count, size, sequence and epoch of the producer) before anything changes.
//! 2. If they do not fit the segment, a new one is created; the old one is sealed by the next sync.
//! 3. Base offset and leader epoch, which the CRC does not cover, are stamped; then one write at the end of the file. If
//!    it fails half way (full disk), the file is cut to its old length and nothing else has changed. If even that fails,
//!    the log is poisoned: it takes no more writes until it is opened again.
//! 4. A sync cuts the zeros off the sealed segments, fdatasyncs these and the active one, fsyncs the folder if files are new,
//!    and only then raises the high watermark and notes the recovery point. Neither does it wait for appends nor they for it.
//!    A failed fsync poisons the log, because the kernel may report success the next time without having written.
//! 5. Behind the sync, and what waited for it, come the indexes and the producers' state of sealed segments, a checkpoint of
//!    both for the active one every 64 MiB, and zeros ahead of the appends: a segment of 16 KiB or more has up to 1 MiB of
//!    them, so that the next fsyncs write data alone, no length and no block of the file (on ext4 1.5 to 2 times as fast for
//!    100 bytes to 64 KiB; not after syncs of over 128 KiB, which would write everything twice). A full disk only ends that.
//! 6. A transaction is decided when its marker is durable; until then the last stable offset stays before it.
//!
//! # When an append counts
//! | [`FlushMode`] | acknowledged, and readable | lost by a kill of the process | lost by power loss |
//! |---|---|---|---|
//! | `Always` | after an fsync of its own; [`Log::append`] returns then | nothing | nothing |
//! | `Group` | after the next fsync, which all share who wait ([`Flusher`]) | nothing | nothing |
//! | `Os` | at once | nothing | what was appended since the last fsync: see `flush_messages`, `flush_ms`; else the operating system's interval, the end of a segment, or 64 MiB |
//!
//! In mode `Os` readers may have seen what power loss takes away again, as with Apache Kafka on one node.
//!
//! # Memory and files
//! Files are opened when they are used; [`set_max_open_files`] bounds how many all logs of the process hold. Indexes of sealed
//! segments stay on disk. A log that is not used can go to rest ([`Log::rest`]): of it stay its offsets, sizes and settings
//! (some 300 bytes and the path), and no file. After a clean shutdown [`resting`] has thousands of logs start like that, from
//! one file.
//!
//! # Reading
//! The index gives a position at or before the offset, one pread fetches from there, and the bytes are cut at batch
//! boundaries: no copy, no decoding, no lock held while reading. [`Log::read_region`] only finds the batches, by the index
//! and some headers, for a server that has the file sent (sendfile). What is found is compared with what the index promised.
//! CRCs are checked at append and at recovery; batches that neither happened to since the log was opened are checked when
//! they are read, so damage to a log at rest is [`LogError::Corrupt`], too, and never served.
//!
//! # Recovery
//! After a clean shutdown (the marker fits the files in every respect) nothing is scanned. Else the log from the newest
//! usable snapshot on, at the start of a segment or at a checkpoint within the last one, is read, checked batch by batch, and their indexes and the producers' state rebuilt. What
//! was not known to be durable is written and fsynced again, so that reopening after a failed fsync shows nothing that is
//! not on disk. Zeros up to the end of a file are those written ahead: the segment ends there. At the first batch that is not
//! whole and valid:
//! - **below the recovery point** (or the start offset, or a snapshot): acknowledged records are damaged. The log refuses
//!   to open, naming file, byte and offset ([`LogError::Corrupt`]), unless [`CorruptionPolicy::Truncate`] says to give
//!   them up.
//! - **else, an unfinished write** is cut off: the batch goes on behind the end of the file, or a sector of it reads as
//!   zeros, as writes do that power loss undid (they reach the disk in any order, so valid batches may follow); or the
//!   batch is damaged and nothing valid follows.
//! - **else, a valid batch follows** the damaged one: a bit has flipped among records that may have been acknowledged, so
//!   the log refuses to open as above.
//!
//! After a kill of the process the recovery point is exact, because the page cache survives. After power loss it may be
//! older (it is fsynced itself only now and then), never newer.
//!
//! # Compacting
//! With [`CleanupPolicy::Compact`] a run ([`Log::compact`], as Apache Kafka's log cleaner) writes the sealed segments again
//! without the records that a later one of the same key supersedes, without those of aborted transactions, and without
//! tombstones and markers whose time has passed. Offsets stay, so that gaps appear, but only below the offset that
//! `cleaner-checkpoint` names: above it a missing batch is damage, as in any other log. The new segments take the places of
//! the old ones in a way that a crash at any moment leaves either; a start finishes what was begun. Readers go on meanwhile.
//!
//! # Deleting
//! From the front only. The new start offset is made durable first, then whole segments before it are deleted, oldest
//! first, but only those before some snapshot, so that the producers' state is never lost. An interrupted deletion is
//! finished by the next open. At recovery segments are deleted newest first, so that what is left never has a gap.

pub mod batch;
pub mod compression;
mod config;
mod error;
mod files;
mod flusher;
mod fs;
mod handles;
mod index;
pub mod inspect;
mod log;
mod producer;
pub mod resting;
mod segment;
mod snapshot;
pub mod testing;
mod walk;

pub use config::{
    AbortedTxn, Appended, CleanupPolicy, Compression, CorruptionPolicy, Deleted, FlushMode, Isolation,
    LogConfig, OpenTxn, ProducerState, ReadResult, Recovery, TimestampType,
};
pub use error::{LogError, RecordFault, RecordProblem};
pub use flusher::{Done, Flusher, FlusherConfig, Observe};
pub use fs::{Fs, FsFile, OpenMode, RealFs};
pub use handles::{open_files, set_max_open_files};
pub use log::{Compacted, Log, Region, Resting};
