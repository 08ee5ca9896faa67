//! Runs an operator over a script that a person can read, at several chunk sizes, with and without a restart at every barrier.
//!
//! ```text
//!  0: 7 12 a      a row on port 0, one word a column; `null` is NULL, `-` before the port takes a table's row out
//!  0 W 15         port 0's watermark; `W END` is the end
//!  barrier        flush, snapshot, and (in the runs with restarts) a new operator from the state
//! ```

use crate::chunk::{Chunk, Op};
use crate::operator::{Operator, Output, StateWriter};
use crate::operators::build;
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, StringArray};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use bd_schema::{DataType, Field};
use bd_sql::catalog::{SourceDef, SourceKind};
use bd_sql::expr::{BinaryOp, Expr};
use bd_sql::plan::{ChangelogMode, Node, Plan};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What happens to an operator.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Row(usize, Op, Vec<String>),
    Watermark(usize, i64),
    Barrier,
}

/// How a script is run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) chunk: usize,
    pub(crate) restart: bool,
    /// Restarts from a full snapshot, not from the changes.
    pub(crate) full: bool,
}

/// All ways that must give the same.
pub(crate) fn all_runs() -> Vec<Run> {
    let mut runs = Vec::new();
    for chunk in [1, 7, usize::MAX] {
        for (restart, full) in [(false, false), (true, false), (true, true)] {
            runs.push(Run { chunk, restart, full });
        }
    }
    runs
}

/// The state as a changelog leaves it.
#[derive(Default)]
pub(crate) struct State(pub(crate) BTreeMap<Vec<u8>, Vec<u8>>, pub(crate) usize);

impl StateWriter for State {
    fn put(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.1 += 1;
        match value {
            Some(value) => drop(self.0.insert(key.to_vec(), value.to_vec())),
            None => drop(self.0.remove(key)),
        }
    }
}

