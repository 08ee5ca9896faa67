//! The text of a plan: an indented tree, the sink's side first.

use crate::expr::{BinaryOp, Expr, ExprKind, Function};
use crate::plan::{AggregateFunction, ChangelogMode, JoinKind, Node, Plan, Window, WindowFunctionKind};
use crate::time_bounds::UNBOUNDED;
use bd_schema::{Field, Value};
use std::fmt;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_plan(self, 0, f)
    }
}

fn write_plan(plan: &Plan, depth: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if depth > 0 {
        writeln!(f)?;
    }
    write!(f, "{}{}{}", "  ".repeat(depth), describe(plan), facts(plan))?;
    let mut inputs: Vec<&Plan> = Vec::new();
    match &plan.node {
        Node::StreamScan { .. } | Node::TableScan { .. } => {}
        Node::Project { input, .. }
        | Node::Filter { input, .. }
        | Node::Unnest { input, .. }
        | Node::LeadLag { input, .. }
        | Node::Aggregate { input, .. } => inputs.push(input),
        Node::IntervalJoin { left, right, .. } | Node::TableJoin { left, right, .. } => {
            inputs.extend([left.as_ref(), right.as_ref()]);
        }
    }
    inputs.into_iter().try_for_each(|input| write_plan(input, depth + 1, f))
}

/// Time and lag of a stream, the key of a table, where they are not the input's.
fn facts(plan: &Plan) -> String {
    let passes = matches!(plan.node, Node::Filter { .. } | Node::Unnest { .. });
    match (&plan.mode, plan.time) {
        _ if passes => String::new(),
        (ChangelogMode::Append, Some(time)) => {
            let lag = match plan.lag_ms {
                UNBOUNDED => "unbounded".to_string(),
                ms => span_of(ms),
            };
            format!(" | time {}, lag {lag}", plan.columns[time].name)
        }
        (ChangelogMode::Append, None) => String::new(),
        (ChangelogMode::Upsert { key }, _) if key.is_empty() => String::new(),
        (ChangelogMode::Upsert { key }, _) => {
            let names: Vec<&str> = key.iter().map(|k| plan.columns[*k].name.as_str()).collect();
            format!(" | key {}", names.join(", "))
        }
    }
}

/// ms in the greatest unit that divides it.
fn span_of(ms: i64) -> String {
    for (unit, factor) in [("h", 3_600_000), ("min", 60_000), ("s", 1000)] {
        if ms != 0 && ms % factor == 0 {
            return format!("{} {unit}", ms / factor);
        }
    }
    format!("{ms} ms")
}

fn list<T>(items: &[T], f: impl Fn(&T) -> String) -> String {
    items.iter().map(f).collect::<Vec<_>>().join(", ")
}

fn describe(plan: &Plan) -> String {
    match &plan.node {
        Node::StreamScan { source, columns } => {
            format!("StreamScan {} [{}]", source.name, list(columns, |c| source.columns[*c].name.clone()))
        }
        Node::TableScan { source, columns, rowtime } => {
            let time = if *rowtime { ", ROWTIME" } else { "" };
            format!(
                "TableScan {} [{}{time}]",
                source.name,
                list(columns, |c| source.columns[*c].name.clone())
            )
        }
        Node::Project { input, exprs } => {
            let items: Vec<(&Field, &Expr)> = plan.columns.iter().zip(exprs).collect();
            let text = list(&items, |(field, e)| {
                let text = show(e, &input.columns);
                if text == field.name { text } else { format!("{text} AS {}", field.name) }
            });
            format!("Project {text}")
        }
        Node::Filter { input, predicate, counted } => {
            let all: Vec<String> = predicate.iter().map(|p| operand(p, &input.columns)).collect();
            let counted = match counted {
                Some(e) => format!(", dropped and counted unless {}", show(e, &input.columns)),
                None => String::new(),
            };
            let all = if all.is_empty() { "TRUE".to_string() } else { all.join(" AND ") };
            format!("Filter {all}{counted}")
        }
        Node::Unnest { input, expr } => {
            let added = &plan.columns[input.columns.len()..];
            format!("Unnest {} AS ({})", show(expr, &input.columns), list(added, |c| c.name.clone()))
        }
        Node::LeadLag { input, partition, order, functions, within_ms, drop_without_next } => {
            let name = |c: usize| input.columns[c].name.clone();
            let functions = list(functions, |w| match w.kind {
                WindowFunctionKind::RowNumber => "ROW_NUMBER()".to_string(),
                kind => {
                    let kind = if kind == WindowFunctionKind::Lead { "LEAD" } else { "LAG" };
                    let offset = if w.offset == 1 { String::new() } else { format!(", {}", w.offset) };
                    format!("{kind}({}{offset})", name(w.column))
                }
            });
            let partition = list(partition, |c| name(*c));
            let within = within_ms.map_or(String::new(), |ms| format!(", within {}", span_of(ms)));
            let drop = if *drop_without_next { ", only with a next row" } else { "" };
            format!(
                "LeadLag {functions} OVER (PARTITION BY {partition} ORDER BY {}){within}{drop}",
                name(*order)
            )
        }
        Node::IntervalJoin { left, right, kind, keys, before_ms, after_ms, condition } => {
            let (before, after) = (span_of(*before_ms), span_of(*after_ms));
            let on = on(left, right, keys, condition.as_ref());
            format!("IntervalJoin {} WITHIN ({before}, {after}) ON {on}", join_kind(*kind))
        }
        Node::TableJoin { left, right, kind, keys, condition } => {
            format!("TableJoin {} ON {}", join_kind(*kind), on(left, right, keys, condition.as_ref()))
        }
        Node::Aggregate { input, group, aggregates, window, emit_final } => {
            let text = list(aggregates, |a| {
                let args = list(&a.args, |e| show(e, &input.columns));
                format!(
                    "{}({})",
                    aggregate_name(a.function),
                    if a.args.is_empty() { "*".into() } else { args }
                )
            });
            let group = list(group, |g| input.columns[*g].name.clone());
            let window = window.as_ref().map_or(String::new(), |w| format!(" WINDOW {}", show_window(w)));
            let last = if *emit_final { " EMIT FINAL" } else { "" };
            format!("Aggregate {text} GROUP BY {group}{window}{last}")
        }
    }
}

