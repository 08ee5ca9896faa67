//! Streams with tables, and the tables themselves.

use super::harness::*;
use crate::chunk::{Chunk, Op};
use crate::operator::Output;
use crate::operators::{UpsertMap, build};
use arrow_array::BooleanArray;
use bd_schema::Field;
use bd_sql::expr::BinaryOp;
use bd_sql::plan::{JoinKind, Node, Plan};

/// Sessions with the shows of their channel that overlap.
fn join(kind: JoinKind) -> Plan {
    let left = stream("channel:BIGINT from:VARCHAR till:VARCHAR");
    let right = table("channel:BIGINT show:VARCHAR from:VARCHAR till:VARCHAR");
    let columns: Vec<Field> = left.columns.iter().chain(&right.columns).cloned().collect();
    let starts = binary(BinaryOp::LessEq, col(&columns, 1), col(&columns, 7));
    let ends = binary(BinaryOp::GreaterEq, col(&columns, 2), col(&columns, 6));
    let condition = Some(binary(BinaryOp::And, starts, ends));
    let (left, right) = (Box::new(left), Box::new(right));
    plan(Node::TableJoin { left, right, kind, keys: vec![(0, 0)], condition }, columns, Some(3))
}

/// The same at all chunk sizes, in order; tables are not part of the state, so without restarts.
fn assert_in_order(plan: &Plan, script: &str, expected: &[&str]) {
    for chunk in [1, 7, usize::MAX] {
        let how = Run { chunk, restart: false, full: false };
        assert_eq!(run(plan, &parse(script), how).0, expected, "{how:?}");
    }
}

const SCRIPT: &str = "
    1: 1 news 06:00 07:00
    1: 1 film 07:00 09:00
    1: 2 talk 06:30 08:00
    0: 1 06:30 07:00 1
    0: 3 06:30 07:00 2
    0: null 06:30 07:00 3
    0: 2 06:30 06:31 4
    -1: 1 news 06:00 07:00
    1: 1 news 05:00 06:00
    1: null none 00:00 24:00
    0: 1 06:30 07:00 5
    -1: 1 film 07:00 09:00
    -1: 1 news 05:00 06:00
    0: 1 06:30 07:00 6
";

#[test]
fn a_row_meets_the_rows_that_the_table_has_when_it_is_processed() {
    let expected = [
        "1 06:30 07:00 1 1 news 06:00 07:00",
        "1 06:30 07:00 1 1 film 07:00 09:00",
        "2 06:30 06:31 4 2 talk 06:30 08:00",
        "1 06:30 07:00 5 1 film 07:00 09:00",
    ];
    assert_in_order(&join(JoinKind::Inner), SCRIPT, &expected);
}

#[test]
fn a_left_join_gives_rows_without_a_partner_in_their_place() {
    let expected = [
        "1 06:30 07:00 1 1 news 06:00 07:00",
        "1 06:30 07:00 1 1 film 07:00 09:00",
        "3 06:30 07:00 2 null null null null",
        "null 06:30 07:00 3 null null null null",
        "2 06:30 06:31 4 2 talk 06:30 08:00",
        "1 06:30 07:00 5 1 film 07:00 09:00",
        "1 06:30 07:00 6 null null null null",
    ];
    assert_in_order(&join(JoinKind::Left), SCRIPT, &expected);
}

#[test]
fn equal_rows_of_a_projected_table_go_one_at_a_time() {
    let script = "
        1: 1 news 06:00 07:00
        1: 1 news 06:00 07:00
        -1: 1 news 06:00 07:00
        0: 1 06:30 07:00 1
        -1: 1 news 06:00 07:00
        0: 1 06:30 07:00 2";
    assert_in_order(&join(JoinKind::Inner), script, &["1 06:30 07:00 1 1 news 06:00 07:00"]);
}

#[test]
fn a_table_that_is_replaced_again_and_again_does_not_grow() {
    let mut operator = build(&join(JoinKind::Inner)).unwrap();
    let columns = table("channel:BIGINT show:VARCHAR from:VARCHAR till:VARCHAR");
    let rows = |op: Op, version: usize| {
        let row = |i: usize| {
            (op, vec![(i % 7).to_string(), format!("v{version}"), format!("{i:05}"), format!("{:05}", i + 1)])
        };
        chunk(&columns, &(0..1000).map(row).collect::<Vec<_>>())
    };
    let mut most = 0;
    for version in 0..40 {
        if version > 0 {
            operator.on_batch(1, rows(Op::Delete, version - 1), &mut Output::default()).unwrap();
        }
        operator.on_batch(1, rows(Op::Insert, version), &mut Output::default()).unwrap();
        assert_eq!(operator.stats().state_rows, 1000);
        if version == 10 {
            most = operator.stats().state_bytes;
        }
    }
    assert!(operator.stats().state_bytes <= 2 * most);
}

fn users(rows: &[&str]) -> Chunk {
    let plan = Plan { mode: bd_sql::plan::ChangelogMode::Append, ..table("user:BIGINT name:VARCHAR") };
    let rows: Vec<_> =
        rows.iter().map(|r| (Op::Insert, r.split(' ').map(String::from).collect::<Vec<_>>())).collect();
    chunk(&plan, &rows)
}

#[test]
fn records_of_a_table_become_changes_of_its_rows() {
    let types = table("user:BIGINT name:VARCHAR").columns.iter().map(|c| c.data_type.to_arrow()).collect();
    let mut map = UpsertMap::new(vec![0], types).unwrap();
    let records = users(&["1 ann", "2 bob", "1 ann", "1 eve", "3 null", "2 null", "9 null"]);
    let tombstones = BooleanArray::from(vec![false, false, false, false, false, true, true]);
    let changes = map.apply(&records, Some(&tombstones)).unwrap();
    let origins: Vec<u32> = changes.origin.as_ref().unwrap().to_vec();
    let out = Output { chunks: vec![changes] };
    assert_eq!(lines(&out), ["1 ann", "2 bob", "- 1 ann", "1 eve", "3 null", "- 2 bob"]);
    assert_eq!(origins.len(), origins.iter().collect::<std::collections::BTreeSet<_>>().len());
    assert_eq!(map.len(), 2);

    let changes = map.apply(&users(&["1 eve", "3 joe"]), None).unwrap();
    assert_eq!(lines(&Output { chunks: vec![changes] }), ["- 3 null", "3 joe"]);
    let mut rows = lines(&Output { chunks: map.rows().unwrap() });
    rows.sort();
    assert_eq!(rows, ["1 eve", "3 joe"]);
    assert_eq!(map.apply(&users(&["1 eve"]), None).unwrap().len, 0);
}
