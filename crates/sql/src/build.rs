//! Makes plan nodes: the one place where a node's columns, time, lag and mode follow from its inputs.

use crate::catalog::SourceDef;
use crate::expr::Expr;
use crate::plan::{
    Aggregate, ChangelogMode, JoinKind, Node, Plan, Window, WindowFunction, WindowFunctionKind,
};
use crate::time_bounds::{self, UNBOUNDED};
use bd_schema::{DataType, Field};
use std::sync::Arc;

/// The name of the event-time column.
pub(crate) const ROWTIME: &str = "ROWTIME";

fn rowtime() -> Field {
    Field::new(ROWTIME, DataType::BigInt)
}

fn fields_of(source: &SourceDef, columns: &[usize]) -> Vec<Field> {
    columns
        .iter()
        .map(|i| Field::new(&source.columns[*i].name, source.columns[*i].data_type.clone()))
        .collect()
}

pub(crate) fn key_of(plan: &Plan) -> Vec<usize> {
    match &plan.mode {
        ChangelogMode::Append => Vec::new(),
        ChangelogMode::Upsert { key } => key.clone(),
    }
}

pub(crate) fn stream_scan(source: Arc<SourceDef>, columns: Vec<usize>) -> Plan {
    let mut fields = fields_of(&source, &columns);
    fields.push(rowtime());
    let time = Some(columns.len());
    Plan {
        node: Node::StreamScan { source, columns },
        columns: fields,
        time,
        lag_ms: 0,
        mode: ChangelogMode::Append,
    }
}

pub(crate) fn table_scan(source: Arc<SourceDef>, columns: Vec<usize>, with_rowtime: bool) -> Plan {
    let mut fields = fields_of(&source, &columns);
    if with_rowtime {
        fields.push(rowtime());
    }
    let keys = source.key_columns();
    let key = (0..columns.len()).filter(|i| keys.contains(&columns[*i])).collect();
    Plan {
        node: Node::TableScan { source, columns, rowtime: with_rowtime },
        columns: fields,
        time: None,
        lag_ms: 0,
        mode: ChangelogMode::Upsert { key },
    }
}

/// `time` and `key` are places among `exprs`; `key` is for tables only.
pub(crate) fn project(input: Plan, exprs: Vec<(String, Expr)>, time: Option<usize>, key: Vec<usize>) -> Plan {
    let lag_ms =
        time.map_or(0, |t| time_bounds::of_expr(&exprs[t].1, &input).map_or(UNBOUNDED, |b| b.lag.max(0)));
    let columns = exprs.iter().map(|(name, e)| Field::new(name, e.data_type.clone())).collect();
    let mode = match input.mode {
        ChangelogMode::Append => ChangelogMode::Append,
        ChangelogMode::Upsert { .. } => ChangelogMode::Upsert { key },
    };
    let exprs = exprs.into_iter().map(|(_, e)| e).collect();
    Plan { node: Node::Project { input: Box::new(input), exprs }, columns, time, lag_ms, mode }
}

pub(crate) fn filter(input: Plan, predicate: Vec<Expr>, counted: Option<Expr>) -> Plan {
    let (columns, time, lag_ms, mode) = (input.columns.clone(), input.time, input.lag_ms, input.mode.clone());
    Plan { node: Node::Filter { input: Box::new(input), predicate, counted }, columns, time, lag_ms, mode }
}

pub(crate) fn unnest(input: Plan, expr: Expr, elements: Vec<Field>) -> Plan {
    let mut columns = input.columns.clone();
    columns.extend(elements);
    let (time, lag_ms, mode) = (input.time, input.lag_ms, input.mode.clone());
    Plan { node: Node::Unnest { input: Box::new(input), expr }, columns, time, lag_ms, mode }
}

/// What LEAD and its like need to know beside their input.
#[derive(Debug, Clone)]
pub(crate) struct LeadLagSpec {
    pub(crate) partition: Vec<usize>,
    pub(crate) order: usize,
    pub(crate) functions: Vec<WindowFunction>,
    pub(crate) within_ms: Option<i64>,
    pub(crate) drop_without_next: bool,
}

