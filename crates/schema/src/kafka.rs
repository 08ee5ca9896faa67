//! The format `KAFKA`: a single primitive as Kafka's own serialisers write it. And `RAW`: the payload as it is.
//!
//! | [`KafkaPrimitive`] | column | bytes | serialiser |
//! |---|---|---|---|
//! | `Boolean` | `BOOLEAN` | 1: 0 or 1 | `BooleanSerializer` |
//! | `Short` | `INTEGER` | 2, big endian | `ShortSerializer` |
//! | `Integer` | `INTEGER` | 4, big endian | `IntegerSerializer` |
//! | `Long` | `BIGINT` | 8, big endian | `LongSerializer` |
//! | `Float` | `DOUBLE` | 4, big endian | `FloatSerializer` |
//! | `Double` | `DOUBLE` | 8, big endian | `DoubleSerializer` |
//! | `String` | `VARCHAR` | UTF-8 | `StringSerializer` |
//! | `Uuid` | `VARCHAR` | its text, UTF-8 | `UUIDSerializer` |
//! | `Bytes` | `BYTES` | as they are | `ByteArraySerializer`, `BytesSerializer`, `ByteBufferSerializer` |
//! | `Void` | any | none: NULL | `VoidSerializer` |
//!
//! It has no form for NULL beside the null payload, which a codec does not write: a NULL is an error here, and whoever writes the
//! record sends a null payload for it.

use crate::cells::Cells;
use crate::column::Column;
use crate::failure::{Failure, Fallible, abridged};
use crate::{Codec, DataType, Decoded, Encoded, RecordError, Row, Schema, Value, batch};
use arrow_array::RecordBatch;

/// What Kafka has a serialiser for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KafkaPrimitive {
    /// One byte.
    Boolean,
    /// 16 bits.
    Short,
    /// 32 bits.
    Integer,
    /// 64 bits.
    Long,
    /// IEEE 754, 32 bits: doubles are rounded.
    Float,
    /// IEEE 754, 64 bits.
    Double,
    /// UTF-8.
    String,
    /// The text of a UUID.
    Uuid,
    /// Bytes.
    Bytes,
    /// Nothing at all: only null payloads are legal.
    Void,
}

impl KafkaPrimitive {
    /// The primitive of a serialiser's or deserialiser's class name, with or without its package; also of Connect's converters
    /// (`org.apache.kafka.connect.converters.ShortConverter`, `...storage.StringConverter`).
    pub fn of_class(name: &str) -> Option<Self> {
        let simple = name.rsplit_once('.').map_or(name, |(_, simple)| simple);
        let suffixes = ["Serializer", "Deserializer", "Converter"];
        let primitive = suffixes.iter().find_map(|suffix| simple.strip_suffix(suffix))?;
        Some(match primitive {
            "Boolean" => Self::Boolean,
            "Short" => Self::Short,
            "Integer" => Self::Integer,
            "Long" => Self::Long,
            "Float" => Self::Float,
            "Double" => Self::Double,
            "String" => Self::String,
            "UUID" => Self::Uuid,
            "ByteArray" | "Bytes" | "ByteBuffer" => Self::Bytes,
            "Void" => Self::Void,
            _ => return None,
        })
    }

    /// The column that holds it; `None`: any does.
    pub fn column(self) -> Option<DataType> {
        Some(match self {
            Self::Boolean => DataType::Boolean,
            Self::Short | Self::Integer => DataType::Integer,
            Self::Long => DataType::BigInt,
            Self::Float | Self::Double => DataType::Double,
            Self::String | Self::Uuid => DataType::Varchar,
            Self::Bytes => DataType::Bytes,
            Self::Void => return None,
        })
    }
}

/// The format `KAFKA`, for keys or values of a single primitive column.
pub struct KafkaCodec {
    schema: Schema,
    primitive: KafkaPrimitive,
    format: &'static str,
}

impl KafkaCodec {
    /// A codec of that schema, as ksqlDB's; `None` if the format cannot hold it: it has not exactly one column, or that is no
    /// `INTEGER`, `BIGINT`, `DOUBLE`, `VARCHAR` or `BYTES`.
    pub fn new(schema: Schema) -> Option<Self> {
        let [field] = schema.fields.as_slice() else { return None };
        let primitive = match field.data_type {
            DataType::Integer => KafkaPrimitive::Integer,
            DataType::BigInt => KafkaPrimitive::Long,
            DataType::Double => KafkaPrimitive::Double,
            DataType::Varchar => KafkaPrimitive::String,
            DataType::Bytes => KafkaPrimitive::Bytes,
            _ => return None,
        };
        Some(Self { schema, primitive, format: "KAFKA" })
    }

