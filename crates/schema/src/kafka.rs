//! The format `KAFKA`: a single primitive as Kafka's own serialisers write it.
//!
//! ```text
//!  INTEGER  4 bytes, big endian        IntegerSerializer
//!  BIGINT   8 bytes, big endian        LongSerializer
//!  DOUBLE   8 bytes, big endian        DoubleSerializer
//!  VARCHAR  UTF-8                      StringSerializer
//!  BYTES    as they are                BytesSerializer
//! ```
//! It has no form for NULL beside the null payload, which a codec does not write: a NULL is an error here, and whoever writes the
//! record sends a null key for it.

use crate::cells::Cells;
use crate::column::Column;
use crate::failure::{Failure, Fallible};
use crate::{Codec, DataType, Decoded, Encoded, RecordError, Row, Schema, Value, batch};
use arrow_array::RecordBatch;

/// The format `KAFKA`, for keys or values of a single primitive column.
pub struct KafkaCodec {
    schema: Schema,
}

impl KafkaCodec {
    /// A codec of that schema; `None` if the format cannot hold it: it has not exactly one column, or that is no `INTEGER`, `BIGINT`,
    /// `DOUBLE`, `VARCHAR` or `BYTES`.
    pub fn new(schema: Schema) -> Option<Self> {
        let [field] = schema.fields.as_slice() else { return None };
        let primitive = matches!(
            field.data_type,
            DataType::Integer | DataType::BigInt | DataType::Double | DataType::Varchar | DataType::Bytes
        );
        primitive.then_some(Self { schema })
    }

    fn in_column(&self, failure: Box<Failure>) -> Box<Failure> {
        failure.in_field(&self.schema.fields[0].name)
    }
}

/// The payload as that many bytes.
fn exact<const N: usize>(payload: &[u8], wanted: &DataType) -> Fallible<[u8; N]> {
    payload
        .try_into()
        .map_err(|_| Failure::new(format!("{wanted} is {N} bytes, the payload has {}", payload.len())))
}

fn utf8(payload: &[u8]) -> Fallible<&str> {
    std::str::from_utf8(payload).map_err(|e| Failure::new(format!("not UTF-8 at byte {}", e.valid_up_to())))
}

fn no_null() -> Box<Failure> {
    Failure::new("KAFKA has no form for NULL; send a null payload")
}

fn read(payload: &[u8], column: &mut Column) -> Fallible<()> {
    match column {
        Column::Integer(c) => c.push(Some(i32::from_be_bytes(exact(payload, &DataType::Integer)?))),
        Column::BigInt(c) => c.push(Some(i64::from_be_bytes(exact(payload, &DataType::BigInt)?))),
        Column::Double(c) => c.push(Some(f64::from_be_bytes(exact(payload, &DataType::Double)?))),
        Column::Varchar(c) => c.push(utf8(payload)?.as_bytes())?,
        Column::Bytes(c) => c.push(payload)?,
        _ => return Err(Failure::new("KAFKA holds a primitive only")),
    }
    Ok(())
}

fn read_value(payload: &[u8], data_type: &DataType) -> Fallible<Value> {
    Ok(match data_type {
        DataType::Integer => Value::Integer(i32::from_be_bytes(exact(payload, data_type)?)),
        DataType::BigInt => Value::BigInt(i64::from_be_bytes(exact(payload, data_type)?)),
        DataType::Double => Value::Double(f64::from_be_bytes(exact(payload, data_type)?)),
        DataType::Varchar => Value::Varchar(utf8(payload)?.to_owned()),
        DataType::Bytes => Value::Bytes(payload.to_owned()),
        _ => return Err(Failure::new("KAFKA holds a primitive only")),
    })
}

fn write_cell(cells: &Cells<'_>, i: usize, out: &mut Vec<u8>) -> Fallible<()> {
    if cells.is_null(i) {
        return Err(no_null());
    }
    match cells {
        Cells::Integer(a) => out.extend_from_slice(&a.value(i).to_be_bytes()),
        Cells::BigInt(a) => out.extend_from_slice(&a.value(i).to_be_bytes()),
        Cells::Double(a) => out.extend_from_slice(&a.value(i).to_be_bytes()),
        Cells::Varchar(a) => out.extend_from_slice(a.value(i).as_bytes()),
        Cells::Bytes(a) => out.extend_from_slice(a.value(i)),
        _ => return Err(Failure::new("KAFKA holds a primitive only")),
    }
    Ok(())
}

