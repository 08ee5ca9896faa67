//! Window functions over streams and within a record.

use super::harness::*;
use crate::chunk::{Chunk, Op};
use crate::operator::Output;
use crate::operators::build;
use arrow_array::{Int64Array, StringArray};
use bd_schema::{DataType, Field};
use bd_sql::plan::{Node, Plan, WindowFunction, WindowFunctionKind as Kind};
use proptest::prelude::*;
use std::sync::Arc;

fn function(kind: Kind, column: usize, offset: u32, data_type: DataType) -> WindowFunction {
    WindowFunction { kind, column, offset, data_type }
}

fn over(
    input: Plan,
    functions: Vec<WindowFunction>,
    within_ms: Option<i64>,
    drop_without_next: bool,
) -> Plan {
    let mut columns = input.columns.clone();
    columns.extend(functions.iter().map(|f| Field::new("f", f.data_type.clone())));
    let (time, mode) = (input.time, input.mode.clone());
    let order = time.unwrap_or(2);
    let node = Node::LeadLag {
        input: Box::new(input),
        partition: vec![0],
        order,
        functions,
        within_ms,
        drop_without_next,
    };
    Plan { mode, ..plan(node, columns, time) }
}

fn sessions(within_ms: Option<i64>, drop_without_next: bool) -> Plan {
    let functions = vec![function(Kind::Lead, 1, 1, DataType::Varchar)];
    over(stream("device:BIGINT action:VARCHAR"), functions, within_ms, drop_without_next)
}

const ACTIONS: &str = "
    0: 1 start 10
    0: 2 start 12
    barrier
    0: 1 stop 30
    0: 1 start 20
    0 W 20
    barrier
    0: 2 stop 50
    0: 1 far 1000
    0 W 100
    barrier
    0 W END
";

#[test]
fn a_row_sees_the_next_in_order_of_time_even_when_it_arrived_before() {
    let rows = "
        1 start 10   start
        1 start 20   stop
        2 start 12   stop
        1 stop 30    far
        2 stop 50    null
        1 far 1000   null";
    assert_rows(&sessions(None, false), ACTIONS, rows);
}

#[test]
fn a_next_row_further_away_than_the_bound_counts_as_none() {
    let rows = "
        1 start 10   start
        1 start 20   stop
        2 start 12   null
        1 stop 30    null
        2 stop 50    null
        1 far 1000   null";
    assert_rows(&sessions(Some(30), false), ACTIONS, rows);
}

#[test]
fn rows_that_wait_in_vain_are_counted_but_those_at_the_end_are_not() {
    let plan = sessions(Some(30), true);
    assert_rows(&plan, ACTIONS, "1 start 10 start\n 1 start 20 stop");
    let (_, operator) = run(&plan, &parse(ACTIONS), Run { chunk: 7, restart: false, full: false });
    assert_eq!(operator.stats().dropped, 3, "2 at 12, 1 at 30, 2 at 50; not the last of each");
    assert_eq!(operator.stats().state_rows, 0);
}

#[test]
fn rows_at_one_instant_keep_the_order_of_arrival() {
    let script = "
        0: 1 a 10
        0: 1 b 10
        barrier
        0: 1 c 10
        0 W 11
        barrier
        0 W END";
    assert_rows(&sessions(None, false), script, "1 a 10 b\n 1 b 10 c\n 1 c 10 null");
}

#[test]
fn rows_at_the_watermark_wait_as_more_may_come_there() {
    let plan = sessions(None, false);
    let steps = parse("0: 1 a 10\n 0: 1 b 12\n 0 W 12");
    assert!(run(&plan, &steps, Run { chunk: 1, restart: false, full: false }).0.is_empty());
}

#[test]
fn lead_lag_and_row_number_together() {
    let functions = vec![
        function(Kind::Lead, 1, 2, DataType::Varchar),
        function(Kind::Lag, 1, 2, DataType::Varchar),
        function(Kind::Lag, 1, 1, DataType::Varchar),
        function(Kind::RowNumber, 0, 1, DataType::BigInt),
    ];
    let plan = over(stream("device:BIGINT action:VARCHAR"), functions, None, false);
    let script = "
        0: 1 a 1
        0: 1 b 2
        0: 7 x 2
        barrier
        0 W 3
        barrier
        0: 1 c 3
        0: 1 d 4
        0 W 10
        barrier
        0: null e 10
        0: 1 e 11
        0 W 20
        barrier
        0 W END";
    let rows = "
        1 a 1      c    null null 1
        1 b 2      d    null a    2
        7 x 2      null null null 1
        1 c 3      e    a    b    3
        1 d 4      null b    c    4
        1 e 11     null c    d    5
        null e 10  null null null 1";
    assert_rows(&plan, script, rows);
}

#[test]
fn rows_come_out_in_the_order_of_their_times_at_each_step() {
    let steps = parse("0: 1 a 5\n 0: 2 b 4\n 0: 1 c 9\n 0: 2 d 8\n 0 W 10");
    let (rows, _) = run(&sessions(None, false), &steps, Run { chunk: 7, restart: false, full: false });
    assert_eq!(rows, ["2 b 4 d", "1 a 5 c"]);
}

#[test]
fn state_holds_one_row_a_key_that_waits_and_none_that_the_bound_has_passed() {
    let plan = sessions(Some(100), false);
    let mut operator = build(&plan).unwrap();
    let mut out = Output::default();
    for step in 0..200i64 {
        let keys = Int64Array::from_iter_values((0..50).map(|k| step * 25 + k));
        let times = Int64Array::from_iter_values((0..50).map(|_| step * 10));
        let names = StringArray::from_iter_values((0..50).map(|_| "x"));
        let columns = vec![Arc::new(keys) as _, Arc::new(names) as _, Arc::new(times) as _];
        operator.on_batch(0, Chunk::inserts(columns, 50), &mut out).unwrap();
        operator.on_watermark(0, step * 10, &mut out).unwrap();
        assert!(operator.stats().state_rows <= 50 * 12, "{}", operator.stats().state_rows);
    }
    operator.on_watermark(0, i64::MAX, &mut out).unwrap();
    assert_eq!(operator.stats().state_rows, 0);
    assert_eq!(lines(&out).len(), 200 * 50);
}

