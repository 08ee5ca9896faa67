//! From Arrow cells and from rows to a datum of a given schema.

use super::declare::field_name;
use super::derive::{branch_name, not_null};
use super::parse::{AvroError, Names};
use super::plan::Unit;
use super::wire::{put_bytes, put_long};
use crate::batch::wrong_type;
use crate::cells::{Cells, span};
use crate::failure::{Failure, Fallible, abridged};
use crate::{DataType, Field, Schema, Value};
use apache_avro::Schema as Avro;
use apache_avro::schema::{InnerDecimalSchema, RecordSchema, UuidSchema};
use std::collections::HashMap;

/// How a value of a known type is written.
pub(super) struct Write {
    /// The union's branch for NULL; without one NULL has no form.
    null: Option<usize>,
    /// The union's branch for others, in a union.
    branch: Option<usize>,
    kind: Kind,
}

enum Kind {
    Boolean,
    /// `int` (32 bits) or `long`.
    Whole {
        int: bool,
        unit: Unit,
    },
    Float,
    Double,
    Binary,
    Fixed(usize),
    Symbols(HashMap<String, usize>),
    Decimal {
        fixed: Option<usize>,
        shift: u32,
    },
    Array(Box<Write>),
    Map(Box<Write>),
    Record(Vec<Part>),
    /// Connect's form of a union: the one field that is not NULL, by its place, and how it is written in its branch.
    Branches(Vec<(usize, Write)>),
    /// Only NULL is written.
    Null,
}

/// A field of a record, in Avro's order.
struct Part {
    /// The column that it is of; without one it is NULL.
    column: Option<usize>,
    name: String,
    write: Write,
}

/// A value without parts.
enum Leaf<'a> {
    Boolean(bool),
    /// A number, or a date's days.
    Whole(i64),
    /// A time of day or an instant.
    Millis(i64),
    Double(f64),
    Decimal(i128),
    Bytes(&'a [u8]),
}

/// How rows of a schema are written as datums of an Avro schema.
pub(super) struct WritePlan {
    root: Write,
    /// The only column is the datum.
    bare: bool,
}

impl WritePlan {
    /// For rows of `schema`. With `bare` the only column is the datum where the Avro schema is no record that has it.
    pub(super) fn compile(avro: &Avro, schema: &Schema, bare: bool) -> Result<Self, AvroError> {
        let names = Names::of(avro)?;
        if let (Avro::Union(union), Avro::Record(_)) = (avro, not_null(avro)) {
            // A record that may be null, and is not.
            let Self { mut root, bare } = Self::compile(not_null(avro), schema, bare)?;
            root.branch = union.variants().iter().position(|b| !matches!(b, Avro::Null));
            return Ok(Self { root, bare });
        }
        match (avro, schema.fields.as_slice()) {
            (Avro::Record(record), fields) if !bare || part_of(record, fields).is_some() => {
                let kind = Kind::Record(parts(&names, record, fields)?);
                Ok(Self { root: Write { null: None, branch: None, kind }, bare: false })
            }
            (_, [only]) => Ok(Self { root: compile(&names, avro, &only.data_type)?, bare: true }),
            _ => Err(AvroError::new("several columns need an Avro record")),
        }
    }

    /// Appends the datum of the cells of row `i`.
    pub(super) fn cells(
        &self,
        out: &mut Vec<u8>,
        fields: &[Field],
        cells: &[Cells<'_>],
        i: usize,
    ) -> Fallible<()> {
        match (&self.root.kind, fields, cells) {
            (_, [field, ..], [only, ..]) if self.bare => {
                cell(out, &self.root, &field.data_type, only, i).map_err(|e| e.in_field(&field.name))
            }
            (Kind::Record(parts), ..) => {
                self.root.begin(out);
                record_of_cells(out, parts, fields, cells, i)
            }
            _ => Err(Failure::new("several columns need an Avro record")),
        }
    }

    /// Appends the datum of these values, one a column.
    pub(super) fn values(&self, out: &mut Vec<u8>, fields: &[Field], values: &[Value]) -> Fallible<()> {
        match (&self.root.kind, fields, values) {
            (_, [field, ..], [only, ..]) if self.bare => {
                value(out, &self.root, &field.data_type, only).map_err(|e| e.in_field(&field.name))
            }
            (Kind::Record(parts), ..) => {
                self.root.begin(out);
                record_of_values(out, parts, fields, values)
            }
            _ => Err(Failure::new("several columns need an Avro record")),
        }
    }
}

impl Write {
    /// What stands before a value that is not NULL.
    #[inline]
    fn begin(&self, out: &mut Vec<u8>) {
        if let Some(branch) = self.branch {
            put_long(out, branch as i64);
        }
    }
}

fn column_of(name: &str, fields: &[Field]) -> Option<usize> {
    let exact = |f: &Field| f.name == name || field_name(&f.name) == name;
    let exact = fields.iter().position(exact);
    exact.or_else(|| fields.iter().position(|f| field_name(&f.name).eq_ignore_ascii_case(name)))
}

fn part_of<'a>(record: &'a RecordSchema, fields: &[Field]) -> Option<&'a str> {
    record.fields.iter().map(|f| f.name.as_str()).find(|name| column_of(name, fields).is_some())
}

