//! Reading container files.

use super::compression::{Compression, MAX_BLOCK};
use super::{AvroFileError, MAGIC, SYNC, damaged};
use crate::avro::derive::schema_of_avro;
use crate::avro::plan::Plan;
use crate::avro::{arrow, parse, rows};
use crate::connect::RecordShape;
use crate::failure::{Failure, Fallible};
use crate::{RecordError, Role, Row, Schema, batch};
use arrow_array::RecordBatch;
use std::io::Read;
use std::sync::Arc;

/// A header's entries may be so many bytes together.
const MAX_HEADER: u64 = 16 << 20;
/// Records of a block that take no bytes may be so many.
const MAX_FREE: u64 = 65_536;

/// Reads a container file, block by block.
pub struct AvroFileReader<R> {
    source: R,
    metadata: Vec<(String, Vec<u8>)>,
    compression: Compression,
    sync: [u8; SYNC],
    shape: Arc<RecordShape>,
    columns: Schema,
    plan: Plan,
    /// Records that earlier blocks hold.
    read: u64,
    /// Nothing that follows can be found.
    lost: bool,
}

/// The records of a block.
struct Block {
    count: u64,
    bytes: Vec<u8>,
}

impl<R: Read> AvroFileReader<R> {
    /// Opens a file; its rows have the columns that its schema tells ([`AvroFileReader::shape`]).
    ///
    /// # Errors
    /// It is no container file, its codec is unknown, its schema is none or has no columns.
    pub fn open(source: R) -> Result<Self, AvroFileError> {
        Self::open_as(source, None)
    }

    /// Opens a file for a reader's schema (JSON): its columns, its aliases and defaults.
    ///
    /// # Errors
    /// As [`AvroFileReader::open`]'s; also of the reader's schema.
    pub fn open_with(source: R, reader: &str) -> Result<Self, AvroFileError> {
        Self::open_as(source, Some(reader))
    }

    fn open_as(mut source: R, reader: Option<&str>) -> Result<Self, AvroFileError> {
        let mut magic = [0; MAGIC.len()];
        source.read_exact(&mut magic)?;
        if magic != MAGIC {
            return Err(damaged("it does not begin with \"Obj\" and 1"));
        }
        let metadata = header(&mut source)?;
        let mut sync = [0; SYNC];
        source.read_exact(&mut sync)?;
        let of = |key: &str| metadata.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_slice());
        let text = of("avro.schema").and_then(|text| std::str::from_utf8(text).ok());
        let text = text.ok_or_else(|| damaged("its header has no avro.schema"))?;
        let compression = match of("avro.codec") {
            None | Some(b"") => Compression::Null,
            Some(name) => {
                let name = String::from_utf8_lossy(name);
                Compression::parse(&name).ok_or_else(|| damaged(format!("there is no codec {name}")))?
            }
        };
        let shape = schema_of_avro(reader.unwrap_or(text))?;
        let avro = parse::schema(&parse::json(text)?, false)?;
        let by = reader.map(|text| parse::schema(&parse::json(text)?, false)).transpose()?;
        let plan = Plan::compile(&avro, by.as_ref(), &shape.schema, Role::Value)?;
        let columns = shape.schema.clone();
        let shape = Arc::new(shape);
        Ok(Self { source, metadata, compression, sync, shape, columns, plan, read: 0, lost: false })
    }

    /// What its rows are: by the reader's schema where there is one, else by the file's.
    pub fn shape(&self) -> &Arc<RecordShape> {
        &self.shape
    }

    /// How its blocks are compressed.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// The entry of its header of that name, such as `avro.schema`.
    pub fn metadata(&self, key: &str) -> Option<&[u8]> {
        self.metadata.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_slice())
    }

    /// The rows of the next block; `None` at the end.
    ///
    /// # Errors
    /// The file is damaged or cannot be read, and ends here; or a record is broken ([`AvroFileError::Record`]), and the next call
    /// gives the next block.
    pub fn next_rows(&mut self) -> Result<Option<Vec<Row>>, AvroFileError> {
        let Some(block) = self.block()? else { return Ok(None) };
        let mut all: Vec<Row> = Vec::new();
        let (plan, columns) = (&self.plan, &self.columns.fields);
        let done = each(&block, |bytes| {
            let (row, rest) = rows::prefix(bytes, plan, columns)?;
            all.push(row);
            Ok(rest)
        });
        self.settle(&block, done)?;
        Ok(Some(all))
    }

    /// The rows of the next block as Arrow columns; `None` at the end.
    ///
    /// # Errors
    /// As [`AvroFileReader::next_rows`]'s.
    pub fn next_arrow(&mut self) -> Result<Option<RecordBatch>, AvroFileError> {
        let Some(block) = self.block()? else { return Ok(None) };
        let mut done = Ok(());
        let (plan, fields) = (&self.plan, &self.columns.fields);
        let built = batch::build(&self.columns, |columns| {
            let mut count = 0;
            done = each(&block, |bytes| {
                let rest = arrow::prefix(bytes, plan, fields, columns)?;
                count += 1;
                Ok(rest)
            });
            count
        });
        self.settle(&block, done)?;
        Ok(Some(built?))
    }

    /// Counts a block's records; the place of a broken one is that in the file.
    fn settle(&mut self, block: &Block, done: Result<(), RecordError>) -> Result<(), AvroFileError> {
        let before = self.read;
        self.read += block.count;
        done.map_err(|e| {
            let index = usize::try_from(before).unwrap_or(usize::MAX).saturating_add(e.index);
            AvroFileError::Record(RecordError { index, ..e })
        })
    }

    fn block(&mut self) -> Result<Option<Block>, AvroFileError> {
        if self.lost {
            return Ok(None);
        }
        let block = self.next_block();
        self.lost = !matches!(block, Ok(Some(_)));
        block
    }

    fn next_block(&mut self) -> Result<Option<Block>, AvroFileError> {
        let Some(count) = long(&mut self.source)? else { return Ok(None) };
        let size = long(&mut self.source)?.ok_or_else(|| damaged("a block is cut short"))?;
        let count = u64::try_from(count).map_err(|_| damaged(format!("a block of {count} records")))?;
        let size = u64::try_from(size).ok().filter(|size| *size <= MAX_BLOCK as u64);
        let size = size.ok_or_else(|| damaged(format!("a block's size is not in 0..={MAX_BLOCK}")))?;
        let bytes = taken(&mut self.source, size)?;
        let mut sync = [0; SYNC];
        self.source.read_exact(&mut sync)?;
        if sync != self.sync {
            return Err(damaged("a block does not end in the sync marker"));
        }
        Ok(Some(Block { count, bytes: self.compression.decompress(bytes)? }))
    }
}