/// A row waits until the watermark has passed the next row or, where `within_ms` bounds it, the row's own time + `within_ms`. A
/// row emitted after `W` was not released at `W - input lag`, so its time is at least `W - input lag - within_ms`. Without LEAD a
/// row waits for itself only.
pub(crate) fn lead_lag(input: Plan, spec: LeadLagSpec, names: Vec<String>) -> Plan {
    let LeadLagSpec { partition, order, functions, within_ms, drop_without_next } = spec;
    let mut columns = input.columns.clone();
    columns.extend(functions.iter().zip(names).map(|(f, name)| Field::new(name, f.data_type.clone())));
    let waits = functions.iter().any(|f| f.kind == WindowFunctionKind::Lead);
    let lag_ms = match (input.time, waits, within_ms) {
        (None, ..) => 0,
        (_, false, _) => input.lag_ms,
        (_, true, Some(within)) => input.lag_ms.saturating_add(within),
        (_, true, None) => UNBOUNDED,
    };
    let (time, mode) = (input.time, input.mode.clone());
    let input = Box::new(input);
    let node = Node::LeadLag { input, partition, order, functions, within_ms, drop_without_next };
    Plan { node, columns, time, lag_ms, mode }
}

/// The parts of [`Node::IntervalJoin`] but its inputs.
#[derive(Debug, Clone)]
pub(crate) struct IntervalSpec {
    pub(crate) kind: JoinKind,
    pub(crate) keys: Vec<(usize, usize)>,
    pub(crate) before_ms: i64,
    pub(crate) after_ms: i64,
    pub(crate) condition: Option<Expr>,
}

/// The lag. Let `W` be the least of both watermarks, `Ll` and `Lr` the inputs' lags: after `W`, left rows have a time `>= W - Ll`
/// and right rows `>= W - Lr`.
/// * A pair comes out when its later-arriving row comes; the pair's time is at least that row's: lag `max(Ll, Lr)`.
/// * A left row `l` alone comes out when no right row within `l + after_ms` can follow. If it came before `W` and is still held at
///   `W`, then `l + after_ms >= W - Lr`: lag `Lr + after_ms`; if it comes after `W`, lag `Ll`.
/// * A right row alone waits for left rows up to `r + before_ms`: lag `max(Lr, Ll + before_ms)`.
pub(crate) fn interval_join(left: Plan, right: Plan, spec: IntervalSpec) -> Plan {
    let mut lag_ms = left.lag_ms.max(right.lag_ms);
    if matches!(spec.kind, JoinKind::Left | JoinKind::Full) {
        lag_ms = lag_ms.max(right.lag_ms.saturating_add(spec.after_ms.max(0)));
    }
    if matches!(spec.kind, JoinKind::Right | JoinKind::Full) {
        lag_ms = lag_ms.max(left.lag_ms.saturating_add(spec.before_ms.max(0)));
    }
    let mut columns = left.columns.clone();
    columns.extend(right.columns.iter().cloned());
    let time = Some(columns.len());
    columns.push(rowtime());
    let IntervalSpec { kind, keys, before_ms, after_ms, condition } = spec;
    let (left, right) = (Box::new(left), Box::new(right));
    let node = Node::IntervalJoin { left, right, kind, keys, before_ms, after_ms, condition };
    Plan { node, columns, time, lag_ms, mode: ChangelogMode::Append }
}

pub(crate) fn table_join(
    left: Plan,
    right: Plan,
    kind: JoinKind,
    keys: Vec<(usize, usize)>,
    condition: Option<Expr>,
) -> Plan {
    let mut columns = left.columns.clone();
    columns.extend(right.columns.iter().cloned());
    let (time, lag_ms) = (left.time, left.lag_ms);
    let node = Node::TableJoin { left: Box::new(left), right: Box::new(right), kind, keys, condition };
    Plan { node, columns, time, lag_ms, mode: ChangelogMode::Append }
}

pub(crate) fn aggregate(
    input: Plan,
    group: Vec<usize>,
    aggregates: Vec<Aggregate>,
    window: Option<Window>,
    emit_final: bool,
    names: Vec<String>,
) -> Plan {
    let mut columns: Vec<Field> = group.iter().map(|g| input.columns[*g].clone()).collect();
    if window.is_some() {
        columns.push(Field::new("WINDOWSTART", DataType::BigInt));
        columns.push(Field::new("WINDOWEND", DataType::BigInt));
    }
    let key = (0..columns.len()).collect();
    columns.extend(aggregates.iter().zip(names).map(|(a, name)| Field::new(name, a.data_type.clone())));
    Plan {
        node: Node::Aggregate { input: Box::new(input), group, aggregates, window, emit_final },
        columns,
        time: None,
        lag_ms: 0,
        mode: ChangelogMode::Upsert { key },
    }
}
