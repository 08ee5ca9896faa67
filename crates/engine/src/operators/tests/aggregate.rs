//! GROUP BY over streams, tables and windows.

use super::harness::*;
use crate::chunk::Op;
use bd_schema::{DataType, Field};
use bd_sql::plan::{Aggregate, AggregateFunction as F, ChangelogMode, Node, Plan, Window};
use proptest::prelude::*;

fn aggregate(function: F, args: &[usize], columns: &[Field], data_type: DataType) -> Aggregate {
    Aggregate { function, args: args.iter().map(|a| col(columns, *a)).collect(), data_type }
}

fn group_by(input: Plan, aggregates: Vec<Aggregate>, window: Option<Window>, emit_final: bool) -> Plan {
    let mut columns = vec![input.columns[0].clone()];
    if window.is_some() {
        columns.extend(["WINDOWSTART", "WINDOWEND"].map(|n| Field::new(n, DataType::BigInt)));
    }
    columns.extend(aggregates.iter().map(|a| Field::new("a", a.data_type.clone())));
    let key = (0..if window.is_some() { 3 } else { 1 }).collect();
    let node = Node::Aggregate { input: Box::new(input), group: vec![0], aggregates, window, emit_final };
    if emit_final {
        columns.push(Field::new("ROWTIME", DataType::BigInt));
        let time = columns.len() - 1;
        return plan(node, columns, Some(time));
    }
    Plan { mode: ChangelogMode::Upsert { key }, ..plan(node, columns, None) }
}

const INPUT: &str = "key:VARCHAR n:BIGINT name:VARCHAR d:DOUBLE";

/// All functions that are not for tables only.
fn all(columns: &[Field]) -> Vec<Aggregate> {
    let long = DataType::BigInt;
    vec![
        aggregate(F::Count, &[], columns, long.clone()),
        aggregate(F::Count, &[1], columns, long.clone()),
        aggregate(F::CountDistinct, &[1], columns, long.clone()),
        aggregate(F::CountDistinct, &[2], columns, long.clone()),
        aggregate(F::Sum, &[1], columns, long.clone()),
        aggregate(F::Sum, &[3], columns, DataType::Double),
        aggregate(F::Avg, &[1], columns, DataType::Double),
        aggregate(F::Min, &[1], columns, long.clone()),
        aggregate(F::Max, &[2], columns, DataType::Varchar),
        aggregate(F::LatestByOffset, &[2], columns, DataType::Varchar),
        aggregate(F::EarliestByOffset, &[1], columns, long.clone()),
        aggregate(F::MaxBy, &[2, 1], columns, DataType::Varchar),
        aggregate(F::MinBy, &[2, 1], columns, DataType::Varchar),
        aggregate(F::CollectList, &[1], columns, DataType::Array(std::sync::Arc::new(long))),
    ]
}

#[test]
fn every_function_over_a_stream() {
    let input = stream(INPUT);
    let plan = group_by(input.clone(), all(&input.columns), None, false);
    let script = "
        0: a 3 x 0.5 10
        0: a 1 z 1.5 11
        0: b null null null 12
        barrier
        0: a 3 y null 9
        0: a 1 w 2 13
        0 W 10
        barrier
        0: a null v 1 14
        barrier";
    let rows = "
        a 5 4 2 5 8 5.0 2.0 1 z v 3 y z [3,1,3,1]
        b 1 0 0 0 null null null null null null null null null []";
    let rows = rows.replace("[3,1,3,1]", "[3, 1, 3, 1]");
    assert_table(&plan, script, &rows);
}

#[test]
fn a_group_of_a_table_undoes_what_goes_and_disappears_with_its_last_row() {
    let input = table("key:VARCHAR n:BIGINT name:VARCHAR d:DOUBLE");
    let aggregates = all(&input.columns).into_iter().take(7).collect();
    let plan = group_by(input, aggregates, None, false);
    let script = "
        0: a 3 x 0.5
        0: a 3 y 1.5
        0: b 7 x 1
        barrier
        -0: a 3 x 0.5
        0: a 4 y 0.25
        -0: b 7 x 1
        barrier
        0: c 1 x 1
        -0: c 1 x 1
        -0: a 3 y 1.5
        barrier";
    assert_table(&plan, script, "a 1 1 1 1 4 0.25 4.0");
    let how = Run { chunk: 1, restart: true, full: false };
    let (changes, operator) = run(&plan, &parse(script), how);
    let expected = [
        "a 2 2 1 2 6 2.0 3.0",
        "b 1 1 1 1 7 1.0 7.0",
        "- a 2 2 1 2 6 2.0 3.0",
        "a 2 2 2 1 7 1.75 3.5",
        "- b 1 1 1 1 7 1.0 7.0",
        "- a 2 2 2 1 7 1.75 3.5",
        "a 1 1 1 1 4 0.25 4.0",
    ];
    assert_eq!(changes, expected);
    assert_eq!(operator.stats().state_rows, 1);
}

