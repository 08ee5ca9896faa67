//! Streams with streams.

use super::harness::*;
use crate::chunk::Op;
use bd_schema::{DataType, Field};
use bd_sql::expr::{BinaryOp, Expr};
use bd_sql::plan::{JoinKind, Node, Plan};
use proptest::prelude::*;

/// Sessions (from, till) with ads (from, till) of one channel that overlap; times are the ends.
fn join(kind: JoinKind, data_type: &str, before_ms: i64, after_ms: i64, overlap: bool) -> Plan {
    let left = stream(&format!("channel:BIGINT from:{data_type} till:{data_type}"));
    let right = stream(&format!("channel:INTEGER ad:VARCHAR from:{data_type} till:{data_type}"));
    let columns: Vec<Field> = left.columns.iter().chain(&right.columns).cloned().collect();
    let condition = overlap.then(|| overlaps(&columns));
    let mut all = columns;
    all.push(Field::new("ROWTIME", DataType::BigInt));
    let time = Some(all.len() - 1);
    let node = Node::IntervalJoin {
        left: Box::new(left),
        right: Box::new(right),
        kind,
        keys: vec![(0, 0)],
        before_ms,
        after_ms,
        condition,
    };
    plan(node, all, time)
}

fn overlaps(columns: &[Field]) -> Expr {
    let starts = binary(BinaryOp::LessEq, col(columns, 1), col(columns, 7));
    let ends = binary(BinaryOp::GreaterEq, col(columns, 2), col(columns, 6));
    binary(BinaryOp::And, starts, ends)
}

/// Both ports' steps in several orders.
fn interleaved(script: &str) -> Vec<Vec<Step>> {
    let (left, right): (Vec<Step>, Vec<Step>) = parse(script).into_iter().partition(|s| match s {
        Step::Row(port, ..) | Step::Watermark(port, _) => *port == 0,
        Step::Barrier => true,
    });
    let alternate = |first: &[Step], second: &[Step]| {
        let longest = first.len().max(second.len());
        (0..longest).flat_map(|i| [first.get(i), second.get(i)]).flatten().cloned().collect()
    };
    vec![
        parse(script),
        left.iter().chain(&right).cloned().collect(),
        right.iter().chain(&left).cloned().collect(),
        alternate(&left, &right),
        alternate(&right, &left),
    ]
}

fn assert_join(plan: &Plan, script: &str, expected: &str) {
    let mut expected: Vec<String> = expected
        .lines()
        .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|l| !l.is_empty())
        .collect();
    expected.sort();
    for steps in interleaved(script) {
        for how in all_runs() {
            let (mut rows, operator) = run(plan, &steps, how);
            rows.sort();
            assert_eq!(rows, expected, "{how:?} {steps:?}");
            assert_eq!(operator.stats().state_rows, 0, "all has passed");
        }
    }
}

const SCRIPT: &str = "
    0: 1 10 20 20
    0: 2 10 30 30
    barrier
    1: 1 a 5 15 15
    1: 1 b 18 25 25
    0 W 20
    barrier
    1: 2 c 31 40 40
    1: 2 d 30 35 35
    1 W 26
    0: null 1 2 41
    0: 1 24 60 60
    barrier
    1: null e 1 2 44
    1: 9 f 1 2 50
    0 W END
    barrier
    1 W END
";

#[test]
fn inner_gives_each_overlapping_pair_once() {
    let rows = "
        1 10 20 20   1 a 5 15 15    20
        1 10 20 20   1 b 18 25 25   25
        2 10 30 30   2 d 30 35 35   35
        1 24 60 60   1 b 18 25 25   60";
    assert_join(&join(JoinKind::Inner, "BIGINT", 100, 100, true), SCRIPT, rows);
}

#[test]
fn outer_rows_come_out_once_null_keys_among_them() {
    let rows = "
        1 10 20 20   1 a 5 15 15    20
        1 10 20 20   1 b 18 25 25   25
        2 10 30 30   2 d 30 35 35   35
        1 24 60 60   1 b 18 25 25   60
        null 1 2 41  null null null null null       41
        null null null null  2 c 31 40 40           40
        null null null null  null e 1 2 44          44
        null null null null  9 f 1 2 50             50";
    assert_join(&join(JoinKind::Full, "BIGINT", 100, 100, true), SCRIPT, rows);
}

#[test]
fn the_range_over_both_times_is_inclusive_at_both_ends() {
    let script = "
        0: 1 0 0 100
        1: 1 early 0 0 89
        1: 1 first 0 0 90
        1: 1 last 0 0 105
        1: 1 late 0 0 106
        0 W END
        1 W END";
    let rows = "
        1 0 0 100  1 first 0 0 90   100
        1 0 0 100  1 last 0 0 105   105";
    assert_join(&join(JoinKind::Left, "BIGINT", 10, 5, false), script, rows);
}

#[test]
fn strings_that_differ_only_behind_their_first_16_bytes_are_told_apart() {
    let script = "
        0: 1 2024-01-01T10:00:30Z 2024-01-01T10:00:40Z 100
        1: 1 before 2024-01-01T10:00:00Z 2024-01-01T10:00:29Z 100
        1: 1 touch 2024-01-01T10:00:00Z 2024-01-01T10:00:30Z 100
        1: 1 after 2024-01-01T10:00:41Z 2024-01-01T10:00:59Z 100
        0 W END
        1 W END";
    let rows = "1 2024-01-01T10:00:30Z 2024-01-01T10:00:40Z 100  1 touch 2024-01-01T10:00:00Z 2024-01-01T10:00:30Z 100  100";
    assert_join(&join(JoinKind::Inner, "VARCHAR", 10, 10, true), script, rows);
}

