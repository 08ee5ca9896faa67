//! The format `DELIMITED`: a line of fields, as ksqlDB reads and writes it (CSV; TSV with `VALUE_DELIMITER='TAB'`).
//!
//! ```text
//!  12,"a ""word"", and more",,true         quoted where it must be; an empty field is NULL, also a quoted one
//! ```
//! | type | text |
//! |---|---|
//! | `BOOLEAN` | `true`, `false` in any case (ksqlDB takes all else for false; here it is an error) |
//! | `INTEGER`, `BIGINT`, `DOUBLE`, `DECIMAL` | the number; a double also `NaN`, `Infinity`, `-Infinity` |
//! | `VARCHAR` | as it is; the empty string cannot be told from NULL |
//! | `BYTES` | Base64 |
//! | `DATE`, `TIME`, `TIMESTAMP` | the number of days or milliseconds |
//!
//! Columns stand in the schema's order, and a record has exactly as many fields. `ARRAY`, `MAP` and `STRUCT` have no form.

mod text;

use crate::cells::Cells;
use crate::codec;
use crate::column::Column;
use crate::failure::{Failure, Fallible, abridged};
use crate::json::write;
use crate::numeric::{self, Misfit};
use crate::temporal::DAY_MS;
use crate::{Codec, DataType, Decoded, Encoded, RecordError, Row, Schema, Value, batch};
use arrow_array::RecordBatch;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::borrow::Cow;

/// What stands between two fields (`VALUE_DELIMITER`, `KEY_DELIMITER`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Delimiter(char);

impl Default for Delimiter {
    fn default() -> Self {
        Self(',')
    }
}

impl Delimiter {
    /// A tab.
    pub const TAB: Self = Self('\t');

    /// ksqlDB's option: one character, or `TAB` or `SPACE` in any case.
    ///
    /// # Errors
    /// It is neither; in ksqlDB's words.
    pub fn parse(option: &str) -> Result<Self, InvalidDelimiter> {
        let mut chars = option.chars();
        match (option.to_ascii_uppercase().as_str(), chars.next(), chars.next()) {
            ("TAB", ..) => Ok(Self::TAB),
            ("SPACE", ..) => Ok(Self(' ')),
            (_, Some('"' | '\n' | '\r'), None) => Err(InvalidDelimiter(format!(
                "Invalid delimiter value: '{}'. It is what quotes or ends a record.",
                option.escape_default()
            ))),
            (_, Some(c), None) if !c.is_whitespace() => Ok(Self(c)),
            (_, Some(c), _) if !c.is_whitespace() || !option.trim().is_empty() => Err(InvalidDelimiter(format!(
                "Invalid delimiter value: '{option}'. Delimiter must be a single character or TAB,SPACE"
            ))),
            _ => Err(InvalidDelimiter(
                "Delimiter cannot be empty, if you meant to have a tab or space for delimiter, please use the special \
                 values 'TAB' or 'SPACE'"
                    .into(),
            )),
        }
    }

    fn is(self, c: char) -> bool {
        self.0 == c
    }
}

/// An option is no delimiter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidDelimiter(String);

/// The format `DELIMITED`, for keys or values of columns without parts.
pub struct DelimitedCodec {
    schema: Schema,
    delimiter: Delimiter,
}

impl DelimitedCodec {
    /// A codec of that schema; `None` if the format cannot hold it: it has no column, or one with parts.
    pub fn new(schema: Schema, delimiter: Delimiter) -> Option<Self> {
        let parts = |t: &DataType| matches!(t, DataType::Array(_) | DataType::Map(_) | DataType::Struct(_));
        let held = !schema.fields.is_empty() && !schema.fields.iter().any(|f| parts(&f.data_type));
        held.then_some(Self { schema, delimiter })
    }

