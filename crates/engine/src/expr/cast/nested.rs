//! CAST of arrays, maps and structs: element by element. An element that fails is NULL, and its row counts as failed.

use super::kernel;
use crate::error::EngineError;
use crate::expr::node::Kernel;
use crate::expr::operand::{Failures, Operand, unexpected};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ListArray, MapArray, StructArray};
use arrow_schema::DataType as ArrowType;
use bd_schema::{DataType, Field};
use std::sync::Arc;

/// The elements cast, and which of them failed.
fn cast(inner: &Kernel, values: &ArrayRef) -> Result<(ArrayRef, Failures), EngineError> {
    let mut failed = Failures::new(values.len());
    let out = (inner.run)(&[Operand::column(values.clone())], values.len(), &mut failed)?;
    Ok((out, failed))
}

/// Marks the rows of which an element failed.
fn mark(array: &dyn Array, offsets: &[i32], failed: &Failures, failures: &mut Failures) {
    if failed.any() {
        for row in 0..array.len() {
            let mut elements = offsets[row] as usize..offsets[row + 1] as usize;
            if array.is_valid(row) && elements.any(|i| failed.is_marked(i)) {
                failures.mark(row);
            }
        }
    }
}

pub(super) fn array(from: &DataType, to: &DataType) -> Result<Kernel, EngineError> {
    let inner = kernel(from, to)?;
    let wanted = DataType::Array(Arc::new(to.clone())).to_arrow();
    let can_fail = inner.can_fail;
    let kernel = Kernel::partial(move |args, _, failures| {
        let array = &args[0].array;
        let (Some(lists), ArrowType::List(item)) = (array.as_list_opt::<i32>(), &wanted) else {
            return Err(unexpected(&wanted, array));
        };
        let (values, failed) = cast(&inner, lists.values())?;
        mark(lists, lists.value_offsets(), &failed, failures);
        let (offsets, nulls) = (lists.offsets().clone(), lists.nulls().cloned());
        Ok(Arc::new(ListArray::try_new(item.clone(), offsets, values, nulls)?))
    });
    Ok(Kernel { can_fail, ..kernel })
}

pub(super) fn map(from: &DataType, to: &DataType) -> Result<Kernel, EngineError> {
    let inner = kernel(from, to)?;
    let wanted = DataType::Map(Arc::new(to.clone())).to_arrow();
    let can_fail = inner.can_fail;
    let kernel = Kernel::partial(move |args, _, failures| {
        let array = &args[0].array;
        let (Some(maps), ArrowType::Map(field, sorted)) = (array.as_map_opt(), &wanted) else {
            return Err(unexpected(&wanted, array));
        };
        let ArrowType::Struct(fields) = field.data_type() else { return Err(unexpected(&wanted, array)) };
        let (values, failed) = cast(&inner, maps.values())?;
        mark(maps, maps.value_offsets(), &failed, failures);
        let entries = StructArray::try_new(fields.clone(), vec![maps.keys().clone(), values], None)?;
        let (offsets, nulls) = (maps.offsets().clone(), maps.nulls().cloned());
        Ok(Arc::new(MapArray::try_new(field.clone(), offsets, entries, nulls, *sorted)?))
    });
    Ok(Kernel { can_fail, ..kernel })
}

pub(super) fn structure(from: &[Field], to: &Arc<[Field]>) -> Result<Kernel, EngineError> {
    let inner = from.iter().zip(to.iter()).map(|(a, b)| kernel(&a.data_type, &b.data_type));
    let inner = inner.collect::<Result<Vec<_>, _>>()?;
    let wanted = DataType::Struct(to.clone()).to_arrow();
    let can_fail = inner.iter().any(|k| k.can_fail);
    let kernel = Kernel::partial(move |args, len, failures| {
        let array = &args[0].array;
        let (Some(rows), ArrowType::Struct(fields)) = (array.as_struct_opt(), &wanted) else {
            return Err(unexpected(&wanted, array));
        };
        let mut columns = Vec::with_capacity(inner.len());
        for (kernel, column) in inner.iter().zip(rows.columns()) {
            let (out, failed) = cast(kernel, column)?;
            for row in (0..len).filter(|row| rows.is_valid(*row) && failed.is_marked(*row)) {
                failures.mark(row);
            }
            columns.push(out);
        }
        Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), columns, rows.nulls().cloned(), len)?))
    });
    Ok(Kernel { can_fail, ..kernel })
}