    /// A codec of that primitive; `None` if the schema has not exactly one column, or that does not hold it.
    pub fn of(schema: Schema, primitive: KafkaPrimitive) -> Option<Self> {
        let [field] = schema.fields.as_slice() else { return None };
        let holds = primitive.column().is_none_or(|column| column == field.data_type);
        holds.then_some(Self { schema, primitive, format: "KAFKA" })
    }

    /// The format `RAW`: the payload as it is, in one column of `BYTES`, or `VARCHAR` where it is UTF-8; `None` for others.
    pub fn raw(schema: Schema) -> Option<Self> {
        let whole = |c: &Self| matches!(c.primitive, KafkaPrimitive::Bytes | KafkaPrimitive::String);
        Self::new(schema).filter(whole).map(|codec| Self { format: "RAW", ..codec })
    }

    fn in_column(&self, failure: Box<Failure>) -> Box<Failure> {
        failure.in_field(&self.schema.fields[0].name)
    }
}

/// The payload as that many bytes.
fn exact<const N: usize>(payload: &[u8], wanted: &str) -> Fallible<[u8; N]> {
    payload
        .try_into()
        .map_err(|_| Failure::new(format!("{wanted} is {N} bytes, the payload has {}", payload.len())))
}

fn utf8(payload: &[u8]) -> Fallible<&str> {
    std::str::from_utf8(payload).map_err(|e| Failure::new(format!("not UTF-8 at byte {}", e.valid_up_to())))
}

/// 8-4-4-4-12 hexadecimal digits.
fn uuid(text: &str) -> Fallible<&str> {
    let dash = |i: usize| matches!(i, 8 | 13 | 18 | 23);
    let good = text.len() == 36
        && text.bytes().enumerate().all(|(i, b)| if dash(i) { b == b'-' } else { b.is_ascii_hexdigit() });
    if good { Ok(text) } else { Err(Failure::new(format!("no UUID: \"{}\"", abridged(text)))) }
}

fn no_null() -> Box<Failure> {
    Failure::new("KAFKA has no form for NULL; send a null payload")
}

fn no_void() -> Box<Failure> {
    Failure::new("Data should be null for a VoidDeserializer.")
}

fn misfit() -> Box<Failure> {
    Failure::new("the column does not hold this primitive")
}

/// A value between bytes and columns.
enum Leaf<'a> {
    Boolean(bool),
    Integer(i32),
    Long(i64),
    Double(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

fn read(payload: &[u8], primitive: KafkaPrimitive) -> Fallible<Leaf<'_>> {
    Ok(match primitive {
        KafkaPrimitive::Boolean => match exact::<1>(payload, "BOOLEAN")? {
            [0] => Leaf::Boolean(false),
            [1] => Leaf::Boolean(true),
            [other] => {
                return Err(Failure::new(format!(
                    "Unexpected byte received by BooleanDeserializer: {other}"
                )));
            }
        },
        KafkaPrimitive::Short => Leaf::Integer(i16::from_be_bytes(exact(payload, "SHORT")?).into()),
        KafkaPrimitive::Integer => Leaf::Integer(i32::from_be_bytes(exact(payload, "INTEGER")?)),
        KafkaPrimitive::Long => Leaf::Long(i64::from_be_bytes(exact(payload, "BIGINT")?)),
        KafkaPrimitive::Float => Leaf::Double(f32::from_be_bytes(exact(payload, "FLOAT")?).into()),
        KafkaPrimitive::Double => Leaf::Double(f64::from_be_bytes(exact(payload, "DOUBLE")?)),
        KafkaPrimitive::String => Leaf::Text(utf8(payload)?),
        KafkaPrimitive::Uuid => Leaf::Text(uuid(utf8(payload)?)?),
        KafkaPrimitive::Bytes => Leaf::Bytes(payload),
        KafkaPrimitive::Void => return Err(no_void()),
    })
}

