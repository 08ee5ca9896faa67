//! The format `NONE`: no columns, no bytes. Of a record it says only that it is there.

use crate::cells::Cells;
use crate::{Codec, Decoded, Encoded, RecordError, Row, Schema, batch};
use arrow_array::RecordBatch;

/// The format `NONE`, of ksqlDB's streams without a key: whatever the bytes are, no column is read from them; what is written is
/// empty, and whoever writes the record sends null for it.
#[derive(Debug, Clone, Default)]
pub struct NoneCodec {
    schema: Schema,
}

impl NoneCodec {
    /// A codec of no columns.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Codec for NoneCodec {
    fn format(&self) -> &'static str {
        "NONE"
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn decode_arrow(&self, payloads: &[Option<&[u8]>]) -> Decoded {
        batch::decode(&self.schema, payloads, |_, _| Ok(()))
    }

    fn encode_arrow(&self, batch: &RecordBatch, out: &mut Encoded) -> Result<(), RecordError> {
        Cells::bind_batch(batch, &self.schema)?;
        out.append(batch.num_rows(), |_, _| Ok(()))
    }

    fn decode_row(&self, _: &[u8]) -> Result<Row, RecordError> {
        Ok(Row::new())
    }

    fn encode_row(&self, row: &Row, _: &mut Vec<u8>) -> Result<(), RecordError> {
        batch::check_width(&self.schema, row).map_err(|e| e.of_record(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_there_and_holds_nothing() {
        let codec = NoneCodec::new();
        let decoded = codec.decode_arrow(&[Some(b""), None, Some(b"x")]);
        assert_eq!((decoded.rows, decoded.nulls, decoded.errors), (vec![0, 2], vec![1], vec![]));
        assert_eq!((decoded.batch.num_rows(), decoded.batch.num_columns()), (2, 0));
        let mut out = Encoded::default();
        codec.encode_arrow(&decoded.batch, &mut out).unwrap();
        assert_eq!((out.arena.as_slice(), out.ends.as_slice()), (&b""[..], &[0, 0][..]));
        assert!(codec.encode_row(&vec![crate::Value::Null], &mut Vec::new()).is_err());
    }
}
