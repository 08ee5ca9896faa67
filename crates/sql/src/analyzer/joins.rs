//! Joins: equalities become keys, the rest of ON the condition.

use super::expressions::Scope;
use super::names::{Name, Rel};
use super::types::{all_of, conjuncts, each_column, replace_columns};
use super::windows::places;
use crate::ast;
use crate::build::{self, IntervalSpec};
use crate::error::{Res, Span, fail};
use crate::expr::{BinaryOp, Expr, ExprKind};
use crate::plan::{ChangelogMode, JoinKind, Node, Plan};

/// A join's two sides, their keys and what else must hold.
struct Parts {
    left: Rel,
    right: Rel,
    keys: Vec<(usize, usize)>,
    condition: Option<Expr>,
}

pub(crate) fn join(
    left: Rel,
    right: Rel,
    kind: JoinKind,
    within: Option<(i64, i64, Span)>,
    on: &ast::Expr,
    span: Span,
) -> Res<Rel> {
    let stream = |rel: &Rel| rel.plan.mode == ChangelogMode::Append;
    match (stream(&left), stream(&right), within) {
        (true, true, None) => fail(
            span,
            "a join of two streams needs WITHIN: how far apart in event time two rows may lie",
            "write JOIN x WITHIN 1 HOUR ON .., or WITHIN (before, after): how much earlier and later the right row may be",
        ),
        (true, true, Some((before_ms, after_ms, _))) => {
            for side in [&left, &right] {
                check_bounded(&side.plan, span)?;
            }
            let Parts { left, right, keys, condition } = parts(left, right, on)?;
            check_keys(&keys, on)?;
            let (mut names, rowtimes) = names_of(&left, &right, false);
            names.push(Name { qualifier: None, name: build::ROWTIME.into(), hidden: true, key: false });
            let spec = IntervalSpec { kind, keys, before_ms, after_ms, condition };
            let value_format = left.value_format;
            let plan = build::interval_join(left.plan, right.plan, spec);
            Ok(Rel { plan, names, rowtimes, key_format: None, value_format, joined: true })
        }
        (true, false, Some((_, _, at))) => {
            fail(at, "a join with a table takes no WITHIN: it meets the row that is current", "remove WITHIN")
        }
        (true, false, None) => table_join(left, right, kind, on, span),
        (false, true, _) => fail(
            span,
            "the stream of a join with a table stands first",
            "write FROM stream JOIN table, and LEFT JOIN to keep the stream's rows without a partner",
        ),
        (false, false, _) => fail(
            span,
            "a join of two tables is not supported yet",
            "join a stream with each of them: FROM stream JOIN a ON .. JOIN b ON ..",
        ),
    }
}

fn table_join(left: Rel, right: Rel, kind: JoinKind, on: &ast::Expr, span: Span) -> Res<Rel> {
    if matches!(kind, JoinKind::Right | JoinKind::Full) {
        let message = "a stream joins a table by JOIN or LEFT JOIN only";
        return fail(
            span,
            message,
            "rows of the table alone have no time: use LEFT JOIN, or SELECT from the table",
        );
    }
    if !is_plain_table(&right.plan) {
        return fail(
            span,
            "this side of the join is more than a table with projections and filters",
            "make it a table first: CREATE TABLE .. AS SELECT, and join that",
        );
    }
    let Parts { left, right, keys, condition } = parts(left, right, on)?;
    check_keys(&keys, on)?;
    let (names, rowtimes) = names_of(&left, &right, true);
    let (key_format, value_format) = (left.key_format, left.value_format);
    let plan = build::table_join(left.plan, right.plan, kind, keys, condition);
    Ok(Rel { plan, names, rowtimes, key_format, value_format, joined: true })
}

fn check_keys(keys: &[(usize, usize)], on: &ast::Expr) -> Res<()> {
    if keys.is_empty() {
        let message = "a join needs an equality between both sides";
        return fail(on.span, message, "write ON a.column = b.column AND ..");
    }
    Ok(())
}

/// A scan, with projections and filters over it.
fn is_plain_table(plan: &Plan) -> bool {
    match &plan.node {
        Node::TableScan { .. } => true,
        Node::Project { input, .. } | Node::Filter { input, .. } => is_plain_table(input),
        _ => false,
    }
}

fn check_bounded(plan: &Plan, span: Span) -> Res<()> {
    if super::optimize::simplify(plan.clone()).lag_ms == crate::time_bounds::UNBOUNDED {
        return fail(
            span,
            "rows of this sub-query may come any time after the watermark, so nothing bounds the join",
            "bound LEAD's distance in the sub-query: WHERE next_time - time <= a constant",
        );
    }
    Ok(())
}

fn names_of(left: &Rel, right: &Rel, keep_key: bool) -> (Vec<Name>, Vec<(Option<String>, usize)>) {
    let width = left.plan.columns.len();
    let left_names = left.names.iter().map(|n| Name { key: n.key && keep_key, ..n.clone() });
    let names = left_names.chain(right.names.iter().map(|n| Name { key: false, ..n.clone() })).collect();
    let right_times = right.rowtimes.iter().map(|(q, i)| (q.clone(), i + width));
    (names, left.rowtimes.iter().cloned().chain(right_times).collect())
}

#[derive(PartialEq, Clone, Copy)]
enum Side {
    None,
    Left,
    Right,
    Both,
}

fn side(expr: &Expr, width: usize) -> Side {
    let mut side = Side::None;
    each_column(expr, &mut |c| {
        let this = if c < width { Side::Left } else { Side::Right };
        side = if side == Side::None || side == this { this } else { Side::Both };
    });
    side
}

/// Splits ON; a key that is no column is computed in a projection below the join.
fn parts(left: Rel, right: Rel, on: &ast::Expr) -> Res<Parts> {
    let width = left.plan.columns.len();
    let (names, rowtimes) = names_of(&left, &right, false);
    let mut both =
        build::table_join(left.plan.clone(), right.plan.clone(), JoinKind::Inner, Vec::new(), None);
    both.time = None;
    let both = Rel { plan: both, names, rowtimes, key_format: None, value_format: None, joined: true };
    let mut all = Vec::new();
    conjuncts(Scope::of(&both, "ON").condition(on)?, &mut all);

    let (mut left_keys, mut right_keys, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    for conjunct in all {
        if let ExprKind::Binary { op: BinaryOp::Eq, left: a, right: b } = &conjunct.kind {
            let (a, b) = match (side(a, width), side(b, width)) {
                (Side::Left, Side::Right) => (a, b),
                (Side::Right, Side::Left) => (b, a),
                _ => {
                    rest.push(conjunct);
                    continue;
                }
            };
            left_keys.push(a.as_ref().clone());
            right_keys.push(replace_columns(b, &|c, t| Expr::column(c - width, t.clone())));
        } else {
            rest.push(conjunct);
        }
    }
    let (left, left_places) = places(left, left_keys);
    let (right, right_places) = places(right, right_keys);
    let added = left.plan.columns.len() - width;
    let rest = rest
        .iter()
        .map(|e| replace_columns(e, &|c, t| Expr::column(if c < width { c } else { c + added }, t.clone())))
        .collect();
    let keys = left_places.into_iter().zip(right_places).collect();
    Ok(Parts { left, right, keys, condition: all_of(rest) })
}
