//! `LEAD`, `LAG`, `ROW_NUMBER` OVER (PARTITION BY .. ORDER BY ..).

use super::expressions::Scope;
use super::names::{Name, Rel};
use crate::ast::{self, Over, WindowDef};
use crate::build;
use crate::error::{Res, Span, fail, nearest_hint};
use crate::expr::{Expr, ExprKind};
use crate::plan::{ChangelogMode, WindowFunction, WindowFunctionKind};
use crate::time_bounds;
use bd_schema::DataType;

/// Calls `f` with the expression and each below it, aggregates' and functions' arguments too.
pub(crate) fn walk<'a>(e: &'a ast::Expr, f: &mut impl FnMut(&'a ast::Expr)) {
    f(e);
    match &e.kind {
        ast::ExprKind::Negate(x)
        | ast::ExprKind::Not(x)
        | ast::ExprKind::Cast(x, _)
        | ast::ExprKind::Field(x, _) => {
            walk(x, f);
        }
        ast::ExprKind::IsNull { value, .. } => walk(value, f),
        ast::ExprKind::Binary(_, a, b) | ast::ExprKind::Index(a, b) => {
            walk(a, f);
            walk(b, f);
        }
        ast::ExprKind::InList { value, list, .. } => {
            walk(value, f);
            list.iter().for_each(|x| walk(x, f));
        }
        ast::ExprKind::Between { value, low, high, .. } => {
            walk(value, f);
            walk(low, f);
            walk(high, f);
        }
        ast::ExprKind::Like { value, pattern, .. } => {
            walk(value, f);
            walk(pattern, f);
        }
        ast::ExprKind::Case { operand, branches, otherwise } => {
            operand.iter().for_each(|x| walk(x, f));
            for (when, then) in branches {
                walk(when, f);
                walk(then, f);
            }
            otherwise.iter().for_each(|x| walk(x, f));
        }
        ast::ExprKind::Call(c) => c.args.iter().for_each(|x| walk(x, f)),
        ast::ExprKind::Array(list) => list.iter().for_each(|x| walk(x, f)),
        ast::ExprKind::Struct(fields) => fields.iter().for_each(|(_, x)| walk(x, f)),
        ast::ExprKind::Map(entries) => {
            for (key, value) in entries {
                walk(key, f);
                walk(value, f);
            }
        }
        ast::ExprKind::Path(_)
        | ast::ExprKind::Null
        | ast::ExprKind::Boolean(_)
        | ast::ExprKind::Integer(_)
        | ast::ExprKind::Number(_)
        | ast::ExprKind::Text(_)
        | ast::ExprKind::Interval(_) => {}
    }
}

/// The places of expressions: columns as they are, others in a projection put on top.
pub(crate) fn places(mut rel: Rel, exprs: Vec<Expr>) -> (Rel, Vec<usize>) {
    let mut all: Vec<(String, Expr)> =
        (0..rel.plan.columns.len()).map(|i| (rel.plan.columns[i].name.clone(), rel.column(i))).collect();
    let width = all.len();
    let mut out = Vec::new();
    for expr in exprs {
        if let ExprKind::Column(c) = expr.kind {
            out.push(c);
            continue;
        }
        match all[width..].iter().position(|(_, e)| *e == expr) {
            Some(place) => out.push(width + place),
            None => {
                out.push(all.len());
                let name = format!("expr_{}", all.len() - width);
                all.push((name.clone(), expr));
                rel.names.push(Name { qualifier: None, name, hidden: true, key: false });
            }
        }
    }
    if all.len() > width {
        let (time, key) = (rel.plan.time, build::key_of(&rel.plan));
        rel.plan = build::project(rel.plan, all, time, key);
    }
    (rel, out)
}

/// Puts the window functions of the items over `rel`; gives also their columns by their place in the text.
pub(crate) fn lead_lag(select: &ast::Select, rel: Rel) -> Res<(Rel, Vec<(Span, Expr)>)> {
    let mut calls: Vec<(&ast::Call, Span)> = Vec::new();
    for item in &select.items {
        if let ast::SelectItem::Expr { expr, .. } = item {
            walk(expr, &mut |e| {
                if let ast::ExprKind::Call(c) = &e.kind
                    && c.over.is_some()
                {
                    calls.push((c, e.span));
                }
            });
        }
    }
    if calls.is_empty() {
        return match select.named_windows.first() {
            Some((name, _)) => fail(name.span, format!("the window {} is not used", name.name), "remove it"),
            None => Ok((rel, Vec::new())),
        };
    }
    let mut window: Option<(Vec<Expr>, Expr)> = None;
    let mut parsed = Vec::new();
    for (c, span) in &calls {
        let def = definition(select, c)?;
        let this = analyze_window(def, &rel, *span)?;
        match &window {
            Some(first) if *first != this => {
                return fail(
                    def.span,
                    "a SELECT has window functions over one window only",
                    "put the other window's functions in a sub-query",
                );
            }
            _ => window = Some(this),
        }
        parsed.push((function(c, *span, &rel)?, *span));
    }
    let Some((partition, order)) = window else { return Ok((rel, Vec::new())) };

    let order_span = definition(select, calls[0].0)?.span;
    let count = partition.len();
    let mut needed = partition;
    needed.push(order);
    needed.extend(parsed.iter().filter_map(|((_, arg, _), _)| arg.clone()));
    let (mut rel, all) = places(rel, needed);
    let (partition, order) = (all[..count].to_vec(), all[count]);
    check_order(&rel, &partition, order, order_span)?;

    let mut arguments = all[count + 1..].iter();
    let mut functions: Vec<WindowFunction> = Vec::new();
    let mut found = Vec::new();
    let (mut names, width) = (Vec::new(), rel.plan.columns.len());
    for ((kind, arg, offset), span) in parsed {
        let data_type = arg.as_ref().map_or(DataType::BigInt, |a| a.data_type.clone());
        let column = if arg.is_some() { arguments.next().copied().unwrap_or(0) } else { 0 };
        let function = WindowFunction { kind, column, offset, data_type: data_type.clone() };
        let place = functions.iter().position(|f| *f == function).unwrap_or_else(|| {
            let of = if arg.is_some() { rel.plan.columns[column].name.as_str() } else { "" };
            let kind = match kind {
                WindowFunctionKind::Lead => "lead",
                WindowFunctionKind::Lag => "lag",
                WindowFunctionKind::RowNumber => "row_number",
            };
            names.push(format!("{kind}_{of}").trim_end_matches('_').to_string());
            functions.push(function);
            functions.len() - 1
        });
        found.push((span, Expr::column(width + place, data_type)));
    }
    for name in &names {
        rel.names.push(Name { qualifier: None, name: name.clone(), hidden: true, key: false });
    }
    let spec = build::LeadLagSpec { partition, order, functions, within_ms: None, drop_without_next: false };
    rel.plan = build::lead_lag(rel.plan, spec, names);
    Ok((rel, found))
}