fn parts(names: &Names<'_>, record: &RecordSchema, fields: &[Field]) -> Result<Vec<Part>, AvroError> {
    let mut parts = Vec::with_capacity(record.fields.len());
    for field in &record.fields {
        let column = column_of(&field.name, fields);
        let write = match column {
            Some(column) => compile(names, &field.schema, &fields[column].data_type)
                .map_err(|e| AvroError::new(format!("column {}: {e}", fields[column].name)))?,
            None => match null_branch(&field.schema) {
                Some((null, _)) => Write { null: Some(null), branch: None, kind: Kind::Null },
                None if matches!(field.schema, Avro::Null) => only_null(),
                None => {
                    let reason = format!(
                        "the Avro schema's field {} is never null, and no column has its name",
                        field.name
                    );
                    return Err(AvroError::new(reason));
                }
            },
        };
        parts.push(Part { column, name: field.name.clone(), write });
    }
    let lost = (0..fields.len()).find(|c| !parts.iter().any(|p| p.column == Some(*c)));
    match lost {
        Some(lost) => Err(AvroError::new(format!(
            "column {} is not in the Avro schema {}",
            fields[lost].name,
            record.name.name()
        ))),
        None => Ok(parts),
    }
}

fn only_null() -> Write {
    Write { null: None, branch: None, kind: Kind::Null }
}

fn null_branch(avro: &Avro) -> Option<(usize, &[Avro])> {
    let Avro::Union(union) = avro else { return None };
    let null = union.variants().iter().position(|b| matches!(b, Avro::Null))?;
    Some((null, union.variants()))
}

fn compile(names: &Names<'_>, avro: &Avro, from: &DataType) -> Result<Write, AvroError> {
    let Avro::Union(union) = avro else {
        return Ok(Write { null: None, branch: None, kind: kind(names, avro, from)? });
    };
    let null = null_branch(avro).map(|(null, _)| null);
    let mut refused = AvroError::new("the union has no branch but null");
    let all = || union.variants().iter().enumerate().filter(|(_, b)| !matches!(b, Avro::Null));
    // Of several that hold it the one that holds it as it is.
    let exact = all().filter(|(_, b)| is_exact(b, from)).chain(all().filter(|(_, b)| !is_exact(b, from)));
    for (at, branch) in exact {
        match kind(names, branch, from) {
            Ok(kind) => return Ok(Write { null, branch: Some(at), kind }),
            Err(e) => refused = e,
        }
    }
    let DataType::Struct(fields) = from else { return Err(refused) };
    let mut branches = Vec::with_capacity(fields.len());
    for (place, field) in fields.iter().enumerate() {
        let Some((at, branch)) = all().find(|(_, b)| branch_name(b) == field.name) else {
            return Err(refused);
        };
        let kind = kind(names, branch, &field.data_type)?;
        branches.push((place, Write { null: None, branch: Some(at), kind }));
    }
    Ok(Write { null, branch: None, kind: Kind::Branches(branches) })
}

/// Whether the branch is what the type is declared as.
fn is_exact(branch: &Avro, from: &DataType) -> bool {
    matches!(
        (branch, from),
        (Avro::Int, DataType::Integer) | (Avro::Long, DataType::BigInt) | (Avro::Double, DataType::Double)
    )
}