fn write(primitive: KafkaPrimitive, value: &Leaf<'_>, out: &mut Vec<u8>) -> Fallible<()> {
    match (primitive, value) {
        (KafkaPrimitive::Boolean, Leaf::Boolean(v)) => out.push(u8::from(*v)),
        (KafkaPrimitive::Short, Leaf::Integer(v)) => {
            let short = i16::try_from(*v);
            let short = short.map_err(|_| Failure::new(format!("{v} is out of the range of a short")))?;
            out.extend_from_slice(&short.to_be_bytes());
        }
        (KafkaPrimitive::Integer, Leaf::Integer(v)) => out.extend_from_slice(&v.to_be_bytes()),
        (KafkaPrimitive::Long, Leaf::Long(v)) => out.extend_from_slice(&v.to_be_bytes()),
        (KafkaPrimitive::Float, Leaf::Double(v)) => out.extend_from_slice(&(*v as f32).to_be_bytes()),
        (KafkaPrimitive::Double, Leaf::Double(v)) => out.extend_from_slice(&v.to_be_bytes()),
        (KafkaPrimitive::String, Leaf::Text(v)) => out.extend_from_slice(v.as_bytes()),
        (KafkaPrimitive::Uuid, Leaf::Text(v)) => out.extend_from_slice(uuid(v)?.as_bytes()),
        (KafkaPrimitive::Bytes, Leaf::Bytes(v)) => out.extend_from_slice(v),
        (KafkaPrimitive::Void, _) => return Err(Failure::new("a value that is not null has no form")),
        _ => return Err(misfit()),
    }
    Ok(())
}

fn push(leaf: &Leaf<'_>, column: &mut Column) -> Fallible<()> {
    match (column, leaf) {
        (Column::Boolean(c), Leaf::Boolean(v)) => c.push(Some(*v)),
        (Column::Integer(c), Leaf::Integer(v)) => c.push(Some(*v)),
        (Column::BigInt(c), Leaf::Long(v)) => c.push(Some(*v)),
        (Column::Double(c), Leaf::Double(v)) => c.push(Some(*v)),
        (Column::Varchar(c), Leaf::Text(v)) => c.push(v.as_bytes())?,
        (Column::Bytes(c), Leaf::Bytes(v)) => c.push(v)?,
        _ => return Err(misfit()),
    }
    Ok(())
}

fn value(leaf: &Leaf<'_>) -> Value {
    match leaf {
        Leaf::Boolean(v) => Value::Boolean(*v),
        Leaf::Integer(v) => Value::Integer(*v),
        Leaf::Long(v) => Value::BigInt(*v),
        Leaf::Double(v) => Value::Double(*v),
        Leaf::Text(v) => Value::Varchar((*v).to_owned()),
        Leaf::Bytes(v) => Value::Bytes(v.to_vec()),
    }
}

fn of_cell<'a>(cells: &Cells<'a>, i: usize) -> Fallible<Leaf<'a>> {
    Ok(match cells {
        cells if cells.is_null(i) => return Err(no_null()),
        Cells::Boolean(a) => Leaf::Boolean(a.value(i)),
        Cells::Integer(a) => Leaf::Integer(a.value(i)),
        Cells::BigInt(a) => Leaf::Long(a.value(i)),
        Cells::Double(a) => Leaf::Double(a.value(i)),
        Cells::Varchar(a) => Leaf::Text(a.value(i)),
        Cells::Bytes(a) => Leaf::Bytes(a.value(i)),
        _ => return Err(misfit()),
    })
}

fn of_value<'a>(data_type: &DataType, value: &'a Value) -> Fallible<Leaf<'a>> {
    Ok(match (data_type, value) {
        (_, Value::Null) => return Err(no_null()),
        (DataType::Boolean, Value::Boolean(v)) => Leaf::Boolean(*v),
        (DataType::Integer, Value::Integer(v)) => Leaf::Integer(*v),
        (DataType::BigInt, Value::BigInt(v)) => Leaf::Long(*v),
        (DataType::Double, Value::Double(v)) => Leaf::Double(*v),
        (DataType::Varchar, Value::Varchar(v)) => Leaf::Text(v),
        (DataType::Bytes, Value::Bytes(v)) => Leaf::Bytes(v),
        (wanted, value) => return Err(batch::wrong_type(wanted, value)),
    })
}

impl Codec for KafkaCodec {
    fn format(&self) -> &'static str {
        self.format
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn decode_arrow(&self, payloads: &[Option<&[u8]>]) -> Decoded {
        batch::decode(&self.schema, payloads, |payload, columns| {
            read(payload, self.primitive)
                .and_then(|leaf| push(&leaf, &mut columns[0]))
                .map_err(|e| self.in_column(e))
        })
    }