/// Reads a block's records in turn: `read` takes one off the bytes and gives the rest.
fn each<'b>(
    block: &'b Block,
    mut read: impl FnMut(&'b [u8]) -> Fallible<&'b [u8]>,
) -> Result<(), RecordError> {
    let mut rest = block.bytes.as_slice();
    let mut free = 0;
    for index in 0..block.count {
        let at = |e: Box<Failure>| e.of_record(usize::try_from(index).unwrap_or(usize::MAX));
        let after = read(rest).map_err(at)?;
        free += u64::from(after.len() == rest.len());
        if free > MAX_FREE {
            return Err(at(Failure::new(format!("more than {MAX_FREE} records that take no bytes"))));
        }
        rest = after;
    }
    match rest.len() {
        0 => Ok(()),
        left => {
            let after = Failure::new(format!("{left} bytes are left after the block's records"));
            Err(after.of_record(usize::try_from(block.count).unwrap_or(usize::MAX)))
        }
    }
}

/// So many bytes; what is claimed reserves nothing.
fn taken(source: &mut impl Read, size: u64) -> Result<Vec<u8>, AvroFileError> {
    let mut bytes = Vec::new();
    source.by_ref().take(size).read_to_end(&mut bytes)?;
    match bytes.len() as u64 == size {
        true => Ok(bytes),
        false => Err(damaged(format!("it is cut short: {size} bytes wanted, {} are left", bytes.len()))),
    }
}

/// A zigzag number; `None` at the end of the file.
fn long(source: &mut impl Read) -> Result<Option<i64>, AvroFileError> {
    let mut value = 0_u64;
    for i in 0..10 {
        let mut byte = [0];
        let read = loop {
            match source.read(&mut byte) {
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        match (read, i) {
            (0, 0) => return Ok(None),
            (0, _) => return Err(damaged("a number is cut short")),
            _ => {}
        }
        if i == 9 && byte[0] > 1 {
            break;
        }
        value |= u64::from(byte[0] & 0x7f) << (7 * i);
        if byte[0] < 0x80 {
            return Ok(Some((value >> 1) as i64 ^ -((value & 1) as i64)));
        }
    }
    Err(damaged("a number takes more than 64 bits"))
}

/// The entries of the header: a map of bytes.
fn header(source: &mut impl Read) -> Result<Vec<(String, Vec<u8>)>, AvroFileError> {
    let short = || damaged("its header is cut short");
    let mut entries = Vec::new();
    let mut left = MAX_HEADER;
    loop {
        let mut count = long(source)?.ok_or_else(short)?;
        if count == 0 {
            return Ok(entries);
        }
        if count < 0 {
            long(source)?.ok_or_else(short)?;
            count = count.checked_neg().ok_or_else(short)?;
        }
        for _ in 0..count {
            let mut bytes = || {
                let size = long(source)?.ok_or_else(short)?;
                let size = u64::try_from(size).ok().filter(|size| *size < left);
                let size =
                    size.ok_or_else(|| damaged(format!("its header is not within {MAX_HEADER} bytes")))?;
                left -= size + 1;
                taken(source, size)
            };
            let key = bytes()?;
            let value = bytes()?;
            entries.push((String::from_utf8_lossy(&key).into_owned(), value));
        }
    }
}
