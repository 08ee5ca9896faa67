//! How the blocks of a file are compressed.

use super::{AvroFileError, damaged};
use flate2::Crc;
use flate2::read::{DeflateDecoder, DeflateEncoder};
use std::fmt;
use std::io::{self, Read};

/// A block may not unfold to more bytes.
pub(super) const MAX_BLOCK: usize = 256 << 20;

/// The codec of a file's blocks (`avro.codec`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// `null`: none.
    #[default]
    Null,
    /// `deflate`: RFC 1951.
    Deflate,
    /// `snappy`, with a CRC-32 of what was compressed.
    Snappy,
    /// `zstandard`.
    Zstandard,
}

impl Compression {
    /// All that there are.
    pub const ALL: [Self; 4] = [Self::Null, Self::Deflate, Self::Snappy, Self::Zstandard];

    /// Its name in a file's header.
    pub fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Deflate => "deflate",
            Self::Snappy => "snappy",
            Self::Zstandard => "zstandard",
        }
    }

    /// The codec of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.name() == name)
    }

    pub(super) fn compress(self, bytes: &[u8]) -> Result<Vec<u8>, AvroFileError> {
        let mut out = Vec::new();
        match self {
            Self::Null => out.extend_from_slice(bytes),
            Self::Deflate => {
                DeflateEncoder::new(bytes, flate2::Compression::default()).read_to_end(&mut out)?;
            }
            Self::Snappy => {
                out = snap::raw::Encoder::new().compress_vec(bytes).map_err(io::Error::other)?;
                out.extend_from_slice(&crc(bytes).to_be_bytes());
            }
            Self::Zstandard => out = zstd::encode_all(bytes, zstd::DEFAULT_COMPRESSION_LEVEL)?,
        }
        Ok(out)
    }

    pub(super) fn decompress(self, bytes: Vec<u8>) -> Result<Vec<u8>, AvroFileError> {
        match self {
            Self::Null => Ok(bytes),
            Self::Deflate => self.bounded(DeflateDecoder::new(bytes.as_slice())),
            Self::Snappy => self.snappy(&bytes),
            Self::Zstandard => match zstd::stream::read::Decoder::new(bytes.as_slice()) {
                Ok(decoder) => self.bounded(decoder),
                Err(e) => Err(self.broken(e)),
            },
        }
    }

    fn bounded(self, from: impl Read) -> Result<Vec<u8>, AvroFileError> {
        let mut out = Vec::new();
        from.take(MAX_BLOCK as u64 + 1).read_to_end(&mut out).map_err(|e| self.broken(e))?;
        self.admit(out.len())?;
        Ok(out)
    }

    fn admit(self, size: usize) -> Result<(), AvroFileError> {
        match size > MAX_BLOCK {
            true => Err(damaged(format!("a {self} block unfolds to more than {MAX_BLOCK} bytes"))),
            false => Ok(()),
        }
    }

    fn snappy(self, bytes: &[u8]) -> Result<Vec<u8>, AvroFileError> {
        let (bytes, sum) = bytes.split_last_chunk::<4>().ok_or_else(|| self.broken("it has no checksum"))?;
        self.admit(snap::raw::decompress_len(bytes).map_err(|e| self.broken(e))?)?;
        // A byte of Snappy unfolds to less than 64: what is claimed reserves no more than that.
        let claimed = snap::raw::decompress_len(bytes).map_err(|e| self.broken(e))?;
        if claimed / 64 > bytes.len() {
            return Err(self.broken(format!("{} bytes cannot unfold to {claimed}", bytes.len())));
        }
        let out = snap::raw::Decoder::new().decompress_vec(bytes).map_err(|e| self.broken(e))?;
        match crc(&out) == u32::from_be_bytes(*sum) {
            true => Ok(out),
            false => Err(self.broken("its checksum is another")),
        }
    }

    fn broken(self, reason: impl fmt::Display) -> AvroFileError {
        damaged(format!("a {self} block cannot be unfolded: {reason}"))
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}
