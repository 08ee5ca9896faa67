//! Rewrites of a plan that keep its rows: filters move below projections, projections merge, LEAD's distance is bounded by the
//! filter above it.

use super::types::{all_of, children, each_column, replace_columns};
use crate::build::{self, IntervalSpec, LeadLagSpec};
use crate::expr::{BinaryOp, Expr, ExprKind, Function};
use crate::plan::{JoinKind, Node, Plan, WindowFunctionKind};
use crate::time_bounds::{self, Unit};
use bd_schema::{DataType, Field};

/// The plan with all rewrites done. Its output columns stay as they are.
pub(crate) fn simplify(plan: Plan) -> Plan {
    let columns = plan.columns.clone();
    let (time, key) = (plan.time, build::key_of(&plan));
    let simple = match plan.node {
        node @ (Node::StreamScan { .. } | Node::TableScan { .. }) => Plan { node, ..plan },
        Node::Project { input, exprs } => {
            let named = columns.iter().map(|c| c.name.clone()).zip(exprs).collect();
            project_onto(simplify(*input), named, time, key)
        }
        Node::Filter { input, predicate, counted } => filter_onto(simplify(*input), predicate, counted),
        Node::Unnest { input, expr } => {
            let elements = columns[input.columns.len()..].to_vec();
            build::unnest(simplify(*input), expr, elements)
        }
        Node::LeadLag { input, partition, order, functions, within_ms, drop_without_next } => {
            let names = columns[input.columns.len()..].iter().map(|c| c.name.clone()).collect();
            let spec = LeadLagSpec { partition, order, functions, within_ms, drop_without_next };
            build::lead_lag(simplify(*input), spec, names)
        }
        Node::IntervalJoin { left, right, kind, keys, before_ms, after_ms, condition } => {
            let spec = IntervalSpec { kind, keys, before_ms, after_ms, condition };
            build::interval_join(simplify(*left), simplify(*right), spec)
        }
        Node::TableJoin { left, right, kind, keys, condition } => {
            build::table_join(simplify(*left), simplify(*right), kind, keys, condition)
        }
        Node::Aggregate { input, group, aggregates, window, emit_final } => {
            let first = columns.len() - aggregates.len();
            let names = columns[first..].iter().map(|c| c.name.clone()).collect();
            build::aggregate(simplify(*input), group, aggregates, window, emit_final, names)
        }
    };
    Plan { columns, ..simple }
}

fn cheap(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Column(_) | ExprKind::Literal(_))
}

/// A projection over a simplified input: merged with one below, or nothing where it changes nothing.
pub(crate) fn project_onto(
    input: Plan,
    exprs: Vec<(String, Expr)>,
    time: Option<usize>,
    key: Vec<usize>,
) -> Plan {
    if let Node::Project { input: below, exprs: inner } = &input.node {
        let mut uses = vec![0usize; inner.len()];
        exprs.iter().for_each(|(_, e)| each_column(e, &mut |c| uses[c] += 1));
        if inner.iter().zip(&uses).all(|(e, n)| cheap(e) || *n <= 1) {
            let merged =
                exprs.into_iter().map(|(n, e)| (n, replace_columns(&e, &|c, _| inner[c].clone()))).collect();
            return project_onto(below.as_ref().clone(), merged, time, key);
        }
    }
    let same = exprs.len() == input.columns.len()
        && exprs.iter().enumerate().all(|(i, (_, e))| e.kind == ExprKind::Column(i))
        && time == input.time
        && key == build::key_of(&input);
    if same {
        let columns = exprs.into_iter().map(|(n, e)| Field::new(n, e.data_type)).collect();
        return Plan { columns, ..input };
    }
    build::project(input, exprs, time, key)
}