fn kind(names: &Names<'_>, avro: &Avro, from: &DataType) -> Result<Kind, AvroError> {
    use DataType as T;
    let avro = names.resolve(avro)?;
    let whole = |int, unit| Kind::Whole { int, unit };
    Ok(match (avro, from) {
        (Avro::Boolean, T::Boolean) => Kind::Boolean,
        (Avro::Int, T::Integer | T::BigInt | T::Date | T::Time) => whole(true, Unit::Plain),
        (Avro::Long, T::Integer | T::BigInt | T::Timestamp) => whole(false, Unit::Plain),
        (Avro::Date, T::Date | T::Integer) => whole(true, Unit::Plain),
        (Avro::TimeMillis, T::Time | T::Integer) => whole(true, Unit::Plain),
        (Avro::TimeMicros, T::Time) => whole(false, Unit::Micros),
        (Avro::TimestampMillis | Avro::LocalTimestampMillis, T::Timestamp) => whole(false, Unit::Millis),
        (Avro::TimestampMicros | Avro::LocalTimestampMicros, T::Timestamp) => whole(false, Unit::Micros),
        (Avro::TimestampNanos | Avro::LocalTimestampNanos, T::Timestamp) => whole(false, Unit::Nanos),
        (
            Avro::TimeMicros
            | Avro::TimestampMillis
            | Avro::TimestampMicros
            | Avro::TimestampNanos
            | Avro::LocalTimestampMillis
            | Avro::LocalTimestampMicros
            | Avro::LocalTimestampNanos,
            T::BigInt,
        ) => whole(false, Unit::Plain),
        (Avro::Float, T::Double) => Kind::Float,
        (Avro::Double, T::Double | T::Integer) => Kind::Double,
        (Avro::String | Avro::Uuid(UuidSchema::String), T::Varchar) => Kind::Binary,
        (Avro::Bytes | Avro::Uuid(UuidSchema::Bytes) | Avro::BigDecimal, T::Bytes) => Kind::Binary,
        (Avro::Fixed(of) | Avro::Duration(of) | Avro::Uuid(UuidSchema::Fixed(of)), T::Bytes) => {
            Kind::Fixed(of.size)
        }
        (Avro::Enum(of), T::Varchar) => {
            Kind::Symbols(of.symbols.iter().enumerate().map(|(i, s)| (s.clone(), i)).collect())
        }
        (Avro::Decimal(of), T::Decimal(_, scale)) if of.scale as i64 >= i64::from(*scale) => {
            let fixed = match &of.inner {
                InnerDecimalSchema::Bytes => None,
                InnerDecimalSchema::Fixed(of) => Some(of.size),
            };
            Kind::Decimal { fixed, shift: (of.scale as i64 - i64::from(*scale)).min(100) as u32 }
        }
        (Avro::Array(array), T::Array(element)) => {
            Kind::Array(Box::new(compile(names, &array.items, element)?))
        }
        (Avro::Map(map), T::Map(value)) => Kind::Map(Box::new(compile(names, &map.types, value)?)),
        (Avro::Record(record), T::Struct(fields)) => Kind::Record(parts(names, record, fields)?),
        (avro, from) => {
            return Err(AvroError::new(format!("{from} cannot be written as Avro's {}", branch_name(avro))));
        }
    })
}

