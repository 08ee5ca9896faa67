//! Arrow as Parquet gives it as Arrow of bd's types.

use arrow_array::types::{
    ArrowPrimitiveType, Decimal128Type, Float64Type, Int32Type, Int64Type, Time32MillisecondType,
    TimestampMillisecondType,
};
use arrow_array::{
    Array, ArrayRef, BinaryArray, FixedSizeBinaryArray, ListArray, MapArray, PrimitiveArray, RecordBatch,
    RecordBatchOptions, StructArray, cast::AsArray, new_null_array,
};
use arrow_schema::{DataType as ArrowType, SchemaRef, TimeUnit};
use bd_schema::{DataType, Field, Schema};
use std::sync::Arc;

/// The columns that Arrow's schema has in bd's terms.
///
/// # Errors
/// A column has a type that bd has not; names it.
pub(super) fn schema(arrow: &SchemaRef) -> Result<Schema, String> {
    Ok(Schema::new(arrow.fields().iter().map(|f| field(f)).collect::<Result<_, _>>()?))
}

fn field(field: &arrow_schema::Field) -> Result<Field, String> {
    let data_type = data_type(field.data_type()).map_err(|e| format!("column {}: {e}", field.name()))?;
    Ok(Field::new(field.name(), data_type))
}

fn data_type(arrow: &ArrowType) -> Result<DataType, String> {
    Ok(match arrow {
        ArrowType::Boolean => DataType::Boolean,
        ArrowType::Int8 | ArrowType::Int16 | ArrowType::Int32 | ArrowType::UInt8 | ArrowType::UInt16 => {
            DataType::Integer
        }
        ArrowType::Int64 | ArrowType::UInt32 => DataType::BigInt,
        ArrowType::UInt64 => DataType::Decimal(20, 0),
        ArrowType::Float16 | ArrowType::Float32 | ArrowType::Float64 => DataType::Double,
        ArrowType::Decimal128(precision, scale) => DataType::Decimal(*precision, *scale),
        ArrowType::Utf8 | ArrowType::Null => DataType::Varchar,
        ArrowType::Binary | ArrowType::FixedSizeBinary(_) => DataType::Bytes,
        ArrowType::Date32 => DataType::Date,
        ArrowType::Time32(_) | ArrowType::Time64(_) => DataType::Time,
        ArrowType::Timestamp(..) => DataType::Timestamp,
        ArrowType::List(item) => DataType::Array(data_type(item.data_type())?.into()),
        ArrowType::Map(entries, _) => match entries.data_type() {
            ArrowType::Struct(parts) if parts.len() == 2 && *parts[0].data_type() == ArrowType::Utf8 => {
                DataType::Map(data_type(parts[1].data_type())?.into())
            }
            _ => return Err("maps are read only if their keys are strings".to_owned()),
        },
        ArrowType::Struct(parts) => {
            DataType::Struct(parts.iter().map(|p| field(p)).collect::<Result<Vec<_>, _>>()?.into())
        }
        other => return Err(format!("the type {other} is not read")),
    })
}

/// The same rows in bd's types.
///
/// # Errors
/// A column is not of the type that [`schema`] was told.
pub(super) fn batch(schema: &Schema, batch: &RecordBatch) -> Result<RecordBatch, String> {
    let columns = schema
        .fields
        .iter()
        .zip(batch.columns())
        .map(|(f, c)| array(c, &f.data_type).map_err(|e| format!("column {}: {e}", f.name)))
        .collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.to_arrow(), columns, &options).map_err(|e| e.to_string())
}

/// A primitive array with each value changed.
fn map<A: ArrowPrimitiveType, B: ArrowPrimitiveType>(
    array: &ArrayRef,
    change: impl Fn(A::Native) -> B::Native,
) -> Result<PrimitiveArray<B>, String> {
    let array = array.as_primitive_opt::<A>().ok_or("the column is not of its type")?;
    Ok(array.unary(change))
}