#[test]
fn functions_that_cannot_undo_are_refused_over_a_table() {
    let input = table("key:VARCHAR n:BIGINT");
    let max = aggregate(F::Max, &[1], &input.columns, DataType::BigInt);
    assert!(crate::operators::build(&group_by(input, vec![max], None, false)).is_err());
}

fn counted(window: Window, emit_final: bool) -> Plan {
    let input = stream("key:BIGINT n:BIGINT");
    let aggregates = vec![
        aggregate(F::Count, &[], &input.columns, DataType::BigInt),
        aggregate(F::Sum, &[1], &input.columns, DataType::BigInt),
    ];
    group_by(input, aggregates, Some(window), emit_final)
}

const WINDOWED: &str = "
    0: 1 1 3
    0: 1 2 9
    0: 2 5 12
    barrier
    0 W 10
    0: 1 4 10
    0 W 16
    barrier
    0: 1 8 17
    0: 1 16 -4
    0 W END
    barrier";

#[test]
fn tumbling_windows_come_out_once_when_grace_has_passed() {
    let plan = counted(Window::Tumbling { size_ms: 10, grace_ms: 5 }, true);
    assert_rows(&plan, WINDOWED, "1 0 10 2 3 10\n 1 10 20 2 12 20\n 2 10 20 1 5 20");
    let (_, operator) = run(&plan, &parse(WINDOWED), Run { chunk: 7, restart: false, full: false });
    assert_eq!((operator.stats().dropped, operator.stats().state_rows), (1, 0), "the row at -4 is late");
}

#[test]
fn windows_with_changes_keep_their_last_row() {
    let plan = counted(Window::Tumbling { size_ms: 10, grace_ms: 5 }, false);
    assert_table(&plan, WINDOWED, "1 0 10 2 3\n 1 10 20 2 12\n 2 10 20 1 5");
}

#[test]
fn a_row_counts_in_each_hopping_window_that_holds_it() {
    let plan = counted(Window::Hopping { size_ms: 10, advance_ms: 5, grace_ms: 0 }, true);
    let script = "0: 1 1 7\n barrier\n 0: 1 2 12\n 0 W 11\n barrier\n 0 W END";
    assert_rows(&plan, script, "1 0 10 1 1 10\n 1 5 15 2 3 15\n 1 10 20 1 2 20");
}

#[test]
fn a_row_between_two_sessions_merges_them() {
    let script = "
        0: 1 1 10
        0: 1 2 20
        0: 2 7 14
        barrier
        0: 1 4 15
        0 W 15
        barrier
        0: 1 8 40
        0 W END
        barrier";
    let window = Window::Session { gap_ms: 5, grace_ms: 0 };
    assert_rows(&counted(window, true), script, "1 10 20 3 7 20\n 1 40 40 1 8 40\n 2 14 14 1 7 14");
    assert_table(&counted(window, false), script, "1 10 20 3 7\n 1 40 40 1 8\n 2 14 14 1 7");
}

#[test]
fn without_windows_groups_are_final_at_the_end() {
    let input = stream("key:BIGINT n:BIGINT");
    let sum = aggregate(F::Sum, &[1], &input.columns, DataType::BigInt);
    let mut plan = group_by(input, vec![sum], None, true);
    plan.columns.pop();
    plan.time = None;
    let script = "0: 1 1 7\n barrier\n 0: 1 2 12\n 0: 2 3 12\n 0 W 11\n barrier\n 0 W END";
    assert_rows(&plan, script, "1 3\n 2 3");
}

/// Windows of a key's rows by brute force: (start, end, rows' numbers).
fn windows_of(rows: &[(i64, usize)], window: Window) -> Vec<(i64, i64, Vec<usize>)> {
    let mut result: Vec<(i64, i64, Vec<usize>)> = Vec::new();
    let (size, advance) = match window {
        Window::Tumbling { size_ms, .. } => (size_ms, size_ms),
        Window::Hopping { size_ms, advance_ms, .. } => (size_ms, advance_ms),
        Window::Session { gap_ms, .. } => {
            let mut sorted = rows.to_vec();
            sorted.sort();
            for (time, row) in sorted {
                match result.last_mut().filter(|s| time - s.1 <= gap_ms) {
                    Some(session) => {
                        session.1 = time;
                        session.2.push(row);
                    }
                    None => result.push((time, time, vec![row])),
                }
            }
            result.iter_mut().for_each(|s| s.2.sort());
            return result;
        }
    };
    for start in (-20..500).map(|i| i * advance) {
        let held: Vec<usize> =
            rows.iter().filter(|r| start <= r.0 && r.0 < start + size).map(|r| r.1).collect();
        if !held.is_empty() {
            result.push((start, start + size, held));
        }
    }
    result
}

