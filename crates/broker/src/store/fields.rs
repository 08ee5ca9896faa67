//! Reads and writes the fields of Kafka's internal records (the encoding of inflexible message versions).

use bytes::{BufMut, Bytes, BytesMut};

/// A stored record cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadRecord(pub(crate) String);

/// Takes fields off the front of a record's key or value.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn bytes(&mut self, n: usize) -> Result<&'a [u8], BadRecord> {
        match self.0.split_at_checked(n) {
            Some((head, tail)) => {
                self.0 = tail;
                Ok(head)
            }
            None => Err(BadRecord(format!("{n} bytes wanted, {} left", self.0.len()))),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BadRecord> {
        let bytes = self.bytes(N)?;
        bytes.try_into().map_err(|_| BadRecord("short".into()))
    }

    pub(crate) fn i8(&mut self) -> Result<i8, BadRecord> {
        Ok(i8::from_be_bytes(self.array()?))
    }

    pub(crate) fn i16(&mut self) -> Result<i16, BadRecord> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub(crate) fn i32(&mut self) -> Result<i32, BadRecord> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> Result<i64, BadRecord> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub(crate) fn nullable_string(&mut self) -> Result<Option<String>, BadRecord> {
        match self.i16()? {
            -1 => Ok(None),
            n => {
                let n = usize::try_from(n).map_err(|_| BadRecord(format!("string of {n} bytes")))?;
                let text = std::str::from_utf8(self.bytes(n)?).map_err(|e| BadRecord(e.to_string()))?;
                Ok(Some(text.to_owned()))
            }
        }
    }

    pub(crate) fn string(&mut self) -> Result<String, BadRecord> {
        self.nullable_string()?.ok_or_else(|| BadRecord("null string".into()))
    }

    pub(crate) fn blob(&mut self) -> Result<Bytes, BadRecord> {
        let n = self.i32()?;
        let n = usize::try_from(n).map_err(|_| BadRecord(format!("{n} bytes")))?;
        Ok(Bytes::copy_from_slice(self.bytes(n)?))
    }

    /// The count of an array; null counts as 0.
    pub(crate) fn count(&mut self) -> Result<usize, BadRecord> {
        let n = self.i32()?;
        Ok(usize::try_from(n).unwrap_or(0))
    }
}

/// Writes fields. A string beyond 32 767 bytes cannot come here: request strings are no longer than that, names are checked.
pub(crate) trait PutFields {
    fn put_text(&mut self, text: &str);
    fn put_nullable_text(&mut self, text: Option<&str>);
    fn put_blob(&mut self, blob: &[u8]);
}

impl PutFields for BytesMut {
    fn put_text(&mut self, text: &str) {
        let mut end = text.len().min(i16::MAX as usize);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.put_i16(end as i16);
        self.put_slice(&text.as_bytes()[..end]);
    }

    fn put_nullable_text(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.put_text(text),
            None => self.put_i16(-1),
        }
    }

    fn put_blob(&mut self, blob: &[u8]) {
        self.put_i32(blob.len() as i32);
        self.put_slice(blob);
    }
}