#[test]
fn an_outer_row_waits_until_the_other_watermark_has_passed_its_reach() {
    let plan = join(JoinKind::Left, "BIGINT", 10, 5, false);
    let how = Run { chunk: 1, restart: false, full: false };
    let (rows, _) = run(&plan, &parse("0: 1 0 0 100\n 0 W END\n 1 W 105"), how);
    assert!(rows.is_empty(), "a row at 105 may come");
    let (rows, operator) = run(&plan, &parse("0: 1 0 0 100\n 1 W 106"), how);
    assert_eq!(rows, ["1 0 0 100 null null null null null 100"]);
    assert_eq!(operator.stats().state_rows, 0);
}

#[test]
fn a_row_that_can_meet_nothing_any_more_comes_out_at_once_and_is_not_held() {
    let plan = join(JoinKind::Left, "BIGINT", 10, 5, false);
    let steps = parse("1: 1 x 0 0 95\n 1 W END\n 0: 1 0 0 100\n 0: 1 0 0 200");
    let (mut rows, operator) = run(&plan, &steps, Run { chunk: 7, restart: false, full: false });
    rows.sort();
    assert_eq!(rows, ["1 0 0 100 1 x 0 0 95 100", "1 0 0 200 null null null null null 200"]);
    assert_eq!(operator.stats().state_rows, 1, "the right row waits for left ones");
}

#[test]
fn long_lists_of_one_key_are_evicted_and_probed_in_part() {
    let mut script = String::new();
    for i in 0..500 {
        script.push_str(&format!("1: 1 a{i} {i} {} {i}\n", i + 3));
    }
    script.push_str("0 W 250\n 0: 1 300 301 300\n 0: 1 250 250 260\n 0 W END\n 1 W END");
    let plan = join(JoinKind::Inner, "BIGINT", 400, 100, true);
    let how = Run { chunk: 64, restart: false, full: false };
    let (rows, operator) = run(&plan, &parse(&script), how);
    assert_eq!(rows.len(), 5 + 4);
    assert_eq!(operator.stats().state_rows, 0);
}

#[derive(Debug, Clone)]
struct Event {
    port: usize,
    key: Option<u8>,
    from: i64,
    length: i64,
    ahead: i64,
    what: u8,
    rise: i64,
}

/// Key, from, till, time, and the row as text.
type Held = (Option<u8>, i64, i64, i64, String);

fn events() -> impl Strategy<Value = Vec<Event>> {
    let one = (0usize..2, prop::option::weighted(0.9, 0u8..3), 0i64..30, 0i64..6, 0i64..10, 0u8..12, 0i64..9);
    let one = one.prop_map(|(port, key, from, length, ahead, what, rise)| Event {
        port,
        key,
        from,
        length,
        ahead,
        what,
        rise,
    });
    prop::collection::vec(one, 1..90)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn equals_nested_loops(
        events in events(),
        kind in prop::sample::select(vec![JoinKind::Inner, JoinKind::Left, JoinKind::Right, JoinKind::Full]),
        (before, after) in (0i64..15, 0i64..15),
        overlap in any::<bool>(),
        chunk in 1usize..20,
        (restart, full) in any::<(bool, bool)>(),
        left_ends_first in any::<bool>(),
    ) {
        let mut script = Vec::new();
        let mut watermarks = [0; 2];
        let mut rows: [Vec<Held>; 2] = Default::default();
        for event in events {
            let port = event.port;
            match event.what {
                0 => script.push(Step::Barrier),
                1..=3 => {
                    watermarks[port] += event.rise;
                    script.push(Step::Watermark(port, watermarks[port]));
                }
                _ => {
                    let time = watermarks[port] + event.ahead;
                    let key = event.key.map_or("null".to_string(), |k| k.to_string());
                    let (from, till) = (event.from, event.from + event.length);
                    let name = if port == 1 { format!("n{} ", rows[1].len()) } else { String::new() };
                    let text = format!("{key} {name}{from} {till} {time}");
                    script.push(Step::Row(port, Op::Insert, text.split(' ').map(String::from).collect()));
                    rows[port].push((event.key, from, till, time, text));
                }
            }
        }
        let ends = if left_ends_first { [0, 1] } else { [1, 0] };
        script.extend(ends.map(|port| Step::Watermark(port, i64::MAX)));

        let mut expected = Vec::new();
        let mut met = [vec![false; rows[0].len()], vec![false; rows[1].len()]];
        for (i, l) in rows[0].iter().enumerate() {
            for (j, r) in rows[1].iter().enumerate() {
                let in_range = l.3 - before <= r.3 && r.3 <= l.3 + after;
                let overlaps = !overlap || l.1 <= r.2 && l.2 >= r.1;
                if l.0.is_some() && l.0 == r.0 && in_range && overlaps {
                    expected.push(format!("{} {} {}", l.4, r.4, l.3.max(r.3)));
                    (met[0][i], met[1][j]) = (true, true);
                }
            }
        }
        if matches!(kind, JoinKind::Left | JoinKind::Full) {
            for (row, _) in rows[0].iter().zip(&met[0]).filter(|(_, m)| !**m) {
                expected.push(format!("{} null null null null null {}", row.4, row.3));
            }
        }
        if matches!(kind, JoinKind::Right | JoinKind::Full) {
            for (row, _) in rows[1].iter().zip(&met[1]).filter(|(_, m)| !**m) {
                expected.push(format!("null null null null {} {}", row.4, row.3));
            }
        }
        expected.sort();
        let plan = join(kind, "BIGINT", before, after, overlap);
        let (mut result, operator) = run(&plan, &script, Run { chunk, restart, full });
        result.sort();
        prop_assert_eq!(result, expected);
        prop_assert_eq!(operator.stats().state_rows, 0);
    }
}
