//! Runs the tables: over all rows, over rows in the middle of larger arrays, and with each row's values as constants.

use super::reader::{Row, Table, read};
use super::sql;
use crate::expr::{Compiled, literal};
use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef};
use bd_schema::{DataType, Value};
use bd_sql::expr::{Expr, ExprKind};

const FILES: [(&str, &str); 6] = [
    ("arithmetic", include_str!("tables/arithmetic.txt")),
    ("casts", include_str!("tables/casts.txt")),
    ("conditions", include_str!("tables/conditions.txt")),
    ("nested", include_str!("tables/nested.txt")),
    ("strings", include_str!("tables/strings.txt")),
    ("times", include_str!("tables/times.txt")),
];

/// The value at `row`.
pub(super) fn value(array: &ArrayRef, row: usize, of: &DataType) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match of {
        DataType::Boolean => Value::Boolean(array.as_boolean().value(row)),
        DataType::Integer => Value::Integer(array.as_primitive::<Int32Type>().value(row)),
        DataType::BigInt => Value::BigInt(array.as_primitive::<Int64Type>().value(row)),
        DataType::Double => Value::Double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal(..) => Value::Decimal(array.as_primitive::<Decimal128Type>().value(row)),
        DataType::Varchar => Value::Varchar(array.as_string::<i32>().value(row).to_owned()),
        DataType::Bytes => Value::Bytes(array.as_binary::<i32>().value(row).to_vec()),
        DataType::Date => Value::Date(array.as_primitive::<Date32Type>().value(row)),
        DataType::Time => Value::Time(array.as_primitive::<Time32MillisecondType>().value(row)),
        DataType::Timestamp => Value::Timestamp(array.as_primitive::<TimestampMillisecondType>().value(row)),
        DataType::Array(e) => {
            let items = array.as_list::<i32>().value(row);
            Value::Array((0..items.len()).map(|i| value(&items, i, e)).collect())
        }
        DataType::Map(v) => {
            let entries = array.as_map().value(row);
            let key = |i| entries.column(0).as_string::<i32>().value(i).to_owned();
            Value::Map((0..entries.len()).map(|i| (key(i), value(entries.column(1), i, v))).collect())
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            Value::Struct(fields.iter().zip(columns).map(|(f, c)| value(c, row, &f.data_type)).collect())
        }
    }
}

fn columns(table: &Table, rows: &[&Row]) -> Vec<ArrayRef> {
    let column = |i: usize| {
        let values: Vec<&Value> = rows.iter().map(|r| &r.input[i]).collect();
        literal::array(&values, &table.columns[i].data_type).expect("a column")
    };
    (0..table.columns.len()).map(column).collect()
}

fn check(table: &Table, expr: &Expr, columns: &[ArrayRef], rows: &[&Row], how: &str) {
    let what = format!("{} ({}, {how})", table.title, table.sql);
    let compiled = match Compiled::new(expr) {
        Ok(compiled) => compiled,
        // A wrong pattern or zone that is constant is refused before any row.
        Err(_) if how == "constants" && rows.iter().all(|r| r.error) => return,
        Err(e) => panic!("{what}: {e}"),
    };
    let mut errors = 0;
    let array = compiled.eval(columns, rows.len(), &mut errors).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!(array.data_type(), &table.result.to_arrow(), "{what}");
    assert_eq!(array.len(), rows.len(), "{what}");
    for (i, row) in rows.iter().enumerate() {
        let found = value(&array, i, &table.result);
        // By their text, in which NaN equals NaN.
        assert_eq!(format!("{found:?}"), format!("{:?}", row.expected), "{what}: {:?}", row.input);
    }
    assert_eq!(errors, rows.iter().filter(|r| r.error).count() as u64, "{what}: errors");
}

/// The expression with a row's values in place of its columns.
pub(super) fn with_constants(expr: &Expr, row: &[Value]) -> Expr {
    let f = |e: &Expr| Box::new(with_constants(e, row));
    let all = |list: &[Expr]| list.iter().map(|e| with_constants(e, row)).collect();
    let kind = match &expr.kind {
        ExprKind::Column(i) => ExprKind::Literal(row[*i].clone()),
        ExprKind::Literal(v) => ExprKind::Literal(v.clone()),
        ExprKind::Binary { op, left, right } => ExprKind::Binary { op: *op, left: f(left), right: f(right) },
        ExprKind::Not(x) => ExprKind::Not(f(x)),
        ExprKind::Negate(x) => ExprKind::Negate(f(x)),
        ExprKind::IsNull(x) => ExprKind::IsNull(f(x)),
        ExprKind::InList { value, list } => ExprKind::InList { value: f(value), list: all(list) },
        ExprKind::Like { value, pattern, escape } => {
            ExprKind::Like { value: f(value), pattern: f(pattern), escape: *escape }
        }
        ExprKind::Case { branches, otherwise } => ExprKind::Case {
            branches: branches.iter().map(|(c, v)| (*f(c), *f(v))).collect(),
            otherwise: otherwise.as_ref().map(|e| f(e)),
        },
        ExprKind::Cast(x) => ExprKind::Cast(f(x)),
        ExprKind::Call { function, args } => ExprKind::Call { function: *function, args: all(args) },
        ExprKind::Field { value, index } => ExprKind::Field { value: f(value), index: *index },
        ExprKind::Index { value, index } => ExprKind::Index { value: f(value), index: f(index) },
    };
    Expr { kind, data_type: expr.data_type.clone() }
}

#[test]
fn every_operation_gives_what_its_table_says() {
    for (file, text) in FILES {
        let tables = read(text);
        assert!(!tables.is_empty(), "{file}");
        for table in tables {
            let expr = sql::parse(&table.sql, &table.columns, &table.result);
            let rows: Vec<&Row> = table.rows.iter().collect();
            check(&table, &expr, &columns(&table, &rows), &rows, "all rows");
            // The same rows twice; the second half is then a slice with an offset.
            let twice: Vec<&Row> = rows.iter().chain(&rows).copied().collect();
            let middle: Vec<ArrayRef> =
                columns(&table, &twice).iter().map(|c| c.slice(rows.len() - 1, rows.len())).collect();
            let rotated: Vec<&Row> = twice[rows.len() - 1..2 * rows.len() - 1].to_vec();
            check(&table, &expr, &middle, &rotated, "a slice");
            for row in &rows {
                let constant = with_constants(&expr, &row.input);
                // Three times, since an error of a constant is one of each row.
                check(&table, &constant, &columns(&table, &[row, row, row]), &[row, row, row], "constants");
            }
            check(&table, &expr, &columns(&table, &[]), &[], "no rows");
        }
    }
}
