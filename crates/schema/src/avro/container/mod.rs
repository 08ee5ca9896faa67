//! Avro object container files: many records of one schema, in compressed blocks.
//!
//! ```text
//!  header   "Obj" 1 │ map: avro.schema, avro.codec, what else was put there │ sync marker, 16 bytes
//!  block    number of records │ size in bytes │ records, compressed │ the sync marker
//!  block    ...
//! ```
//! ```
//! # use bd_schema::avro::{AvroFileReader, AvroFileWriter, Compression};
//! # use bd_schema::Value;
//! let declaration = r#"{"type":"record","name":"R","fields":[{"name":"id","type":"long"}]}"#;
//! let mut writer = AvroFileWriter::create(Vec::new(), declaration, Compression::Deflate)?;
//! writer.write_row(&vec![Value::BigInt(45)])?;
//! let file = writer.finish()?;
//! let mut reader = AvroFileReader::open(file.as_slice())?;
//! assert_eq!(reader.next_rows()?, Some(vec![vec![Value::BigInt(45)]]));
//! # Ok::<(), bd_schema::avro::AvroFileError>(())
//! ```
//! Records of a block have no frames of their own: one that is broken costs its block from there on, and the reader goes on with the
//! next block.

mod compression;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use compression::Compression;
pub use read::AvroFileReader;
pub use write::AvroFileWriter;

use super::parse::AvroError;
use crate::RecordError;
use std::io;

const MAGIC: [u8; 4] = *b"Obj\x01";
const SYNC: usize = 16;

/// Why a file cannot be read or written on.
#[derive(Debug, thiserror::Error)]
pub enum AvroFileError {
    /// The bytes cannot be read or written.
    #[error("the Avro file cannot be read or written: {0}")]
    Io(#[from] io::Error),
    /// It is no container file, or a damaged one. What follows cannot be found.
    #[error("no Avro file, or a damaged one: {0}")]
    Format(String),
    /// Its schema cannot be used.
    #[error("the Avro file's schema: {0}")]
    Schema(#[from] AvroError),
    /// A record cannot be read or written. `index` counts from the file's first record, or from the first of the batch that is
    /// written. What is read goes on with the next block.
    #[error("{0}")]
    Record(#[from] RecordError),
}

fn damaged(reason: impl Into<String>) -> AvroFileError {
    AvroFileError::Format(reason.into())
}