fn definition<'a>(select: &'a ast::Select, c: &'a ast::Call) -> Res<&'a WindowDef> {
    match &c.over {
        Some(Over::Inline(def)) => Ok(def),
        Some(Over::Named(name)) => match select.named_windows.iter().find(|(n, _)| n.is(&name.name)) {
            Some((_, def)) => Ok(def),
            None => {
                let known = select.named_windows.iter().map(|(n, _)| n.name.as_str());
                let hint = nearest_hint("windows", &name.name, known);
                fail(name.span, format!("there is no window {}", name.name), hint)
            }
        },
        None => fail(c.name.span, "a window function needs OVER", "write OVER (PARTITION BY .. ORDER BY ..)"),
    }
}

fn analyze_window(def: &WindowDef, rel: &Rel, span: Span) -> Res<(Vec<Expr>, Expr)> {
    let scope = Scope::of(rel, "a window");
    let partition = def.partition.iter().map(|e| scope.expr(e)).collect::<Res<Vec<_>>>()?;
    let [order] = &def.order[..] else {
        let hint = "write OVER (PARTITION BY .. ORDER BY the event time)";
        return fail(span, "a window of LEAD, LAG or ROW_NUMBER is ordered by exactly one column", hint);
    };
    if order.descending {
        return fail(
            order.expr.span,
            "a window is ordered upwards only",
            "swap LEAD and LAG instead of DESC",
        );
    }
    Ok((partition, scope.expr(&order.expr)?))
}

type Parsed = (WindowFunctionKind, Option<Expr>, u32);

fn function(c: &ast::Call, span: Span, rel: &Rel) -> Res<Parsed> {
    let name = c.name.name.to_ascii_uppercase();
    let kind = match name.as_str() {
        "LEAD" => WindowFunctionKind::Lead,
        "LAG" => WindowFunctionKind::Lag,
        "ROW_NUMBER" => WindowFunctionKind::RowNumber,
        _ => {
            let hint = nearest_hint("window functions", &name, ["LEAD", "LAG", "ROW_NUMBER"]);
            return fail(c.name.span, format!("{name} is no window function"), hint);
        }
    };
    if kind == WindowFunctionKind::RowNumber {
        let plain = c.args.is_empty() && !c.star;
        return if plain {
            Ok((kind, None, 1))
        } else {
            fail(span, "ROW_NUMBER takes no argument", "write ROW_NUMBER()")
        };
    }
    if c.args.len() == 3 {
        let hint = format!("write COALESCE({name}(x, n) OVER .., default)");
        return fail(c.args[2].span, format!("{name} takes no default"), hint);
    }
    if c.args.is_empty() || c.args.len() > 2 || c.distinct {
        return fail(
            span,
            format!("{name} takes a value and how many rows"),
            format!("write {name}(x) or {name}(x, 2)"),
        );
    }
    let scope = Scope::of(rel, "a window function");
    let value = scope.expr(&c.args[0])?;
    let offset = match c.args.get(1) {
        None => 1,
        Some(n) => match time_bounds::constant(&scope.expr(n)?).map(u32::try_from) {
            Some(Ok(n)) if n > 0 => n,
            _ => {
                return fail(
                    n.span,
                    "the number of rows is a constant of at least 1",
                    format!("write {name}(x, 2)"),
                );
            }
        },
    };
    Ok((kind, Some(value), offset))
}

fn check_order(rel: &Rel, partition: &[usize], order: usize, span: Span) -> Res<()> {
    match &rel.plan.mode {
        ChangelogMode::Append => {
            if time_bounds::of_column(&rel.plan, order).is_some_and(|b| b.exact) {
                return Ok(());
            }
            let time_columns: Vec<&str> = rel
                .visible()
                .filter(|(i, _)| time_bounds::of_column(&rel.plan, *i).is_some_and(|b| b.exact))
                .map(|(_, n)| n.name.as_str())
                .chain([build::ROWTIME])
                .collect();
            let message = format!("{} is not the event time of this stream", rel.plan.columns[order].name);
            fail(span, message, format!("ORDER BY {}", time_columns.join(" or ")))
        }
        ChangelogMode::Upsert { key } => match key.iter().find(|k| !partition.contains(k)) {
            None => Ok(()),
            Some(missing) => fail(
                span,
                "over a table, PARTITION BY holds the table's key",
                format!("add {} to PARTITION BY", rel.plan.columns[*missing].name),
            ),
        },
    }
}