    fn split<'a>(&self, payload: &'a [u8], fields: &mut Vec<Cow<'a, str>>) -> Fallible<()> {
        let text = std::str::from_utf8(payload)
            .map_err(|e| Failure::new(format!("not UTF-8 at byte {}", e.valid_up_to())))?;
        text::split(text, self.delimiter, fields)?;
        let (found, wanted) = (fields.len(), self.schema.fields.len());
        if found != wanted {
            let reason = format!("Unexpected field count, csvFields:{found} schemaFields:{wanted}");
            return Err(Failure::new(reason));
        }
        Ok(())
    }

    fn write(&self, out: &mut Vec<u8>, at: usize, value: &Leaf<'_>, scratch: &mut Vec<u8>) -> Fallible<()> {
        if at > 0 {
            let mut bytes = [0; 4];
            out.extend_from_slice(self.delimiter.0.encode_utf8(&mut bytes).as_bytes());
        }
        scratch.clear();
        let text: &str = match value {
            Leaf::Null => "",
            Leaf::Text(text) => text,
            Leaf::Boolean(true) => "true",
            Leaf::Boolean(false) => "false",
            other => {
                match other {
                    Leaf::Whole(v) => scratch.extend_from_slice(itoa::Buffer::new().format(*v).as_bytes()),
                    Leaf::Double(v) if v.is_nan() => scratch.extend_from_slice(b"NaN"),
                    Leaf::Double(v) if v.is_infinite() => {
                        scratch.extend_from_slice(if *v > 0.0 { b"Infinity" } else { b"-Infinity" });
                    }
                    Leaf::Double(v) => write::double(scratch, *v)?,
                    Leaf::Decimal(v, scale) => write::decimal(scratch, *v, *scale),
                    Leaf::Bytes(v) => scratch.extend_from_slice(BASE64_STANDARD.encode(v).as_bytes()),
                    _ => {}
                }
                std::str::from_utf8(scratch).map_err(|e| Failure::new(e.to_string()))?
            }
        };
        text::put(out, text, self.delimiter, at == 0);
        Ok(())
    }
}

/// A value as it is written.
enum Leaf<'a> {
    Null,
    Boolean(bool),
    Whole(i64),
    Double(f64),
    Decimal(i128, i8),
    Text(&'a str),
    Bytes(&'a [u8]),
}

#[cold]
fn misfit(wanted: &DataType, text: &str, why: Misfit) -> Box<Failure> {
    let text = abridged(text);
    Failure::new(match why {
        Misfit::NotANumber => format!("{wanted} wanted, found \"{text}\""),
        Misfit::Fraction => format!("{text} has more digits after the point than {wanted} holds"),
        Misfit::Range => format!("{text} is out of the range of {wanted}"),
    })
}

fn whole(text: &str, wanted: &DataType) -> Fallible<i64> {
    match text.parse() {
        Ok(value) => Ok(value),
        Err(_) if numeric::scaled(text, 0).is_ok() => Err(misfit(wanted, text, Misfit::Range)),
        Err(_) => Err(misfit(wanted, text, Misfit::NotANumber)),
    }
}

fn narrow(text: &str, wanted: &DataType) -> Fallible<i32> {
    i32::try_from(whole(text, wanted)?).map_err(|_| misfit(wanted, text, Misfit::Range))
}

fn boolean(text: &str) -> Fallible<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Ok(true),
        _ if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(misfit(&DataType::Boolean, text, Misfit::NotANumber)),
    }
}

fn double(text: &str) -> Fallible<f64> {
    match text.trim() {
        "NaN" => Ok(f64::NAN),
        "Infinity" | "+Infinity" => Ok(f64::INFINITY),
        "-Infinity" => Ok(f64::NEG_INFINITY),
        number => numeric::double(number).map_err(|why| misfit(&DataType::Double, text, why)),
    }
}

fn decimal(text: &str, wanted: &DataType, precision: u8, scale: i8) -> Fallible<i128> {
    let value = numeric::scaled(text, scale.into()).map_err(|why| misfit(wanted, text, why))?;
    match numeric::fits_precision(value, precision) {
        true => Ok(value),
        false => Err(misfit(wanted, text, Misfit::Range)),
    }
}

fn time(text: &str) -> Fallible<i32> {
    match i64::from(narrow(text, &DataType::Time)?) {
        ms if (0..DAY_MS).contains(&ms) => Ok(ms as i32),
        _ => Err(misfit(&DataType::Time, text, Misfit::Range)),
    }
}

fn bytes(text: &str) -> Fallible<Vec<u8>> {
    BASE64_STANDARD.decode(text).map_err(|e| Failure::new(format!("BYTES wanted, no Base64: {e}")))
}