fn record_of_cells(
    out: &mut Vec<u8>,
    parts: &[Part],
    fields: &[Field],
    cells: &[Cells<'_>],
    i: usize,
) -> Fallible<()> {
    for part in parts {
        match part.column {
            Some(c) => cell(out, &part.write, &fields[c].data_type, &cells[c], i)
                .map_err(|e| e.in_field(&fields[c].name))?,
            None => null(out, &part.write).map_err(|e| e.in_field(&part.name))?,
        }
    }
    Ok(())
}

#[inline]
fn null(out: &mut Vec<u8>, write: &Write) -> Fallible<()> {
    match (write.null, &write.kind) {
        (Some(branch), _) => put_long(out, branch as i64),
        (None, Kind::Null) => {}
        (None, _) => return Err(Failure::new("NULL has no form here: the Avro schema's type is never null")),
    }
    Ok(())
}

#[inline]
fn cell(out: &mut Vec<u8>, write: &Write, data_type: &DataType, cells: &Cells<'_>, i: usize) -> Fallible<()> {
    if cells.is_null(i) {
        return null(out, write);
    }
    write.begin(out);
    let value = match (cells, &write.kind, data_type) {
        (Cells::Boolean(a), ..) => Leaf::Boolean(a.value(i)),
        (Cells::Integer(a), ..) => Leaf::Whole(a.value(i).into()),
        (Cells::BigInt(a), ..) => Leaf::Whole(a.value(i)),
        (Cells::Double(a), ..) => Leaf::Double(a.value(i)),
        (Cells::Decimal(a, _), ..) => Leaf::Decimal(a.value(i)),
        (Cells::Varchar(a), ..) => Leaf::Bytes(a.value(i).as_bytes()),
        (Cells::Bytes(a), ..) => Leaf::Bytes(a.value(i)),
        (Cells::Date(a), ..) => Leaf::Whole(a.value(i).into()),
        (Cells::Time(a), ..) => Leaf::Millis(a.value(i).into()),
        (Cells::Timestamp(a), ..) => Leaf::Millis(a.value(i)),
        (Cells::Array(a, items), Kind::Array(item), DataType::Array(element)) => {
            let span = span(a.value_offsets(), i);
            return blocks(out, span.len(), |out, at| {
                cell(out, item, element, items, span.start + at).map_err(|e| e.in_element(at))
            });
        }
        (Cells::Map(a, keys, values), Kind::Map(entry), DataType::Map(value)) => {
            let span = span(a.value_offsets(), i);
            return blocks(out, span.len(), |out, at| {
                let key = keys.value(span.start + at);
                put_bytes(out, key.as_bytes());
                cell(out, entry, value, values, span.start + at).map_err(|e| e.in_entry(key))
            });
        }
        (Cells::Struct(_, cells), Kind::Record(parts), DataType::Struct(fields)) => {
            return record_of_cells(out, parts, fields, cells, i);
        }
        (Cells::Struct(_, cells), Kind::Branches(branches), DataType::Struct(fields)) => {
            let (place, write) = one(branches, |place| !cells[place].is_null(i))?;
            let of = &fields[place];
            return cell(out, write, &of.data_type, &cells[place], i).map_err(|e| e.in_field(&of.name));
        }
        _ => return Err(Failure::new("the column is not of the schema's type")),
    };
    leaf(out, &write.kind, &value, data_type)
}

/// One block of so many items, then the empty one.
fn blocks(
    out: &mut Vec<u8>,
    count: usize,
    mut item: impl FnMut(&mut Vec<u8>, usize) -> Fallible<()>,
) -> Fallible<()> {
    if count > 0 {
        put_long(out, count as i64);
    }
    for at in 0..count {
        item(out, at)?;
    }
    put_long(out, 0);
    Ok(())
}

fn record_of_values(out: &mut Vec<u8>, parts: &[Part], fields: &[Field], values: &[Value]) -> Fallible<()> {
    for part in parts {
        match part.column {
            Some(c) => value(out, &part.write, &fields[c].data_type, &values[c])
                .map_err(|e| e.in_field(&fields[c].name))?,
            None => null(out, &part.write).map_err(|e| e.in_field(&part.name))?,
        }
    }
    Ok(())
}

fn value(out: &mut Vec<u8>, write: &Write, data_type: &DataType, v: &Value) -> Fallible<()> {
    if matches!(v, Value::Null) {
        return null(out, write);
    }
    write.begin(out);
    let of = match (data_type, v) {
        (DataType::Boolean, Value::Boolean(v)) => Leaf::Boolean(*v),
        (DataType::Integer, Value::Integer(v)) | (DataType::Date, Value::Date(v)) => Leaf::Whole((*v).into()),
        (DataType::BigInt, Value::BigInt(v)) => Leaf::Whole(*v),
        (DataType::Double, Value::Double(v)) => Leaf::Double(*v),
        (DataType::Decimal(..), Value::Decimal(v)) => Leaf::Decimal(*v),
        (DataType::Varchar, Value::Varchar(v)) => Leaf::Bytes(v.as_bytes()),
        (DataType::Bytes, Value::Bytes(v)) => Leaf::Bytes(v),
        (DataType::Time, Value::Time(v)) => Leaf::Millis((*v).into()),
        (DataType::Timestamp, Value::Timestamp(v)) => Leaf::Millis(*v),
        (data_type, v) => return nested(out, &write.kind, data_type, v),
    };
    leaf(out, &write.kind, &of, data_type)
}

fn nested(out: &mut Vec<u8>, kind: &Kind, data_type: &DataType, v: &Value) -> Fallible<()> {
    match (kind, data_type, v) {
        (Kind::Array(item), DataType::Array(element), Value::Array(items)) => {
            blocks(out, items.len(), |out, at| {
                value(out, item, element, &items[at]).map_err(|e| e.in_element(at))
            })
        }
        (Kind::Map(entry), DataType::Map(of), Value::Map(entries)) => {
            blocks(out, entries.len(), |out, at| {
                let (key, v) = &entries[at];
                put_bytes(out, key.as_bytes());
                value(out, entry, of, v).map_err(|e| e.in_entry(key))
            })
        }
        (Kind::Record(parts), DataType::Struct(fields), Value::Struct(values))
            if fields.len() == values.len() =>
        {
            record_of_values(out, parts, fields, values)
        }
        (Kind::Branches(branches), DataType::Struct(fields), Value::Struct(values))
            if fields.len() == values.len() =>
        {
            let (place, write) = one(branches, |place| !matches!(values[place], Value::Null))?;
            let of = &fields[place];
            value(out, write, &of.data_type, &values[place]).map_err(|e| e.in_field(&of.name))
        }
        (_, wanted, v) => Err(wrong_type(wanted, v)),
    }
}

/// The one branch of a union whose field has a value.
fn one(branches: &[(usize, Write)], has_value: impl Fn(usize) -> bool) -> Fallible<(usize, &Write)> {
    let mut all = branches.iter().filter(|(place, _)| has_value(*place));
    match (all.next(), all.next()) {
        (Some((place, write)), None) => Ok((*place, write)),
        (None, _) => Err(Failure::new("none of the union's branches has a value")),
        _ => Err(Failure::new("more than one of the union's branches has a value")),
    }
}

#[inline]
fn leaf(out: &mut Vec<u8>, kind: &Kind, value: &Leaf<'_>, data_type: &DataType) -> Fallible<()> {
    match (kind, value) {
        (Kind::Whole { int: false, unit: Unit::Plain | Unit::Millis }, Leaf::Whole(v) | Leaf::Millis(v)) => {
            put_long(out, *v);
        }
        (Kind::Binary, Leaf::Bytes(v)) => put_bytes(out, v),
        (Kind::Double, Leaf::Double(v)) => out.extend_from_slice(&v.to_le_bytes()),
        (Kind::Double, Leaf::Whole(v)) => out.extend_from_slice(&(*v as f64).to_le_bytes()),
        (Kind::Float, Leaf::Double(v)) => out.extend_from_slice(&(*v as f32).to_le_bytes()),
        (Kind::Boolean, Leaf::Boolean(v)) => out.push(u8::from(*v)),
        (Kind::Whole { int, unit }, Leaf::Whole(v) | Leaf::Millis(v)) => {
            let factor = match unit {
                Unit::Plain | Unit::Millis => 1,
                Unit::Micros => 1000,
                Unit::Nanos => 1_000_000,
            };
            let scaled = v.checked_mul(factor).filter(|v| !int || i32::try_from(*v).is_ok());
            put_long(
                out,
                scaled.ok_or_else(|| Failure::new(format!("{v} is out of the range of Avro's type")))?,
            );
        }
        (Kind::Fixed(size), Leaf::Bytes(v)) if v.len() == *size => out.extend_from_slice(v),
        (Kind::Fixed(size), Leaf::Bytes(v)) => {
            return Err(Failure::new(format!("Avro's type has {size} bytes, the value {}", v.len())));
        }
        (Kind::Symbols(symbols), Leaf::Bytes(v)) => {
            let text = std::str::from_utf8(v).unwrap_or_default();
            let symbol = symbols.get(text);
            let unknown = || Failure::new(format!("Avro's enum has no symbol \"{}\"", abridged(text)));
            put_long(out, *symbol.ok_or_else(unknown)? as i64);
        }
        (Kind::Decimal { fixed, shift }, Leaf::Decimal(v)) => decimal(out, *fixed, *shift, *v)?,
        _ => return Err(Failure::new(format!("{data_type} is not written as this type of Avro"))),
    }
    Ok(())
}

/// The least bytes of the two's complement, big endian.
fn decimal(out: &mut Vec<u8>, fixed: Option<usize>, shift: u32, value: i128) -> Fallible<()> {
    let scaled = 10_i128.checked_pow(shift).and_then(|factor| value.checked_mul(factor));
    let bytes =
        scaled.ok_or_else(|| Failure::new(format!("the decimal {value} is too great")))?.to_be_bytes();
    let filler = if value < 0 { 0xff } else { 0 };
    let is_sign = |at: usize| bytes[at] == filler && (bytes[at + 1] >= 0x80) == (value < 0);
    let start = (0..bytes.len() - 1).find(|at| !is_sign(*at)).unwrap_or(bytes.len() - 1);
    let digits = &bytes[start..];
    match fixed {
        None => put_bytes(out, digits),
        Some(size) if digits.len() <= size => {
            out.resize(out.len() + size - digits.len(), filler);
            out.extend_from_slice(digits);
        }
        Some(size) => return Err(Failure::new(format!("the decimal {value} does not fit in {size} bytes"))),
    }
    Ok(())
}
