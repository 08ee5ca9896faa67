//! What the targets of codecs share: a registry in memory, and that a codec's two ways of reading agree.
#![allow(dead_code, reason = "each target uses a part of it")]

use bd_schema::{
    Codec, DataType, Field, NewSchema, RegisteredSchema, RegistryError, Schema, SchemaRegistry, SchemaText,
    arrow_to_rows,
};
use std::sync::Arc;

/// A registry of these schemas, whose ids count from 1.
pub struct Known(Vec<Arc<SchemaText>>);

impl Known {
    pub fn new(schemas: impl IntoIterator<Item = SchemaText>) -> Arc<Self> {
        Arc::new(Self(schemas.into_iter().map(Arc::new).collect()))
    }
}

impl SchemaRegistry for Known {
    fn schema(&self, id: u32) -> Result<Arc<SchemaText>, RegistryError> {
        let at = id.checked_sub(1).ok_or(RegistryError::UnknownId(id))?;
        self.0.get(at as usize).cloned().ok_or(RegistryError::UnknownId(id))
    }

    fn register(&self, _: &str, _: &NewSchema) -> Result<u32, RegistryError> {
        Ok(1)
    }

    fn latest(&self, _: &str) -> Result<Option<RegisteredSchema>, RegistryError> {
        Ok(None)
    }
}

/// Columns `a`, `b`, ... of every scalar type, then of `more`.
pub fn columns(more: impl IntoIterator<Item = DataType>) -> Schema {
    let scalars = [
        DataType::Boolean,
        DataType::Integer,
        DataType::BigInt,
        DataType::Double,
        DataType::Decimal(9, 2),
        DataType::Varchar,
        DataType::Bytes,
        DataType::Date,
        DataType::Time,
        DataType::Timestamp,
    ];
    let types = scalars.into_iter().chain(more);
    Schema::new(types.zip('a'..).map(|(t, name)| Field::new(name, t)).collect())
}

/// Reads payloads as Arrow and as rows: both read the same ones, to the same values, for the same reasons. Where the codec
/// `writes` all that it reads, that is tried.
pub fn read(codec: &dyn Codec, payloads: &[Option<&[u8]>], writes: bool) {
    let decoded = codec.decode_arrow(payloads);
    let rows = arrow_to_rows(codec.schema(), &decoded.batch).expect("its own batch");
    assert_eq!(rows.len() + decoded.nulls.len() + decoded.errors.len(), payloads.len());
    for (place, row) in decoded.rows.iter().zip(&rows) {
        let payload = payloads[*place as usize].expect("no tombstone");
        let alone = codec.decode_row(payload).expect("decoded before");
        assert_eq!(format!("{alone:?}"), format!("{row:?}"));
        let written = codec.encode_row(row, &mut Vec::new());
        assert!(!writes || written.is_ok(), "{row:?}: {written:?}");
    }
    for error in &decoded.errors {
        let alone =
            codec.decode_row(payloads[error.index].expect("no tombstone")).expect_err("an error before");
        assert_eq!((&alone.path, &alone.reason), (&error.path, &error.reason));
    }
}

/// Texts or records, parted by a byte that none of them holds.
pub fn parts(data: &[u8], by: u8) -> Vec<Option<&[u8]>> {
    data.split(|b| *b == by).map(Some).collect()
}