fn join_kind(kind: JoinKind) -> &'static str {
    match kind {
        JoinKind::Inner => "INNER",
        JoinKind::Left => "LEFT",
        JoinKind::Right => "RIGHT",
        JoinKind::Full => "FULL",
    }
}

fn on(left: &Plan, right: &Plan, keys: &[(usize, usize)], condition: Option<&Expr>) -> String {
    let mut parts: Vec<String> = keys
        .iter()
        .map(|(l, r)| format!("left.{} = right.{}", left.columns[*l].name, right.columns[*r].name))
        .collect();
    if let Some(condition) = condition {
        let side = |side: &'static str| {
            move |c: &Field| Field::new(format!("{side}.{}", c.name), c.data_type.clone())
        };
        let columns: Vec<Field> =
            left.columns.iter().map(side("left")).chain(right.columns.iter().map(side("right"))).collect();
        parts.push(show(condition, &columns));
    }
    parts.join(" AND ")
}

fn show_window(window: &Window) -> String {
    let grace = |ms: i64| if ms == 0 { String::new() } else { format!(", GRACE PERIOD {}", span_of(ms)) };
    match window {
        Window::Tumbling { size_ms, grace_ms } => {
            format!("TUMBLING (SIZE {}{})", span_of(*size_ms), grace(*grace_ms))
        }
        Window::Hopping { size_ms, advance_ms, grace_ms } => {
            format!(
                "HOPPING (SIZE {}, ADVANCE BY {}{})",
                span_of(*size_ms),
                span_of(*advance_ms),
                grace(*grace_ms)
            )
        }
        Window::Session { gap_ms, grace_ms } => format!("SESSION ({}{})", span_of(*gap_ms), grace(*grace_ms)),
    }
}

fn aggregate_name(function: AggregateFunction) -> &'static str {
    match function {
        AggregateFunction::Count => "COUNT",
        AggregateFunction::CountDistinct => "COUNT_DISTINCT",
        AggregateFunction::Sum => "SUM",
        AggregateFunction::Avg => "AVG",
        AggregateFunction::Min => "MIN",
        AggregateFunction::Max => "MAX",
        AggregateFunction::LatestByOffset => "LATEST_BY_OFFSET",
        AggregateFunction::EarliestByOffset => "EARLIEST_BY_OFFSET",
        AggregateFunction::MaxBy => "MAX_BY",
        AggregateFunction::MinBy => "MIN_BY",
        AggregateFunction::CollectList => "COLLECT_LIST",
    }
}

/// In parentheses where it is an operation.
fn operand(expr: &Expr, columns: &[Field]) -> String {
    let text = show(expr, columns);
    match &expr.kind {
        ExprKind::Binary { op: BinaryOp::Or | BinaryOp::And, .. } => format!("({text})"),
        _ => text,
    }
}