#[test]
fn a_snapshot_writes_only_what_changed() {
    let mut operator = build(&sessions(None, false)).unwrap();
    let mut out = Output::default();
    let rows: Vec<_> = (0..100).map(|k| (Op::Insert, vec![k.to_string(), "a".into(), "5".into()])).collect();
    let input = stream("device:BIGINT action:VARCHAR");
    operator.on_batch(0, chunk(&input, &rows), &mut out).unwrap();
    let mut state = State::default();
    operator.snapshot(false, &mut state).unwrap();
    assert_eq!(state.1, 100);
    operator
        .on_batch(0, chunk(&input, &[(Op::Insert, vec!["3".into(), "b".into(), "6".into()])]), &mut out)
        .unwrap();
    operator.on_watermark(0, 10, &mut out).unwrap();
    state.1 = 0;
    operator.snapshot(false, &mut state).unwrap();
    assert_eq!(state.1, 3, "a row less, a row more, the watermark");
    state.1 = 0;
    operator.snapshot(false, &mut state).unwrap();
    assert_eq!(state.1, 0);
}

#[test]
fn over_a_table_all_is_computed_within_one_record_and_changes_keep_their_order() {
    let functions = vec![
        function(Kind::Lead, 1, 1, DataType::Varchar),
        function(Kind::RowNumber, 0, 1, DataType::BigInt),
    ];
    let plan = over(table("channel:BIGINT show:VARCHAR starts:BIGINT"), functions, None, false);
    let row =
        |op, show: &str, starts: &str| (op, vec!["4".to_string(), show.to_string(), starts.to_string()]);
    let rows = [
        row(Op::Delete, "news", "6"),
        row(Op::Delete, "film", "20"),
        row(Op::Insert, "late", "22"),
        row(Op::Insert, "news", "6"),
        row(Op::Insert, "film", "20"),
        row(Op::Insert, "none", "null"),
        row(Op::Insert, "other", "1"),
    ];
    let mut chunk = chunk(&table("channel:BIGINT show:VARCHAR starts:BIGINT"), &rows);
    chunk.origin = Some(vec![0, 0, 1, 1, 1, 1, 3].into());
    let mut out = Output::default();
    build(&plan).unwrap().on_batch(0, chunk, &mut out).unwrap();
    let expected = [
        "- 4 news 6 film 1",
        "- 4 film 20 null 2",
        "4 late 22 null 4",
        "4 news 6 film 2",
        "4 film 20 late 3",
        "4 none null news 1",
        "4 other 1 null 1",
    ];
    assert_eq!(lines(&out), expected);
}

/// The functions by brute force: all rows of a key in order.
fn model(rows: &[(u8, i64)], offset: u32, within: Option<i64>, drop: bool) -> Vec<String> {
    let mut result = Vec::new();
    for key in 0..4 {
        let mut of_key: Vec<(i64, usize)> =
            rows.iter().enumerate().filter(|(_, r)| r.0 == key).map(|(i, r)| (r.1, i)).collect();
        of_key.sort();
        for (place, (time, name)) in of_key.iter().enumerate() {
            let near = |r: &&(i64, usize)| within.is_none_or(|w| r.0 - time <= w);
            let seen = |r: Option<&(i64, usize)>| r.map_or("null".to_string(), |r| format!("n{}", r.1));
            let lead = |n: usize| of_key.get(place + n).filter(near);
            let lag = place.checked_sub(offset as usize).and_then(|p| of_key.get(p));
            if drop && lead(1).is_none() {
                continue;
            }
            let (one, many) = (seen(lead(1)), seen(lead(offset as usize)));
            result.push(format!("{key} n{name} {time} {one} {many} {} {}", seen(lag), place + 1));
        }
    }
    result.sort();
    result
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn equals_the_model(
        steps in prop::collection::vec((0u8..4, 0i64..12, 0u8..10, 0i64..8), 1..80),
        offset in 1u32..4,
        within in prop::option::of(0i64..20),
        drop in any::<bool>(),
        chunk in 1usize..20,
        (restart, full) in any::<(bool, bool)>(),
    ) {
        let functions = vec![
            function(Kind::Lead, 1, 1, DataType::Varchar),
            function(Kind::Lead, 1, offset, DataType::Varchar),
            function(Kind::Lag, 1, offset, DataType::Varchar),
            function(Kind::RowNumber, 0, 1, DataType::BigInt),
        ];
        let plan = over(stream("device:BIGINT action:VARCHAR"), functions, within, drop);
        let (mut rows, mut script, mut watermark) = (Vec::new(), Vec::new(), 0);
        for (key, ahead, what, rise) in steps {
            match what {
                0 => script.push(Step::Barrier),
                1 | 2 => {
                    watermark += rise;
                    script.push(Step::Watermark(0, watermark));
                }
                _ => {
                    let time = watermark + ahead;
                    let words = vec![key.to_string(), format!("n{}", rows.len()), time.to_string()];
                    script.push(Step::Row(0, Op::Insert, words));
                    rows.push((key, time));
                }
            }
        }
        script.push(Step::Watermark(0, i64::MAX));
        let (mut result, _) = run(&plan, &script, Run { chunk, restart, full });
        result.sort();
        prop_assert_eq!(result, model(&rows, offset, within, drop));
    }
}