fn read(text: &str, data_type: &DataType, column: &mut Column) -> Fallible<()> {
    if text.is_empty() {
        column.push_null();
        return Ok(());
    }
    match column {
        Column::Boolean(c) => c.push(Some(boolean(text)?)),
        Column::Integer(c) | Column::Date(c) => c.push(Some(narrow(text, data_type)?)),
        Column::BigInt(c) | Column::Timestamp(c) => c.push(Some(whole(text, data_type)?)),
        Column::Double(c) => c.push(Some(double(text)?)),
        Column::Decimal(c, precision, scale) => {
            c.push(Some(decimal(text, data_type, *precision, *scale)?));
        }
        Column::Varchar(c) => c.push(text.as_bytes())?,
        Column::Bytes(c) => c.push(&bytes(text)?)?,
        Column::Time(c) => c.push(Some(time(text)?)),
        _ => return Err(Failure::new(format!("DELIMITED does not support type: {data_type}"))),
    }
    Ok(())
}

fn read_value(text: &str, data_type: &DataType) -> Fallible<Value> {
    Ok(match data_type {
        _ if text.is_empty() => Value::Null,
        DataType::Boolean => Value::Boolean(boolean(text)?),
        DataType::Integer => Value::Integer(narrow(text, data_type)?),
        DataType::BigInt => Value::BigInt(whole(text, data_type)?),
        DataType::Double => Value::Double(double(text)?),
        DataType::Decimal(precision, scale) => Value::Decimal(decimal(text, data_type, *precision, *scale)?),
        DataType::Varchar => Value::Varchar(text.to_owned()),
        DataType::Bytes => Value::Bytes(bytes(text)?),
        DataType::Date => Value::Date(narrow(text, data_type)?),
        DataType::Time => Value::Time(time(text)?),
        DataType::Timestamp => Value::Timestamp(whole(text, data_type)?),
        _ => return Err(Failure::new(format!("DELIMITED does not support type: {data_type}"))),
    })
}

fn of_cell<'a>(cells: &Cells<'a>, i: usize) -> Fallible<Leaf<'a>> {
    Ok(match cells {
        cells if cells.is_null(i) => Leaf::Null,
        Cells::Boolean(a) => Leaf::Boolean(a.value(i)),
        Cells::Integer(a) => Leaf::Whole(a.value(i).into()),
        Cells::BigInt(a) => Leaf::Whole(a.value(i)),
        Cells::Double(a) => Leaf::Double(a.value(i)),
        Cells::Decimal(a, scale) => Leaf::Decimal(a.value(i), *scale),
        Cells::Varchar(a) => Leaf::Text(a.value(i)),
        Cells::Bytes(a) => Leaf::Bytes(a.value(i)),
        Cells::Date(a) => Leaf::Whole(a.value(i).into()),
        Cells::Time(a) => Leaf::Whole(a.value(i).into()),
        Cells::Timestamp(a) => Leaf::Whole(a.value(i)),
        _ => return Err(Failure::new("DELIMITED does not support types with parts")),
    })
}

fn of_value<'a>(data_type: &DataType, value: &'a Value) -> Fallible<Leaf<'a>> {
    Ok(match (data_type, value) {
        (_, Value::Null) => Leaf::Null,
        (DataType::Boolean, Value::Boolean(v)) => Leaf::Boolean(*v),
        (DataType::Integer, Value::Integer(v))
        | (DataType::Date, Value::Date(v))
        | (DataType::Time, Value::Time(v)) => Leaf::Whole((*v).into()),
        (DataType::BigInt, Value::BigInt(v)) | (DataType::Timestamp, Value::Timestamp(v)) => Leaf::Whole(*v),
        (DataType::Double, Value::Double(v)) => Leaf::Double(*v),
        (DataType::Decimal(_, scale), Value::Decimal(v)) => Leaf::Decimal(*v, *scale),
        (DataType::Varchar, Value::Varchar(v)) => Leaf::Text(v),
        (DataType::Bytes, Value::Bytes(v)) => Leaf::Bytes(v),
        (wanted, value) => return Err(batch::wrong_type(wanted, value)),
    })
}

