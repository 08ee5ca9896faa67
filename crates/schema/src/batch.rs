//! A batch under construction, from decoders or from rows.

use crate::column::Column;
use crate::failure::{Failure, Fallible};
use crate::{DataType, Decoded, RecordError, Row, Schema, Value};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::ArrowError;

/// Builds the batch of those columns, `rows` long.
fn finish(schema: &Schema, columns: Vec<Column>, rows: usize) -> Result<RecordBatch, ArrowError> {
    let arrow = schema.to_arrow();
    let arrays = columns
        .into_iter()
        .zip(arrow.fields())
        .map(|(column, field)| column.finish(field.data_type()))
        .collect::<Result<Vec<ArrayRef>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(arrow, arrays, &options)
}

/// The batch that `fill` appends rows to, and says how many; what it left half written is taken off.
pub(crate) fn build(
    schema: &Schema,
    fill: impl FnOnce(&mut [Column]) -> usize,
) -> Result<RecordBatch, RecordError> {
    let mut columns: Vec<Column> = schema.fields.iter().map(|f| Column::new(&f.data_type)).collect();
    let rows = fill(&mut columns);
    columns.iter_mut().for_each(|c| c.truncate(rows));
    finish(schema, columns, rows).map_err(|e| Failure::new(e.to_string()).of_record(0))
}

/// Decodes payloads with `read`, which appends one value to each column, or fails having appended any part of that.
pub(crate) fn decode(
    schema: &Schema,
    payloads: &[Option<&[u8]>],
    mut read: impl FnMut(&[u8], &mut [Column]) -> Fallible<()>,
) -> Decoded {
    let mut columns: Vec<Column> = schema.fields.iter().map(|f| Column::new(&f.data_type)).collect();
    let mut rows = Vec::with_capacity(payloads.len());
    let (mut nulls, mut errors) = (Vec::new(), Vec::new());
    for (i, payload) in payloads.iter().enumerate() {
        let Some(payload) = payload else {
            nulls.push(i as u32);
            continue;
        };
        match read(payload, &mut columns) {
            Ok(()) => rows.push(i as u32),
            Err(failure) => {
                columns.iter_mut().for_each(|c| c.truncate(rows.len()));
                errors.push(failure.of_record(i));
            }
        }
    }
    match finish(schema, columns, rows.len()) {
        Ok(batch) => Decoded { batch, rows, nulls, errors },
        // Only a schema that Arrow refuses, such as a decimal of precision 0, leads here: no record of it can be held.
        Err(e) => {
            let present = payloads.iter().enumerate().filter(|(_, p)| p.is_some());
            let error = |index| Failure::new(e.to_string()).of_record(index);
            Decoded {
                batch: RecordBatch::new_empty(schema.to_arrow()),
                rows: Vec::new(),
                nulls,
                errors: present.map(|(i, _)| error(i)).collect(),
            }
        }
    }
}

/// The batch that holds these rows.
///
/// # Errors
/// The first row that does not fit the schema, with its index.
pub fn rows_to_arrow(schema: &Schema, rows: &[Row]) -> Result<RecordBatch, RecordError> {
    let mut columns: Vec<Column> = schema.fields.iter().map(|f| Column::new(&f.data_type)).collect();
    for (i, row) in rows.iter().enumerate() {
        check_width(schema, row).map_err(|e| e.of_record(i))?;
        for ((column, field), value) in columns.iter_mut().zip(&schema.fields).zip(row) {
            push(column, &field.data_type, value).map_err(|e| e.in_field(&field.name).of_record(i))?;
        }
    }
    finish(schema, columns, rows.len()).map_err(|e| Failure::new(e.to_string()).of_record(0))
}

/// # Errors
/// The row has more or fewer values than the schema has columns.
pub(crate) fn check_width(schema: &Schema, row: &Row) -> Fallible<()> {
    if row.len() == schema.fields.len() {
        return Ok(());
    }
    Err(Failure::new(format!("{} values wanted, the row holds {}", schema.fields.len(), row.len())))
}

/// The error of a value that is not of its column's type.
#[cold]
pub(crate) fn wrong_type(wanted: &DataType, value: &Value) -> Box<Failure> {
    Failure::new(format!("{wanted} wanted, the value is {}", value.type_name()))
}

/// Appends a value of that type, the column's.
pub(crate) fn push(column: &mut Column, data_type: &DataType, value: &Value) -> Fallible<()> {
    match (column, data_type, value) {
        (column, _, Value::Null) => column.push_null(),
        (Column::Boolean(c), _, Value::Boolean(v)) => c.push(Some(*v)),
        (Column::Integer(c), _, Value::Integer(v)) => c.push(Some(*v)),
        (Column::BigInt(c), _, Value::BigInt(v)) => c.push(Some(*v)),
        (Column::Double(c), _, Value::Double(v)) => c.push(Some(*v)),
        (Column::Decimal(c, ..), _, Value::Decimal(v)) => c.push(Some(*v)),
        (Column::Varchar(c), _, Value::Varchar(v)) => c.push(v.as_bytes())?,
        (Column::Bytes(c), _, Value::Bytes(v)) => c.push(v)?,
        (Column::Date(c), _, Value::Date(v)) => c.push(Some(*v)),
        (Column::Time(c), _, Value::Time(v)) => c.push(Some(*v)),
        (Column::Timestamp(c), _, Value::Timestamp(v)) => c.push(Some(*v)),
        (Column::Array(c), DataType::Array(element), Value::Array(items)) => {
            for (i, item) in items.iter().enumerate() {
                push(&mut c.items, element, item).map_err(|e| e.in_element(i))?;
            }
            c.offsets.push(c.items.len())?;
        }
        (Column::Map(c), DataType::Map(value), Value::Map(entries)) => {
            for (key, entry) in entries {
                c.keys.push(key.as_bytes())?;
                push(&mut c.values, value, entry).map_err(|e| e.in_entry(key))?;
            }
            c.offsets.push(c.keys.len())?;
        }
        (Column::Struct(c), DataType::Struct(fields), Value::Struct(values))
            if fields.len() == values.len() =>
        {
            for ((column, field), value) in c.fields.iter_mut().zip(fields.iter()).zip(values) {
                push(column, &field.data_type, value).map_err(|e| e.in_field(&field.name))?;
            }
            c.push();
        }
        (_, wanted, value) => return Err(wrong_type(wanted, value)),
    }
    Ok(())
}