pub(crate) fn parse(script: &str) -> Vec<Step> {
    let step = |line: &str| {
        let line = line.trim();
        if line == "barrier" {
            return Step::Barrier;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        if words[1] == "W" {
            let watermark = if words[2] == "END" { i64::MAX } else { words[2].parse().unwrap() };
            return Step::Watermark(words[0].parse().unwrap(), watermark);
        }
        let (op, port) = match words[0].strip_prefix('-') {
            Some(port) => (Op::Delete, port),
            None => (Op::Insert, words[0]),
        };
        let port = port.strip_suffix(':').unwrap().parse().unwrap();
        Step::Row(port, op, words[1..].iter().map(|w| w.to_string()).collect())
    };
    script.lines().filter(|l| !l.trim().is_empty()).map(step).collect()
}

fn column(data_type: &DataType, words: &[&str]) -> ArrayRef {
    let some = |w: &&str| (**w != *"null").then(|| w.to_string());
    match data_type {
        DataType::Varchar => Arc::new(words.iter().map(some).collect::<StringArray>()),
        DataType::Double => Arc::new(
            words.iter().map(|w| some(w).map(|w| w.parse::<f64>().unwrap())).collect::<Float64Array>(),
        ),
        _ => {
            let longs =
                words.iter().map(|w| some(w).map(|w| w.parse::<i64>().unwrap())).collect::<Int64Array>();
            arrow_cast::cast(&longs, &data_type.to_arrow()).unwrap()
        }
    }
}

pub(crate) fn chunk(plan: &Plan, rows: &[(Op, Vec<String>)]) -> Chunk {
    let words = |c: usize| rows.iter().map(|r| r.1[c].as_str()).collect::<Vec<_>>();
    let columns = plan.columns.iter().enumerate().map(|(c, f)| column(&f.data_type, &words(c))).collect();
    let ops = rows.iter().map(|r| r.0).collect::<Vec<_>>();
    let table = plan.mode != ChangelogMode::Append;
    Chunk { ops: table.then(|| ops.into()), ..Chunk::inserts(columns, rows.len()) }
}

/// Rows as text, `-` before those that are taken out.
pub(crate) fn lines(out: &Output) -> Vec<String> {
    let mut lines = Vec::new();
    let options = FormatOptions::new().with_null("null");
    for chunk in &out.chunks {
        assert!(chunk.len > 0 && chunk.columns.iter().all(|c| c.len() == chunk.len));
        let formatters: Vec<_> =
            chunk.columns.iter().map(|c| ArrayFormatter::try_new(c.as_ref(), &options).unwrap()).collect();
        for row in 0..chunk.len {
            let words: Vec<String> = formatters.iter().map(|f| f.value(row).to_string()).collect();
            let sign = if chunk.op(row) == Op::Delete { "- " } else { "" };
            lines.push(format!("{sign}{}", words.join(" ")));
        }
    }
    lines
}

/// What the operator of `plan` gives for the steps, and the operator.
pub(crate) fn run(plan: &Plan, steps: &[Step], how: Run) -> (Vec<String>, Box<dyn Operator>) {
    let inputs: Vec<&Plan> = match &plan.node {
        Node::IntervalJoin { left, right, .. } | Node::TableJoin { left, right, .. } => vec![left, right],
        Node::Project { input, .. }
        | Node::Filter { input, .. }
        | Node::Unnest { input, .. }
        | Node::LeadLag { input, .. }
        | Node::Aggregate { input, .. } => vec![input],
        Node::StreamScan { .. } | Node::TableScan { .. } => vec![],
    };
    let mut operator = build(plan).unwrap();
    let mut out = Output::default();
    let mut state = State::default();
    let mut waiting: Vec<(Op, Vec<String>)> = Vec::new();
    let mut port = 0;
    for step in steps.iter().map(Some).chain([None]) {
        let goes_on = matches!(step, Some(Step::Row(p, ..)) if *p == port) && waiting.len() < how.chunk;
        if !goes_on && !waiting.is_empty() {
            operator.on_batch(port, chunk(inputs[port], &waiting), &mut out).unwrap();
            waiting.clear();
        }
        match step {
            Some(Step::Row(p, op, words)) => {
                port = *p;
                waiting.push((*op, words.clone()));
            }
            Some(Step::Watermark(port, watermark)) => {
                operator.on_watermark(*port, *watermark, &mut out).unwrap()
            }
            Some(Step::Barrier) => {
                operator.flush(&mut out).unwrap();
                if how.full {
                    state = State::default();
                }
                operator.snapshot(how.full, &mut state).unwrap();
                if how.restart {
                    operator = build(plan).unwrap();
                    for (key, value) in &state.0 {
                        operator.restore(key, Some(value)).unwrap();
                    }
                }
            }
            None => operator.flush(&mut out).unwrap(),
        }
    }
    (lines(&out), operator)
}

/// Asserts that a script gives these rows, as a set, however it is run.
pub(crate) fn assert_rows(plan: &Plan, script: &str, expected: &str) {
    let mut expected: Vec<String> = expected.lines().map(words).filter(|l| !l.is_empty()).collect();
    expected.sort();
    for how in all_runs() {
        let (mut rows, _) = run(plan, &parse(script), how);
        rows.sort();
        assert_eq!(rows, expected, "{how:?}");
    }
}

/// As [`assert_rows`], for tables: what is there in the end, and that no row goes that was not there.
pub(crate) fn assert_table(plan: &Plan, script: &str, expected: &str) {
    let mut expected: Vec<String> = expected.lines().map(words).filter(|l| !l.is_empty()).collect();
    expected.sort();
    for how in all_runs() {
        assert_eq!(net(&run(plan, &parse(script), how).0), expected, "{how:?}");
    }
}

/// The rows that are there after all changes, sorted.
pub(crate) fn net(changes: &[String]) -> Vec<String> {
    let mut rows: Vec<String> = Vec::new();
    for change in changes {
        match change.strip_prefix("- ") {
            Some(row) => {
                let place = rows.iter().position(|r| r == row);
                rows.swap_remove(
                    place.unwrap_or_else(|| panic!("{row} goes but was not there: {changes:?}")),
                );
            }
            None => rows.push(change.clone()),
        }
    }
    rows.sort();
    rows
}

fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A stream with columns such as `user:BIGINT name:VARCHAR`; ROWTIME is added.
pub(crate) fn stream(columns: &str) -> Plan {
    let mut plan = scan(columns, SourceKind::Stream);
    plan.columns.push(Field::new("ROWTIME", DataType::BigInt));
    plan.time = Some(plan.columns.len() - 1);
    plan
}

/// A table whose first column is its key.
pub(crate) fn table(columns: &str) -> Plan {
    Plan { mode: ChangelogMode::Upsert { key: vec![0] }, ..scan(columns, SourceKind::Table) }
}

fn scan(columns: &str, kind: SourceKind) -> Plan {
    let field = |c: &str| {
        let (name, data_type) = c.split_once(':').unwrap();
        let data_type = match data_type {
            "BIGINT" => DataType::BigInt,
            "INTEGER" => DataType::Integer,
            "DOUBLE" => DataType::Double,
            "TIMESTAMP" => DataType::Timestamp,
            _ => DataType::Varchar,
        };
        Field::new(name, data_type)
    };
    let columns: Vec<Field> = columns.split_whitespace().map(field).collect();
    let source = SourceDef {
        name: "s".into(),
        kind,
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
    let node = Node::StreamScan { source: Arc::new(source), columns: (0..columns.len()).collect() };
    Plan { node, columns, time: None, lag_ms: 0, mode: ChangelogMode::Append }
}

/// A node over inputs, with these columns.
pub(crate) fn plan(node: Node, columns: Vec<Field>, time: Option<usize>) -> Plan {
    Plan { node, columns, time, lag_ms: 0, mode: ChangelogMode::Append }
}

/// A column by its place in `columns`.
pub(crate) fn col(columns: &[Field], place: usize) -> Expr {
    Expr::column(place, columns[place].data_type.clone())
}

/// A comparison or AND.
pub(crate) fn binary(op: BinaryOp, left: Expr, right: Expr) -> Expr {
    Expr::binary(op, left, right, DataType::Boolean)
}