fn filter_onto(input: Plan, predicate: Vec<Expr>, counted: Option<Expr>) -> Plan {
    if counted.is_some() {
        return build::filter(input, predicate, counted);
    }
    if predicate.is_empty() {
        return input;
    }
    match input.node {
        Node::Project { input: below, exprs } => {
            // A window function's bound must reach it; else only what costs nothing to compute twice moves down.
            let always = matches!(&below.node, Node::LeadLag { .. });
            let (down, up): (Vec<Expr>, Vec<Expr>) = predicate.into_iter().partition(|p| {
                let mut moves = true;
                each_column(p, &mut |c| moves &= cheap(&exprs[c]));
                moves || always
            });
            let down = down.iter().map(|p| replace_columns(p, &|c, _| exprs[c].clone())).collect();
            let key = match &input.mode {
                crate::plan::ChangelogMode::Append => Vec::new(),
                crate::plan::ChangelogMode::Upsert { key } => key.clone(),
            };
            let named = input.columns.iter().map(|c| c.name.clone()).zip(exprs).collect();
            let below = build::project(filter_onto(*below, down, None), named, input.time, key);
            above(below, up)
        }
        Node::Filter { input: below, predicate: first, counted: None } => {
            let all = first.into_iter().chain(predicate).collect();
            filter_onto(*below, all, None)
        }
        Node::TableJoin { left, right, kind, keys, condition } => {
            let (down, up) = left_only(predicate, left.columns.len());
            let join = build::table_join(filter_onto(*left, down, None), *right, kind, keys, condition);
            above(Plan { columns: input.columns, ..join }, up)
        }
        Node::IntervalJoin { left, right, kind, keys, before_ms, after_ms, condition }
            if matches!(kind, JoinKind::Inner | JoinKind::Left) =>
        {
            let (down, up) = left_only(predicate, left.columns.len());
            let spec = IntervalSpec { kind, keys, before_ms, after_ms, condition };
            let join = build::interval_join(filter_onto(*left, down, None), *right, spec);
            above(Plan { columns: input.columns, ..join }, up)
        }
        Node::LeadLag { ref within_ms, .. } if within_ms.is_none() && input.time.is_some() => {
            bound_lead(input, predicate)
        }
        _ => build::filter(input, predicate, None),
    }
}

fn above(plan: Plan, predicate: Vec<Expr>) -> Plan {
    if predicate.is_empty() { plan } else { build::filter(plan, predicate, None) }
}

/// The conjuncts that a row of a join's left side decides alone (where no row comes out without one), and the others.
fn left_only(predicate: Vec<Expr>, width: usize) -> (Vec<Expr>, Vec<Expr>) {
    predicate.into_iter().partition(|p| {
        let mut left = true;
        each_column(p, &mut |c| left &= c < width);
        left
    })
}

/// A filter over LEAD on a stream: the conjuncts that bound its distance let rows stop waiting.
fn bound_lead(plan: Plan, predicate: Vec<Expr>) -> Plan {
    let Node::LeadLag { input, partition, order, functions, .. } = &plan.node else {
        return build::filter(plan, predicate, None);
    };
    let width = input.columns.len();
    let leads: Vec<usize> = (0..functions.len())
        .filter(|i| functions[*i].kind == WindowFunctionKind::Lead)
        .map(|i| width + i)
        .collect();
    // A row without a next row has NULL in all of them.
    let drop_without_next = !leads.is_empty() && predicate.iter().any(|p| not_true(p, &leads));
    let mut offsets = functions.iter().filter(|f| f.kind == WindowFunctionKind::Lead).map(|f| f.offset);
    let first = offsets.next();
    let one_distance = first.is_some() && offsets.all(|o| Some(o) == first);

    let (mut within_ms, mut counted, mut rest) = (None, Vec::new(), Vec::new());
    for conjunct in predicate {
        match distance(&conjunct, &plan).filter(|_| one_distance) {
            Some(ms) => {
                within_ms = Some(within_ms.map_or(ms, |w: i64| w.min(ms)).max(0));
                counted.push(conjunct);
            }
            None => rest.push(conjunct),
        }
    }
    let names = plan.columns[width..].iter().map(|c| c.name.clone()).collect();
    let spec = LeadLagSpec {
        partition: partition.clone(),
        order: *order,
        functions: functions.clone(),
        within_ms,
        drop_without_next,
    };
    let bounded = build::lead_lag(input.as_ref().clone(), spec, names);
    build::filter(Plan { columns: plan.columns.clone(), ..bounded }, rest, all_of(counted))
}

/// A sum of LEAD's time, the row's time (both in ms) and a constant, all times 1000.
#[derive(Clone, Copy, Default)]
struct Linear {
    lead: i64,
    own: i64,
    constant: i64,
}

impl Linear {
    fn zip(self, other: Linear, f: impl Fn(i64, i64) -> Option<i64>) -> Option<Linear> {
        Some(Linear {
            lead: f(self.lead, other.lead)?,
            own: f(self.own, other.own)?,
            constant: f(self.constant, other.constant)?,
        })
    }
}

/// `next - time <= c` in any form: c in ms.
fn distance(condition: &Expr, plan: &Plan) -> Option<i64> {
    let ExprKind::Binary { op, left, right } = &condition.kind else { return None };
    let (small, great, strict) = match op {
        BinaryOp::LessEq => (left, right, false),
        BinaryOp::Less => (left, right, true),
        BinaryOp::GreaterEq => (right, left, false),
        BinaryOp::Greater => (right, left, true),
        _ => return None,
    };
    let sum = linear(small, plan)?.zip(linear(great, plan)?, i64::checked_sub)?;
    // lead * next + own * time + constant <= 0
    let constant = if strict { sum.constant.checked_add(1000)? } else { sum.constant };
    (sum.lead > 0 && sum.own == -sum.lead).then(|| constant.checked_neg().map(|c| c.div_euclid(sum.lead)))?
}

