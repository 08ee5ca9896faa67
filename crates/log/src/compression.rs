//! The codecs of record batches: gzip, snappy (raw and with xerial framing, as the Java client writes it), lz4 (frame),
//! zstd. The log stores batches as they come; this is for those who look at the records.
//!
//! ```
//! use bd_log::batch::{BatchBuilder, RecordsIter};
//! use bd_log::compression::{Codec, plain_batch};
//! let mut builder = BatchBuilder::new().codec(Codec::Zstd);
//! builder.append(0, None, Some(b"value"), &[]);
//! let plain = plain_batch(&builder.build().freeze(), 1 << 20)?;
//! assert_eq!(RecordsIter::new(&plain)?.count(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::io::{self, Read, Write};

use bytes::Bytes;

use crate::Compression;
use crate::batch::{BatchError, BatchHeader, HEADER_BYTES};

/// How the records of a batch are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Codec {
    /// Not at all.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy, raw block or xerial frames.
    Snappy,
    /// LZ4 frame format.
    Lz4,
    /// RFC 8878.
    Zstd,
}

impl Codec {
    /// From the number in the batch attributes.
    ///
    /// # Errors
    /// [`BatchError::Field`] if no codec has that number.
    pub fn from_id(id: i16) -> Result<Codec, BatchError> {
        Ok(match id {
            0 => Codec::None,
            1 => Codec::Gzip,
            2 => Codec::Snappy,
            3 => Codec::Lz4,
            4 => Codec::Zstd,
            _ => {
                return Err(BatchError::Field {
                    field: "compression codec",
                    value: i64::from(id),
                    reason: "known are 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd",
                });
            }
        })
    }

    /// The number in the batch attributes.
    pub fn id(self) -> i16 {
        match self {
            Codec::None => 0,
            Codec::Gzip => 1,
            Codec::Snappy => 2,
            Codec::Lz4 => 3,
            Codec::Zstd => 4,
        }
    }
}

/// Why a batch could not be decompressed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompressionError {
    /// The compressed bytes are damaged.
    #[error("cannot decompress {codec:?} records: {source}")]
    Malformed {
        /// The codec.
        codec: Codec,
        /// What it found.
        source: io::Error,
    },
    /// The records are larger than the caller allows (a decompression bomb, or too small a limit).
    #[error("the {codec:?} records are larger than {limit} bytes")]
    TooLarge {
        /// The codec.
        codec: Codec,
        /// Bytes allowed.
        limit: usize,
    },
    /// The batch around them is wrong.
    #[error(transparent)]
    Batch(#[from] BatchError),
}

/// The magic that starts xerial framing: version and compatible version (4 bytes each) follow, then blocks, each a length
/// (u32, big endian) and that many bytes of raw snappy.
const XERIAL_MAGIC: &[u8] = b"\x82SNAPPY\0";
const XERIAL_HEADER_BYTES: usize = 16;

/// Compresses a records section.
///
/// # Errors
/// What the codec says; in memory that does not happen.
pub fn compress(codec: Codec, plain: &[u8]) -> io::Result<Vec<u8>> {
    match codec {
        Codec::None => Ok(plain.to_vec()),
        Codec::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(plain)?;
            encoder.finish()
        }
        Codec::Snappy => snap::raw::Encoder::new().compress_vec(plain).map_err(io::Error::other),
        Codec::Lz4 => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            encoder.write_all(plain)?;
            encoder.finish().map_err(io::Error::other)
        }
        Codec::Zstd => zstd::stream::encode_all(plain, 3),
    }
}

/// Compresses a records section as a setting says, appending to `out`; [`Compression::Producer`] does not compress.
pub(crate) fn compress_at(setting: Compression, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    match setting {
        Compression::Gzip(level) => {
            let level = u32::try_from(level)
                .map_or_else(|_| flate2::Compression::default(), flate2::Compression::new);
            let mut encoder = flate2::write::GzEncoder::new(out, level);
            encoder.write_all(plain)?;
            encoder.finish().map(|_| ())
        }
        Compression::Zstd(level) => zstd::stream::copy_encode(plain, out, level),
        Compression::Producer | Compression::Uncompressed | Compression::Snappy | Compression::Lz4(_) => {
            out.extend_from_slice(&compress(setting.codec().unwrap_or_default(), plain)?);
            Ok(())
        }
    }
}

/// Decompresses a records section into at most `limit` bytes.
///
/// # Errors
/// [`CompressionError`] if the bytes are damaged or more than `limit` come out.
pub fn decompress(codec: Codec, section: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    let mut out = Vec::new();
    decompress_into(codec, section, limit, &mut out)?;
    Ok(out)
}

