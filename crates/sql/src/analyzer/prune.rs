//! Projection push-down: scans list only the columns that are used.

use super::types::{each_column, replace_columns};
use crate::build::{self, IntervalSpec, LeadLagSpec};
use crate::expr::Expr;
use crate::plan::{Aggregate, Node, Plan, WindowFunction};
use bd_schema::Field;
use std::collections::BTreeSet;

/// Where each old column of a plan is now; `None` for those removed.
type Moved = Vec<Option<usize>>;

/// The plan without what no output column needs. All of its own columns stay.
pub(crate) fn prune(plan: Plan) -> Plan {
    let all = (0..plan.columns.len()).collect();
    keep(plan, &all).0
}

fn columns_of(exprs: &[Expr], out: &mut BTreeSet<usize>) {
    exprs.iter().for_each(|e| each_column(e, &mut |c| _ = out.insert(c)));
}

fn to(moved: &Moved, column: usize) -> usize {
    moved.get(column).copied().flatten().unwrap_or(0)
}

fn moved_expr(expr: &Expr, moved: &Moved) -> Expr {
    replace_columns(expr, &|c, t| Expr::column(to(moved, c), t.clone()))
}

fn moved_exprs(exprs: &[Expr], moved: &Moved) -> Vec<Expr> {
    exprs.iter().map(|e| moved_expr(e, moved)).collect()
}

/// The places of the kept ones among `count`.
fn renumber(kept: &BTreeSet<usize>, count: usize) -> Moved {
    let mut moved = vec![None; count];
    kept.iter().enumerate().for_each(|(new, old)| moved[*old] = Some(new));
    moved
}

/// `below`'s columns, then `added` more of which those in `kept` stay.
fn extend(below: &Moved, width: usize, added: usize, kept: impl Fn(usize) -> bool) -> Moved {
    let mut moved = below.clone();
    let mut next = width;
    for i in 0..added {
        moved.push(kept(i).then_some(next));
        next += usize::from(kept(i));
    }
    moved
}

fn names(columns: &[Field], moved: &Moved, plan: Plan) -> Plan {
    let mut renamed = plan.columns.clone();
    for (old, new) in moved.iter().enumerate() {
        if let (Some(new), Some(field)) = (new, columns.get(old))
            && let Some(slot) = renamed.get_mut(*new)
        {
            slot.name.clone_from(&field.name);
        }
    }
    Plan { columns: renamed, ..plan }
}