fn linear(expr: &Expr, plan: &Plan) -> Option<Linear> {
    if let Some(n) = time_bounds::constant(expr) {
        return Some(Linear { constant: n.checked_mul(1000)?, ..Linear::default() });
    }
    match &expr.kind {
        ExprKind::Column(c) => {
            let Node::LeadLag { input, functions, .. } = &plan.node else { return None };
            let place = functions.get(c.wrapping_sub(input.columns.len()).min(functions.len()));
            let source = match place {
                Some(f) if *c >= input.columns.len() => {
                    (f.kind == WindowFunctionKind::Lead).then_some(f.column)?
                }
                _ => *c,
            };
            let bound = time_bounds::of_column(input, source).filter(|b| b.exact)?;
            let factor = match bound.unit {
                Unit::Millis => 1000,
                Unit::Seconds => 1,
                Unit::Text(_) => return None,
            };
            Some(if *c >= input.columns.len() {
                Linear { lead: factor, ..Linear::default() }
            } else {
                Linear { own: factor, ..Linear::default() }
            })
        }
        ExprKind::Cast(x) if matches!(expr.data_type, DataType::BigInt | DataType::Timestamp) => {
            match x.data_type {
                DataType::Integer | DataType::BigInt | DataType::Timestamp => linear(x, plan),
                _ => None,
            }
        }
        ExprKind::Negate(x) => Linear::default().zip(linear(x, plan)?, i64::checked_sub),
        ExprKind::Binary { op: BinaryOp::Add, left, right } => {
            linear(left, plan)?.zip(linear(right, plan)?, i64::checked_add)
        }
        ExprKind::Binary { op: BinaryOp::Subtract, left, right } => {
            linear(left, plan)?.zip(linear(right, plan)?, i64::checked_sub)
        }
        ExprKind::Binary { op: BinaryOp::Multiply, left, right } => {
            let (n, x) = match (time_bounds::constant(left), time_bounds::constant(right)) {
                (_, Some(n)) => (n, left),
                (Some(n), _) => (n, right),
                _ => return None,
            };
            linear(x, plan)?.zip(Linear::default(), |a, _| a.checked_mul(n))
        }
        ExprKind::Call { function: Function::FromUnixtime | Function::UnixTimestamp, args } => {
            linear(args.first()?, plan)
        }
        ExprKind::Call { function: Function::TimestampAdd, args } => {
            linear(args.first()?, plan)?.zip(linear(args.get(1)?, plan)?, i64::checked_add)
        }
        _ => None,
    }
}

/// Whether the expression is NULL when all of `columns` are.
fn null_with(expr: &Expr, columns: &[usize]) -> bool {
    let all = |exprs: &[Expr]| exprs.iter().all(|e| null_with(e, columns));
    match &expr.kind {
        ExprKind::Column(c) => columns.contains(c),
        ExprKind::Literal(v) => *v == bd_schema::Value::Null,
        ExprKind::Binary { op: BinaryOp::And | BinaryOp::Or, left, right } => {
            null_with(left, columns) && null_with(right, columns)
        }
        ExprKind::Binary { op: BinaryOp::IsDistinctFrom, .. }
        | ExprKind::IsNull(_)
        | ExprKind::Case { .. } => false,
        ExprKind::InList { value, .. } => null_with(value, columns),
        ExprKind::Call { function: Function::Coalesce | Function::Greatest | Function::Least, args } => {
            all(args)
        }
        ExprKind::Call {
            function:
                Function::Concat
                | Function::ConcatWs
                | Function::NullIf
                | Function::MakeArray
                | Function::MakeStruct,
            ..
        } => false,
        _ => children(expr).into_iter().any(|e| null_with(e, columns)),
    }
}

/// Whether the condition cannot be TRUE when all of `columns` are NULL.
pub(crate) fn not_true(expr: &Expr, columns: &[usize]) -> bool {
    match &expr.kind {
        ExprKind::Binary { op: BinaryOp::And, left, right } => {
            not_true(left, columns) || not_true(right, columns)
        }
        ExprKind::Binary { op: BinaryOp::Or, left, right } => {
            not_true(left, columns) && not_true(right, columns)
        }
        ExprKind::Not(x) => match &x.kind {
            ExprKind::IsNull(value) => null_with(value, columns),
            _ => null_with(x, columns),
        },
        _ => null_with(expr, columns),
    }
}