impl Codec for DelimitedCodec {
    fn format(&self) -> &'static str {
        "DELIMITED"
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn decode_arrow(&self, payloads: &[Option<&[u8]>]) -> Decoded {
        batch::decode(&self.schema, payloads, |payload, columns| {
            let mut fields = Vec::with_capacity(columns.len());
            self.split(payload, &mut fields)?;
            for ((text, field), column) in fields.iter().zip(&self.schema.fields).zip(columns) {
                read(text, &field.data_type, column).map_err(|e| e.in_field(&field.name))?;
            }
            Ok(())
        })
    }

    fn encode_arrow(&self, batch: &RecordBatch, out: &mut Encoded) -> Result<(), RecordError> {
        let cells = Cells::bind_batch(batch, &self.schema)?;
        let mut scratch = Vec::new();
        out.append(batch.num_rows(), |i, arena| {
            for (at, (cells, field)) in cells.iter().zip(&self.schema.fields).enumerate() {
                of_cell(cells, i)
                    .and_then(|leaf| self.write(arena, at, &leaf, &mut scratch))
                    .map_err(|e| e.in_field(&field.name))?;
            }
            Ok(())
        })
    }

    fn decode_row(&self, payload: &[u8]) -> Result<Row, RecordError> {
        let read = || -> Fallible<Row> {
            let mut fields = Vec::new();
            self.split(payload, &mut fields)?;
            let both = fields.iter().zip(&self.schema.fields);
            both.map(|(text, f)| read_value(text, &f.data_type).map_err(|e| e.in_field(&f.name))).collect()
        };
        read().map_err(|e| e.of_record(0))
    }