    fn encode_arrow(&self, batch: &RecordBatch, out: &mut Encoded) -> Result<(), RecordError> {
        let cells = Cells::bind_batch(batch, &self.schema)?;
        out.append(batch.num_rows(), |i, arena| {
            of_cell(&cells[0], i)
                .and_then(|leaf| write(self.primitive, &leaf, arena))
                .map_err(|e| self.in_column(e))
        })
    }

    fn decode_row(&self, payload: &[u8]) -> Result<Row, RecordError> {
        let leaf = read(payload, self.primitive);
        leaf.map(|leaf| vec![value(&leaf)]).map_err(|e| self.in_column(e).of_record(0))
    }

    fn encode_row(&self, row: &Row, out: &mut Vec<u8>) -> Result<(), RecordError> {
        batch::check_width(&self.schema, row).map_err(|e| e.of_record(0))?;
        // Each arm writes all or fails before it writes, so that there is nothing to take back.
        of_value(&self.schema.fields[0].data_type, &row[0])
            .and_then(|leaf| write(self.primitive, &leaf, out))
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
    fn every_serialiser_of_kafka_has_its_primitive() {
        let column = |t: DataType| Schema::new(vec![Field::new("v", t)]);
        let text = "123e4567-e89b-12d3-a456-426614174000";
        for (class, value, wanted) in [
            ("org.apache.kafka.common.serialization.ShortSerializer", Value::Integer(-2), &[0xff, 0xfe][..]),
            ("FloatDeserializer", Value::Double(1.5), &[0x3f, 0xc0, 0, 0]),
            ("BooleanSerializer", Value::Boolean(true), &[1]),
            ("UUIDSerializer", Value::Varchar(text.into()), text.as_bytes()),
            ("org.apache.kafka.connect.storage.StringConverter", Value::Varchar("x".into()), b"x"),
            ("ByteBufferSerializer", Value::Bytes(vec![1]), &[1]),
        ] {
            let primitive = KafkaPrimitive::of_class(class).unwrap();
            let codec = KafkaCodec::of(column(primitive.column().unwrap()), primitive).unwrap();
            conformance::rows_round_trip(
                &codec,
                &[vec![value.clone()], vec![value.clone()], vec![value.clone()]],
            );
            let mut out = Vec::new();
            codec.encode_row(&vec![value], &mut out).unwrap();
            assert_eq!(out, wanted, "{class}");
        }
        let of = |t, primitive| KafkaCodec::of(column(t), primitive).unwrap();
        let short = of(DataType::Integer, KafkaPrimitive::Short);
        assert!(short.encode_row(&vec![Value::Integer(40_000)], &mut Vec::new()).is_err());
        assert!(of(DataType::Boolean, KafkaPrimitive::Boolean).decode_row(&[2]).is_err());
        assert!(of(DataType::Varchar, KafkaPrimitive::Uuid).decode_row(b"x").is_err());
        let void = of(DataType::Varchar, KafkaPrimitive::Void);
        assert_eq!(void.decode_row(b"").unwrap_err().reason, "Data should be null for a VoidDeserializer.");
        assert_eq!(void.decode_arrow(&[None]).nulls, [0]);
        assert_eq!(KafkaPrimitive::of_class("ListSerializer"), None);
        assert!(KafkaCodec::of(column(DataType::Double), KafkaPrimitive::Long).is_none());
    }

    #[test]
    fn raw_is_the_payload_as_it_is() {
        conformance::all(&conformance::Format {
            codec: &|schema| Some(Arc::new(KafkaCodec::raw(schema.clone())?)),
            nulls: false,
            all_doubles: true,
            malformed: &|schema| match schema.fields[0].data_type {
                DataType::Varchar => vec![Malformed::new(b"\xff", "v")],
                _ => vec![],
            },
        });
        assert_eq!(
            KafkaCodec::raw(Schema::new(vec![Field::new("v", DataType::Bytes)])).unwrap().format(),
            "RAW"
        );
    }

    #[test]
    fn null_has_no_form() {
        let error = codec(DataType::Varchar).encode_row(&vec![Value::Null], &mut Vec::new()).unwrap_err();
        assert!(error.reason.contains("NULL"), "{error}");
    }
}