/// As [`decompress`], appending to `out`.
fn decompress_into(
    codec: Codec,
    section: &[u8],
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    let malformed = |source| CompressionError::Malformed { codec, source };
    match codec {
        Codec::None if section.len() > limit => Err(CompressionError::TooLarge { codec, limit }),
        Codec::None => {
            out.extend_from_slice(section);
            Ok(())
        }
        Codec::Gzip => read_bounded(codec, flate2::read::MultiGzDecoder::new(section), limit, out),
        Codec::Lz4 => read_bounded(codec, lz4_flex::frame::FrameDecoder::new(section), limit, out),
        Codec::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(section).map_err(malformed)?;
            read_bounded(codec, decoder, limit, out)
        }
        Codec::Snappy if section.starts_with(XERIAL_MAGIC) => {
            let mut rest = section.get(XERIAL_HEADER_BYTES..).unwrap_or_default();
            let start = out.len();
            while !rest.is_empty() {
                let block = rest
                    .split_first_chunk::<4>()
                    .and_then(|(length, after)| after.split_at_checked(u32::from_be_bytes(*length) as usize));
                let Some((block, after)) = block else {
                    return Err(malformed(io::ErrorKind::UnexpectedEof.into()));
                };
                snappy_block(block, limit.saturating_sub(out.len() - start), out)?;
                rest = after;
            }
            Ok(())
        }
        Codec::Snappy => snappy_block(section, limit, out),
    }
}

fn snappy_block(block: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), CompressionError> {
    let malformed =
        |e: snap::Error| CompressionError::Malformed { codec: Codec::Snappy, source: io::Error::other(e) };
    let length = snap::raw::decompress_len(block).map_err(malformed)?;
    if length > limit {
        return Err(CompressionError::TooLarge { codec: Codec::Snappy, limit });
    }
    let start = out.len();
    out.resize(start + length, 0);
    let written = snap::raw::Decoder::new()
        .decompress(block, out.get_mut(start..).unwrap_or_default())
        .map_err(malformed)?;
    out.truncate(start + written);
    Ok(())
}

fn read_bounded(
    codec: Codec,
    reader: impl Read,
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    // One byte over the limit tells a full result from one that was cut.
    let read = reader
        .take(limit as u64 + 1)
        .read_to_end(out)
        .map_err(|source| CompressionError::Malformed { codec, source })?;
    if read > limit { Err(CompressionError::TooLarge { codec, limit }) } else { Ok(()) }
}

/// The batch with its records uncompressed (and codec, length and CRC set accordingly), for
/// [`RecordsIter`](crate::batch::RecordsIter). `batch` holds exactly one batch, which comes back as it is (shared, not
/// copied) if it is not compressed. `limit` bounds the records in bytes.
///
/// # Errors
/// [`CompressionError`] if the batch is malformed or its records larger than `limit`.
pub fn plain_batch(batch: &Bytes, limit: usize) -> Result<Bytes, CompressionError> {
    let mut header = BatchHeader::parse(batch)?;
    let codec = header.codec()?;
    if codec == Codec::None {
        return Ok(batch.clone());
    }
    let section = batch
        .get(HEADER_BYTES..header.size())
        .ok_or(BatchError::Truncated { need: header.size(), have: batch.len() })?;
    let mut plain = Vec::with_capacity(HEADER_BYTES + section.len().saturating_mul(3).min(limit));
    plain.resize(HEADER_BYTES, 0);
    decompress_into(codec, section, limit, &mut plain)?;
    header.attributes &= !0x07;
    header.write_to(&mut plain);
    Ok(Bytes::from(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

    #[test]
    fn every_codec_gives_the_bytes_back_within_the_limit_and_refuses_more() {
        let plain: Vec<u8> = (0..100_000u32).map(|i| (i / 7 % 251) as u8).collect();
        for codec in CODECS {
            let section = compress(codec, &plain).unwrap();
            assert_eq!(decompress(codec, &section, plain.len()).unwrap(), plain, "{codec:?}");
            let error = decompress(codec, &section, plain.len() - 1).unwrap_err();
            assert!(matches!(error, CompressionError::TooLarge { .. }), "{codec:?}: {error}");
            if codec != Codec::None {
                assert!(
                    decompress(codec, &section[..section.len() / 2], plain.len()).is_err(),
                    "{codec:?} cut"
                );
            }
        }
    }

    #[test]
    fn xerial_framed_snappy_is_read_block_by_block() {
        let mut framed = [XERIAL_MAGIC, &[0, 0, 0, 1, 0, 0, 0, 1]].concat();
        for part in [b"hello ".as_slice(), b"world"] {
            let block = compress(Codec::Snappy, part).unwrap();
            framed.extend((block.len() as u32).to_be_bytes());
            framed.extend(block);
        }
        assert_eq!(decompress(Codec::Snappy, &framed, 100).unwrap(), b"hello world");
        assert!(matches!(decompress(Codec::Snappy, &framed, 8), Err(CompressionError::TooLarge { .. })));
        assert!(decompress(Codec::Snappy, &framed[..framed.len() - 1], 100).is_err());
    }
}
