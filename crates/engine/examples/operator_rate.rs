//! Rows a second of one core through LEAD and through an interval join, in the shape of the sessions query.
//!
//! `cargo run --release -p bd-engine --example operator_rate [rows]`, 4 million rows by default.

use arrow_array::{ArrayRef, Int64Array};
use bd_engine::chunk::Chunk;
use bd_engine::operator::{Operator, Output};
use bd_engine::operators::build;
use bd_schema::{DataType, Field};
use bd_sql::catalog::{SourceDef, SourceKind};
use bd_sql::expr::{BinaryOp, Expr};
use bd_sql::plan::{ChangelogMode, JoinKind, Node, Plan, WindowFunction, WindowFunctionKind};
use std::sync::Arc;
use std::time::Instant;

type Failure = Box<dyn std::error::Error>;

#[expect(clippy::print_stdout, reason = "a program for the terminal")]
fn main() -> Result<(), Failure> {
    let rows: usize = std::env::args().nth(1).map_or(Ok(4_000_000), |rows| rows.parse())?;
    for step in [1_000, 10_000, 100_000] {
        let started = Instant::now();
        let emitted = lead(rows, step)?;
        let rate = rows as f64 / started.elapsed().as_secs_f64() / 1e6;
        println!("LEAD, {step} rows a step: {rate:.2} M rows/s ({emitted} rows out)");
    }
    for step in [1_000, 10_000] {
        let rows = rows / 4;
        let started = Instant::now();
        let emitted = overlap(rows, step)?;
        let rate = rows as f64 / started.elapsed().as_secs_f64() / 1e6;
        println!("interval join, {step} rows a step: {rate:.2} M rows/s ({emitted} pairs out)");
    }
    Ok(())
}

fn scan(columns: &[&str]) -> Plan {
    let fields: Vec<Field> = columns.iter().map(|c| Field::new(*c, DataType::BigInt)).collect();
    let source = SourceDef {
        name: "s".into(),
        kind: SourceKind::Stream,
        topic: "s".into(),
        columns: Vec::new(),
        key_format: "NONE".into(),
        key_options: bd_schema::FormatOptions::default(),
        value_format: "JSON".into(),
        value_options: bd_schema::FormatOptions::default(),
        timestamp: None,
        lateness_ms: 0,
        late_topic: "s-late".into(),
        dead_letter_topic: "s-dlq".into(),
        checks: Vec::new(),
        idle_timeout_ms: None,
        query: None,
        sql: String::new(),
    };
    let node = Node::StreamScan { source: Arc::new(source), columns: Vec::new() };
    over(node, fields)
}

fn over(node: Node, columns: Vec<Field>) -> Plan {
    let time = Some(columns.len() - 1);
    Plan { node, columns, time, lag_ms: 0, mode: ChangelogMode::Append }
}

fn longs(values: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

/// A number that looks random.
fn mix(i: i64) -> i64 {
    ((i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20) as i64
}

fn counted(
    operator: &mut dyn Operator,
    out: &mut Output,
    chunk: Option<(usize, Chunk)>,
    watermarks: &[i64],
) -> Result<usize, Failure> {
    if let Some((port, chunk)) = chunk {
        operator.on_batch(port, chunk, out)?;
    }
    for (port, watermark) in watermarks.iter().enumerate() {
        operator.on_watermark(port, *watermark, out)?;
    }
    Ok(std::mem::take(&mut out.chunks).iter().map(|c| c.len).sum())
}

/// 100 000 devices, rows up to 5 s out of order, 100 rows a second.
fn lead(rows: usize, step: usize) -> Result<usize, Failure> {
    let input = scan(&["user_id", "device_id", "channel_id", "action", "action_ts", "ROWTIME"]);
    let lead = |column| WindowFunction {
        kind: WindowFunctionKind::Lead,
        column,
        offset: 1,
        data_type: DataType::BigInt,
    };
    let mut columns = input.columns.clone();
    columns.extend(["next_action", "next_ts"].map(|n| Field::new(n, DataType::BigInt)));
    let mut operator = build(&over(
        Node::LeadLag {
            input: Box::new(input),
            partition: vec![0, 1],
            order: 5,
            functions: vec![lead(3), lead(4)],
            within_ms: Some(24 * 3_600_000),
            drop_without_next: true,
        },
        columns,
    ))?;
    let (mut out, mut emitted) = (Output::default(), 0);
    for from in (0..rows as i64).step_by(step) {
        let rows = || from..from + step as i64;
        let time = |i: i64| i * 10 - mix(i + 1) % 5000;
        let device = |i| mix(i) % 100_000;
        let columns = vec![
            longs(rows().map(|i| device(i) / 2)),
            longs(rows().map(device)),
            longs(rows().map(|i| mix(i) % 300)),
            longs(rows().map(|i| 1 + mix(i) % 3)),
            longs(rows().map(|i| time(i) / 1000)),
            longs(rows().map(time)),
        ];
        let watermark = (from + step as i64) * 10 - 5000;
        emitted +=
            counted(operator.as_mut(), &mut out, Some((0, Chunk::inserts(columns, step))), &[watermark])?;
    }
    Ok(emitted + counted(operator.as_mut(), &mut out, None, &[i64::MAX])?)
}

/// 300 channels; sessions of up to an hour, ads of up to five minutes, one ad for 20 sessions, held for 25 hours.
fn overlap(rows: usize, step: usize) -> Result<usize, Failure> {
    let (left, right) =
        (scan(&["channel", "start", "ROWTIME"]), scan(&["channel", "start", "end", "ROWTIME"]));
    let column = |place| Expr::column(place, DataType::BigInt);
    let less = |a, b| Expr::binary(BinaryOp::LessEq, column(a), column(b), DataType::Boolean);
    let condition = Expr::binary(BinaryOp::And, less(1, 5), less(4, 2), DataType::Boolean);
    let mut columns: Vec<Field> = left.columns.iter().chain(&right.columns).cloned().collect();
    columns.push(Field::new("ROWTIME", DataType::BigInt));
    let mut operator = build(&over(
        Node::IntervalJoin {
            left: Box::new(left),
            right: Box::new(right),
            kind: JoinKind::Inner,
            keys: vec![(0, 0)],
            before_ms: 25 * 3_600_000,
            after_ms: 0,
            condition: Some(condition),
        },
        columns,
    ))?;
    let (mut out, mut emitted) = (Output::default(), 0);
    for from in (0..rows as i64).step_by(step) {
        let sessions = || (from..from + step as i64).filter(|i| i % 20 != 0);
        let ads = || (from..from + step as i64).filter(|i| i % 20 == 0);
        let channel = |i| mix(i) % 300;
        let left = vec![
            longs(sessions().map(channel)),
            longs(sessions().map(|i| i * 100 - mix(i + 7) % 3_600_000)),
            longs(sessions().map(|i| i * 100)),
        ];
        let right = vec![
            longs(ads().map(channel)),
            longs(ads().map(|i| i * 100)),
            longs(ads().map(|i| i * 100 + mix(i) % 300_000)),
            longs(ads().map(|i| i * 100)),
        ];
        let (left, right) = (Chunk::inserts(left, sessions().count()), Chunk::inserts(right, ads().count()));
        let watermark = (from + step as i64) * 100;
        emitted += counted(operator.as_mut(), &mut out, Some((1, right)), &[])?;
        emitted += counted(operator.as_mut(), &mut out, Some((0, left)), &[watermark, watermark])?;
    }
    Ok(emitted)
}