fn window() -> impl Strategy<Value = Window> {
    prop_oneof![
        (1i64..12, 0i64..5).prop_map(|(size_ms, grace_ms)| Window::Tumbling { size_ms, grace_ms }),
        (1i64..12, 1i64..12, 0i64..5).prop_map(|(size_ms, advance_ms, grace_ms)| Window::Hopping {
            size_ms,
            advance_ms,
            grace_ms
        }),
        (0i64..6, 0i64..5).prop_map(|(gap_ms, grace_ms)| Window::Session { gap_ms, grace_ms }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn windows_equal_the_model(
        steps in prop::collection::vec((0u8..3, 0i64..10, 0i64..15, 0u8..10, 0i64..6), 1..60),
        window in window(),
        emit_final in any::<bool>(),
        chunk in 1usize..20,
        (restart, full) in any::<(bool, bool)>(),
    ) {
        let input = stream("key:BIGINT n:BIGINT");
        let list = DataType::Array(std::sync::Arc::new(DataType::BigInt));
        let aggregates = vec![
            aggregate(F::Count, &[], &input.columns, DataType::BigInt),
            aggregate(F::CountDistinct, &[1], &input.columns, DataType::BigInt),
            aggregate(F::MaxBy, &[2, 1], &input.columns, DataType::BigInt),
            aggregate(F::LatestByOffset, &[1], &input.columns, DataType::BigInt),
            aggregate(F::CollectList, &[1], &input.columns, list),
        ];
        let plan = group_by(input, aggregates, Some(window), emit_final);
        let (mut rows, mut script, mut watermark): (Vec<(u8, i64, i64)>, _, _) = (Vec::new(), Vec::new(), 0);
        for (key, n, ahead, what, rise) in steps {
            match what {
                0 => script.push(Step::Barrier),
                1 | 2 => {
                    watermark += rise;
                    script.push(Step::Watermark(0, watermark));
                }
                _ => {
                    let time = watermark + ahead;
                    let words = [key.to_string(), n.to_string(), time.to_string()].to_vec();
                    script.push(Step::Row(0, Op::Insert, words));
                    rows.push((key, n, time));
                }
            }
        }
        script.push(Step::Watermark(0, i64::MAX));
        let mut expected = Vec::new();
        for key in 0..3 {
            let of_key: Vec<(i64, usize)> =
                rows.iter().enumerate().filter(|(_, r)| r.0 == key).map(|(i, r)| (r.2, i)).collect();
            for (start, end, held) in windows_of(&of_key, window) {
                let n: Vec<i64> = held.iter().map(|r| rows[*r].1).collect();
                let distinct = n.iter().collect::<std::collections::BTreeSet<_>>().len();
                let best = held.iter().max_by_key(|r| (rows[**r].1, **r)).map(|r| rows[*r].2).unwrap();
                let rowtime = if emit_final { format!(" {end}") } else { String::new() };
                expected.push(format!(
                    "{key} {start} {end} {} {distinct} {best} {} {n:?}{rowtime}", n.len(), n[n.len() - 1]
                ));
            }
        }
        expected.sort();
        let (changes, operator) = run(&plan, &script, Run { chunk, restart, full });
        prop_assert_eq!(net(&changes), expected);
        prop_assert_eq!(operator.stats().state_rows, 0);
    }

    #[test]
    fn groups_of_a_table_equal_the_model(
        steps in prop::collection::vec((0u8..3, 0i64..4, 0u8..8), 1..60),
        chunk in 1usize..20,
        (restart, full) in any::<(bool, bool)>(),
    ) {
        let input = table("key:VARCHAR n:BIGINT name:VARCHAR d:DOUBLE");
        let aggregates = all(&input.columns).into_iter().take(5).collect();
        let plan = group_by(input, aggregates, None, false);
        let (mut rows, mut script): (Vec<(u8, i64)>, Vec<Step>) = (Vec::new(), Vec::new());
        let words = |(key, n): (u8, i64)| [format!("k{key}"), n.to_string(), format!("n{n}"), "1".into()].to_vec();
        for (key, n, what) in steps {
            match what {
                0 => script.push(Step::Barrier),
                1..=3 if !rows.is_empty() => {
                    let gone = rows.swap_remove(n as usize % rows.len());
                    script.push(Step::Row(0, Op::Delete, words(gone)));
                }
                _ => {
                    rows.push((key, n));
                    script.push(Step::Row(0, Op::Insert, words((key, n))));
                }
            }
        }
        let mut expected = Vec::new();
        for key in 0..3 {
            let n: Vec<i64> = rows.iter().filter(|r| r.0 == key).map(|r| r.1).collect();
            let distinct = n.iter().collect::<std::collections::BTreeSet<_>>().len();
            if !n.is_empty() {
                let (count, sum) = (n.len(), n.iter().sum::<i64>());
                expected.push(format!("k{key} {count} {count} {distinct} {distinct} {sum}"));
            }
        }
        let (changes, _) = run(&plan, &script, Run { chunk, restart, full });
        prop_assert_eq!(net(&changes), expected);
    }
}
