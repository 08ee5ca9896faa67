//! Projections, filters and UNNEST.

use super::harness::*;
use crate::chunk::{Chunk, Op};
use crate::operator::Output;
use crate::operators::build;
use arrow_array::builder::{Int64Builder, ListBuilder, MapBuilder, StringBuilder, StructBuilder};
use arrow_array::{ArrayRef, Int64Array};
use bd_schema::{DataType, Field, Value};
use bd_sql::expr::{BinaryOp, Expr};
use bd_sql::plan::Node;
use std::sync::Arc;

fn literal(value: i64) -> Expr {
    Expr::literal(Value::BigInt(value), DataType::BigInt)
}

#[test]
fn a_projection_evaluates_its_expressions_in_order() {
    let input = stream("a:BIGINT b:BIGINT");
    let sum = Expr::binary(BinaryOp::Add, col(&input.columns, 0), col(&input.columns, 1), DataType::BigInt);
    let exprs = vec![sum, col(&input.columns, 2)];
    let columns = vec![Field::new("sum", DataType::BigInt), input.columns[2].clone()];
    let plan = plan(Node::Project { input: Box::new(input), exprs }, columns, Some(1));
    assert_rows(&plan, "0: 1 2 10\n 0: null 3 11\n barrier\n 0: 5 6 12", "3 10\n null 11\n 11 12");
}

#[test]
fn a_row_that_fails_only_the_counted_condition_is_counted() {
    let input = stream("a:BIGINT b:BIGINT");
    let columns = input.columns.clone();
    let predicate = vec![binary(BinaryOp::Greater, col(&columns, 0), literal(5))];
    let counted = Some(binary(BinaryOp::LessEq, col(&columns, 1), literal(24)));
    let plan = plan(Node::Filter { input: Box::new(input), predicate, counted }, columns, Some(2));
    let script = "0: 6 24 1\n 0: 6 25 2\n 0: 5 25 3\n 0: null 1 4\n 0: 7 null 5\n 0: 8 1 6";
    assert_rows(&plan, script, "6 24 1\n 8 1 6");
    for chunk in [1, 7] {
        let (_, operator) = run(&plan, &parse(script), Run { chunk, restart: false, full: false });
        assert_eq!(operator.stats().dropped, 2);
    }
}

fn unnest(nested: DataType, elements: Vec<Field>) -> Box<dyn crate::operator::Operator> {
    let mut input = table("id:BIGINT");
    input.columns.push(Field::new("nested", nested));
    let mut columns = input.columns.clone();
    columns.extend(elements);
    let expr = col(&columns, 1);
    build(&plan(Node::Unnest { input: Box::new(input), expr }, columns, None)).unwrap()
}

fn rows_of(nested: ArrayRef, data_type: DataType, elements: Vec<Field>) -> Vec<String> {
    let len = nested.len();
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..len as i64));
    let mut chunk = Chunk::inserts(vec![ids, nested], len);
    chunk.ops = Some((0..len).map(|i| if i == 0 { Op::Delete } else { Op::Insert }).collect());
    chunk.origin = Some((0..len as u32).collect());
    let mut out = Output::default();
    unnest(data_type, elements).on_batch(0, chunk, &mut out).unwrap();
    for chunk in &mut out.chunks {
        chunk.columns.remove(1);
        assert_eq!(chunk.origin.as_ref().unwrap().len(), chunk.len);
    }
    lines(&out)
}

#[test]
fn an_array_gives_a_row_an_element_and_null_or_empty_ones_none() {
    let mut list = ListBuilder::new(Int64Builder::new());
    list.append_value([Some(1), None]);
    list.append_null();
    list.append_value([]);
    list.append_value([Some(3)]);
    let rows = rows_of(
        Arc::new(list.finish()),
        DataType::Array(Arc::new(DataType::BigInt)),
        vec![Field::new("e", DataType::BigInt)],
    );
    assert_eq!(rows, ["- 0 1", "- 0 null", "3 3"]);
}

#[test]
fn a_map_gives_key_and_value() {
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    map.keys().append_value("a");
    map.values().append_value(1);
    map.keys().append_value("b");
    map.values().append_null();
    map.append(true).unwrap();
    map.append(false).unwrap();
    let data_type = DataType::Map(Arc::new(DataType::BigInt));
    let elements = vec![Field::new("k", DataType::Varchar), Field::new("v", DataType::BigInt)];
    assert_eq!(rows_of(Arc::new(map.finish()), data_type, elements), ["- 0 a 1", "- 0 b null"]);
}

#[test]
fn an_array_of_structs_gives_a_column_a_field_and_nulls_for_a_null_struct() {
    let fields = vec![Field::new("x", DataType::BigInt), Field::new("y", DataType::Varchar)];
    let data_type = DataType::Struct(fields.clone().into());
    let arrow = fields.iter().map(|f| f.to_arrow()).collect::<Vec<_>>();
    let mut list = ListBuilder::new(StructBuilder::from_fields(arrow, 4));
    for (valid, x, y) in [(true, 1, "p"), (false, 2, "q"), (true, 3, "r")] {
        list.values().field_builder::<Int64Builder>(0).unwrap().append_value(x);
        list.values().field_builder::<StringBuilder>(1).unwrap().append_value(y);
        list.values().append(valid);
    }
    list.append(true);
    let rows = rows_of(Arc::new(list.finish()), DataType::Array(Arc::new(data_type)), fields);
    assert_eq!(rows, ["- 0 1 p", "- 0 null null", "- 0 3 r"]);
}
