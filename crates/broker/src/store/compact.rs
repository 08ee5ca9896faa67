//! Fields of flexible message versions: lengths as unsigned varints plus one (0 is null), tagged fields at the end of structs.

use super::fields::{BadRecord, Fields};
use bytes::{BufMut, Bytes, BytesMut};
use std::collections::BTreeMap;
use uuid::Uuid;

impl Fields<'_> {
    pub(crate) fn uvarint(&mut self) -> Result<u32, BadRecord> {
        let mut value = 0u64;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.i8()? as u8;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| BadRecord("varint too large".into()));
            }
        }
        Err(BadRecord("varint too long".into()))
    }

    /// `None` for null.
    fn compact_length(&mut self) -> Result<Option<usize>, BadRecord> {
        Ok(self.uvarint()?.checked_sub(1).map(|n| n as usize))
    }

    pub(crate) fn compact_nullable_string(&mut self) -> Result<Option<String>, BadRecord> {
        let Some(n) = self.compact_length()? else { return Ok(None) };
        let text = std::str::from_utf8(self.bytes(n)?).map_err(|e| BadRecord(e.to_string()))?;
        Ok(Some(text.to_owned()))
    }

    pub(crate) fn compact_string(&mut self) -> Result<String, BadRecord> {
        self.compact_nullable_string()?.ok_or_else(|| BadRecord("null string".into()))
    }

    /// The count of a compact array; null counts as 0.
    pub(crate) fn compact_count(&mut self) -> Result<usize, BadRecord> {
        Ok(self.compact_length()?.unwrap_or(0))
    }

    pub(crate) fn uuid(&mut self) -> Result<Uuid, BadRecord> {
        Uuid::from_slice(self.bytes(16)?).map_err(|e| BadRecord(e.to_string()))
    }

    /// The tagged fields of a struct.
    pub(crate) fn tagged(&mut self) -> Result<BTreeMap<u32, Bytes>, BadRecord> {
        let mut fields = BTreeMap::new();
        for _ in 0..self.uvarint()? {
            let tag = self.uvarint()?;
            let n = self.uvarint()? as usize;
            fields.insert(tag, Bytes::copy_from_slice(self.bytes(n)?));
        }
        Ok(fields)
    }
}

/// Writes compact fields.
pub(crate) trait PutCompact {
    fn put_uvarint(&mut self, value: u32);
    fn put_compact_text(&mut self, text: &str);
    fn put_compact_nullable_text(&mut self, text: Option<&str>);
    fn put_compact_count(&mut self, count: usize);
    /// The end of a struct without tagged fields.
    fn put_no_tags(&mut self);
}

impl PutCompact for BytesMut {
    fn put_uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.put_u8((value as u8 & 0x7f) | 0x80);
            value >>= 7;
        }
        self.put_u8(value as u8);
    }

    fn put_compact_text(&mut self, text: &str) {
        self.put_compact_count(text.len());
        self.put_slice(text.as_bytes());
    }

    fn put_compact_nullable_text(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.put_compact_text(text),
            None => self.put_uvarint(0),
        }
    }

    fn put_compact_count(&mut self, count: usize) {
        self.put_uvarint((count as u32).saturating_add(1));
    }

    fn put_no_tags(&mut self) {
        self.put_uvarint(0);
    }
}