    fn encode_row(&self, row: &Row, out: &mut Vec<u8>) -> Result<(), RecordError> {
        codec::append_row(out, |out| {
            batch::check_width(&self.schema, row)?;
            let mut scratch = Vec::new();
            for (at, (value, field)) in row.iter().zip(&self.schema.fields).enumerate() {
                of_value(&field.data_type, value)
                    .and_then(|leaf| self.write(out, at, &leaf, &mut scratch))
                    .map_err(|e| e.in_field(&field.name))?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Field;
    use crate::conformance::{self, Malformed, telling_values};
    use std::sync::Arc;

    fn codec(types: &[DataType], delimiter: Delimiter) -> DelimitedCodec {
        let fields = types.iter().enumerate().map(|(i, t)| Field::new(format!("c{i}"), t.clone()));
        DelimitedCodec::new(Schema::new(fields.collect()), delimiter).unwrap()
    }

    fn malformed(schema: &Schema) -> Vec<Malformed> {
        let mut all: Vec<Malformed> =
            ["", "\n", "\"1", "\"1\"x", "1,2", "1\n2"].map(|text| Malformed::new(text, "")).into();
        let wrong: &[&str] = match schema.fields[0].data_type {
            DataType::Boolean => &["1", "yes"],
            DataType::Integer | DataType::Date => &["x", "1.5", "2147483648", " 1"],
            DataType::BigInt | DataType::Timestamp => &["9223372036854775808", "0x1"],
            DataType::Double => &["1e", "infinite"],
            DataType::Decimal(..) => &["x", "1e99"],
            DataType::Time => &["-1", "86400000"],
            _ => &[],
        };
        all.extend(wrong.iter().map(|text| Malformed::new(*text, "v")));
        all
    }

    #[test]
    fn it_conforms_but_for_empty_strings() {
        let format = |blank: bool| {
            move |schema: &Schema| {
                let blanks = matches!(schema.fields[0].data_type, DataType::Varchar | DataType::Bytes);
                let codec = DelimitedCodec::new(schema.clone(), Delimiter::default());
                codec.filter(|_| blank || !blanks).map(|c| Arc::new(c) as Arc<dyn Codec>)
            }
        };
        conformance::all(&conformance::Format {
            codec: &format(false),
            nulls: true,
            all_doubles: true,
            malformed: &malformed,
        });
        let of_text = conformance::Format {
            codec: &format(true),
            nulls: true,
            all_doubles: true,
            malformed: &malformed,
        };
        conformance::tombstones_are_no_rows(&of_text);
    }

    #[test]
    fn rows_of_all_types_round_trip_with_any_delimiter() {
        let types = [
            DataType::Varchar,
            DataType::Integer,
            DataType::Varchar,
            DataType::Bytes,
            DataType::Double,
            DataType::Decimal(9, 3),
            DataType::Boolean,
            DataType::Timestamp,
        ];
        let values: Vec<Vec<Value>> = types.iter().map(telling_values).collect();
        let blank = |v: &Value| {
            matches!(v, Value::Varchar(t) if t.is_empty()) || matches!(v, Value::Bytes(b) if b.is_empty())
        };
        let row = |i: usize| -> Row {
            let of = |values: &Vec<Value>| values[i % values.len()].clone();
            values.iter().map(of).map(|v| if blank(&v) { Value::Null } else { v }).collect()
        };
        let mut rows: Vec<Row> = (0..60).map(row).collect();
        rows.push(vec![Value::Null; types.len()]);
        for delimiter in [",", ";", "|", "TAB", "space", "€"] {
            conformance::rows_round_trip(&codec(&types, Delimiter::parse(delimiter).unwrap()), &rows);
        }
    }

    #[test]
    fn lines_are_read_as_commons_csv_reads_them() {
        let text = |t: &str| Value::Varchar(t.into());
        let both = codec(&[DataType::Varchar, DataType::Varchar], Delimiter::default());
        for (line, wanted) in [
            ("a,b", [text("a"), text("b")]),
            ("a,b\r\n", [text("a"), text("b")]),
            ("\n\na,b\n\n", [text("a"), text("b")]),
            (",", [Value::Null, Value::Null]),
            ("\"\",\"\"", [Value::Null, Value::Null]),
            (" a , b ", [text(" a "), text(" b ")]),
            ("\"a\" ,b", [text("a"), text("b")]),
            ("\"a,\"\"x\"\"\n\",b\"c", [text("a,\"x\"\n"), text("b\"c")]),
            ("日本,\"😀\"", [text("日本"), text("😀")]),
        ] {
            assert_eq!(both.decode_row(line.as_bytes()).unwrap(), wanted, "{line:?}");
        }
        let error = both.decode_row(b"a").unwrap_err();
        assert_eq!(error.reason, "Unexpected field count, csvFields:1 schemaFields:2");
        assert_eq!(both.decode_row(b"").unwrap_err().reason, "No fields in record");
        assert!(both.decode_row(b"a,b\nc,d").unwrap_err().reason.contains("more than one line"));
    }

    #[test]
    fn lines_are_written_as_ksqldb_writes_them() {
        let types = [DataType::Varchar, DataType::BigInt, DataType::Decimal(6, 2), DataType::Varchar];
        for (row, delimiter, wanted) in [
            (["a", "b"], ",", "a,7,-1.50,b"),
            (["a,b", "c\"d"], ",", "\"a,b\",7,-1.50,\"c\"\"d\""),
            (["a,b", "c\td"], "TAB", "a,b\t7\t-1.50\t\"c\td\""),
            (["", "x "], ",", "\"\",7,-1.50,\"x \""),
            (["#a", "x y"], "|", "\"#a\"|7|-1.50|x y"),
        ] {
            let [a, b] = row.map(|t| if t.is_empty() { Value::Null } else { Value::Varchar(t.into()) });
            let mut out = Vec::new();
            let codec = codec(&types, Delimiter::parse(delimiter).unwrap());
            codec.encode_row(&vec![a, Value::BigInt(7), Value::Decimal(-150), b], &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), wanted);
        }
    }

    #[test]
    fn delimiters_are_one_character_or_a_name() {
        assert_eq!(Delimiter::parse("tab"), Ok(Delimiter::TAB));
        assert_eq!(Delimiter::parse(","), Ok(Delimiter::default()));
        let reason = |option: &str| Delimiter::parse(option).unwrap_err().to_string();
        assert_eq!(
            reason("||"),
            "Invalid delimiter value: '||'. Delimiter must be a single character or TAB,SPACE"
        );
        for option in ["", " ", "\t"] {
            assert!(reason(option).starts_with("Delimiter cannot be empty"), "{option:?}");
        }
        assert!(reason("\"").starts_with("Invalid delimiter value"));
    }
}