fn array(source: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, String> {
    use arrow_array::types as t;
    let target = wanted.to_arrow();
    if *source.data_type() == target {
        return Ok(Arc::clone(source));
    }
    let wrong = || format!("{} read, {wanted} wanted", source.data_type());
    Ok(match (source.data_type(), wanted) {
        (ArrowType::Null, _) => new_null_array(&target, source.len()),
        (ArrowType::Int8, _) => Arc::new(map::<t::Int8Type, Int32Type>(source, i32::from)?),
        (ArrowType::Int16, _) => Arc::new(map::<t::Int16Type, Int32Type>(source, i32::from)?),
        (ArrowType::UInt8, _) => Arc::new(map::<t::UInt8Type, Int32Type>(source, i32::from)?),
        (ArrowType::UInt16, _) => Arc::new(map::<t::UInt16Type, Int32Type>(source, i32::from)?),
        (ArrowType::UInt32, _) => Arc::new(map::<t::UInt32Type, Int64Type>(source, i64::from)?),
        (ArrowType::UInt64, _) => {
            let values = map::<t::UInt64Type, Decimal128Type>(source, i128::from)?;
            Arc::new(values.with_precision_and_scale(20, 0).map_err(|e| e.to_string())?)
        }
        (ArrowType::Float16, _) => Arc::new(map::<t::Float16Type, Float64Type>(source, f64::from)?),
        (ArrowType::Float32, _) => Arc::new(map::<t::Float32Type, Float64Type>(source, f64::from)?),
        (ArrowType::FixedSizeBinary(_), DataType::Bytes) => {
            let fixed: &FixedSizeBinaryArray = source.as_any().downcast_ref().ok_or_else(wrong)?;
            Arc::new(BinaryArray::from_iter(fixed.iter()))
        }
        (ArrowType::Time32(TimeUnit::Second), _) => {
            Arc::new(map::<t::Time32SecondType, Time32MillisecondType>(source, |v| v.saturating_mul(1000))?)
        }
        (ArrowType::Time64(TimeUnit::Microsecond), _) => {
            Arc::new(map::<t::Time64MicrosecondType, Time32MillisecondType>(source, |v| (v / 1000) as i32)?)
        }
        (ArrowType::Time64(_), _) => {
            Arc::new(map::<t::Time64NanosecondType, Time32MillisecondType>(source, |v| {
                (v / 1_000_000) as i32
            })?)
        }
        (ArrowType::Timestamp(unit, _), DataType::Timestamp) => timestamps(source, *unit)?,
        (ArrowType::List(_), DataType::Array(_)) => list(source, wanted).ok_or_else(wrong)??,
        (ArrowType::Map(..), DataType::Map(_)) => map_of(source, wanted).ok_or_else(wrong)??,
        (ArrowType::Struct(_), DataType::Struct(fields)) => {
            let parts: &StructArray = source.as_any().downcast_ref().ok_or_else(wrong)?;
            structs(parts, fields, source.len())?
        }
        _ => return Err(wrong()),
    })
}

fn timestamps(source: &ArrayRef, unit: TimeUnit) -> Result<ArrayRef, String> {
    use arrow_array::types as t;
    type Ms = TimestampMillisecondType;
    Ok(Arc::new(match unit {
        TimeUnit::Second => map::<t::TimestampSecondType, Ms>(source, |v| v.saturating_mul(1000))?,
        TimeUnit::Millisecond => map::<Ms, Ms>(source, |v| v)?,
        TimeUnit::Microsecond => map::<t::TimestampMicrosecondType, Ms>(source, |v| v.div_euclid(1000))?,
        TimeUnit::Nanosecond => map::<t::TimestampNanosecondType, Ms>(source, |v| v.div_euclid(1_000_000))?,
    }))
}

fn list(source: &ArrayRef, wanted: &DataType) -> Option<Result<ArrayRef, String>> {
    let (DataType::Array(element), ArrowType::List(item)) = (wanted, wanted.to_arrow()) else { return None };
    let list: &ListArray = source.as_any().downcast_ref()?;
    Some(array(list.values(), element).and_then(|values| {
        let made = ListArray::try_new(item, list.offsets().clone(), values, list.nulls().cloned());
        Ok(Arc::new(made.map_err(|e| e.to_string())?) as ArrayRef)
    }))
}

fn map_of(source: &ArrayRef, wanted: &DataType) -> Option<Result<ArrayRef, String>> {
    let (DataType::Map(value), ArrowType::Map(entries, _)) = (wanted, wanted.to_arrow()) else { return None };
    let ArrowType::Struct(parts) = entries.data_type().clone() else { return None };
    let map: &MapArray = source.as_any().downcast_ref()?;
    Some(array(map.values(), value).and_then(|values| {
        let inner = StructArray::try_new(parts, vec![Arc::clone(map.keys()), values], None);
        let inner = inner.map_err(|e| e.to_string())?;
        let made = MapArray::try_new(entries, map.offsets().clone(), inner, map.nulls().cloned(), false);
        Ok(Arc::new(made.map_err(|e| e.to_string())?) as ArrayRef)
    }))
}

fn structs(source: &StructArray, fields: &[Field], rows: usize) -> Result<ArrayRef, String> {
    let columns = fields
        .iter()
        .zip(source.columns())
        .map(|(f, c)| array(c, &f.data_type).map_err(|e| format!("{}: {e}", f.name)))
        .collect::<Result<Vec<_>, _>>()?;
    let arrow = fields.iter().map(Field::to_arrow).collect();
    let made = StructArray::try_new_with_length(arrow, columns, source.nulls().cloned(), rows);
    Ok(Arc::new(made.map_err(|e| e.to_string())?))
}