fn nested(expr: &Expr, columns: &[Field]) -> String {
    let text = show(expr, columns);
    if matches!(expr.kind, ExprKind::Binary { .. } | ExprKind::InList { .. } | ExprKind::Like { .. }) {
        return format!("({text})");
    }
    text
}

fn show(expr: &Expr, columns: &[Field]) -> String {
    let all = |exprs: &[Expr]| list(exprs, |e| show(e, columns));
    match &expr.kind {
        ExprKind::Column(c) => columns.get(*c).map_or(format!("#{c}"), |c| c.name.clone()),
        ExprKind::Literal(value) => literal(value),
        ExprKind::Binary { op, left, right } => {
            let side = |e: &Expr| match (op, &e.kind) {
                (BinaryOp::And, ExprKind::Binary { op: BinaryOp::And, .. }) => show(e, columns),
                (BinaryOp::And | BinaryOp::Or, ExprKind::Binary { op: BinaryOp::And | BinaryOp::Or, .. }) => {
                    nested(e, columns)
                }
                (BinaryOp::And | BinaryOp::Or, _) => show(e, columns),
                _ => nested(e, columns),
            };
            format!("{} {} {}", side(left), operator(*op), side(right))
        }
        ExprKind::Not(x) => match &x.kind {
            ExprKind::IsNull(value) => format!("{} IS NOT NULL", nested(value, columns)),
            _ => format!("NOT {}", nested(x, columns)),
        },
        ExprKind::Negate(x) => format!("-{}", nested(x, columns)),
        ExprKind::IsNull(x) => format!("{} IS NULL", nested(x, columns)),
        ExprKind::InList { value, list } => format!("{} IN ({})", nested(value, columns), all(list)),
        ExprKind::Like { value, pattern, escape } => {
            let escape = escape.map_or(String::new(), |c| format!(" ESCAPE '{c}'"));
            format!("{} LIKE {}{escape}", nested(value, columns), show(pattern, columns))
        }
        ExprKind::Case { branches, otherwise } => {
            let mut text = "CASE".to_string();
            for (when, then) in branches {
                text += &format!(" WHEN {} THEN {}", show(when, columns), show(then, columns));
            }
            if let Some(e) = otherwise {
                text += &format!(" ELSE {}", show(e, columns));
            }
            text + " END"
        }
        ExprKind::Cast(x) => format!("CAST({} AS {})", show(x, columns), expr.data_type),
        ExprKind::Call { function: Function::MakeArray, args } => format!("ARRAY[{}]", all(args)),
        ExprKind::Call { function, args } => format!("{}({})", function_name(*function), all(args)),
        ExprKind::Field { value, index } => {
            let name = match &value.data_type {
                bd_schema::DataType::Struct(fields) => fields[*index].name.clone(),
                _ => index.to_string(),
            };
            format!("{}->{name}", nested(value, columns))
        }
        ExprKind::Index { value, index } => format!("{}[{}]", nested(value, columns), show(index, columns)),
    }
}

/// `FormatTimestamp` is `FORMAT_TIMESTAMP`.
fn function_name(function: Function) -> String {
    let mut name = String::new();
    for (i, c) in format!("{function:?}").chars().enumerate() {
        if c.is_uppercase() && i > 0 {
            name.push('_');
        }
        name.push(c.to_ascii_uppercase());
    }
    match name.as_str() {
        "TIMESTAMP_ADD" => "TIMESTAMPADD".into(),
        "NULL_IF" => "NULLIF".into(),
        "MAKE_STRUCT" => "STRUCT".into(),
        _ => name,
    }
}

fn operator(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Add => "+",
        BinaryOp::Subtract => "-",
        BinaryOp::Multiply => "*",
        BinaryOp::Divide => "/",
        BinaryOp::Modulo => "%",
        BinaryOp::Eq => "=",
        BinaryOp::NotEq => "<>",
        BinaryOp::Less => "<",
        BinaryOp::LessEq => "<=",
        BinaryOp::Greater => ">",
        BinaryOp::GreaterEq => ">=",
        BinaryOp::And => "AND",
        BinaryOp::Or => "OR",
        BinaryOp::IsDistinctFrom => "IS DISTINCT FROM",
    }
}

fn literal(value: &Value) -> String {
    match value {
        Value::Null => "NULL".into(),
        Value::Boolean(b) => b.to_string().to_uppercase(),
        Value::Integer(n) => n.to_string(),
        Value::BigInt(n) => n.to_string(),
        Value::Double(x) => format!("{x:?}"),
        Value::Decimal(d) => format!("{d} (unscaled)"),
        Value::Varchar(text) => format!("'{}'", text.replace('\'', "''")),
        other => format!("{other:?}"),
    }
}