fn write_value(data_type: &DataType, value: &Value, out: &mut Vec<u8>) -> Fallible<()> {
    match (data_type, value) {
        (_, Value::Null) => return Err(no_null()),
        (DataType::Integer, Value::Integer(v)) => out.extend_from_slice(&v.to_be_bytes()),
        (DataType::BigInt, Value::BigInt(v)) => out.extend_from_slice(&v.to_be_bytes()),
        (DataType::Double, Value::Double(v)) => out.extend_from_slice(&v.to_be_bytes()),
        (DataType::Varchar, Value::Varchar(v)) => out.extend_from_slice(v.as_bytes()),
        (DataType::Bytes, Value::Bytes(v)) => out.extend_from_slice(v),
        (wanted, value) => return Err(batch::wrong_type(wanted, value)),
    }
    Ok(())
}

impl Codec for KafkaCodec {
    fn format(&self) -> &'static str {
        "KAFKA"
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn decode_arrow(&self, payloads: &[Option<&[u8]>]) -> Decoded {
        batch::decode(&self.schema, payloads, |payload, columns| {
            read(payload, &mut columns[0]).map_err(|e| self.in_column(e))
        })
    }

    fn encode_arrow(&self, batch: &RecordBatch, out: &mut Encoded) -> Result<(), RecordError> {
        let cells = Cells::bind_batch(batch, &self.schema)?;
        out.append(batch.num_rows(), |i, arena| {
            write_cell(&cells[0], i, arena).map_err(|e| self.in_column(e))
        })
    }

    fn decode_row(&self, payload: &[u8]) -> Result<Row, RecordError> {
        let value = read_value(payload, &self.schema.fields[0].data_type);
        value.map(|v| vec![v]).map_err(|e| self.in_column(e).of_record(0))
    }

    fn encode_row(&self, row: &Row, out: &mut Vec<u8>) -> Result<(), RecordError> {
        batch::check_width(&self.schema, row).map_err(|e| e.of_record(0))?;
        // Each arm writes all or fails before it writes, so that there is nothing to take back.
        write_value(&self.schema.fields[0].data_type, &row[0], out)
            .map_err(|e| self.in_column(e).of_record(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Field;
    use crate::conformance::{self, Malformed};
    use std::sync::Arc;

    fn codec(data_type: DataType) -> KafkaCodec {
        KafkaCodec::new(Schema::new(vec![Field::new("k", data_type)])).unwrap()
    }

    #[test]
    fn it_conforms() {
        let widths = |of: &[usize]| of.iter().map(|n| Malformed::new(vec![0; *n], "v")).collect();
        conformance::all(&conformance::Format {
            codec: &|schema| Some(Arc::new(KafkaCodec::new(schema.clone())?)),
            nulls: false,
            all_doubles: true,
            malformed: &|schema| match schema.fields[0].data_type {
                DataType::Integer => widths(&[0, 3, 5, 8]),
                DataType::BigInt | DataType::Double => widths(&[0, 4, 7, 9]),
                DataType::Varchar => vec![Malformed::new(b"\xff", "v"), Malformed::new(b"a\xc3", "v")],
                _ => vec![],
            },
        });
    }

    #[test]
    fn primitives_are_laid_out_as_kafka_s_serialisers_do() {
        for (data_type, value, wanted) in [
            (DataType::Integer, Value::Integer(-2), &[0xff, 0xff, 0xff, 0xfe][..]),
            (DataType::BigInt, Value::BigInt(45), &[0, 0, 0, 0, 0, 0, 0, 45]),
            (DataType::Double, Value::Double(1.5), &[0x3f, 0xf8, 0, 0, 0, 0, 0, 0]),
            (DataType::Varchar, Value::Varchar("é".into()), &[0xc3, 0xa9]),
            (DataType::Varchar, Value::Varchar(String::new()), &[]),
            (DataType::Bytes, Value::Bytes(vec![0, 255]), &[0, 255]),
        ] {
            let mut out = Vec::new();
            codec(data_type).encode_row(&vec![value], &mut out).unwrap();
            assert_eq!(out, wanted);
        }
    }

    #[test]
    fn a_payload_of_another_width_is_an_error() {
        let error = codec(DataType::BigInt).decode_row(&[0; 4]).unwrap_err();
        assert_eq!(error.to_string(), "record 0, field k: BIGINT is 8 bytes, the payload has 4");
    }

    #[test]
    fn null_has_no_form() {
        let error = codec(DataType::Varchar).encode_row(&vec![Value::Null], &mut Vec::new()).unwrap_err();
        assert!(error.reason.contains("NULL"), "{error}");
    }
}
