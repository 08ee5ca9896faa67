//! Record batches in format v2 (magic 2), the one format that is stored and sent ([Kafka protocol, record batch]).
//!
//! ```text
//!  0 base offset          i64   stamped by the log           ┐ outside the
//!  8 batch length         i32   bytes after this field       │ CRC
//! 12 partition leader ep. i32   stamped by the log           │
//! 16 magic                i8    2                            ┘
//! 17 CRC-32C              u32   of everything from byte 21
//! 21 attributes           i16   0-2 codec, 3 log append time, 4 transactional, 5 control, 6 delete horizon
//! 23 last offset delta    i32
//! 27 base timestamp       i64   ms; with bit 6 the time from which compaction drops tombstones (KIP-534)
//! 35 max timestamp        i64   ms
//! 43 producer id          i64   -1: not idempotent
//! 51 producer epoch       i16
//! 53 base sequence        i32
//! 57 record count         i32
//! 61 records              compressed as one block if a codec is set
//! ```
//! ```
//! use bd_log::batch::{BatchBuilder, BatchHeader, RecordsIter};
//! let mut builder = BatchBuilder::new();
//! builder.append(1_000, Some(b"key"), Some(b"value"), &[("h", Some(b"1".as_slice())), ("h", None)]);
//! let batch = builder.build();
//! let header = BatchHeader::parse(&batch)?;
//! assert_eq!(header.record_count, 1);
//! let record = RecordsIter::new(&batch)?.next().ok_or("empty")??;
//! assert_eq!((record.offset, record.timestamp), (0, 1_000));
//! assert_eq!(record.value.map(|r| &batch[r]), Some(b"value".as_slice()));
//! assert_eq!(record.headers.iter(&batch).count(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//! [Kafka protocol, record batch]: https://kafka.apache.org/documentation/#recordbatch

mod builder;
mod control;
mod filter;
mod header;
mod records;
mod varint;

pub use builder::BatchBuilder;
pub use control::ControlMarker;
pub(crate) use filter::Kept;
pub use header::{BatchError, BatchHeader, Batches, HEADER_BYTES, verify_crc};
pub(crate) use header::{add_sequence, stamp, stamp_log_append_time};
pub use records::{Header, HeaderIter, HeaderRanges, Record, RecordsIter};
