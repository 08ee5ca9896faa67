//! Encodes records into a batch.

use bytes::BytesMut;

use super::{BatchHeader, HEADER_BYTES, varint};
use crate::compression::{self, Codec};

/// Builds one record batch. Offsets are relative until a log stamps the batch.
///
/// ```
/// use bd_log::batch::BatchBuilder;
/// let mut builder = BatchBuilder::new().producer(7, 0, 0).transactional(true);
/// builder.append(1_000, None, Some(b"v"), &[]);
/// assert!(builder.build().len() > 61);
/// ```
#[derive(Debug, Clone)]
pub struct BatchBuilder {
    data: Vec<u8>,
    codec: Codec,
    transactional: bool,
    control: bool,
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    base_timestamp: i64,
    max_timestamp: i64,
    count: i32,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        BatchBuilder {
            data: vec![0; HEADER_BYTES],
            codec: Codec::None,
            transactional: false,
            control: false,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            base_timestamp: -1,
            max_timestamp: -1,
            count: 0,
        }
    }
}

impl BatchBuilder {
    /// An empty, uncompressed batch of no producer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Of an idempotent producer; `base_sequence` numbers the first record.
    pub fn producer(mut self, id: i64, epoch: i16, base_sequence: i32) -> Self {
        (self.producer_id, self.producer_epoch, self.base_sequence) = (id, epoch, base_sequence);
        self
    }

    /// As part of a transaction.
    pub fn transactional(mut self, yes: bool) -> Self {
        self.transactional = yes;
        self
    }

    /// Compressed with `codec` when built.
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }

    pub(super) fn control(mut self) -> Self {
        self.control = true;
        self
    }

    /// Adds a record: timestamp in ms, null key or value as `None`, headers in order.
    pub fn append(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, Option<&[u8]>)],
    ) {
        if self.count == 0 {
            self.base_timestamp = timestamp;
            self.max_timestamp = timestamp;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        let delta = timestamp.wrapping_sub(self.base_timestamp);
        let optional =
            |v: Option<&[u8]>| v.map_or(varint::size(-1), |v| varint::size(v.len() as i64) + v.len());
        let length = 1
            + varint::size(delta)
            + varint::size(i64::from(self.count))
            + optional(key)
            + optional(value)
            + varint::size(headers.len() as i64)
            + headers.iter().map(|(k, v)| optional(Some(k.as_bytes())) + optional(*v)).sum::<usize>();
        let out = &mut self.data;
        varint::put(out, length as i64);
        out.push(0); // attributes
        varint::put(out, delta);
        varint::put(out, i64::from(self.count));
        put_field(out, key);
        put_field(out, value);
        varint::put(out, headers.len() as i64);
        for (name, value) in headers {
            put_field(out, Some(name.as_bytes()));
            put_field(out, *value);
        }
        self.count += 1;
    }

    /// Bytes so far, before compression.
    pub fn size(&self) -> usize {
        self.data.len()
    }

    /// Records so far.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is no record yet.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The encoded batch, with base offset 0.
    pub fn build(self) -> BytesMut {
        let mut codec = self.codec;
        let mut data = self.data;
        if codec != Codec::None {
            match compression::compress(codec, data.get(HEADER_BYTES..).unwrap_or_default()) {
                Ok(section) => {
                    data.truncate(HEADER_BYTES);
                    data.extend_from_slice(&section);
                }
                // Compressing in memory does not fail; should it ever, an uncompressed batch is just as valid.
                Err(_) => codec = Codec::None,
            }
        }
        let header = BatchHeader {
            base_offset: 0,
            batch_length: 0, // set by write_to, as is the CRC
            partition_leader_epoch: -1,
            crc: 0,
            attributes: BatchHeader::attributes_of(codec, self.transactional, self.control),
            last_offset_delta: (self.count - 1).max(0),
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            base_sequence: self.base_sequence,
            record_count: self.count,
        };
        header.write_to(&mut data);
        // Through `Bytes`, which takes the allocation over instead of copying it.
        BytesMut::from(bytes::Bytes::from(data))
    }
}

fn put_field(out: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        Some(value) => {
            varint::put(out, value.len() as i64);
            out.extend_from_slice(value);
        }
        None => varint::put(out, -1),
    }
}
