//! Comparisons, IN, IS DISTINCT FROM, NULLIF, GREATEST, LEAST.

use super::logic;
use super::node::Kernel;
use super::operand::{Operand, TextBuilder, Texts, Values, build, valid_rows};
use crate::error::EngineError;
use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, BooleanArray};
use arrow_buffer::BooleanBuffer;
use arrow_ord::cmp;
use arrow_ord::ord::make_comparator;
use arrow_schema::{DataType as ArrowType, SortOptions};
use bd_schema::DataType;
use bd_sql::expr::BinaryOp;
use hashbrown::HashSet;
use std::cmp::Ordering;
use std::sync::Arc;

/// Doubles in SQL's order: `-0.0 = 0.0`; NaN equals itself and is greater than all others.
pub(super) fn order_doubles(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// Whether an ordering meets a comparison.
fn meets(op: BinaryOp, ordering: Ordering) -> bool {
    match op {
        BinaryOp::Eq => ordering.is_eq(),
        BinaryOp::NotEq => ordering.is_ne(),
        BinaryOp::Less => ordering.is_lt(),
        BinaryOp::LessEq => ordering.is_le(),
        BinaryOp::Greater => ordering.is_gt(),
        BinaryOp::GreaterEq => ordering.is_ge(),
        _ => false,
    }
}

/// `left op right` by row, NULL where one is.
pub(super) fn compare(
    op: BinaryOp,
    left: &Operand,
    right: &Operand,
    len: usize,
) -> Result<BooleanArray, EngineError> {
    let data_type = left.array.data_type();
    if *data_type == ArrowType::Float64 {
        let (a, b) = (left.values::<Float64Type>()?, right.values::<Float64Type>()?);
        let at = |v: &Values<'_, f64>, row: usize| v.values[if v.scalar { 0 } else { row }];
        let values =
            BooleanBuffer::collect_bool(len, |row| meets(op, order_doubles(at(&a, row), at(&b, row))));
        return Ok(BooleanArray::new(values, valid_rows(&[left, right], len)));
    }
    if data_type.is_nested() {
        let order = make_comparator(left.array.as_ref(), right.array.as_ref(), SortOptions::default())?;
        let values =
            BooleanBuffer::collect_bool(len, |row| meets(op, order(left.place(row), right.place(row))));
        return Ok(BooleanArray::new(values, valid_rows(&[left, right], len)));
    }
    Ok(match op {
        BinaryOp::Eq => cmp::eq(left, right)?,
        BinaryOp::NotEq => cmp::neq(left, right)?,
        BinaryOp::Less => cmp::lt(left, right)?,
        BinaryOp::LessEq => cmp::lt_eq(left, right)?,
        BinaryOp::Greater => cmp::gt(left, right)?,
        BinaryOp::GreaterEq => cmp::gt_eq(left, right)?,
        other => return Err(EngineError::Unsupported(format!("{other:?} as a comparison"))),
    })
}

/// A comparison.
pub(super) fn comparison(op: BinaryOp) -> Kernel {
    Kernel::total(move |args, len, _| Ok(Arc::new(compare(op, &args[0], &args[1], len)?)))
}

/// `IS DISTINCT FROM`: NULL is a value like others.
pub(super) fn is_distinct() -> Kernel {
    Kernel::lenient(|args, len, _| {
        let equal = compare(BinaryOp::Eq, &args[0], &args[1], len)?;
        let null = |o: &Operand, row| o.array.is_null(o.place(row));
        let values =
            BooleanBuffer::collect_bool(len, |row| match (null(&args[0], row), null(&args[1], row)) {
                (true, true) => false,
                (false, false) => !equal.value(row),
                _ => true,
            });
        Ok(Arc::new(BooleanArray::new(values, None)))
    })
}

/// `x IN (list)` where the list is not constant, or short: the operands are x and then the list.
pub(super) fn in_operands() -> Kernel {
    Kernel::lenient(|args, len, _| {
        let equal = args[1..].iter().map(|item| {
            let scalar = args[0].scalar && item.scalar;
            let equal = compare(BinaryOp::Eq, &args[0], item, if scalar { 1 } else { len })?;
            Ok(Operand { array: Arc::new(equal), scalar })
        });
        Ok(Arc::new(logic::any(&equal.collect::<Result<Vec<_>, EngineError>>()?, len)?))
    })
}

/// The longest list that is compared one by one.
const SHORT: usize = 4;

/// `x IN (list)` of a long list of constants; `None` for types and lists that are better compared one by one.
pub(super) fn in_set(data_type: &DataType, list: &[Operand]) -> Result<Option<Kernel>, EngineError> {
    if list.len() <= SHORT {
        return Ok(None);
    }
    let has_null = list.iter().any(Operand::is_null_scalar);
    // Not found among values of which one is NULL is NULL.
    let finish = move |found: BooleanBuffer, x: &Operand, len: usize| -> Result<ArrayRef, EngineError> {
        let valid = valid_rows(&[x], len);
        let nulls = if has_null {
            let known = valid.map_or_else(|| found.clone(), |v| v.inner() & &found);
            Some(known.into())
        } else {
            valid
        };
        Ok(Arc::new(BooleanArray::new(found, nulls)))
    };
    macro_rules! numbers {
        ($arrow:ty) => {{
            let mut set = HashSet::new();
            for item in list {
                set.extend(item.values::<$arrow>()?.get(0));
            }
            Kernel::total(move |args, len, _| {
                let x = args[0].values::<$arrow>()?;
                finish(BooleanBuffer::collect_bool(len, |row| set.contains(&x.values[row])), &args[0], len)
            })
        }};
    }
    Ok(Some(match data_type {
        DataType::Integer => numbers!(Int32Type),
        DataType::BigInt => numbers!(Int64Type),
        DataType::Timestamp => numbers!(TimestampMillisecondType),
        DataType::Varchar => {
            let mut set = HashSet::new();
            for item in list {
                set.extend(item.texts()?.get(0).map(str::to_owned));
            }
            Kernel::total(move |args, len, _| {
                let x = args[0].texts()?;
                finish(
                    BooleanBuffer::collect_bool(len, |row| set.contains(x.array.value(row))),
                    &args[0],
                    len,
                )
            })
        }
        _ => return Ok(None),
    }))
}

/// `NULLIF(a, b)`: NULL where they are equal, else a.
pub(super) fn null_if() -> Kernel {
    Kernel::lenient(|args, len, _| {
        let a = args[0].clone().into_array(len)?;
        let equal = compare(BinaryOp::Eq, &args[0], &args[1], len)?;
        let equal = if args[0].scalar && args[1].scalar && len != equal.len() {
            BooleanArray::from(vec![equal.is_valid(0) && equal.value(0); len])
        } else {
            equal
        };
        Ok(arrow_select::nullif::nullif(a.as_ref(), &equal)?)
    })
}

/// `GREATEST` or `LEAST`: NULLs are skipped.
///
/// # Errors
/// A type without an order.
pub(super) fn extreme(greatest: bool, data_type: &DataType) -> Result<Kernel, EngineError> {
    let wanted = if greatest { Ordering::Greater } else { Ordering::Less };
    macro_rules! primitive {
        ($arrow:ty, $order:expr) => {
            Kernel::lenient(move |args, len, _| {
                let columns = args.iter().map(|a| a.values::<$arrow>()).collect::<Result<Vec<_>, _>>()?;
                let order = $order;
                let out = build::<$arrow>(len, |row| {
                    columns
                        .iter()
                        .filter_map(|c| c.get(row))
                        .reduce(|best, x| if order(&x, &best) == wanted { x } else { best })
                });
                let data_type = args[0].array.data_type().clone();
                Ok(Arc::new(out.with_data_type(data_type)))
            })
        };
    }
    Ok(match data_type {
        DataType::Integer => primitive!(Int32Type, i32::cmp),
        DataType::BigInt => primitive!(Int64Type, i64::cmp),
        DataType::Double => primitive!(Float64Type, |a: &f64, b: &f64| order_doubles(*a, *b)),
        DataType::Decimal(..) => primitive!(Decimal128Type, i128::cmp),
        DataType::Date => primitive!(Date32Type, i32::cmp),
        DataType::Time => primitive!(Time32MillisecondType, i32::cmp),
        DataType::Timestamp => primitive!(TimestampMillisecondType, i64::cmp),
        DataType::Varchar => Kernel::lenient(move |args, len, _| extreme_text(wanted, args, len)),
        other => {
            let name = if greatest { "GREATEST" } else { "LEAST" };
            return Err(EngineError::Unsupported(format!("{name} of {other}")));
        }
    })
}

fn extreme_text(wanted: Ordering, args: &[Operand], len: usize) -> Result<ArrayRef, EngineError> {
    let columns = args.iter().map(Operand::texts).collect::<Result<Vec<Texts<'_>>, _>>()?;
    let width = |t: &Texts<'_>| t.array.value_data().len() / t.array.len().max(1);
    let mut out = TextBuilder::new(len, columns.iter().map(width).max().unwrap_or(0) + 1);
    for row in 0..len {
        let best = columns
            .iter()
            .filter_map(|c| c.get(row))
            .reduce(|best, x| if x.as_bytes().cmp(best.as_bytes()) == wanted { x } else { best });
        match best {
            Some(text) => out.push(text.as_bytes()),
            None => out.push_null(),
        }
    }
    out.finish()
}

/// `ARRAY_CONTAINS(array, x)`.
pub(super) fn array_contains() -> Kernel {
    Kernel::total(|args, len, _| {
        let lists = args[0]
            .array
            .as_list_opt::<i32>()
            .ok_or_else(|| super::operand::unexpected(&ArrowType::Null, &args[0].array))?;
        let items = lists.values();
        let order = make_comparator(items.as_ref(), args[1].array.as_ref(), SortOptions::default())?;
        let offsets = lists.value_offsets();
        let values = BooleanBuffer::collect_bool(len, |row| {
            let (list, x) = (args[0].place(row), args[1].place(row));
            let range = offsets[list] as usize..offsets[list + 1] as usize;
            lists.is_valid(list) && range.into_iter().any(|i| items.is_valid(i) && order(i, x).is_eq())
        });
        Ok(Arc::new(BooleanArray::new(values, valid_rows(&[&args[0], &args[1]], len))))
    })
}