fn keep(plan: Plan, needed: &BTreeSet<usize>) -> (Plan, Moved) {
    let mut needed = needed.clone();
    needed.extend(plan.time);
    needed.extend(build::key_of(&plan));
    let (count, old_columns) = (plan.columns.len(), plan.columns.clone());
    let key = build::key_of(&plan);
    let (pruned, moved) = match plan.node {
        Node::StreamScan { source, columns } => {
            let moved = renumber(&needed, count);
            let left = needed.iter().filter_map(|i| columns.get(*i).copied()).collect();
            (build::stream_scan(source, left), moved)
        }
        Node::TableScan { source, columns, rowtime } => {
            let moved = renumber(&needed, count);
            let left = needed.iter().filter_map(|i| columns.get(*i).copied()).collect();
            let rowtime = rowtime && needed.contains(&columns.len());
            (build::table_scan(source, left, rowtime), moved)
        }
        Node::Project { input, exprs } => {
            let moved = renumber(&needed, count);
            let left: Vec<Expr> = needed.iter().map(|i| exprs[*i].clone()).collect();
            let mut below_needs = BTreeSet::new();
            columns_of(&left, &mut below_needs);
            let (input, below) = keep(*input, &below_needs);
            let labels = needed.iter().map(|i| old_columns[*i].name.clone());
            let exprs = labels.zip(moved_exprs(&left, &below)).collect();
            let key = key.iter().map(|k| to(&moved, *k)).collect();
            (build::project(input, exprs, plan.time.map(|t| to(&moved, t)), key), moved)
        }
        Node::Filter { input, predicate, counted } => {
            columns_of(&predicate, &mut needed);
            columns_of(counted.as_slice(), &mut needed);
            let (input, moved) = keep(*input, &needed);
            let counted = counted.map(|e| moved_expr(&e, &moved));
            (build::filter(input, moved_exprs(&predicate, &moved), counted), moved)
        }
        Node::Unnest { input, expr } => {
            let width = input.columns.len();
            needed.retain(|c| *c < width);
            columns_of(std::slice::from_ref(&expr), &mut needed);
            let (input, below) = keep(*input, &needed);
            let moved = extend(&below, input.columns.len(), count - width, |_| true);
            let expr = moved_expr(&expr, &below);
            (build::unnest(input, expr, old_columns[width..].to_vec()), moved)
        }
        Node::LeadLag { input, partition, order, functions, within_ms, drop_without_next } => {
            let width = input.columns.len();
            let stays = |i: usize| needed.contains(&(width + i));
            let mut below_needs: BTreeSet<usize> = needed.iter().copied().filter(|c| *c < width).collect();
            below_needs.extend(partition.iter().copied().chain([order]));
            let left: Vec<&WindowFunction> =
                functions.iter().enumerate().filter(|(i, _)| stays(*i)).map(|(_, f)| f).collect();
            below_needs.extend(left.iter().map(|f| f.column));
            let labels = (0..functions.len())
                .filter(|i| stays(*i))
                .map(|i| old_columns[width + i].name.clone())
                .collect();
            let (input, below) = keep(*input, &below_needs);
            let moved = extend(&below, input.columns.len(), functions.len(), stays);
            let spec = LeadLagSpec {
                partition: partition.iter().map(|c| to(&below, *c)).collect(),
                order: to(&below, order),
                functions: left
                    .into_iter()
                    .map(|f| WindowFunction { column: to(&below, f.column), ..f.clone() })
                    .collect(),
                within_ms,
                drop_without_next,
            };
            let plan = if spec.functions.is_empty() { input } else { build::lead_lag(input, spec, labels) };
            (plan, moved)
        }
        Node::IntervalJoin { left, right, kind, keys, before_ms, after_ms, condition } => {
            let (left, right, below) = keep_sides(*left, *right, needed, &keys, condition.as_ref());
            let moved = extend(&below.both, left.columns.len() + right.columns.len(), 1, |_| true);
            let condition = condition.map(|e| moved_expr(&e, &below.both));
            let keys = below.keys(&keys);
            (
                build::interval_join(
                    left,
                    right,
                    IntervalSpec { kind, keys, before_ms, after_ms, condition },
                ),
                moved,
            )
        }
        Node::TableJoin { left, right, kind, keys, condition } => {
            let (left, right, below) = keep_sides(*left, *right, needed, &keys, condition.as_ref());
            let condition = condition.map(|e| moved_expr(&e, &below.both));
            let keys = below.keys(&keys);
            (build::table_join(left, right, kind, keys, condition), below.both)
        }
        Node::Aggregate { input, group, aggregates, window, emit_final } => {
            let first = count - aggregates.len();
            let stays = |i: usize| needed.contains(&(first + i));
            let left: Vec<&Aggregate> =
                aggregates.iter().enumerate().filter(|(i, _)| stays(*i)).map(|(_, a)| a).collect();
            let labels = (0..aggregates.len())
                .filter(|i| stays(*i))
                .map(|i| old_columns[first + i].name.clone())
                .collect();
            let mut below_needs: BTreeSet<usize> = group.iter().copied().collect();
            left.iter().for_each(|a| columns_of(&a.args, &mut below_needs));
            let (input, below) = keep(*input, &below_needs);
            let left = left
                .into_iter()
                .map(|a| Aggregate { args: moved_exprs(&a.args, &below), ..a.clone() })
                .collect();
            let group = group.iter().map(|g| to(&below, *g)).collect();
            let moved = extend(&(0..first).map(Some).collect(), first, aggregates.len(), stays);
            (build::aggregate(input, group, left, window, emit_final, labels), moved)
        }
    };
    (names(&old_columns, &moved, pruned), moved)
}

/// How the columns of a join's sides moved.
struct Sides {
    left: Moved,
    right: Moved,
    both: Moved,
}

impl Sides {
    fn keys(&self, keys: &[(usize, usize)]) -> Vec<(usize, usize)> {
        keys.iter().map(|(l, r)| (to(&self.left, *l), to(&self.right, *r))).collect()
    }
}

fn keep_sides(
    left: Plan,
    right: Plan,
    mut needed: BTreeSet<usize>,
    keys: &[(usize, usize)],
    condition: Option<&Expr>,
) -> (Plan, Plan, Sides) {
    let width = left.columns.len();
    if let Some(condition) = condition {
        columns_of(std::slice::from_ref(condition), &mut needed);
    }
    let mut of_left: BTreeSet<usize> = needed.iter().copied().filter(|c| *c < width).collect();
    let last = width + right.columns.len();
    let mut of_right: BTreeSet<usize> =
        needed.iter().filter(|c| (width..last).contains(*c)).map(|c| c - width).collect();
    of_left.extend(keys.iter().map(|k| k.0));
    of_right.extend(keys.iter().map(|k| k.1));
    let (left, left_moved) = keep(left, &of_left);
    let (right, right_moved) = keep(right, &of_right);
    let offset = left.columns.len();
    let both = left_moved.iter().copied().chain(right_moved.iter().map(|m| m.map(|m| m + offset))).collect();
    (left, right, Sides { left: left_moved, right: right_moved, both })
}
